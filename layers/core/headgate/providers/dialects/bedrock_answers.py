"""Reading what Converse and ConverseStream answer: blocks into events, usage, and why it ended. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (2026-11-20).

Left out, as no other dialect's answer has a place for them: tools that were called on Bedrock's side and
their results, citations, and traces of guardrails.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.answers import (
    AnswerEvent,
    Failed,
    Finished,
    FinishReason,
    Measured,
    MediaProduced,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import (
    ANTHROPIC_MESSAGES,
    BEDROCK_CONVERSE,
    AnswerContext,
    EventReader,
)
from headgate.providers.dialects.bedrock_families import is_claude
from headgate.providers.dialects.carrying import CITATIONS, drop_output
from headgate.providers.dialects.event_stream import EventStreamMessage, EventStreamParser
from headgate.providers.dialects.openai_answers import (
    AnswerError,
    malformed,
    read_json,
    write_json,
)

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html (2026-11-20).
_REASONS: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "guardrail_intervened": FinishReason.FILTERED,
    "content_filtered": FinishReason.FILTERED,
}
_BEDROCKS_OWN = "server_tool_use"
_BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})
"""The model broke off over its own output: nothing of it can be used, and another try may succeed."""


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Tokens in our convention; Bedrock counts those of the cache beside the input.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (2026-11-20).
    """
    beside, made = _count(usage, "inputTokens"), _count(usage, "outputTokens")
    read = _count(usage, "cacheReadInputTokens")
    written = _count(usage, "cacheWriteInputTokens")
    given = None if beside is None else beside + (read or 0) + (written or 0)
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=written,
        total_tokens=None if given is None or made is None else given + made,
    )


class BlockReader:
    """Turns an answer's blocks into events, whole or in pieces.

    Raises ProviderFailed for what is malformed.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._calls: dict[int, int] = {}
        self._silent: set[int] = set()
        self._formats: dict[int, str] = {}
        self._reason: str | None = None
        # A Claude's signature is good wherever a Claude is served; what else is signed only here.
        self._signer = ANTHROPIC_MESSAGES if is_claude(context.call.model) else BEDROCK_CONVERSE

    def start(self) -> list[AnswerEvent]:
        return [Started(model=self._context.call.model)]

    def begin(self, told: Mapping[str, Any]) -> list[AnswerEvent]:
        """`contentBlockStart`; text and reasoning begin without one."""
        block, start = _index(told), _mapping(told, "start")
        image = _mapping(start, "image").get("format")
        if isinstance(image, str):
            self._formats[block] = image
        call = _mapping(start, "toolUse")
        return [self._call(block, call)] if self._is_ours(call) else []

    def more(self, told: Mapping[str, Any]) -> list[AnswerEvent]:
        """`contentBlockDelta`."""
        block, delta = _index(told), _mapping(told, "delta")
        if isinstance(text := delta.get("text"), str):
            return [TextDelta(text=text)] if text else []
        if "reasoningContent" in delta:
            return self._thought(_mapping(delta, "reasoningContent"))
        if "citation" in delta:
            drop_output(self._context.call, CITATIONS)
        if "image" in delta:
            return self._image(_mapping(delta, "image"), self._formats.get(block))
        piece = _mapping(delta, "toolUse").get("input")
        if block not in self._calls or not isinstance(piece, str) or not piece:
            return []
        self._silent.discard(block)
        return [ToolCallDelta(index=self._calls[block], arguments=piece)]

    def close(self, told: Mapping[str, Any]) -> list[AnswerEvent]:
        """`contentBlockStop`. A call without arguments has none at all; elsewhere it has an object."""
        block = _index(told)
        if block not in self._silent:
            return []
        self._silent.discard(block)
        return [ToolCallDelta(index=self._calls[block], arguments="{}")]

    def whole(self, position: int, block: Mapping[str, Any]) -> list[AnswerEvent]:
        """One block of a whole answer."""
        if isinstance(text := block.get("text"), str):
            return [TextDelta(text=text)] if text else []
        if "reasoningContent" in block:
            thought = _mapping(block, "reasoningContent")
            return self._thought({**thought, **_mapping(thought, "reasoningText")})
        if "image" in block:
            image = _mapping(block, "image")
            return self._image(image, image.get("format"))
        cited = _mapping(block, "citationsContent").get("content")
        if isinstance(cited, list):
            drop_output(self._context.call, CITATIONS)
            texts = [part.get("text") for part in cited if isinstance(part, Mapping)]
            return [TextDelta(text=text) for text in texts if isinstance(text, str) and text]
        call = _mapping(block, "toolUse")
        if not self._is_ours(call):
            return []
        started = self._call(position, call)
        self._silent.discard(position)
        arguments = write_json(call.get("input") or {}).decode()
        return [started, ToolCallDelta(index=started.index, arguments=arguments)]

    def measure(self, usage: Any) -> list[AnswerEvent]:
        if not isinstance(usage, Mapping):
            return []
        read = self._context.usage_of(usage, read_usage)
        return [] if read == Usage() else [Measured(usage=read)]

    def stop(self, reason: Any) -> None:
        self._reason = reason if isinstance(reason, str) and reason else self._reason

    @property
    def stopped(self) -> bool:
        return self._reason is not None

    def end(self) -> list[AnswerEvent]:
        """What ends the answer. Raises for one that never said why it ended, or broke off."""
        reason = self._reason
        if reason is None:
            raise malformed("ended without a stop reason")
        if reason in _BROKEN:
            raise malformed(f"broke off: {reason}")
        default = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
        return [Finished(reason=_REASONS.get(reason, default), native=reason[:60])]

    def _is_ours(self, call: Mapping[str, Any]) -> bool:
        """Whether it is for the client to run; what Bedrock runs is left out."""
        if call.get("type") == _BEDROCKS_OWN:
            drop_output(self._context.call, _BEDROCKS_OWN)
        return bool(call) and call.get("type") != _BEDROCKS_OWN

    def _call(self, block: int, call: Mapping[str, Any]) -> ToolCallStarted:
        call_id, name = call.get("toolUseId"), call.get("name")
        if not (isinstance(call_id, str) and call_id and isinstance(name, str) and name):
            raise malformed("has a tool call without an id or a name")
        self._calls[block] = index = len(self._calls)
        self._silent.add(block)
        return ToolCallStarted(index=index, id=call_id, name=name)

    def _thought(self, thought: Mapping[str, Any]) -> list[AnswerEvent]:
        text, signature = thought.get("text"), thought.get("signature")
        redacted = thought.get("redactedContent")
        events: list[AnswerEvent] = []
        if isinstance(text, str) and text:
            events.append(ReasoningDelta(text=text, origin=self._signer))
        if isinstance(signature, str) and signature:
            events.append(ReasoningDelta(signature=signature, origin=self._signer))
        if isinstance(redacted, str) and redacted:
            # Bedrock's own wrapping of what Anthropic redacts, so only Bedrock can be given it back.
            events.append(ReasoningDelta(redacted=redacted, origin=BEDROCK_CONVERSE))
        return events

    def _image(self, image: Mapping[str, Any], form: Any) -> list[AnswerEvent]:
        data = _mapping(image, "source").get("bytes")
        if not isinstance(data, str) or not data:
            return []
        mime_type = f"image/{form}" if isinstance(form, str) and form.isalnum() else None
        return [MediaProduced(media=Media(kind="image", data=data, mime_type=mime_type))]


def read_whole(body: Any, context: AnswerContext) -> list[AnswerEvent]:
    """The events of a whole answer. Raises what an error inside the 200 means, or ProviderFailed."""
    if not isinstance(body, Mapping):
        raise malformed("is not a JSON object")
    if "output" not in body and ("__type" in body or "message" in body):
        raise context.judge(body)
    content = _mapping(_mapping(body, "output"), "message").get("content")
    if not isinstance(content, list):
        raise malformed("has no message")
    reader = BlockReader(context)
    events = reader.start()
    for position, block in enumerate(content):
        if isinstance(block, Mapping):
            events += reader.whole(position, block)
    reader.stop(body.get("stopReason"))
    return events + reader.measure(body.get("usage")) + reader.end()


class ConverseEventReader(EventReader):
    """The events of a stream. Its last one is `metadata`, with the usage, after `messageStop`."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._parser = EventStreamParser()
        self._blocks = BlockReader(context)
        self._finished = False

    @property
    def finished(self) -> bool:
        return self._finished

    def feed(self, data: bytes) -> list[AnswerEvent]:
        if self._finished:
            return []
        events: list[AnswerEvent] = []
        for message in self._parser.feed(data):
            try:
                events += self._read(message)
            except HeadgateError as error:
                return events + self._fail(error)
            if self._finished:
                return events
        if self._parser.fault is not None:
            events += self._fail(malformed(self._parser.fault))
        return events

    def end(self) -> list[AnswerEvent]:
        """A stream that closed after its stop reason is whole, though its usage is not known."""
        if self._finished:
            return []
        if self._parser.pending:
            return self._fail(malformed("ended within a message"))
        try:
            return self._close()
        except HeadgateError as error:
            return self._fail(error)

    def _read(self, message: EventStreamMessage) -> list[AnswerEvent]:
        headers = message.headers
        kind = headers.get(":message-type", "event")
        if kind == "error":
            text = headers.get(":error-message", "")
            raise self._context.judge({"__type": headers.get(":error-code", ""), "message": text})
        told = _payload(message.payload)
        if kind == "exception":
            raise self._context.judge({**told, "__type": headers.get(":exception-type", "")})
        match headers.get(":event-type"):
            case "messageStart":
                return self._blocks.start()
            case "contentBlockStart":
                return self._blocks.begin(told)
            case "contentBlockDelta":
                return self._blocks.more(told)
            case "contentBlockStop":
                return self._blocks.close(told)
            case "messageStop":
                self._blocks.stop(told.get("stopReason"))
            case "metadata":
                measured = self._blocks.measure(told.get("usage"))
                return measured + self._close() if self._blocks.stopped else measured
        return []

    def _close(self) -> list[AnswerEvent]:
        events = self._blocks.end()
        self._finished = True
        return events

    def _fail(self, error: HeadgateError) -> list[AnswerEvent]:
        self._finished = True
        return [Failed(error=error)]


def _payload(raw: bytes) -> Mapping[str, Any]:
    if not raw.strip():
        return {}
    try:
        value = read_json(raw)
    except AnswerError:
        raise malformed("has an event that is not JSON") from None
    if not isinstance(value, Mapping):
        raise malformed("has an event that is not a JSON object")
    return value


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _index(told: Mapping[str, Any]) -> int:
    value = told.get("contentBlockIndex")
    return value if isinstance(value, int) else 0


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}
