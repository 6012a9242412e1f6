"""The messages of a conversation, written as Gemini's `contents` and `systemInstruction`.

https://ai.google.dev/api/caching#Content (2026-11-20). Turns alternate, so neighbours of one role become one;
the results of one turn's calls must be together in the turn that follows it.
"""

from collections.abc import Iterable, Sequence
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
from headgate.providers.dialects.base import GEMINI
from headgate.providers.dialects.carrying import MOVED_INSTRUCTIONS, drop
from headgate.providers.dialects.gemini_families import checks_signatures, takes_tool_media
from headgate.providers.dialects.gemini_media import write_media
from headgate.providers.dialects.openai_answers import AnswerError, read_json
from headgate.providers.dialects.results_first import results_first

FOREIGN_SIGNATURE = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv"
"""For a call that no Gemini model signed, or whose client lost the signature: Gemini 3 wants one.

The words are Google's, in base64 as the field is bytes (accepted by gemini-3-pro-preview, recorded):
https://ai.google.dev/gemini-api/docs/thought-signatures#faqs (2026-11-20).
"""


class TurnWriter:
    """Writes the messages of one request."""

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._contents: list[dict[str, Any]] = []
        self._system: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}

    def write(self, messages: Iterable[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The contents, and the parts of the system instruction, wherever among the messages they stood.

        Raises CannotCarry naming what Gemini can't be told.
        """
        for message in results_first(messages):
            if message.name is not None:
                drop(self._call, "messages[].name")
            if message.role is Role.SYSTEM:
                if self._contents:
                    drop(self._call, MOVED_INSTRUCTIONS)
                self._system += self._instructions(message)
            elif message.role is Role.ASSISTANT:
                self._add("model", self._answer(message))
            else:
                self._add("user", [part for each in message.parts for part in self._question(each)])
        if not self._contents or self._contents[0]["role"] == "model":
            # Something must be asked before it is answered; an empty text will do (recorded).
            self._contents.insert(0, {"role": "user", "parts": [{"text": ""}]})
        return self._contents, self._system

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        """Nothing for a message that says nothing: a turn without parts is refused."""
        if self._contents and self._contents[-1]["role"] == role:
            self._contents[-1]["parts"] += parts
        elif parts:
            self._contents.append({"role": role, "parts": parts})

    def _instructions(self, message: Message) -> list[dict[str, Any]]:
        parts = []
        for part in message.parts:
            if not isinstance(part, Text):
                raise CannotCarry.field("messages", "Gemini takes instructions as text alone.")
            self._unmarked(part.cache)
            parts.append({"text": part.text})
        return parts

    # -- what the user says -------------------------------------------------------------------------------

    def _question(self, part: Any) -> list[dict[str, Any]]:
        if isinstance(part, Text | Refusal):
            return self._text(part)
        if isinstance(part, Media):
            return [self._media(part)]
        if isinstance(part, ToolResult):
            return self._result(part)
        raise CannotCarry.field("messages", f"a part of kind {type(part).__name__} has no place here.")

    def _text(self, part: Text | Refusal) -> list[dict[str, Any]]:
        if isinstance(part, Text):
            self._unmarked(part.cache)
        return [{"text": part.text}] if part.text else []

    def _media(self, media: Media) -> dict[str, Any]:
        self._unmarked(media.cache)
        if media.detail not in (None, "auto"):
            drop(self._call, "messages[].content[].detail")
        return write_media(media, self._call.model)

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        """The response, with its media inside where the model takes them there, else behind it."""
        self._unmarked(result.cache)
        name = result.name or self._names.get(result.call_id)
        if not name:
            raise CannotCarry.field(
                "messages", "a tool's result names no call before it, and Gemini needs the function's name."
            )
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        response: dict[str, Any] = {"name": name, "response": {_outcome(result): text}}
        if result.call_id:
            response["id"] = result.call_id
        media = [self._media(part) for part in result.parts if isinstance(part, Media)]
        inside: list[dict[str, Any]] = []
        if takes_tool_media(self._call.model):
            inside = [part for part in media if "inlineData" in part]
        if inside:
            response["parts"] = inside
        return [{"functionResponse": response}, *(part for part in media if part not in inside)]

    # -- what the model said ------------------------------------------------------------------------------

    def _answer(self, message: Message) -> list[dict[str, Any]]:
        """A signature stands on the part that it came with, which is the one after the thought."""
        parts: list[dict[str, Any]] = []
        signature: str | None = None
        for part in message.parts:
            if isinstance(part, Reasoning):
                if part.origin != GEMINI or part.redacted is not None:
                    drop(self._call, "messages[].reasoning")
                    continue
                parts += _signed(signature)
                parts += [{"text": part.text, "thought": True}] if part.text else []
                signature = part.signature
                continue
            written = [self._function_call(part)] if isinstance(part, ToolCall) else self._question(part)
            if written and signature is not None:
                if written[0].setdefault("thoughtSignature", signature) != signature:
                    parts += _signed(signature)
                signature = None
            parts += written
        parts += _signed(signature)
        if checks_signatures(self._call.model):
            _sign_first_call(parts)
        return parts

    def _function_call(self, call: ToolCall) -> dict[str, Any]:
        self._names[call.id] = call.name
        written: dict[str, Any] = {"name": call.name, "args": _arguments(call.arguments)}
        if call.id:
            written["id"] = call.id
        part: dict[str, Any] = {"functionCall": written}
        if call.signature is not None:
            part["thoughtSignature"] = call.signature
        return part

    def _unmarked(self, cache: str | None) -> None:
        """Gemini caches by itself: https://ai.google.dev/gemini-api/docs/caching (2026-11-20)."""
        if cache is not None:
            drop(self._call, "cache_control")


def _outcome(result: ToolResult) -> str:
    """What Gemini tells apart: https://ai.google.dev/api/caching#FunctionResponse (2026-11-20)."""
    return "error" if result.is_error else "output"


def _arguments(arguments: str) -> dict[str, Any]:
    """The arguments as an object; what a model wrote that is none is shown as it is."""
    if not arguments.strip():
        return {}
    try:
        value = read_json(arguments.encode("utf-8", "replace"))
    except AnswerError:
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def _signed(signature: str | None) -> list[dict[str, Any]]:
    """A signature that came with no text."""
    return [{"text": "", "thoughtSignature": signature}] if signature is not None else []


def _sign_first_call(parts: Sequence[dict[str, Any]]) -> None:
    """Of calls side by side only the first is signed, and must be."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", FOREIGN_SIGNATURE)
            return
