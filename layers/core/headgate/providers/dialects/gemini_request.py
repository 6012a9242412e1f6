"""A conversation written as the body of `generateContent`.

https://ai.google.dev/api/generate-content (2026-11-20). Schemas go as JSON Schema, in the fields that take it
whole (recorded with Gemini 2.0 to 3), not in Gemini's own subset of it.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Conversation, OutputFormat, Tool, ToolChoice
from headgate.domain.errors import CannotCarry
from headgate.providers.base import ChatCall
from headgate.providers.dialects.carrying import carry, drop, note_idle_choice
from headgate.providers.dialects.gemini_families import is_gemma
from headgate.providers.dialects.gemini_thinking import write_thinking
from headgate.providers.dialects.gemini_turns import TurnWriter

MAX_STOP_SEQUENCES = 5

_SEEDS = 2**31
"""A seed has 32 bits there; a larger one is folded, so that the same one still gives the same answer."""

_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
"""Of OpenRouter's `modalities`: sound would come as raw samples, which no other dialect expects."""

_MERGED = {
    "generationConfig": "generationConfig",
    "generation_config": "generationConfig",
    "toolConfig": "toolConfig",
    "tool_config": "toolConfig",
}
"""Gemini's own objects, by both of their spellings: what a caller says there is added to what we say."""


def write_body(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    """Raises CannotCarry; what is left out is named in `call.dropped`."""
    extras = _own_fields(carry(conversation.extras, call, own=_sayable(conversation.extras)))
    contents, system = TurnWriter(call).write(conversation.messages)
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if conversation.tools:
        body["tools"] = [{"functionDeclarations": [_declare(tool, call) for tool in conversation.tools]}]
        choice = _choose(conversation.tool_choice, conversation.tools, call)
        if choice:
            body["toolConfig"] = {"functionCallingConfig": choice}
    note_idle_choice(conversation, call)
    config = _configure(conversation, call) | _images(extras)
    if config:
        body["generationConfig"] = config
    if conversation.user is not None:
        drop(call, "user")
    return _merge(body, extras, call)


def _merge(body: dict[str, Any], extras: Mapping[str, Any], call: ChatCall) -> dict[str, Any]:
    """Fields that Gemini alone knows, beside ours; what is said already is not said again."""
    for name, value in extras.items():
        place = _MERGED.get(name)
        if place is not None and isinstance(value, Mapping):
            body[place] = {**body.get(place, {}), **value}
        elif name in body:
            drop(call, name)
        else:
            body[name] = value
    return body


# -- tools ------------------------------------------------------------------------------------------------


def _declare(tool: Tool, call: ChatCall) -> dict[str, Any]:
    """Without `parametersJsonSchema` a function takes none."""
    if tool.cache is not None:
        drop(call, "cache_control")
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.parameters:
        declared["parametersJsonSchema"] = dict(tool.parameters)
    return declared


def _choose(choice: ToolChoice | None, tools: tuple[Tool, ...], call: ChatCall) -> dict[str, Any]:
    """The mode; VALIDATED holds calls to their schema, as `strict` asks, where none is demanded.

    https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes (2026-11-20).
    """
    if choice is not None and choice.parallel is False and choice.mode != "none":
        if choice.mode != "tool" and len(tools) > 1:
            raise CannotCarry.field(
                "parallel_tool_calls", "Gemini can't be kept from calling several at once."
            )
        # With one tool it is mostly structured output that is asked for: one call is what comes.
        drop(call, "parallel_tool_calls")
    mode = choice.mode if choice is not None else "auto"
    if mode == "none":
        return {"mode": "NONE"}
    if mode == "required":
        return {"mode": "ANY"}
    if choice is not None and mode == "tool":
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    if any(tool.strict for tool in tools) and not is_gemma(call.model):
        return {"mode": "VALIDATED"}
    return {"mode": "AUTO"} if choice is not None else {}


# -- configuration ----------------------------------------------------------------------------------------


def _configure(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    if len(conversation.stop) > MAX_STOP_SEQUENCES:
        raise CannotCarry.field("stop", f"Gemini takes at most {MAX_STOP_SEQUENCES} of them.")
    told: dict[str, Any] = {
        "maxOutputTokens": _max_tokens(conversation.max_tokens, call),
        "temperature": conversation.temperature,
        "topP": conversation.top_p,
        "topK": conversation.top_k,
        "stopSequences": list(conversation.stop) or None,
        "seed": None if conversation.seed is None else conversation.seed % _SEEDS,
        # Zero, which clients send unasked, says nothing, and not every model takes penalties.
        "frequencyPenalty": conversation.frequency_penalty or None,
        "presencePenalty": conversation.presence_penalty or None,
    }
    config = {name: value for name, value in told.items() if value is not None}
    if conversation.output is not None:
        config |= _format(conversation.output)
    if conversation.thinking is not None:
        thinking = write_thinking(conversation.thinking, call)
        config |= {"thinkingConfig": thinking} if thinking else {}
    return config


def _max_tokens(wanted: int | None, call: ChatCall) -> int | None:
    """At most what the model can write: Gemini refuses more, where others take it as no limit."""
    most = call.info.max_output_tokens if call.info is not None else None
    return min(wanted, most) if wanted is not None and most is not None else wanted


def _format(output: OutputFormat) -> dict[str, Any]:
    """A schema is always kept to, so nothing is lost of `strict`; its name has no place."""
    if output.kind == "text":
        return {}
    if output.kind == "json_object" or output.schema is None:
        return {"responseMimeType": "application/json"}
    schema = dict(output.schema)
    if output.description:
        schema.setdefault("description", output.description)
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


# -- what the caller says in other words ------------------------------------------------------------------


def _sayable(extras: Mapping[str, Any]) -> frozenset[str]:
    """Names of extras which can be said after all."""
    wanted = extras.get("modalities")
    if isinstance(wanted, list) and wanted and all(word in _MODALITIES for word in wanted):
        return frozenset({"modalities"})
    return frozenset()


def _images(extras: dict[str, Any]) -> dict[str, Any]:
    """OpenRouter's words for images within an answer; they are taken out of `extras`.

    https://openrouter.ai/docs/features/multimodal/image-generation (2026-11-20).
    """
    config: dict[str, Any] = {}
    modalities, image = extras.pop("modalities", None), extras.pop("image_config", None)
    if modalities is not None and modalities != ["text"]:
        config["responseModalities"] = [_MODALITIES[word] for word in modalities]
    if isinstance(image, Mapping):
        names = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}
        config["imageConfig"] = {names.get(name, name): value for name, value in image.items()}
    return config


def _own_fields(extras: dict[str, Any]) -> dict[str, Any]:
    """Extras with what Google's compatible API has in `extra_body.google` put where Gemini has it.

    https://ai.google.dev/gemini-api/docs/openai#extra-body (2026-11-20).
    """
    body = extras.get("extra_body")
    if not isinstance(body, Mapping) or not isinstance(body.get("google"), Mapping):
        return extras
    google = body["google"]
    others = {name: value for name, value in body.items() if name != "google"}
    found = {name: value for name, value in extras.items() if name != "extra_body"}
    found |= {"extra_body": others} if others else {}
    for name, value in google.items():
        if name in ("thinking_config", "thinkingConfig"):
            config = found.get("generationConfig")
            found["generationConfig"] = {
                **(config if isinstance(config, Mapping) else {}),
                "thinkingConfig": value,
            }
        else:
            found[name] = value
    return found
