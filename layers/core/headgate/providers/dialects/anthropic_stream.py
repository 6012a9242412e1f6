"""A message's stream handed through: each event as it came, but for the usage at the end."""

from typing import Any

from headgate.domain.answers import AnswerBuilder
from headgate.domain.errors import HeadgateError
from headgate.providers.base import ChatOutcome, ChatStreamReader, StreamEvent
from headgate.providers.dialects.anthropic_events import MessageEvents, MessageStream, cut_off
from headgate.providers.dialects.anthropic_usage import read_usage
from headgate.providers.dialects.base import AnswerContext
from headgate.providers.dialects.openai_answers import add_cost, malformed
from headgate.providers.dialects.speaking import outcome_of
from headgate.providers.dialects.sse import SseEvent


class AnthropicStreamReader(ChatStreamReader):
    """Hands on every event byte for byte, pings too; comments are dropped, as the gateway sends its own.

    The last `message_delta` gains `usage.cost`. To know the last it is kept back until `message_stop`, which
    follows at once. A stream without `message_stop` was cut off.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._stream = MessageStream(context)
        self._events = MessageEvents(lambda usage: context.usage_of(usage, read_usage))
        self._builder = AnswerBuilder()
        self._held: list[tuple[SseEvent, dict[str, Any]]] = []
        self._content = False
        self._failed = False

    @property
    def finished(self) -> bool:
        return self._failed or self._events.done

    @property
    def outcome(self) -> ChatOutcome:
        return outcome_of(self._builder.answer)

    def feed(self, data: bytes) -> list[StreamEvent]:
        return [] if self.finished else self._read(data)

    def end(self) -> list[StreamEvent]:
        if self.finished:
            return []
        events = self._read(None)
        return events if self.finished else events + self._fail(cut_off())

    def _read(self, data: bytes | None) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for found in self._stream.feed(data):
            if isinstance(found, HeadgateError):
                return events + self._fail(found)
            events += self._event(*found)
            if self.finished:
                break
        return events

    def _event(self, sse: SseEvent, value: dict[str, Any]) -> list[StreamEvent]:
        for event in self._events.read(value):
            self._builder.add(event)
        if self._events.done and not self._events.started:
            return self._fail(malformed("is empty"))
        kind = value["type"]
        if kind == "message_delta":
            released = self._release(priced=False)
            self._held.append((sse, value))
            return released
        if kind == "ping" and self._held:
            self._held.append((sse, value))
            return []
        content = kind in ("content_block_start", "content_block_delta") and _says(value)
        self._content = self._content or content
        released = self._release(priced=kind == "message_stop")
        return [*released, StreamEvent(data=sse.raw, content=content)]

    def _release(self, *, priced: bool) -> list[StreamEvent]:
        held, self._held = self._held, []
        return [StreamEvent(data=self._with_cost(*one) if priced else one[0].raw) for one in held]

    def _with_cost(self, sse: SseEvent, value: dict[str, Any]) -> bytes:
        """The event with `usage.cost`, unless the provider told one, or none is known."""
        told, usage = value.get("usage"), self._events.usage
        if not isinstance(told, dict) or usage is None or told.get("cost") is not None:
            return sse.raw
        cost_usd = self._context.price(usage)
        if cost_usd is None:
            return sse.raw
        changed = add_cost(sse.data, told, cost_usd)
        if sse.data in sse.raw:
            return sse.raw.replace(sse.data, changed, 1)
        return b"event: message_delta\ndata: " + changed.replace(b"\n", b" ") + b"\n\n"

    def _fail(self, error: HeadgateError) -> list[StreamEvent]:
        self._failed = True
        error.may_have_run = error.may_have_run or self._content
        return [*self._release(priced=False), StreamEvent(error=error)]


def _says(value: dict[str, Any]) -> bool:
    """Whether a block's start or delta carries any of the answer: of texts, all but empty ones."""
    block = value.get("content_block") or value.get("delta")
    if not isinstance(block, dict):
        return False
    if block.get("type") in ("text", "thinking", "text_delta", "thinking_delta", "signature_delta"):
        return any(block.get(name) for name in ("text", "thinking", "signature"))
    return True
