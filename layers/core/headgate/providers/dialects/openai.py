"""The chat completions dialect, as OpenAI wrote it and everyone else speaks it.

A provider that speaks it is a subclass with a `spec`, and overrides the four hooks where it differs:
`models_query`, `parse_model`, `classify_vendor`, `adjust_chat_body`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import HeadgateError, ProviderFailed
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatStreamReader,
    ModelPage,
    PriceUsage,
    Provider,
    ProviderConfig,
)

GATEWAY_FIELDS = frozenset({"models", "provider", "routing", "cache", "webhook", "deadline_s"})
"""Fields of a chat request that Headgate itself consumes; no provider gets them unless it says so."""


class OpenAICompatible(Provider):
    """A provider that speaks OpenAI's chat completions.

    models_query: the query of the model list. gateway_fields: top-level request fields that are not sent on;
    a provider which understands one of them takes it out of the set.
    """

    models_query: ClassVar[Mapping[str, str]] = {}
    gateway_fields: ClassVar[frozenset[str]] = GATEWAY_FIELDS

    # -- what a provider overrides ------------------------------------------------------------------------

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        """One entry of the list; None leaves it out on purpose.

        Raises ValueError, KeyError or TypeError for an entry that can't be read: it is dropped with the reason.
        """
        native_id = entry["id"]
        if not isinstance(native_id, str) or not native_id:
            raise ValueError("id is not a text")
        created = entry.get("created")
        return ModelInfo(
            id=f"{self.spec.slug}/{native_id}",
            canonical_id=native_id if "/" in native_id else f"{self.spec.slug}/{native_id}",
            provider=self.spec.slug,
            name=native_id,
            capabilities=frozenset({"streaming"}),
            created_at=datetime.fromtimestamp(created, UTC) if isinstance(created, int) and created else None,
        )

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """What this vendor alone means by a status and error; None leaves it to the table.

        error: the error object, whatever it was wrapped in; its `message` is always a str. The caller of this
        hook cleans the detail and fills in provider, request id and Retry-After.
        """
        del status, error, headers
        return None

    def adjust_chat_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as this vendor wants it, last thing before it is sent. `body` may be changed in place."""
        return body

    # -- catalogue ----------------------------------------------------------------------------------------

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        """One page, and no second, unless a provider overrides this."""
        del page
        if self.spec.models_path is None:
            return None
        query = f"?{urlencode(self.models_query)}" if self.models_query else ""
        url = f"{self.base_url(config)}{self.spec.models_path}{query}"
        return WireRequest(
            method="GET", url=url, headers=self.headers(config), idempotent=True, guarded=config.guarded
        )

    def parse_list_models(self, body: bytes) -> ModelPage:
        raise NotImplementedError

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The path the spec names; else None."""
        if self.spec.key_check_path is None:
            return None
        url = f"{self.base_url(config)}{self.spec.key_check_path}"
        return WireRequest(
            method="GET", url=url, headers=self.headers(config), idempotent=True, guarded=config.guarded
        )

    # -- chat ---------------------------------------------------------------------------------------------

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        """The caller's body with the provider's own model id; unknown fields stay."""
        body = {key: value for key, value in call.body.items() if key not in self.gateway_fields}
        body["model"] = call.model
        headers = self.headers(config)
        headers["content-type"] = "application/json"
        return WireRequest(
            method="POST",
            url=f"{self.base_url(config)}/chat/completions",
            headers=headers,
            body=orjson.dumps(self.adjust_chat_body(body)),
            guarded=config.guarded,
        )

    def parse_chat(self, body: bytes, price: PriceUsage) -> ChatAnswer:
        raise NotImplementedError

    def read_chat_stream(self, call: ChatCall, price: PriceUsage) -> ChatStreamReader:
        raise NotImplementedError

    # -- errors -------------------------------------------------------------------------------------------

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        return ProviderFailed(f"HTTP {status}", provider=self.spec.slug)
