"""Output items as they grow: the events that tell of it, and what they are at last. Pure.

After https://platform.openai.com/docs/api-reference/responses-streaming (2026-11-20).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from headgate.domain.conversation import Media
from headgate.providers.dialects.openai_answers import well_formed


class Told(NamedTuple):
    """An event without what all have: its kind after `response.`, and its own members."""

    kind: str
    members: dict[str, Any]


class Item(ABC):
    """One output item. item: its JSON, which is complete once it is closed. place: its `output_index`."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = {**item, "status": "in_progress"}
        self.place = -1

    def close(self, status: Literal["completed", "incomplete"]) -> Iterator[Told]:
        """What ends it."""
        yield from self._complete()
        self.item["status"] = status

    @abstractmethod
    def _complete(self) -> Iterator[Told]:
        """The last events of its parts; fills in `item`."""


class MessageItem(Item):
    """What the model says: text, and refusals."""

    def __init__(self, item_id: str) -> None:
        super().__init__({"id": item_id, "type": "message", "role": "assistant", "content": []})
        self._parts: list[dict[str, Any]] = []
        self._kind: str | None = None
        self._texts: list[str] = []

    def say(self, kind: Literal["output_text", "refusal"], text: str) -> Iterator[Told]:
        if kind != self._kind:
            yield from self._close_part()
            self._kind = kind
            yield Told("content_part.added", {**self._at(), "part": self._part("")})
        self._texts.append(text)
        members = {**self._at(), "delta": text}
        yield Told(f"{kind}.delta", {**members, "logprobs": []} if kind == "output_text" else members)

    def _complete(self) -> Iterator[Told]:
        yield from self._close_part()
        self.item["content"] = self._parts

    def _close_part(self) -> Iterator[Told]:
        if self._kind is None:
            return
        text = well_formed("".join(self._texts))
        part = self._part(text)
        if self._kind == "output_text":
            yield Told("output_text.done", {**self._at(), "text": text, "logprobs": []})
        else:
            yield Told("refusal.done", {**self._at(), "refusal": text})
        yield Told("content_part.done", {**self._at(), "part": part})
        self._parts = [*self._parts, part]
        self._texts = []

    def _at(self) -> dict[str, Any]:
        return {"content_index": len(self._parts)}

    def _part(self, text: str) -> dict[str, Any]:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class ThoughtItem(Item):
    """What the model thinks: in the open, or as a summary, whichever the client asked for.

    sealed: what it is to give back, unread.
    """

    def __init__(self, item_id: str, *, summarised: bool) -> None:
        super().__init__({"id": item_id, "type": "reasoning", "summary": []})
        self._summarised = summarised
        self._texts: list[str] = []
        self.sealed: str | None = None

    def say(self, text: str) -> Iterator[Told]:
        if not self._texts:
            added = "reasoning_summary_part.added" if self._summarised else "content_part.added"
            yield Told(added, {**self._at(), "part": self._part("")})
        self._texts.append(text)
        yield Told(f"{self._name()}.delta", {**self._at(), "delta": text})

    def _complete(self) -> Iterator[Told]:
        if self._texts:
            part = self._part(well_formed("".join(self._texts)))
            done = "reasoning_summary_part.done" if self._summarised else "content_part.done"
            yield Told(f"{self._name()}.done", {**self._at(), "text": part["text"]})
            yield Told(done, {**self._at(), "part": part})
            self.item["summary" if self._summarised else "content"] = [part]
        if self.sealed is not None:
            self.item["encrypted_content"] = self.sealed

    def _name(self) -> str:
        return "reasoning_summary_text" if self._summarised else "reasoning_text"

    def _at(self) -> dict[str, Any]:
        return {"summary_index": 0} if self._summarised else {"content_index": 0}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "summary_text" if self._summarised else "reasoning_text", "text": text}


class CallItem(Item):
    """A function that the model calls."""

    def __init__(self, item_id: str, *, call_id: str, name: str) -> None:
        super().__init__(
            {"id": item_id, "type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        )
        self._texts: list[str] = []

    def argue(self, text: str) -> Iterator[Told]:
        if text:
            self._texts.append(text)
            yield Told("function_call_arguments.delta", {"delta": text})

    def _complete(self) -> Iterator[Told]:
        """No arguments are an empty object: clients parse what stands there."""
        if not any(text.strip() for text in self._texts):
            yield from self.argue("{}")
        arguments = well_formed("".join(self._texts))
        yield Told("function_call_arguments.done", {"name": self.item["name"], "arguments": arguments})
        self.item["arguments"] = arguments


class ImageItem(Item):
    """An image that the model made, as base64."""

    def __init__(self, item_id: str, media: Media) -> None:
        super().__init__({"id": item_id, "type": "image_generation_call", "result": None})
        self._media = media

    def _complete(self) -> Iterator[Told]:
        yield Told("image_generation_call.completed", {})
        self.item["result"] = self._media.data
        kind, _, output_format = (self._media.mime_type or "").partition("/")
        if kind == "image" and output_format:
            self.item["output_format"] = output_format.removesuffix("+xml")
