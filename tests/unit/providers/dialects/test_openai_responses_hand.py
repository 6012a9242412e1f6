"""Responses handed through: what is kept byte for byte, what is added, and what counts as a failure."""

import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.dialects.openai_responses_sealed import FOREIGN_ID, Seal, seal
from tests.unit.providers.dialects.responses import (
    DIALECT,
    added,
    asking,
    call,
    completed,
    context,
    created,
    done,
    event,
    hand,
    message,
    response,
    said,
    text,
    thought,
    usage,
)
from tests.unit.providers.dialects.speaking import no_price


def hand_whole(value: Any, **members: Any) -> Any:
    return DIALECT.hand_answer(json.dumps(value).encode(), context(**members))


def fails(value: Any) -> HeadgateError:
    with pytest.raises(HeadgateError) as raised:
        hand_whole(value)
    return raised.value


# -- the request ------------------------------------------------------------------------------------------


def test_a_request_goes_on_with_the_native_model_and_every_field_it_came_with() -> None:
    body = {"model": "openai/m", "input": "hi", "store": True, "brand_new": {"x": [1]}, "tools": []}
    assert DIALECT.hand_request(asking(body)) == {**body, "model": "native"}


def test_stream_is_as_the_gateway_decided() -> None:
    assert DIALECT.hand_request(asking({"input": ""}, stream=True))["stream"] is True
    assert DIALECT.hand_request(asking({"input": "", "stream": True}))["stream"] is False


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "reasoning", "id": f"{FOREIGN_ID}abc_0", "summary": []},
        {"type": "reasoning", "summary": [], "encrypted_content": seal(Seal(origin="x", signature="s"))},
    ],
)
def test_thoughts_of_other_dialects_are_not_sent_to_a_provider_of_this_one(foreign: Any) -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    body = {"input": [{"role": "user", "content": "hi"}, foreign, own, call()]}
    asked = asking(body)
    sent = DIALECT.hand_request(asked)
    assert sent["input"] == [body["input"][0], own, call()]
    assert asked.dropped == ["input[].encrypted_content"]
    assert len(body["input"]) == 4


# -- whole ------------------------------------------------------------------------------------------------


def test_a_whole_answer_gains_its_cost_and_nothing_else() -> None:
    value = response(message(text("Hi")), extra={"usage": {"input_tokens": 1}})
    handed = json.loads(hand_whole(value).body)
    value["usage"]["cost"] = 0.001
    assert handed == value


def test_the_digits_of_other_numbers_stay() -> None:
    body = b'{"output": [], "big": 12345678901234567890123, "e": 1.10e-7, "usage": {"input_tokens": 1}}'
    assert DIALECT.hand_answer(body, context()).body == body.replace(b"1}}", b'1,"cost":0.001}}')


def test_without_a_price_or_with_a_cost_the_bytes_are_the_providers() -> None:
    for value, price in ((response(), no_price), (response(usage=usage(cost=0.5)), lambda _: Decimal(9))):
        body = json.dumps(value).encode()
        assert DIALECT.hand_answer(body, context(price=price)).body == body


def test_the_outcome_is_in_the_words_of_chat_completions() -> None:
    outcome = hand_whole(response(thought("Hm."), message(text("One "), text("two")), call())).outcome
    assert outcome.text == "One two"
    function = {"name": "f", "arguments": '{"a":1}'}
    assert outcome.tool_calls == ({"id": "call_1", "type": "function", "function": function},)
    assert outcome.finish_reason == "tool_calls"
    assert outcome.usage == Usage(
        input_tokens=5, output_tokens=2, cache_read_tokens=1, reasoning_tokens=0, total_tokens=7
    )


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "stop"),
        ({"status": "incomplete", "incomplete_details": None}, "stop"),
        ({"status": "cancelled"}, None),
    ],
)
def test_how_it_ended_is_told_by_status_and_details(members: dict[str, Any], reason: str | None) -> None:
    assert hand_whole(response(message(text("x")), **members)).outcome.finish_reason == reason


@pytest.mark.parametrize(
    "kind", ["custom_tool_call", "computer_call", "local_shell_call", "apply_patch_call"]
)
def test_every_call_that_waits_for_the_client_is_a_tool_call(kind: str) -> None:
    item = {"type": kind, "id": "x", "call_id": "c"}
    assert hand_whole(response(item)).outcome.finish_reason == "tool_calls"
    answered = {"type": f"{kind}_output", "id": "y", "call_id": "c"}
    assert hand_whole(response(item, answered)).outcome.finish_reason == "stop"


def test_a_response_in_the_background_is_handed_on_without_output() -> None:
    value = response(status="queued", background=True, usage=None)
    handed = hand_whole(value)
    assert json.loads(handed.body) == value
    assert (handed.outcome.finish_reason, handed.outcome.usage, handed.outcome.text) == (None, None, "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "server_error", "message": "Oops"}, "provider_unavailable"),
        ({"code": "rate_limit_exceeded", "message": "Slow"}, "provider_rate_limited"),
        ({"code": "invalid_image", "message": "No image"}, "provider_rejected"),
        ({"code": "image_content_policy_violation", "message": "No"}, "content_filtered"),
        ({"code": "vector_store_timeout", "message": "Slow"}, "provider_timeout"),
        ({"code": "brand_new", "message": "?"}, "provider_unavailable"),
    ],
)
def test_an_error_inside_a_200_is_raised(error: dict[str, Any], code: str) -> None:
    raised = fails(response(status="failed", error=error))
    assert raised.code == code
    assert error["message"] in raised.detail


def test_a_failure_without_an_error_is_one_all_the_same() -> None:
    assert fails(response(status="failed")).code == "provider_unavailable"


@pytest.mark.parametrize("value", [[], "x", {}, {"output": None}, {"id": "resp_1", "output": {}}])
def test_what_has_no_output_is_no_response(value: Any) -> None:
    raised = fails(value)
    assert (raised.code, raised.may_have_run) == ("provider_protocol", True)


# -- streamed ---------------------------------------------------------------------------------------------

WHOLE = message(text("Hello"))
STREAM = [
    created(),
    event("in_progress", response=response(status="in_progress", usage=None)),
    added({**WHOLE, "content": [], "status": "in_progress"}),
    event("content_part.added", output_index=0, content_index=0, part=text("")),
    said("Hel"),
    said("lo"),
    event("output_text.done", output_index=0, content_index=0, text="Hello"),
    event("content_part.done", output_index=0, content_index=0, part=text("Hello")),
    done(WHOLE),
    completed(WHOLE),
]


def test_events_are_handed_on_byte_for_byte_but_for_the_cost_at_the_end() -> None:
    handed = hand(STREAM)
    assert handed.error is None
    assert handed.events[:-1] == STREAM[:-1]
    head, _, last = handed.events[-1].partition(b"data: ")
    assert head == b"event: response.completed\n"
    told = json.loads(last)
    assert told["response"]["usage"].pop("cost") == 0.001
    assert told == json.loads(STREAM[-1].partition(b"data: ")[2])
    assert handed.outcome.text == "Hello"
    assert handed.outcome.finish_reason == "stop"


def test_a_stream_reads_the_same_cut_at_any_byte() -> None:
    body = b"".join([*STREAM[:6], said(" 👋"), *STREAM[6:]])
    whole = hand([body])
    assert hand([body[at : at + 1] for at in range(len(body))]) == whole
    for at in range(len(body)):
        assert hand([body[:at], body[at:]]) == whole


def test_line_ends_and_framing_stay_as_they_came() -> None:
    crlf = [data.replace(b"\n", b"\r\n") for data in STREAM]
    handed = hand([b"".join(crlf)])
    assert handed.events[:-1] == crlf[:-1]
    assert handed.events[-1].startswith(b"event: response.completed\r\ndata: ")
    assert handed.events[-1].endswith(b"}\r\n\r\n")


def test_comments_are_left_out() -> None:
    assert hand([b": OPENROUTER PROCESSING\n\n", *STREAM]).events == hand(STREAM).events


def test_nothing_is_added_after_the_terminal_event_but_a_done_is_handed_on() -> None:
    unnamed = [data.partition(b"\n")[2] for data in STREAM]
    ended = hand([*unnamed, b"data: [DONE]\n\n"])
    assert ended.events[-1] == b"data: [DONE]\n\n"
    assert ended.events[:-2] == unnamed[:-1]
    assert hand(unnamed).events == ended.events[:-1]


def test_a_server_that_names_no_events_is_waited_for_until_its_done() -> None:
    """OpenRouter's streams are unnamed and end in `[DONE]`, OpenAI's are named and do not (recorded)."""
    for names, waits in ((True, False), (False, True)):
        reader = DIALECT.hand_stream(context())
        for data in STREAM:
            assert not reader.finished
            reader.feed(data if names else data.partition(b"\n")[2])
        assert reader.finished is not waits
        reader.feed(b"data: [DONE]\n\n")
        assert reader.finished


@pytest.mark.parametrize(
    "data",
    [
        said("x"),
        event("refusal.delta", delta="No"),
        event("reasoning_text.delta", delta="Hm"),
        event("reasoning_summary_text.delta", delta="Hm"),
        event("function_call_arguments.delta", delta="{"),
        event("custom_tool_call_input.delta", delta="ls"),
        event("code_interpreter_call_code.delta", delta="1"),
        event("audio.delta", delta="AAAA"),
        event("audio.transcript.delta", delta="Hi"),
        event("image_generation_call.partial_image", partial_image_b64="AAAA"),
        event("output_text.annotation.added", annotation={"type": "url_citation"}),
        event("output_text.done", text="x"),
        added({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}),
        added({"type": "web_search_call", "id": "ws_1"}),
        done(thought("Hm")),
        done(thought(encrypted="gAAAA")),
    ],
)
def test_whatever_carries_some_of_the_answer_is_content(data: bytes) -> None:
    assert hand([created(), data, completed()]).contents == [data]


@pytest.mark.parametrize(
    "data",
    [
        event("in_progress", response=response(status="in_progress")),
        event("queued", response=response(status="queued")),
        added(message()),
        added(thought()),
        event("content_part.added", part=text("")),
        event("reasoning_summary_part.added", part={"type": "summary_text", "text": ""}),
        said(""),
        event("brand_new", value=1),
    ],
)
def test_what_only_frames_the_answer_is_no_content(data: bytes) -> None:
    handed = hand([created(), data, completed()])
    assert handed.contents == []
    assert data in handed.events


def test_an_incomplete_response_is_a_proper_end() -> None:
    end = event(
        "incomplete",
        response=response(WHOLE, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    )
    handed = hand([*STREAM[:-1], end])
    assert handed.error is None
    assert handed.outcome.finish_reason == "length"
    assert json.loads(handed.events[-1].partition(b"data: ")[2])["response"]["usage"]["cost"] == 0.001


QUOTA = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "No credits"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'event: error\ndata: {"type":"error","error":' + json.dumps(QUOTA).encode() + b"}\n\n", None),
        (b'data: {"type":"error","code":"insufficient_quota","message":"No credits"}\n\n', None),
        (b'data: {"error":' + json.dumps(QUOTA).encode() + b"}\n\n", None),
        (event("failed", response=response(status="failed", error=QUOTA)), None),
        (event("completed", response=response(status="failed", error=QUOTA)), None),
        (event("failed", response=response(status="failed")), "provider_unavailable"),
        (event("failed", response=None), "provider_protocol"),
        (b'data: {"type":"error","code":"invalid_image","message":"x"}\n\n', "provider_rejected"),
    ],
)
def test_a_failure_in_the_stream_is_an_error_in_place_of_its_event(data: bytes, code: str | None) -> None:
    handed = hand([created(), data, *STREAM])
    assert handed.error is not None
    assert handed.error.code == (code or "provider_insufficient_funds")
    assert handed.events == [created()]


def test_what_a_failed_response_took_is_known() -> None:
    failed = event("failed", response=response(status="failed", error=QUOTA, usage=usage(8, 1)))
    outcome = hand([*STREAM[:5], failed]).outcome
    assert outcome.usage is not None
    assert outcome.usage.total_tokens == 9
    assert outcome.text == "Hel"


def test_after_content_a_failed_request_may_have_run() -> None:
    refused = b'data: {"type":"error","code":"invalid_request_error","message":"x"}\n\n'
    for before, ran in ((STREAM[:4], False), (STREAM[:5], True)):
        error = hand([*before, refused]).error
        assert error is not None
        assert error.may_have_run is ran


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"data: [DONE]\n\n",
        STREAM[-1][:-40],
        b"data: {not json}\n\n",
        b"data: [1]\n\n",
        event("completed", response=None),
        json.dumps(response()).encode() + b"\n\n",
    ],
)
def test_a_stream_without_its_terminal_event_is_a_broken_one(tail: bytes) -> None:
    handed = hand([*STREAM[:-1], tail])
    assert handed.error is not None
    assert (handed.error.code, handed.error.may_have_run) == ("provider_protocol", True)
    assert handed.events == STREAM[:-1]


def test_an_event_that_is_too_large_is_a_broken_stream() -> None:
    handed = hand([*STREAM[:5], b"data: " + b"x" * (17 * 1024 * 1024)])
    assert handed.error is not None
    assert handed.error.code == "provider_protocol"


def test_a_terminal_event_left_without_its_blank_line_is_read() -> None:
    handed = hand([*STREAM[:-1], STREAM[-1].rstrip(b"\n")])
    assert handed.error is None
    assert handed.events[-1] == hand(STREAM).events[-1]


def test_half_an_emoji_at_the_end_does_not_spoil_the_record() -> None:
    outcome = hand([created(), said("Hi \ud83d"), completed()]).outcome
    assert outcome.text == "Hi �"
    joined = hand([created(), said("\ud83d"), said("\ude00"), completed()]).outcome
    assert joined.text == "😀"
