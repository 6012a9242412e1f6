"""Thoughts in chat completions, which OpenAI's own dialect has no field for.

Visible text goes by `reasoning_content`, DeepSeek's field (https://api-docs.deepseek.com/guides/thinking_mode,
2026-11-20), or `reasoning`, Ollama's and OpenRouter's. What a model signed must come back unchanged with the
next turn; for that there is OpenRouter's `reasoning_details`
(https://openrouter.ai/docs/use-cases/reasoning-tokens, 2026-11-20), whose `format` says who signed it. A
signature that belongs to a tool call is an encrypted detail with the call's id.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from headgate.domain.answers import ReasoningDelta
from headgate.domain.conversation import Reasoning, ToolCall
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI, OPENAI_RESPONSES

_FORMAT_OF = {
    ANTHROPIC_MESSAGES: "anthropic-claude-v1",
    OPENAI_RESPONSES: "openai-responses-v1",
    GEMINI: "google-gemini-v1",
}
_ORIGIN_OF = {name: origin for origin, name in _FORMAT_OF.items()}
_CONTENT = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}
_DEFAULT_FORMAT = _FORMAT_OF[ANTHROPIC_MESSAGES]
"""Of a signed detail that names none, as OpenRouter's older answers did not (recorded)."""


# -- as they come -----------------------------------------------------------------------------------------


def read_reasoning(message: Mapping[str, Any]) -> list[Reasoning]:
    """The thoughts of a message, whole, in order; those that belong to its tool calls are left out."""
    calls = _call_ids(message)
    found: list[Reasoning] = []
    index: Any = None
    for detail in _details(message):
        if _call_of(detail, calls) is not None:
            continue
        read, last = _read_detail(detail), found[-1] if found else None
        if last is not None and _goes_on(last, read, same_index=detail.get("index") == index):
            found[-1] = replace(
                last,
                text=last.text + read.text,
                signature=read.signature,
                origin=read.origin or last.origin,
                id=read.id or last.id,
            )
        else:
            found.append(read)
        index = detail.get("index")
    text = reasoning_text(message)
    if text and not any(each.text for each in found):
        lacking = bool(found) and found[0].redacted is None
        found = [replace(found[0], text=text), *found[1:]] if lacking else [Reasoning(text=text), *found]
    return found


def read_deltas(delta: Mapping[str, Any]) -> list[ReasoningDelta]:
    """The thoughts of one chunk, but for those of tool calls."""
    calls = _call_ids(delta)
    found: list[ReasoningDelta] = []
    for detail in _details(delta):
        if _call_of(detail, calls) is not None:
            continue
        read = _read_detail(detail)
        found.append(
            ReasoningDelta(
                text=read.text,
                signature=read.signature,
                redacted=read.redacted,
                origin=read.origin,
                id=read.id,
            )
        )
    text = reasoning_text(delta)
    if text and not any(each.text for each in found):
        found.insert(0, ReasoningDelta(text=text))
    return found


def call_signatures(message: Mapping[str, Any]) -> dict[str, str]:
    """Signatures by the id of the tool call that they belong to."""
    calls = _call_ids(message)
    signed = {}
    for detail in _details(message):
        call_id = _call_of(detail, calls)
        if call_id is not None:
            signed[call_id] = detail["data"]
    return signed


def google_signature(call: Mapping[str, Any]) -> str | None:
    """What Gemini's compatible API puts beside a tool call.

    https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-20).
    """
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    signature = google.get("thought_signature") if isinstance(google, Mapping) else None
    return signature if isinstance(signature, str) and signature else None


def reasoning_text(message: Mapping[str, Any]) -> str:
    """The visible text, by whichever name."""
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return text
    return ""


# -- as they go -------------------------------------------------------------------------------------------


def details_of(
    reasoning: Reasoning | ReasoningDelta, index: int, *, unsigned: bool = False
) -> list[dict[str, Any]]:
    """What `reasoning_details` says of a thought or a piece of one.

    Nothing, unless `unsigned`, where nobody signed it: there is nothing to be given back then.
    """
    signed = reasoning.origin is not None or reasoning.signature is not None or reasoning.redacted is not None
    if not signed and not unsigned:
        return []
    common: dict[str, Any] = {"format": _format_of(reasoning.origin), "index": index}
    if reasoning.id is not None:
        common["id"] = reasoning.id
    found: list[dict[str, Any]] = []
    if reasoning.redacted is not None:
        found.append({"type": "reasoning.encrypted", "data": reasoning.redacted, **common})
    elif reasoning.origin == OPENAI_RESPONSES:
        if reasoning.text or reasoning.signature is None:
            found.append({"type": "reasoning.summary", "summary": reasoning.text, **common})
        if reasoning.signature is not None:
            found.append({"type": "reasoning.encrypted", "data": reasoning.signature, **common})
    else:
        detail = {"type": "reasoning.text", "text": reasoning.text, **common}
        if reasoning.signature is not None:
            detail["signature"] = reasoning.signature
        found.append(detail)
    return found


def details_of_call(call_id: str, signature: str, index: int) -> dict[str, Any]:
    """The detail that carries a tool call's signature; only Gemini signs those."""
    return {
        "type": "reasoning.encrypted",
        "data": signature,
        "id": call_id,
        "format": _FORMAT_OF[GEMINI],
        "index": index,
    }


def all_details(thoughts: Iterable[Reasoning], calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    """`reasoning_details` of a whole message; empty where there is nothing to be given back."""
    thoughts = list(thoughts)
    signed = any(details_of(thought, 0) for thought in thoughts)
    found: list[dict[str, Any]] = []
    if signed:
        for index, thought in enumerate(thoughts):
            found += details_of(thought, index, unsigned=True)
    index = len(thoughts)
    for call in calls:
        if call.signature is not None:
            found.append(details_of_call(call.id, call.signature, index))
            index += 1
    return found


# -- details ----------------------------------------------------------------------------------------------


def _details(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries that can be read; of the others nothing depends."""
    value = message.get("reasoning_details")
    found = []
    for detail in value if isinstance(value, list) else ():
        kind = detail.get("type") if _is_object(detail) else None
        content = _CONTENT.get(kind) if isinstance(kind, str) else None
        signed = kind == "reasoning.text" and isinstance(detail.get("signature"), str)
        if content is not None and (signed or isinstance(detail.get(content), str)):
            found.append(detail)
    return found


def _read_detail(detail: Mapping[str, Any]) -> Reasoning:
    """One detail. OpenAI's encrypted ones are the signature of the summary that may stand before them."""
    kind, detail_id = detail["type"], detail.get("id")
    encrypted = kind == "reasoning.encrypted"
    content = detail.get(_CONTENT[kind])
    signature = None if encrypted else detail.get("signature")
    signed = isinstance(signature, str) and bool(signature)
    origin = _origin_of(detail.get("format"), opaque=signed or encrypted)
    text = content if isinstance(content, str) else ""
    if encrypted and origin == OPENAI_RESPONSES:
        signature, signed = text, True
    return Reasoning(
        text="" if encrypted else text,
        signature=signature if signed else None,
        redacted=text if encrypted and not signed else None,
        origin=origin,
        id=detail_id if isinstance(detail_id, str) else None,
    )


def _goes_on(last: Reasoning, read: Reasoning, *, same_index: bool) -> bool:
    """Whether a detail continues the one before it: some clients keep a streamed thought in pieces."""
    opened = last.signature is None and last.redacted is None and read.redacted is None
    if not opened or last.origin not in (read.origin, None):
        return False
    if last.id is not None and read.id not in (None, last.id):
        return False
    return same_index or (read.signature is not None and not read.text)


def _call_ids(message: Mapping[str, Any]) -> set[str]:
    calls = message.get("tool_calls")
    return {
        call["id"]
        for call in (calls if isinstance(calls, list) else ())
        if _is_object(call) and isinstance(call.get("id"), str)
    }


def _call_of(detail: Mapping[str, Any], calls: set[str]) -> str | None:
    detail_id = detail.get("id")
    if detail["type"] != "reasoning.encrypted" or not isinstance(detail_id, str):
        return None
    return detail_id if detail_id in calls else None


def _format_of(origin: str | None) -> str:
    return _FORMAT_OF.get(origin, origin) if origin is not None else "unknown"


def _origin_of(name: Any, *, opaque: bool) -> str | None:
    if name == "unknown":
        return None
    if isinstance(name, str) and name:
        return _ORIGIN_OF.get(name, name)
    return _ORIGIN_OF[_DEFAULT_FORMAT] if opaque else None


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)
