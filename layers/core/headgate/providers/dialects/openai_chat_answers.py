"""Events written as a chat completion for the client, whole or in chunks.

Chunks in this order: the role; text, thoughts and tool calls as they come; the finish reason, with the usage
unless the client asked for it apart; usage with empty `choices` if it did; `[DONE]`.
"""

import uuid
from decimal import Decimal
from typing import Any

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
from headgate.domain.conversation import Media, Reasoning, Refusal, ToolCall
from headgate.domain.generation import Usage
from headgate.domain.money import decimal_text
from headgate.providers.dialects.base import AnswerContext, EventWriter
from headgate.providers.dialects.media import data_url
from headgate.providers.dialects.openai_answers import well_formed, write_json
from headgate.providers.dialects.openai_chat_reasoning import all_details, details_of, details_of_call
from headgate.providers.dialects.openai_stream import TERMINATOR
from headgate.providers.dialects.speaking import openai_reason


def write_answer(answer: Answer, context: AnswerContext) -> bytes:
    """One JSON object with one choice."""
    reason = openai_reason(answer.finish.reason) if answer.finish is not None else "stop"
    written: dict[str, Any] = {
        "id": answer.id or _new_id(),
        "object": "chat.completion",
        "created": context.created,
        "model": answer.model or context.call.model,
        "choices": [
            {"index": 0, "message": _message(answer), "logprobs": None, "finish_reason": reason},
        ],
    }
    if answer.usage is not None:
        written["usage"] = write_usage(answer.usage, context.cost_of(answer.usage))
    return write_json(written)


def _message(answer: Answer) -> dict[str, Any]:
    calls = answer.tool_calls
    refusal = "".join(part.text for part in answer.parts if isinstance(part, Refusal))
    text = well_formed(answer.text)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not (calls or refusal) else None,
        "refusal": refusal or None,
    }
    thoughts = [part for part in answer.parts if isinstance(part, Reasoning)]
    visible = "".join(thought.text for thought in thoughts)
    if visible:
        message["reasoning_content"] = visible
    details = all_details(thoughts, calls)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return message | _media([part for part in answer.parts if isinstance(part, Media)])


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }


def _media(produced: list[Media]) -> dict[str, Any]:
    """Images as OpenRouter shows them, sound as OpenAI does; the last of several sounds."""
    written: dict[str, Any] = {}
    for media in produced:
        if media.kind == "audio":
            written["audio"] = {"id": f"audio_{uuid.uuid4().hex}", "data": media.data}
        else:
            image = {"type": "image_url", "image_url": {"url": media.url or data_url(media)}}
            written.setdefault("images", []).append(image)
    return written


def write_usage(usage: Usage, cost_usd: Decimal | None) -> dict[str, Any]:
    """OpenAI's usage object; unknown counts are left out where the dialect allows, else zero."""
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    written: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": usage.total_tokens if usage.total_tokens is not None else prompt + completion,
    }
    details = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    told = {name: count for name, count in details.items() if count is not None}
    if told:
        written["prompt_tokens_details"] = told
    if usage.reasoning_tokens is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if cost_usd is not None:
        written["cost"] = float(decimal_text(cost_usd))
    return written


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


class ChunkWriter(EventWriter):
    """One client's stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._id: str | None = None
        self._model = context.call.model
        self._begun = False
        self._finish: Finished | None = None
        self._usage: Usage | None = None
        self._thought = 0
        self._thinking = False

    def feed(self, event: AnswerEvent) -> bytes:
        match event:
            case Started():
                self._id, self._model = event.id or self._id, event.model or self._model
                self._usage = event.usage or self._usage
                return self._delta({}) if not self._begun else b""
            case Finished():
                self._finish = event
            case Measured():
                self._usage = event.usage
            case _:
                delta = self._delta_of(event)
                return self._delta(delta) if delta else b""
        return b""

    def end(self) -> bytes:
        reason = openai_reason(self._finish.reason) if self._finish is not None else "stop"
        finishing = self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}])
        frames = [self._delta({})] if not self._begun else []
        if self._usage is None:
            return b"".join([*frames, _framed(finishing), TERMINATOR])
        usage = write_usage(self._usage, self._context.cost_of(self._usage))
        if not self._context.call.include_usage:
            return b"".join([*frames, _framed({**finishing, "usage": usage}), TERMINATOR])
        counting = {**self._chunk([]), "usage": usage}
        return b"".join([*frames, _framed(finishing), _framed(counting), TERMINATOR])

    def _delta_of(self, event: AnswerEvent) -> dict[str, Any]:
        if isinstance(event, ReasoningDelta):
            return self._thought_of(event)
        if self._thinking:
            self._thinking = False
            self._thought += 1
        delta: dict[str, Any] = {}
        match event:
            case TextDelta():
                delta = {"content": event.text} if event.text else {}
            case RefusalDelta():
                delta = {"refusal": event.text} if event.text else {}
            case ToolCallStarted():
                delta = self._call_of(event)
            case ToolCallDelta():
                delta = {"tool_calls": [{"index": event.index, "function": {"arguments": event.arguments}}]}
            case MediaProduced():
                delta = _media([event.media])
            case _:
                pass
        return delta

    def _thought_of(self, event: ReasoningDelta) -> dict[str, Any]:
        delta: dict[str, Any] = {"reasoning_content": event.text} if event.text else {}
        details = details_of(event, self._thought)
        if details and (event.text or event.signature or event.redacted):
            delta["reasoning_details"] = details
        self._thinking = event.signature is None and event.redacted is None
        if not self._thinking:
            self._thought += 1
        return delta

    def _call_of(self, event: ToolCallStarted) -> dict[str, Any]:
        function = {"name": event.name, "arguments": ""}
        call = {"index": event.index, "id": event.id, "type": "function", "function": function}
        delta: dict[str, Any] = {"tool_calls": [call]}
        if event.signature is not None:
            delta["reasoning_details"] = [details_of_call(event.id, event.signature, self._thought)]
            self._thought += 1
        return delta

    def _delta(self, delta: dict[str, Any]) -> bytes:
        """A chunk with this delta, after the one with the role if that was not sent yet."""
        frames = b""
        if not self._begun:
            self._begun = True
            frames = self._delta({"role": "assistant", "content": ""})
        if not delta:
            return frames
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return frames + _framed(self._chunk([choice]))

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        self._id = self._id or _new_id()
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._context.created,
            "model": self._model,
            "choices": choices,
        }


def _framed(chunk: dict[str, Any]) -> bytes:
    return b"data: " + write_json(chunk) + b"\n\n"
