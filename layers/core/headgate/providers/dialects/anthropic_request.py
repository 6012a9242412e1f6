"""A request for a message as a client asks for it, read into a conversation.

https://docs.claude.com/en/api/messages (2026-11-20).
"""

from collections.abc import Mapping
from typing import Any, Literal

from headgate.domain.conversation import (
    Conversation,
    Message,
    OutputFormat,
    Role,
    Thinking,
    Tool,
    ToolChoice,
)
from headgate.providers.dialects.anthropic_blocks import BlockReader, read_cache
from headgate.providers.dialects.fields import Fields
from headgate.providers.dialects.thinking import EFFORTS

_HANDLED = ("model", "stream")
"""Read before this: they say which candidate serves the request and how, not what is asked."""

_MODES: Mapping[str, Literal["auto", "none", "required", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "tool",
    "none": "none",
}
_THINKING = ("enabled", "disabled", "adaptive", "between_tools")


def read_request(body: Mapping[str, Any]) -> Conversation:
    """Raises InvalidRequest naming each field that is wrong by its path.

    A body without `max_tokens` is read too: it may be there to be counted.
    """
    fields = Fields(body)
    for name in _HANDLED:
        fields.raw(name)
    extras: dict[str, Any] = {}
    config = fields.object("output_config")
    conversation = Conversation(
        messages=_read_messages(fields, extras),
        tools=_read_tools(fields, extras),
        tool_choice=_read_tool_choice(fields, extras),
        output=_read_output(fields, config, extras),
        thinking=_read_thinking(fields, config),
        max_tokens=fields.integer("max_tokens", least=1),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=fields.texts("stop_sequences"),
        user=_read_user(fields, extras),
        extras=extras,
    )
    if config is not None:
        extras.update({config.at(name): value for name, value in config.unread.items()})
    extras.update(fields.unread)
    fields.check()
    return conversation


def _read_messages(fields: Fields, extras: dict[str, Any]) -> tuple[Message, ...]:
    """The system prompt first. A turn of the user's that holds tool results is two messages: BlockReader."""
    reader = BlockReader(extras)
    messages: list[Message] = []
    system = tuple(reader.read_system(fields, "system"))
    if system:
        messages.append(Message(role=Role.SYSTEM, parts=system))
    for turn in fields.objects("messages", required=True):
        role = turn.word("role", ("user", "assistant", "system"), required=True)
        if role == "assistant":
            messages.append(Message(role=Role.ASSISTANT, parts=tuple(reader.read_assistant(turn))))
        elif role == "system":
            messages.append(Message(role=Role.SYSTEM, parts=tuple(reader.read_system(turn, "content"))))
        elif role == "user":
            messages += reader.read_user(turn)
    if fields.raw("messages") == []:
        fields.fault("messages", "must have at least one message.")
    return tuple(messages)


def _read_user(fields: Fields, extras: dict[str, Any]) -> str | None:
    metadata = fields.object("metadata")
    if metadata is None:
        return None
    user = metadata.text("user_id")
    if metadata.unread:
        extras["metadata"] = metadata.unread
    return user


# -- tools ------------------------------------------------------------------------------------------------


def _read_tools(fields: Fields, extras: dict[str, Any]) -> tuple[Tool, ...]:
    """Those that the client runs; what the provider would run itself has no place."""
    tools = []
    for entry in fields.objects("tools"):
        kind = entry.text("type")
        if kind not in (None, "custom"):
            extras[entry.path] = {"type": kind, **entry.unread}
            continue
        tools.append(
            Tool(
                name=entry.text("name", required=True) or "",
                description=entry.text("description"),
                parameters=entry.mapping("input_schema") or {},
                strict=entry.flag("strict"),
                cache=read_cache(entry),
            )
        )
        extras.update({f"tools[].{name}": True for name in entry.unread})
    return tuple(tools)


def _read_tool_choice(fields: Fields, extras: dict[str, Any]) -> ToolChoice | None:
    choice = fields.object("tool_choice")
    if choice is None:
        return None
    kind = choice.text("type", required=True)
    mode = _MODES.get(kind or "")
    single = choice.flag("disable_parallel_tool_use")
    if mode is None:
        if kind is not None:
            extras["tool_choice"] = fields.raw("tool_choice")
        return None
    name = choice.text("name", required=True) if mode == "tool" else None
    return ToolChoice(mode=mode, name=name, parallel=None if single is None else not single)


# -- the form of the answer -------------------------------------------------------------------------------


def _read_output(fields: Fields, config: Fields | None, extras: dict[str, Any]) -> OutputFormat | None:
    """`output_config.format`, or `output_format`, as it was called in its beta."""
    older = fields.object("output_format")
    told = (config.object("format") if config is not None else None) or older
    if told is None:
        return None
    kind = told.text("type", required=True)
    if kind != "json_schema":
        if kind is not None:
            extras["output_format"] = {"type": kind, **told.unread}
        return None
    schema = told.mapping("schema")
    if schema is None:
        told.fault("schema", "is missing; a JSON schema is needed.")
    return OutputFormat(kind="json_schema", name=told.text("name"), schema=schema, strict=True)


def _read_thinking(fields: Fields, config: Fields | None) -> Thinking | None:
    """`thinking`, and `output_config.effort`. Not to think is the effort `none`, whatever else is told."""
    effort = config.word("effort", EFFORTS) if config is not None else None
    thinking = fields.object("thinking")
    if thinking is None:
        return Thinking(effort=effort) if effort is not None else None
    kind = thinking.word("type", _THINKING, required=True)
    display = thinking.word("display", ("summarized", "omitted"))
    visible = None if display is None else display == "summarized"
    budget = thinking.integer("budget_tokens", least=0)
    if kind in ("disabled", "between_tools"):
        return Thinking(effort="none")
    if kind == "enabled" and budget is None:
        thinking.fault("budget_tokens", "is missing; an integer is needed.")
    return Thinking(
        effort=effort, budget_tokens=budget, adaptive=kind == "adaptive" and effort is None, visible=visible
    )
