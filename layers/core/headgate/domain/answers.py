"""The answer to a conversation as every dialect can say it: events in order, and what they add up to.

Pure. See `conversation`.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from headgate.domain.conversation import Media, Part, Reasoning, Refusal, Text, ToolCall
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage


class FinishReason(StrEnum):
    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    FILTERED = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first event. id and model: the provider's own names."""

    id: str | None = None
    model: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalDelta:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    """More thought; a signature closes the thought it belongs to. See `Reasoning` for the other fields."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    origin: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted:
    """index counts the calls of this answer from 0; its argument deltas carry it."""

    index: int
    id: str
    name: str
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """More of the arguments' JSON text."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProduced:
    """An image or sound within the answer, whole."""

    media: Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Why it ended. native: the provider's own word. stop_sequence: the one that was hit."""

    reason: FinishReason
    native: str | None = None
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Usage so far, or in all: a later one replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The provider reported a failure, or its stream broke. The last event."""

    error: HeadgateError


type AnswerEvent = (
    Started
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallDelta
    | MediaProduced
    | Finished
    | Measured
    | Failed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the events of one answer add up to. parts are in the order in which they began."""

    id: str | None = None
    model: str | None = None
    parts: tuple[Part, ...] = ()
    finish: Finished | None = None
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """All plain text, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class AnswerBuilder:
    """Adds events up. A delta continues the part before it where that is of its kind, else begins one."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._model: str | None = None
        self._usage: Usage | None = None
        self._finish: Finished | None = None
        self._parts: list[Part | _Open] = []
        self._calls: dict[int, _Open] = {}
        self.has_content = False

    def add(self, event: AnswerEvent) -> None:
        match event:
            case Started():
                self._id, self._model = event.id or self._id, event.model or self._model
                self._usage = event.usage or self._usage
            case TextDelta() | RefusalDelta():
                self._continue(type(event)).texts.append(event.text)
            case ReasoningDelta():
                self._reason(event)
            case ToolCallStarted():
                call = _Open(kind=ToolCallStarted, start=event)
                self._calls[event.index] = call
                self._parts.append(call)
            case ToolCallDelta():
                self._calls[event.index].texts.append(event.arguments)
            case MediaProduced():
                self._parts.append(event.media)
            case Finished():
                self._finish = event
            case Measured():
                self._usage = event.usage
            case Failed():
                return
        self.has_content = self.has_content or is_content(event)

    @property
    def answer(self) -> Answer:
        """What has been added so far."""
        parts = tuple(part.closed() if isinstance(part, _Open) else part for part in self._parts)
        return Answer(id=self._id, model=self._model, parts=parts, finish=self._finish, usage=self._usage)

    def _continue(self, kind: type) -> "_Open":
        last = self._parts[-1] if self._parts else None
        if isinstance(last, _Open) and last.kind is kind:
            return last
        part = _Open(kind=kind)
        self._parts.append(part)
        return part

    def _reason(self, event: ReasoningDelta) -> None:
        last = self._parts[-1] if self._parts else None
        goes_on = (
            isinstance(last, _Open)
            and last.kind is ReasoningDelta
            and last.signature is None
            and event.redacted is None
            and last.redacted is None
            and (event.id is None or last.id in (None, event.id))
        )
        part = last if goes_on and isinstance(last, _Open) else _Open(kind=ReasoningDelta)
        if part is not last:
            self._parts.append(part)
        part.texts.append(event.text)
        part.signature = event.signature or part.signature
        part.redacted = event.redacted or part.redacted
        part.origin = event.origin or part.origin
        part.id = event.id or part.id


@dataclass(slots=True, kw_only=True)
class _Open:
    """A part that may still grow."""

    kind: type
    start: ToolCallStarted | None = None
    texts: list[str] = field(default_factory=list)
    signature: str | None = None
    redacted: str | None = None
    origin: str | None = None
    id: str | None = None

    def closed(self) -> Part:
        text = "".join(self.texts)
        if self.start is not None:
            call = self.start
            return ToolCall(id=call.id, name=call.name, arguments=text, signature=call.signature)
        if self.kind is RefusalDelta:
            return Refusal(text=text)
        if self.kind is ReasoningDelta:
            return Reasoning(
                text=text,
                signature=self.signature,
                redacted=self.redacted,
                origin=self.origin,
                id=self.id,
            )
        return Text(text=text)


def is_content(event: AnswerEvent) -> bool:
    """Whether an event carries any of the answer, after which no other provider can take over."""
    match event:
        case TextDelta(text=text) | RefusalDelta(text=text):
            return bool(text)
        case ReasoningDelta():
            return bool(event.text or event.redacted or event.signature)
        case ToolCallStarted() | ToolCallDelta() | MediaProduced():
            return True
        case _:
            return False
