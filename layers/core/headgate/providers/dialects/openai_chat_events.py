"""What a provider answers in chat completions, whole or streamed, read into events.

Only the first choice: more than one can't be asked for across dialects.
"""

import hashlib
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
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media
from headgate.providers.base import StreamEvent
from headgate.providers.dialects import openai_answers
from headgate.providers.dialects.base import GEMINI, AnswerContext, EventReader
from headgate.providers.dialects.carrying import CITATIONS, drop_output
from headgate.providers.dialects.media import split_data_url
from headgate.providers.dialects.openai_chat_reasoning import (
    call_signatures,
    google_signature,
    read_deltas,
    read_reasoning,
)
from headgate.providers.dialects.openai_stream import TERMINATOR, OpenAIStreamReader, StreamRules
from headgate.providers.dialects.sse import SseParser

_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.FILTERED,
}


def read_answer(body: bytes, context: AnswerContext) -> list[AnswerEvent]:
    """A whole answer. Raises what an error inside it means, or ProviderFailed (`provider_protocol`)."""
    body = openai_answers.trim(body)
    answer = openai_answers.read_answer(body)
    choice = choices_of(answer, context)[0]
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {}
    calls = _Calls(_text(answer.get("id")) or "")
    calls.take_details(message)
    events: list[AnswerEvent] = [Started(id=_text(answer.get("id")), model=_text(answer.get("model")))]
    events += [
        ReasoningDelta(text=r.text, signature=r.signature, redacted=r.redacted, origin=r.origin, id=r.id)
        for r in read_reasoning(calls.without_taken(message))
    ]
    events += _content_events(message)
    _note_left_out(message, context)
    events += calls.read(message)
    events += calls.flush()
    events.append(_finish(choice, calls))
    usage = answer.get("usage")
    if isinstance(usage, Mapping):
        exact = openai_answers.exact_usage(body, usage)
        events.append(Measured(usage=context.usage_of(exact, openai_answers.read_usage)))
    return events


def choices_of(answer: Mapping[str, Any], context: AnswerContext) -> list[dict[str, Any]]:
    """The choices of a whole answer, at least one. Raises what an error in or beside them means."""
    if answer.get("error"):
        raise context.judge(answer)
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(c, dict) for c in choices):
        raise openai_answers.malformed("has no choices")
    for choice in choices:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise context.judge(choice)
    return choices


class ChunkReader(EventReader):
    """A streamed answer. What is a failure or a cut stream is for OpenAIStreamReader to judge."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._stream = OpenAIStreamReader(
            StreamRules(
                price=lambda _usage: None,
                judge=context.judge,
                read_usage=lambda usage: context.usage_of(usage, openai_answers.read_usage),
                include_usage=True,
            )
        )
        self._sse = SseParser()
        self._calls = _Calls("")
        self._started = False
        self._failed = False
        self._finish: Finished | None = None

    @property
    def finished(self) -> bool:
        return self._stream.finished

    def feed(self, data: bytes) -> list[AnswerEvent]:
        return self._read(self._stream.feed(data))

    def end(self) -> list[AnswerEvent]:
        events = self._read(self._stream.end())
        if self._failed:
            return events
        usage = self._stream.outcome.usage
        closing: list[AnswerEvent] = [] if self._started else [Started()]
        closing += self._calls.flush()
        closing.append(self._finish or _finish({}, self._calls))
        if usage is not None:
            closing.append(Measured(usage=usage))
        return events + closing

    def _read(self, steps: list[StreamEvent]) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        for step in steps:
            if step.error is not None:
                self._failed = True
                return [*events, Failed(error=step.error)]
            if step.data != TERMINATOR:
                for sse in self._sse.feed(step.data):
                    events += self._chunk(openai_answers.read_json(sse.data))
        return events

    def _chunk(self, chunk: Mapping[str, Any]) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        if not self._started:
            self._started = True
            self._calls = _Calls(_text(chunk.get("id")) or "")
            events.append(Started(id=_text(chunk.get("id")), model=_text(chunk.get("model"))))
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping) or choice.get("index") not in (None, 0):
                continue
            delta = choice.get("delta")
            if isinstance(delta, Mapping):
                events += self._calls.take_details(delta)
                events += [each for each in read_deltas(self._calls.without_taken(delta)) if _says(each)]
                events += _content_events(delta)
                _note_left_out(delta, self._context)
                events += self._calls.read(delta)
            if choice.get("finish_reason"):
                self._finish = _finish(choice, self._calls)
        return events


# -- messages and deltas ----------------------------------------------------------------------------------


def _content_events(message: Mapping[str, Any]) -> list[AnswerEvent]:
    """Text, refusal, images and sound of a message or a delta."""
    events: list[AnswerEvent] = []
    text = openai_answers.text_of(message.get("content"))
    if text:
        events.append(TextDelta(text=text))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        events.append(RefusalDelta(text=refusal))
    images = message.get("images")
    for image in images if isinstance(images, list) else ():
        media = _image(image)
        events += [MediaProduced(media=media)] if media is not None else []
    audio = message.get("audio")
    if isinstance(audio, Mapping) and isinstance(audio.get("data"), str):
        events.append(MediaProduced(media=Media(kind="audio", data=audio["data"], mime_type="audio/wav")))
    return events


def _note_left_out(message: Mapping[str, Any], context: AnswerContext) -> None:
    if message.get("annotations"):
        drop_output(context.call, CITATIONS)


def _image(image: Any) -> Media | None:
    """As OpenRouter does: https://openrouter.ai/docs/features/multimodal/image-generation (2026-11-20)."""
    inner = image.get("image_url") if isinstance(image, Mapping) else None
    url = inner.get("url") if isinstance(inner, Mapping) else None
    if not isinstance(url, str):
        return None
    split = split_data_url(url)
    return Media(kind="image", mime_type=split[0], data=split[1]) if split else Media(kind="image", url=url)


def _finish(choice: Mapping[str, Any], calls: "_Calls") -> Finished:
    """Why it ended. A stop after tool calls is one for them: OpenAI says `stop` where a call was forced."""
    told = _text(choice.get("finish_reason"))
    reason = _REASONS.get(told or "stop", FinishReason.STOP)
    if reason is FinishReason.STOP and calls.any:
        reason = FinishReason.TOOL_CALLS
    hit = choice.get("stop_reason")  # vLLM's: https://docs.vllm.ai/en/latest/serving/openai_compatible_server
    if reason is FinishReason.STOP and isinstance(hit, str):
        return Finished(reason=FinishReason.STOP_SEQUENCE, native=told, stop_sequence=hit)
    return Finished(reason=reason, native=_text(choice.get("native_finish_reason")) or told)


def _says(delta: ReasoningDelta) -> bool:
    return bool(delta.text or delta.signature or delta.redacted)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# -- tool calls -------------------------------------------------------------------------------------------


class _Open:
    """A call so far. While its name has not come, its arguments wait."""

    def __init__(self, index: int, call_id: str) -> None:
        self.index = index
        self.id = call_id
        self.started = False
        self.argued = False
        self.waiting: list[str] = []
        self.signature: str | None = None


class _Calls:
    """Puts tool calls in order: pieces belong by index, by id where a server numbers every call 0, or none.

    A call without an id, as Gemini's compatible API gives them (recorded), gets one made from the answer's.
    """

    def __init__(self, answer_id: str) -> None:
        self._answer_id = answer_id
        self._open: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._signatures: dict[str, str] = {}

    @property
    def any(self) -> bool:
        return bool(self._open)

    def take_details(self, message: Mapping[str, Any]) -> list[AnswerEvent]:
        """Keeps signatures of calls that may still come; one that comes late is a thought with that id."""
        events: list[AnswerEvent] = []
        ours = call_signatures(message)
        started = {call.id for call in self._open if call.started}
        for detail in _gemini_details(message):
            if detail["id"] in started and detail["id"] not in ours:
                events.append(ReasoningDelta(redacted=detail["data"], origin=GEMINI, id=detail["id"]))
            else:
                ours[detail["id"]] = detail["data"]
        self._signatures |= ours
        return events

    def without_taken(self, delta: Mapping[str, Any]) -> Mapping[str, Any]:
        """The delta without the details that `take_details` has taken."""
        taken = [id(detail) for detail in _gemini_details(delta)]
        if not taken:
            return delta
        return {**delta, "reasoning_details": [d for d in delta["reasoning_details"] if id(d) not in taken]}

    def read(self, message: Mapping[str, Any]) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        pieces = message.get("tool_calls")
        older = message.get("function_call")
        if not isinstance(pieces, list):
            pieces = [{"index": 0, "function": older}] if isinstance(older, Mapping) else []
        for piece in pieces:
            if isinstance(piece, Mapping):
                events += self._piece(piece)
        return events

    def flush(self) -> list[AnswerEvent]:
        """Calls that never got a name, or arguments; and signatures that never got a call."""
        events: list[AnswerEvent] = []
        for call in self._open:
            if not call.started:
                events += self._start(call, "")
            if not call.argued:
                events.append(ToolCallDelta(index=call.index, arguments="{}"))
        for call_id, data in self._signatures.items():
            events.append(ReasoningDelta(redacted=data, origin=GEMINI, id=call_id))
        self._signatures = {}
        return events

    def _piece(self, piece: Mapping[str, Any]) -> list[AnswerEvent]:
        function = piece.get("function")
        function = function if isinstance(function, Mapping) else {}
        name, arguments = _text(function.get("name")), function.get("arguments")
        call = self._call_of(piece, named=name is not None)
        call.signature = google_signature(piece) or call.signature
        if isinstance(arguments, Mapping):
            arguments = openai_answers.write_json(arguments).decode()
        events: list[AnswerEvent] = []
        if isinstance(arguments, str) and arguments:
            call.waiting.append(arguments)
            call.argued = True
        if not call.started and name is not None:
            events += self._start(call, name)
        elif call.started:
            events += self._waiting(call)
        return events

    def _call_of(self, piece: Mapping[str, Any], *, named: bool) -> _Open:
        """The call that a piece is of. Without index and id, a name begins one; else the last goes on."""
        index, call_id = piece.get("index"), _text(piece.get("id"))
        call: _Open | None = None
        if isinstance(index, int):
            call = self._by_index.get(index)
        elif self._open and call_id is None and not named:
            call = self._open[-1]
        if call is None or (call_id is not None and call.id != call_id):
            place = len(self._open)
            call = _Open(place, call_id or self._made_id(place))
            self._open.append(call)
            if isinstance(index, int):
                self._by_index[index] = call
        return call

    def _made_id(self, place: int) -> str:
        digest = hashlib.sha256(f"{self._answer_id}/{place}".encode()).hexdigest()
        return f"call_{digest[:24]}"

    def _start(self, call: _Open, name: str) -> list[AnswerEvent]:
        call.started = True
        signature = call.signature or self._signatures.pop(call.id, None)
        self._signatures.pop(call.id, None)
        started = ToolCallStarted(index=call.index, id=call.id, name=name, signature=signature)
        return [started, *self._waiting(call)]

    def _waiting(self, call: _Open) -> list[AnswerEvent]:
        waiting, call.waiting = call.waiting, []
        return [ToolCallDelta(index=call.index, arguments=piece) for piece in waiting]


def _gemini_details(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Signatures of Gemini's that name the tool call they belong to, as OpenRouter gives them."""
    details = message.get("reasoning_details")
    return [
        detail
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, Mapping)
        and detail.get("type") == "reasoning.encrypted"
        and detail.get("format") == "google-gemini-v1"
        and isinstance(detail.get("id"), str)
        and isinstance(detail.get("data"), str)
    ]
