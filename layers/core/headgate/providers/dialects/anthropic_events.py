"""What a provider answers as a message, whole or streamed, read into events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from headgate.domain.answers import (
    AnswerEvent,
    Failed,
    Finished,
    FinishReason,
    Measured,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.dialects import openai_answers
from headgate.providers.dialects.anthropic_usage import merged, read_usage
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, AnswerContext, EventReader
from headgate.providers.dialects.carrying import CITATIONS, LeftOut, drop_output, unheard
from headgate.providers.dialects.openai_answers import AnswerError, malformed, read_json
from headgate.providers.dialects.sse import SseEvent, SseOverflow, SseParser

REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
}
"""https://docs.claude.com/en/api/handling-stop-reasons (2026-11-20)."""


# -- whole ------------------------------------------------------------------------------------------------


def read_message(body: bytes, context: AnswerContext) -> dict[str, Any]:
    """The JSON of a whole answer. Raises what an error in its place means, or ProviderFailed."""
    message = openai_answers.read_answer(body)
    if message.get("type") == "error" or message.get("error"):
        raise context.judge(message)
    content = message.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise malformed("has no content")
    return message


def message_events(
    message: Mapping[str, Any], usage: Usage | None, left_out: LeftOut = unheard
) -> list[AnswerEvent]:
    """A whole answer's events, in order."""
    reader = BlockEvents(left_out)
    events: list[AnswerEvent] = [Started(id=_text(message.get("id")), model=_text(message.get("model")))]
    for block in message["content"]:
        events += reader.start(block)
        events += reader.stop()
    events += finish_events(message)
    if usage is not None:
        events.append(Measured(usage=usage))
    return events


def finish_events(told: Mapping[str, Any]) -> list[AnswerEvent]:
    """What a `stop_reason` says, and why it refused, where that is told; nothing while there is none."""
    reason = _text(told.get("stop_reason"))
    if reason is None:
        return []
    events: list[AnswerEvent] = []
    details = told.get("stop_details")
    explained = _text(details.get("explanation")) if isinstance(details, Mapping) else None
    if reason == "refusal" and explained is not None:
        events.append(RefusalDelta(text=explained))
    finish = REASONS.get(reason, FinishReason.STOP)
    hit = _text(told.get("stop_sequence"))
    events.append(Finished(reason=finish, native=reason, stop_sequence=hit))
    return events


# -- blocks -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Block:
    """A content block that may still grow. call: the place of its tool call among the answer's."""

    told: Mapping[str, Any]
    call: int = -1
    argued: bool = False

    @property
    def kind(self) -> str:
        return str(self.told.get("type"))


class BlockEvents:
    """Turns content blocks, whole or in deltas, into events. A block is known by its `index`: Anthropic ends
    one before it begins the next, servers that translate for others may not.

    What the provider's own tools did (`server_tool_use` and its results), and where a text is from
    (`citations`), says nothing to other dialects; `left_out` is told of it.
    """

    def __init__(self, left_out: LeftOut = unheard) -> None:
        self._left_out = left_out
        self._calls = 0
        self._open: dict[int, _Block] = {}

    def start(self, told: Mapping[str, Any], index: int = 0) -> list[AnswerEvent]:
        """A block begins, or is there as a whole. One that begins twice is one."""
        if index in self._open and self._open[index].told == told:
            return []
        block = self._open[index] = _Block(told)
        if block.kind == "text":
            text = _text(told.get("text"))
            if told.get("citations"):
                self._left_out(CITATIONS)
            return [TextDelta(text=text)] if text else []
        if block.kind == "thinking":
            thought = ReasoningDelta(
                text=_text(told.get("thinking")) or "",
                signature=_text(told.get("signature")),
                origin=ANTHROPIC_MESSAGES,
            )
            return [thought] if thought.text or thought.signature else []
        if block.kind == "redacted_thinking":
            data = _text(told.get("data"))
            return [ReasoningDelta(redacted=data, origin=ANTHROPIC_MESSAGES)] if data else []
        if block.kind == "tool_use":
            block.call = self._calls
            self._calls += 1
            call_id, name = _text(told.get("id")) or "", _text(told.get("name")) or ""
            return [ToolCallStarted(index=block.call, id=call_id, name=name)]
        self._left_out(block.kind)
        return []

    def delta(self, delta: Mapping[str, Any], index: int = 0) -> list[AnswerEvent]:
        block, kind = self._open.get(index, _NO_BLOCK), delta.get("type")
        if kind == "text_delta" and block.kind == "text":
            text = _text(delta.get("text"))
            return [TextDelta(text=text)] if text else []
        if kind == "thinking_delta":
            text = _text(delta.get("thinking"))
            return [ReasoningDelta(text=text, origin=ANTHROPIC_MESSAGES)] if text else []
        if kind == "signature_delta":
            signature = _text(delta.get("signature"))
            return [ReasoningDelta(signature=signature, origin=ANTHROPIC_MESSAGES)] if signature else []
        if kind == "input_json_delta" and block.kind == "tool_use":
            piece = _text(delta.get("partial_json"))
            block.argued = block.argued or piece is not None
            return [ToolCallDelta(index=block.call, arguments=piece)] if piece else []
        if kind == "citations_delta":
            self._left_out(CITATIONS)
        return []

    def stop(self, index: int = 0) -> list[AnswerEvent]:
        """A call whose arguments did not come in pieces has them in its start, or none."""
        block = self._open.pop(index, _NO_BLOCK)
        if block.kind != "tool_use" or block.argued:
            return []
        given = block.told.get("input")
        arguments = openai_answers.write_json(given if isinstance(given, dict) else {}).decode()
        return [ToolCallDelta(index=block.call, arguments=arguments)]


_NO_BLOCK = _Block({})


# -- streamed ---------------------------------------------------------------------------------------------


class MessageEvents:
    """Turns the parsed events of one stream into ours. `done` after `message_stop`."""

    def __init__(self, read: Callable[[Mapping[str, Any]], Usage], left_out: LeftOut = unheard) -> None:
        self._read_usage = read
        self._blocks = BlockEvents(left_out)
        self._usage: dict[str, Any] = {}
        self.started = False
        self.done = False

    @property
    def usage(self) -> Usage | None:
        """As told so far."""
        return self._read_usage(self._usage) if self._usage else None

    def read(self, event: Mapping[str, Any]) -> list[AnswerEvent]:
        """Nothing for a ping, or an event that was not there when this was written."""
        kind = event.get("type")
        if kind == "message_start":
            return self._start(_object(event, "message"))
        if kind == "content_block_start":
            return self._blocks.start(_object(event, "content_block"), _index(event))
        if kind == "content_block_delta":
            return self._blocks.delta(_object(event, "delta"), _index(event))
        if kind == "content_block_stop":
            return self._blocks.stop(_index(event))
        if kind == "message_delta":
            self._usage = merged(self._usage, _object(event, "usage"))
            measured = [Measured(usage=self.usage)] if self.usage is not None else []
            return [*finish_events(_object(event, "delta")), *measured]
        self.done = self.done or kind == "message_stop"
        return []

    def _start(self, message: Mapping[str, Any]) -> list[AnswerEvent]:
        self.started = True
        self._usage = merged({}, _object(message, "usage"))
        return [Started(id=_text(message.get("id")), model=_text(message.get("model")), usage=self.usage)]


class MessageStream:
    """Server-sent events of one stream as JSON, and what is wrong with them."""

    def __init__(self, context: AnswerContext) -> None:
        self._judge = context.judge
        self._sse = SseParser()

    def feed(self, data: bytes | None) -> "list[tuple[SseEvent, dict[str, Any]] | HeadgateError]":
        """Events as they came and as JSON; an error is the last. None for data is the end of the stream."""
        found: list[tuple[SseEvent, dict[str, Any]] | HeadgateError] = []
        try:
            events = self._sse.feed(data) if data is not None else self._sse.end()
        except SseOverflow:
            return [malformed("has an event that is too large")]
        for sse in events:
            value, error = self._value(sse)
            if error is not None:
                return [*found, error]
            found.append((sse, value))
        return found

    def _value(self, sse: SseEvent) -> tuple[dict[str, Any], HeadgateError | None]:
        try:
            value = read_json(sse.data)
        except AnswerError:
            said = sse.data.decode("utf-8", "replace")
            return {}, self._judge(said) if sse.name == "error" else malformed("has an event that is no JSON")
        if not isinstance(value, dict):
            return {}, malformed("has an event that is not a JSON object")
        if sse.name == "error" or value.get("type") == "error" or (value.get("error") and sse.bare):
            return {}, self._judge(value)
        if sse.bare:
            return {}, malformed("is whole, though a stream was asked for")
        return value if "type" in value else {"type": sse.name, **value}, None


class MessageReader(EventReader):
    """A streamed answer, for a client of another dialect."""

    def __init__(self, context: AnswerContext) -> None:
        self._stream = MessageStream(context)
        self._events = MessageEvents(
            lambda usage: context.usage_of(usage, read_usage), partial(drop_output, context.call)
        )
        self._failed = False

    @property
    def finished(self) -> bool:
        return self._failed or self._events.done

    def feed(self, data: bytes) -> list[AnswerEvent]:
        return [] if self.finished else self._read(data)

    def end(self) -> list[AnswerEvent]:
        if self.finished:
            return []
        events = self._read(None)
        if not self.finished:
            self._failed = True
            events.append(Failed(error=cut_off()))
        return events

    def _read(self, data: bytes | None) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        for found in self._stream.feed(data):
            if isinstance(found, HeadgateError):
                self._failed = True
                return [*events, Failed(error=found)]
            events += self._events.read(found[1])
            if self._events.done:
                break
        if self._events.done and not self._events.started:
            self._failed = True
            events.append(Failed(error=malformed("is empty")))
        return events


def cut_off() -> HeadgateError:
    """A stream that closed before its `message_stop`."""
    return malformed("was cut off before its end")


def _index(event: Mapping[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
