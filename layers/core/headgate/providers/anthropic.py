"""Anthropic: a wire format of its own, a paged list that tells what each model can, and no prices."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from headgate.domain.errors import HeadgateError
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ModelPage, ProviderConfig, ProviderSpec, provider
from headgate.providers.dialects import anthropic_listing, openai_answers, openai_errors
from headgate.providers.dialects.anthropic_messages import AnthropicMessages
from headgate.providers.dialects.base import BackDialect
from headgate.providers.dialects.speaking import DialectProvider, front_of

PAGE_SIZE = 1000
"""The most that one page holds: https://docs.claude.com/en/api/models-list (2026-11-20)."""

# What may stand in a request to count: https://docs.claude.com/en/api/messages-count-tokens (2026-11-20).
_COUNTED = frozenset(
    {
        "cache_control",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "output_format",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)

# `error.details.error_code`, which is promised to stay where messages are not: anthropic-sdk-python 2.11,
# types/shared (2026-11). None of these passes by waiting.
_REFUSALS = {
    "enforced_spend_limit_reached": "provider_insufficient_funds",
    "contract_spend_limit_reached": "provider_insufficient_funds",
    "linked_organization_spend_limit_reached": "provider_insufficient_funds",
    "linked_organization_billing_unavailable": "provider_insufficient_funds",
    "user_profile_billing_not_authorized": "provider_insufficient_funds",
    "user_profile_not_billable": "provider_insufficient_funds",
    "organization_on_hold": "provider_auth",
}

# Limits that an organization sets for itself, and an empty balance, come as a 400 without a code (2026-11).
_NO_FUNDS = re.compile(r"credit balance is too low|(usage|spend\w*) limit", re.IGNORECASE)
_FILTERED = re.compile(r"content filtering policy", re.IGNORECASE)


@provider
class Anthropic(DialectProvider):
    """https://docs.claude.com/en/api/overview (2026-11-20)."""

    spec = ProviderSpec(
        slug="anthropic",
        name="Anthropic",
        description="Claude models from their maker.",
        docs_url="https://docs.claude.com",
        base_url="https://api.anthropic.com",
        models_path="/v1/models",
        key_check_path="/v1/models?limit=1",
        auth="x-api-key",
        default_headers={"anthropic-version": "2023-06-01"},
        features=("streaming", "tools", "vision", "reasoning", "structured_output", "prompt_caching"),
        sends_stream_options=False,
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (AnthropicMessages(),)

    def base_url(self, config: ProviderConfig) -> str:
        """Without the version, also for those who write it."""
        return super().base_url(config).removesuffix("/v1")

    # -- catalogue ----------------------------------------------------------------------------------------

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        query = {"limit": str(PAGE_SIZE)} | ({"after_id": page} if page is not None else {})
        return self._get(f"{self.spec.models_path}?{urlencode(query)}", config)

    def parse_list_models(self, body: bytes) -> ModelPage:
        """`{"data": […], "has_more": …, "last_id": …}`. A 200 that holds an error raises what that means."""
        try:
            text = openai_answers.trim(body).decode()
            value = json.loads(text, parse_float=Decimal, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise self._no_list() from None
        if isinstance(value, dict) and value.get("error"):
            raise self.judge_inside(value)
        entries = value.get("data") if isinstance(value, dict) else None
        if not isinstance(entries, list):
            raise self._no_list()
        return anthropic_listing.parse_page(entries, more=value.get("has_more"), last=value.get("last_id"))

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The list's first entry."""
        return self._get(self.spec.key_check_path or "", config)

    # -- beside chat --------------------------------------------------------------------------------------

    def build_count_tokens(self, call: ChatCall, config: ProviderConfig) -> WireRequest | None:
        """Of a conversation in any dialect that a client speaks."""
        back = self.backs[0]
        own = {key: value for key, value in call.body.items() if key not in self.gateway_fields}
        if call.dialect == back.name:
            body = back.hand_request(replace(call, body=own))
            body = {key: value for key, value in body.items() if key not in ("max_tokens", "stream")}
        else:
            body = back.write_request(front_of(call.dialect).read_request(own), call)
            body = {key: value for key, value in body.items() if key in _COUNTED}
        headers = self.headers(config) | {"content-type": "application/json"}
        if call.dialect == back.name:
            headers |= call.headers
        return WireRequest(
            method="POST",
            url=f"{self.base_url(config)}{back.path(call)}/count_tokens",
            headers=headers,
            body=openai_answers.write_json(body),
            idempotent=True,
            guarded=config.guarded,
        )

    def parse_count_tokens(self, body: bytes) -> int:
        answer = openai_answers.read_answer(openai_answers.trim(body))
        if answer.get("error"):
            raise self.judge_inside(answer)
        count = answer.get("input_tokens")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise openai_answers.malformed("counts no tokens")
        return count

    # -- errors -------------------------------------------------------------------------------------------

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        """Complete: every status gives an error, never `internal`. See `openai_errors.judge`."""
        found = self._classify(status, headers, openai_errors.read_error(body))
        found.provider_request_id = openai_errors.request_id(headers) or _request_id(body)
        return found

    def judge_inside(self, value: Any) -> HeadgateError:
        """What an error inside a 200 means, by its type: a stream that had begun knows no other."""
        found = self._classify(None, {}, openai_errors.error_object(value))
        told = value.get("request_id") if isinstance(value, Mapping) else None
        found.provider_request_id = told if isinstance(told, str) else None
        return found

    def _classify(
        self, status: int | None, headers: Mapping[str, str], error: Mapping[str, Any]
    ) -> HeadgateError:
        verdict = openai_errors.judge(status, error)
        code = _own_code(status, error) or verdict.code
        reason = openai_errors.clean_reason(str(error.get("message") or ""))
        answered = f"{self.spec.name} answered {status}" if status else f"{self.spec.name} failed"
        detail = f"{answered}: {reason}" if reason else f"{answered} without a reason."
        found = openai_errors.error_of_code(code, detail, may_have_run=verdict.may_have_run)
        found.provider = self.spec.slug
        found.retry_after_s = openai_errors.retry_after_s(headers) if found.retryable else None
        return found


def _own_code(status: int | None, error: Mapping[str, Any]) -> str | None:
    """What this vendor alone means: its codes first, and words where it has none."""
    details = error.get("details")
    told = details.get("error_code") if isinstance(details, Mapping) else None
    if isinstance(told, str) and told in _REFUSALS:
        return _REFUSALS[told]
    message = str(error.get("message") or "")
    if status in (400, 403, 429) and _NO_FUNDS.search(message):
        return "provider_insufficient_funds"
    if status == 400 and _FILTERED.search(message):
        return "content_filtered"
    if error.get("type") == "not_found_error" and message and not message.startswith("model"):
        return "provider_rejected"  # a file or a container that is not there
    return None


def _request_id(body: bytes) -> str | None:
    """Beside the error, where no header tells it."""
    try:
        value = openai_answers.read_json(openai_answers.trim(body))
    except openai_answers.AnswerError:
        return None
    told = value.get("request_id") if isinstance(value, dict) else None
    return told if isinstance(told, str) and told.isascii() and told.isprintable() else None
