"""Gemini's streams: cut anywhere, cut off, with errors inside, and as the list they are without `alt=sse`."""

import json
from typing import Any

import pytest

from headgate.domain.answers import Failed, Finished, FinishReason, TextDelta
from headgate.providers.base import ChatCall
from headgate.providers.dialects.sse import MAX_EVENT_BYTES
from headgate.providers.gemini import Gemini
from tests.unit.providers.dialects.gemini_saying import (
    BACK,
    added_up,
    chunk,
    context,
    counted,
    failure,
    framed,
    function,
    no_price,
    stream,
    streamed,
    text,
)

ANSWER = (
    chunk(text("Hm, é", thought=True), **counted(5, 0)),
    chunk(text("Zürich 🏔"), **counted(5, 3)),
    chunk(function("look", {"at": "der See"}, thoughtSignature="c2ln"), **counted(5, 9)),
    chunk(text(""), finish="STOP", **counted(5, 9, thoughtsTokenCount=4)),
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_a_stream_reads_the_same_cut_at_any_byte(end: bytes) -> None:
    body = framed(*ANSWER, end=end)
    whole = stream([body])
    assert isinstance(whole[-1], Finished)
    assert stream([body[at : at + 1] for at in range(len(body))]) == whole
    for at in range(1, len(body)):
        assert stream([body[:at], body[at:]]) == whole


def test_a_stream_says_what_the_whole_answer_says() -> None:
    whole = BACK.read_answer(json.dumps(list(ANSWER)).encode(), context())
    assert added_up(streamed(*ANSWER)) == added_up(whole)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_read_like_the_stream_that_it_should_have_been(indent: int | None) -> None:
    body = json.dumps(list(ANSWER), indent=indent).encode()
    assert stream([body[at : at + 7] for at in range(0, len(body), 7)]) == streamed(*ANSWER)


def test_nothing_is_finished_before_the_bytes_end() -> None:
    reader = BACK.read_stream(context())
    events = reader.feed(framed(*ANSWER))
    assert not any(isinstance(event, Finished) for event in events)
    assert not reader.finished
    assert reader.end() == [Finished(reason=FinishReason.TOOL_CALLS, native="STOP")]
    assert reader.finished
    assert reader.end() == reader.feed(framed(*ANSWER)) == []


def test_a_terminator_that_a_server_in_between_adds_is_no_matter() -> None:
    assert stream([framed(*ANSWER) + b"data: [DONE]\n\n"]) == streamed(*ANSWER)


def test_comments_and_named_events_are_no_matter() -> None:
    body = b": ping\n\n" + framed(*ANSWER).replace(b"data: ", b"event: message\ndata: ", 1)
    assert stream([body]) == streamed(*ANSWER)


# -- cut off ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(len(ANSWER)))
def test_a_stream_that_ends_without_a_reason_was_cut_off(count: int) -> None:
    error = failure(streamed(*ANSWER[:count]))
    assert error.code == "provider_protocol"
    assert error.may_have_run


def test_a_stream_cut_inside_an_event_was_cut_off() -> None:
    body = framed(*ANSWER)
    last = body.rindex(b"data: ")
    for at in (last + 1, last + 10, len(body) - 8):
        events = stream([body[:at]])
        assert failure(events).code == "provider_protocol"
        assert TextDelta(text="Zürich 🏔") in events


def test_an_event_that_is_not_json_ends_it() -> None:
    body = framed(ANSWER[0]) + b"data: {oops}\n\n" + framed(*ANSWER[1:])
    events = stream([body])
    assert failure(events).code == "provider_protocol"
    assert not any(isinstance(event, TextDelta) for event in events)


def test_an_event_larger_than_any_is_a_protocol_error() -> None:
    reader = BACK.read_stream(context())
    events = reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1))
    assert failure(events).code == "provider_protocol"
    assert reader.finished


def test_what_came_whole_before_such_an_event_is_read() -> None:
    reader = BACK.read_stream(context())
    events = reader.feed(framed(*ANSWER[:2]) + b"data: " + b"x" * (MAX_EVENT_BYTES + 1))
    assert TextDelta(text="Zürich 🏔") in events
    assert failure(events + reader.end()).code == "provider_protocol"


# -- errors inside ----------------------------------------------------------------------------------------

OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (OVERLOADED, "provider_overloaded"),
        ([OVERLOADED], "provider_overloaded"),
        ({"error": {"message": "Slow.", "status": "DEADLINE_EXCEEDED"}}, "provider_timeout"),
        ({"error": {"message": "Bug.", "status": "INTERNAL"}}, "provider_unavailable"),
        ({"error": {"message": "Enough.", "status": "RESOURCE_EXHAUSTED"}}, "provider_rate_limited"),
        ({"error": {"message": "?"}}, "provider_unavailable"),
        ({"error": "?"}, "provider_unavailable"),
    ],
)
def test_an_error_inside_is_the_last_event(inside: Any, code: str) -> None:
    events = streamed(*ANSWER[:2], inside, *ANSWER[2:])
    assert failure(events).code == code
    assert TextDelta(text="Zürich 🏔") in events


def test_an_error_without_a_frame_is_read_too() -> None:
    events = stream([framed(*ANSWER[:2]) + json.dumps(OVERLOADED, indent=2).encode()])
    assert failure(events).code == "provider_overloaded"


def test_an_error_after_the_reason_is_still_one() -> None:
    assert failure(streamed(*ANSWER, OVERLOADED)).code == "provider_overloaded"


def test_a_blocked_prompt_ends_the_stream_with_its_tokens_counted() -> None:
    events = streamed({"promptFeedback": {"blockReason": "SAFETY"}, **counted(5, 0)})
    assert failure(events).code == "content_filtered"
    assert len(events) == 3


# -- by way of the provider -------------------------------------------------------------------------------


def test_an_openai_client_never_sees_a_broken_stream_end_well() -> None:
    reader = Gemini().read_chat_stream(ChatCall(body={}, model="m", stream=True), no_price)
    events = reader.feed(framed(*ANSWER[:2])) + reader.end()
    assert events[-1].error is not None
    assert events[-1].error.code == "provider_protocol"
    assert b"[DONE]" not in b"".join(event.data for event in events)
    assert reader.outcome.text == "Zürich 🏔"


def test_failed_is_never_followed_by_anything() -> None:
    reader = BACK.read_stream(context())
    events = reader.feed(framed(ANSWER[0], OVERLOADED))
    assert isinstance(events[-1], Failed)
    assert reader.feed(framed(*ANSWER[1:])) == []
    assert reader.end() == []
