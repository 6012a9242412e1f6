"""Calls whose arguments come in pieces, as Gemini streams them where it is asked to."""

import json
from typing import Any

import pytest

from headgate.domain.answers import AnswerEvent, ToolCallDelta, ToolCallStarted
from tests.unit.providers.dialects.gemini_saying import (
    added_up,
    chunk,
    failure,
    framed,
    stream,
    streamed,
    text,
)


def begun(name: str, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "willContinue": True}, **members}


def piece(*values: dict[str, Any], more: bool = True) -> dict[str, Any]:
    call: dict[str, Any] = {"partialArgs": list(values)}
    return {"functionCall": call | ({"willContinue": True} if more else {})}


def said(path: str, value: str, *, more: bool = True) -> dict[str, Any]:
    return {"jsonPath": path, "stringValue": value} | ({"willContinue": True} if more else {})


END: dict[str, Any] = {"functionCall": {}}


def played(*parts: dict[str, Any]) -> list[AnswerEvent]:
    """One chunk for each part."""
    return streamed(*(chunk(part) for part in parts), chunk(text(""), finish="STOP"))


def arguments(*parts: dict[str, Any]) -> list[Any]:
    return [json.loads(call.arguments) for call in added_up(played(*parts)).tool_calls]


def test_a_text_comes_in_pieces_until_one_says_it_is_the_last() -> None:
    parts = (
        begun("go"),
        piece(said("$.to", "Bos")),
        piece(said("$.to", "ton")),
        piece(said("$.to", "", more=False)),
    )
    assert arguments(*parts, END) == [{"to": "Boston"}]


def test_each_kind_of_value_has_its_place() -> None:
    values = (
        {"jsonPath": "$.a.n", "numberValue": 0.5},
        {"jsonPath": "$.a.yes", "boolValue": True},
        {"jsonPath": "$.a.none", "nullValue": "NULL_VALUE"},
        {"jsonPath": "$.list[1].x", "stringValue": "second"},
        {"jsonPath": "$.list[0].x", "stringValue": "first"},
        {"jsonPath": "$['odd key'][\"other\"]", "numberValue": 3},
        {"jsonPath": "$.grid[0][1]", "numberValue": 2},
    )
    assert arguments(begun("go"), piece(*values), END) == [
        {
            "a": {"n": 0.5, "yes": True, "none": None},
            "list": [{"x": "first"}, {"x": "second"}],
            "odd key": {"other": 3},
            "grid": [[None, 2]],
        }
    ]


def test_a_piece_of_nothing_changes_nothing() -> None:
    empty = {"functionCall": {"willContinue": True}}
    assert arguments(begun("go"), empty, piece(said("$.to", "X", more=False)), empty, END) == [{"to": "X"}]


def test_a_call_that_never_announces_its_end_ends_with_what_follows() -> None:
    parts = (begun("one"), piece(said("$.to", "X", more=False), more=False))
    assert arguments(*parts) == [{"to": "X"}]
    assert arguments(begun("one"), text("Well.")) == [{}]
    assert arguments(begun("one"), begun("two"), END) == [{}, {}]
    cut_open = streamed(chunk(begun("one")), {"candidates": [{"finishReason": "STOP"}]})
    assert [json.loads(call.arguments) for call in added_up(cut_open).tool_calls] == [{}]


def test_a_call_without_arguments_among_others_stays_without() -> None:
    whole = {"functionCall": {"name": "rest"}, "thoughtSignature": "c2ln"}
    events = played(whole, begun("go"), piece(said("$.to", "X", more=False)), END)
    calls = added_up(events).tool_calls
    assert [(call.name, call.arguments, call.signature) for call in calls] == [
        ("rest", "{}", "c2ln"),
        ("go", '{"to":"X"}', None),
    ]


def test_an_end_without_a_beginning_is_nothing() -> None:
    assert arguments(END, piece(said("$.to", "X"))) == []


def test_a_call_is_told_when_it_begins_and_its_arguments_when_they_are_complete() -> None:
    events = played(begun("go"), piece(said("$.to", "X")), piece(said("$.to", "", more=False)), END)
    of_calls = [event for event in events if isinstance(event, ToolCallStarted | ToolCallDelta)]
    assert of_calls == [
        ToolCallStarted(index=0, id="call_r-1_0", name="go"),
        ToolCallDelta(index=0, arguments='{"to":"X"}'),
    ]


def test_pieces_read_the_same_wherever_the_stream_is_cut() -> None:
    body = framed(
        chunk(begun("go", thoughtSignature="c2ln")),
        chunk(piece(said("$.to", "Zür"))),
        chunk(piece(said("$.to", "ich", more=False))),
        chunk(END, finish="STOP"),
    )
    whole = stream([body])
    for at in range(1, len(body)):
        assert stream([body[:at], body[at:]]) == whole


@pytest.mark.parametrize(
    "values",
    [
        [said("to", "X")],
        [said("$", "X")],
        [said("$[0]", "X")],
        [said("$.a[99999]", "X")],
        [said("$.a[x]", "X")],
        [said("$.a", "X", more=False), said("$.a.b", "Y")],
        [said("$.a.b", "X"), said("$.a[0]", "Y")],
    ],
    ids=lambda values: values[-1]["jsonPath"],
)
def test_pieces_that_do_not_fit_are_a_protocol_error(values: list[dict[str, Any]]) -> None:
    error = failure(played(begun("go"), piece(*values), END))
    assert error.code == "provider_protocol"
