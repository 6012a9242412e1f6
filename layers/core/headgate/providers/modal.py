"""Modal: a server of the user's own that sleeps when nobody calls, most often vLLM in OpenAI's dialect."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import HeadgateError, InvalidRequest, ProviderFailed, ProviderRefused
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ProviderConfig, ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible

_CONNECT_TIMEOUT_S = 30.0
_FIRST_BYTE_TIMEOUT_S = 300.0
"""Twice what Modal itself waits before it answers 303, so that it is never we who give a cold start up."""

_MODALS_OWN = "modal-http:"
"""How every error begins that Modal's proxy answers in the server's stead; they are plain text."""


@provider
class ModalEndpoint(OpenAICompatible):
    """The base URL is the deployment's own, `https://<workspace>--<app>.modal.run`, with or without `/v1`.

    The key is what the deployment asks for: `wk-…:ws-…` (a proxy auth token: its id and secret),
    `wk-…:ws-…:<key>` with a key of the server's own behind it, only that key, or none.
    https://modal.com/docs/guide/webhook-proxy-auth (2026-08)

    Any request wakes the server, and its owner pays for every second it is awake. So health checks leave it
    alone, and its list is read a few times a day; one that has no list is called by names known elsewhere.
    """

    spec = ProviderSpec(
        slug="modal",
        name="Modal",
        description="Your own models on Modal, awake only while they are called.",
        docs_url="https://modal.com/docs/guide/webhooks",
        base_url=None,
        embeddings_path="/embeddings",
        key_required=False,
        modalities=frozenset({Modality.TEXT, Modality.EMBEDDING}),
        features=("streaming", "scales_to_zero"),
        list_optional=True,
        list_ttl_s=6 * 3600.0,
    )

    def validate_config(self, config: ProviderConfig) -> None:
        """Half a proxy auth token is refused here: its other half would otherwise be missed by every call."""
        super().validate_config(config)
        key = config.api_key.reveal() if config.api_key is not None else ""
        if key.startswith(("wk-", "ws-")) and _token(config) is None:
            raise InvalidRequest.of_field("api_key", "A proxy auth token is written as wk-…:ws-….")

    def base_url(self, config: ProviderConfig) -> str:
        """Where OpenAI's paths begin."""
        root = super().base_url(config)
        return root if root.endswith("/v1") else f"{root}/v1"

    def headers(self, config: ProviderConfig) -> dict[str, str | Secret]:
        token = _token(config)
        if token is None:
            return super().headers(config)
        token_id, secret, own_key = token
        own = Secret(own_key) if own_key else None
        headers = super().headers(replace(config, api_key=own))
        return headers | {"modal-key": Secret(token_id), "modal-secret": Secret(secret)}

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        request = super().build_list_models(config, page)
        return None if request is None else _patient(request)

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """There is none: to check a key the server would have to be woken."""
        del config
        return None

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        return _patient(super().build_chat(call, config))

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        return _patient(super().build_embeddings(call, config))

    def follow(self, request: WireRequest, headers: Mapping[str, str]) -> WireRequest | None:
        """After 150 s Modal answers 303 to the same URL with a result's id in its query, and blocks there.

        A GET there never triggers the request anew, which a POST would.
        https://modal.com/docs/guide/webhook-timeouts (2026-08)
        """
        location = headers.get("location")
        if not location:
            return None
        try:
            url = urljoin(request.url, location)
            same = urlsplit(url).path == urlsplit(request.url).path
        except ValueError:
            return None
        if not same:
            return None  # the server's own redirect, not Modal's
        kept = {name: value for name, value in request.headers.items() if name != "content-type"}
        return replace(request, method="GET", url=url, headers=kept, body=None)

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        """Where a name has an author it is the same model as elsewhere; else it belongs to this server."""
        native_id = listing.read_id(entry)
        author, slash, name = native_id.partition("/")
        named = author and slash and name and "/" not in name
        modality = listing.modality_of_name(native_id)
        return ModelInfo(
            id=f"modal/{native_id}",
            canonical_id=canonical_id("modal", native_id) if named else f"modal/{native_id}",
            provider="modal",
            name=native_id,
            modality=modality,
            input_modalities=listing.INPUTS.get(modality, ("text",)),
            output_modalities=listing.OUTPUTS[modality],
            capabilities=frozenset({"streaming"}) if modality is Modality.TEXT else frozenset(),
            context_window=listing.read_tokens(entry.get("max_model_len")),
            created_at=listing.read_moment(entry.get("created")),
        )

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """Modal's own 401 and 404 are about the deployment; those of the server are about the model.

        404: no such deployment, one that was stopped, or a workspace that is disabled. 500: the function was
        killed or ran out of its time.
        """
        del headers
        message = self.describe_error(error)
        if not message.startswith(_MODALS_OWN):
            return None
        said = message.removeprefix(_MODALS_OWN).strip()
        if status == 401:
            return ProviderRefused(f"Modal's proxy answered 401: {said}", code="provider_auth")
        if status == 404:
            return ProviderFailed(
                f"Modal serves nothing at this address: {said}", code="provider_unavailable"
            )
        if "timed out" in said and status >= 500:
            return ProviderFailed(f"Modal answered {status}: {said}", code="provider_timeout")
        return None


def _token(config: ProviderConfig) -> tuple[str, str, str] | None:
    """Id and secret of a proxy auth token, and the key behind them, if any; None where there is no such."""
    key = config.api_key.reveal() if config.api_key is not None else ""
    token_id, _, rest = key.partition(":")
    secret, _, own_key = rest.partition(":")
    return (token_id, secret, own_key) if token_id.startswith("wk-") and secret.startswith("ws-") else None


def _patient(request: WireRequest) -> WireRequest:
    return replace(request, connect_timeout_s=_CONNECT_TIMEOUT_S, first_byte_timeout_s=_FIRST_BYTE_TIMEOUT_S)
