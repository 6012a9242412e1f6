"""Thoughts of other dialects, in the blocks that Anthropic's clients give back unread.

A client of this dialect returns `thinking` and `redacted_thinking` as they came, signatures included. What no
Claude signed is sealed into the signature, to be opened for whoever made it; to Anthropic it is never sent,
since it refuses a signature that is not its own.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.answers import ReasoningDelta
from headgate.domain.conversation import Reasoning
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES
from headgate.providers.dialects.openai_responses_sealed import Seal, seal, unseal


def is_own(thought: Reasoning | ReasoningDelta) -> bool:
    """Whether a Claude signed it, whoever serves it: https://platform.claude.com/docs/en/build-with-claude/
    extended-thinking#thinking-encryption (2026-11-20)."""
    return thought.origin == ANTHROPIC_MESSAGES


def signature_of(thought: Reasoning | ReasoningDelta) -> str:
    """What stands in a thinking block's `signature`."""
    if is_own(thought):
        return thought.signature or ""
    return seal(Seal(origin=thought.origin, signature=thought.signature, id=thought.id))


def redacted_of(thought: Reasoning | ReasoningDelta) -> str:
    """What stands in a redacted block's `data`."""
    if is_own(thought):
        return thought.redacted or ""
    return seal(Seal(origin=thought.origin, redacted=thought.redacted, id=thought.id))


def sealed_call(call_id: str, signature: str) -> dict[str, Any]:
    """The block that stands before a tool call which somebody signed."""
    return {"type": "redacted_thinking", "data": seal(Seal(signature=signature, call_id=call_id))}


def read_thinking(text: str, signature: str | None) -> Reasoning:
    """A thinking block that came back."""
    opened = unseal(signature or "")
    if opened is None:
        return Reasoning(text=text, signature=signature or None, origin=ANTHROPIC_MESSAGES)
    return Reasoning(text=text, signature=opened.signature, origin=opened.origin, id=opened.id)


def read_redacted(data: str) -> Reasoning | tuple[str, str]:
    """A redacted block that came back; or the id of a tool call, and its signature."""
    opened = unseal(data)
    if opened is None:
        return Reasoning(redacted=data, origin=ANTHROPIC_MESSAGES)
    if opened.call_id is not None:
        return opened.call_id, opened.signature or ""
    return Reasoning(redacted=opened.redacted, signature=opened.signature, origin=opened.origin, id=opened.id)


def without_foreign(messages: Any) -> Any:
    """The messages of a request without the blocks that hold another dialect's thoughts.

    The same object where there are none, so that what is handed through is not touched.
    """
    if not isinstance(messages, list) or not any(_foreign_in(message) for message in messages):
        return messages
    kept = []
    for message in messages:
        if not _foreign_in(message):
            kept.append(message)
            continue
        content = [block for block in message["content"] if not _is_foreign(block)]
        if content:
            kept.append({**message, "content": content})
    return kept


def _foreign_in(message: Any) -> bool:
    content = message.get("content") if isinstance(message, Mapping) else None
    return isinstance(content, list) and any(_is_foreign(block) for block in content)


def _is_foreign(block: Any) -> bool:
    if not isinstance(block, Mapping) or block.get("type") not in ("thinking", "redacted_thinking"):
        return False
    opaque = block.get("signature") if block["type"] == "thinking" else block.get("data")
    return isinstance(opaque, str) and unseal(opaque) is not None
