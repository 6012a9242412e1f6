"""The messages of a conversation, written as those of a chat completion."""

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
from headgate.providers.dialects.base import CannotCarry
from headgate.providers.dialects.carrying import drop
from headgate.providers.dialects.media import audio_format, data_url, decode_text
from headgate.providers.dialects.openai_chat_reasoning import all_details
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.results_first import results_first

_OWN_FILES = "file-"
"""How OpenAI's ids of files begin; Anthropic's begin with `file_`."""


class TurnWriter:
    """Writes the messages of one request.

    Media in a tool's result follow as the user's, where the server takes texts from tools alone.
    """

    def __init__(self, call: ChatCall, traits: ChatTraits) -> None:
        self._call = call
        self._traits = traits

    def write(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        """Raises CannotCarry."""
        written: list[dict[str, Any]] = []
        waiting: list[dict[str, Any]] = []
        for message in results_first(messages):
            if message.role is not Role.TOOL and waiting:
                written.append({"role": "user", "content": waiting})
                waiting = []
            if message.role is Role.TOOL:
                results = (part for part in message.parts if isinstance(part, ToolResult))
                written += [self._result(result, waiting) for result in results]
            elif message.role is Role.ASSISTANT:
                written.append(self._assistant(message))
            else:
                role = "system" if message.role is Role.SYSTEM else "user"
                written.append({"role": role, **_named(message), "content": self._content(message.parts)})
        if waiting:
            written.append({"role": "user", "content": waiting})
        return written

    # -- by role ------------------------------------------------------------------------------------------

    def _result(self, result: ToolResult, waiting: list[dict[str, Any]]) -> dict[str, Any]:
        media = [part for part in result.parts if isinstance(part, Media) and decode_text(part) is None]
        shown: list[Part] = list(result.parts)
        if media and not self._traits.tool_media:
            shown = [part for part in shown if part not in media]
            waiting.append({"type": "text", "text": f"What the tool call {result.call_id} gave:"})
            waiting += [self._part(part) for part in media]
            shown = shown or [Text(text="See the files that follow.")]
        if result.is_error:
            drop(self._call, "messages[].content[].is_error")
        written = {"role": "tool", "tool_call_id": result.call_id, "content": self._content(shown)}
        if result.cache is not None:
            self._mark(written, result.cache)
        return written

    def _assistant(self, message: Message) -> dict[str, Any]:
        thoughts = [part for part in message.parts if isinstance(part, Reasoning)]
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        refusals = [part for part in message.parts if isinstance(part, Refusal)]
        said = [part for part in message.parts if isinstance(part, Text | Media)]
        content = self._said(said) if said else None
        written: dict[str, Any] = {"role": "assistant", **_named(message), "content": content}
        if content is None and not calls and not refusals:
            written["content"] = ""
        if refusals:
            written["refusal"] = "".join(refusal.text for refusal in refusals)
        if thoughts:
            written |= self._thoughts(thoughts, calls)
        elif any(call.signature is not None for call in calls):
            written |= self._thoughts([], calls)
        if calls:
            written["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments or "{}"},
                }
                for call in calls
            ]
        return written

    def _said(self, said: list[Text | Media]) -> str | list[dict[str, Any]]:
        """Texts in one: they are pieces of what was one answer."""
        texts = [part for part in said if isinstance(part, Text)]
        if len(texts) < len(said) or (self._traits.cache_control and any(text.cache for text in texts)):
            return self._content(said)
        return self._content([Text(text="".join(text.text for text in texts), cache=texts[-1].cache)])

    def _thoughts(self, thoughts: list[Reasoning], calls: list[ToolCall]) -> dict[str, Any]:
        if self._traits.history == "reasoning_details":
            details = all_details(thoughts, calls)
            text = "".join(thought.text for thought in thoughts)
            written: dict[str, Any] = {"reasoning": text} if text else {}
            return written | ({"reasoning_details": details} if details else {})
        if self._traits.history == "reasoning_content" and thoughts:
            return {"reasoning_content": "".join(thought.text for thought in thoughts)}
        drop(self._call, "messages[].reasoning")
        return {}

    # -- content ------------------------------------------------------------------------------------------

    def _content(self, parts: Iterable[Part]) -> str | list[dict[str, Any]]:
        """A plain string where there is one text alone, which every server takes."""
        listed = list(parts)
        texts = [part for part in listed if isinstance(part, Text)]
        marked = self._traits.cache_control and any(text.cache is not None for text in texts)
        if len(texts) == len(listed) and not marked and (len(texts) < 2 or self._traits.plain_content):
            for text in texts:
                self._unmarked(text.cache)
            return "\n\n".join(text.text for text in texts)
        return [self._part(part) for part in listed]

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, Text):
            written = {"type": "text", "text": part.text}
        elif isinstance(part, Media):
            written = self._media(part)
        else:
            raise CannotCarry.field("messages", f"a part of kind {type(part).__name__} has no place here.")
        if part.cache is not None:
            self._mark(written, part.cache)
        return written

    def _media(self, media: Media) -> dict[str, Any]:
        if media.kind == "image":
            return self._image(media)
        if media.kind == "audio":
            return self._audio(media)
        if media.kind == "video":
            if not self._traits.any_media:
                raise CannotCarry.field("messages", "this provider takes no video.")
            return {"type": "video_url", "video_url": {"url": media.url or data_url(media)}}
        return self._file(media)

    def _image(self, media: Media) -> dict[str, Any]:
        if media.url is None and media.data is None:
            raise CannotCarry.field("messages", "this provider takes no image by the id of a file.")
        image = {"url": media.url or data_url(media)}
        if media.detail is not None:
            image["detail"] = media.detail
        return {"type": "image_url", "image_url": image}

    def _audio(self, media: Media) -> dict[str, Any]:
        named = audio_format(media.mime_type)
        if media.data is None or named is None:
            raise CannotCarry.field("messages", "this provider takes sound as data in a known format only.")
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": named}}

    def _file(self, media: Media) -> dict[str, Any]:
        """A text document goes as text: the dialect takes PDF alone."""
        text = decode_text(media)
        if text is not None:
            return {"type": "text", "text": f"{media.name}:\n\n{text}" if media.name else text}
        file: dict[str, Any] = {}
        if media.file_id is not None:
            if not media.file_id.startswith(_OWN_FILES):
                raise CannotCarry.field("messages", "the file lies with another provider; send its content.")
            file["file_id"] = media.file_id
        elif media.data is not None:
            file = {"filename": media.name or "document.pdf", "file_data": data_url(media)}
        elif self._traits.any_media:
            file = {"filename": media.name or "document.pdf", "file_data": media.url}
        else:
            raise CannotCarry.field("messages", "this provider takes no document by URL.")
        return {"type": "file", "file": file}

    # -- cache marks --------------------------------------------------------------------------------------

    def _mark(self, written: dict[str, Any], cache: str) -> None:
        if self._traits.cache_control:
            written["cache_control"] = cache_control(cache)
        else:
            self._unmarked(cache)

    def _unmarked(self, cache: str | None) -> None:
        if cache is not None:
            drop(self._call, "cache_control")


def cache_control(cache: str) -> dict[str, str]:
    """Anthropic's mark; five minutes is its default."""
    return {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}


def _named(message: Message) -> dict[str, str]:
    return {"name": message.name} if message.name is not None else {}
