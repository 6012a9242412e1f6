"""Messages handed through: the provider's own bytes, but for the cost."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.answers import Answer
from headgate.domain.conversation import Reasoning, Text, ToolCall
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.base import ChatOutcome, StreamEvent
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI, AnswerContext
from tests.unit.providers.dialects.translating import (
    ANTHROPIC,
    MESSAGES,
    a_tenth_of_a_cent,
    call_of,
    events_of,
    message_body,
    no_price,
    sse,
)

USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 3,
    "output_tokens": 1,
}
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    },
}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
PING = {"type": "ping"}
CLOSE = {"type": "content_block_stop", "index": 0}
STOP = {"type": "message_stop"}


def said(text: str, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def ending(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    counted = {"output_tokens": 7, **usage}
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": counted,
    }


WHOLE_STREAM = (START, TEXT, PING, said("Hel"), said("lo."), CLOSE, ending(), STOP)


def within(price: Any = a_tenth_of_a_cent) -> AnswerContext:
    call = call_of(ANTHROPIC_MESSAGES, stream=True)
    return AnswerContext(call=call, price=price, judge=ANTHROPIC.judge_inside)


def play(*reads: bytes, price: Any = a_tenth_of_a_cent) -> tuple[list[StreamEvent], ChatOutcome]:
    reader = MESSAGES.hand_stream(within(price))
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end(), reader.outcome


def error_of(*reads: bytes) -> HeadgateError:
    events, _ = play(*reads)
    assert [event.error for event in events[:-1]] == [None] * (len(events) - 1)
    error = events[-1].error
    assert error is not None
    return error


def frames(stream: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in stream.split(b"\n\n") if frame]


# -- requests ---------------------------------------------------------------------------------------------


def test_a_request_keeps_all_but_its_model() -> None:
    body = message_body(brand_new={"a": 1}, thinking={"type": "adaptive"}, stream=False)
    handed = MESSAGES.hand_request(call_of(ANTHROPIC_MESSAGES, model="claude-x", body=body))
    assert handed == {**body, "model": "claude-x"}
    streaming = call_of(ANTHROPIC_MESSAGES, model="claude-x", body=body, stream=True)
    assert MESSAGES.hand_request(streaming) == {**body, "model": "claude-x", "stream": True}


def test_its_own_thoughts_go_back_and_those_of_others_are_left_out() -> None:
    """A client that was served by another provider before gives that one's thoughts back too."""
    foreign = MESSAGES.write_answer(
        Answer(
            parts=(
                Reasoning(text="Hm.", signature="g", origin=GEMINI),
                Reasoning(redacted="r", origin=GEMINI),
                Reasoning(text="Unsigned."),
                Text(text="Yes."),
                ToolCall(id="c1", name="look", arguments="{}", signature="g"),
            )
        ),
        within(),
    )
    own = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    redacted = {"type": "redacted_thinking", "data": "EqQC"}
    turn = {"role": "assistant", "content": [own, redacted, *json.loads(foreign)["content"]]}
    only = {"role": "assistant", "content": json.loads(foreign)["content"][:1]}
    body = message_body({"role": "user", "content": "Hi?"}, turn, only)
    before = json.dumps(body)
    handed = MESSAGES.hand_request(call_of(ANTHROPIC_MESSAGES, body=body))["messages"]
    assert [block["type"] for block in handed[1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
    ]
    assert handed[1]["content"][:2] == [own, redacted]
    assert len(handed) == 2
    assert json.dumps(body) == before


def test_a_request_without_foreign_thoughts_is_not_touched() -> None:
    body = message_body(
        {"role": "assistant", "content": [{"type": "thinking", "signature": "x"}]}, messages=None
    )
    assert MESSAGES.hand_request(call_of(body=body))["messages"] is None
    body = message_body({"role": "user", "content": "Hi?"})
    assert MESSAGES.hand_request(call_of(body=body))["messages"] is body["messages"]


# -- whole ------------------------------------------------------------------------------------------------


def message(*content: Mapping[str, Any], reason: str = "end_turn", **members: Any) -> dict[str, Any]:
    return {**START["message"], "content": list(content), "stop_reason": reason, **members}  # type: ignore[dict-item]


def hand(value: Any, price: Any = a_tenth_of_a_cent) -> Any:
    return MESSAGES.hand_answer(json.dumps(value).encode(), within(price))


def test_a_whole_answer_is_equal_but_for_its_cost() -> None:
    told = message({"type": "text", "text": "Hello."}, odd=12345678901234567890, brand_new=1.10)
    answer = hand(told)
    assert json.loads(answer.body) == {**told, "usage": {**USAGE, "cost": 0.001}}
    assert hand(told, no_price).body == json.dumps(told).encode()


def test_a_cost_that_is_there_stays() -> None:
    told = message({"type": "text", "text": "Hello."}, usage={**USAGE, "cost": 0.5})
    answer = hand(told)
    assert json.loads(answer.body) == told
    assert answer.outcome.usage is not None
    assert answer.outcome.usage.cost_usd == Decimal("0.5")


def test_what_was_said_is_kept_for_the_record_in_openais_words() -> None:
    told = message(
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "I'll "},
        {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
        {"type": "brand_new_block"},
        reason="tool_use",
        usage={**USAGE, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
    )
    outcome = hand(told).outcome
    assert outcome.text == "I'll look."
    assert outcome.finish_reason == "tool_calls"
    assert outcome.tool_calls == (
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}},
    )
    assert outcome.usage == Usage(
        input_tokens=15, output_tokens=9, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=4
    )


def test_an_empty_answer_is_one() -> None:
    assert hand(message()).outcome.text == ""


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"{}", b'{"content":"text"}', b'{"content":[7]}'])
def test_what_is_no_message_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(HeadgateError) as caught:
        MESSAGES.hand_answer(body, within())
    assert caught.value.code == "provider_protocol"
    assert caught.value.may_have_run


def test_an_error_in_place_of_a_message_means_what_it_says() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(HeadgateError) as caught:
        hand(error)
    assert caught.value.code == "provider_overloaded"


# -- streamed ---------------------------------------------------------------------------------------------


def test_every_event_is_handed_on_byte_for_byte_pings_and_padding_included() -> None:
    stream = sse(*WHOLE_STREAM, padding="       ")
    events, outcome = play(stream, price=no_price)
    assert [event.data for event in events] == frames(stream)
    assert (outcome.text, outcome.finish_reason) == ("Hello.", "stop")


def test_only_the_usage_at_the_end_gains_its_cost() -> None:
    stream = sse(*WHOLE_STREAM, padding="  ")
    events, _ = play(stream)
    told = frames(stream)
    assert [event.data for event in events[:6]] == told[:6]
    assert events[7].data == told[7]
    assert events[6].data.startswith(b'event: message_delta\ndata: {"type":"message_delta"')
    assert events_of(events[6].data) == [{**ending(), "usage": {"output_tokens": 7, "cost": 0.001}}]


def test_cost_is_of_all_usage_that_was_told_wherever() -> None:
    priced: list[Usage] = []

    def price(usage: Usage) -> Decimal:
        priced.append(usage)
        return Decimal(1)

    _, outcome = play(sse(*WHOLE_STREAM), price=price)
    usage = Usage(input_tokens=15, output_tokens=7, cache_read_tokens=3, cache_write_tokens=2)
    assert priced == [usage]
    assert outcome.usage == usage
    later = ending(input_tokens=20, cache_read_input_tokens=0, cache_creation_input_tokens=None)
    _, outcome = play(sse(START, later, STOP), price=price)
    assert priced[1] == Usage(input_tokens=22, output_tokens=7, cache_read_tokens=0, cache_write_tokens=2)


def test_a_cost_within_the_stream_stays() -> None:
    stream = sse(START, ending(cost=0.5), STOP)
    events, outcome = play(stream)
    assert b"".join(event.data for event in events) == stream
    assert outcome.usage is not None
    assert outcome.usage.cost_usd == Decimal("0.5")


def test_of_several_usages_the_last_is_priced() -> None:
    stream = sse(START, ending(None), PING, ending(output_tokens=9), PING, STOP)
    events, outcome = play(stream)
    told = frames(stream)
    assert [event.data for event in events[:3]] == told[:3]
    assert events_of(events[3].data)[0]["usage"] == {"output_tokens": 9, "cost": 0.001}
    assert [event.data for event in events[4:]] == told[4:]
    assert outcome.usage is not None
    assert outcome.usage.output_tokens == 9


def test_an_event_of_several_lines_gains_its_cost_too() -> None:
    lines = json.dumps(ending(), indent=1).split("\n")
    delta = "event: message_delta\n" + "".join(f"data: {line}\n" for line in lines) + "\n"
    events, _ = play(sse(START) + delta.encode() + sse(STOP))
    assert events_of(events[1].data)[0]["usage"]["cost"] == 0.001


def test_content_begins_with_the_first_word_and_no_sooner() -> None:
    events, _ = play(sse(*WHOLE_STREAM))
    assert [event.content for event in events] == [False, False, False, True, True, False, False, False]


@pytest.mark.parametrize(
    "event",
    [
        {"content_block": {"type": "tool_use", "id": "c", "name": "look", "input": {}}},
        {"content_block": {"type": "redacted_thinking", "data": "x"}},
        {"content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}},
        {"content_block": {"type": "text", "text": "Hi"}},
        {"delta": {"type": "thinking_delta", "thinking": "H"}},
        {"delta": {"type": "signature_delta", "signature": "s"}},
        {"delta": {"type": "input_json_delta", "partial_json": ""}},
        {"delta": {"type": "citations_delta", "citation": {}}},
        {"delta": {"type": "brand_new_delta"}},
    ],
    ids=lambda event: next(iter(event.values()))["type"],
)
def test_whatever_is_of_the_answer_is_content(event: dict[str, Any]) -> None:
    kind = "content_block_start" if "content_block" in event else "content_block_delta"
    events, _ = play(sse(START, {"type": kind, "index": 0, **event}))
    assert [each.content for each in events] == [False, True, False]


def test_events_that_are_new_pass() -> None:
    stream = sse(START, {"type": "brand_new", "a": 1}, ending(), STOP)
    events, _ = play(stream, price=no_price)
    assert [event.data for event in events] == frames(stream)


def test_comments_are_dropped_as_the_gateway_sends_its_own() -> None:
    events, _ = play(b": keep-alive\n\n" + sse(START, ending(), STOP), price=no_price)
    assert b"".join(event.data for event in events) == sse(START, ending(), STOP)


def test_nothing_is_waited_for_after_the_end() -> None:
    reader = MESSAGES.hand_stream(within())
    reader.feed(sse(START, ending()))
    assert not reader.finished
    events = reader.feed(sse(STOP, said("too late")))
    assert reader.finished
    assert [events_of(event.data)[0]["type"] for event in events] == ["message_delta", "message_stop"]
    assert reader.feed(sse(PING)) == []
    assert reader.end() == []


def test_tool_calls_are_kept_for_the_record() -> None:
    opened = {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
    pieces = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": text},
        }
        for text in ("", '{"a"', ":1}")
    ]
    start = {"type": "content_block_start", "index": 0, "content_block": opened}
    _, outcome = play(sse(START, start, *pieces, CLOSE, ending("tool_use"), STOP))
    assert outcome.tool_calls[0]["function"] == {"name": "look", "arguments": '{"a":1}'}
    assert outcome.finish_reason == "tool_calls"


# -- failures ---------------------------------------------------------------------------------------------


def failing(kind: str, message: str = "No.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "provider_overloaded"),
        ("rate_limit_error", "provider_rate_limited"),
        ("api_error", "provider_unavailable"),
        ("timeout_error", "provider_timeout"),
        ("authentication_error", "provider_auth"),
        ("billing_error", "provider_insufficient_funds"),
        ("invalid_request_error", "provider_rejected"),
        ("brand_new_error", "provider_unavailable"),
    ],
)
def test_an_error_within_the_stream_means_what_it_says(kind: str, code: str) -> None:
    error = error_of(sse(START, failing(kind, "No, said it.")))
    assert (error.code, error.provider_request_id) == (code, "req_1")
    assert "No, said it." in error.detail


def test_an_error_after_content_may_have_cost_something() -> None:
    assert error_of(sse(START, TEXT, said("Hi"), failing("overloaded_error"))).may_have_run
    assert not error_of(sse(START, TEXT, failing("overloaded_error"))).may_have_run


def test_an_error_is_one_by_its_type_alone_or_by_its_name_alone() -> None:
    unnamed = b"data: " + json.dumps(failing("overloaded_error")).encode() + b"\n\n"
    assert error_of(sse(START) + unnamed).code == "provider_overloaded"
    assert error_of(b"event: error\ndata: oh no\n\n").detail
    untyped = b'event: error\ndata: {"error":{"type":"overloaded_error","message":"x"}}\n\n'
    assert error_of(untyped).code == "provider_overloaded"


def test_an_error_in_place_of_a_stream_means_what_it_says() -> None:
    assert error_of(json.dumps(failing("overloaded_error")).encode()).code == "provider_overloaded"
    assert error_of(json.dumps(message()).encode()).code == "provider_protocol"


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"<html>",
        b"data: nonsense\n\n",
        b"data: [1]\n\n",
        sse(STOP),
        sse(START),
        sse(*WHOLE_STREAM[:-1]),
        sse(*WHOLE_STREAM)[:-20],
        sse(START, TEXT, said("Hi"))[:-9],
    ],
)
def test_what_is_no_whole_stream_is_a_protocol_error(stream: bytes) -> None:
    assert error_of(stream).code == "provider_protocol"
    assert b"message_stop" not in b"".join(event.data for event in play(stream)[0])


def test_what_was_held_back_is_handed_on_before_a_failure() -> None:
    events, _ = play(sse(START, ending()))
    assert [event.data for event in events[:-1]] == frames(sse(START, ending()))


def test_nothing_follows_a_failure() -> None:
    reader = MESSAGES.hand_stream(within())
    assert reader.feed(sse(START, failing("api_error")))[-1].error is not None
    assert reader.finished
    assert reader.feed(sse(TEXT, STOP)) == []
    assert reader.end() == []


def test_a_stream_reads_the_same_cut_at_any_byte() -> None:
    stream = sse(*WHOLE_STREAM, padding=" ").replace(b"Hel", "Hél\N{GRINNING FACE}".encode())
    whole, outcome = play(stream)
    for cut in range(1, len(stream)):
        events, cut_outcome = play(stream[:cut], stream[cut:])
        assert events == whole
        assert cut_outcome == outcome
    events, cut_outcome = play(*(stream[at : at + 1] for at in range(len(stream))))
    assert (events, cut_outcome) == (whole, outcome)


def test_line_ends_of_any_kind_are_kept() -> None:
    stream = sse(*WHOLE_STREAM).replace(b"\n", b"\r\n")
    events, outcome = play(stream, price=no_price)
    assert b"".join(event.data for event in events) == stream
    assert replace(outcome, usage=None) == ChatOutcome(text="Hello.", finish_reason="stop")
