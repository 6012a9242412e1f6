"""What a provider of Responses answers, read into events, whatever its server leaves out or adds."""

import json
from typing import Any

import pytest

from headgate.domain.answers import (
    Failed,
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
from headgate.providers.dialects.base import OPENAI_RESPONSES
from tests.unit.providers.dialects.responses import (
    DIALECT,
    added,
    call,
    completed,
    context,
    created,
    done,
    event,
    message,
    read,
    read_whole,
    response,
    said,
    sum_of,
    text,
    thought,
    usage,
)

MEASURED = Measured(
    usage=Usage(input_tokens=5, output_tokens=2, cache_read_tokens=1, reasoning_tokens=0, total_tokens=7)
)
STARTED = Started(id="resp_1", model="m-1")


def argued(delta: str, place: int = 0) -> bytes:
    return event("function_call_arguments.delta", output_index=place, delta=delta)


def summed(delta: str, part: int = 0) -> bytes:
    return event("reasoning_summary_text.delta", output_index=0, summary_index=part, delta=delta)


def test_a_whole_answer_is_its_events_in_order() -> None:
    refusal = {"type": "refusal", "refusal": "No"}
    assert read_whole(response(thought("Hm"), message(text("Hi"), refusal), call())) == [
        STARTED,
        ReasoningDelta(text="Hm", origin=OPENAI_RESPONSES, id="rs_1"),
        TextDelta(text="Hi"),
        RefusalDelta(text="No"),
        ToolCallStarted(index=0, id="call_1", name="f"),
        ToolCallDelta(index=0, arguments='{"a":1}'),
        MEASURED,
        Finished(reason=FinishReason.TOOL_CALLS, native="completed"),
    ]


def test_a_stream_is_its_events_as_they_come() -> None:
    assert read(
        created(),
        added(thought()),
        summed("H"),
        summed("m"),
        done(thought("Hm", encrypted="gAAAA")),
        added(call(""), 1),
        argued('{"a"', 1),
        argued(":1}", 1),
        done(call(), 1),
        completed(thought("Hm", encrypted="gAAAA"), call()),
    ) == [
        STARTED,
        ReasoningDelta(text="H", origin=OPENAI_RESPONSES, id="rs_1"),
        ReasoningDelta(text="m", origin=OPENAI_RESPONSES, id="rs_1"),
        ReasoningDelta(signature="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),
        ToolCallStarted(index=0, id="call_1", name="f"),
        ToolCallDelta(index=0, arguments='{"a"'),
        ToolCallDelta(index=0, arguments=":1}"),
        MEASURED,
        Finished(reason=FinishReason.TOOL_CALLS, native="completed"),
    ]


# -- thoughts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (thought("One", "Two"), Reasoning(text="One\n\nTwo", origin=OPENAI_RESPONSES, id="rs_1")),
        (thought(content=("Hm",)), Reasoning(text="Hm", origin=OPENAI_RESPONSES, id="rs_1")),
        (
            thought("Hm", encrypted="gAAAA"),
            Reasoning(text="Hm", signature="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),
        ),
        (
            thought(encrypted="gAAAA"),
            Reasoning(redacted="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),
        ),
    ],
)
def test_a_thought_is_the_same_whole_and_streamed(item: Any, expected: Reasoning) -> None:
    whole = sum_of(read_whole(response(item)))
    begun = added({**item, "summary": [], "content": []})
    assert whole.parts == (expected,)
    assert sum_of(read(created(), begun, done(item), completed(item))).parts == (expected,)
    assert sum_of(read(created(), begun, completed(item))).parts == (expected,)


def test_parts_of_a_streamed_thought_are_paragraphs() -> None:
    item = thought("One", "Two")
    answer = sum_of(
        read(created(), added(thought()), summed("One"), summed("Two", 1), done(item), completed())
    )
    assert answer.parts == (Reasoning(text="One\n\nTwo", origin=OPENAI_RESPONSES, id="rs_1"),)


def test_what_is_encrypted_is_taken_from_the_finished_item() -> None:
    """What the item has when it begins may be a piece of it:
    github.com/openai/openai-python src/openai/types/responses/response_reasoning_item.py (2026-11-20)."""
    answer = sum_of(
        read(created(), added(thought(encrypted="gA")), done(thought(encrypted="gAAAA")), completed())
    )
    assert answer.parts == (Reasoning(redacted="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),)


def test_a_thought_that_is_empty_is_none() -> None:
    assert sum_of(read_whole(response(thought()))).parts == ()


# -- servers ----------------------------------------------------------------------------------------------


def test_ids_that_change_between_the_events_of_an_item_do_not_matter() -> None:
    """GitHub Copilot's do: recorded by github.com/vercel/ai (2026-08)."""
    answer = sum_of(
        read(
            created(),
            added({**thought(), "id": "a"}),
            event("reasoning_summary_text.delta", item_id="b", output_index=0, summary_index=0, delta="Hm"),
            done({**thought("Hm", encrypted="gAAAA"), "id": "c"}),
            added(message(item_id="d"), 1),
            said("Hi", item_id="e", output_index=1),
            done(message(text("Hi"), item_id="f"), 1),
            completed({**thought("Hm"), "id": "g"}, message(text("Hi"), item_id="h")),
        )
    )
    assert answer.parts == (
        Reasoning(text="Hm", signature="gAAAA", origin=OPENAI_RESPONSES, id="a"),
        Text(text="Hi"),
    )


WHOLE = (message(text("Hello")), call())


@pytest.mark.parametrize(
    "stream",
    [
        [completed(*WHOLE)],
        [created(), completed(*WHOLE)],
        [created(), done(WHOLE[0]), done(WHOLE[1], 1), completed()],
        [created(), added(message()), said("Hel"), done(WHOLE[0]), added(call(""), 1), done(WHOLE[1], 1)],
        [
            created(),
            event("output_text.done", output_index=0, content_index=0, text="Hello"),
            added(call(""), 1),
            event("function_call_arguments.done", output_index=1, arguments='{"a":1}'),
        ],
        [
            created(),
            said("Hel"),
            said("lo"),
            argued('{"a', 1),
            event("function_call_arguments.done", output_index=1, arguments='{"a":1}'),
            done(WHOLE[1], 1),
        ],
        [
            created(),
            event("output_item.added", output_index=0, item=None),
            added(message(), 3),
            said("Hello", output_index=3),
            done(WHOLE[0], 3),
            done(WHOLE[0], 3),
            added(call(""), 7),
            argued('{"a":1}', 7),
            argued(5, 7),  # type: ignore[arg-type]
            event("output_text.delta", output_index=3, content_index="x", delta="?"),
        ],
    ],
    ids=["terminal", "no items", "no deltas", "few deltas", "done", "unannounced", "gaps"],
)
def test_what_a_server_leaves_out_is_read_from_what_it_sends(stream: list[bytes]) -> None:
    ended = stream if stream[-1].startswith(b"event: response.completed") else [*stream, completed(*WHOLE)]
    answer = sum_of(read(*ended))
    assert answer.text == "Hello"
    assert answer.tool_calls == (ToolCall(id="call_1", name="f", arguments='{"a":1}'),)
    assert answer.finish == Finished(reason=FinishReason.TOOL_CALLS, native="completed")
    assert (answer.id, answer.model) == ("resp_1", "m-1")


def test_a_whole_text_that_is_not_what_was_streamed_is_not_said_twice() -> None:
    answer = sum_of(
        read(created(), added(message()), said("Hello"), done(message(text("Other"))), completed())
    )
    assert answer.text == "Hello"


def test_events_of_a_new_kind_say_nothing() -> None:
    assert read(created(), event("brand_new", output_index=0, delta="x"), completed())[1:] == [
        MEASURED,
        Finished(reason=FinishReason.STOP, native="completed"),
    ]


def test_images_are_read_as_they_are_finished() -> None:
    item = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "AAAA"}
    partial = event("image_generation_call.partial_image", output_index=0, partial_image_b64="AA")
    begun = added({**item, "result": None})
    image = Media(kind="image", data="AAAA", mime_type="image/png")
    assert sum_of(read(created(), begun, partial, done(item), completed(item))).parts == (image,)
    webp = {**item, "output_format": "webp"}
    assert MediaProduced(media=Media(kind="image", data="AAAA", mime_type="image/webp")) in read_whole(
        response(webp)
    )


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, Finished(reason=FinishReason.STOP, native="completed")),
        ({"status": None}, Finished(reason=FinishReason.STOP)),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Finished(reason=FinishReason.LENGTH, native="max_output_tokens"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Finished(reason=FinishReason.FILTERED, native="content_filter"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "steered"}},
            Finished(reason=FinishReason.PAUSE, native="steered"),
        ),
        (
            {"status": "incomplete", "incomplete_details": "x"},
            Finished(reason=FinishReason.PAUSE, native="incomplete"),
        ),
    ],
)
def test_how_it_ended_is_kept_in_the_providers_word_too(members: Any, expected: Finished) -> None:
    assert sum_of(read_whole(response(message(text("x")), **members))).finish == expected


def test_a_call_that_was_cut_off_is_not_asked_for() -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    answer = sum_of(read_whole(response(call('{"a'), **cut)))
    assert answer.finish is not None
    assert answer.finish.reason is FinishReason.LENGTH
    assert answer.tool_calls[0].arguments == '{"a'


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            usage(10, 4, input_tokens_details={"cached_tokens": 3, "cache_write_tokens": 2}),
            Usage(
                input_tokens=10, output_tokens=4, cache_read_tokens=3, cache_write_tokens=2,
                reasoning_tokens=0, total_tokens=14,
            ),
        ),
        ({"input_tokens": 10, "output_tokens": 4}, Usage(input_tokens=10, output_tokens=4)),
        (
            usage(10, 4, total_tokens=20),
            Usage(
                input_tokens=10, output_tokens=10, cache_read_tokens=1, reasoning_tokens=0, total_tokens=20
            ),
        ),
        ({}, Usage()),
    ],
)  # fmt: skip
def test_usage_is_read_in_our_convention(told: Any, expected: Usage) -> None:
    assert sum_of(read_whole(response(usage=told))).usage == expected
    assert sum_of(read(created(), completed(usage=told))).usage == expected


def test_without_usage_none_is_measured() -> None:
    assert sum_of(read_whole(response(usage=None))).usage is None


@pytest.mark.parametrize("members", [{"output": [None, 3, {"type": "message", "content": 3}, {}]}, {"id": 3}])
def test_odd_shapes_are_passed_over(members: Any) -> None:
    assert sum_of(read_whole({**response(), **members})).text == ""


# -- failures ---------------------------------------------------------------------------------------------

QUOTA = {"code": "insufficient_quota", "message": "No credits"}


def test_a_failure_is_the_last_event_and_nothing_is_read_after_it() -> None:
    reader = DIALECT.read_stream(context())
    failed = event("failed", response=response(status="failed", error=QUOTA, usage=usage()))
    events = reader.feed(created() + said("x") + failed + said("y"))
    assert reader.finished
    assert events[:-1] == [STARTED, TextDelta(text="x"), MEASURED]
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_insufficient_funds"
    assert reader.feed(completed()) == reader.end() == []


def test_a_stream_that_closes_early_fails() -> None:
    for reads in ([], [created()], [created(), said("x")], [created(), b"data: [DONE]\n\n"]):
        last = read(*reads)[-1]
        assert isinstance(last, Failed)
        assert last.error.code == "provider_protocol"


def test_a_stream_is_finished_with_its_terminal_event() -> None:
    reader = DIALECT.read_stream(context())
    reader.feed(created())
    assert not reader.finished
    reader.feed(completed().partition(b"\n")[2])
    assert reader.finished
    assert reader.end() == []


def test_a_whole_answer_that_failed_raises() -> None:
    with pytest.raises(HeadgateError) as raised:
        read_whole(response(status="failed", error=QUOTA))
    assert raised.value.code == "provider_insufficient_funds"
    with pytest.raises(HeadgateError) as raised:
        DIALECT.read_answer(json.dumps({"choices": []}).encode(), context())
    assert raised.value.code == "provider_protocol"


def test_a_refusal_is_read_streamed_too() -> None:
    refusal = {"type": "refusal", "refusal": "No way"}
    deltas = [event("refusal.delta", output_index=0, content_index=0, delta=each) for each in ("No", " way")]
    answer = sum_of(read(created(), added(message()), *deltas, done(message(refusal)), completed()))
    assert answer.parts == (Refusal(text="No way"),)
