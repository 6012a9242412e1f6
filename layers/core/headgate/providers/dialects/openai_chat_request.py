"""A chat completion as a client asks for it, read into a conversation.

https://platform.openai.com/docs/api-reference/chat/create (2026-11-20), with OpenRouter's and DeepSeek's
fields for thinking and caching, and the older `functions`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from headgate.domain.conversation import Conversation, OutputFormat, Thinking, Tool, ToolChoice
from headgate.providers.dialects.fields import Fields
from headgate.providers.dialects.openai_chat_messages import read_cache, read_messages
from headgate.providers.dialects.thinking import EFFORTS

_MODES: Mapping[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}
_HANDLED = ("model", "stream")
"""Read before this: they say which candidate serves the request and how, not what is asked."""


def read_request(body: Mapping[str, Any]) -> Conversation:
    """Raises InvalidRequest naming each field that is wrong by its path."""
    fields = Fields(body)
    for name in _HANDLED:
        fields.raw(name)
    extras: dict[str, Any] = {}
    conversation = Conversation(
        messages=read_messages(fields, extras),
        tools=_read_tools(fields, extras),
        tool_choice=_read_tool_choice(fields, extras),
        output=_read_output(fields, extras),
        thinking=_read_thinking(fields),
        max_tokens=_read_max_tokens(fields),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=_read_stop(fields),
        seed=fields.integer("seed"),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        user=fields.text("user"),
        extras=extras,
    )
    extras.update(fields.unread)
    fields.check()
    return conversation


def _read_max_tokens(fields: Fields) -> int | None:
    """`max_completion_tokens`, or `max_tokens`, its older name."""
    older = fields.integer("max_tokens", least=1)
    newer = fields.integer("max_completion_tokens", least=1)
    return newer if newer is not None else older


def _read_stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.raw("stop")
    return (stop,) if isinstance(stop, str) else fields.texts("stop")


# -- tools ------------------------------------------------------------------------------------------------


def _read_tools(fields: Fields, extras: dict[str, Any]) -> tuple[Tool, ...]:
    tools = []
    for entry in fields.objects("tools"):
        kind = entry.text("type", required=True)
        if kind == "function":
            function = entry.object("function", required=True)
            if function is not None:
                tools.append(_read_function(function, cache=read_cache(entry)))
        elif kind is not None:
            extras[entry.path] = {"type": kind, **entry.unread}
    tools += [_read_function(function, cache=None) for function in fields.objects("functions")]
    return tuple(tools)


def _read_function(function: Fields, *, cache: str | None) -> Tool:
    return Tool(
        name=function.text("name", required=True) or "",
        description=function.text("description"),
        parameters=function.mapping("parameters") or {},
        strict=function.flag("strict"),
        cache=cache,
    )


def _read_tool_choice(fields: Fields, extras: dict[str, Any]) -> ToolChoice | None:
    parallel = fields.flag("parallel_tool_calls")
    choice = fields.raw("tool_choice")
    named: str | None = None
    if choice is None:
        name = "function_call"
        choice = fields.raw(name)
        named = _read_named(fields, name, inner=None) if not isinstance(choice, str | None) else None
    else:
        name = "tool_choice"
        if isinstance(choice, Mapping) and choice.get("type", "function") != "function":
            extras[name] = choice
            return None
        named = _read_named(fields, name, inner="function") if not isinstance(choice, str) else None
    if named is not None:
        return ToolChoice(mode="tool", name=named, parallel=parallel)
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            fields.fault(name, f"must be {', '.join(_MODES)}, or an object that names a function.")
        return ToolChoice(mode=mode, parallel=parallel) if mode is not None else None
    return ToolChoice(parallel=parallel) if choice is None and parallel is not None else None


def _read_named(fields: Fields, name: str, *, inner: str | None) -> str | None:
    chosen = fields.object(name)
    if chosen is not None and inner is not None:
        chosen.raw("type")
        chosen = chosen.object(inner, required=True)
    return chosen.text("name", required=True) if chosen is not None else None


# -- the form of the answer -------------------------------------------------------------------------------


def _read_output(fields: Fields, extras: dict[str, Any]) -> OutputFormat | None:
    told = fields.object("response_format")
    if told is None:
        return None
    kind = told.text("type", required=True)
    if kind == "text":
        return OutputFormat(kind="text")
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    if kind != "json_schema":
        if kind is not None:
            extras["response_format"] = fields.raw("response_format")
        return None
    schema = told.object("json_schema", required=True)
    if schema is None:
        return None
    return OutputFormat(
        kind="json_schema",
        name=schema.text("name"),
        description=schema.text("description"),
        schema=schema.mapping("schema"),
        strict=schema.flag("strict"),
    )


def _read_thinking(fields: Fields) -> Thinking | None:
    """`reasoning_effort`; OpenRouter's `reasoning`; DeepSeek's and Anthropic's `thinking`; Qwen's switch."""
    effort = fields.word("reasoning_effort", EFFORTS)
    reasoning = fields.object("reasoning")
    thinking = fields.object("thinking")
    enabled = fields.flag("enable_thinking")
    included = fields.flag("include_reasoning")
    budget: int | None = None
    visible = included
    if reasoning is not None:
        effort = reasoning.word("effort", EFFORTS) or effort
        budget = reasoning.integer("max_tokens", least=0)
        excluded = reasoning.flag("exclude")
        visible = not excluded if excluded is not None else visible
        told = reasoning.flag("enabled")
        enabled = told if told is not None else enabled
    if thinking is not None:
        kind = thinking.word("type", ("enabled", "disabled", "adaptive", "auto"), required=True)
        budget = thinking.integer("budget_tokens", least=0) or budget
        enabled = kind != "disabled" if kind is not None else enabled
    if enabled is False and effort is None:
        effort = "none"
    adaptive = enabled is True and effort is None and budget is None
    found = Thinking(effort=effort, budget_tokens=budget, adaptive=adaptive, visible=visible)
    return found if found != Thinking() else None
