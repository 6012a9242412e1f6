"""A conversation, written as the Response that a provider is asked for.

https://platform.openai.com/docs/api-reference/responses/create (2026-11-20).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.domain.conversation import (
    Conversation,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from headgate.domain.errors import CannotCarry
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.dialects.carrying import carry, drop, drop_sampling
from headgate.providers.dialects.media import audio_format, data_url
from headgate.providers.dialects.thinking import effort_of

# Fields of other dialects that mean the same here.
_OWN: Mapping[str, frozenset[str]] = {
    OPENAI_CHAT: frozenset(
        {
            "store",
            "metadata",
            "service_tier",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "verbosity",
        }
    ),
}


_OWN_FILES = "file-"
"""How OpenAI's ids of files begin; Anthropic's begin with `file_`."""
_LEAST_TOKENS = 16
"""Fewer are refused: «Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16»
(https://platform.openai.com/docs/api-reference/responses/create, 2026-11-20)."""


def write_request(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    """Raises CannotCarry for what Responses have no field for."""
    own = carry(conversation.extras, call, own=_OWN.get(call.dialect, frozenset()))
    text = _text(conversation.output, own.pop("verbosity", None))
    instructions, messages = _split_instructions(conversation.messages)
    body: dict[str, Any] = {"model": call.model, "input": _Input(call).of(messages)}
    told = {
        "instructions": instructions,
        "tools": [_tool(tool, call) for tool in conversation.tools] or None,
        "tool_choice": _tool_choice(conversation.tool_choice),
        "parallel_tool_calls": conversation.tool_choice.parallel if conversation.tool_choice else None,
        "text": text,
        "reasoning": _reasoning(conversation.thinking),
        "max_output_tokens": _max_tokens(conversation.max_tokens, call),
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "safety_identifier": conversation.user,
        "include": ["reasoning.encrypted_content"] if _reasons(call) else None,
        "stream": call.stream or None,
    }
    body.update({name: value for name, value in told.items() if value is not None})
    # Kept for 30 days unless told otherwise, which nobody asked for in a dialect where nothing is kept.
    body["store"] = False
    body.update(own)
    _leave_out(conversation, call)
    return body


def _max_tokens(wanted: int | None, call: ChatCall) -> int | None:
    """At least what is taken; clients see whether a model is there by asking it for one token."""
    if wanted is None or wanted >= _LEAST_TOKENS:
        return wanted
    drop(call, "max_tokens")
    return _LEAST_TOKENS


def _reasons(call: ChatCall) -> bool:
    """Whether its thoughts can come sealed, to be given back: they are kept nowhere, so else they are lost.

    Models that don't reason refuse to be asked for it, so it must be known that this one does.
    https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items (2026-11-20).
    """
    return call.info is not None and "reasoning" in call.info.capabilities


def _leave_out(conversation: Conversation, call: ChatCall) -> None:
    """Sampling that Responses do not have: refused where the answer would be another, else noted."""
    if conversation.stop:
        raise CannotCarry.field("stop", "This provider's answers can't be stopped at a text.")
    drop_sampling(conversation, call, "top_k", "seed", "frequency_penalty", "presence_penalty")


def _split_instructions(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    """The first system message as instructions, where it is one text and not all there is."""
    first = messages[0] if messages else None
    if first is None or first.role is not Role.SYSTEM or len(messages) == 1 or len(first.parts) != 1:
        return None, messages
    part = first.parts[0]
    return (part.text, messages[1:]) if isinstance(part, Text) and part.cache is None else (None, messages)


# -- input ------------------------------------------------------------------------------------------------


class _Input:
    """Messages into items, and what has no place in them into `call.dropped`."""

    def __init__(self, call: ChatCall) -> None:
        self._call = call

    def of(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for position, message in enumerate(messages):
            if message.name is not None:
                drop(self._call, "messages[].name")
            if message.role is Role.ASSISTANT:
                items += self._assistant(message.parts, f"messages[{position}]")
                continue
            items += [self._result(part) for part in message.parts if isinstance(part, ToolResult)]
            said = [self._content(part) for part in message.parts if not isinstance(part, ToolResult)]
            if said:
                role = Role.USER if message.role is Role.TOOL else message.role
                items.append({"type": "message", "role": role.value, "content": said})
        return items

    def _assistant(self, parts: Iterable[Part], path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        saying: list[dict[str, Any]] | None = None
        for part in parts:
            if isinstance(part, Text | Refusal):
                if saying is None:
                    saying = []
                    items.append({"type": "message", "role": "assistant", "content": saying})
                saying.append(self._said(part))
                continue
            if isinstance(part, Media):
                raise CannotCarry.field(path, f"This provider can't be given {part.kind}s it has made.")
            item = self._call_or_thought(part)
            if item is not None:
                saying = None
                items.append(item)
        return items

    def _said(self, part: Text | Refusal) -> dict[str, Any]:
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        self._note_cache(part)
        return {"type": "output_text", "text": part.text, "annotations": []}

    def _call_or_thought(self, part: Part) -> dict[str, Any] | None:
        if isinstance(part, ToolCall):
            item = {"type": "function_call", "call_id": part.id, "name": part.name}
            return {**item, "arguments": part.arguments or "{}"}
        if not isinstance(part, Reasoning):
            return None
        encrypted = part.signature or part.redacted
        if part.origin != OPENAI_RESPONSES or encrypted is None:
            drop(self._call, "messages[].reasoning")
            return None
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        own_id = {"id": part.id} if part.id is not None else {}
        return {"type": "reasoning", **own_id, "summary": summary, "encrypted_content": encrypted}

    def _result(self, part: ToolResult) -> dict[str, Any]:
        if part.is_error:
            drop(self._call, "messages[].is_error")
        if part.cache is not None:
            drop(self._call, "cache_control")
        output: str | list[dict[str, Any]]
        if not part.parts:
            output = ""
        elif len(part.parts) == 1 and isinstance(part.parts[0], Text):
            output = part.parts[0].text
        else:
            output = [self._content(each) for each in part.parts]
        return {"type": "function_call_output", "call_id": part.call_id, "output": output}

    def _content(self, part: Part) -> dict[str, Any]:
        """A part of a user's or system's message, or of a tool's result."""
        if isinstance(part, Text):
            self._note_cache(part)
            return {"type": "input_text", "text": part.text}
        if not isinstance(part, Media):
            raise CannotCarry.field("messages", f"A {type(part).__name__} is nothing that a user says.")
        self._note_cache(part)
        match part.kind:
            case "image":
                return _image(part)
            case "file":
                return _file(part)
            case "audio" if part.data is not None and (named := audio_format(part.mime_type)) is not None:
                return {"type": "input_audio", "input_audio": {"data": part.data, "format": named}}
        raise CannotCarry.field("messages", f"This provider takes no such {part.kind}.")

    def _note_cache(self, part: Text | Media) -> None:
        if part.cache is not None:
            drop(self._call, "cache_control")


def _own_file(file_id: str) -> str:
    if not file_id.startswith(_OWN_FILES):
        raise CannotCarry.field("messages", "the file lies with another provider; send its content.")
    return file_id


def _image(part: Media) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "input_image"}
    if part.detail is not None:
        item["detail"] = part.detail
    if part.file_id is not None:
        return {**item, "file_id": _own_file(part.file_id)}
    return {**item, "image_url": part.url if part.url is not None else data_url(part)}


def _file(part: Media) -> dict[str, Any]:
    """A file that is sent as data needs a name."""
    if part.file_id is not None:
        return {"type": "input_file", "file_id": _own_file(part.file_id)}
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url}
    named = part.name or ("document.pdf" if part.mime_type == "application/pdf" else "document")
    return {"type": "input_file", "filename": named, "file_data": data_url(part)}


# -- the rest ---------------------------------------------------------------------------------------------


def _tool(tool: Tool, call: ChatCall) -> dict[str, Any]:
    """Not strict unless told so: here alone that is the default, and refuses what is fine elsewhere."""
    if tool.cache is not None:
        drop(call, "cache_control")
    written: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["parameters"] = dict(tool.parameters) or {"type": "object", "properties": {}}
    written["strict"] = bool(tool.strict)
    return written


def _tool_choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return None
    return {"type": "function", "name": choice.name} if choice.mode == "tool" else choice.mode


def _text(output: OutputFormat | None, verbosity: Any) -> dict[str, Any] | None:
    text: dict[str, Any] = {} if verbosity is None else {"verbosity": verbosity}
    if output is not None:
        written: dict[str, Any] = {"type": output.kind}
        if output.kind == "json_schema":
            written |= {"name": output.name or "answer", "schema": dict(output.schema or {})}
            for name in ("description", "strict"):
                value = getattr(output, name)
                if value is not None:
                    written[name] = value
        text["format"] = written
    return text or None


def _reasoning(thinking: Thinking | None) -> dict[str, Any] | None:
    if thinking is None:
        return None
    effort = effort_of(thinking)
    if thinking.budget_tokens == 0:
        effort = "none"
    reasoning: dict[str, Any] = {} if effort is None else {"effort": effort}
    if thinking.visible:
        reasoning["summary"] = "auto"
    return reasoning or None
