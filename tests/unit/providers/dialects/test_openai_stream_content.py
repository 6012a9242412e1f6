"""What a stream says is put together for the record, and known from the moment it says anything."""

from typing import Any

import pytest

from tests.unit.providers.dialects.speaking import DONE, chunk, frame, read, said, usage_only

ROLE = frame(chunk({"role": "assistant", "content": ""}))
HI = frame(said("Hi"))
STOP = frame(chunk(finish="stop"))
COUNTED = frame(usage_only())


@pytest.mark.parametrize(
    ("delta", "content"),
    [
        ({"content": "a"}, True),
        ({"content": [{"type": "text", "text": "a"}]}, True),
        ({"reasoning": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"reasoning_details": [{}]}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        ({"function_call": {"name": "f"}}, True),
        ({"refusal": "no"}, True),
        ({"audio": {"id": "a"}}, True),
        ({"annotations": [{}]}, True),
        ({"images": [{}]}, True),
        ({"role": "assistant"}, False),
        ({}, False),
        ({"role": "assistant", "content": "", "refusal": None, "tool_calls": [], "reasoning": ""}, False),
    ],
)
def test_content_is_any_part_of_the_answer(delta: dict[str, Any], content: bool) -> None:
    result = read([frame(chunk(delta)), STOP, DONE])
    assert result.contents == ([frame(chunk(delta))] if content else [])


def test_content_on_a_held_finish_chunk_is_content() -> None:
    finish = frame(chunk({"content": "all"}, "stop"))
    result = read([finish, COUNTED, DONE])
    assert len(result.contents) == 1
    assert result.outcome.text == "all"


def calls(*deltas: Any) -> list[tuple[Any, str, str]]:
    stream = [frame(chunk({"tool_calls": delta})) for delta in deltas]
    outcome = read([*stream, frame(chunk(finish="tool_calls")), DONE]).outcome
    return [
        (call.get("id"), call["function"]["name"], call["function"]["arguments"])
        for call in outcome.tool_calls
    ]


def part(index: int | None = None, **members: Any) -> dict[str, Any]:
    function = {key: members.pop(key) for key in ("name", "arguments") if key in members}
    return {**({} if index is None else {"index": index}), **members, "function": function}


def test_tool_calls_are_put_together_by_index() -> None:
    assert calls(
        [part(0, id="a", name="f", arguments="")],
        [part(0, arguments='{"x":')],
        [part(1, id="b", name="g", arguments=""), part(0, arguments="1}")],
        [part(1, arguments="{}")],
    ) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_tool_calls_that_are_all_numbered_zero_are_told_apart_by_id() -> None:
    assert calls(
        [part(0, id="a", name="f", arguments="{}")], [part(0, id="b", name="g", arguments="{}")]
    ) == [
        ("a", "f", "{}"),
        ("b", "g", "{}"),
    ]


def test_tool_calls_without_numbers_are_put_together_by_id() -> None:
    assert calls(
        [part(id="a", name="f", arguments="{")], [part(arguments="}")], [part(id="b", name="g")]
    ) == [
        ("a", "f", "{}"),
        ("b", "g", ""),
    ]


def test_a_name_and_id_that_are_repeated_are_taken_once() -> None:
    assert calls(*[[part(0, id="a", name="f", arguments=piece)] for piece in "{}"]) == [("a", "f", "{}")]


def test_calls_keep_what_a_vendor_adds_to_them() -> None:
    stream = [
        frame(chunk({"tool_calls": [part(0, id="a", name="f", extra_content={"signature": "x"})]})),
        frame(chunk(finish="tool_calls")),
    ]
    (call,) = read(stream).outcome.tool_calls
    assert (call["extra_content"], call["type"]) == ({"signature": "x"}, "function")


def test_an_old_function_call_is_a_tool_call() -> None:
    stream = [frame(chunk({"function_call": {"name": "f", "arguments": ""}}))]
    stream += [frame(chunk({"function_call": {"arguments": "{}"}})), frame(chunk(finish="function_call"))]
    (call,) = read(stream).outcome.tool_calls
    assert call["function"] == {"name": "f", "arguments": "{}"}


def test_the_first_choice_is_recorded_and_all_must_finish() -> None:
    both = [frame(said("a")), frame(said("B", index=1)), frame(chunk(finish="stop", index=1))]
    last = frame(chunk(finish="length"))
    result = read([*both, last])
    assert (result.outcome.text, result.outcome.finish_reason) == ("a", "length")
    assert result.events == [*both, last, DONE]
    assert read(both).error is not None


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": [{"index": [], "delta": {"content": "x"}}]},
        {"choices": [{"delta": "x"}]},
        {"choices": ["x"]},
        {"choices": "x"},
        {"choices": [{"delta": {"tool_calls": ["x", {"function": 7}, {"index": {}, "id": []}]}}]},
        {"choices": [{"finish_reason": 5}]},
        {"usage": "x"},
        {"usage": [], "choices": None},
    ],
)
def test_odd_chunks_break_nothing(odd: dict[str, Any]) -> None:
    result = read([HI, frame(odd), STOP, DONE])
    assert result.error is None
    assert result.events[-1] == DONE
