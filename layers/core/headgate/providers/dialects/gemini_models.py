"""One entry of Gemini's model list. Pure.

It says limits, methods and whether a model thinks, but no prices or dates; what goes in and comes out is told
by the family in the name.

https://ai.google.dev/api/models#Model and https://ai.google.dev/gemini-api/docs/models (2026-11-20).
"""

import re
from collections.abc import Mapping
from typing import Any

from headgate.domain.catalog import Modality, ModelInfo
from headgate.providers.dialects import listing
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.gemini_families import bare_name, generation_of, is_gemma

_CALLABLE = frozenset({"generateContent", "embedContent", "predict", "predictLongRunning"})
"""The others are the Live API, which is a WebSocket, and question answering over a corpus."""

_IMAGES = re.compile(r"-image(-|$)|nano-banana|imagen")
_SPEAKS = re.compile(r"-tts(-|$)")
_MUSIC = re.compile(r"lyria")

_EVERYTHING = ("text", "image", "file", "audio", "video")
"""What every Gemini model since 1.5 reads that writes text."""

_SAMPLING = ("max_tokens", "seed", "stop", "temperature", "top_k", "top_p")
_WRITING = ("frequency_penalty", "presence_penalty", "response_format", "structured_outputs")


def parse_model(entry: Mapping[str, Any]) -> ModelInfo | None:
    """None for a model that can't be called over HTTP.

    Raises ValueError for an entry without a usable name.
    """
    name = entry.get("name")
    if not isinstance(name, str):
        raise ValueError("name is not a text")
    native_id = listing.read_id({"id": name.removeprefix("models/")})
    methods = frozenset(listing.read_words(entry.get("supportedGenerationMethods")))
    if methods and not methods & _CALLABLE:
        return None
    modality = _modality(native_id, methods)
    thinks = entry.get("thinking") is True
    inputs = _inputs(native_id, modality)
    writes = modality is Modality.TEXT
    return ModelInfo(
        id=f"gemini/{native_id}",
        canonical_id=canonical_id("gemini", native_id, author="google"),
        provider="gemini",
        name=listing.read_text(entry.get("displayName")) or native_id,
        description=listing.read_text(entry.get("description")),
        modality=modality,
        input_modalities=inputs,
        output_modalities=("text", "image") if _writes_and_draws(native_id, modality) else _outputs(modality),
        capabilities=_capabilities(native_id, modality, inputs, methods, thinks=thinks),
        supported_parameters=_parameters(native_id, modality, thinks=thinks),
        context_window=listing.read_tokens(entry.get("inputTokenLimit")),
        max_output_tokens=listing.read_tokens(entry.get("outputTokenLimit")) if writes else None,
    )


def _modality(native_id: str, methods: frozenset[str]) -> Modality:
    """The method tells embeddings and video; who generates content says by its name what."""
    name = bare_name(native_id)
    if "embedContent" in methods:
        return Modality.EMBEDDING
    if "predictLongRunning" in methods:
        return Modality.VIDEO
    if _IMAGES.search(name) or ("predict" in methods and "generateContent" not in methods):
        return Modality.IMAGE
    if _SPEAKS.search(name):
        return Modality.TTS
    if _MUSIC.search(name):
        return Modality.MUSIC
    return Modality.TEXT if methods else listing.modality_of_name(name)


def _writes_and_draws(native_id: str, modality: Modality) -> bool:
    """Gemini's own image models; Imagen draws alone."""
    return modality is Modality.IMAGE and "imagen" not in bare_name(native_id)


def _outputs(modality: Modality) -> tuple[str, ...]:
    return listing.OUTPUTS[modality]


def _inputs(native_id: str, modality: Modality) -> tuple[str, ...]:
    name = bare_name(native_id)
    if modality is Modality.EMBEDDING:
        return _EVERYTHING if re.search(r"embedding-[2-9]", name) else ("text",)
    if modality is Modality.VIDEO or _writes_and_draws(native_id, modality):
        return ("text", "image")
    if modality is not Modality.TEXT:
        return ("text",)
    if is_gemma(native_id):
        sees = generation_of(native_id) >= (3, 0) and "-1b-" not in name
        return ("text", "image") if sees else ("text",)
    return _EVERYTHING if name.startswith("gemini") else ("text",)


def _capabilities(
    native_id: str,
    modality: Modality,
    inputs: tuple[str, ...],
    methods: frozenset[str],
    *,
    thinks: bool,
) -> frozenset[str]:
    found = {f"{word}_input" for word in ("audio", "video", "file") if word in inputs}
    if "image" in inputs and modality in (Modality.TEXT, Modality.IMAGE):
        found.add("vision")
    if modality is Modality.TEXT or _writes_and_draws(native_id, modality):
        found.add("streaming")
    if _writes_and_draws(native_id, modality):
        found.add("image_output")
    if modality is Modality.TEXT and _is_chat(native_id):
        found |= {"tools", "structured_output", "json_mode"}
    if thinks:
        found.add("reasoning")
    if "createCachedContent" in methods:
        found.add("prompt_caching")
    return frozenset(found)


def _parameters(native_id: str, modality: Modality, *, thinks: bool) -> tuple[str, ...]:
    """In OpenRouter's words, so that one filter does for all."""
    if modality is not Modality.TEXT and not _writes_and_draws(native_id, modality):
        return ()
    found = set(_SAMPLING)
    if modality is Modality.TEXT and _is_chat(native_id):
        found |= {*_WRITING, "tools", "tool_choice"}
    if thinks:
        found |= {"reasoning", "include_reasoning"}
    return tuple(sorted(found))


def _is_chat(native_id: str) -> bool:
    """Gemini itself, and Gemma since its fourth generation, which calls functions and keeps to schemas."""
    if is_gemma(native_id):
        return generation_of(native_id) >= (4, 0)
    return bare_name(native_id).startswith("gemini")
