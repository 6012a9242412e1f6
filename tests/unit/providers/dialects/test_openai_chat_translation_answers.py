"""Answers in chat completions: read into events from every kind of server, and written from them."""

import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.answers import (
    Answer,
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
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI, OPENAI_RESPONSES
from headgate.providers.dialects.speaking import outcome_of
from tests.unit.providers.dialects.speaking import chunk, frame, said, usage, usage_only
from tests.unit.providers.dialects.translating import (
    CHAT,
    a_tenth_of_a_cent,
    added_up,
    call_of,
    context,
    events_of,
    failure,
    joined_chunks,
    streamed,
    written,
)

DONE = b"data: [DONE]\n\n"


def whole(message: dict[str, Any], finish: str = "stop", **members: Any) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "c1", "model": "m", "choices": [choice], **members}
    return added_up(CHAT.read_answer(json.dumps(body).encode(), context()))


def read(*chunks: Any, done: bool = True) -> list[AnswerEvent]:
    stream = b"".join(frame(each) for each in chunks) + (DONE if done else b"")
    return streamed(CHAT, [stream], context())


def answer(*chunks: Any) -> Answer:
    return added_up(read(*chunks, chunk(finish="stop")))


def piece(index: int | None = 0, **members: Any) -> dict[str, Any]:
    """A delta with a piece of one tool call; `name` and `arguments` are its function's."""
    function = {key: members.pop(key) for key in ("name", "arguments") if key in members}
    place = {} if index is None else {"index": index}
    return chunk({"tool_calls": [{**place, **members, "function": function}]})


# -- read: thoughts and texts -----------------------------------------------------------------------------


def test_a_whole_answer_is_read_in_order() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    found = whole({"content": "Yes.", "reasoning_content": "Hm.", "tool_calls": [call]}, "tool_calls")
    assert found.parts == (
        Reasoning(text="Hm."),
        Text(text="Yes."),
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
    )
    assert (found.id, found.model) == ("c1", "m")
    assert found.finish == Finished(reason=FinishReason.TOOL_CALLS, native="tool_calls")


def test_a_stream_says_the_same_as_the_whole() -> None:
    found = answer(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "H"}),
        chunk({"reasoning_content": "m."}),
        said("Ye"),
        said("s."),
    )
    assert found.parts == (Reasoning(text="Hm."), Text(text="Yes."))


def test_a_thought_told_by_two_names_is_read_once() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "format": "anthropic-claude-v1", "index": 0}
    signed = {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1", "index": 0}
    found = answer(
        chunk({"reasoning": "Hm.", "reasoning_details": [detail]}),
        chunk({"reasoning_details": [signed]}),
        said("Yes."),
    )
    assert found.parts[0] == Reasoning(text="Hm.", signature="s", origin=ANTHROPIC_MESSAGES)


def test_openais_encrypted_thought_closes_its_summary_in_a_stream_too() -> None:
    summary = {"type": "reasoning.summary", "summary": "Hm.", "format": "openai-responses-v1", "index": 0}
    sealed = {"type": "reasoning.encrypted", "data": "e", "id": "rs_1", "format": "openai-responses-v1"}
    found = answer(
        chunk({"reasoning_details": [summary]}), chunk({"reasoning_details": [sealed]}), said("Yes.")
    )
    assert found.parts[0] == Reasoning(text="Hm.", signature="e", origin=OPENAI_RESPONSES, id="rs_1")


def test_a_refusal_is_read_as_one() -> None:
    found = added_up(read(chunk({"refusal": "I "}), chunk({"refusal": "won't."}), chunk(finish="stop")))
    assert found.parts == (Refusal(text="I won't."),)
    assert whole({"content": None, "refusal": "No."}).text == ""


def test_half_a_surrogate_pair_joins_its_other_half() -> None:
    stream = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    stream += (
        b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"\\ude00"},"finish_reason":"stop"}]}\n\n'
    )
    events = streamed(CHAT, [stream + DONE], context())
    assert outcome_of(added_up(events)).text == "\N{GRINNING FACE}"
    shown = written(CHAT.stream_writer(context()), events)
    assert joined_chunks(shown)["content"].encode("utf-16", "surrogatepass").decode("utf-16") == (
        "\N{GRINNING FACE}"
    )


def test_images_and_sound_are_read() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    found = whole({"content": "Here.", "images": [image], "audio": {"id": "a", "data": "AAEC"}})
    assert found.parts[1:] == (
        Media(kind="image", data="aGk=", mime_type="image/png"),
        Media(kind="audio", data="AAEC", mime_type="audio/wav"),
    )


def test_only_the_first_choice_is_read() -> None:
    found = answer(said("one", index=0), said("two", index=1), chunk(finish="stop", index=1))
    assert found.text == "one"


# -- read: tool calls -------------------------------------------------------------------------------------


def test_calls_are_put_together_by_index_however_they_alternate() -> None:
    found = answer(
        piece(0, id="c1", name="look", arguments=""),
        piece(1, id="c2", name="see", arguments='{"b"'),
        piece(0, arguments='{"a":1}'),
        piece(1, arguments=":2}"),
    )
    assert found.tool_calls == (
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
        ToolCall(id="c2", name="see", arguments='{"b":2}'),
    )


def test_calls_all_numbered_zero_are_told_apart_by_id() -> None:
    found = answer(
        piece(0, id="c1", name="look", arguments="{}"), piece(0, id="c2", name="look", arguments='{"a":1}')
    )
    assert [(call.id, call.arguments) for call in found.tool_calls] == [("c1", "{}"), ("c2", '{"a":1}')]


def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    found = answer(
        piece(None, name="look", arguments="{}"),
        piece(None, name="see", arguments='{"a"'),
        piece(None, arguments=":1}"),
    )
    assert [(call.name, call.arguments) for call in found.tool_calls] == [("look", "{}"), ("see", '{"a":1}')]


def test_a_call_without_an_id_gets_one_of_its_answer() -> None:
    """So Gemini's compatible API gives them."""
    call = {"type": "function", "id": "", "function": {"name": "look", "arguments": "{}"}}
    one = whole({"content": None, "tool_calls": [call, call]})
    ids = [found.id for found in one.tool_calls]
    assert len(set(ids)) == 2
    assert all(call_id.startswith("call_") for call_id in ids)
    assert [found.id for found in whole({"tool_calls": [call, call]}).tool_calls] == ids
    other = whole({"content": None, "tool_calls": [call]}, id="c2")
    assert other.tool_calls[0].id not in ids


def test_arguments_wait_for_their_name() -> None:
    events = read(
        piece(0, id="c1", arguments='{"a"'),
        piece(0, name="look", arguments=":1}"),
        chunk(finish="tool_calls"),
    )
    assert [type(event) for event in events[1:3]] == [ToolCallStarted, ToolCallDelta]
    assert added_up(events).tool_calls == (ToolCall(id="c1", name="look", arguments='{"a":1}'),)


def test_arguments_as_an_object_are_taken_as_its_text() -> None:
    call = {"id": "c1", "function": {"name": "look", "arguments": {"a": 1}}}
    assert whole({"tool_calls": [call]}).tool_calls[0].arguments == '{"a":1}'


def test_a_call_without_arguments_has_an_object_of_none() -> None:
    found = answer(piece(0, id="c1", name="look", arguments=""))
    assert found.tool_calls == (ToolCall(id="c1", name="look", arguments="{}"),)
    call = {"id": "c1", "function": {"name": "look"}}
    assert whole({"tool_calls": [call]}).tool_calls == found.tool_calls


def test_the_older_function_call_is_one() -> None:
    found = answer(
        chunk({"function_call": {"name": "look", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
    )
    assert [(call.name, call.arguments) for call in found.tool_calls] == [("look", "{}")]


def test_a_call_is_signed_by_the_detail_that_names_it_wherever_that_stands() -> None:
    detail = {"type": "reasoning.encrypted", "data": "g", "id": "c1", "format": "google-gemini-v1"}
    call = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": "{}"}}
    before = answer(chunk({"reasoning_details": [detail]}), chunk({"tool_calls": [call]}))
    together = answer(chunk({"reasoning_details": [detail], "tool_calls": [call]}))
    at_once = whole({"reasoning_details": [detail], "tool_calls": [call]})
    for found in (before, together, at_once):
        assert found.parts == (ToolCall(id="c1", name="look", arguments="{}", signature="g"),)
    after = answer(chunk({"tool_calls": [call]}), chunk({"reasoning_details": [detail]}))
    assert after.parts[1] == Reasoning(redacted="g", origin=GEMINI, id="c1")


# -- read: ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.FILTERED),
        ("eos", FinishReason.STOP),
    ],
)
def test_why_it_ended_is_read(told: str, reason: FinishReason) -> None:
    assert whole({"content": "Yes."}, told).finish == Finished(reason=reason, native=told)
    assert added_up(read(said("Yes."), chunk(finish=told))).finish == Finished(reason=reason, native=told)


def test_a_stop_after_calls_is_one_for_them() -> None:
    """OpenAI says `stop` where a call was forced: https://platform.openai.com/docs/guides/function-calling."""
    call = {"id": "c1", "function": {"name": "look", "arguments": "{}"}}
    finish = whole({"tool_calls": [call]}, "stop").finish
    assert finish == Finished(reason=FinishReason.TOOL_CALLS, native="stop")


def test_a_stop_sequence_is_read_where_the_server_tells_it() -> None:
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "END"}]}
    found = added_up(CHAT.read_answer(json.dumps(body).encode(), context()))
    assert found.finish == Finished(reason=FinishReason.STOP_SEQUENCE, native="stop", stop_sequence="END")


def test_usage_is_read_wherever_it_stands() -> None:
    for chunks in (
        (said("Yes."), chunk(finish="stop"), usage_only(usage=usage(9, 4))),
        (said("Yes."), chunk(finish="stop", usage=usage(9, 4))),
        (said("Yes.", usage=usage(9, 1)), chunk(finish="stop", usage=usage(9, 4))),
    ):
        found = added_up(read(*chunks)).usage
        assert found is not None
        assert (found.input_tokens, found.output_tokens) == (9, 4)


def test_a_stream_that_ends_in_done_without_a_reason_just_stopped() -> None:
    found = added_up(read(said("Yes.")))
    assert (found.text, found.finish) == ("Yes.", Finished(reason=FinishReason.STOP))


def test_a_stream_that_is_cut_off_fails() -> None:
    error = failure(read(said("Yes."), done=False))
    assert error.code == "provider_protocol"


def test_an_error_within_fails_as_it_says() -> None:
    error = failure(read(said("Yes."), {"error": {"code": 429, "message": "Slow down."}}, done=False))
    assert error.code == "provider_rate_limited"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"nonsense", b'{"choices":[]}', b'{"choices":[7]}', b'{"choices":{}}']
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(HeadgateError) as caught:
        CHAT.read_answer(body, context())
    assert caught.value.code == "provider_protocol"


def test_an_error_in_place_of_an_answer_is_raised() -> None:
    for inside in ({"error": {"code": 402, "message": "Pay."}}, {"choices": [{"error": {"code": 402}}]}):
        with pytest.raises(HeadgateError) as caught:
            CHAT.read_answer(json.dumps(inside).encode(), context())
        assert caught.value.code == "provider_insufficient_funds"


# -- written ----------------------------------------------------------------------------------------------

SAYING: list[AnswerEvent] = [
    Started(id="msg_1", model="claude-x"),
    ReasoningDelta(text="H", origin=ANTHROPIC_MESSAGES),
    ReasoningDelta(text="m.", origin=ANTHROPIC_MESSAGES),
    ReasoningDelta(signature="s", origin=ANTHROPIC_MESSAGES),
    TextDelta(text="Yes."),
    ToolCallStarted(index=0, id="c1", name="look"),
    ToolCallDelta(index=0, arguments='{"a"'),
    ToolCallDelta(index=0, arguments=":1}"),
    ToolCallStarted(index=1, id="c2", name="see", signature="g"),
    Finished(reason=FinishReason.TOOL_CALLS),
    Measured(usage=Usage(input_tokens=9, output_tokens=4, cache_read_tokens=2, reasoning_tokens=1)),
]


def chunks_of(events: list[AnswerEvent], **fields: Any) -> list[dict[str, Any]]:
    within = context(call_of(stream=True, **fields), a_tenth_of_a_cent)
    stream = written(CHAT.stream_writer(within), events)
    assert stream.endswith(DONE)
    assert stream.count(DONE) == 1
    return events_of(stream)


def deltas_of(events: list[AnswerEvent]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks_of(events)]


def test_chunks_come_in_the_order_that_clients_expect() -> None:
    text = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    assert deltas_of(SAYING) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "H", "reasoning_details": [{**text, "text": "H"}]},
        {"reasoning_content": "m.", "reasoning_details": [{**text, "text": "m."}]},
        {"reasoning_details": [{**text, "text": "", "signature": "s"}]},
        {"content": "Yes."},
        {
            "tool_calls": [
                {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "c2", "type": "function", "function": {"name": "see", "arguments": ""}}
            ],
            "reasoning_details": [
                {
                    "type": "reasoning.encrypted",
                    "data": "g",
                    "id": "c2",
                    "format": "google-gemini-v1",
                    "index": 1,
                }
            ],
        },
        {},
    ]


def test_every_chunk_is_of_one_answer() -> None:
    chunks = chunks_of(SAYING)
    assert {(c["id"], c["model"], c["object"], c["created"]) for c in chunks} == {
        ("msg_1", "claude-x", "chat.completion.chunk", 1_770_000_000)
    }
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["tool_calls"]


USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
    "cost": 0.001,
}


def test_usage_rides_on_the_finish_unless_it_was_asked_for() -> None:
    *others, last = chunks_of(SAYING)
    assert last["usage"] == USAGE
    assert last["choices"]
    assert not any("usage" in chunk for chunk in others)


def test_usage_that_was_asked_for_comes_last_without_choices() -> None:
    *others, finish, last = chunks_of(SAYING, include_usage=True)
    assert (last["choices"], last["usage"]) == ([], USAGE)
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
    assert not any("usage" in chunk for chunk in [*others, finish])


def test_the_providers_own_cost_is_told_where_there_is_one() -> None:
    counted = Measured(usage=Usage(input_tokens=1, output_tokens=1, cost_usd=Decimal("0.25")))
    assert chunks_of([*SAYING[:-1], counted])[-1]["usage"]["cost"] == 0.25


def test_usage_told_at_the_start_is_kept_until_the_end() -> None:
    counted = Usage(input_tokens=9, output_tokens=0)
    assert chunks_of([Started(usage=counted), TextDelta(text="Yes.")])[-1]["usage"]["prompt_tokens"] == 9


def test_an_answer_without_usage_or_reason_ends_all_the_same() -> None:
    (first, last) = chunks_of([])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in last
    assert last["id"].startswith("chatcmpl-")
    assert last["model"] == "some-model"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.STOP_SEQUENCE, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.TOOL_CALLS, "tool_calls"),
        (FinishReason.FILTERED, "content_filter"),
        (FinishReason.REFUSAL, "content_filter"),
        (FinishReason.PAUSE, "stop"),
    ],
)
def test_why_it_ended_is_told_in_openais_words(reason: FinishReason, told: str) -> None:
    events: list[AnswerEvent] = [TextDelta(text="Yes."), Finished(reason=reason)]
    assert chunks_of(events)[-1]["choices"][0]["finish_reason"] == told
    shown = json.loads(CHAT.write_answer(added_up(events), context()))
    assert shown["choices"][0]["finish_reason"] == told


def test_a_whole_answer_has_all_that_the_chunks_have() -> None:
    shown = json.loads(CHAT.write_answer(added_up(SAYING), context(price=a_tenth_of_a_cent)))
    (choice,) = shown["choices"]
    assert choice["message"]["content"] == "Yes."
    assert choice["message"]["reasoning_content"] == "Hm."
    assert [c["function"]["arguments"] for c in choice["message"]["tool_calls"]] == ['{"a":1}', "{}"]
    assert [d.get("signature") or d["data"] for d in choice["message"]["reasoning_details"]] == ["s", "g"]
    assert shown["usage"] == USAGE
    assert (shown["id"], shown["created"]) == ("msg_1", 1_770_000_000)


def test_what_says_nothing_sends_nothing() -> None:
    events: list[AnswerEvent] = [TextDelta(text=""), RefusalDelta(text=""), ReasoningDelta()]
    assert deltas_of(events) == [{"role": "assistant", "content": ""}, {}]


def test_media_are_shown_as_openrouter_and_openai_show_them() -> None:
    produced: list[AnswerEvent] = [
        MediaProduced(media=Media(kind="image", data="aGk=", mime_type="image/png")),
        MediaProduced(media=Media(kind="audio", data="AAEC", mime_type="audio/wav")),
    ]
    _, image, sound, _ = deltas_of(produced)
    assert image == {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}
    assert sound["audio"]["data"] == "AAEC"
    message = json.loads(CHAT.write_answer(added_up(produced), context()))["choices"][0]["message"]
    assert message["images"] == image["images"]
    assert message["audio"]["data"] == "AAEC"


def test_a_refusal_alone_has_null_for_content() -> None:
    events: list[AnswerEvent] = [RefusalDelta(text="I won't."), Finished(reason=FinishReason.STOP)]
    message = json.loads(CHAT.write_answer(added_up(events), context()))["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "I won't.")
