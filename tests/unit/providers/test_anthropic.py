"""Anthropic's peculiarities: a paged list with abilities, codes within errors, counting, beta headers."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headgate.domain.catalog import ModelInfo, ModelStatus
from headgate.domain.errors import HeadgateError
from headgate.domain.secret import Secret
from headgate.providers.anthropic import Anthropic
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT
from headgate.providers.registry import ProviderRegistry
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

PROVIDER = Anthropic()
CONFIG = ProviderConfig(api_key=Secret("sk-ant-fixture"))
FIXTURES = Path(__file__).parents[2] / "fixtures" / "providers" / "anthropic"


def entry(model: str, **members: Any) -> dict[str, Any]:
    return {"type": "model", "id": model, "display_name": model.title(), **members}


def listed(*entries: Any, **members: Any) -> Any:
    return PROVIDER.parse_list_models(
        json.dumps({"data": list(entries), "has_more": False, **members}).encode()
    )


def models() -> dict[str, ModelInfo]:
    page = PROVIDER.parse_list_models((FIXTURES / "models.json").read_bytes())
    return {model.native_id: model for model in page.models}


def call_of(dialect: str = ANTHROPIC_MESSAGES, **fields: Any) -> ChatCall:
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi?"}]}
    return ChatCall(**{"body": body, "model": "claude-opus-5", "stream": False, "dialect": dialect, **fields})


def body_of(request: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(request.body)
    return value


# -- requests ---------------------------------------------------------------------------------------------


def test_every_request_has_the_key_and_the_version() -> None:
    for request in (
        PROVIDER.build_list_models(CONFIG, None),
        PROVIDER.build_key_check(CONFIG),
        PROVIDER.build_chat(call_of(), CONFIG),
        PROVIDER.build_count_tokens(call_of(), CONFIG),
    ):
        assert request is not None
        assert request.headers["anthropic-version"] == "2023-06-01"
        key = request.headers["x-api-key"]
        assert isinstance(key, Secret)
        assert key.reveal() == "sk-ant-fixture"
        assert "authorization" not in request.headers
        assert request.url.startswith("https://api.anthropic.com/v1/m")


@pytest.mark.parametrize("url", ["https://x.example", "https://x.example/", "https://x.example/v1"])
def test_a_base_url_is_one_with_the_version_or_without(url: str) -> None:
    config = replace(CONFIG, base_url=url)
    assert PROVIDER.build_chat(call_of(), config).url == "https://x.example/v1/messages"


def test_beta_headers_of_its_own_clients_go_with_the_request() -> None:
    headers = {"anthropic-beta": "context-1m-2025-08-07"}
    for build in (PROVIDER.build_chat, PROVIDER.build_count_tokens):
        own: Any = build(call_of(headers=headers), CONFIG)
        assert own.headers["anthropic-beta"] == "context-1m-2025-08-07"
        other: Any = build(call_of(OPENAI_CHAT, headers=headers), CONFIG)
        assert "anthropic-beta" not in other.headers


def test_its_own_clients_are_handed_through_and_others_translated() -> None:
    own = body_of(PROVIDER.build_chat(call_of(), CONFIG))
    assert own == {
        "model": "claude-opus-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi?"}],
    }
    chat = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]}
    other = body_of(PROVIDER.build_chat(call_of(OPENAI_CHAT, body=chat), CONFIG))
    assert other == {
        "model": "claude-opus-5",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi?"}],
    }


def test_a_stream_is_asked_for_as_one() -> None:
    for dialect in (ANTHROPIC_MESSAGES, OPENAI_CHAT):
        request = PROVIDER.build_chat(call_of(dialect, stream=True), CONFIG)
        assert body_of(request)["stream"] is True
        assert "stream_options" not in body_of(request)
        assert request.headers["accept"] == "text/event-stream"


# -- counting ---------------------------------------------------------------------------------------------


def test_what_would_be_sent_is_counted_but_for_limits() -> None:
    body = {
        "model": "x",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi?"}],
        "system": "Be brief.",
        "brand_new": 1,
    }
    request = PROVIDER.build_count_tokens(call_of(body=body), CONFIG)
    assert request is not None
    assert request.url == "https://api.anthropic.com/v1/messages/count_tokens"
    assert request.idempotent
    assert body_of(request) == {
        "model": "claude-opus-5",
        "messages": [{"role": "user", "content": "Hi?"}],
        "system": "Be brief.",
        "brand_new": 1,
    }


def test_a_chat_of_another_dialect_is_counted_as_it_would_be_sent() -> None:
    chat = {
        "messages": [{"role": "user", "content": "Hi?"}],
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "temperature": 1,
        "stop": "END",
        "user": "u",
    }
    request = PROVIDER.build_count_tokens(call_of(OPENAI_CHAT, body=chat), CONFIG)
    assert request is not None
    assert body_of(request).keys() == {"model", "messages", "tools"}


def test_a_count_is_read() -> None:
    assert PROVIDER.parse_count_tokens(b'{"input_tokens": 14}') == 14


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_tokens":-1}', b'{"input_tokens":true}', b"[]"])
def test_what_is_no_count_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(HeadgateError) as caught:
        PROVIDER.parse_count_tokens(body)
    assert caught.value.code == "provider_protocol"


def test_an_error_in_place_of_a_count_means_what_it_says() -> None:
    with pytest.raises(HeadgateError) as caught:
        PROVIDER.parse_count_tokens(b'{"type":"error","error":{"type":"overloaded_error"}}')
    assert caught.value.code == "provider_overloaded"


# -- the list ---------------------------------------------------------------------------------------------


async def test_the_list_is_read_to_its_last_page() -> None:
    first = {"data": [entry("claude-opus-5")], "has_more": True, "last_id": "claude-opus-5"}
    second = {"data": [entry("claude-haiku-4-5")], "has_more": False, "last_id": "claude-haiku-4-5"}
    transport = ScriptedTransport(Answer.of_json(first), Answer.of_json(second))

    async def unconfigured(_slug: str) -> None:
        return None

    registry = ProviderRegistry(transport=transport, clock=ManualClock(), configure=unconfigured)
    listing = await registry.bind("anthropic", CONFIG).list_models()
    assert [model.native_id for model in listing.models] == ["claude-haiku-4-5", "claude-opus-5"]
    assert (listing.pages, listing.partial) == (2, False)
    assert [sent.url.partition("?")[2] for sent in transport.requests] == [
        "limit=1000",
        "limit=1000&after_id=claude-opus-5",
    ]


@pytest.mark.parametrize(
    "members",
    [
        {"has_more": False, "last_id": "x"},
        {"has_more": True, "last_id": None},
        {"has_more": True, "last_id": ""},
        {"has_more": "yes", "last_id": "x"},
        {},
    ],
)
def test_a_list_that_does_not_say_where_it_goes_on_ends(members: dict[str, Any]) -> None:
    assert listed(entry("claude-opus-5"), **members).next_page is None


def test_the_key_check_is_the_shortest_list() -> None:
    request = PROVIDER.build_key_check(CONFIG)
    assert request is not None
    assert request.url == "https://api.anthropic.com/v1/models?limit=1"


def test_abilities_are_those_that_the_list_tells() -> None:
    found = models()
    assert found["claude-opus-5"].capabilities == {
        "streaming",
        "tools",
        "prompt_caching",
        "vision",
        "pdf_input",
        "structured_output",
        "citations",
        "code_execution",
        "web_search",
        "reasoning",
        "adaptive_thinking",
        "effort_low",
        "effort_medium",
        "effort_high",
        "effort_xhigh",
        "effort_max",
    }
    haiku = found["claude-haiku-4-5-20251001"]
    assert {"reasoning", "thinking_budget"} <= haiku.capabilities
    assert not {"adaptive_thinking", "web_search"} & haiku.capabilities
    assert haiku.input_modalities == ("text", "image", "file")
    assert (haiku.context_window, haiku.max_output_tokens) == (200_000, 64_000)
    assert haiku.created_at == datetime(2025, 10, 15, tzinfo=UTC)


def test_a_model_without_abilities_is_known_by_its_name() -> None:
    (old, new) = listed(
        entry("claude-3-opus-20240229", capabilities=None), entry("claude-sonnet-4-5", capabilities=None)
    ).models
    assert old.capabilities == {"streaming", "tools", "prompt_caching", "vision", "pdf_input"}
    assert "reasoning" in new.capabilities
    assert old.context_window is None


def test_a_model_that_sees_nothing_takes_text_alone() -> None:
    none = {"supported": False}
    (model,) = listed(entry("claude-x", capabilities={"image_input": none, "pdf_input": none})).models
    assert model.input_modalities == ("text",)
    assert model.capabilities == {"streaming", "tools", "prompt_caching"}


def test_the_end_of_a_model_is_told() -> None:
    found = models()
    assert found["claude-opus-5"].status is ModelStatus.AVAILABLE
    retiring = found["claude-opus-4-1-20250805"]
    assert retiring.status is ModelStatus.DEPRECATED
    assert retiring.expires_at == datetime(2026, 12, 31, tzinfo=UTC)
    assert found["claude-3-opus-20240229"].status is ModelStatus.UNAVAILABLE


@pytest.mark.parametrize(
    ("native_id", "canonical"),
    [
        ("claude-opus-5", "anthropic/claude-opus-5"),
        ("claude-sonnet-4-6", "anthropic/claude-sonnet-4.6"),
        ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4.5"),
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4"),
        ("claude-3-5-haiku-20241022", "anthropic/claude-3.5-haiku"),
        ("claude-3-opus-20240229", "anthropic/claude-3-opus"),
    ],
)
def test_models_are_grouped_with_those_of_other_providers(native_id: str, canonical: str) -> None:
    assert listed(entry(native_id)).models[0].canonical_id == canonical


def test_parameters_are_those_that_the_model_takes() -> None:
    found = models()
    assert "temperature" in found["claude-haiku-4-5-20251001"].supported_parameters
    assert "temperature" not in found["claude-opus-5"].supported_parameters
    assert "reasoning_effort" in found["claude-opus-5"].supported_parameters
    assert "reasoning_effort" not in found["claude-3-opus-20240229"].supported_parameters


def test_an_error_in_place_of_a_list_means_what_it_says() -> None:
    with pytest.raises(HeadgateError) as caught:
        PROVIDER.parse_list_models(b'{"type":"error","error":{"type":"authentication_error"}}')
    assert caught.value.code == "provider_auth"


# -- errors -----------------------------------------------------------------------------------------------


def error_of(status: int, kind: str, message: str = "No.", **members: Any) -> HeadgateError:
    error = {"type": kind, "message": message, **members}
    body = {"type": "error", "error": error, "request_id": "req_1"}
    return PROVIDER.classify_error(status, {"retry-after": "7"}, json.dumps(body).encode())


def test_the_request_is_named_by_header_or_body() -> None:
    assert error_of(500, "api_error").provider_request_id == "req_1"
    error = PROVIDER.classify_error(500, {"request-id": "req_2"}, b'{"request_id":"req_1"}')
    assert error.provider_request_id == "req_2"
    assert PROVIDER.classify_error(500, {}, b'{"request_id":7}').provider_request_id is None


def test_a_limit_that_no_waiting_lifts_is_not_told_to_wait_for() -> None:
    rate = error_of(429, "rate_limit_error")
    assert (rate.code, rate.retry_after_s, rate.retryable) == ("provider_rate_limited", 7.0, True)
    for code in ("enforced_spend_limit_reached", "contract_spend_limit_reached"):
        spent = error_of(429, "rate_limit_error", details={"error_code": code})
        assert (spent.code, spent.retry_after_s, spent.retryable) == (
            "provider_insufficient_funds",
            None,
            False,
        )


@pytest.mark.parametrize("details", [None, 7, {}, {"error_code": 7}, {"error_code": "brand_new"}])
def test_a_code_that_is_new_is_judged_by_its_type(details: Any) -> None:
    assert error_of(429, "rate_limit_error", details=details).code == "provider_rate_limited"


def test_a_code_counts_in_a_stream_too() -> None:
    inside = {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}
    assert PROVIDER.judge_inside({"type": "error", "error": inside}).code == "provider_insufficient_funds"


@pytest.mark.parametrize("status", [400, 413, 429, 529])
def test_a_refused_request_has_not_run(status: int) -> None:
    assert not error_of(status, "x").may_have_run
    assert error_of(500, "api_error").may_have_run


def test_spend_limits_are_no_reason_where_the_status_says_otherwise() -> None:
    assert error_of(500, "api_error", "usage limit service failed").code == "provider_unavailable"
    assert error_of(400, "invalid_request_error", "stop: limit is 4").code == "provider_rejected"
