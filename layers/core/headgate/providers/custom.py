"""Any server that speaks OpenAI's dialect: Ollama, vLLM, LM Studio, or one of the caller's own."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from headgate.domain.catalog import Modality, ModelInfo
from headgate.ports import WireRequest
from headgate.providers import _custom_servers
from headgate.providers.base import ModelPage, ProviderConfig, ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible

# Where servers tell the context: vLLM's max_model_len, LM Studio's max_context_length, llama.cpp's
# meta.n_ctx_train, LiteLLM's and others' context_length or context_window (their docs, 2026-08).
_CONTEXT_KEYS = (
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "n_ctx",
    "n_ctx_train",
)
_NULL_LIST = re.compile(rb'\s*\{[^{}\[\]]*"data"\s*:\s*null\s*[,}]')
_OUTPUT_KEYS = ("max_output_tokens", "max_completion_tokens")


@provider
class Custom(OpenAICompatible):
    """Nothing but an id is expected of a list entry, and no key where the server needs none."""

    spec = ProviderSpec(
        slug="custom",
        embeddings_path="/embeddings",
        name="Custom server",
        description="Any server with OpenAI's chat completions: Ollama, vLLM, LM Studio and others.",
        docs_url="https://platform.openai.com/docs/api-reference/chat",
        base_url=None,
        key_check_path="/models",
        key_required=False,
        modalities=frozenset(
            {Modality.TEXT, Modality.EMBEDDING, Modality.IMAGE, Modality.TTS, Modality.STT, Modality.RERANK}
        ),
        features=("streaming",),
    )

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The list, as far as a key is used at all."""
        return super().build_key_check(config) if config.api_key is not None else None

    def parse_list_models(self, body: bytes) -> ModelPage:
        """Ollama with no model pulled says `"data": null`, which is an empty list."""
        if _NULL_LIST.match(body):
            return ModelPage(models=())
        page = super().parse_list_models(body)
        return replace(page, details=_custom_servers.details_of(body, page.models))

    def build_detail(self, config: ProviderConfig, detail: str) -> WireRequest | None:
        """Native paths lie beside `/v1`, not below it."""
        asked = _custom_servers.question(detail)
        if asked is None:
            return None
        headers = self.headers(config)
        if asked.body is not None:
            headers["content-type"] = "application/json"
        return WireRequest(
            method=asked.method,
            url=f"{self.base_url(config).removesuffix('/v1')}{asked.path}",
            headers=headers,
            body=asked.body,
            idempotent=True,
            guarded=config.guarded,
        )

    def parse_detail(self, detail: str, body: bytes, models: Mapping[str, ModelInfo]) -> Iterable[ModelInfo]:
        return _custom_servers.read_answer(detail, body, models)

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        modality = _modality(native_id, entry)
        vision = listing.read_object(entry.get("capabilities")).get("vision") is True
        tools = listing.read_object(entry.get("capabilities")).get("trained_for_tool_use") is True
        found = [("streaming", modality is Modality.TEXT), ("vision", vision), ("tools", tools)]
        return ModelInfo(
            id=f"custom/{native_id}",
            canonical_id=_canonical_id(native_id),
            provider="custom",
            name=listing.read_text(entry.get("name")) or native_id,
            description=listing.read_text(entry.get("description")),
            modality=modality,
            input_modalities=("text", "image") if vision else listing.INPUTS.get(modality, ("text",)),
            output_modalities=listing.OUTPUTS[modality],
            capabilities=frozenset(name for name, there in found if there),
            context_window=_first_tokens(entry, _CONTEXT_KEYS),
            max_output_tokens=_first_tokens(entry, _OUTPUT_KEYS),
            created_at=listing.read_moment(entry.get("created")),
        )


def _canonical_id(native_id: str) -> str:
    """`author/model` where the server uses such names (`qwen/qwen3-32b`); else its name belongs to it alone.

    A bare `llama3.2:3b` may be any cut of the model, and a path on its disk is nobody's name.
    """
    author, slash, name = native_id.partition("/")
    named = author and slash and name and "/" not in name
    return canonical_id("custom", native_id) if named else f"custom/{native_id}"


def _modality(native_id: str, entry: Mapping[str, Any]) -> Modality:
    """LM Studio tells a type (`llm`, `vlm`, `embeddings`); elsewhere the name has to do."""
    kind = entry.get("type")
    if isinstance(kind, str) and kind.startswith("embedding"):
        return Modality.EMBEDDING
    return Modality.TEXT if kind in ("llm", "vlm") else listing.modality_of_name(native_id)


def _first_tokens(entry: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    """The first key that holds a count, in the entry or (llama.cpp) in its `meta`."""
    for place in (entry, listing.read_object(entry.get("meta"))):
        for key in keys:
            if (tokens := listing.read_tokens(place.get(key))) is not None:
                return tokens
    return None
