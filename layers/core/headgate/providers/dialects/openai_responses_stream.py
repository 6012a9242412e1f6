"""Streams of Responses: handed on event by event, or read into the events of a conversation."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from headgate.domain.answers import AnswerBuilder, AnswerEvent, Failed
from headgate.domain.errors import HeadgateError
from headgate.providers.base import ChatOutcome, ChatStreamReader, StreamEvent
from headgate.providers.dialects.base import AnswerContext, EventReader
from headgate.providers.dialects.carrying import LeftOut, drop_output, unheard
from headgate.providers.dialects.openai_answers import (
    AnswerError,
    malformed,
    read_json,
    well_formed,
)
from headgate.providers.dialects.openai_responses_answers import (
    add_cost_to_event,
    carries_content,
    failure_in,
    price_of,
    with_type,
)
from headgate.providers.dialects.openai_responses_reading import TERMINAL, ResponseEvents
from headgate.providers.dialects.speaking import outcome_of
from headgate.providers.dialects.sse import SseEvent, SseOverflow, SseParser

_DONE = b"[DONE]"


class _Step(NamedTuple):
    """One event of the stream: as it came, its JSON, and what it says. Without bytes, only a failure.

    value is empty for `[DONE]`.
    """

    sse: SseEvent | None
    value: Mapping[str, Any]
    events: list[AnswerEvent]


class _Steps:
    """Reads a stream up to its terminal event or its failure, however its bytes are cut."""

    def __init__(self, context: AnswerContext, left_out: LeftOut = unheard) -> None:
        self._context = context
        self._sse = SseParser()
        self._events = ResponseEvents(context, left_out)
        self._unnamed = False
        self.terminal = False
        self.failed = False
        self.closed = False

    @property
    def finished(self) -> bool:
        """Nothing more is waited for. Servers that leave events unnamed end in `[DONE]`: OpenRouter does."""
        return self.failed or self.closed or (self.terminal and not self._unnamed)

    def feed(self, data: bytes) -> list[_Step]:
        if self.failed or self.closed:
            return []
        try:
            return self._read(self._sse.feed(data))
        except SseOverflow:
            return [self._fail(malformed("has an event that is too large"))]

    def end(self) -> list[_Step]:
        if self.failed or self.closed:
            return []
        try:
            steps = self._read(self._sse.end())
        except SseOverflow:
            return [self._fail(malformed("has an event that is too large"))]
        if not (self.terminal or self.failed):
            steps.append(self._fail(malformed("was cut off before its end")))
        return steps

    def _read(self, sse_events: list[SseEvent]) -> list[_Step]:
        steps: list[_Step] = []
        for sse in sse_events:
            if sse.data.strip() == _DONE:
                self.closed = self.terminal
                end = _Step(sse, {}, [])
                steps.append(end if self.terminal else self._fail(malformed("was cut off before its end")))
            elif not self.terminal:
                steps.append(self._step(sse))
            if self.failed or self.closed:
                break
        return steps

    def _step(self, sse: SseEvent) -> _Step:
        try:
            value = read_json(sse.data)
        except AnswerError:
            value = None
        if not isinstance(value, dict):
            return self._fail(malformed("has an event that is not a JSON object"))
        self._unnamed = not sse.name
        kind = value.get("type")
        response = value.get("response")
        if sse.name == "error" or kind == "error" or value.get("error"):
            error = value.get("error")
            told = {**value, "error": with_type(error)} if error else with_type(value)
            return self._fail(self._context.judge(told))
        if sse.bare:
            return self._fail(malformed("is not a stream of events"))
        if kind in TERMINAL or kind == "response.failed":
            if not isinstance(response, Mapping):
                return self._fail(malformed("ends without a response"))
            failure = failure_in(response)
            if kind == "response.failed" and failure is None:
                failure = {"error": {"code": "server_error"}}
            if failure is not None:
                measured = self._events.usage_in(response, sse.data)
                return self._fail(self._context.judge(failure), measured)
            self.terminal = True
        return _Step(sse, value, self._events.read(value, sse.data))

    def _fail(self, error: HeadgateError, before: list[AnswerEvent] | None = None) -> _Step:
        self.failed = True
        return _Step(None, {}, [*(before or ()), Failed(error=error)])


class ResponsesEventReader(EventReader):
    """A provider's stream as the events of a conversation."""

    def __init__(self, context: AnswerContext) -> None:
        self._steps = _Steps(context, partial(drop_output, context.call))

    @property
    def finished(self) -> bool:
        return self._steps.terminal or self._steps.failed

    def feed(self, data: bytes) -> list[AnswerEvent]:
        return [event for step in self._steps.feed(data) for event in step.events]

    def end(self) -> list[AnswerEvent]:
        return [event for step in self._steps.end() for event in step.events]


class ResponsesStreamReader(ChatStreamReader):
    """Hands on every event byte for byte, but for the terminal one, whose usage gains `cost`.

    Comments are dropped: the gateway sends its own pings. After the terminal event only a `[DONE]` is handed
    on, and none is added. A failure that the provider reports is an error, its own event is not handed on.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._steps = _Steps(context)
        self._builder = AnswerBuilder()
        self._content = False

    @property
    def finished(self) -> bool:
        return self._steps.finished

    @property
    def outcome(self) -> ChatOutcome:
        return well_formed_outcome(outcome_of(self._builder.answer))

    def feed(self, data: bytes) -> list[StreamEvent]:
        return [self._hand_on(step) for step in self._steps.feed(data)]

    def end(self) -> list[StreamEvent]:
        return [self._hand_on(step) for step in self._steps.end()]

    def _hand_on(self, step: _Step) -> StreamEvent:
        for event in step.events:
            if isinstance(event, Failed):
                event.error.may_have_run = event.error.may_have_run or self._content
                return StreamEvent(error=event.error)
            self._builder.add(event)
        if step.sse is None:
            return StreamEvent()
        content = carries_content(step.value)
        self._content = self._content or content
        return StreamEvent(data=self._with_cost(step.sse, step.value), content=content)

    def _with_cost(self, sse: SseEvent, value: Mapping[str, Any]) -> bytes:
        if value.get("type") not in TERMINAL:
            return sse.raw
        usage = value["response"].get("usage")
        cost_usd = price_of(usage, sse.data, self._context) if isinstance(usage, Mapping) else None
        if cost_usd is None:
            return sse.raw
        data = add_cost_to_event(sse.data, value["response"], cost_usd)
        if sse.data in sse.raw:
            return sse.raw.replace(sse.data, data, 1)
        name = f"event: {sse.name}\n".encode() if sse.name else b""
        return name + b"data: " + data.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\n"


def well_formed_outcome(outcome: ChatOutcome) -> ChatOutcome:
    """Fit for a record: halves of surrogate pairs, which a stream may cut apart, are joined or replaced."""
    calls = tuple(
        {**call, "function": {name: well_formed(text) for name, text in call["function"].items()}}
        for call in outcome.tool_calls
    )
    return replace(outcome, text=well_formed(outcome.text), tool_calls=calls)
