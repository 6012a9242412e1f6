"""The messages of a conversation, written as Anthropic's turns.

Turns alternate, so messages of one role become one turn; a tool's results come first in the user's. All
instructions go into `system`, those in the middle of a chat too: only some models take them in place.
"""

import re
from collections.abc import Iterable
from typing import Any

from headgate.domain.conversation import (
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from headgate.providers.base import ChatCall
from headgate.providers.dialects.anthropic_thoughts import is_own
from headgate.providers.dialects.base import CannotCarry
from headgate.providers.dialects.carrying import MOVED_INSTRUCTIONS, drop
from headgate.providers.dialects.media import decode_text
from headgate.providers.dialects.openai_answers import AnswerError, read_json

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""https://platform.claude.com/docs/en/build-with-claude/vision (2026-11-20)."""

_OWN_FILES = "file_"
"""How Anthropic's ids of files begin; OpenAI's begin with `file-`."""

_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
_OPENING = "(The conversation goes on.)"
"""In place of the user's first turn where the assistant speaks first, which is refused."""


class TurnWriter:
    """Writes the messages of one request."""

    def __init__(self, call: ChatCall) -> None:
        self._call = call

    def write(self, messages: Iterable[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The blocks of `system`, and the turns. Raises CannotCarry."""
        system: list[dict[str, Any]] = []
        turns: list[dict[str, Any]] = []
        for message in messages:
            if message.name is not None:
                drop(self._call, "messages[].name")
            if message.role is Role.SYSTEM:
                if turns:
                    drop(self._call, MOVED_INSTRUCTIONS)
                system += self._instructions(message.parts)
                continue
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            blocks = self._assistant(message.parts) if role == "assistant" else self._blocks(message.parts)
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += blocks
            elif blocks:
                turns.append({"role": role, "content": blocks})
        return self._settled(system, turns)

    def _settled(
        self, system: list[dict[str, Any]], turns: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The user speaks first, even if there are only instructions to say; results stand before texts."""
        if not turns:
            return [], [{"role": "user", "content": system}] if system else []
        if turns[0]["role"] != "user":
            turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _OPENING}]})
        for turn in turns:
            if turn["role"] == "user":
                turn["content"].sort(key=lambda block: block["type"] != "tool_result")
        last = turns[-1]["content"][-1]
        if turns[-1]["role"] == "assistant" and last["type"] == "text":
            last["text"] = last["text"].rstrip()
        return system, turns

    # -- parts --------------------------------------------------------------------------------------------

    def _instructions(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        if not all(isinstance(part, Text) for part in parts):
            raise CannotCarry.field("messages", "this provider takes instructions as text alone.")
        return self._blocks(parts)

    def _assistant(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Reasoning):
                blocks += self._thought(part)
            elif isinstance(part, ToolCall):
                blocks.append(self._tool_use(part))
            elif isinstance(part, Refusal):
                blocks += self._text(Text(text=part.text))
            elif isinstance(part, Text):
                blocks += self._text(part)
            else:
                raise CannotCarry.field("messages", "this provider takes media from the user alone.")
        return blocks

    def _blocks(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Text):
                blocks += self._text(part)
            elif isinstance(part, Media):
                blocks.append(self._media(part))
            elif isinstance(part, ToolResult):
                blocks.append(self._result(part))
            else:
                raise CannotCarry.field(
                    "messages", f"a part of kind {type(part).__name__} has no place here."
                )
        return blocks

    def _text(self, text: Text) -> list[dict[str, Any]]:
        """Nothing for a text without a word in it, which is refused."""
        if not text.text.strip():
            return []
        return [_marked({"type": "text", "text": text.text}, text.cache)]

    def _thought(self, thought: Reasoning) -> list[dict[str, Any]]:
        """Only what a Claude signed: anything else is refused."""
        if is_own(thought) and thought.redacted is not None:
            return [{"type": "redacted_thinking", "data": thought.redacted}]
        if is_own(thought) and thought.signature is not None:
            return [{"type": "thinking", "thinking": thought.text, "signature": thought.signature}]
        drop(self._call, "messages[].reasoning")
        return []

    def _tool_use(self, call: ToolCall) -> dict[str, Any]:
        return {
            "type": "tool_use",
            "id": tool_id(call.id),
            "name": call.name,
            "input": input_of(call.arguments),
        }

    def _result(self, result: ToolResult) -> dict[str, Any]:
        written: dict[str, Any] = {"type": "tool_result", "tool_use_id": tool_id(result.call_id)}
        content = self._blocks(result.parts)
        if content:
            written["content"] = content
        if result.is_error:
            written["is_error"] = True
        return _marked(written, result.cache)

    def _media(self, media: Media) -> dict[str, Any]:
        if media.kind not in ("image", "file"):
            raise CannotCarry.field("messages", f"this provider takes no {media.kind}.")
        if media.detail not in (None, "auto"):
            drop(self._call, "messages[].content[].detail")
        written: dict[str, Any] = {"type": "image" if media.kind == "image" else "document"}
        written["source"] = self._source(media)
        if media.name is not None and media.kind == "file":
            written["title"] = media.name
        return _marked(written, media.cache)

    def _source(self, media: Media) -> dict[str, Any]:
        if media.file_id is not None:
            if not media.file_id.startswith(_OWN_FILES):
                raise CannotCarry.field("messages", "the file lies with another provider; send its content.")
            return {"type": "file", "file_id": media.file_id}
        if media.url is not None:
            return {"type": "url", "url": media.url}
        text = decode_text(media)
        if media.kind == "file" and text is not None:
            return {"type": "text", "media_type": "text/plain", "data": text}
        mime_type = "image/jpeg" if media.mime_type == "image/jpg" else media.mime_type
        taken = IMAGE_TYPES if media.kind == "image" else {"application/pdf"}
        if mime_type not in taken:
            raise CannotCarry.field("messages", f"this provider takes no {media.kind} of type {mime_type}.")
        return {"type": "base64", "media_type": mime_type, "data": media.data}


def tool_id(call_id: str) -> str:
    """An id with the characters that are allowed in one; the same for a call and its result."""
    return _NO_ID.sub("_", call_id) or "_"


def cache_control(cache: str) -> dict[str, str]:
    """Five minutes is the default."""
    return {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}


def _marked(block: dict[str, Any], cache: str | None) -> dict[str, Any]:
    if cache is not None:
        block["cache_control"] = cache_control(cache)
    return block


def input_of(arguments: str) -> dict[str, Any]:
    """The arguments as an object; what a model wrote that is none is shown as it is."""
    if not arguments.strip():
        return {}
    try:
        value = read_json(arguments.encode("utf-8", "surrogatepass"))
    except AnswerError:
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}
