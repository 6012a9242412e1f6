"""Reading what Gemini answers: chunks into events, usage, and why it ended. Pure.

https://ai.google.dev/api/generate-content#GenerateContentResponse (2026-11-20). A whole answer is one chunk;
a streamed one is several, of which each counts the tokens so far.

Left out, as no other dialect's answer has a place for them: code that was run on the provider's side and its
results, tools that were called there, grounding and citations, and drafts of images within a thought. What
the model says about them is in its text.
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
    Started,
    TextDelta,
    is_content,
)
from headgate.domain.conversation import Media
from headgate.domain.errors import HeadgateError, ProviderFailed, ProviderRejected
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import GEMINI, AnswerContext, EventReader
from headgate.providers.dialects.carrying import CITATIONS, drop_output
from headgate.providers.dialects.gemini_calls import CallReader, MalformedCall
from headgate.providers.dialects.gemini_media import kind_of
from headgate.providers.dialects.openai_answers import AnswerError, malformed, read_json, write_json
from headgate.providers.dialects.sse import SseEvent, SseOverflow, SseParser

_SEED_CHARS = 26
"""OpenAI takes ids of up to 40 characters back."""

# https://ai.google.dev/api/generate-content#FinishReason (2026-11-20).
_REASONS: Mapping[str, FinishReason] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.FILTERED,
    "RECITATION": FinishReason.FILTERED,
    "LANGUAGE": FinishReason.FILTERED,
    "BLOCKLIST": FinishReason.FILTERED,
    "PROHIBITED_CONTENT": FinishReason.FILTERED,
    "SPII": FinishReason.FILTERED,
    "IMAGE_SAFETY": FinishReason.FILTERED,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.FILTERED,
    "IMAGE_RECITATION": FinishReason.FILTERED,
    "MODEL_ARMOR": FinishReason.FILTERED,
}

_PROVIDERS_OWN = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})
"""What was run or called on Google's side: https://ai.google.dev/api/caching#Part (2026-11-20)."""

_BROKEN = frozenset(
    {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}
)
"""The model broke off over its own output: nothing of it can be used, and another try may succeed."""


def read_usage(usage: Mapping[str, Any]) -> Usage | None:
    """Tokens in our convention; None where nothing is told, as in chunks that name only the traffic's type.

    Thoughts are counted beside the candidates and are output; prompts of Google's own tools are counted
    beside the prompt and are input. All four come to the total (recorded).
    """
    prompt, total = _count(usage, "promptTokenCount"), _count(usage, "totalTokenCount")
    candidates, thoughts = _count(usage, "candidatesTokenCount"), _count(usage, "thoughtsTokenCount")
    if prompt is None and total is None and candidates is None and thoughts is None:
        return None
    given = None if prompt is None else prompt + (_count(usage, "toolUsePromptTokenCount") or 0)
    made = None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0)
    if total is not None and given is not None:
        made = max(made or 0, total - given)
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=_count(usage, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        total_tokens=total,
    )


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class ChunkReader:
    """Turns the chunks of one answer into events. After `Failed` there are no more."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._calls = CallReader()
        self._seed = ""
        self._usage: Usage | None = None
        self._reason: str | None = None
        self._has_content = False
        self.failed = False

    def read(self, chunk: Any) -> list[AnswerEvent]:
        """Raises nothing: what is wrong comes as `Failed`."""
        if self.failed:
            return []
        if not isinstance(chunk, Mapping):
            return self.fail(malformed("is not a JSON object"))
        if chunk.get("error"):
            return self.fail(self._context.judge(chunk))
        events = self._start(chunk) + self._measure(chunk)
        blocked = _mapping(chunk, "promptFeedback").get("blockReason")
        if blocked:
            refused = ProviderRejected(
                f"Gemini blocked the prompt: {_word(blocked)}.", code="content_filtered"
            )
            return events + self.fail(refused)
        try:
            events += self._candidate(chunk)
        except MalformedCall as error:
            return events + self.fail(malformed(f"has a function call that {error}"))
        self._has_content = self._has_content or any(is_content(event) for event in events)
        return events

    def end(self) -> list[AnswerEvent]:
        """What ends the answer: `Finished`, or `Failed` if it never said why it ended."""
        if self.failed:
            return []
        events = self._calls.close()
        reason = self._reason
        if reason is None:
            return events + self.fail(malformed("ended without a finish reason"))
        if reason in _BROKEN:
            return events + self.fail(malformed(f"broke off: {reason}"))
        if reason == "MISSING_THOUGHT_SIGNATURE":
            return events + self.fail(
                ProviderRejected("Gemini misses the signature of an earlier thought.", may_have_run=True)
            )
        known = _REASONS.get(reason)
        if known is None and not self._has_content:
            return events + self.fail(
                ProviderFailed(f"Gemini answered nothing: {reason}.", may_have_run=True)
            )
        if known in (FinishReason.STOP, None) and self._calls.count:
            known = FinishReason.TOOL_CALLS
        return [*events, Finished(reason=known or FinishReason.STOP, native=reason)]

    def fail(self, error: HeadgateError) -> list[AnswerEvent]:
        self.failed = True
        return [Failed(error=error)]

    def _start(self, chunk: Mapping[str, Any]) -> list[AnswerEvent]:
        if self._seed:
            return []
        answer_id, model = chunk.get("responseId"), chunk.get("modelVersion")
        answer_id = answer_id if isinstance(answer_id, str) and answer_id else None
        self._seed = _seed_of(answer_id, chunk)
        return [Started(id=answer_id, model=model if isinstance(model, str) and model else None)]

    def _measure(self, chunk: Mapping[str, Any]) -> list[AnswerEvent]:
        told = chunk.get("usageMetadata")
        usage = self._context.usage_of(told, _usage_or_none) if isinstance(told, Mapping) else None
        if usage is None or usage in (self._usage, Usage()):
            return []
        self._usage = usage
        return [Measured(usage=usage)]

    def _candidate(self, chunk: Mapping[str, Any]) -> list[AnswerEvent]:
        """The events of the first candidate; more than one is never asked for."""
        candidates = chunk.get("candidates")
        candidate = next(
            (
                each
                for each in (candidates if isinstance(candidates, list) else ())
                if isinstance(each, Mapping) and not each.get("index")
            ),
            {},
        )
        if _mapping(candidate, "groundingMetadata") or _mapping(candidate, "citationMetadata"):
            drop_output(self._context.call, CITATIONS)
        parts = _mapping(candidate, "content").get("parts")
        events: list[AnswerEvent] = []
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                events += self._part(part)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            self._reason = _word(reason)
        return events

    def _part(self, part: Mapping[str, Any]) -> list[AnswerEvent]:
        if "functionCall" in part:
            return self._calls.read(part, self._seed)
        events = self._calls.close()
        text, signature = part.get("text"), part.get("thoughtSignature")
        signature = signature if isinstance(signature, str) and signature else None
        if isinstance(text, str):
            return events + _text_events(text, signature, thought=part.get("thought") is True)
        for kind in _PROVIDERS_OWN & part.keys():
            drop_output(self._context.call, kind)
        media = None if part.get("thought") is True else _read_media(part)
        return [*events, MediaProduced(media=media)] if media is not None else events


class GeminiEventReader(EventReader):
    """The events of a stream; it has no last event of its own, so the end of the answer is that of the bytes.

    An array of chunks, as it comes without `alt=sse`, is read as well.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._parser = SseParser()
        self._chunks = ChunkReader(context)
        self._ended = False

    @property
    def finished(self) -> bool:
        return self._ended or self._chunks.failed

    def feed(self, data: bytes) -> list[AnswerEvent]:
        if self.finished:
            return []
        try:
            return self._read(self._parser.feed(data))
        except SseOverflow:
            return self._chunks.fail(malformed("has an event that is too large"))

    def end(self) -> list[AnswerEvent]:
        if self.finished:
            return []
        try:
            events = self._read(self._parser.end())
        except SseOverflow:
            events = self._chunks.fail(malformed("has an event that is too large"))
        self._ended = True
        return events + self._chunks.end()

    def _read(self, told: list[SseEvent]) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        for event in told:
            if event.data.strip() == b"[DONE]":
                continue  # Google says none, but servers in between may
            try:
                value = read_json(event.data)
            except AnswerError:
                return events + self._chunks.fail(malformed("has an event that is not JSON"))
            for chunk in value if isinstance(value, list) else [value]:
                events += self._chunks.read(chunk)
        return events


def _text_events(text: str, signature: str | None, *, thought: bool) -> list[AnswerEvent]:
    """A text's own signature speaks of the thought before it, and so comes before it."""
    if thought:
        return [ReasoningDelta(text=text, signature=signature, origin=GEMINI)] if text or signature else []
    events: list[AnswerEvent] = []
    if signature is not None:
        events.append(ReasoningDelta(signature=signature, origin=GEMINI))
    if text:
        events.append(TextDelta(text=text))
    return events


def _read_media(part: Mapping[str, Any]) -> Media | None:
    """An image or sound, as data or by its address."""
    inline, file = _mapping(part, "inlineData"), _mapping(part, "fileData")
    data, url = inline.get("data"), file.get("fileUri")
    mime_type = inline.get("mimeType") if data else file.get("mimeType")
    mime_type = mime_type if isinstance(mime_type, str) and mime_type else None
    if isinstance(data, str) and data:
        return Media(kind=kind_of(mime_type or ""), data=data, mime_type=mime_type)
    if isinstance(url, str) and url:
        return Media(kind=kind_of(mime_type or ""), url=url, mime_type=mime_type)
    return None


def _usage_or_none(usage: Mapping[str, Any]) -> Usage:
    return read_usage(usage) or Usage()


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _word(value: Any) -> str:
    """One of Gemini's constants; whatever else stands there is not repeated."""
    text = value if isinstance(value, str) else ""
    return text if text.isascii() and text.replace("_", "").isalnum() and len(text) < 60 else "UNKNOWN"


def _seed_of(answer_id: str | None, chunk: Mapping[str, Any]) -> str:
    """What tells this answer's calls from another's, the same however the stream is cut."""
    named = "".join(c for c in answer_id or "" if c.isascii() and (c.isalnum() or c in "-_"))
    return named[:_SEED_CHARS] or hashlib.sha256(write_json(chunk)).hexdigest()[:_SEED_CHARS]
