"""Amazon Bedrock, by the function's own role: no key at all, every request is signed.

A Bedrock API key, the platform's or a caller's own, is sent as it is instead:
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html (2026-11-20).
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ModelPage,
    PriceUsage,
    ProviderConfig,
    ProviderSpec,
    SigningScope,
    provider,
)
from headgate.providers.dialects import (
    bedrock_embeddings,
    bedrock_errors,
    bedrock_models,
    embeddings,
    openai_answers,
    openai_errors,
)
from headgate.providers.dialects.base import BackDialect
from headgate.providers.dialects.bedrock_converse import BedrockConverse
from headgate.providers.dialects.bedrock_families import base_name
from headgate.providers.dialects.speaking import DialectProvider

PAGE_SIZE = 1000
"""The most that one page of profiles holds: https://docs.aws.amazon.com/bedrock/latest/APIReference/
API_ListInferenceProfiles.html (2026-11-20). Foundation models come on one page."""

_DEFAULT_REGION = "us-east-1"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_MODELS, _PROFILES = "/foundation-models", "/inference-profiles"
_FIRST = "profiles"
_NEXT = "profiles:"


@provider
class Bedrock(DialectProvider):
    """Two hosts, of which a base URL replaces both: one runs models, the other lists them.

    https://docs.aws.amazon.com/general/latest/gr/bedrock.html (2026-11-20).
    """

    spec = ProviderSpec(
        slug="bedrock",
        name="Amazon Bedrock",
        description="Claude, Nova, Llama and others in your own AWS account, by the gateway's own role.",
        docs_url="https://docs.aws.amazon.com/bedrock/",
        base_url=f"https://bedrock-runtime.{_DEFAULT_REGION}.amazonaws.com",
        models_path=_MODELS,
        key_check_path=f"{_PROFILES}?maxResults=1",
        auth="aws",
        key_required=False,
        modalities=frozenset({Modality.TEXT, Modality.IMAGE, Modality.EMBEDDING, Modality.VIDEO}),
        features=("streaming", "tools", "vision", "reasoning", "structured_output", "prompt_caching"),
        sends_stream_options=False,
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (BedrockConverse(),)

    # -- configuration ------------------------------------------------------------------------------------

    def validate_config(self, config: ProviderConfig) -> None:
        """Raises InvalidRequest; also for a caller's address without a caller's key, which nobody signs."""
        super().validate_config(config)
        if config.guarded and config.api_key is None:
            raise InvalidRequest.of_field("api_key", "A base URL of your own needs a key of your own.")

    def base_url(self, config: ProviderConfig) -> str:
        return super().base_url(config) if config.base_url else _host("bedrock-runtime", region_of(config))

    def signing_scope(self, config: ProviderConfig) -> SigningScope | None:
        """Both hosts are signed for under one name; a key makes signing needless."""
        if config.api_key is not None:
            return None
        return SigningScope(service="bedrock", region=region_of(config))

    # -- catalogue ----------------------------------------------------------------------------------------

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        """Foundation models, then the pages of the profiles that AWS defines."""
        if page is None:
            return self._get(_MODELS, config)
        query = {"maxResults": str(PAGE_SIZE), "type": "SYSTEM_DEFINED"}
        if page.startswith(_NEXT):
            query["nextToken"] = page.removeprefix(_NEXT)
        return self._get(f"{_PROFILES}?{urlencode(query)}", config)

    def parse_list_models(self, body: bytes) -> ModelPage:
        """`{"modelSummaries": […]}` or `{"inferenceProfileSummaries": […], "nextToken": …}`."""
        value = self._read_list(body)
        entries, profiles = value.get("modelSummaries"), value.get("inferenceProfileSummaries")
        if isinstance(entries, list):
            models, dropped = bedrock_models.read_entries(entries, _read_callable)
            wanted = any(bedrock_models.needs_profile(entry) for entry in entries)
            following = _FIRST if wanted else None
            return ModelPage(models=tuple(models), dropped=tuple(dropped), next_page=following)
        if not isinstance(profiles, list):
            raise self._no_list()
        models, dropped = bedrock_models.read_entries(profiles, bedrock_models.read_profile)
        token = value.get("nextToken")
        return ModelPage(
            models=tuple(models),
            dropped=tuple(dropped),
            next_page=f"{_NEXT}{token}" if isinstance(token, str) and token else None,
            details=(_MODELS,) if models else (),
        )

    def build_detail(self, config: ProviderConfig, detail: str) -> WireRequest | None:
        """Profiles don't say what their models take; the list of models does."""
        return self._get(detail, config)

    def parse_detail(self, detail: str, body: bytes, models: Mapping[str, ModelInfo]) -> Iterable[ModelInfo]:
        del detail
        entries = self._read_list(body).get("modelSummaries")
        found, _ = bedrock_models.read_entries(
            entries if isinstance(entries, list) else (), bedrock_models.read_foundation
        )
        by_name = {model.native_id.lower(): model for model in found}
        for model in models.values():
            name = base_name(model.native_id)
            if name in by_name and name != model.native_id.lower():
                yield bedrock_models.with_foundation(model, by_name[name])

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The list's first profile."""
        return self._get(self.spec.key_check_path or "", config)

    # -- embeddings ---------------------------------------------------------------------------------------

    def embeddings_at_once(self, call: ChatCall) -> int | None:
        """One where the model takes one, as Amazon's own do; 96 of Cohere's."""
        return bedrock_embeddings.texts_at_once(call.model)

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        own = {key: value for key, value in call.body.items() if key not in self.gateway_fields}
        path, body = bedrock_embeddings.build_embeddings(own, call.model)
        return WireRequest(
            method="POST",
            url=f"{self.base_url(config)}{path}",
            headers=self.headers(config) | {"content-type": "application/json"},
            body=openai_answers.write_json(body),
            guarded=config.guarded,
        )

    def parse_embeddings(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        return self.parse_embeddings_response(call, {}, body, price)

    def parse_embeddings_response(
        self, call: ChatCall, headers: Mapping[str, str], body: bytes, price: PriceUsage
    ) -> ChatAnswer:
        vectors, tokens = bedrock_embeddings.parse_embeddings(body, headers, call.body)
        return embeddings.write_answer(vectors, call.body, model=call.model, tokens=tokens, price=price)

    # -- errors -------------------------------------------------------------------------------------------

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        """Complete: every status gives an error, never `internal`. See `bedrock_errors.classify`."""
        return self._classify(status, headers, openai_errors.read_error(body))

    def judge_inside(self, value: Any) -> HeadgateError:
        """What an exception within a stream means, which has a name and no status."""
        return self._classify(None, {}, openai_errors.error_object(value))

    def _classify(
        self, status: int | None, headers: Mapping[str, str], error: Mapping[str, Any]
    ) -> HeadgateError:
        found = bedrock_errors.classify(status, headers, error, name=self.spec.name)
        found.provider = self.spec.slug
        return found

    def _read_list(self, body: bytes) -> Mapping[str, Any]:
        try:
            value = json.loads(openai_answers.trim(body).decode(), parse_float=Decimal)
        except (ValueError, RecursionError):
            raise self._no_list() from None
        if not isinstance(value, dict):
            raise self._no_list()
        return value

    # -- requests -----------------------------------------------------------------------------------------

    def _get(self, path: str, config: ProviderConfig) -> WireRequest:
        base = super().base_url(config) if config.base_url else _host("bedrock", region_of(config))
        return WireRequest(
            method="GET",
            url=f"{base}{path}",
            headers=self.headers(config),
            idempotent=True,
            guarded=config.guarded,
        )


def region_of(config: ProviderConfig) -> str:
    """Where the function runs, which is where it calls Bedrock."""
    region = config.metadata.get("region")
    return region if isinstance(region, str) and _REGION.fullmatch(region) else _DEFAULT_REGION


def _host(service: str, region: str) -> str:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{service}.{region}.{domain}"


def _read_callable(entry: Mapping[str, Any]) -> ModelInfo | None:
    model = bedrock_models.read_foundation(entry)
    return model if bedrock_models.is_callable(entry) else None
