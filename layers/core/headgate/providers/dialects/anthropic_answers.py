"""Events written as a message for the client, whole or streamed.

Streamed in this order: `message_start`; for each block its start, deltas and stop; `message_delta` with the
stop reason and all usage; `message_stop`. Thoughts that no Claude signed are sealed: `anthropic_thoughts.py`.
"""

import uuid
from typing import Any

from headgate.domain.answers import (
    Answer,
    AnswerEvent,
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
from headgate.domain.conversation import Media, Part, Reasoning, Refusal, Text, ToolCall
from headgate.domain.generation import Usage
from headgate.providers.dialects.anthropic_thoughts import redacted_of, sealed_call, signature_of
from headgate.providers.dialects.anthropic_turns import input_of
from headgate.providers.dialects.anthropic_usage import write_usage
from headgate.providers.dialects.base import AnswerContext, EventWriter
from headgate.providers.dialects.media import data_url
from headgate.providers.dialects.openai_answers import well_formed, write_json

_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.PAUSE: "pause_turn",
    FinishReason.FILTERED: "refusal",
    FinishReason.REFUSAL: "refusal",
}


def write_answer(answer: Answer, context: AnswerContext) -> bytes:
    """One JSON object."""
    content = [block for part in answer.parts for block in _blocks(part)]
    refused = any(isinstance(part, Refusal) for part in answer.parts)
    message = _message(answer.id, answer.model or context.call.model, content)
    message |= _stop(answer.finish, refused=refused)
    usage = answer.usage or Usage()
    message["usage"] = write_usage(usage, context.cost_of(usage) if answer.usage is not None else None)
    return write_json(message)


def _message(message_id: str | None, model: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": message_id or f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop(finish: Finished | None, *, refused: bool) -> dict[str, Any]:
    reason = finish.reason if finish is not None else FinishReason.STOP
    if refused and reason is FinishReason.STOP:
        reason = FinishReason.REFUSAL
    return {"stop_reason": _REASONS[reason], "stop_sequence": finish.stop_sequence if finish else None}


def _blocks(part: Part) -> list[dict[str, Any]]:
    match part:
        case Text(text=text) | Refusal(text=text):
            return [{"type": "text", "text": well_formed(text)}] if text else []
        case Media():
            return [{"type": "text", "text": shown(part)}]
        case Reasoning(redacted=None):
            return [{"type": "thinking", "thinking": part.text, "signature": signature_of(part)}]
        case Reasoning():
            return [{"type": "redacted_thinking", "data": redacted_of(part)}]
        case ToolCall():
            called = {"type": "tool_use", "id": part.id, "name": part.name, "input": input_of(part.arguments)}
            signed = [sealed_call(part.id, part.signature)] if part.signature is not None else []
            return [*signed, called]
        case _:
            return []


def shown(media: Media) -> str:
    """An image or sound in an answer, for which the dialect has no block: a link in Markdown."""
    link = media.url or data_url(media)
    return f"![{media.name or media.kind}]({link})" if media.kind == "image" else f"[{media.kind}]({link})"


class MessageWriter(EventWriter):
    """One client's stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._begun = False
        self._index = -1
        self._open: str | None = None
        self._thought: ReasoningDelta | None = None
        self._calls: dict[int, int] = {}
        self._finish: Finished | None = None
        self._usage: Usage | None = None
        self._refused = False

    def feed(self, event: AnswerEvent) -> bytes:
        match event:
            case Started():
                return self._start(event)
            case Finished():
                self._finish = event
                return b""
            case Measured():
                self._usage = event.usage
                return b""
            case _:
                return self._start(Started()) + self._content(event)

    def end(self) -> bytes:
        usage = self._usage or Usage()
        cost_usd = self._context.cost_of(usage) if self._usage is not None else None
        ending = {
            "type": "message_delta",
            "delta": _stop(self._finish, refused=self._refused),
            "usage": write_usage(usage, cost_usd),
        }
        return b"".join(
            [self._start(Started()), self._close(), _framed(ending), _framed({"type": "message_stop"})]
        )

    def _start(self, event: Started) -> bytes:
        self._usage = event.usage or self._usage
        if self._begun:
            return b""
        self._begun = True
        message = _message(event.id, event.model or self._context.call.model, [])
        message["usage"] = write_usage(event.usage or Usage(), None)
        return _framed({"type": "message_start", "message": message})

    # -- blocks -------------------------------------------------------------------------------------------

    def _content(self, event: AnswerEvent) -> bytes:
        frames = b""
        match event:
            case TextDelta() | RefusalDelta():
                self._refused = self._refused or isinstance(event, RefusalDelta)
                frames = self._text(event.text)
            case MediaProduced():
                frames = self._text(shown(event.media))
            case ReasoningDelta():
                frames = self._reason(event)
            case ToolCallStarted():
                frames = self._call(event)
            case ToolCallDelta():
                frames = self._arguments(event)
            case _:
                pass
        return frames

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        begun = b"" if self._open == "text" else self._begin({"type": "text", "text": ""})
        return begun + self._delta({"type": "text_delta", "text": text})

    def _reason(self, event: ReasoningDelta) -> bytes:
        if event.redacted is not None:
            return self._begin({"type": "redacted_thinking", "data": redacted_of(event)}) + self._close()
        frames, before = b"", self._thought
        if before is None or not _goes_on(before, event):
            frames = self._begin({"type": "thinking", "thinking": "", "signature": ""})
            self._thought = event
        else:
            self._thought = _joined(before, event)
        if event.text:
            frames += self._delta({"type": "thinking_delta", "thinking": event.text})
        return frames + (self._close() if event.signature is not None else b"")

    def _call(self, event: ToolCallStarted) -> bytes:
        frames = b""
        if event.signature is not None:
            frames = self._begin(sealed_call(event.id, event.signature)) + self._close()
        frames += self._begin({"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
        self._calls[event.index] = self._index
        return frames

    def _arguments(self, event: ToolCallDelta) -> bytes:
        """To the call's own block, even if another has begun since: clients put deltas together by index."""
        delta = {"type": "input_json_delta", "partial_json": event.arguments}
        return self._delta(delta, self._calls.get(event.index, self._index)) if event.arguments else b""

    def _begin(self, block: dict[str, Any]) -> bytes:
        frames = self._close()
        self._index += 1
        self._open = block["type"]
        started = {"type": "content_block_start", "index": self._index, "content_block": block}
        return frames + _framed(started)

    def _delta(self, delta: dict[str, Any], index: int | None = None) -> bytes:
        place = self._index if index is None else index
        return _framed({"type": "content_block_delta", "index": place, "delta": delta})

    def _close(self) -> bytes:
        """Ends the open block; a thought's signature is told last, and every thought but Claude's has one."""
        if self._open is None:
            return b""
        frames, thought = b"", self._thought
        if self._open == "thinking" and thought is not None:
            signature = signature_of(thought)
            frames = self._delta({"type": "signature_delta", "signature": signature}) if signature else b""
        self._open, self._thought = None, None
        return frames + _framed({"type": "content_block_stop", "index": self._index})


def _goes_on(before: ReasoningDelta, event: ReasoningDelta) -> bool:
    return before.origin == event.origin and (before.id is None or event.id in (None, before.id))


def _joined(before: ReasoningDelta, event: ReasoningDelta) -> ReasoningDelta:
    return ReasoningDelta(
        signature=event.signature or before.signature, origin=before.origin, id=before.id or event.id
    )


def _framed(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + write_json(event) + b"\n\n"
