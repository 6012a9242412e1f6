"""Messages read into events, and events written as messages for clients."""

import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.answers import (
    AnswerEvent,
    Finished,
    FinishReason,
    Measured,
    MediaProduced,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media, Reasoning, Refusal, Text, ToolCall
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI
from headgate.providers.dialects.speaking import TranslatedStream
from tests.unit.providers.dialects.translating import (
    CHAT,
    MESSAGES,
    a_tenth_of_a_cent,
    added_up,
    call_of,
    claude_context,
    context,
    events_of,
    failure,
    joined_message,
    sse,
    streamed,
    written,
)

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-x",
        "content": [],
        "usage": {"input_tokens": 9, "output_tokens": 1},
    },
}
STOP = {"type": "message_stop"}


def block(content: dict[str, Any], *deltas: dict[str, Any], index: int = 0) -> list[dict[str, Any]]:
    """A block's events."""
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ending(reason: str = "end_turn", **delta: Any) -> dict[str, Any]:
    told = {"stop_reason": reason, "stop_sequence": None, **delta}
    return {"type": "message_delta", "delta": told, "usage": {"output_tokens": 4}}


def whole(*content: dict[str, Any], reason: str = "end_turn", **members: Any) -> list[AnswerEvent]:
    body = {"id": "msg_1", "model": "claude-x", "content": list(content), "stop_reason": reason, **members}
    return MESSAGES.read_answer(json.dumps(body).encode(), claude_context())


def read(*events: dict[str, Any]) -> list[AnswerEvent]:
    return streamed(MESSAGES, [sse(*events)], claude_context())


def answered(*events: dict[str, Any]) -> list[AnswerEvent]:
    return read(START, *events, ending(), STOP)


# -- read -------------------------------------------------------------------------------------------------


def test_whole_and_streamed_blocks_are_the_same_parts() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    redacted = {"type": "redacted_thinking", "data": "EqQC"}
    call = {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}}
    at_once = added_up(whole(thought, redacted, {"type": "text", "text": "Yes."}, call))
    bit_by_bit = added_up(
        answered(
            *block(
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "H"},
                {"type": "thinking_delta", "thinking": "m."},
                {"type": "signature_delta", "signature": "EqQB"},
            ),
            *block(redacted, index=1),
            *block(
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "Ye"},
                {"type": "text_delta", "text": "s."},
                index=2,
            ),
            *block(
                {**call, "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"a"'},
                {"type": "input_json_delta", "partial_json": ":1}"},
                index=3,
            ),
        )
    )
    assert at_once.parts == bit_by_bit.parts
    assert at_once.parts == (
        Reasoning(text="Hm.", signature="EqQB", origin=ANTHROPIC_MESSAGES),
        Reasoning(redacted="EqQC", origin=ANTHROPIC_MESSAGES),
        Text(text="Yes."),
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
    )
    assert (bit_by_bit.id, bit_by_bit.model) == ("msg_1", "claude-x")


def test_a_call_without_arguments_has_an_object_of_none() -> None:
    call = {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
    empty = {"type": "input_json_delta", "partial_json": ""}
    for events in (whole(call), answered(*block(call)), answered(*block(call, empty))):
        assert added_up(events).tool_calls == (ToolCall(id="c1", name="look", arguments="{}"),)


def test_a_call_whose_arguments_come_whole_in_its_start_has_them() -> None:
    """So some compatible servers stream them."""
    call = {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}}
    assert added_up(answered(*block(call))).tool_calls[0].arguments == '{"a":1}'


def test_what_the_provider_did_itself_is_not_told_to_others() -> None:
    searched = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    query = {"type": "input_json_delta", "partial_json": '{"query":"x"}'}
    said = {"type": "text", "text": "Found.", "citations": []}
    cited = {"type": "citations_delta", "citation": {"type": "char_location"}}
    for events in (
        whole(searched, found, said),
        answered(*block(searched, query), *block(found, index=1), *block(said, cited, index=2)),
    ):
        assert added_up(events).parts == (Text(text="Found."),)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.PAUSE),
        ("refusal", FinishReason.REFUSAL),
        ("brand_new", FinishReason.STOP),
    ],
)
def test_why_it_ended_is_read(told: str, reason: FinishReason) -> None:
    for events in (whole(reason=told), read(START, ending(told), STOP)):
        assert added_up(events).finish == Finished(reason=reason, native=told)


def test_the_stop_sequence_that_was_hit_is_read() -> None:
    finish = Finished(reason=FinishReason.STOP_SEQUENCE, native="stop_sequence", stop_sequence="END")
    assert added_up(whole(reason="stop_sequence", stop_sequence="END")).finish == finish
    assert added_up(read(START, ending("stop_sequence", stop_sequence="END"), STOP)).finish == finish


def test_why_it_refused_is_read() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "That is dangerous."}
    for events in (
        whole(reason="refusal", stop_details=details),
        read(START, ending("refusal", stop_details=details), STOP),
    ):
        assert added_up(events).parts == (Refusal(text="That is dangerous."),)
    assert added_up(whole(reason="refusal", stop_details=None)).parts == ()


def test_usage_is_all_input_and_what_came_of_it() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
        "output_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 1},
    }
    expected = Usage(
        input_tokens=15, output_tokens=4, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=1
    )
    assert added_up(whole(usage=usage)).usage == expected
    start = {"type": "message_start", "message": {**START["message"], "usage": {**usage, "output_tokens": 1}}}  # type: ignore[dict-item]
    assert added_up(read(start, ending(), STOP)).usage == expected


def test_usage_so_far_is_known_when_a_stream_breaks() -> None:
    events = read(START)
    assert added_up(events).usage == Usage(input_tokens=9, output_tokens=1)


@pytest.mark.parametrize("usage", [None, 7, {}, {"input_tokens": -1, "output_tokens": "9"}])
def test_usage_that_says_nothing_is_unknown(usage: Any) -> None:
    found = added_up(whole(usage=usage)).usage
    assert found is None or found == Usage()


def test_a_stream_without_its_end_fails() -> None:
    for events in (read(), read(START), read(START, ending()), read(STOP)):
        assert failure(events).code == "provider_protocol"


def test_an_error_within_fails_as_it_says_and_nothing_follows() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = read(START, *block({"type": "text", "text": "Hi"}), error, STOP)
    assert failure(events).code == "provider_overloaded"
    reader = TranslatedStream(MESSAGES.read_stream(claude_context()), CHAT.stream_writer(claude_context()))
    sent = [*reader.feed(sse(START, *block({"type": "text", "text": "Hi"}), error)), *reader.end()]
    assert sent[-1].error is not None
    assert sent[-1].error.may_have_run
    assert reader.finished


def test_the_reader_knows_when_it_is_done() -> None:
    reader = MESSAGES.read_stream(claude_context())
    reader.feed(sse(START, ending()))
    assert not reader.finished
    reader.feed(sse(STOP, ending("refusal")))
    assert reader.finished
    assert reader.feed(sse(START)) == []
    assert reader.end() == []


def test_an_error_in_place_of_an_answer_is_raised() -> None:
    with pytest.raises(HeadgateError) as caught:
        MESSAGES.read_answer(b'{"type":"error","error":{"type":"billing_error"}}', claude_context())
    assert caught.value.code == "provider_insufficient_funds"


# -- written ----------------------------------------------------------------------------------------------


def message_of(events: list[AnswerEvent], price: Any = a_tenth_of_a_cent) -> dict[str, Any]:
    """What a client puts together from the stream, which is the same as the whole answer."""
    within = context(call_of(ANTHROPIC_MESSAGES, stream=True), price)
    joined = joined_message(written(MESSAGES.stream_writer(within), events))
    shown: dict[str, Any] = json.loads(MESSAGES.write_answer(added_up(events), within))
    if events and isinstance(events[0], Started) and events[0].id:
        assert joined == shown
    return shown


def kinds_of(events: list[AnswerEvent]) -> list[str]:
    found = []
    for event in events_of(written(MESSAGES.stream_writer(context()), events)):
        inner = event.get("content_block") or event.get("delta") or {}
        place = event.get("index", "")
        found.append(" ".join(filter(None, [event["type"], str(place), inner.get("type", "")])))
    return found


SAYING: list[AnswerEvent] = [
    Started(id="c-1", model="gpt-x"),
    ReasoningDelta(text="Hm.", origin=ANTHROPIC_MESSAGES),
    ReasoningDelta(signature="EqQB", origin=ANTHROPIC_MESSAGES),
    TextDelta(text="Ye"),
    TextDelta(text="s."),
    ToolCallStarted(index=0, id="c1", name="look"),
    ToolCallDelta(index=0, arguments='{"a"'),
    ToolCallDelta(index=0, arguments=":1}"),
    ToolCallStarted(index=1, id="c2", name="see"),
    ToolCallDelta(index=1, arguments="{}"),
    Finished(reason=FinishReason.TOOL_CALLS),
    Measured(usage=Usage(input_tokens=15, output_tokens=4, cache_read_tokens=3, cache_write_tokens=2)),
]


def test_events_come_in_the_order_that_clients_expect() -> None:
    assert kinds_of(SAYING) == [
        "message_start",
        "content_block_start 0 thinking",
        "content_block_delta 0 thinking_delta",
        "content_block_delta 0 signature_delta",
        "content_block_stop 0",
        "content_block_start 1 text",
        "content_block_delta 1 text_delta",
        "content_block_delta 1 text_delta",
        "content_block_stop 1",
        "content_block_start 2 tool_use",
        "content_block_delta 2 input_json_delta",
        "content_block_delta 2 input_json_delta",
        "content_block_stop 2",
        "content_block_start 3 tool_use",
        "content_block_delta 3 input_json_delta",
        "content_block_stop 3",
        "message_delta",
        "message_stop",
    ]


def test_every_event_is_named_as_its_type() -> None:
    stream = written(MESSAGES.stream_writer(context()), SAYING)
    for frame in stream.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        assert name == b"event: " + json.loads(data.removeprefix(b"data: "))["type"].encode()


def test_a_message_has_all_that_was_said() -> None:
    assert message_of(SAYING) == {
        "id": "c-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
            {"type": "text", "text": "Yes."},
            {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
            {"type": "tool_use", "id": "c2", "name": "see", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "output_tokens": 4,
            "cost": 0.001,
        },
    }


def test_the_start_tells_what_is_known_of_usage_and_the_end_all_of_it() -> None:
    counted = Usage(input_tokens=9, output_tokens=0)
    start, end, _ = events_of(
        written(
            MESSAGES.stream_writer(context(price=a_tenth_of_a_cent)),
            [
                Started(usage=counted),
                Measured(usage=Usage(input_tokens=9, output_tokens=4, reasoning_tokens=2)),
            ],
        )
    )
    assert start["message"]["usage"]["input_tokens"] == 9
    assert "cost" not in start["message"]["usage"]
    assert end["usage"] == {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 2},
        "cost": 0.001,
    }


def test_the_providers_own_cost_is_told_where_there_is_one() -> None:
    events: list[AnswerEvent] = [Started(id="c"), Measured(usage=Usage(cost_usd=Decimal("0.25")))]
    assert message_of(events)["usage"]["cost"] == 0.25


def test_unknown_usage_is_zero_and_has_no_cost() -> None:
    assert message_of([Started(id="c"), TextDelta(text="Yes.")])["usage"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.STOP, "end_turn"),
        (FinishReason.LENGTH, "max_tokens"),
        (FinishReason.TOOL_CALLS, "tool_use"),
        (FinishReason.FILTERED, "refusal"),
        (FinishReason.REFUSAL, "refusal"),
        (FinishReason.PAUSE, "pause_turn"),
        (FinishReason.STOP_SEQUENCE, "stop_sequence"),
    ],
)
def test_why_it_ended_is_told_in_anthropics_words(reason: FinishReason, told: str) -> None:
    hit = "END" if reason is FinishReason.STOP_SEQUENCE else None
    message = message_of([Started(id="c"), Finished(reason=reason, stop_sequence=hit)])
    assert (message["stop_reason"], message["stop_sequence"]) == (told, hit)


def test_an_answer_without_a_start_or_an_end_has_both() -> None:
    assert kinds_of([]) == ["message_start", "message_delta", "message_stop"]
    assert kinds_of([TextDelta(text="Yes.")])[0] == "message_start"
    start, end, _ = events_of(written(MESSAGES.stream_writer(context()), []))
    assert start["message"]["id"].startswith("msg_")
    assert start["message"]["model"] == "some-model"
    assert end["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_a_refusal_is_said_and_is_why_it_ended() -> None:
    """OpenAI ends one with `stop`."""
    message = message_of([Started(id="c"), RefusalDelta(text="I won't."), Finished(reason=FinishReason.STOP)])
    assert message["content"] == [{"type": "text", "text": "I won't."}]
    assert message["stop_reason"] == "refusal"


def test_what_says_nothing_opens_no_block() -> None:
    events: list[AnswerEvent] = [
        TextDelta(text=""),
        RefusalDelta(text=""),
        ToolCallDelta(index=0, arguments=""),
    ]
    assert kinds_of(events) == ["message_start", "message_delta", "message_stop"]


def test_a_thought_of_another_maker_has_a_signature_of_its_own() -> None:
    """An empty one would be refused by clients, a foreign one by Anthropic; ours says whose it is."""
    for origin in (GEMINI, None):
        (block,) = message_of([Started(id="c"), ReasoningDelta(text="Hm.", origin=origin)])["content"]
        assert block["thinking"] == "Hm."
        assert block["signature"].startswith("headgate.")


def test_thoughts_that_follow_each_other_are_blocks_of_their_own() -> None:
    events: list[AnswerEvent] = [
        Started(id="c"),
        ReasoningDelta(text="a", origin=GEMINI, id="t1"),
        ReasoningDelta(text="b", origin=GEMINI, id="t1"),
        ReasoningDelta(text="c", origin=GEMINI, id="t2"),
        ReasoningDelta(redacted="r", origin=GEMINI),
        TextDelta(text="Yes."),
        ReasoningDelta(text="d", origin=GEMINI),
    ]
    said = [(b["type"], b.get("thinking")) for b in message_of(events)["content"]]
    assert said == [
        ("thinking", "ab"),
        ("thinking", "c"),
        ("redacted_thinking", None),
        ("text", None),
        ("thinking", "d"),
    ]


def test_arguments_that_come_late_go_to_their_own_call() -> None:
    """OpenAI's dialect lets pieces of several calls alternate."""
    events: list[AnswerEvent] = [
        Started(id="c"),
        ToolCallStarted(index=0, id="c1", name="look"),
        ToolCallStarted(index=1, id="c2", name="see"),
        ToolCallDelta(index=1, arguments='{"b":2}'),
        ToolCallDelta(index=0, arguments='{"a":1}'),
    ]
    assert [block["input"] for block in message_of(events)["content"]] == [{"a": 1}, {"b": 2}]


def test_images_and_sound_are_shown_as_links() -> None:
    events: list[AnswerEvent] = [
        Started(id="c"),
        MediaProduced(media=Media(kind="image", data="aGk=", mime_type="image/png")),
    ]
    assert message_of(events)["content"] == [{"type": "text", "text": "![image](data:image/png;base64,aGk=)"}]
    sound = Media(kind="audio", url="https://x.example/a.mp3")
    (block,) = message_of([Started(id="c"), MediaProduced(media=sound)])["content"]
    assert block["text"] == "[audio](https://x.example/a.mp3)"
