"""A conversation written as the body of Converse and ConverseStream, which take the same.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11-20). What only some
models know goes into `additionalModelRequestFields`.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Conversation, OutputFormat, Tool, ToolChoice
from headgate.domain.errors import CannotCarry
from headgate.providers.base import ChatCall
from headgate.providers.dialects.anthropic_models import claude_of
from headgate.providers.dialects.bedrock_families import base_name, is_claude, is_nova, keeps_to_schemas
from headgate.providers.dialects.bedrock_thinking import write_thinking
from headgate.providers.dialects.bedrock_turns import TurnWriter
from headgate.providers.dialects.carrying import carry, drop, drop_sampling, note_idle_choice
from headgate.providers.dialects.openai_answers import write_json

_OWN = frozenset(
    {
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
    }
)
"""Converse's own fields, which a caller may name; every other unknown one is the model's."""
_MODELS_OWN = "additionalModelRequestFields"
_SAMPLING = ("seed", "frequency_penalty", "presence_penalty")


def write_body(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    """Raises CannotCarry; what is left out is named in `call.dropped`."""
    extras = carry(conversation.extras, call)
    writer = TurnWriter(call)
    turns, system = writer.write(conversation.messages)
    fields = _model_fields(conversation, call)
    body: dict[str, Any] = {"messages": turns}
    if system:
        body["system"] = system
    if config := _configure(conversation, call, thinks="thinking" in fields):
        body["inferenceConfig"] = config
    if tools := _tools(conversation, writer):
        body["toolConfig"] = tools
    if output := _format(conversation.output, call):
        body["outputConfig"] = output
    note_idle_choice(conversation, call)
    drop_sampling(conversation, call, *_SAMPLING)
    if conversation.user is not None:
        drop(call, "user")
    return _merge(body, fields, extras)


def _merge(body: dict[str, Any], fields: dict[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller says in Bedrock's own words goes before what we make of the others."""
    told = extras.get(_MODELS_OWN)
    for name, value in extras.items():
        if name in _OWN:
            body[name] = value
        elif name != _MODELS_OWN:
            fields[name] = value
    if isinstance(told, Mapping):
        fields |= told
    if fields:
        body[_MODELS_OWN] = fields
    return body


def _model_fields(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    fields = write_thinking(conversation, call)
    top_k = conversation.top_k
    if top_k is None:
        return fields
    if is_claude(call.model) and "thinking" not in fields and claude_of(base_name(call.model)).samples:
        fields["top_k"] = top_k
    elif is_nova(call.model):
        # https://docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html (2026-11-20)
        fields["inferenceConfig"] = {"topK": top_k}
    else:
        drop(call, "top_k")
    return fields


def _configure(conversation: Conversation, call: ChatCall, *, thinks: bool) -> dict[str, Any]:
    """A Claude that thinks takes no temperature, and of `top_p` only what is nearly 1.

    https://docs.claude.com/en/docs/build-with-claude/extended-thinking#feature-compatibility (2026-11-20).
    """
    temperature, top_p = conversation.temperature, conversation.top_p
    if is_claude(call.model):
        temperature, top_p = _sampling_of_claude(conversation, call)
    if thinks and temperature not in (None, 1):
        drop(call, "temperature")
        temperature = None
    if thinks and top_p is not None and not 0.95 <= top_p <= 1:
        drop(call, "top_p")
        top_p = None
    if temperature is not None and temperature > 1:
        drop(call, "temperature")  # to the most that Bedrock takes
        temperature = 1
    told = {
        "maxTokens": conversation.max_tokens,
        "temperature": temperature,
        "topP": top_p,
        "stopSequences": [stop for stop in conversation.stop if stop] or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _sampling_of_claude(conversation: Conversation, call: ChatCall) -> tuple[float | None, float | None]:
    """One of the two, and neither since 4.7: https://platform.claude.com/docs/en/about-claude/models/
    migration-guide (2026-11-21). 1 is the default of both, so it is not missed."""
    temperature, top_p = conversation.temperature, conversation.top_p
    samples = claude_of(base_name(call.model)).samples
    if top_p is not None and (not samples or temperature is not None):
        if top_p != 1:
            drop(call, "top_p")
        top_p = None
    if temperature is not None and not samples:
        if temperature != 1:
            drop(call, "temperature")
        temperature = None
    return temperature, top_p


# -- tools ------------------------------------------------------------------------------------------------


def _tools(conversation: Conversation, writer: TurnWriter) -> dict[str, Any]:
    """Converse has no word for calling none: the tools are then left out, where the messages do without.

    Messages in which tools are used are refused without their declarations.
    """
    choice = conversation.tool_choice
    silent = choice is not None and choice.mode == "none"
    if conversation.tools and not silent:
        if choice is not None and choice.parallel is False:
            raise CannotCarry.field(
                "parallel_tool_calls", "Bedrock can't keep a model from calling several at once."
            )
        declared = [block for tool in conversation.tools for block in _declare(tool, writer)]
        return {"tools": declared} | _choose(choice)
    if not writer.uses_tools:
        return {}
    if silent:
        raise CannotCarry.field("tool_choice", "Bedrock can't forbid tools that the messages have used.")
    raise CannotCarry.field("tools", "Bedrock wants the tools declared that the messages have used.")


def _declare(tool: Tool, writer: TurnWriter) -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {}} | dict(tool.parameters)
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict and keeps_to_schemas(writer.model):
        spec["strict"] = True
    return [{"toolSpec": spec}, *writer.cache_point(tool.cache)]


def _choose(choice: ToolChoice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    match choice.mode:
        case "required":
            return {"toolChoice": {"any": {}}}
        case "tool":
            return {"toolChoice": {"tool": {"name": choice.name}}}
        case _:
            return {"toolChoice": {"auto": {}}}


# -- the form of the answer -------------------------------------------------------------------------------


def _format(output: OutputFormat | None, call: ChatCall) -> dict[str, Any]:
    """A schema goes as text. https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    (2026-11-20)."""
    if output is None or output.kind == "text":
        return {}
    if output.kind == "json_object" or output.schema is None:
        raise CannotCarry.field("response_format", "Bedrock answers in JSON only where it is given a schema.")
    if not keeps_to_schemas(call.model):
        raise CannotCarry.field("response_format", f"{call.model} can't be held to a schema on Bedrock.")
    told = {"name": output.name, "description": output.description}
    schema: dict[str, Any] = {"schema": write_json(output.schema).decode()}
    schema |= {name: text for name, text in told.items() if text}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
