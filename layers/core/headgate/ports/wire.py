"""One HTTP request to a provider, and who sends and signs it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headgate.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One HTTP request to a provider. Secret header values are revealed only when it is sent.

    connect_timeout_s: until a connection stands. first_byte_timeout_s: from there to the response's head.
    idle_timeout_s: the longest silence within the body. total_timeout_s: everything.
    idempotent: sending it twice does no harm and costs nothing.
    guarded: the address was given by a caller, so only public addresses may be connected to.
    """

    method: str
    url: str
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    body: bytes | None = None
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 300.0
    idle_timeout_s: float = 120.0
    total_timeout_s: float = 840.0
    idempotent: bool = False
    guarded: bool = False


class WireResponse(Protocol):
    """A response whose body may still be arriving. Header names are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def read(self) -> bytes:
        """The whole body, decompressed. Raises like `chunks`."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed.

        Raises ProviderFailed: `provider_timeout` on silence, `provider_unavailable` on a reset,
        `provider_protocol` on a broken encoding, a body cut short, or one over the byte limit.
        """
        ...

    async def close(self) -> None:
        """Gives the connection up; a body that was not read to its end is abandoned. Safe to call twice."""
        ...


class HttpTransport(Protocol):
    """Sends one request, once. Follows no redirect, retries nothing, uses no proxy, keeps no cookie."""

    async def send(self, request: WireRequest) -> WireResponse:
        """Returns when the response's head is there, whatever its status.

        Raises ProviderFailed (`provider_timeout`, `provider_unavailable`, `provider_protocol`), with
        `may_have_run` false only when no byte of the request can have reached the provider; and
        InvalidRequest when a guarded address is not public.
        """
        ...

    async def close(self) -> None: ...


class RequestSigner(Protocol):
    """Signs requests as the role that the function runs under (AWS Signature Version 4)."""

    async def sign(self, request: WireRequest, *, service: str, region: str) -> Mapping[str, str | Secret]:
        """The headers to add; method, URL, content type and body must then stay as they are.

        Raises ProviderRefused (`provider_auth`) where the function has no credentials.
        """
        ...
