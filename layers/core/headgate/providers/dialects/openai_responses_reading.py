"""A provider's Response, whole or event by event, as the events of a conversation. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.domain.answers import (
    AnswerEvent,
    Measured,
    MediaProduced,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media
from headgate.providers.dialects.base import OPENAI_RESPONSES, AnswerContext
from headgate.providers.dialects.carrying import CITATIONS, LeftOut, unheard
from headgate.providers.dialects.openai_answers import exact_usage
from headgate.providers.dialects.openai_responses_answers import CALLS, finish_of, read_usage

_READ = frozenset({"message", "reasoning", "function_call", "image_generation_call"})
TERMINAL = frozenset({"response.completed", "response.incomplete"})

_PARAGRAPH = "\n\n"
"""Between the parts of one thought, which are separate in items and one text here."""


@dataclass(slots=True, kw_only=True)
class _Item:
    """An output item that may still grow. said: its texts so far, by kind and place within the item."""

    id: str | None
    kind: Any = None
    call_index: int | None = None
    said: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    closed: bool = False


class ResponseEvents:
    """Reads the events of one Response in order. An item is known by its `output_index`: between the events
    of one item GitHub Copilot changes its id (recorded by github.com/vercel/ai, 2026-08).

    What a `done` event or a finished item says beyond the deltas before it is read too, for servers that send
    few deltas or none.
    """

    def __init__(self, context: AnswerContext, left_out: LeftOut = unheard) -> None:
        self._context = context
        self._left_out = left_out
        self._items: dict[int, _Item] = {}
        self._calls = 0
        self._awaited: set[str | None] = set()
        self._started = False

    def read_whole(self, response: Mapping[str, Any], data: bytes) -> list[AnswerEvent]:
        """All events of a whole Response. data: the JSON it came in."""
        return [*self._start(response), *self._finish(response, data)]

    def read(self, event: Mapping[str, Any], data: bytes) -> list[AnswerEvent]:
        """The events that one of the stream's comes to. data: its JSON."""
        place = event.get("output_index")
        place = place if isinstance(place, int) else -1
        match event.get("type"):
            case "response.created":
                return self._start(_object(event, "response"))
            case "response.output_item.added":
                return self._open(place, _object(event, "item"))
            case "response.output_item.done":
                return self._close(place, _object(event, "item"))
            case str(kind) if kind in TERMINAL:
                return self.read_whole(_object(event, "response"), data)
            case str(kind) if kind in _SAYING:
                return self._read_saying(place, event, _SAYING[kind])
        return []

    def _read_saying(
        self, place: int, event: Mapping[str, Any], saying: tuple[str, str | None, str | None]
    ) -> list[AnswerEvent]:
        name, where, full = saying
        index = event.get(where, 0) if where is not None else 0
        value = event.get(full or "delta")
        if not isinstance(value, str) or not isinstance(index, int):
            return []
        return self._say(place, (name, index), value, whole=full is not None)

    def usage_in(self, response: Mapping[str, Any], data: bytes) -> list[AnswerEvent]:
        """What was measured, also by a response that failed."""
        usage = response.get("usage")
        if not isinstance(usage, Mapping):
            return []
        return [Measured(usage=read_usage(exact_usage(data, usage), self._context))]

    def _start(self, response: Mapping[str, Any]) -> list[AnswerEvent]:
        if self._started:
            return []
        self._started = True
        return [Started(id=_text(response, "id"), model=_text(response, "model"))]

    def _finish(self, response: Mapping[str, Any], data: bytes) -> list[AnswerEvent]:
        """With the items, if none came before, and the ends of those that were left open.

        Places may have gaps in a stream, and have none here, so that no others can be told to be new.
        """
        events: list[AnswerEvent] = []
        output = response.get("output")
        first = not self._items
        for place, item in enumerate(output if isinstance(output, list) else ()):
            opened = self._items.get(place)
            if isinstance(item, Mapping) and (
                first or (opened is not None and opened.kind == item.get("type"))
            ):
                events += self._close(place, item)
        events += self.usage_in(response, data)
        finish = finish_of(response, has_calls=bool(self._awaited))
        return [*events, finish] if finish is not None else events

    # -- items --------------------------------------------------------------------------------------------

    def _open(self, place: int, item: Mapping[str, Any]) -> list[AnswerEvent]:
        kind = item.get("type")
        if kind is None or place in self._items:
            return []
        opened = self._items[place] = _Item(id=_text(item, "id"), kind=kind)
        self._note_call(item)
        if kind not in _READ:
            self._left_out(str(kind))
        if kind != "function_call":
            return []
        opened.call_index = self._calls
        self._calls += 1
        call_id = _text(item, "call_id") or opened.id or f"call_{opened.call_index}"
        return [ToolCallStarted(index=opened.call_index, id=call_id, name=_text(item, "name") or "")]

    def _note_call(self, item: Mapping[str, Any]) -> None:
        """What waits for the client: calls whose result is not among the items, for others run them too."""
        kind, call_id = str(item.get("type")), _text(item, "call_id") or _text(item, "id")
        if kind in CALLS or (kind == "tool_search_call" and item.get("execution") == "client"):
            self._awaited.add(call_id)
        elif kind.endswith("_output"):
            self._awaited.discard(call_id)

    def _close(self, place: int, item: Mapping[str, Any]) -> list[AnswerEvent]:
        """What the finished item says that was not said yet."""
        events = self._open(place, item)
        opened = self._items.get(place)
        if opened is None or opened.closed:
            return events
        opened.closed = True
        match item.get("type"):
            case "message":
                for index, part in enumerate(_objects(item, "content")):
                    if part.get("annotations"):
                        self._left_out(CITATIONS)
                    for name, text in (("text", part.get("text")), ("refusal", part.get("refusal"))):
                        if isinstance(text, str):
                            events += self._say(place, (name, index), text, whole=True)
            case "function_call":
                events += self._say(place, ("arguments", 0), _text(item, "arguments") or "", whole=True)
            case "reasoning":
                events += self._close_thought(place, opened, item)
            case "image_generation_call":
                events += _image(item)
        return events

    def _close_thought(self, place: int, opened: _Item, item: Mapping[str, Any]) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        for name, member in (("summary", "summary"), ("thought", "content")):
            for index, part in enumerate(_objects(item, member)):
                events += self._say(place, (name, index), _text(part, "text") or "", whole=True)
        encrypted = _text(item, "encrypted_content")
        if encrypted:
            visible = any(opened.said.values())
            events.append(
                ReasoningDelta(
                    signature=encrypted if visible else None,
                    redacted=None if visible else encrypted,
                    origin=OPENAI_RESPONSES,
                    id=opened.id,
                )
            )
        return events

    def _say(self, place: int, key: tuple[str, int], text: str, *, whole: bool) -> list[AnswerEvent]:
        """A piece of an item's text; of a whole text what is not known of it yet.

        Arguments of a call that was never announced wait for its item, which tells its name.
        """
        name = key[0]
        item = self._items.get(place)
        if item is None:
            if name == "arguments":
                return []
            item = self._items[place] = _Item(id=None)
        pieces = item.said.get(key)
        if whole and pieces:
            known = "".join(pieces)
            text = text[len(known) :] if text.startswith(known) else ""
        if not text:
            return []
        if pieces is None:
            pieces = item.said[key] = []
        pieces.append(text)
        match name:
            case "text":
                return [TextDelta(text=text)]
            case "refusal":
                return [RefusalDelta(text=text)]
            case "arguments":
                index = item.call_index
                return [ToolCallDelta(index=index, arguments=text)] if index is not None else []
        apart = _PARAGRAPH if len(pieces) == 1 and len(item.said) > 1 else ""
        return [ReasoningDelta(text=apart + text, origin=OPENAI_RESPONSES, id=item.id)]


# The events that say something: what they say it of, the field with its place, the field with the whole text.
_SAYING: Mapping[str, tuple[str, str | None, str | None]] = {
    "response.output_text.delta": ("text", "content_index", None),
    "response.output_text.done": ("text", "content_index", "text"),
    "response.refusal.delta": ("refusal", "content_index", None),
    "response.refusal.done": ("refusal", "content_index", "refusal"),
    "response.reasoning_text.delta": ("thought", "content_index", None),
    "response.reasoning_text.done": ("thought", "content_index", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", None),
    "response.reasoning_summary_text.done": ("summary", "summary_index", "text"),
    "response.function_call_arguments.delta": ("arguments", None, None),
    "response.function_call_arguments.done": ("arguments", None, "arguments"),
}


def _image(item: Mapping[str, Any]) -> list[AnswerEvent]:
    result = _text(item, "result")
    if not result:
        return []
    mime_type = f"image/{_text(item, 'output_format') or 'png'}"
    return [MediaProduced(media=Media(kind="image", data=result, mime_type=mime_type))]


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _objects(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None
