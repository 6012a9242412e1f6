"""OpenAI: its list says only ids and dates, so kind and abilities come from the families of the ids."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus
from headgate.domain.errors import HeadgateError, ProviderRefused
from headgate.providers.base import ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.base import BackDialect
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.openai_responses import OpenAIResponses

# What no modality of the catalogue holds: moderation judges, realtime speaks over WebSocket only.
_LEFT_OUT = re.compile(r"moderation|realtime")

# https://platform.openai.com/docs/models and /docs/deprecations (2026-07), first match wins. The old
# `text-search-*`, `*-similarity` and `*-code-search-*` were embeddings.
_FAMILIES = tuple(
    (re.compile(pattern), modality)
    for pattern, modality in (
        (r"transcribe|whisper", Modality.STT),
        (r"(^|-)tts(-|$)", Modality.TTS),
        (r"^dall-e|^(chat)?gpt-image", Modality.IMAGE),
        (r"^sora", Modality.VIDEO),
        (r"embedding|similarity|-search-(doc|query|code|text)|^(text|code)-search-", Modality.EMBEDDING),
    )
)

# Served by /completions alone, which the gateway does not offer: text models that chat refuses.
_COMPLETIONS_ONLY = re.compile(
    r"^(ada|babbage|curie|davinci)(-002|-instruct-beta)?$"
    r"|^text-(ada|babbage|curie|davinci)-\d|^code-(davinci|cushman)|-edit-\d|^gpt-3\.5-turbo-instruct"
)

# What a family can do, by the same pages; the list itself tells none of it.
_ABILITIES = tuple(
    (re.compile(pattern), frozenset(names.split()))
    for pattern, names in (
        (r"^(o\d|gpt-5)(?!.*(chat|search))", "reasoning"),
        (r"^(gpt-4o|gpt-4\.|gpt-4-turbo|gpt-5|chatgpt-4o)(?!.*(audio|search))", "vision"),
        (r"^(o1(?!-mini|-preview)|o3(?!-mini)|o4)", "vision"),
        (r"^(gpt-3\.5-turbo|gpt-4|gpt-5|gpt-audio|o1(?!-mini|-preview)|o3|o4)(?!.*search)", "tools"),
        (r"^(gpt-4o|gpt-4\.1|gpt-5|o1(?!-mini|-preview)|o3|o4)(?!.*audio)", "structured_output"),
        (r"search|deep-research", "web_search"),
        (r"audio", "audio_input audio_output"),
    )
)  # fmt: skip


# `max_tokens` is refused by models that reason, `reasoning_effort` by those that don't:
# https://platform.openai.com/docs/guides/reasoning (2026-11-20).
_TRAITS = ChatTraits(max_tokens="max_completion_tokens", thinks_only=True)


# Answer at /responses alone: https://platform.openai.com/docs/models (2026-11-20).
_RESPONSES_ONLY = re.compile(r"^(o\d+|gpt-\d[\d.]*)-pro|codex|deep-research|computer-use")
_BY_RESPONSES: tuple[BackDialect, ...] = (OpenAIResponses(),)


@provider
class OpenAI(OpenAICompatible):
    """Fine-tunes (`ft:…`, `ada:ft-…`) are what their base is. The list tells no prices."""

    spec = ProviderSpec(
        slug="openai",
        embeddings_path="/embeddings",
        name="OpenAI",
        description="GPT and o models, embeddings, images, speech and video from their maker.",
        docs_url="https://platform.openai.com/docs",
        base_url="https://api.openai.com/v1",
        key_check_path="/models",
        modalities=frozenset(
            {Modality.TEXT, Modality.IMAGE, Modality.EMBEDDING, Modality.TTS, Modality.STT, Modality.VIDEO}
        ),
        features=("streaming", "tools", "vision", "reasoning", "structured_output"),
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (OpenAIChat(_TRAITS), OpenAIResponses())

    def backs_for(self, model: str) -> tuple[BackDialect, ...]:
        """Some models answer in one dialect only; clients of the others are translated for."""
        base = model.removeprefix("ft:").partition(":")[0].lower()
        return _BY_RESPONSES if _RESPONSES_ONLY.search(base) else self.backs

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        base = native_id.removeprefix("ft:").partition(":")[0].lower()
        if _LEFT_OUT.search(base):
            return None
        modality = next((kind for pattern, kind in _FAMILIES if pattern.search(base)), Modality.TEXT)
        chats = modality is Modality.TEXT and not _COMPLETIONS_ONLY.search(base)
        abilities = _abilities(base) if chats else frozenset[str]()
        return ModelInfo(
            id=f"openai/{native_id}",
            canonical_id=canonical_id("openai", native_id),
            provider="openai",
            name=native_id,
            modality=modality,
            input_modalities=_inputs(modality, abilities),
            output_modalities=("text", "audio") if "audio_output" in abilities else listing.OUTPUTS[modality],
            capabilities=abilities,
            status=ModelStatus.LIMITED if modality is Modality.TEXT and not chats else ModelStatus.AVAILABLE,
            expires_at=listing.read_moment(entry.get("shutdown_date")),
            created_at=listing.read_moment(entry.get("created")),
        )

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """A 429 without credits looks like a rate limit, but no waiting helps.

        https://platform.openai.com/docs/guides/error-codes (2026-07)
        """
        del headers
        if status == 429 and "insufficient_quota" in (error.get("code"), error.get("type")):
            return ProviderRefused(self.describe_error(error), code="provider_insufficient_funds")
        return None


def _abilities(base: str) -> frozenset[str]:
    found = [names for pattern, names in _ABILITIES if pattern.search(base)]
    return frozenset({"streaming"}).union(*found)


def _inputs(modality: Modality, abilities: frozenset[str]) -> tuple[str, ...]:
    if "vision" in abilities:
        return ("text", "image")
    if "audio_input" in abilities:
        return ("text", "audio")
    return listing.INPUTS.get(modality, ("text",))
