"""What a Response says about itself: its usage, how it ended, what failed. Pure."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate.domain.answers import Finished, FinishReason
from headgate.domain.generation import Usage
from headgate.providers.dialects import openai_answers
from headgate.providers.dialects.base import AnswerContext

_RESPONSE_KEY = re.compile(r'"response"\s*:\s*')

_CHAT_WORDS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}

_UNFINISHED = frozenset({"queued", "in_progress", "cancelled"})
_INCOMPLETE = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_messages": FinishReason.LENGTH,
    "content_filter": FinishReason.FILTERED,
}
CALLS = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_approval_request",
    }
)
"""Output items that wait for the client, as a chat completion's tool calls do."""

# `response.error.code` has words of its own (github.com/openai/openai-python
# src/openai/types/responses/response_error.py, 2026-11-20); these are chat completions' for the same.
_REJECTED = "invalid_request_error"
_FILTERED = "content_policy_violation"
_ERROR_TYPES = {
    "invalid_prompt": _REJECTED,
    "data_residency_mismatch": _REJECTED,
    "invalid_image": _REJECTED,
    "invalid_image_format": _REJECTED,
    "invalid_base64_image": _REJECTED,
    "invalid_image_url": _REJECTED,
    "image_too_large": _REJECTED,
    "image_too_small": _REJECTED,
    "image_parse_error": _REJECTED,
    "invalid_image_mode": _REJECTED,
    "image_file_too_large": _REJECTED,
    "unsupported_image_media_type": _REJECTED,
    "empty_image_file": _REJECTED,
    "failed_to_download_image": _REJECTED,
    "image_file_not_found": _REJECTED,
    "bio_policy": _FILTERED,
    "misalignment_policy_violation": _FILTERED,
    "image_content_policy_violation": _FILTERED,
    "vector_store_timeout": "timeout",
}


def read_usage(usage: Mapping[str, Any], context: AnswerContext) -> Usage:
    """Tokens in our convention. The provider's own way of counting sees the names of chat completions."""
    named = {_CHAT_WORDS.get(name, name): value for name, value in usage.items()}
    return context.usage_of(named, openai_answers.read_usage)


def price_of(usage: Mapping[str, Any], data: bytes, context: AnswerContext) -> Decimal | None:
    """What is to be added as `cost`; None where it is there, or unknown. data: where the usage stood."""
    if usage.get("cost") is not None:
        return None
    return context.price(read_usage(openai_answers.exact_usage(data, usage), context))


def add_cost_to_event(data: bytes, response: Mapping[str, Any], cost_usd: Decimal) -> bytes:
    """An event's JSON with `response.usage.cost`; every other number stays the digits that were sent."""
    text = data.decode()
    decoder = json.JSONDecoder()
    for match in _RESPONSE_KEY.finditer(text):
        try:
            value, end = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value.keys() == response.keys():
            inner = text[match.end() : end].encode("utf-8", "surrogatepass")
            changed = openai_answers.add_cost(inner, response["usage"], cost_usd).decode()
            return f"{text[: match.end()]}{changed}{text[end:]}".encode()
    return data


def failure_in(response: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to judge where a response says that it failed."""
    error = response.get("error")
    if error:
        return {"error": with_type(error)}
    return {"error": {"code": "server_error"}} if response.get("status") == "failed" else None


def with_type(error: Any) -> Any:
    """An error with the type that its code implies, where it has none that says as much."""
    if not isinstance(error, Mapping):
        return error
    implied = _ERROR_TYPES.get(str(error.get("code")))
    return {**error, "type": implied} if implied is not None else error


def finish_of(response: Mapping[str, Any], *, has_calls: bool) -> Finished | None:
    """How it ended; None for what goes on in the background. Servers without a `status` have completed."""
    status = response.get("status")
    if status in _UNFINISHED:
        return None
    if status == "incomplete":
        details = response.get("incomplete_details")
        native = details.get("reason") if isinstance(details, Mapping) else None
        reason = _INCOMPLETE.get(str(native), FinishReason.PAUSE)
        return Finished(reason=reason, native=native if isinstance(native, str) else status)
    reason = FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP
    return Finished(reason=reason, native=status if isinstance(status, str) else None)


# What an event carries of the answer, by the names under which the kinds of events have it.
_SAYING = (
    "delta",
    "text",
    "refusal",
    "arguments",
    "annotation",
    "partial_image_b64",
    "code",
    "input",
    "transcript",
)


def carries_content(event: Mapping[str, Any]) -> bool:
    """Whether an event of a stream has any of the answer in it. What only frames it, empty, has not."""
    if any(event.get(name) for name in _SAYING):
        return True
    part = event.get("part")
    if isinstance(part, Mapping):
        return any(part.get(name) for name in ("text", "refusal"))
    item = event.get("item")
    if not isinstance(item, Mapping):
        return False
    if item.get("type") in ("message", "reasoning"):
        return any(item.get(name) for name in ("content", "summary", "encrypted_content"))
    return True
