"""Bedrock's models: those of a region, and the profiles that spread a model over several regions. Pure.

Neither says prices, limits, or whether a model takes tools.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListInferenceProfiles.html (2026-11-20).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus
from headgate.providers.dialects import listing, openai_errors
from headgate.providers.dialects.bedrock_families import (
    base_name,
    caches_prompts,
    canonical_of,
    claude_version,
    is_claude,
    is_nova,
    keeps_to_schemas,
)

_MODALITIES = {
    "TEXT": "text",
    "IMAGE": "image",
    "VIDEO": "video",
    "SPEECH": "audio",
    "AUDIO": "audio",
    "EMBEDDING": "embeddings",
}
_MAIN = (
    ("TEXT", Modality.TEXT),
    ("EMBEDDING", Modality.EMBEDDING),
    ("IMAGE", Modality.IMAGE),
    ("VIDEO", Modality.VIDEO),
)
"""What a model is for, by what comes out of it: the first of these."""

# https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html
# (2026-11-20): of these families all take tools.
_TOOLS = re.compile(
    r"anthropic\.|amazon\.nova|cohere\.command-r|ai21\.jamba-1-5|meta\.llama(3-[1-3]-(?!1b|3b)|4)|openai\.gpt-oss"
    r"|mistral\.(mistral-large|mistral-small|pixtral|magistral|ministral|voxtral)|qwen\.|deepseek\.v3|writer\."
    r"|moonshot|minimax\.|zai\.|nvidia\."
)
_THINKS = re.compile(
    r"deepseek\.r1|openai\.gpt-oss|amazon\.nova-2|moonshot(ai)?\.kimi-k2-thinking|mistral\.magistral"
)
_SAMPLING = ("max_tokens", "stop", "temperature", "top_p")
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def read_entries(
    entries: Iterable[Any], parse: Callable[[Mapping[str, Any]], ModelInfo | None]
) -> tuple[list[ModelInfo], list[str]]:
    """The models, and why each entry that can't be read was left out."""
    models: list[ModelInfo] = []
    dropped: list[str] = []
    for position, entry in enumerate(entries):
        try:
            if not isinstance(entry, Mapping):
                raise TypeError("is not an object")
            model = parse(entry)
        except _UNREADABLE as error:
            dropped.append(f"entry {position}: {openai_errors.clean_reason(str(error))[:200]}")
        else:
            models += [model] if model is not None else []
    return models, dropped


def read_foundation(entry: Mapping[str, Any]) -> ModelInfo:
    """One model of the region. Raises ValueError for an entry without a usable id."""
    native_id = listing.read_id({"id": entry.get("modelId")})
    outputs = listing.read_words(entry.get("outputModalities"))
    inputs = listing.read_words(entry.get("inputModalities"))
    modality = _modality(native_id, outputs)
    reads = _in_our_words(inputs, default=("text",))
    lifecycle = listing.read_object(entry.get("modelLifecycle"))
    return ModelInfo(
        id=f"bedrock/{native_id}",
        canonical_id=canonical_of(native_id),
        provider="bedrock",
        name=listing.read_text(entry.get("modelName")) or native_id,
        modality=modality,
        input_modalities=reads,
        output_modalities=_in_our_words(outputs, default=listing.OUTPUTS[modality]),
        capabilities=_capabilities(
            native_id, modality, reads, streams=entry.get("responseStreamingSupported") is not False
        ),
        supported_parameters=_parameters(native_id, modality),
        status=ModelStatus.DEPRECATED if lifecycle.get("status") == "LEGACY" else ModelStatus.AVAILABLE,
        expires_at=listing.read_moment(lifecycle.get("endOfLifeTime")),
        created_at=listing.read_moment(lifecycle.get("startOfLifeTime")),
    )


def is_callable(entry: Mapping[str, Any]) -> bool:
    """Whether it can be called by its own id: not what is reached through a profile, or bought by the hour.

    Nor what talks over a two-way stream alone, as models that hear and speak do.
    """
    kinds = listing.read_words(entry.get("inferenceTypesSupported"))
    heard = listing.read_words(entry.get("inputModalities"))
    return (not kinds or "ON_DEMAND" in kinds) and heard != ("SPEECH",)


def needs_profile(entry: Any) -> bool:
    """Whether a model can be called by way of a profile."""
    kinds = entry.get("inferenceTypesSupported") if isinstance(entry, Mapping) else None
    return "INFERENCE_PROFILE" in listing.read_words(kinds)


def read_profile(entry: Mapping[str, Any]) -> ModelInfo | None:
    """One profile, with what its id tells; `with_foundation` adds what its model does.

    None for one that can't be called. Raises ValueError for an entry without a usable id.
    """
    native_id = listing.read_id({"id": entry.get("inferenceProfileId")})
    if entry.get("status", "ACTIVE") != "ACTIVE":
        return None
    found = read_foundation(
        {"modelId": native_id, "modelName": entry.get("inferenceProfileName"), "inputModalities": ["TEXT"]}
    )
    return replace(
        found,
        description=listing.read_text(entry.get("description")),
        created_at=listing.read_moment(entry.get("createdAt")),
    )


def with_foundation(profile: ModelInfo, found: ModelInfo) -> ModelInfo:
    """A profile with what its model takes and gives."""
    return replace(
        profile,
        modality=found.modality,
        input_modalities=found.input_modalities,
        output_modalities=found.output_modalities,
        capabilities=found.capabilities,
        supported_parameters=found.supported_parameters,
        status=found.status,
        expires_at=found.expires_at,
    )


def _modality(native_id: str, outputs: tuple[str, ...]) -> Modality:
    """What comes out of it; a ranking is told as text, and only the name says better."""
    named = listing.modality_of_name(native_id)
    if named is Modality.RERANK:
        return named
    return next((modality for word, modality in _MAIN if word in outputs), named)


def _in_our_words(told: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    return listing.read_modalities([_MODALITIES.get(word, word.lower()) for word in told], default)


def _capabilities(
    native_id: str, modality: Modality, reads: tuple[str, ...], *, streams: bool
) -> frozenset[str]:
    if modality is not Modality.TEXT:
        return frozenset()
    name = base_name(native_id)
    told = {
        "streaming": streams,
        "vision": "image" in reads,
        "audio_input": "audio" in reads,
        "video_input": "video" in reads,
        "file_input": is_claude(native_id) or (is_nova(native_id) and "image" in reads),
        "tools": _TOOLS.match(name) is not None,
        "structured_output": keeps_to_schemas(native_id),
        "prompt_caching": caches_prompts(native_id),
        "reasoning": _thinks(name),
    }
    return frozenset(word for word, holds in told.items() if holds)


def _thinks(name: str) -> bool:
    return claude_version(name) >= (4, 0) or "claude-3-7" in name or _THINKS.match(name) is not None


def _parameters(native_id: str, modality: Modality) -> tuple[str, ...]:
    """In OpenRouter's words, so that one filter does for all."""
    if modality is not Modality.TEXT:
        return ()
    name = base_name(native_id)
    found = set(_SAMPLING)
    if _TOOLS.match(name):
        found |= {"tools", "tool_choice"}
    if keeps_to_schemas(native_id):
        found |= {"response_format", "structured_outputs"}
    if is_claude(native_id) or is_nova(native_id):
        found.add("top_k")
    if _thinks(name):
        found |= {"reasoning", "include_reasoning"}
    return tuple(sorted(found))
