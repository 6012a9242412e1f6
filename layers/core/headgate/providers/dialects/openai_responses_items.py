"""The input items of a Responses request, read into a conversation's messages."""

from collections.abc import Mapping
from typing import Any, Literal

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
from headgate.domain.errors import FieldError
from headgate.providers.dialects.base import OPENAI_RESPONSES
from headgate.providers.dialects.fields import Fields
from headgate.providers.dialects.media import AUDIO_TYPES, split_data_url
from headgate.providers.dialects.openai_responses_rules import ITEMS, UNKNOWN
from headgate.providers.dialects.openai_responses_sealed import Seal, unseal

_ROLES = ("system", "developer", "user", "assistant")
_LABELS = ("type", "id", "status")
"""Say nothing of the conversation itself."""


class InputReader:
    """Items into messages. What the assistant did in a row becomes one message, up to its next one; so do
    results in a row.

    refused: items and parts of a kind that nobody else knows, by path.
    """

    def __init__(self, extras: dict[str, Any], refused: list[FieldError]) -> None:
        self._extras = extras
        self._refused = refused
        self._messages: list[Message] = []
        self._names: dict[str, str] = {}
        self._signatures: dict[str, str] = {}

    def read(self, body: Fields) -> tuple[Message, ...]:
        """The messages of `input`; every field that is wrong is noted."""
        told = body.raw("input")
        if isinstance(told, str):
            return (Message(role=Role.USER, parts=(Text(text=told),) if told else ()),)
        for item in body.objects("input", required=True):
            kind = item.text("type")
            if kind is None and item.raw("role") is not None:
                kind = "message"
            read = self._READERS.get(kind or "")
            if read is not None:
                for label in _LABELS:
                    item.raw(label)
                read(self, item)
                self._note(item, "input[]")
            elif kind is None:
                item.fault("type", "is missing; an item has a type, or a role.")
            else:
                self._refused.append(FieldError(item.path, f"{kind}: {ITEMS.get(kind, UNKNOWN)}"))
        if isinstance(told, list) and not told:
            body.fault("input", "must have at least one item.")
        return tuple(self._messages)

    # -- items --------------------------------------------------------------------------------------------

    def _read_message(self, item: Fields) -> None:
        role = item.word("role", _ROLES, required=True)
        item.raw("phase")
        parts = self._read_content(item, "content", required=True)
        if role == "assistant":
            self._assistant(*parts, starts=True)
        elif role is not None:
            role_of = Role.USER if role == "user" else Role.SYSTEM
            self._messages.append(Message(role=role_of, parts=tuple(parts)))

    def _read_call(self, item: Fields) -> None:
        call_id = item.text("call_id", required=True) or ""
        name = item.text("name", required=True) or ""
        self._names[call_id] = name
        self._assistant(
            ToolCall(
                id=call_id,
                name=name,
                arguments=item.text("arguments", required=True) or "",
                signature=self._signatures.pop(call_id, None),
            )
        )

    def _read_result(self, item: Fields) -> None:
        call_id = item.text("call_id", required=True) or ""
        parts = self._read_content(item, "output", required=True)
        result = ToolResult(
            call_id=call_id,
            parts=tuple(part for part in parts if isinstance(part, Text | Media)),
            name=self._names.get(call_id),
        )
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role is Role.TOOL:
            self._messages[-1] = Message(role=Role.TOOL, parts=(*last.parts, result))
        else:
            self._messages.append(Message(role=Role.TOOL, parts=(result,)))

    def _read_reasoning(self, item: Fields) -> None:
        """Signed by its own provider, sealed by us for another, or plain text."""
        texts = [part.text("text") or "" for name in ("summary", "content") for part in item.objects(name)]
        text = "\n\n".join(each for each in texts if each)
        sealed = item.text("encrypted_content")
        item_id = item.text("id")
        opened = unseal(sealed) if sealed else None
        if opened is not None and opened.call_id is not None:
            self._signatures[opened.call_id] = opened.signature or ""
            return
        if sealed and opened is None:
            opened = Seal(
                origin=OPENAI_RESPONSES,
                signature=sealed if text else None,
                redacted=None if text else sealed,
                id=item_id,
            )
        if opened is not None:
            self._assistant(
                Reasoning(
                    text=text,
                    signature=opened.signature,
                    redacted=opened.redacted,
                    origin=opened.origin,
                    id=opened.id,
                )
            )
        elif text:
            self._assistant(Reasoning(text=text))

    def _assistant(self, *parts: Part, starts: bool = False) -> None:
        """Adds to the assistant's turn. starts: a message of its own, if one has been said in it."""
        last = self._messages[-1] if self._messages else None
        goes_on = last is not None and last.role is Role.ASSISTANT
        if goes_on and starts and last is not None:
            goes_on = not any(isinstance(part, Text | Refusal | Media) for part in last.parts)
        if goes_on and last is not None:
            self._messages[-1] = Message(role=Role.ASSISTANT, parts=(*last.parts, *parts))
        else:
            self._messages.append(Message(role=Role.ASSISTANT, parts=parts))

    # -- content ------------------------------------------------------------------------------------------

    def _read_content(self, item: Fields, name: str, *, required: bool = False) -> list[Part]:
        """A string, or a list of parts; an empty text is no part."""
        content = item.raw(name)
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        if content is not None and not isinstance(content, list):
            item.fault(name, "must be a text or a list of parts.")
            return []
        parts: list[Part] = []
        for part in item.objects(name, required=required):
            kind = part.text("type", required=True)
            read = _PARTS.get(kind or "")
            if read is not None:
                found = read(part)
                parts += [found] if found is not None else []
                self._note(part, f"input[].{name}[]")
            elif kind is not None:
                self._refused.append(FieldError(part.path, f"{kind}: {UNKNOWN}"))
        return parts

    def _note(self, fields: Fields, where: str) -> None:
        """Details that nobody asked for, unless they are empty."""
        for name, value in fields.unread.items():
            if value not in ("", [], {}, False):
                self._extras[f"{where}.{name}"] = True

    _READERS: Mapping[str, Any] = {
        "message": _read_message,
        "function_call": _read_call,
        "function_call_output": _read_result,
        "reasoning": _read_reasoning,
    }


def _read_text(part: Fields) -> Part | None:
    text = part.text("text", required=True)
    return Text(text=text) if text else None


def _read_refusal(part: Fields) -> Part | None:
    text = part.text("refusal", required=True)
    return Refusal(text=text) if text else None


def _read_image(part: Fields) -> Part | None:
    detail = part.word("detail", ("auto", "low", "high", "original"))
    file_id, url = part.text("file_id"), part.text("image_url")
    if file_id is not None:
        return Media(kind="image", file_id=file_id, detail=detail)
    if url is None:
        part.fault("image_url", "is missing; image_url or file_id is needed.")
        return None
    return _read_url(part, "image_url", url, kind="image", detail=detail)


def _read_file(part: Fields) -> Part | None:
    """By id, by URL, or as data: a data URL, as OpenAI wants it, or bare base64, as some clients send it."""
    part.raw("detail")
    file_id, url, data = part.text("file_id"), part.text("file_url"), part.text("file_data")
    name = part.text("filename")
    if file_id is not None:
        return Media(kind="file", file_id=file_id, name=name)
    if url is not None:
        return _read_url(part, "file_url", url, kind="file", name=name)
    if data is None:
        part.fault("file_data", "is missing; file_data, file_url or file_id is needed.")
        return None
    if data[:5].lower() == "data:":
        return _read_url(part, "file_data", data, kind="file", name=name)
    return Media(kind="file", data=data, mime_type="application/pdf", name=name)


def _read_audio(part: Fields) -> Part | None:
    audio = part.object("input_audio", required=True)
    if audio is None:
        return None
    data, named = audio.text("data", required=True), audio.text("format", required=True)
    if data is None or named is None:
        return None
    return Media(kind="audio", data=data, mime_type=AUDIO_TYPES.get(named, f"audio/{named}"))


def _read_url(
    part: Fields,
    field: str,
    url: str,
    *,
    kind: Literal["image", "file"],
    detail: str | None = None,
    name: str | None = None,
) -> Media | None:
    if url[:5].lower() == "data:":
        split = split_data_url(url)
        if split is None:
            part.fault(field, "must hold base64 data: data:<type>;base64,<data>.")
            return None
        return Media(kind=kind, mime_type=split[0], data=split[1], detail=detail, name=name)
    if not url.lower().startswith(("https://", "http://")):
        part.fault(field, "must be an http, https or data URL.")
        return None
    return Media(kind=kind, url=url, detail=detail, name=name)


_PARTS: Mapping[str, Any] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}
