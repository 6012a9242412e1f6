"""OpenRouter: one key to several hundred models of others, priced per token in decimal texts."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import orjson

from headgate.domain.catalog import Modality, ModelInfo, Pricing
from headgate.domain.errors import (
    HeadgateError,
    NotFound,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ModelPage, ProviderConfig, ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.anthropic_described import Described
from headgate.providers.dialects.anthropic_messages import AnthropicMessages
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, BackDialect
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.openai_responses import OpenAIResponses

# Price keys that are not per token of text, by OpenRouter's names; `audio` and the like are per token of that
# kind. https://openrouter.ai/docs/api-reference/list-available-models (schema PublicPricing, 2026-08-22)
_UNITS = (
    "request",
    "image",
    "image_output",
    "image_token",
    "web_search",
    "audio",
    "audio_output",
    "input_audio_cache",
    "input_cache_write_1h",
)

# https://openrouter.ai/docs/guides/overview/models (2026-08-22)
_CAPABILITIES = {
    "tools": "tools",
    "structured_outputs": "structured_output",
    "response_format": "json_mode",
    "reasoning": "reasoning",
    "include_reasoning": "reasoning",
    "reasoning_effort": "reasoning",
    "web_search_options": "web_search",
    "logprobs": "logprobs",
}

_FREE_REQUESTS_PER_MINUTE = 20
"""Of ids that end in `:free`: https://openrouter.ai/docs/api-reference/limits (2026-08-22)."""

# metadata.error_type is the discriminator that is promised to stay:
# https://openrouter.ai/docs/api-reference/errors-and-debugging (2026-08-22)
_ERROR_TYPES: Mapping[str, tuple[type[HeadgateError], str]] = {
    "rate_limit_exceeded": (ProviderBusy, "provider_rate_limited"),
    "payment_required": (ProviderRefused, "provider_insufficient_funds"),
    "provider_overloaded": (ProviderBusy, "provider_overloaded"),
    "provider_unavailable": (ProviderFailed, "provider_unavailable"),
    "context_length_exceeded": (ProviderRejected, "context_too_long"),
    "content_policy_violation": (ProviderRejected, "content_filtered"),
    "refusal": (ProviderRejected, "content_filtered"),
    "timeout": (ProviderFailed, "provider_timeout"),
}
_AVAILABILITY: Mapping[str, tuple[type[HeadgateError], str]] = {
    "model_not_found": (NotFound, "model_not_found"),
    "model_deprecated": (NotFound, "model_not_found"),
    "capacity_exhausted": (ProviderBusy, "provider_overloaded"),
}

_NEXT_PAGE = re.compile(rb'"next"\s*:\s*"')


# https://openrouter.ai/docs/api-reference/parameters, …/use-cases/reasoning-tokens and
# …/features/prompt-caching (2026-11-20).
_TRAITS = ChatTraits(
    thinking="reasoning",
    history="reasoning_details",
    sampling=frozenset({"top_k"}),
    cache_control=True,
    tool_media=True,
    any_media=True,
)

_MARKED = frozenset({"cache_control"})
_RESULT = frozenset({"content", "tool_use_id"})

# Schema MessagesRequest of openapi/openapi.yaml, github.com/OpenRouterTeam/docs (2026-08-22). Not in it are
# `container`, `mcp_servers`, `inference_geo`, `output_format`, and `strict` and examples of a tool. It lets
# any word pass as the kind of a tool; here are those that it describes and whose results it takes back.
_MESSAGES = Described(
    fields=frozenset(
        {
            "cache_control",
            "context_management",
            "max_tokens",
            "messages",
            "metadata",
            "model",
            "output_config",
            "service_tier",
            "speed",
            "stop_sequences",
            "stream",
            "system",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        }
    ),
    roles=frozenset({"user", "assistant", "system"}),
    tools={
        "custom": _MARKED | {"name", "description", "input_schema", "defer_loading"},
        "bash_20250124": _MARKED | {"name"},
        "text_editor_20250124": _MARKED | {"name"},
        "web_search_20250305": _MARKED
        | {"name", "allowed_domains", "blocked_domains", "max_uses", "user_location"},
    },
    blocks={
        "text": _MARKED | {"text", "citations"},
        "image": _MARKED | {"source"},
        "document": _MARKED | {"source", "title", "context", "citations"},
        "search_result": _MARKED | {"source", "title", "content", "citations"},
        "thinking": frozenset({"thinking", "signature"}),
        "redacted_thinking": frozenset({"data"}),
        "tool_use": _MARKED | {"id", "name", "input"},
        "tool_result": _MARKED | _RESULT | {"is_error"},
        "tool_reference": frozenset({"tool_name"}),
        "server_tool_use": _MARKED | {"id", "name", "input"},
        "web_search_tool_result": _MARKED | _RESULT,
        "compaction": _MARKED | {"content", "encrypted_content"},
    },
    sources=frozenset({"base64", "url", "text", "content"}),
)

# "Claude Code with OpenRouter is only guaranteed to work with the Anthropic first-party provider", says
# https://openrouter.ai/docs/guides/coding-agents/claude-code-integration (2026-11-21). For models of other
# makers it has to translate itself, and does not say what it leaves out. `~` marks aliases of the newest.
_CLAUDE = ("anthropic/", "~anthropic/")
_BY_MESSAGES = AnthropicMessages("/messages")


@provider
class OpenRouter(OpenAICompatible):
    """The list holds every kind of model; its own routers (`openrouter/auto`) cost what they pick."""

    spec = ProviderSpec(
        slug="openrouter",
        embeddings_path="/embeddings",
        name="OpenRouter",
        description="Several hundred models of all makers behind one key.",
        docs_url="https://openrouter.ai/docs",
        base_url="https://openrouter.ai/api/v1",
        key_check_path="/key",
        default_headers={"x-title": "Headgate"},
        modalities=frozenset(
            {Modality.TEXT, Modality.IMAGE, Modality.EMBEDDING, Modality.TTS, Modality.STT, Modality.VIDEO}
            | {Modality.MUSIC, Modality.RERANK}
        ),
        features=("streaming", "tools", "vision", "reasoning", "web_search", "reported_cost"),
        # "public" in https://openrouter.ai/docs/api-reference/list-available-models (2026-08-22).
        public_list=True,
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (OpenAIChat(_TRAITS), OpenAIResponses())
    models_query: ClassVar[Mapping[str, str]] = {"output_modalities": "all"}

    def backs_for(self, model: str) -> tuple[BackDialect, ...]:
        """Claude answers in its own dialect as well."""
        return (*self.backs, _BY_MESSAGES) if model.startswith(_CLAUDE) else self.backs

    def hands_through(self, call: ChatCall) -> bool:
        return call.dialect != ANTHROPIC_MESSAGES or _MESSAGES.takes(call.body)

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        """The whole list; `page` is the query of a further page, should one ever be told."""
        request = super().build_list_models(config, None)
        if request is None or page is None:
            return request
        return replace(request, url=f"{request.url}&{page}")

    def parse_list_models(self, body: bytes) -> ModelPage:
        page = super().parse_list_models(body)
        return replace(page, next_page=_next_page(body)) if _NEXT_PAGE.search(body) else page

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        shape = listing.read_object(entry.get("architecture"))
        top = listing.read_object(entry.get("top_provider"))
        inputs = listing.read_modalities(shape.get("input_modalities"))
        outputs = listing.read_modalities(shape.get("output_modalities"))
        parameters = listing.read_words(entry.get("supported_parameters"))
        prices = listing.read_object(entry.get("pricing"))
        modality = _modality(native_id, outputs)
        pricing = _pricing(prices, outputs, free=native_id.endswith(":free"))
        context = listing.read_tokens(entry.get("context_length"))
        return ModelInfo(
            id=f"openrouter/{native_id}",
            canonical_id=canonical_id("openrouter", native_id),
            provider="openrouter",
            name=listing.read_text(entry.get("name")) or native_id,
            description=listing.read_text(entry.get("description")),
            modality=modality,
            input_modalities=inputs,
            output_modalities=outputs,
            capabilities=_capabilities(parameters, inputs, outputs, prices),
            supported_parameters=parameters,
            premium=listing.is_premium(pricing),
            context_window=context or listing.read_tokens(top.get("context_length")),
            max_output_tokens=listing.read_tokens(top.get("max_completion_tokens")),
            pricing=pricing,
            requests_per_minute=_FREE_REQUESTS_PER_MINUTE if native_id.endswith(":free") else None,
            expires_at=listing.read_last_day(entry.get("expiration_date")),
            created_at=listing.read_moment(entry.get("created")),
        )

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """The two discriminators, then what two statuses mean here; the texts only where there is neither.

        The first is in the metadata, and in the error itself where it has Anthropic's shape (schema
        AnthropicMessagesErrorResponse, 2026-08-22).

        An older shape says "Provider returned error", and in `metadata.raw` what that one said; it may quote
        the prompt, so it is read but not repeated.
        """
        del headers
        metadata = listing.read_object(error.get("metadata"))
        availability = listing.read_object(error.get("availability"))
        message = self.describe_error(error)
        known = (
            _ERROR_TYPES.get(str(metadata.get("error_type") or error.get("error_type")))
            or _AVAILABILITY.get(str(availability.get("code")))
            or _by_status(status, metadata, message.lower())
        )
        if known is None:
            return None
        kind, code = known
        wait_s = availability.get("retry_after")
        return kind(message, code=code, retry_after_s=float(wait_s) if isinstance(wait_s, int) else None)

    def describe_error(self, error: Mapping[str, Any]) -> str:
        """The words "Provider returned error" tell more with that provider's name."""
        message = super().describe_error(error)
        who = listing.read_object(error.get("metadata")).get("provider_name")
        if message == "Provider returned error" and isinstance(who, str) and who:
            return f"{who} returned an error."
        return message


def _by_status(status: int, metadata: Mapping[str, Any], text: str) -> tuple[type[HeadgateError], str] | None:
    """A 403 is the filter's where input was flagged, and a key's own budget; else a matter of the key."""
    if status == 403 and ("flagged_input" in metadata or "flagged" in text):
        return ProviderRejected, "content_filtered"
    if status == 403 and "limit exceeded" in text:
        return ProviderRefused, "provider_insufficient_funds"
    if status == 400 and "is not a valid model" in text:
        return NotFound, "model_not_found"
    if status == 400 and "context length" in str(metadata.get("raw")).lower():
        return ProviderRejected, "context_too_long"
    return None


def _next_page(body: bytes) -> str | None:
    """The query of the next page, as `links.next` tells it; only its place in the list is taken from there.

    The address is not followed: it would carry the key wherever a list says.
    """
    try:
        root = listing.read_object(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    told = listing.read_object(root.get("links")).get("next")
    query = told.partition("?")[2] if isinstance(told, str) else ""
    places = {key: value for key, value in parse_qsl(query) if key in ("offset", "limit")}
    return urlencode(sorted(places.items())) or None


def _modality(native_id: str, outputs: tuple[str, ...]) -> Modality:
    """A model that makes images makes them mainly; OpenRouter's own routers mainly write.

    What speaks beside writing is a chat model with a voice; what makes music says so in its name only.
    """
    for word, modality in _OUTPUT_MODALITIES:
        if word in outputs:
            return modality
    if "image" in outputs and not native_id.startswith("openrouter/"):
        return Modality.IMAGE
    if "audio" in outputs and listing.modality_of_name(native_id) is Modality.MUSIC:
        return Modality.MUSIC
    return Modality.TTS if outputs == ("audio",) else Modality.TEXT


_OUTPUT_MODALITIES = (
    ("video", Modality.VIDEO),
    ("embeddings", Modality.EMBEDDING),
    ("rerank", Modality.RERANK),
    ("transcription", Modality.STT),
    ("speech", Modality.TTS),
)


def _pricing(prices: Mapping[str, Any], outputs: tuple[str, ...], *, free: bool) -> Pricing:
    """Zero per token is free for text; where files come out it says that tokens are not what is charged."""
    prompt, completion = listing.per_mtok(prices.get("prompt")), listing.per_mtok(prices.get("completion"))
    makes_files = not free and not {"text", "embeddings"}.issuperset(outputs)
    if makes_files and not prompt and not completion:
        prompt = completion = None
    return Pricing(
        input=prompt,
        output=completion,
        cache_read=listing.charged(listing.per_mtok(prices.get("input_cache_read")), prompt),
        cache_write=listing.charged(listing.per_mtok(prices.get("input_cache_write")), prompt),
        reasoning=listing.charged(listing.per_mtok(prices.get("internal_reasoning")), completion),
        units=listing.read_units(prices, _UNITS),
        source="openrouter",
    )


def _capabilities(
    parameters: tuple[str, ...], inputs: tuple[str, ...], outputs: tuple[str, ...], prices: Mapping[str, Any]
) -> frozenset[str]:
    found = {_CAPABILITIES[word] for word in parameters if word in _CAPABILITIES}
    found |= {f"{word}_input" for word in ("audio", "video", "file") if word in inputs}
    found |= {f"{word}_output" for word in ("image", "audio") if word in outputs and "text" in outputs}
    if "text" in outputs:
        found.add("streaming")
    if "image" in inputs:
        found.add("vision")
    if listing.read_usd(prices.get("web_search")):
        found.add("web_search")
    if listing.read_usd(prices.get("input_cache_read")):
        found.add("prompt_caching")
    return frozenset(found)
