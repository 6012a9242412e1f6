"""Real Responses, whole and streamed, where the recordings lie beside the checkout; else no tests.

What the dialect makes of an exchange, handed on and translated for a client of chat completions, is held
against a second, plainer reading of the same bytes; so is what it makes of recorded chat completions for its
own clients.
"""

import collections
import json
import re
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from headgate.domain.errors import CODES, CannotCarry
from headgate.providers.base import ChatCall, ChatOutcome, ProviderConfig, StreamEvent
from headgate.providers.dialects.base import OPENAI_CHAT, OPENAI_RESPONSES, BackDialect
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.dialects.openai_responses import OpenAIResponses
from headgate.providers.openai import OpenAI
from tests.contract import test_recorded_openai_chat as chats
from tests.contract.recorded_responses import (
    PROVIDERS,
    RECORDED,
    TERMINAL,
    Exchange,
    Reading,
    assert_chat_usage,
    assert_outcome,
    events_in,
    fixtures,
    kind_of,
    name_of,
    only_responses_know,
    price,
    recorded,
    terminal_of,
)

pytestmark = pytest.mark.recorded

# Streams that end in an error: the file's name, and the code it comes to.
FAILED_STREAMS = {
    "openai-error.1.chunks.txt#0": "provider_insufficient_funds",
    "parallel-tool-call-wrapper.1.chunks.txt#0": "provider_protocol",  # a line of it is no JSON
}

# Streams whose deltas say less than their last event: shortened by hand.
SHORTENED = {"openai-shell-container.1.chunks.txt#0"}

# Requests that a chat completion has no field for, though others than Responses may have one.
NOT_FOR_CHAT = {"test-document-url-input-response-api.0.200.json.json": "messages"}  # a document by URL

# Errors of which more is known than that they have a code.
ERROR_CODES = {
    "test-inferred-model-name-suggestion.0.400.json.json": "model_not_found",
    "chat-real-error-scenarios-openai-gpt-5-nano-handles-context-length-exceeded-errors.0.400.json.json": (
        "context_too_long"
    ),
    "test-deepseek-responses-rejects-interleaved-function-calls.0.400.json.json": "provider_rejected",
    "reasoning-model-temperature-error.json": "provider_rejected",
    "openai-error.1.json": "provider_insufficient_funds",
}


class ResponsesOnly(OpenAICompatible):
    """Of whatever provider, the one dialect, so that clients of another get a translation."""

    spec = OpenAI.spec
    backs: ClassVar[tuple[BackDialect, ...]] = (OpenAIResponses(),)


TRANSLATING = ResponsesOnly()
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


EXCHANGES = [*recorded(), *fixtures()]
WHOLE = [each for each in EXCHANGES if each.status == 200 and not each.streamed]
STREAMED = [each for each in EXCHANGES if each.status == 200 and each.streamed]
FAILED = [each for each in EXCHANGES if each.status != 200]
SUCCEEDED = [each for each in STREAMED if each.name not in FAILED_STREAMS]
UNTOUCHED = [each for each in SUCCEEDED if each.name not in SHORTENED]
ASKED = [each for each in EXCHANGES if each.request]


# -- playing one ------------------------------------------------------------------------------------------


def play(
    provider: OpenAICompatible, reads: list[bytes], *, dialect: str = OPENAI_RESPONSES
) -> tuple[list[StreamEvent], ChatOutcome]:
    call = ChatCall(body={}, model="m", stream=True, dialect=dialect)
    reader = provider.read_chat_stream(call, price)
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end(), reader.outcome


def built(provider: OpenAICompatible, body: dict[str, Any]) -> dict[str, Any]:
    """The body that a client's request becomes."""
    call = ChatCall(body=body, model="native", stream=bool(body.get("stream")), dialect=OPENAI_RESPONSES)
    config = ProviderConfig(base_url="https://provider.example/v1")
    sent = provider.build_chat(call, config).body
    assert isinstance(sent, bytes)
    return dict(json.loads(sent))


def assert_response(written: dict[str, Any], message: dict[str, Any], reason: str) -> None:
    """A Response beside the message of a chat completion that it was made of."""
    reading = Reading.of(written)
    assert reading.text == (message.get("content") or "")
    assert reading.calls == [
        {
            "id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"].get("arguments") or "{}",
        }
        for call in message.get("tool_calls") or ()
    ]
    assert written["status"] == ("incomplete" if reason == "length" else "completed")


class ChatOnly(OpenAICompatible):
    """A provider of chat completions, to which a client of Responses is translated."""

    spec = OpenAI.spec


if RECORDED.is_dir():

    def test_the_recordings_are_found(capsys: pytest.CaptureFixture[str]) -> None:
        counted = collections.Counter((each.slug, kind_of(each)) for each in EXCHANGES)
        with capsys.disabled():
            for slug in PROVIDERS:
                numbers = [f"{kind} {counted[slug, kind]}" for kind in ("whole", "streamed", "errors")]
                print(f"\n  recorded Responses of {slug}: {', '.join(numbers)}", end="")  # noqa: T201
            refused = sum(only_responses_know(each.request) for each in ASKED)
            print(f"\n  their requests: {len(ASKED)}, for Responses alone {refused}", end="")  # noqa: T201
        assert len(WHOLE) >= 140
        assert len(STREAMED) >= 50
        assert len(FAILED) >= 7
        assert {each.slug for each in EXCHANGES} == set(PROVIDERS)
        assert {each.name for each in STREAMED} >= FAILED_STREAMS.keys() | SHORTENED
        assert {each.name for each in ASKED} >= NOT_FOR_CHAT.keys()
        assert {each.name for each in FAILED} >= ERROR_CODES.keys()

    @pytest.mark.parametrize("exchange", WHOLE, ids=name_of)
    def test_a_whole_answer_is_read_and_handed_on(exchange: Exchange) -> None:
        told = json.loads(exchange.body)
        call = ChatCall(body={}, model="m", stream=False, dialect=OPENAI_RESPONSES)
        answer = exchange.provider.parse_chat(call, exchange.body, price)
        assert_outcome(answer.outcome, Reading.of(told))
        if told.get("usage") is not None:
            told["usage"].setdefault("cost", 0.000123)
        assert json.loads(answer.body) == told

    @pytest.mark.parametrize("exchange", UNTOUCHED, ids=name_of)
    def test_a_stream_is_read_and_handed_on_but_for_its_cost(exchange: Exchange) -> None:
        events, outcome = play(exchange.provider, [exchange.body])
        assert [event.error for event in events if event.error] == []
        assert_outcome(outcome, Reading.of(terminal_of(exchange)))
        sent = [event.data for event in events]
        if exchange.body.endswith(b"data: [DONE]\n\n"):
            assert sent.pop() == b"data: [DONE]\n\n"
        told = list(events_in(exchange.body))
        assert len(sent) == len(told)
        for data, (raw, value) in zip(sent, told, strict=True):
            if value["type"] in TERMINAL and "cost" not in value["response"]["usage"]:
                value["response"]["usage"]["cost"] = 0.000123
                assert next(events_in(data))[1] == value
                assert data.split(b"data:")[0] == raw.split(b"data:")[0]
            else:
                assert data == raw

    @pytest.mark.parametrize("exchange", SUCCEEDED, ids=name_of)
    def test_content_begins_with_the_first_event_that_says_something(exchange: Exchange) -> None:
        events, _ = play(exchange.provider, [exchange.body])
        first = next(event for event in events if event.content)
        value = next(events_in(first.data))[1]
        assert value.get("delta") or value.get("item", {}).get("type") != "message"
        kinds = [next(events_in(event.data))[1]["type"] for event in events[: events.index(first)]]
        assert set(kinds) <= {
            "response.created",
            "response.queued",
            "response.in_progress",
            "response.output_item.added",
            "response.output_item.done",
            "response.content_part.added",
            "response.reasoning_summary_part.added",
        }

    @pytest.mark.parametrize("exchange", WHOLE, ids=name_of)
    def test_a_client_of_chat_completions_gets_the_same_whole(exchange: Exchange) -> None:
        reading = Reading.of(json.loads(exchange.body))
        call = ChatCall(body={}, model="m", stream=False, dialect=OPENAI_CHAT)
        answer = TRANSLATING.parse_chat(call, exchange.body, price)
        assert_outcome(answer.outcome, reading)
        told = json.loads(answer.body)
        (choice,) = told["choices"]
        assert (choice["message"]["content"] or "") == reading.text
        calls = choice["message"].get("tool_calls", [])
        assert [{"id": call["id"], **call["function"]} for call in calls] == reading.calls
        assert choice["finish_reason"] == (reading.finish_reason or "stop")
        assert_chat_usage(told.get("usage"), reading.usage)

    @pytest.mark.parametrize("exchange", UNTOUCHED, ids=name_of)
    def test_a_client_of_chat_completions_gets_the_same_streamed(exchange: Exchange) -> None:
        reading = Reading.of(terminal_of(exchange))
        events, outcome = play(TRANSLATING, [exchange.body], dialect=OPENAI_CHAT)
        assert_outcome(outcome, reading)
        sent = b"".join(event.data for event in events)
        assert sent.endswith(b"data: [DONE]\n\n")
        chunks = [value for _, value in events_in(sent)]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == reading.text
        calls: dict[int, dict[str, str]] = {}
        for part in (part for delta in deltas for part in delta.get("tool_calls", ())):
            call = calls.setdefault(part["index"], {"id": part.get("id", ""), "name": "", "arguments": ""})
            call["name"] += part["function"].get("name", "")
            call["arguments"] += part["function"]["arguments"]
        assert list(calls.values()) == reading.calls
        assert chunks[-1]["choices"][0]["finish_reason"] == reading.finish_reason
        assert_chat_usage(chunks[-1]["usage"], reading.usage)

    @pytest.mark.parametrize("chat", chats.WHOLE, ids=chats.name_of)
    def test_a_client_of_responses_gets_what_a_chat_completion_says(chat: chats.Exchange) -> None:
        call = ChatCall(body={}, model="m", stream=False, dialect=OPENAI_RESPONSES)
        written = json.loads(ChatOnly().parse_chat(call, chat.body, price).body)
        Response.model_validate(written, strict=True)
        told = json.loads(chat.body)
        assert_response(written, told["choices"][0]["message"], told["choices"][0]["finish_reason"])
        given, made, reasoning = chats.tokens(told["usage"])
        usage = written["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (given, made)
        assert usage["output_tokens_details"]["reasoning_tokens"] == (reasoning or 0)
        assert usage["cost"] == told["usage"].get("cost", 0.000123)

    @pytest.mark.parametrize("chat", chats.SUCCEEDED, ids=chats.name_of)
    def test_a_client_of_responses_gets_what_chunks_say(chat: chats.Exchange) -> None:
        events, _ = play(ChatOnly(), [chat.body])
        values = [value for _, value in events_in(b"".join(event.data for event in events))]
        for value in values:
            EVENTS.validate_python(value, strict=True)
        chunks = [chunk for _, chunk in chats.frames(chat.body)]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        calls = chats.joined_calls([choice["delta"] for choice in choices])
        message = {
            "content": "".join(choice["delta"].get("content") or "" for choice in choices),
            "tool_calls": [{"id": call["id"], "function": call} for call in calls],
        }
        reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
        assert_response(values[-1]["response"], message, reasons[-1])

    @pytest.mark.parametrize("exchange", [each for each in STREAMED if each.name in SHORTENED], ids=name_of)
    def test_a_stream_that_was_shortened_is_read_as_far_as_its_deltas_go(exchange: Exchange) -> None:
        _, outcome = play(exchange.provider, [exchange.body])
        told = [value for _, value in events_in(exchange.body)]
        deltas = [value["delta"] for value in told if value["type"] == "response.output_text.delta"]
        assert outcome.text == "".join(deltas)
        assert outcome.text != Reading.of(terminal_of(exchange)).text

    @pytest.mark.parametrize(
        "exchange", [each for each in STREAMED if each.name in FAILED_STREAMS], ids=name_of
    )
    @pytest.mark.parametrize("dialect", [OPENAI_RESPONSES, OPENAI_CHAT])
    def test_a_stream_that_failed_ends_in_its_error(exchange: Exchange, dialect: str) -> None:
        events, _ = play(TRANSLATING, [exchange.body], dialect=dialect)
        error = events[-1].error
        assert error is not None
        assert error.code == FAILED_STREAMS[exchange.name]
        assert [event.error for event in events[:-1] if event.error] == []

    @pytest.mark.parametrize("exchange", [each for each in STREAMED if len(each.body) < 5_000], ids=name_of)
    @pytest.mark.parametrize("dialect", [OPENAI_RESPONSES, OPENAI_CHAT])
    def test_a_stream_reads_the_same_cut_at_any_byte(exchange: Exchange, dialect: str) -> None:
        def told(reads: list[bytes]) -> tuple[list[tuple[bytes, str | None]], ChatOutcome]:
            events, outcome = play(TRANSLATING, reads, dialect=dialect)
            return [(same(e.data), e.error.detail if e.error else None) for e in events], outcome

        body = exchange.body
        whole = told([body])
        assert told([body[at : at + 1] for at in range(len(body))]) == whole
        for at in range(1, len(body), 7):
            assert told([body[:at], body[at:]]) == whole

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(STREAMED), st.lists(st.integers(1, 4000), max_size=30))
    def test_any_stream_reads_the_same_in_any_pieces(exchange: Exchange, lengths: list[int]) -> None:
        reads, place = [], 0
        for length in lengths:
            reads.append(exchange.body[place : place + length])
            place += length
        cut, cut_outcome = play(exchange.provider, [*reads, exchange.body[place:]])
        whole, outcome = play(exchange.provider, [exchange.body])
        assert [(e.data, e.content) for e in cut] == [(e.data, e.content) for e in whole]
        assert cut_outcome == outcome

    @pytest.mark.parametrize("exchange", SUCCEEDED, ids=name_of)
    @pytest.mark.parametrize("dialect", [OPENAI_RESPONSES, OPENAI_CHAT])
    def test_a_stream_that_is_cut_before_its_end_never_looks_finished(
        exchange: Exchange, dialect: str
    ) -> None:
        raws = [raw for raw, _ in events_in(exchange.body)]
        for reads in (raws[:-1], [*raws[:-1], raws[-1][:-20]], [*raws[:-1], b"data: [DONE]\n\n"]):
            events, _ = play(TRANSLATING, reads, dialect=dialect)
            assert events[-1].error is not None
            assert events[-1].error.code == "provider_protocol"
            assert not any(b"[DONE]" in event.data for event in events)

    @pytest.mark.parametrize("exchange", FAILED, ids=name_of)
    def test_an_error_has_a_code_and_a_clean_reason(exchange: Exchange) -> None:
        error = exchange.provider.classify_error(exchange.status, exchange.headers, exchange.body)
        assert error.code == ERROR_CODES.get(exchange.name, "provider_auth")
        assert CODES[error.code].origin == "provider" or error.code == "model_not_found"
        assert error.may_have_run is False
        assert json.loads(exchange.body)["error"]["message"][:20] in error.detail

    @pytest.mark.parametrize("exchange", ASKED, ids=name_of)
    def test_a_request_is_handed_on_as_it_is(exchange: Exchange) -> None:
        assert built(exchange.provider, exchange.request) == {**exchange.request, "model": "native"}

    @pytest.mark.parametrize(
        "exchange", [each for each in ASKED if only_responses_know(each.request)], ids=name_of
    )
    def test_a_request_for_responses_alone_is_refused_by_name(exchange: Exchange) -> None:
        with pytest.raises(CannotCarry) as refused:
            built(ChatOnly(), exchange.request)
        for error in refused.value.errors:
            assert error.field.partition("[")[0] in exchange.request

    @pytest.mark.parametrize("exchange", [e for e in ASKED if e.name in NOT_FOR_CHAT], ids=name_of)
    def test_a_request_that_chat_completions_have_no_field_for_is_refused_by_name(
        exchange: Exchange,
    ) -> None:
        assert not only_responses_know(exchange.request)
        with pytest.raises(CannotCarry) as refused:
            built(ChatOnly(), exchange.request)
        assert [error.field for error in refused.value.errors] == [NOT_FOR_CHAT[exchange.name]]

    @pytest.mark.parametrize(
        "exchange",
        [e for e in ASKED if not only_responses_know(e.request) and e.name not in NOT_FOR_CHAT],
        ids=name_of,
    )
    def test_any_other_request_becomes_a_chat_completion(exchange: Exchange) -> None:
        body, chat = exchange.request, built(ChatOnly(), exchange.request)
        calls = [call for message in chat["messages"] for call in message.get("tool_calls", ())]
        items = body["input"] if isinstance(body["input"], list) else []
        assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls] == [
            (item["call_id"], item["name"], item["arguments"])
            for item in items
            if item.get("type") == "function_call"
        ]
        results = [m["tool_call_id"] for m in chat["messages"] if m["role"] == "tool"]
        assert results == [i["call_id"] for i in items if i.get("type") == "function_call_output"]
        assert len(chat.get("tools", ())) == len(body.get("tools", ()))
        said = json.dumps(chat["messages"])
        for item in items:
            content = item.get("content") if item.get("role") == "user" else None
            texts = [content] if isinstance(content, str) else [part.get("text") for part in content or ()]
            assert all(json.dumps(text)[1:-1] in said for text in texts if text)


def same(data: bytes) -> bytes:
    """Without the moment, which is that of the reading."""
    return re.sub(rb'"created":\d+', b'"created":0', data)
