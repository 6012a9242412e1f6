"""The Response object around its output: what was asked repeated, how it ended, what it took. Pure."""

import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate.domain.answers import Finished, FinishReason
from headgate.domain.generation import Usage
from headgate.domain.money import decimal_text
from headgate.providers.dialects.base import AnswerContext

_UNFIT = re.compile(r"[^0-9A-Za-z_-]")
_MAX_NAME_CHARS = 40
"""So that ids made of it stay within the 64 characters that OpenAI takes back."""

_REASONS = {FinishReason.LENGTH: "max_output_tokens", FinishReason.FILTERED: "content_filter"}

# What OpenAI says where a request left it open, in its order (recorded, 2026-08).
_DEFAULTS: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_OURS = frozenset({"service_tier", "store", "truncation", "top_logprobs"})
"""What was asked for did not happen across dialects, so the default is told."""


def name_of(provider_id: str | None) -> str:
    """What ids of one answer have in common: of the provider's own id, or new."""
    fit = _UNFIT.sub("", provider_id or "").removeprefix("resp_")[:_MAX_NAME_CHARS]
    return fit or uuid.uuid4().hex


def response_object(context: AnswerContext, *, name: str, model: str, status: str) -> dict[str, Any]:
    """A Response without output, error or usage."""
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": context.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        **_asked(context.call.body),
        "model": model,
        "output": [],
        "usage": None,
    }


def ending_of(finish: Finished | None, *, refused: bool) -> tuple[str, dict[str, str] | None]:
    """`status` and `incomplete_details`. refused: the model said so itself, which is an answer."""
    if finish is None:
        return "completed", None
    reason = _REASONS.get(finish.reason)
    if finish.reason is FinishReason.REFUSAL and not refused:
        reason = "content_filter"
    return ("incomplete", {"reason": reason}) if reason is not None else ("completed", None)


def usage_object(usage: Usage, cost_usd: Decimal | None) -> dict[str, Any]:
    """Every count is there, for that is how the SDK's models want it; what is unknown is zero."""
    given, made = usage.input_tokens or 0, usage.output_tokens or 0
    written: dict[str, Any] = {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens if usage.total_tokens is not None else given + made,
    }
    if cost_usd is not None:
        written["cost"] = float(decimal_text(cost_usd))
    return written


def wants_summary(body: Mapping[str, Any]) -> bool:
    """Whether thoughts are to be shown as a summary, and not as they are."""
    reasoning = body.get("reasoning")
    if not isinstance(reasoning, Mapping):
        return False
    return bool(reasoning.get("summary") or reasoning.get("generate_summary"))


def _asked(body: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        name: body[name] if body.get(name) is not None and name not in _OURS else default
        for name, default in _DEFAULTS.items()
    }
    if isinstance(told["reasoning"], Mapping):
        told["reasoning"] = {**_DEFAULTS["reasoning"], **told["reasoning"]}
    if isinstance(told["text"], Mapping):
        told["text"] = {**_DEFAULTS["text"], **told["text"]}
    if isinstance(told["tools"], list):
        told["tools"] = [_tool(tool) for tool in told["tools"]]
    return told


def _tool(tool: Any) -> Any:
    """With the members that the SDK's model wants and a request may leave out."""
    return {"parameters": None, "strict": None, **tool} if isinstance(tool, Mapping) else tool
