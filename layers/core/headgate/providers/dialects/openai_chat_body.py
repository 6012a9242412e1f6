"""A conversation written as the body of a chat completion, for a provider that speaks the dialect.

What a conversation can say and the server can't is left out by name where the answer stays of its kind, and
refused where it would be another. Servers differ beyond OpenAI's own fields: see `ChatTraits`.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Conversation, OutputFormat, Thinking, Tool, ToolChoice
from headgate.providers.base import ChatCall
from headgate.providers.dialects.carrying import carry, drop, note_idle_choice
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.openai_chat_turns import TurnWriter, cache_control
from headgate.providers.dialects.thinking import effort_of, is_off


def write_request(conversation: Conversation, call: ChatCall, traits: ChatTraits) -> dict[str, Any]:
    """Raises CannotCarry; what is left out is named in `call.dropped`."""
    body: dict[str, Any] = {"model": call.model}
    body["messages"] = TurnWriter(call, traits).write(conversation.messages)
    if conversation.tools:
        body["tools"] = [_write_tool(tool, call, traits) for tool in conversation.tools]
    body |= _write_choice(conversation)
    note_idle_choice(conversation, call)
    if conversation.output is not None:
        body["response_format"] = _write_output(conversation.output)
    if conversation.thinking is not None:
        body |= _write_thinking(conversation.thinking, call, traits)
    body |= _write_sampling(conversation, call, traits)
    body |= carry(conversation.extras, call)
    if call.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _write_sampling(conversation: Conversation, call: ChatCall, traits: ChatTraits) -> dict[str, Any]:
    told: dict[str, Any] = {
        traits.max_tokens: conversation.max_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
        "stop": list(conversation.stop) or None,
        "seed": conversation.seed,
        "frequency_penalty": conversation.frequency_penalty,
        "presence_penalty": conversation.presence_penalty,
        "user": conversation.user,
    }
    if told["top_k"] is not None and "top_k" not in traits.sampling:
        drop(call, "top_k")
        told["top_k"] = None
    return {name: value for name, value in told.items() if value is not None}


# -- tools ------------------------------------------------------------------------------------------------


def _write_tool(tool: Tool, call: ChatCall, traits: ChatTraits) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = dict(tool.parameters) or {"type": "object", "properties": {}}
    if tool.strict is not None:
        function["strict"] = tool.strict
    written: dict[str, Any] = {"type": "function", "function": function}
    if tool.cache is not None:
        if traits.cache_control:
            written["cache_control"] = cache_control(tool.cache)
        else:
            drop(call, "cache_control")
    return written


def _write_choice(conversation: Conversation) -> dict[str, Any]:
    """Nothing without tools: OpenAI refuses a choice among none."""
    choice = conversation.tool_choice
    if choice is None or not conversation.tools:
        return {}
    written: dict[str, Any] = {}
    if choice.parallel is not None:
        written["parallel_tool_calls"] = choice.parallel
    if choice.mode == "tool":
        written["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice != ToolChoice(parallel=choice.parallel) or choice.parallel is None:
        written["tool_choice"] = choice.mode
    return written


# -- the form of the answer -------------------------------------------------------------------------------


def _write_output(output: OutputFormat) -> dict[str, Any]:
    if output.kind != "json_schema":
        return {"type": output.kind}
    schema: dict[str, Any] = {"name": output.name or "answer"}
    if output.description is not None:
        schema["description"] = output.description
    if output.schema is not None:
        schema["schema"] = dict(output.schema)
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _write_thinking(thinking: Thinking, call: ChatCall, traits: ChatTraits) -> Mapping[str, Any]:
    """How much to think, in the server's own field; see `effort_of` for what a budget comes to.

    Not to think at all is the default of most models, and the word for it is refused by the others, so it is
    said only where the field has a switch.
    """
    if traits.thinking == "reasoning":
        return {"reasoning": _openrouter_reasoning(thinking)}
    effort = effort_of(thinking)
    if traits.thinking == "thinking":
        if is_off(thinking):
            return {"thinking": {"type": "disabled"}}
        told = {"reasoning_effort": effort} if effort is not None else {}
        return {"thinking": {"type": "enabled"}, **told}
    known = call.info is None or not traits.thinks_only or "reasoning" in call.info.capabilities
    if traits.thinking is None or not known or is_off(thinking):
        if not (is_off(thinking) and not known):
            drop(call, "thinking")
        return {}
    return {"reasoning_effort": "xhigh" if effort == "max" else effort} if effort is not None else {}


def _openrouter_reasoning(thinking: Thinking) -> dict[str, Any]:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11-20): effort or max_tokens, not both."""
    written: dict[str, Any] = {}
    if is_off(thinking):
        written["effort"] = "none"
    elif thinking.budget_tokens is not None:
        written["max_tokens"] = thinking.budget_tokens
    elif thinking.effort is not None:
        written["effort"] = thinking.effort
    else:
        written["enabled"] = True
    if thinking.visible is not None:
        written["exclude"] = not thinking.visible
    return written
