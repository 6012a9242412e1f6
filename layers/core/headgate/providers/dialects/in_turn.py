"""Events put into an order that every client can take. Pure.

Chat completions let the pieces of several tool calls alternate, and servers that cut text by UTF-16 cut it
inside characters. Clients act on a call as soon as the next thing begins: Anthropic's and OpenAI's own SDKs
then tell its arguments as they are so far (anthropic 2.11.0, openai 3.52.0, 2026-11-21). So a call that
began is told to its end before anything else, and halves of a character are told together.
"""

from collections.abc import Iterable
from dataclasses import replace

from headgate.domain.answers import (
    AnswerEvent,
    Failed,
    Finished,
    Measured,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.providers.dialects.openai_answers import AnswerError, read_json

type _Telling = TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta

_NO_CHARACTER = "\ufffd"


class InTurn:
    """Puts the events of one stream in order: what interrupts a call waits until its arguments are whole.

    A call whose arguments never become an object, cut off or empty, ends with the answer. No text is lost.
    """

    def __init__(self) -> None:
        self._characters = _Characters()
        self._open: int | None = None
        self._arguments: list[str] = []
        self._waiting: list[AnswerEvent] = []

    def order(self, events: Iterable[AnswerEvent]) -> list[AnswerEvent]:
        """What can be told now."""
        ordered: list[AnswerEvent] = []
        for event in events:
            ordered += self._placed(self._characters.join(event))
        return ordered

    def end(self) -> list[AnswerEvent]:
        """What still waited when the stream closed."""
        return [*self._placed(self._characters.end()), *self._release(every=True)]

    def _placed(self, events: Iterable[AnswerEvent]) -> list[AnswerEvent]:
        return [placed for event in events for placed in self._place(event)]

    def _place(self, event: AnswerEvent) -> list[AnswerEvent]:
        match event:
            case Started() | Measured():
                return [event]
            case Finished() | Failed():
                return [*self._release(every=True), event]
            case ToolCallDelta(arguments=""):
                return []
            case ToolCallDelta(index=index) if index == self._open:
                self._arguments.append(event.arguments)
                return [event, *self._release()] if self._waiting else [event]
        if self._waiting or not self._is_whole():
            self._waiting.append(event)
            return []
        self._begin(event)
        return [event]

    def _release(self, *, every: bool = False) -> list[AnswerEvent]:
        """What waited for the open call, if that is whole; the same of the calls within. every: all of it."""
        told: list[AnswerEvent] = []
        while self._waiting and (every or self._is_whole()):
            event = self._waiting.pop(0)
            self._begin(event)
            told.append(event)
            if isinstance(event, ToolCallStarted):
                told += self._own_pieces(event.index)
        return told

    def _own_pieces(self, index: int) -> list[AnswerEvent]:
        """The waiting pieces of one call, taken out of what waits."""
        own = [each for each in self._waiting if isinstance(each, ToolCallDelta) and each.index == index]
        self._waiting = [each for each in self._waiting if each not in own]
        self._arguments += [piece.arguments for piece in own]
        return list(own)

    def _begin(self, event: AnswerEvent) -> None:
        if isinstance(event, ToolCallStarted):
            self._open, self._arguments = event.index, []
        elif not isinstance(event, ToolCallDelta):
            self._open = None

    def _is_whole(self) -> bool:
        """Whether no call is open whose arguments could go on."""
        if self._open is None:
            return True
        if not self._arguments or not self._arguments[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(read_json("".join(self._arguments).encode("utf-8", "surrogatepass")), dict)
        except AnswerError:
            return False


class _Characters:
    """Joins halves of characters that stand in two pieces of one text; one that stays alone is replaced."""

    def __init__(self) -> None:
        self._half: _Telling | None = None

    def join(self, event: AnswerEvent) -> list[AnswerEvent]:
        if isinstance(event, Started | Measured):
            return [event]
        half, self._half = self._half, None
        if not isinstance(event, _TELLING):
            return [_with_text(half, _NO_CHARACTER), event] if half is not None else [event]
        if half is not None and not _same_text(half, event):
            return [_with_text(half, _NO_CHARACTER), *self._rejoin("", event)]
        if half is None and not _ends_in_half(_text(event)):
            return [event]
        return self._rejoin(_text(half) if half is not None else "", event)

    def end(self) -> list[AnswerEvent]:
        half, self._half = self._half, None
        return [_with_text(half, _NO_CHARACTER)] if half is not None else []

    def _rejoin(self, before: str, event: _Telling) -> list[AnswerEvent]:
        text = _joined(before + _text(event))
        if not _ends_in_half(text) or _signs(event):
            return [_with_text(event, text)]
        self._half = _with_text(event, text[-1])
        return [_with_text(event, text[:-1])] if len(text) > 1 else []


_TELLING = (TextDelta, RefusalDelta, ReasoningDelta, ToolCallDelta)


def _text(event: _Telling) -> str:
    return event.arguments if isinstance(event, ToolCallDelta) else event.text


def _with_text(event: _Telling, text: str) -> _Telling:
    return replace(event, arguments=text) if isinstance(event, ToolCallDelta) else replace(event, text=text)


def _same_text(before: _Telling, event: _Telling) -> bool:
    if isinstance(before, ToolCallDelta) and isinstance(event, ToolCallDelta):
        return before.index == event.index
    if isinstance(before, ReasoningDelta) and isinstance(event, ReasoningDelta):
        return before.id == event.id
    return type(before) is type(event)


def _signs(event: _Telling) -> bool:
    """Whether it closes the thought it belongs to, so that nothing can follow."""
    return isinstance(event, ReasoningDelta) and bool(event.signature or event.redacted)


def _ends_in_half(text: str) -> bool:
    return "\ud800" <= text[-1:] <= "\udbff"


def _joined(text: str) -> str:
    """With surrogates that meet made one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
