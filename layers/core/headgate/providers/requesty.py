"""Requesty: a router whose ids name who runs a model (`bedrock/…@eu-west-1`), priced per token in numbers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from headgate.domain.catalog import Modality, ModelInfo, Pricing
from headgate.domain.errors import HeadgateError, ProviderRefused, ProviderRejected
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ProviderConfig, ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.anthropic_described import Described
from headgate.providers.dialects.anthropic_messages import AnthropicMessages
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, BackDialect
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.openai_responses import OpenAIResponses

# `GET /models` needs no key, so it proves nothing about one; this does (200, or 401/403):
# https://github.com/requestyai/cli internal/client/auth.go (2026-08)
_KEY_CHECK_URL = "https://api-v2.requesty.ai/v1/auth/check"

_MODALITIES = {
    "chat": Modality.TEXT,
    "embedding": Modality.EMBEDDING,
    "embeddings": Modality.EMBEDDING,
    "image": Modality.IMAGE,
    "images": Modality.IMAGE,
    "speech": Modality.TTS,
    "tts": Modality.TTS,
    "transcription": Modality.STT,
    "rerank": Modality.RERANK,
    "video": Modality.VIDEO,
}

_CAPABILITIES = {
    "supports_tool_calling": "tools",
    "supports_vision": "vision",
    "supports_reasoning": "reasoning",
    "supports_caching": "prompt_caching",
    "supports_computer_use": "computer_use",
    "supports_web_search": "web_search",
    "supports_image_generation": "image_output",
    "supports_output_json_object": "json_mode",
    "supports_output_json_schema": "structured_output",
}


# https://docs.requesty.ai/features/auto-caching (2026-11-20): cache marks as Anthropic has them.
_TRAITS = ChatTraits(cache_control=True)

# https://docs.requesty.ai/api-reference/endpoint/messages-create (2026-11-21): no thinking, no cache marks,
# no format of the answer, data as base64 alone. Whether these get through is not said; how to think is
# described for chat completions (…/features/reasoning, 2026-11-21).
_MESSAGES = Described(
    fields=frozenset(
        {
            "max_tokens",
            "messages",
            "model",
            "stop_sequences",
            "stream",
            "system",
            "temperature",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        }
    ),
    roles=frozenset({"user", "assistant"}),
    tools={"custom": frozenset({"name", "description", "input_schema"})},
    blocks={
        "text": frozenset({"text"}),
        "image": frozenset({"source"}),
        "document": frozenset({"source"}),
        "tool_use": frozenset({"id", "name", "input"}),
        "tool_result": frozenset({"tool_use_id", "content"}),
    },
    sources=frozenset({"base64"}),
)
_BY_MESSAGES = AnthropicMessages("/messages")

_MESSAGES_VERSION = "2023-06-01"
"""Requesty's default too, by the same page."""


@provider
class Requesty(OpenAICompatible):
    """`policy/…` ids are a customer's own routing rules, no models, and are left out of the list."""

    spec = ProviderSpec(
        slug="requesty",
        embeddings_path="/embeddings",
        name="Requesty",
        description="A router over many hosts and regions, the European ones among them.",
        docs_url="https://docs.requesty.ai",
        base_url="https://router.requesty.ai/v1",
        modalities=frozenset({Modality.TEXT, Modality.IMAGE, Modality.EMBEDDING, Modality.TTS, Modality.STT}),
        features=("streaming", "tools", "vision", "reasoning", "regions"),
        # `GET /v1/models` asks for no key, so its own client checks keys elsewhere:
        # https://github.com/requestyai/cli internal/client/auth.go (2026-08).
        public_list=True,
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (OpenAIChat(_TRAITS), OpenAIResponses())

    def backs_for(self, model: str) -> tuple[BackDialect, ...]:
        """What Anthropic itself serves answers in its dialect as well; for all others Requesty translates."""
        return (*self.backs, _BY_MESSAGES) if model.startswith("anthropic/") else self.backs

    def hands_through(self, call: ChatCall) -> bool:
        return call.dialect != ANTHROPIC_MESSAGES or _MESSAGES.takes(call.body)

    def chat_headers(self, config: ProviderConfig, back: BackDialect) -> dict[str, str | Secret]:
        """The key as that endpoint's page wants it: "Uses x-api-key header instead of Authorization"."""
        headers = super().chat_headers(config, back)
        if back.name == ANTHROPIC_MESSAGES:
            headers["anthropic-version"] = _MESSAGES_VERSION
            if config.api_key is not None:
                del headers["authorization"]
                headers["x-api-key"] = config.api_key
        return headers

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """On a host of its own, unless the base URL was replaced: then everything is found there."""
        if config.api_key is None:
            return None
        url = f"{self.base_url(config)}/auth/check" if config.base_url else _KEY_CHECK_URL
        return WireRequest(
            method="GET", url=url, headers=self.headers(config), idempotent=True, guarded=config.guarded
        )

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        if native_id.startswith("policy/"):
            return None
        modality = _MODALITIES.get(str(entry.get("api", "")).lower()) or listing.modality_of_name(native_id)
        pricing = _pricing(entry)
        capabilities = {name for key, name in _CAPABILITIES.items() if entry.get(key) is True}
        if modality is Modality.TEXT:
            capabilities.add("streaming")
        return ModelInfo(
            id=f"requesty/{native_id}",
            canonical_id=_canonical_id(native_id, entry),
            provider="requesty",
            name=native_id,
            description=listing.read_text(entry.get("description")),
            modality=modality,
            input_modalities=("text", "image") if "vision" in capabilities else ("text",),
            output_modalities=_outputs(modality, draws="image_output" in capabilities),
            capabilities=frozenset(capabilities),
            premium=listing.is_premium(pricing),
            context_window=listing.read_tokens(entry.get("context_window")),
            max_output_tokens=listing.read_tokens(entry.get("max_output_tokens")),
            pricing=pricing,
            expires_at=listing.read_moment(entry.get("retires"))
            or listing.read_moment(entry.get("retires_at")),
            created_at=listing.read_moment(entry.get("created")),
        )

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """Errors carry no code, only `origin` and a message, so the status decides.

        403 is a bad key, or a policy that blocks a model; 412 the key's monthly limit; both from the router
        itself (https://docs.requesty.ai, 2026-08).
        """
        del headers
        message = self.describe_error(error)
        if status == 412:
            return ProviderRefused(message, code="provider_insufficient_funds")
        if status == 403 and "policy" in message.lower():
            return ProviderRejected(message)
        if status in (401, 403):
            return ProviderRefused(message, code="provider_auth")
        return None


def _outputs(modality: Modality, *, draws: bool) -> tuple[str, ...]:
    return ("text", "image") if draws and modality is Modality.TEXT else listing.OUTPUTS[modality]


def _canonical_id(native_id: str, entry: Mapping[str, Any]) -> str:
    """By the lab and name that newer lists tell; the tier after a colon (`:flex`) is not in that name."""
    lab, name = entry.get("model_lab"), entry.get("model_canonical_name")
    if not (isinstance(lab, str) and lab and isinstance(name, str) and name):
        return canonical_id("requesty", native_id)
    _, colon, tier = native_id.rpartition("/")[2].partition("@")[0].partition(":")
    return canonical_id("requesty", f"{name}{colon}{tier}", author=lab)


def _pricing(entry: Mapping[str, Any]) -> Pricing:
    """USD per token, JSON numbers with exponents. Where only tiers are told, the first one's."""
    tier = _first_tier(entry.get("pricing"))

    def price(key: str) -> Decimal | None:
        return listing.per_mtok(tier.get(key) if entry.get(key) is None else entry[key])

    prompt = price("input_price")
    return Pricing(
        input=prompt,
        output=price("output_price"),
        cache_read=listing.charged(price("cached_price"), prompt),
        cache_write=listing.charged(price("caching_price"), prompt),
        source="requesty",
    )


def _first_tier(value: Any) -> Mapping[str, Any]:
    """The tier that holds from the first token on (`prompt_tokens_threshold` lowest)."""
    tiers = [tier for tier in value if isinstance(tier, dict)] if isinstance(value, list) else []
    return min(
        tiers, key=lambda tier: listing.read_tokens(tier.get("prompt_tokens_threshold")) or 0, default={}
    )
