"""Providers that speak Anthropic's messages beside a dialect of their own: what is handed through, and how.

Their fixture folders hold `messages.json`, `messages.sse`, `messages-tools.json` and `messages-tools.sse`,
with the text and the call of the other fixtures.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ChatOutcome, ProviderConfig, StreamEvent
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.openrouter import OpenRouter
from headgate.providers.requesty import Requesty

FIXTURES = Path(__file__).parent.parent / "fixtures" / "providers"
PROVIDERS: dict[str, OpenAICompatible] = {"openrouter": OpenRouter(), "requesty": Requesty()}
CLAUDE = "anthropic/claude-haiku-4.5"
ASKED: dict[str, Any] = {
    "model": "whatever/the-caller-wrote",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Greet me."}],
}
EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
KINDS = ("messages", "messages-tools")
STEP = 7

each_provider = pytest.mark.parametrize("slug", PROVIDERS)
each_kind = pytest.mark.parametrize("kind", KINDS)


def call_of(*, stream: bool = False, model: str = CLAUDE, dialect: str = ANTHROPIC_MESSAGES) -> ChatCall:
    body = ASKED | {"routing": {"strategy": "cheapest"}, "some_unknown_field": {"kept": True}}
    return ChatCall(
        body=body, model=model, stream=stream, dialect=dialect, headers={"anthropic-beta": "told-2026"}
    )


def built(slug: str, call: ChatCall, base_url: str | None = None) -> tuple[WireRequest, Any]:
    config = ProviderConfig(api_key=Secret("sk-fixture-0123456789"), base_url=base_url)
    request = PROVIDERS[slug].build_chat(call, config)
    return request, json.loads(request.body or b"")


def a_cent(_usage: Usage) -> Decimal:
    return Decimal("0.01")


def read(slug: str, name: str) -> bytes:
    return (FIXTURES / slug / name).read_bytes()


def play(slug: str, *reads: bytes) -> tuple[list[StreamEvent], ChatOutcome]:
    reader = PROVIDERS[slug].read_chat_stream(call_of(stream=True), a_cent)
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end(), reader.outcome


def frames(body: bytes) -> list[bytes]:
    """The named events of a stream; the one that has no name is `[DONE]`."""
    return [block + b"\n\n" for block in body.split(b"\n\n") if block.startswith(b"event: ")]


def value_of(frame: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(frame.partition(b"data: ")[2])
    return value


def test_the_folders_with_messages_are_those_of_the_providers_that_hand_them_through() -> None:
    assert {path.parent.name for path in FIXTURES.glob("*/messages.json")} == set(PROVIDERS)


# -- requests ---------------------------------------------------------------------------------------------


@each_provider
@pytest.mark.parametrize("base_url", [None, "https://elsewhere.example/v1/"])
def test_a_message_for_claude_goes_to_messages_as_it_came(slug: str, base_url: str | None) -> None:
    request, body = built(slug, call_of(stream=True), base_url)
    base = (base_url or PROVIDERS[slug].spec.base_url or "").rstrip("/")
    assert request.url == f"{base}/messages"
    assert body == {**ASKED, "model": CLAUDE, "stream": True, "some_unknown_field": {"kept": True}}
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["anthropic-beta"] == "told-2026"


@each_provider
def test_the_key_is_sent_once_as_the_path_takes_it(slug: str) -> None:
    handed, _ = built(slug, call_of())
    translated, _ = built(slug, call_of(model="maker/some-model"))
    keyed = {name for name in handed.headers if name in ("authorization", "x-api-key")}
    assert keyed == ({"x-api-key"} if slug == "requesty" else {"authorization"})
    assert "authorization" in translated.headers
    assert "x-api-key" not in translated.headers
    assert not any("0123456789" in repr(value) for value in handed.headers.values())


@pytest.mark.parametrize(
    ("slug", "model", "handed"),
    [
        ("openrouter", "anthropic/claude-sonnet-4.5", True),
        ("openrouter", "~anthropic/claude-sonnet-latest", True),
        ("openrouter", "openai/gpt-4o", False),
        ("openrouter", "openrouter/auto", False),
        ("openrouter", "anthropical/model", False),
        ("requesty", "anthropic/claude-sonnet-4-5", True),
        ("requesty", "bedrock/claude-sonnet-4-5@eu-central-1", False),
        ("requesty", "vertex/anthropic/claude-sonnet-4-5", False),
        ("requesty", "openai/gpt-4o", False),
    ],
)
def test_only_models_that_speak_it_by_themselves_are_handed_messages(
    slug: str, model: str, *, handed: bool
) -> None:
    request, _ = built(slug, call_of(model=model))
    assert request.url.endswith("/messages" if handed else "/chat/completions")


@each_provider
def test_clients_of_chat_are_handed_through_to_claude_as_before(slug: str) -> None:
    request, body = built(slug, call_of(dialect=OPENAI_CHAT))
    assert request.url.endswith("/chat/completions")
    assert body["messages"] == ASKED["messages"]


# -- answers ----------------------------------------------------------------------------------------------


@each_provider
@each_kind
def test_a_whole_message_is_handed_on_but_for_the_cost(slug: str, kind: str) -> None:
    told = json.loads(read(slug, f"{kind}.json"))
    answer = PROVIDERS[slug].parse_chat(call_of(), read(slug, f"{kind}.json"), a_cent)
    told["usage"].setdefault("cost", 0.01)
    assert json.loads(answer.body) == told
    assert Message.model_validate_json(answer.body).usage.output_tokens == told["usage"]["output_tokens"]


@each_provider
@each_kind
def test_a_stream_is_handed_on_byte_for_byte_but_for_the_cost(slug: str, kind: str) -> None:
    body = read(slug, f"{kind}.sse")
    events, _ = play(slug, body)
    sent = [event.data for event in events if event.data]
    told = frames(body)
    assert [event.error for event in events if event.error] == []
    assert sent[:-2] + sent[-1:] == told[:-2] + told[-1:]
    counted = value_of(told[-2])
    counted["usage"]["cost"] = 0.01
    assert value_of(sent[-2]) == counted
    for value in map(value_of, sent):
        if value["type"] != "ping":
            EVENTS.validate_python(value)


@each_provider
@each_kind
def test_a_message_comes_to_the_same_whole_and_streamed(slug: str, kind: str) -> None:
    whole = PROVIDERS[slug].parse_chat(call_of(), read(slug, f"{kind}.json"), a_cent).outcome
    _, streamed = play(slug, read(slug, f"{kind}.sse"))
    for outcome in (whole, streamed):
        assert outcome.text == ("Hello from a fixture." if kind == "messages" else "")
        assert [call["function"]["name"] for call in outcome.tool_calls] == ["get_weather"] * (
            not outcome.text
        )
        assert outcome.usage is not None
        assert outcome.usage.input_tokens == (19 if outcome.text else 408)
        assert outcome.usage.output_tokens == (8 if outcome.text else 54)
    assert whole.finish_reason == streamed.finish_reason


@each_provider
@each_kind
def test_a_stream_reads_the_same_cut_anywhere(slug: str, kind: str) -> None:
    body = read(slug, f"{kind}.sse")
    whole = play(slug, body)
    for at in range(1, len(body), STEP):
        assert play(slug, body[:at], body[at:]) == whole
    assert play(slug, *(body[at : at + 1] for at in range(len(body)))) == whole


@each_provider
def test_a_stream_that_was_cut_off_fails_and_never_looks_finished(slug: str) -> None:
    told = frames(read(slug, "messages.sse"))
    for kept in range(len(told)):
        events, _ = play(slug, b"".join(told[:kept]))
        assert events[-1].error is not None
        assert events[-1].error.code == "provider_protocol"
        assert not any(b"message_stop" in event.data for event in events)


# -- costs and errors -------------------------------------------------------------------------------------


def test_what_openrouter_says_it_cost_is_what_it_cost() -> None:
    outcome = (
        PROVIDERS["openrouter"].parse_chat(call_of(), read("openrouter", "messages.json"), a_cent).outcome
    )
    assert outcome.usage is not None
    assert outcome.usage.cost_usd == Decimal("0.000071")
    assert (outcome.usage.cache_read_tokens, outcome.usage.cache_write_tokens) == (5, 3)


def test_a_cost_at_the_end_of_openrouters_stream_stays_as_it_was_told() -> None:
    counted = b'"output_tokens":8,"cost":0.0000710,"output_tokens_details":{"thinking_tokens":4}'
    body = read("openrouter", "messages.sse")
    assert body.count(b'"output_tokens":8,"output_tokens_details":null') == 1
    told = body.replace(b'"output_tokens":8,"output_tokens_details":null', counted)
    events, outcome = play("openrouter", told)
    assert [event.data for event in events if event.data] == frames(told)
    assert outcome.usage is not None
    assert outcome.usage.cost_usd == Decimal("0.000071")
    assert outcome.usage.reasoning_tokens == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "provider_overloaded"),
        (
            {"type": "api_error", "message": "Overloaded", "error_type": "provider_overloaded"},
            "provider_overloaded",
        ),
        (
            {
                "type": "invalid_request_error",
                "message": "Too long.",
                "error_type": "context_length_exceeded",
            },
            "context_too_long",
        ),
        ({"type": "rate_limit_error", "message": "Slow down"}, "provider_rate_limited"),
        ({"type": "invalid_request_error", "message": "No."}, "provider_rejected"),
    ],
)
def test_an_error_inside_openrouters_stream_means_what_it_says(error: dict[str, Any], code: str) -> None:
    told = frames(read("openrouter", "messages.sse"))
    event = json.dumps({"type": "error", "error": error}).encode()
    events, _ = play("openrouter", b"".join(told[:4]) + b"event: error\ndata: " + event + b"\n\n")
    found = events[-1].error
    assert found is not None
    assert (found.code, found.provider) == (code, "openrouter")


@each_provider
def test_an_error_in_place_of_a_message_is_raised(slug: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}).encode()
    with pytest.raises(Exception, match="Busy") as caught:
        PROVIDERS[slug].parse_chat(call_of(), body, a_cent)
    assert getattr(caught.value, "code", None) == "provider_overloaded"
