"""Events written as a Response for the client, whole or as a stream.

A stream: `response.created` and `response.in_progress`; each item added, grown and done; `response.completed`
or `response.incomplete`, with everything once more and the usage. `sequence_number` counts all of it.
"""

from collections.abc import Iterable
from typing import Any, Literal

from headgate.domain.answers import (
    Answer,
    AnswerEvent,
    Finished,
    Measured,
    MediaProduced,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media, Reasoning, Refusal, Text, ToolCall
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import OPENAI_RESPONSES, AnswerContext, EventWriter
from headgate.providers.dialects.carrying import drop
from headgate.providers.dialects.openai_answers import write_json
from headgate.providers.dialects.openai_responses_objects import (
    ending_of,
    name_of,
    response_object,
    usage_object,
    wants_summary,
)
from headgate.providers.dialects.openai_responses_output import (
    CallItem,
    ImageItem,
    Item,
    MessageItem,
    ThoughtItem,
    Told,
)
from headgate.providers.dialects.openai_responses_sealed import FOREIGN_ID, Seal, seal

type _Json = dict[str, Any]


def write_answer(answer: Answer, context: AnswerContext) -> bytes:
    """What a stream of the same answer would end with."""
    writing = ResponseWriting(context)
    for event in _events_of(answer):
        writing.add(event)
    return write_json(writing.close()[-1]["response"])


def _events_of(answer: Answer) -> Iterable[AnswerEvent]:
    yield Started(id=answer.id, model=answer.model, usage=answer.usage)
    calls = 0
    for part in answer.parts:
        match part:
            case Text(text=text):
                yield TextDelta(text=text)
            case Refusal(text=text):
                yield RefusalDelta(text=text)
            case Reasoning():
                yield ReasoningDelta(
                    text=part.text,
                    signature=part.signature,
                    redacted=part.redacted,
                    origin=part.origin,
                    id=part.id,
                )
            case ToolCall():
                yield ToolCallStarted(index=calls, id=part.id, name=part.name, signature=part.signature)
                yield ToolCallDelta(index=calls, arguments=part.arguments)
                calls += 1
            case Media():
                yield MediaProduced(media=part)
    if answer.finish is not None:
        yield answer.finish


class ResponsesWriter(EventWriter):
    """One client's stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._writing = ResponseWriting(context)

    def feed(self, event: AnswerEvent) -> bytes:
        return _framed(self._writing.add(event))

    def end(self) -> bytes:
        return _framed(self._writing.close())


def _framed(events: Iterable[_Json]) -> bytes:
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + write_json(event) + b"\n\n" for event in events
    )


class ResponseWriting:
    """Builds one Response from an answer's events, and tells the events of its stream.

    Calls stay open until the end, for their arguments may come by turns; a message or a thought until
    something else begins.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._model = context.call.model
        self._name = ""
        self._sequence = 0
        self._items: list[Item] = []
        self._open: list[Item] = []
        self._speaking: MessageItem | ThoughtItem | None = None
        self._thought_id: str | None = None
        self._calls: dict[int, CallItem] = {}
        self._usage: Usage | None = None
        self._finish: Finished | None = None
        self._refused = False

    def add(self, event: AnswerEvent) -> list[_Json]:
        """The stream's events for this one."""
        match event:
            case Started():
                self._model = event.model or self._model
                self._usage = event.usage or self._usage
                return self._begin(event.id)
            case Measured():
                self._usage = event.usage
                return []
            case Finished():
                self._finish = event
                return [*self._begin(None), *self._close_all()]
            case _:
                return [*self._begin(None), *self._grow(event)]

    def close(self) -> list[_Json]:
        """What ends the stream; the last event has the whole response."""
        events = [*self._begin(None), *self._close_all()]
        status, details = ending_of(self._finish, refused=self._refused)
        response = self._response(status)
        response["incomplete_details"] = details
        response["output"] = [item.item for item in self._items]
        if self._usage is not None:
            response["usage"] = usage_object(self._usage, self._context.cost_of(self._usage))
        return [*events, self._event(status, response=response)]

    # -- the response -------------------------------------------------------------------------------------

    def _begin(self, provider_id: str | None) -> list[_Json]:
        if self._name:
            return []
        self._name = name_of(provider_id)
        return [
            self._event(kind, response=self._response("in_progress")) for kind in ("created", "in_progress")
        ]

    def _response(self, status: str) -> _Json:
        return response_object(self._context, name=self._name, model=self._model, status=status)

    def _event(self, kind: str, **members: Any) -> _Json:
        event = {"type": f"response.{kind}", "sequence_number": self._sequence, **members}
        self._sequence += 1
        return event

    # -- its items ----------------------------------------------------------------------------------------

    def _grow(self, event: AnswerEvent) -> list[_Json]:
        events: list[_Json] = []
        match event:
            case TextDelta(text=text):
                events = self._say("output_text", text) if text else []
            case RefusalDelta(text=text):
                self._refused = True
                events = self._say("refusal", text) if text else []
            case ReasoningDelta() if event.text or event.signature or event.redacted:
                events = self._think(event)
            case ToolCallStarted():
                events = self._call(event)
            case ToolCallDelta():
                call = self._calls[event.index]
                events = self._tell(call, call.argue(event.arguments))
            case MediaProduced():
                events = self._show(event.media)
            case _:
                pass
        return events

    def _say(self, kind: Literal["output_text", "refusal"], text: str) -> list[_Json]:
        events: list[_Json] = []
        message = self._speaking
        if not isinstance(message, MessageItem):
            events += self._fall_silent()
            self._speaking = message = MessageItem(self._new_id("msg_"))
            events += self._place(message)
        return [*events, *self._tell(message, message.say(kind, text))]

    def _think(self, event: ReasoningDelta) -> list[_Json]:
        """A thought goes on until it is signed, or the next has another id."""
        events: list[_Json] = []
        thought = self._speaking
        other = event.redacted is not None or (
            event.id is not None and self._thought_id not in (None, event.id)
        )
        if not isinstance(thought, ThoughtItem) or other:
            events += self._fall_silent()
            summarised = wants_summary(self._context.call.body)
            self._speaking = thought = ThoughtItem(self._thought_name(event), summarised=summarised)
            events += self._place(thought)
        self._thought_id = event.id or self._thought_id
        if event.text:
            events += self._tell(thought, thought.say(event.text))
        if event.signature or event.redacted:
            thought.sealed = self._sealed(event)
            events += self._fall_silent()
        return events

    def _thought_name(self, event: ReasoningDelta) -> str:
        """Its own id where a provider of this dialect made it, once; else one that tells it is foreign."""
        taken = {item.item["id"] for item in self._items}
        own = event.id if event.origin == OPENAI_RESPONSES else None
        if own is not None and own.startswith("rs_") and own not in taken:
            return own
        return self._new_id(FOREIGN_ID)

    def _sealed(self, event: ReasoningDelta) -> str:
        if event.origin == OPENAI_RESPONSES:
            return event.signature or event.redacted or ""
        thought_id = event.id or self._thought_id
        return seal(
            Seal(origin=event.origin, signature=event.signature, redacted=event.redacted, id=thought_id)
        )

    def _call(self, event: ToolCallStarted) -> list[_Json]:
        events = self._fall_silent()
        if event.signature is not None:
            carrier = ThoughtItem(self._new_id(FOREIGN_ID), summarised=True)
            carrier.sealed = seal(Seal(signature=event.signature, call_id=event.id))
            events += self._place(carrier)
            events += self._close(carrier, "completed")
        call = CallItem(self._new_id("fc_"), call_id=event.id, name=event.name)
        self._calls[event.index] = call
        return [*events, *self._place(call)]

    def _show(self, media: Media) -> list[_Json]:
        """An image by its data, or by its address in the text; sound has no place in a Response."""
        if media.kind == "image" and media.data is not None:
            image = ImageItem(self._new_id("ig_"), media)
            return [*self._fall_silent(), *self._place(image), *self._close(image, "completed")]
        if media.url is not None:
            return self._say("output_text", f"![{media.kind}]({media.url})")
        drop(self._context.call, f"output.{media.kind}")
        return []

    # -- places -------------------------------------------------------------------------------------------

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}{self._name}_{len(self._items)}"

    def _place(self, item: Item) -> list[_Json]:
        item.place = len(self._items)
        self._items.append(item)
        self._open.append(item)
        return [self._event("output_item.added", output_index=item.place, item=dict(item.item))]

    def _tell(self, item: Item, told: Iterable[Told]) -> list[_Json]:
        item_id = item.item["id"]
        return [
            self._event(kind, item_id=item_id, output_index=item.place, **members) for kind, members in told
        ]

    def _close(self, item: Item, status: Literal["completed", "incomplete"]) -> list[_Json]:
        self._open.remove(item)
        events = self._tell(item, item.close(status))
        return [*events, self._event("output_item.done", output_index=item.place, item=item.item)]

    def _fall_silent(self) -> list[_Json]:
        """Ends the message or thought that is open."""
        speaking, self._speaking, self._thought_id = self._speaking, None, None
        return self._close(speaking, "completed") if speaking is not None else []

    def _close_all(self) -> list[_Json]:
        """What is still open; the last item was cut off, if the answer was."""
        self._speaking = None
        status, _ = ending_of(self._finish, refused=self._refused)
        cut = self._items[-1] if status == "incomplete" and self._items else None
        events: list[_Json] = []
        for item in tuple(self._open):
            events += self._close(item, "incomplete" if item is cut else "completed")
        return events
