"""A stream that fails says so in its last event, and never looks like one that ended well."""

import json

import pytest

from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall
from tests.unit.providers.dialects.speaking import (
    DONE,
    PLAIN,
    chunk,
    frame,
    no_price,
    read,
    said,
    usage,
    usage_only,
)

ROLE = frame(chunk({"role": "assistant", "content": ""}))
HI = frame(said("Hi"))
STOP = frame(chunk(finish="stop"))
COUNTED = frame(usage_only())


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (frame({"error": {"code": 429, "message": "busy"}}), "provider_rate_limited"),
        (frame({"error": {"code": "rate_limit_exceeded", "message": "busy"}}), "provider_rate_limited"),
        (frame(chunk(error={"code": 502, "message": "busy"})), "provider_unavailable"),
        (b'event: error\ndata: {"type":"overloaded_error","message":"busy"}\n\n', "provider_overloaded"),
        (
            b'event: error\ndata: {"error":{"code":"context_length_exceeded","message":"busy"}}\n\n',
            "context_too_long",
        ),
        (b"event: error\ndata: busy\n\n", "provider_unavailable"),
        (b'{"error":"busy"}\n', "provider_unavailable"),
        (b'{"error":"busy"}\n{"done":true}\n', "provider_unavailable"),
        (b'[{"error":{"code":503,"message":"busy"}}]\n', "provider_overloaded"),
        (
            frame({"choices": [{"finish_reason": "error", "error": {"code": 503, "message": "busy"}}]}),
            "provider_overloaded",
        ),
    ],
)
@pytest.mark.parametrize("before", [[], [ROLE, HI]])
def test_an_error_in_the_stream_ends_it(event: bytes, code: str, before: list[bytes]) -> None:
    result = read([*before, event, DONE])
    assert result.error is not None
    assert result.error.code == code
    assert "busy" in result.error.detail
    assert result.error.provider == "plain"
    assert result.events == before


def test_a_finish_by_error_is_one_without_a_reason() -> None:
    assert read([HI, frame(chunk(finish="error")), DONE]).error is not None


def test_a_failure_after_content_may_have_run() -> None:
    error = frame({"error": {"code": 429, "message": "busy"}})
    early, late = read([ROLE, error]).error, read([ROLE, HI, error]).error
    assert early is not None
    assert late is not None
    assert (early.may_have_run, late.may_have_run) == (False, True)


def test_what_was_held_back_goes_out_before_an_error() -> None:
    error = frame(chunk(error={"code": 400, "message": "Token limit reached"}, usage=usage(43, 10)))
    result = read([HI, STOP, error, DONE])
    assert result.events == [HI, STOP]
    assert result.outcome.usage == Usage(input_tokens=43, output_tokens=10, total_tokens=53)


@pytest.mark.parametrize(
    "event",
    [
        b"data: hello\n\n",
        b"data: 7\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b'data: {"a":\n\n',
        b'data: {"a":NaN}\n\n',
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
    ],
)
def test_an_event_that_is_no_object_is_malformed(event: bytes) -> None:
    result = read([HI, event, STOP, DONE])
    assert result.events == [HI]
    assert result.error is not None
    assert (result.error.code, result.error.may_have_run) == ("provider_protocol", True)


@pytest.mark.parametrize(
    "stream",
    [
        [],
        [b""],
        [b": ping\n\n"],
        [ROLE],
        [ROLE, HI],
        [HI, STOP[:20]],
        [DONE],
        [b"<html><body>Hello</body></html>"],
        [b"garbage\n\n"],
        [COUNTED],
        [COUNTED, DONE],
        [HI, frame(said("x", index=1)), STOP],
    ],
)
@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_that_does_not_end_well_never_ends_in_a_terminator(
    stream: list[bytes], include_usage: bool
) -> None:
    result = read(stream, include_usage=include_usage)
    assert result.error is not None
    assert (result.error.code, result.error.may_have_run) == ("provider_protocol", True)
    assert DONE not in result.events


@pytest.mark.parametrize("space", [b"", b"\n\n  ", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_json_body_in_place_of_a_stream_is_noticed(space: bytes, size: int) -> None:
    told = json.dumps({"error": {"code": 401, "message": "who?"}}, indent=2).encode()
    whole = json.dumps({"object": "chat.completion", "choices": [{"message": {"content": "Hi"}}]}).encode()
    codes = []
    for body in (space + told, space + whole):
        error = read([body[at : at + size] for at in range(0, len(body), size)]).error
        assert error is not None
        codes.append(error.code)
    assert codes == ["provider_auth", "provider_protocol"]


def test_an_event_without_end_is_malformed() -> None:
    piece = b"data: " + b"x" * (1 << 20)
    result = read([HI, *[piece] * 17, STOP, DONE])
    assert result.events == [HI]
    assert result.error is not None
    assert result.error.code == "provider_protocol"


def test_after_an_error_nothing_more_comes() -> None:
    reader = PLAIN.read_chat_stream(ChatCall(body={}, model="m", stream=True), no_price)
    (event,) = reader.feed(b"data: x\n\n")
    assert event.error is not None
    assert (reader.feed(HI), reader.end(), reader.finished) == ([], [], True)
