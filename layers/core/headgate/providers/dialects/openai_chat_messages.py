"""The messages of a chat completion, read into a conversation's."""

from typing import Any

from headgate.domain.conversation import Media, Message, Part, Refusal, Role, Text, ToolCall, ToolResult
from headgate.providers.dialects.fields import Fields
from headgate.providers.dialects.media import AUDIO_TYPES, split_data_url
from headgate.providers.dialects.openai_chat_reasoning import (
    call_signatures,
    google_signature,
    read_reasoning,
)

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_DETAIL_FIELDS = ("reasoning", "reasoning_content", "reasoning_details", "thought_signature", "extra_content")
"""Of an assistant's message; what they say is read elsewhere."""


def read_messages(body: Fields, extras: dict[str, Any]) -> tuple[Message, ...]:
    """Notes every field that is wrong. What has no place in a conversation goes into `extras`."""
    messages: list[Message] = []
    seen = _Calls()
    for fields in body.objects("messages", required=True):
        role = fields.word("role", _ROLES, required=True)
        if role is not None:
            messages.append(_read_message(role, fields, seen, extras))
        for name in fields.unread:
            extras[f"messages[].{name}"] = True
    if body.raw("messages") == []:
        body.fault("messages", "must have at least one message.")
    return tuple(messages)


def read_cache(fields: Fields) -> str | None:
    """Anthropic's mark for the prompt up to here, as OpenRouter and Requesty take it: `5m` or `1h`."""
    mark = fields.object("cache_control")
    if mark is None:
        return None
    mark.raw("type")
    return mark.word("ttl", ("5m", "1h")) or "5m"


class _Calls:
    """Names of the tool calls so far, by id; and the id that the last `function_call` was given."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.made = 0
        self.last = ""

    def new_id(self) -> str:
        """An id for a call of the older kind, which has none."""
        self.last = f"call_function_{self.made}"
        self.made += 1
        return self.last


def _read_message(role: str, fields: Fields, calls: _Calls, extras: dict[str, Any]) -> Message:
    if role in ("tool", "function"):
        return Message(role=Role.TOOL, parts=(_read_result(role, fields, calls, extras),))
    name, cache = fields.text("name"), read_cache(fields)
    if role == "assistant":
        parts = _read_assistant(fields, calls, extras, cache)
        return Message(role=Role.ASSISTANT, parts=parts, name=name)
    parts = tuple(_read_content(fields, extras, required=True, cache=cache))
    return Message(role=Role.USER if role == "user" else Role.SYSTEM, parts=parts, name=name)


def _read_result(role: str, fields: Fields, calls: _Calls, extras: dict[str, Any]) -> ToolResult:
    name = fields.text("name", required=role == "function")
    call_id = fields.text("tool_call_id", required=True) if role == "tool" else calls.last
    cache = read_cache(fields)
    parts = _read_content(fields, extras, required=True)
    return ToolResult(
        call_id=call_id or "",
        parts=tuple(part for part in parts if isinstance(part, Text | Media)),
        name=name or calls.names.get(call_id or ""),
        cache=cache,
    )


def _read_assistant(
    fields: Fields, calls: _Calls, extras: dict[str, Any], cache: str | None
) -> tuple[Part, ...]:
    message = {name: fields.raw(name) for name in (*_DETAIL_FIELDS, "tool_calls")}
    parts: list[Part] = [*read_reasoning(message)]
    parts += _read_content(fields, extras, cache=cache)
    refusal = fields.text("refusal")
    if refusal:
        parts.append(Refusal(text=refusal))
    audio = fields.object("audio")
    if audio is not None:
        extras[audio.path] = audio.unread
    signatures = call_signatures(message)
    for call in fields.objects("tool_calls"):
        parts += _read_call(call, calls, signatures, extras)
    older = fields.object("function_call")
    if older is not None:
        parts.append(_read_function(older, calls.new_id(), calls))
    return tuple(parts)


def _read_call(
    call: Fields, calls: _Calls, signatures: dict[str, str], extras: dict[str, Any]
) -> list[ToolCall]:
    call_id = call.text("id", required=True) or ""
    kind = call.text("type")
    if kind not in (None, "function"):
        extras[call.path] = {"type": kind, **call.unread}
        return []
    function = call.object("function", required=True)
    extra = call.raw("extra_content")
    if function is None:
        return []
    signature = signatures.get(call_id) or google_signature({"extra_content": extra})
    return [_read_function(function, call_id, calls, signature)]


def _read_function(function: Fields, call_id: str, calls: _Calls, signature: str | None = None) -> ToolCall:
    name = function.text("name", required=True) or ""
    calls.names[call_id] = name
    return ToolCall(id=call_id, name=name, arguments=function.text("arguments") or "", signature=signature)


# -- content ----------------------------------------------------------------------------------------------


def _read_content(
    fields: Fields, extras: dict[str, Any], *, required: bool = False, cache: str | None = None
) -> list[Part]:
    """A string, or a list of parts; an empty text is no part. cache: the mark of a message with a string."""
    content = fields.raw("content")
    if content is None:
        if required:
            fields.fault("content", "is missing; a text or a list of parts is needed.")
        return []
    if isinstance(content, str):
        return [Text(text=content, cache=cache)] if content else []
    if not isinstance(content, list):
        fields.fault("content", "must be a text or a list of parts.")
        return []
    parts: list[Part] = []
    for part in fields.objects("content"):
        kind = part.text("type", required=True)
        read = _READERS.get(kind or "")
        if read is not None:
            found = read(part)
            parts += [found] if found is not None else []
        elif kind is not None:
            extras[part.path] = {"type": kind, **part.unread}
    return parts


def _read_text(part: Fields) -> Part | None:
    text = part.text("text", required=True)
    return Text(text=text, cache=read_cache(part)) if text else None


def _read_refusal(part: Fields) -> Part | None:
    text = part.text("refusal", required=True)
    return Refusal(text=text) if text else None


def _read_image(part: Fields) -> Part | None:
    if isinstance(part.raw("image_url"), str):  # so some clients, and so some servers allow
        return _read_url(part, "image_url", kind="image", detail=None, cache=read_cache(part))
    image = part.object("image_url", required=True)
    if image is None:
        return None
    detail = image.word("detail", ("auto", "low", "high", "original"))
    return _read_url(image, "url", kind="image", detail=detail, cache=read_cache(part))


def _read_video(part: Fields) -> Part | None:
    video = part.object("video_url", required=True)
    return _read_url(video, "url", kind="video", detail=None, cache=read_cache(part)) if video else None


def _read_url(fields: Fields, name: str, *, kind: Any, detail: str | None, cache: str | None) -> Media | None:
    url = fields.text(name, required=True)
    if url is None:
        return None
    if url[:5].lower() == "data:":
        split = split_data_url(url)
        if split is None:
            fields.fault(name, "must hold base64 data: data:<type>;base64,<data>.")
            return None
        return Media(kind=kind, mime_type=split[0], data=split[1], detail=detail, cache=cache)
    if not url.lower().startswith(("https://", "http://")):
        fields.fault(name, "must be an http, https or data URL.")
        return None
    return Media(kind=kind, url=url, detail=detail, cache=cache)


def _read_audio(part: Fields) -> Part | None:
    audio = part.object("input_audio", required=True)
    if audio is None:
        return None
    data = audio.text("data", required=True)
    named = audio.text("format", required=True)
    if data is None or named is None:
        return None
    return Media(
        kind="audio", data=data, mime_type=AUDIO_TYPES.get(named, f"audio/{named}"), cache=read_cache(part)
    )


def _read_file(part: Fields) -> Part | None:
    """By id, or as data; OpenRouter takes a URL in place of the data."""
    file = part.object("file", required=True)
    if file is None:
        return None
    file_id, data, name = file.text("file_id"), file.text("file_data"), file.text("filename")
    cache = read_cache(part)
    if file_id is not None:
        return Media(kind="file", file_id=file_id, name=name, cache=cache)
    if data is None:
        file.fault("file_data", "is missing; file_data or file_id is needed.")
        return None
    if data.lower().startswith(("https://", "http://")):
        return Media(kind="file", url=data, name=name, cache=cache)
    split = split_data_url(data)
    mime_type, data = split if split is not None else ("application/pdf", data)
    return Media(kind="file", data=data, mime_type=mime_type, name=name, cache=cache)


_READERS = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "video_url": _read_video,
    "input_audio": _read_audio,
    "file": _read_file,
}
