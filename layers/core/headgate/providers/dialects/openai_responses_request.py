"""A Response as a client asks for it, read into a conversation.

https://platform.openai.com/docs/api-reference/responses/create (2026-11-20). `stop`, `seed`, `top_k` and the
penalties are not OpenAI's there; OpenRouter takes them, so they are read for what they say.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import (
    Conversation,
    Message,
    OutputFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from headgate.domain.errors import CannotCarry, FieldError
from headgate.providers.dialects.fields import Fields
from headgate.providers.dialects.openai_responses_items import InputReader
from headgate.providers.dialects.openai_responses_rules import INCLUDED, TOOLS, UNKNOWN
from headgate.providers.dialects.thinking import EFFORTS

_HANDLED = ("model", "stream")
"""Read before this: they say which candidate serves the request and how, not what is asked."""


def read_request(body: Mapping[str, Any]) -> Conversation:
    """Raises InvalidRequest naming each field that is wrong by its path, else CannotCarry naming each tool
    and item that no other dialect knows."""
    fields = Fields(body)
    for name in _HANDLED:
        fields.raw(name)
    extras: dict[str, Any] = {}
    refused: list[FieldError] = []
    safety, user = fields.text("safety_identifier"), fields.text("user")
    conversation = Conversation(
        messages=(*_read_instructions(fields), *InputReader(extras, refused).read(fields)),
        tools=_read_tools(fields, extras, refused),
        tool_choice=_read_tool_choice(fields, extras),
        output=_read_text(fields, extras),
        thinking=_read_thinking(fields, extras),
        max_tokens=fields.integer("max_output_tokens", least=1),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=_read_stop(fields),
        seed=fields.integer("seed"),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        user=user if safety is None else safety,
        extras=extras,
    )
    _read_include(fields, extras, refused)
    extras.update(fields.unread)
    fields.check()
    if refused:
        told = "; ".join(f"{each.field}: {each.message}" for each in refused[:5])
        raise CannotCarry(told, errors=refused)
    return conversation


def _read_instructions(fields: Fields) -> tuple[Message, ...]:
    told = fields.text("instructions")
    return (Message(role=Role.SYSTEM, parts=(Text(text=told),)),) if told else ()


def _read_stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.raw("stop")
    return (stop,) if isinstance(stop, str) else fields.texts("stop")


def _read_include(fields: Fields, extras: dict[str, Any], refused: list[FieldError]) -> None:
    included = fields.texts("include")
    for position, name in enumerate(included):
        if name in INCLUDED:
            refused.append(FieldError(f"include[{position}]", f"{name}: {INCLUDED[name]}"))
    others = [name for name in included if name not in INCLUDED and name != "reasoning.encrypted_content"]
    if others:
        extras["include"] = others


# -- tools ------------------------------------------------------------------------------------------------


def _read_tools(fields: Fields, extras: dict[str, Any], refused: list[FieldError]) -> tuple[Tool, ...]:
    tools = []
    for entry in fields.objects("tools"):
        kind = entry.text("type", required=True)
        if kind == "function":
            tools.append(_read_function(entry))
            for name in entry.unread:
                extras[f"tools[].{name}"] = True
        elif kind is not None:
            refused.append(FieldError(entry.path, f"{kind}: {TOOLS.get(kind, UNKNOWN)}"))
    return tuple(tools)


def _read_function(entry: Fields) -> Tool:
    return Tool(
        name=entry.text("name", required=True) or "",
        description=entry.text("description"),
        parameters=entry.mapping("parameters") or {},
        strict=entry.flag("strict"),
    )


def _read_tool_choice(fields: Fields, extras: dict[str, Any]) -> ToolChoice | None:
    parallel = fields.flag("parallel_tool_calls")
    choice = fields.raw("tool_choice")
    if choice is None:
        return ToolChoice(parallel=parallel) if parallel is not None else None
    match choice:
        case "auto" | "none" | "required":
            return ToolChoice(mode=choice, parallel=parallel)
        case str():
            fields.fault("tool_choice", "must be auto, none, required, or an object that names a function.")
            return None
    chosen = fields.object("tool_choice")
    if chosen is None:
        return None
    if chosen.text("type", required=True) != "function":
        extras["tool_choice"] = choice
        return None
    name = chosen.text("name", required=True)
    return ToolChoice(mode="tool", name=name, parallel=parallel) if name is not None else None


# -- the form of the answer -------------------------------------------------------------------------------


def _read_text(fields: Fields, extras: dict[str, Any]) -> OutputFormat | None:
    text = fields.object("text")
    if text is None:
        return None
    told = text.object("format")
    verbosity = text.text("verbosity")
    if verbosity is not None:
        extras["text.verbosity"] = verbosity
    for name in text.unread:
        extras[f"text[].{name}"] = True
    if told is None:
        return None
    kind = told.text("type", required=True)
    if kind == "text":
        return OutputFormat(kind="text")
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    if kind != "json_schema":
        if kind is not None:
            extras["text.format"] = text.raw("format")
        return None
    return OutputFormat(
        kind="json_schema",
        name=told.text("name"),
        description=told.text("description"),
        schema=told.mapping("schema"),
        strict=told.flag("strict"),
    )


def _read_thinking(fields: Fields, extras: dict[str, Any]) -> Thinking | None:
    """A summary that is asked for means that thoughts are to be seen."""
    reasoning = fields.object("reasoning")
    if reasoning is None:
        return None
    effort = reasoning.word("effort", EFFORTS)
    older = reasoning.text("generate_summary")
    summary = reasoning.text("summary") or older
    for name in ("context", "mode"):
        value = reasoning.text(name)
        if value is not None:
            extras[f"reasoning.{name}"] = value
    for name in reasoning.unread:
        extras[f"reasoning[].{name}"] = True
    found = Thinking(effort=effort, visible=True if summary is not None else None)
    return found if found != Thinking() else None
