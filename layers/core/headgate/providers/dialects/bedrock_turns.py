"""The messages of a conversation, written as Converse's `messages` and `system`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11-20). Turns take
turns, so neighbours of one role become one; a text that is blank is refused, so it is left out.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from headgate.domain.conversation import (
    Media,
    Message,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from headgate.domain.errors import CannotCarry
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, BEDROCK_CONVERSE
from headgate.providers.dialects.bedrock_families import caches_prompts, is_claude
from headgate.providers.dialects.bedrock_media import MediaWriter
from headgate.providers.dialects.carrying import MOVED_INSTRUCTIONS, drop
from headgate.providers.dialects.openai_answers import AnswerError, read_json
from headgate.providers.dialects.results_first import results_first

_OPENING = "(The conversation goes on.)"
"""In place of the user's first turn where the assistant speaks first."""
_SHOWING = "(See the document.)"
"""Beside a document there must be a text: https://docs.aws.amazon.com/bedrock/latest/APIReference/
API_runtime_Message.html (2026-11-21), `content`."""
_MAX_ID_CHARS = 64
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")


class TurnWriter:
    """Writes the messages of one request. uses_tools: whether a tool was called or answered in them.

    model: the provider's own id of the model they are for.
    """

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._turns: list[dict[str, Any]] = []
        self._system: list[dict[str, Any]] = []
        self._media = MediaWriter()
        self._caches = caches_prompts(call.model)
        self.model = call.model
        self.uses_tools = False

    def write(self, messages: Iterable[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The turns, and the system's blocks, wherever among the messages they stood.

        Raises CannotCarry naming what Bedrock can't be told.
        """
        for message in results_first(messages):
            if message.name is not None:
                drop(self._call, "messages[].name")
            if message.role is Role.SYSTEM:
                if self._turns:
                    drop(self._call, MOVED_INSTRUCTIONS)
                self._system += self._instructions(message)
                continue
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            self._add(role, [block for part in message.parts for block in self._blocks(part)])
        return self._settled()

    def _settled(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The user speaks first, even if there are only instructions to say; anything else is refused."""
        if not self._turns and self._system:
            return [{"role": "user", "content": self._system}], []
        if self._turns and self._turns[0]["role"] != "user":
            self._turns.insert(0, {"role": "user", "content": [{"text": _OPENING}]})
        for turn in self._turns:
            if any("document" in block for block in turn["content"]) and not _has_text(turn):
                turn["content"].append({"text": _SHOWING})
        return self._turns, self._system

    def cache_point(self, cache: str | None) -> list[dict[str, Any]]:
        """What stands behind a block up to which the prompt is worth caching."""
        if cache is None:
            return []
        if not self._caches:
            drop(self._call, "cache_control")
            return []
        point = {"type": "default"} | ({"ttl": cache} if cache == "1h" else {})
        return [{"cachePoint": point}]

    def _add(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        elif blocks:
            self._turns.append({"role": role, "content": blocks})

    def _instructions(self, message: Message) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in message.parts:
            if not isinstance(part, Text):
                raise CannotCarry.field("messages", "Bedrock takes instructions as text alone.")
            blocks += self._text(part)
        return blocks

    def _blocks(self, part: Any) -> list[dict[str, Any]]:
        match part:
            case Text() | Refusal():
                return self._text(part)
            case Media():
                return self._seen(part)
            case ToolCall():
                return [self._use(part)]
            case ToolResult():
                return self._result(part)
            case Reasoning():
                return self._thought(part)
            case _:
                raise CannotCarry.field("messages", f"a {type(part).__name__} has no place here.")

    def _text(self, part: Text | Refusal) -> list[dict[str, Any]]:
        if not part.text.strip():
            return []
        return [{"text": part.text}, *self.cache_point(part.cache if isinstance(part, Text) else None)]

    def _seen(self, media: Media) -> list[dict[str, Any]]:
        if media.detail not in (None, "auto"):
            drop(self._call, "messages[].content[].detail")
        return [self._media.write(media), *self.cache_point(media.cache)]

    def _use(self, call: ToolCall) -> dict[str, Any]:
        self.uses_tools = True
        return {"toolUse": {"toolUseId": _call_id(call.id), "name": call.name, "input": _arguments(call)}}

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        self.uses_tools = True
        content: list[dict[str, Any]] = []
        for part in result.parts:
            if isinstance(part, Text):
                content += [{"text": part.text}] if part.text.strip() else []
            else:
                content.append(self._media.write(part))
        written: dict[str, Any] = {"toolUseId": _call_id(result.call_id), "content": content}
        if result.is_error:
            written["status"] = "error"
        return [{"toolResult": written}, *self.cache_point(result.cache)]

    def _thought(self, thought: Reasoning) -> list[dict[str, Any]]:
        """Only what was signed, by whoever reads it: Claude, wherever it was, or a model of Bedrock's own.

        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html
        (2026-11-20).
        """
        signer = ANTHROPIC_MESSAGES if is_claude(self._call.model) else BEDROCK_CONVERSE
        if thought.redacted is not None and thought.origin == BEDROCK_CONVERSE:
            return [{"reasoningContent": {"redactedContent": thought.redacted}}]
        if thought.redacted is None and thought.signature and thought.origin == signer:
            told = {"text": thought.text, "signature": thought.signature}
            return [{"reasoningContent": {"reasoningText": told}}]
        drop(self._call, "messages[].reasoning")
        return []


def _has_text(turn: dict[str, Any]) -> bool:
    return any("text" in block for block in turn["content"])


def _call_id(told: str) -> str:
    """An id as Bedrock takes it: the same of a call and its result, and of no other call."""
    clean = _NOT_IN_IDS.sub("_", told)
    if clean == told and 0 < len(told) <= _MAX_ID_CHARS:
        return told
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{clean[: _MAX_ID_CHARS - 17]}_{digest}"


def _arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments as an object. Raises CannotCarry for what is none, as a call that was cut off."""
    try:
        value = read_json(call.arguments.encode("utf-8", "replace")) if call.arguments.strip() else {}
    except AnswerError:
        value = None
    if not isinstance(value, dict):
        raise CannotCarry.field("messages", f"the arguments of a call of {call.name} are no JSON object.")
    return value
