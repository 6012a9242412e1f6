"""The content blocks of a request for a message, read into the parts of a conversation."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from headgate.domain.conversation import Media, Message, Part, Role, Text, ToolCall, ToolResult
from headgate.providers.dialects.anthropic_thoughts import read_redacted, read_thinking
from headgate.providers.dialects.fields import Fields
from headgate.providers.dialects.media import encode_text
from headgate.providers.dialects.openai_answers import write_json

_SERVER_SIDE = ("server_tool_use", "mcp_tool_use")
"""What the provider did itself in an earlier turn, with results whose types end alike. They are left out by
name; the words that the model made of them stay."""


def read_cache(fields: Fields) -> str | None:
    """`5m` or `1h` of `cache_control`."""
    mark = fields.object("cache_control")
    if mark is None:
        return None
    mark.raw("type")
    return mark.word("ttl", ("5m", "1h")) or "5m"


class BlockReader:
    """Reads the turns of one request; what has no place goes into `extras` by its path."""

    def __init__(self, extras: dict[str, Any]) -> None:
        self._extras = extras
        self._names: dict[str, str] = {}
        self._signatures: dict[str, str] = {}

    def read_system(self, fields: Fields, name: str) -> list[Part]:
        """A string or text blocks."""
        return self._content(fields, name, {"text": self._text})

    def read_user(self, turn: Fields) -> list[Message]:
        """Tool results are messages of their own, before or between what the user says."""
        readers = {
            "text": self._text,
            "image": self._image,
            "document": self._document,
            "tool_result": self._result,
        }
        messages: list[Message] = []
        for part in self._content(turn, "content", readers):
            role = Role.TOOL if isinstance(part, ToolResult) else Role.USER
            if messages and messages[-1].role is role:
                messages[-1] = replace(messages[-1], parts=(*messages[-1].parts, part))
            else:
                messages.append(Message(role=role, parts=(part,)))
        return messages or [Message(role=Role.USER, parts=())]

    def read_assistant(self, turn: Fields) -> list[Part]:
        readers = {
            "text": self._text,
            "tool_use": self._call,
            "thinking": self._thinking,
            "redacted_thinking": self._redacted,
        }
        return self._content(turn, "content", readers)

    # -- content ------------------------------------------------------------------------------------------

    def _content(self, fields: Fields, name: str, readers: dict[str, Any]) -> list[Part]:
        content = fields.raw(name)
        if content is None:
            if name == "content":
                fields.fault(name, "is missing; a text or a list of blocks is needed.")
            return []
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        if not isinstance(content, list):
            fields.fault(name, "must be a text or a list of blocks.")
            return []
        parts: list[Part] = []
        for block in fields.objects(name):
            kind = block.text("type", required=True) or ""
            read = readers.get(kind)
            if read is not None:
                parts += read(block)
                self._details(block.unread)
            elif kind in _SERVER_SIDE or kind.endswith("_tool_result"):
                self._extras[f"messages[].content[].{kind}"] = True
            elif kind:
                self._extras[block.path] = {"type": kind, **block.unread}
        return parts

    def _details(self, names: Iterable[str]) -> None:
        self._extras.update({f"messages[].content[].{name}": True for name in names})

    def _text(self, block: Fields) -> list[Part]:
        text = block.text("text", required=True)
        cache = read_cache(block)
        if not block.raw("citations"):
            return [Text(text=text, cache=cache)] if text else []
        self._details(["citations"])
        return [Text(text=text, cache=cache)] if text else []

    def _image(self, block: Fields) -> list[Part]:
        return self._media(block, kind="image", name=None)

    def _document(self, block: Fields) -> list[Part]:
        """Its `context` is told in words before it."""
        context = block.text("context")
        citations = block.object("citations")
        if citations is not None and citations.flag("enabled"):
            self._details(["citations"])
        found = self._media(block, kind="file", name=block.text("title"))
        return [Text(text=context), *found] if context else found

    def _media(self, block: Fields, *, kind: Any, name: str | None) -> list[Part]:
        source = block.object("source", required=True)
        cache = read_cache(block)
        if source is None:
            return []
        by = source.text("type", required=True)
        if by == "base64":
            data = source.text("data", required=True)
            mime_type = source.text("media_type", required=True)
            return [Media(kind=kind, data=data, mime_type=mime_type, name=name, cache=cache)] if data else []
        if by == "url":
            url = source.text("url", required=True)
            return [Media(kind=kind, url=url, name=name, cache=cache)] if url else []
        if by == "file":
            file_id = source.text("file_id", required=True)
            return [Media(kind=kind, file_id=file_id, name=name, cache=cache)] if file_id else []
        if by == "text" and kind == "file":
            text = source.text("data", required=True)
            mime_type = source.text("media_type") or "text/plain"
            data = encode_text(text or "")
            return [Media(kind=kind, data=data, mime_type=mime_type, name=name, cache=cache)] if text else []
        if by is not None:
            self._extras[source.path] = {"type": by, **source.unread}
        return []

    # -- tools --------------------------------------------------------------------------------------------

    def _call(self, block: Fields) -> list[Part]:
        """`caller` says that the model called it directly, or from its own code."""
        call_id, name = block.text("id", required=True) or "", block.text("name", required=True) or ""
        given = block.mapping("input")
        block.raw("caller")
        read_cache(block)
        self._names[call_id] = name
        arguments = write_json(given or {}).decode()
        return [ToolCall(id=call_id, name=name, arguments=arguments, signature=self._signatures.get(call_id))]

    def _result(self, block: Fields) -> list[Part]:
        call_id = block.text("tool_use_id", required=True) or ""
        readers = {"text": self._text, "image": self._image, "document": self._document}
        parts = self._content(block, "content", readers) if block.raw("content") is not None else []
        return [
            ToolResult(
                call_id=call_id,
                parts=tuple(part for part in parts if isinstance(part, Text | Media)),
                name=self._names.get(call_id),
                is_error=block.flag("is_error") or False,
                cache=read_cache(block),
            )
        ]

    # -- thoughts -----------------------------------------------------------------------------------------

    def _thinking(self, block: Fields) -> list[Part]:
        text = block.text("thinking") or ""
        return [read_thinking(text, block.text("signature"))]

    def _redacted(self, block: Fields) -> list[Part]:
        """A thought; or the signature of a tool call, which stands before it."""
        data = block.text("data", required=True)
        read = read_redacted(data) if data is not None else None
        if isinstance(read, tuple):
            self._signatures[read[0]] = read[1]
            return []
        return [read] if read is not None else []
