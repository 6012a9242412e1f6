"""What Ollama and LM Studio tell of their models on paths of their own, beside OpenAI's list.

Which of them it is shows in the list itself, so no server is asked for what it does not have:

- Ollama names as owner the namespace of a model, `library` for its own; `POST /api/show` tells the rest, one
  model at a time. https://github.com/ollama/ollama docs/openapi.yaml (2026-08)
- LM Studio names `organization_owner` for every model; `GET /api/v1/models` tells of all at once.
  https://lmstudio.ai/docs/developer/rest/list (2026-08)

vLLM, llama.cpp and LM Studio's older `/api/v0` tell what they tell in the list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import ProviderFailed
from headgate.providers.dialects import listing

_OLLAMA, _LM_STUDIO = "ollama:", "lmstudio"

_TELLS_ENOUGH = frozenset(
    {"max_model_len", "max_context_length", "context_length", "context_window", "meta", "type"}
)
"""Keys of a list entry that neither of the two has in its OpenAI list."""

# `parameters` is the Modelfile's, a line each: https://docs.ollama.com/modelfile (2026-08)
_NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,10})\s*$", re.MULTILINE)

_OLLAMA_CAPABILITIES = {
    "completion": "streaming",
    "tools": "tools",
    "vision": "vision",
    "thinking": "reasoning",
    "audio": "audio_input",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A request, relative to the server's root."""

    method: str
    path: str
    body: bytes | None = None


def details_of(body: bytes, models: Iterable[ModelInfo]) -> tuple[str, ...]:
    """What there is to ask the server that answered with this list; nothing where its kind does not show."""
    try:
        root = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ()
    entries = root.get("data") if isinstance(root, dict) else root
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return ()
    if any(_TELLS_ENOUGH & entry.keys() for entry in entries):
        return ()
    owners = {str(entry.get("owned_by")) for entry in entries}
    if owners == {"organization_owner"}:
        return (_LM_STUDIO,)
    if "library" in owners and all(isinstance(entry.get("owned_by"), str) for entry in entries):
        return tuple(f"{_OLLAMA}{model.native_id}" for model in models)
    return ()


def question(detail: str) -> Question | None:
    """What to ask for a detail."""
    if detail == _LM_STUDIO:
        return Question("GET", "/api/v1/models")
    if detail.startswith(_OLLAMA):
        return Question("POST", "/api/show", orjson.dumps({"model": detail.removeprefix(_OLLAMA)}))
    return None


def read_answer(detail: str, body: bytes, models: Mapping[str, ModelInfo]) -> Iterator[ModelInfo]:
    """The models that the answer tells more of. Raises ProviderFailed (`provider_protocol`)."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise ProviderFailed("The server's native answer is no JSON object.", code="provider_protocol")
    if detail == _LM_STUDIO:
        yield from _read_lm_studio(told, models)
    elif (model := models.get(f"custom/{detail.removeprefix(_OLLAMA)}")) is not None:
        yield _read_ollama(told, model)


def _read_ollama(told: Mapping[str, Any], model: ModelInfo) -> ModelInfo:
    """The context it runs with, where the model's own file sets one, else the longest it was made for."""
    info = listing.read_object(told.get("model_info"))
    set_to = _NUM_CTX.search(listing.read_text(told.get("parameters")))
    made_for = listing.read_tokens(info.get(f"{info.get('general.architecture')}.context_length"))
    words = set(listing.read_words(told.get("capabilities")))
    details = listing.read_object(told.get("details"))
    facts = [
        listing.read_text(details.get(key)) for key in ("family", "parameter_size", "quantization_level")
    ]
    model = _of_kind(model, _ollama_modality(model, words), words & {"vision"})
    return replace(
        model,
        description=model.description or ", ".join(filter(None, facts)),
        capabilities=model.capabilities
        | {name for word, name in _OLLAMA_CAPABILITIES.items() if word in words},
        context_window=(listing.read_tokens(set_to[1]) if set_to else None)
        or made_for
        or model.context_window,
    )


def _ollama_modality(model: ModelInfo, words: set[str]) -> Modality:
    if "completion" in words:
        return Modality.TEXT
    if "embedding" in words:
        return Modality.EMBEDDING
    return Modality.IMAGE if "image" in words else model.modality


def _read_lm_studio(told: Mapping[str, Any], models: Mapping[str, ModelInfo]) -> Iterator[ModelInfo]:
    """By key, and by the ids of what is loaded: those are listed too, and run with a context of their own."""
    for entry in _objects(told.get("models")):
        longest = listing.read_tokens(entry.get("max_context_length"))
        loaded = {
            str(instance.get("id")): listing.read_object(instance.get("config")).get("context_length")
            for instance in _objects(entry.get("loaded_instances"))
        }
        for name, context in ({str(entry.get("key")): None} | loaded).items():
            if (model := models.get(f"custom/{name}")) is not None:
                yield _of_lm_studio(model, entry, listing.read_tokens(context) or longest)


def _of_lm_studio(model: ModelInfo, entry: Mapping[str, Any], context: int | None) -> ModelInfo:
    able = listing.read_object(entry.get("capabilities"))
    kind = {"llm": Modality.TEXT, "embedding": Modality.EMBEDDING}.get(str(entry.get("type")), model.modality)
    found = [
        ("streaming", kind is Modality.TEXT),
        ("vision", able.get("vision") is True),
        ("tools", able.get("trained_for_tool_use") is True),
        ("reasoning", bool(able.get("reasoning"))),
    ]
    model = _of_kind(model, kind, able.get("vision") is True)
    return replace(
        model,
        name=listing.read_text(entry.get("display_name")) or model.name,
        description=listing.read_text(entry.get("description")) or model.description,
        capabilities=model.capabilities | {name for name, there in found if there},
        context_window=context or model.context_window,
    )


def _of_kind(model: ModelInfo, modality: Modality, sees: object) -> ModelInfo:
    """The model with its modality corrected, and what that implies."""
    return replace(
        model,
        modality=modality,
        input_modalities=("text", "image") if sees else listing.INPUTS.get(modality, ("text",)),
        output_modalities=listing.OUTPUTS[modality],
        capabilities=model.capabilities if modality is Modality.TEXT else model.capabilities - {"streaming"},
    )


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
