"""Google's Gemini API: a wire format of its own, a list without prices, and errors with a reason inside."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from headgate.domain.catalog import Modality
from headgate.domain.errors import HeadgateError
from headgate.domain.money import decimal_text
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatOutcome,
    ModelPage,
    PriceUsage,
    ProviderConfig,
    ProviderSpec,
    provider,
)
from headgate.providers.dialects import gemini_errors, openai_answers, openai_errors
from headgate.providers.dialects.base import BackDialect
from headgate.providers.dialects.gemini import GeminiGenerate
from headgate.providers.dialects.gemini_counting import build_count_tokens, parse_count_tokens
from headgate.providers.dialects.gemini_embeddings import build_embeddings, parse_embeddings
from headgate.providers.dialects.gemini_models import parse_model
from headgate.providers.dialects.speaking import DialectProvider, front_of

PAGE_SIZE = 1000
"""The most that one page holds: https://ai.google.dev/api/models#method:-models.list (2026-11-20)."""

_VERSIONED = re.compile(r"/v\d+(alpha|beta)?\d*$")
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


@provider
class Gemini(DialectProvider):
    """https://ai.google.dev/api (2026-11-20). The key goes in a header: in the URL it would be logged."""

    spec = ProviderSpec(
        slug="gemini",
        name="Google Gemini",
        description="Gemini and Gemma, embeddings, images, speech and video from their maker.",
        docs_url="https://ai.google.dev/gemini-api/docs",
        base_url="https://generativelanguage.googleapis.com",
        key_check_path="/models?pageSize=1",
        auth="x-goog-api-key",
        modalities=frozenset(
            {Modality.TEXT, Modality.IMAGE, Modality.EMBEDDING, Modality.TTS, Modality.VIDEO, Modality.MUSIC}
        ),
        features=("streaming", "tools", "vision", "reasoning", "structured_output"),
        sends_stream_options=False,
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (GeminiGenerate(),)

    def base_url(self, config: ProviderConfig) -> str:
        """With the API's version, whether the configuration has it, or ends in the compatible API's path."""
        url = super().base_url(config).removesuffix("/openai")
        return url if _VERSIONED.search(url) else f"{url}/v1beta"

    # -- catalogue ----------------------------------------------------------------------------------------

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        query = {"pageSize": str(PAGE_SIZE)} | ({"pageToken": page} if page is not None else {})
        return self._get(f"/models?{urlencode(query)}", config)

    def parse_list_models(self, body: bytes) -> ModelPage:
        """`{"models": […], "nextPageToken": …}`. A 200 that holds an error raises what that means."""
        try:
            text = openai_answers.trim(body).decode()
            value = json.loads(text, parse_float=Decimal, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise self._no_list() from None
        if isinstance(value, dict) and value.get("error"):
            raise self.judge_inside(value)
        entries = value.get("models") if isinstance(value, dict) else None
        if not isinstance(entries, list):
            raise self._no_list()
        models, dropped = [], []
        for position, entry in enumerate(entries):
            try:
                if not isinstance(entry, dict):
                    raise TypeError("is not an object")
                model = parse_model(entry)
            except _UNREADABLE as error:
                dropped.append(f"entry {position}: {openai_errors.clean_reason(str(error))[:200]}")
            else:
                models += [model] if model is not None else []
        token = value.get("nextPageToken")
        following = token if isinstance(token, str) and token else None
        return ModelPage(models=tuple(models), dropped=tuple(dropped), next_page=following)

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The list's first entry."""
        return self._get(self.spec.key_check_path or "", config)

    # -- beside chat --------------------------------------------------------------------------------------

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        path, body = build_embeddings(self._own(call), call.model)
        return self._post(path, body, config)

    def parse_embeddings(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        """OpenAI's answer, with `usage.cost` where it is known."""
        answer, usage = parse_embeddings(body, self._own(call), call.model, judge=self.judge_inside)
        cost_usd = price(usage) if usage is not None else None
        if cost_usd is not None:
            answer["usage"]["cost"] = float(decimal_text(cost_usd))
        return ChatAnswer(body=openai_answers.write_json(answer), outcome=ChatOutcome(usage=usage))

    def build_count_tokens(self, call: ChatCall, config: ProviderConfig) -> WireRequest | None:
        """Of a conversation in any dialect that a client speaks."""
        conversation = front_of(call.dialect).read_request(self._own(call))
        path, body = build_count_tokens(self.backs[0].write_request(conversation, call), call.model)
        return replace(self._post(path, body, config), idempotent=True)

    def parse_count_tokens(self, body: bytes) -> int:
        return parse_count_tokens(body, judge=self.judge_inside)

    # -- errors -------------------------------------------------------------------------------------------

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        """Complete: every status gives an error, never `internal`. See `gemini_errors.classify`."""
        return self._classify(status, headers, openai_errors.read_error(body))

    def judge_inside(self, value: Any) -> HeadgateError:
        """What an error inside a 200 means: what it would mean with the status that it names, if it does."""
        error = openai_errors.error_object(value)
        return self._classify(gemini_errors.status_inside(error), {}, error)

    def _classify(
        self, status: int | None, headers: Mapping[str, str], error: Mapping[str, Any]
    ) -> HeadgateError:
        found = gemini_errors.classify(status, headers, error, name=self.spec.name)
        found.provider = self.spec.slug
        return found

    # -- requests -----------------------------------------------------------------------------------------

    def _own(self, call: ChatCall) -> dict[str, Any]:
        """The caller's body without what is the gateway's."""
        return {key: value for key, value in call.body.items() if key not in self.gateway_fields}

    def _post(self, path: str, body: Mapping[str, Any], config: ProviderConfig) -> WireRequest:
        return WireRequest(
            method="POST",
            url=f"{self.base_url(config)}{path}",
            headers=self.headers(config) | {"content-type": "application/json"},
            body=openai_answers.write_json(body),
            guarded=config.guarded,
        )
