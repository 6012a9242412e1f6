"""Hugging Face's router: one key to open models, each served by several hosts at prices of their own."""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, Pricing
from headgate.domain.errors import HeadgateError, NotFound, ProviderRefused
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ModelPage,
    PriceUsage,
    ProviderConfig,
    ProviderSpec,
    provider,
)
from headgate.providers.dialects import embeddings, huggingface_embeddings, listing, openai_answers
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible

# The Hub knows a token, the router does not say: 200 with what it may do, else 401.
# https://huggingface.co/docs/hub/api (2026-08)
_KEY_CHECK_URL = "https://huggingface.co/api/whoami-v2"

# The router lists models of chats alone; whoever serves the others is known to the Hub, a thousand a page.
# https://huggingface.co/docs/inference-providers/hub-api (2026-11-20).
_HUB_LIST_URL = "https://huggingface.co/api/models"
_HUB_QUERY = (
    ("filter", "feature-extraction"),
    ("inference_provider", ",".join(huggingface_embeddings.HOSTS)),
    ("sort", "downloads"),
    ("limit", "1000"),
    ("expand[]", "inferenceProviderMapping"),
    ("expand[]", "createdAt"),
)
_HUB = "hub"

# What a fine-grained token needs to call the router: "Make calls to Inference Providers".
# https://huggingface.co/docs/inference-providers (2026-08)
_CALLS_PROVIDERS = "inference.serverless.write"

_CHOICES = ("fastest", "cheapest", "preferred")

_NOT_SERVED = re.compile(r"\bmodel\b.* not supported by (any )?provider", re.IGNORECASE)
_USER_NAME = re.compile(r"\bon behalf of (user|org(anization)?) \S+", re.IGNORECASE)

# The Hub's rate limits follow the IETF's draft: `RateLimit: "api";r=0;t=55`, seconds until the window ends.
# https://huggingface.co/docs/hub/rate-limits (2026-08)
_WINDOW_ENDS = re.compile(r";\s*t=(\d{1,6})\b")


@provider
class HuggingFace(OpenAICompatible):
    """One row is what holds wherever a call may land.

    A plain id goes to the fastest provider of the moment, whatever it costs and however little it takes in.
    Speeds change by the hour, so a row of the fastest one's would be another with every refresh, and wrong in
    between. Hence of the live providers: the highest of the prices told, the smallest context, what all can
    do. Who wants one of them in particular writes it behind the id: `:cheapest`, `:fastest`, `:<provider>`.
    https://huggingface.co/docs/inference-providers/hub-api (2026-08)
    """

    spec = ProviderSpec(
        slug="huggingface",
        name="Hugging Face",
        description="Open models, served by many inference providers behind one key.",
        docs_url="https://huggingface.co/docs/inference-providers",
        base_url="https://router.huggingface.co/v1",
        modalities=frozenset({Modality.TEXT, Modality.EMBEDDING}),
        features=("streaming", "tools", "vision", "structured_output", "provider_suffixes"),
    )

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        """The router's list, then the Hub's of embeddings; the latter not where the base URL was replaced."""
        if page is None:
            return super().build_list_models(config, None)
        if config.base_url:
            return None
        url = f"{_HUB_LIST_URL}?{urlencode(_HUB_QUERY)}"
        return WireRequest(method="GET", url=url, headers=self.headers(config), idempotent=True)

    def parse_list_models(self, body: bytes) -> ModelPage:
        """The router's `{"data": […]}`, or the Hub's bare list, without which the former stands too."""
        if not openai_answers.trim(body).startswith(b"["):
            return replace(super().parse_list_models(body), next_page=_HUB, next_optional=True)
        models: list[ModelInfo] = []
        dropped: list[str] = []
        for position, entry in enumerate(self._read_list(body)):
            try:
                models += huggingface_embeddings.read_hub_entry(listing.read_object(entry))
            except ValueError as error:
                dropped.append(f"entry {position} of the Hub: {error}")
        return ModelPage(models=tuple(models), dropped=tuple(dropped))

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """On the Hub's host, unless the base URL was replaced: then everything is found there."""
        if config.api_key is None:
            return None
        url = f"{self.base_url(config)}/api/whoami-v2" if config.base_url else _KEY_CHECK_URL
        return WireRequest(
            method="GET", url=url, headers=self.headers(config), idempotent=True, guarded=config.guarded
        )

    def parse_key_check(self, body: bytes) -> None:
        """The Hub knows every token; a fine-grained one must also be allowed to call the router."""
        super().parse_key_check(body)
        try:
            root = listing.read_object(openai_answers.read_json(openai_answers.trim(body)))
        except openai_answers.AnswerError:
            return  # a 200 all the same: the token was taken
        token = listing.read_object(listing.read_object(root.get("auth")).get("accessToken"))
        rights = token.get("fineGrained")
        if isinstance(rights, dict) and _CALLS_PROVIDERS not in _permissions(rights):
            raise ProviderRefused(
                "The token may not make calls to Inference Providers.",
                code="provider_auth",
                provider="huggingface",
            )

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        shape = listing.read_object(entry.get("architecture"))
        inputs = listing.read_modalities(shape.get("input_modalities"))
        outputs = listing.read_modalities(shape.get("output_modalities"))
        told = entry.get("providers")
        offers = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
        live = [offer for offer in offers if offer.get("status", "live") == "live"]
        serving = live or offers
        pricing = _pricing(serving)
        contexts = [listing.read_tokens(offer.get("context_length")) for offer in serving]
        return ModelInfo(
            id=f"huggingface/{native_id}",
            canonical_id=canonical_id("huggingface", native_id),
            provider="huggingface",
            name=native_id,
            modality=Modality.TEXT if "text" in outputs else listing.modality_of_name(native_id),
            input_modalities=inputs,
            output_modalities=outputs,
            capabilities=_capabilities(serving, inputs),
            premium=listing.is_premium(pricing),
            context_window=min((tokens for tokens in contexts if tokens is not None), default=None),
            pricing=pricing,
            suffixes=_suffixes(serving),
            status=_status(told, offers, live),
            created_at=listing.read_moment(entry.get("created")),
        )

    def embeddings_at_once(self, call: ChatCall) -> int | None:
        place = huggingface_embeddings.place_of(call.model)
        return huggingface_embeddings.OWN_AT_ONCE if place.host == huggingface_embeddings.OWN else None

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        """Paths of embeddings are beside the router's `/v1`, not below it."""
        place = huggingface_embeddings.place_of(call.model)
        own = {key: value for key, value in call.body.items() if key not in self.gateway_fields}
        body = huggingface_embeddings.build_embeddings(own, place)
        return WireRequest(
            method="POST",
            url=f"{self.base_url(config).removesuffix('/v1')}{place.path}",
            headers=self.headers(config) | {"content-type": "application/json"},
            body=openai_answers.write_json(body),
            guarded=config.guarded,
        )

    def parse_embeddings(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        return self.parse_embeddings_response(call, {}, body, price)

    def parse_embeddings_response(
        self, call: ChatCall, headers: Mapping[str, str], body: bytes, price: PriceUsage
    ) -> ChatAnswer:
        """OpenAI's answer, whichever of the hosts gave it; a 200 that holds an error raises what it means."""
        error = huggingface_embeddings.error_inside(body)
        if error is not None:
            raise self.judge_inside(error)
        vectors, tokens = huggingface_embeddings.parse_embeddings(body, headers, call.body)
        return embeddings.write_answer(vectors, call.body, model=call.model, tokens=tokens, price=price)

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """A model that nobody serves (or nobody whom this account has enabled) is a 400 or a 404."""
        del headers
        message = self.describe_error(error)
        unknown = error.get("code") == "model_not_supported" or _NOT_SERVED.search(message)
        if status in (400, 404) and unknown:
            return NotFound(message, code="model_not_found")
        return None

    def describe_error(self, error: Mapping[str, Any]) -> str:
        """Whose token it is stands in some reasons; that is the account's business."""
        return _USER_NAME.sub(r"on behalf of its \1", super().describe_error(error))

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        """A 429 of the Hub says in a header of its own when its window ends."""
        found = super().classify_error(status, headers, body)
        ends = _WINDOW_ENDS.search(headers.get("ratelimit", ""))
        if status == 429 and found.retry_after_s is None and ends is not None:
            found.retry_after_s = float(ends[1])
        return found


def _permissions(rights: Mapping[str, Any]) -> set[str]:
    """All that a fine-grained token may do, wherever it may."""
    scoped = rights.get("scoped")
    places = [listing.read_object(each) for each in scoped] if isinstance(scoped, list) else []
    found = {word for place in places for word in listing.read_words(place.get("permissions"))}
    return found | set(listing.read_words(rights.get("global")))


def _status(told: Any, offers: list[dict[str, Any]], live: list[dict[str, Any]]) -> ModelStatus:
    """Nobody serves it, some of its providers fail, or all is well (also where the list does not say)."""
    if not isinstance(told, list) or (told and not offers):
        return ModelStatus.AVAILABLE
    if not live:
        return ModelStatus.UNAVAILABLE
    return ModelStatus.AVAILABLE if len(live) == len(offers) else ModelStatus.LIMITED


def _prices(offer: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """USD per million tokens, in and out. Zero from a provider that says it is not free is no price."""
    told = listing.read_object(offer.get("pricing"))
    prices = listing.read_mtok(told.get("input")), listing.read_mtok(told.get("output"))
    if offer.get("is_free") is True:
        return Decimal(0), Decimal(0)
    denied = offer.get("is_free") is False and not any(prices)
    return (None, None) if denied else prices


def _pricing(offers: list[dict[str, Any]]) -> Pricing:
    """The highest price told; who tells none is left out, as nothing can be said of it."""
    prices = [_prices(offer) for offer in offers]
    return Pricing(
        input=max((price for price, _ in prices if price is not None), default=None),
        output=max((price for _, price in prices if price is not None), default=None),
        source="huggingface",
    )


def _suffixes(offers: list[dict[str, Any]]) -> dict[str, Pricing]:
    """What the router takes behind an id: how it is to choose, which may lead anywhere, or whom.

    https://huggingface.co/docs/inference-providers (2026-08)
    """
    hosts = {listing.read_text(offer.get("provider")): _pricing([offer]) for offer in offers}
    return {**dict.fromkeys(_CHOICES, Pricing()), **{host: price for host, price in hosts.items() if host}}


def _capabilities(offers: list[dict[str, Any]], inputs: tuple[str, ...]) -> frozenset[str]:
    """What every provider can do that says whether it can."""
    found = {"streaming"}
    for key, name in (("supports_tools", "tools"), ("supports_structured_output", "structured_output")):
        said = {offer[key] for offer in offers if isinstance(offer.get(key), bool)}
        if said == {True}:
            found.add(name)
    if "image" in inputs:
        found.add("vision")
    return frozenset(found | {f"{word}_input" for word in ("audio", "video", "file") if word in inputs})
