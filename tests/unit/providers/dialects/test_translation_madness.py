"""Bodies, answers and streams that nobody would send: refused as what they are, never a crash."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.domain.answers import Failed
from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT
from tests.unit.providers.dialects.conversations import IN_CHAT, IN_MESSAGES, answers, conversations
from tests.unit.providers.dialects.translating import (
    BUDGETED,
    CHAT,
    MESSAGES,
    ROUTED,
    added_up,
    call_of,
    claude_context,
    context,
    pieces,
    streamed,
    written,
)
from tests.unit.strategies import JSON

MANY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SIDES: dict[str, tuple[Any, Any]] = {
    OPENAI_CHAT: (IN_CHAT, ROUTED),
    ANTHROPIC_MESSAGES: (IN_MESSAGES, MESSAGES),
}
each_dialect = pytest.mark.parametrize("name", SIDES)
ODD = JSON | st.sampled_from(
    ["text", "function", "thinking", "data:;base64,", "\ud83d", "9" * 30, -1, 10**20]
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def spoiled(data: st.DataObject, value: Any) -> Any:
    """The value with a few of its parts replaced, taken out, or told twice."""
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 3))):
        spots = places(value)
        if not spots:
            break
        container, key = data.draw(st.sampled_from(spots))
        fate = data.draw(st.sampled_from(["other", "gone", "twice"]))
        if fate == "gone":
            del container[key]
        elif fate == "twice" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = data.draw(ODD)
    return value


def refused[T](told: Callable[[], T]) -> tuple[T | None, HeadgateError | None]:
    """What it came to, or the error; anything else that is raised is a crash."""
    try:
        return told(), None
    except HeadgateError as error:
        return None, error


def names_fields(error: HeadgateError | None) -> bool:
    return isinstance(error, InvalidRequest) and bool(error.errors) and all(e.field for e in error.errors)


@each_dialect
@MANY
@given(data=st.data())
def test_a_mad_request_is_written_for_others_or_refused_by_name(name: str, data: st.DataObject) -> None:
    scope, front = SIDES[name]
    body = spoiled(data, front.write_request(data.draw(conversations(scope)), call_of(name)))
    conversation, error = refused(lambda: front.read_request(body))
    if conversation is None:
        assert names_fields(error)
        return
    for back in (CHAT, ROUTED, MESSAGES):
        call = call_of(name, model=BUDGETED)
        sent, error = refused(lambda: back.write_request(conversation, call))  # noqa: B023 - called at once
        assert json.dumps(sent) if sent is not None else names_fields(error)


@each_dialect
@MANY
@given(data=st.data())
def test_a_mad_answer_is_read_or_a_failure_of_the_providers(name: str, data: st.DataObject) -> None:
    scope, back = SIDES[name]
    within = claude_context() if name == ANTHROPIC_MESSAGES else context()
    told = spoiled(data, json.loads(back.write_answer(added_up(data.draw(answers(scope))), within)))
    body = json.dumps(told).encode()
    for error in (
        refused(lambda: back.hand_answer(body, within))[1],
        refused(lambda: back.read_answer(body, within))[1],
    ):
        assert error is None or error.spec.origin == "provider"
    events, _ = refused(lambda: back.read_answer(body, within))
    for front in (CHAT, MESSAGES) if events is not None else ():
        json.loads(front.write_answer(added_up(events or []), within))


@each_dialect
@MANY
@given(data=st.data())
def test_a_mad_stream_is_read_or_ends_in_a_failure_of_the_providers(name: str, data: st.DataObject) -> None:
    scope, back = SIDES[name]
    within = claude_context() if name == ANTHROPIC_MESSAGES else context()
    stream = written(back.stream_writer(within), data.draw(answers(scope)))
    frames = []
    for frame in stream.split(b"\n\n"):
        head, mark, text = frame.rpartition(b"data: ")
        if mark and text != b"[DONE]" and data.draw(st.integers(0, 3)) == 0:
            frames.append(head + mark + json.dumps(spoiled(data, json.loads(text))).encode())
        else:
            frames.append(frame)
    mad = b"\n\n".join(frames)
    events = streamed(back, pieces(mad, data.draw(st.lists(st.integers(0, len(mad)), max_size=4))), within)
    failures = [event for event in events if isinstance(event, Failed)]
    assert failures in ([], events[-1:])
    sound = [event for event in events if not isinstance(event, Failed)]
    for front in (CHAT, MESSAGES):
        written(front.stream_writer(within), sound)
    added_up(sound)
    reader = back.hand_stream(within)
    handed = [*reader.feed(mad), *reader.end()]
    assert all(event.error is None for event in handed[:-1])
    assert reader.outcome.text is not None


@each_dialect
@MANY
@given(value=ODD, key=st.sampled_from(["messages", "tools", "tool_choice", "system", "thinking", "stop"]))
def test_any_value_in_any_field_is_read_or_refused_by_name(name: str, value: Any, key: str) -> None:
    _, front = SIDES[name]
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi?"}], key: value}
    conversation, error = refused(lambda: front.read_request(body))
    assert conversation is not None or names_fields(error)
