"""What the services need of the outside world, as small protocols. Adapters live in `aws`, `net`, `testing`.

Every method that talks to a store raises `GatewayFault` (`gateway_unavailable`) when it can't be reached or
throttles; nothing else of the adapter's own exceptions gets out.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from headgate.domain.callers import ApiKey
from headgate.domain.catalog import ChangeEvent, ModelInfo, Snapshot, SnapshotHead
from headgate.domain.generation import GenerationRecord
from headgate.domain.health import ProviderHealth, TrafficWindow
from headgate.domain.secret import Secret


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""
        ...


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


class SecretStore(Protocol):
    """Platform keys: `headgate/<slug>` in Secrets Manager, a JSON object or the bare key."""

    async def get(self, slug: str) -> Mapping[str, Secret] | None:
        """The fields of a provider's secret (`api_key`, `base_url`, …); None when there is no secret."""
        ...


MAX_TABLE_BYTES = 350_000
"""Of what `CatalogStore.write_table` takes: one item of DynamoDB has 400 KB."""


class CatalogStore(Protocol):
    """Snapshots by provider, who refreshes them, how the providers do, and what changed."""

    async def read_heads(self) -> Mapping[str, SnapshotHead]:
        """All heads, by provider, in one read."""
        ...

    async def read_models(self, head: SnapshotHead) -> tuple[ModelInfo, ...]:
        """The models of `head.version`. Raises GatewayFault when pieces of it are missing."""
        ...

    async def write_snapshot(self, snapshot: Snapshot, *, replaces: str | None) -> bool:
        """Pieces first, then the head, if the stored head's version is still `replaces`; False if not.

        The pieces of the replaced version stay readable for as long as readers may hold its head.
        """
        ...

    async def write_head(self, head: SnapshotHead) -> None:
        """A head with the same content: new times, or an error. Ignored once its version is replaced."""
        ...

    async def delete_provider(self, provider: str) -> None:
        """Drops the head of a provider that is no longer configured."""
        ...

    async def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        """Whether `owner` now holds the lease; one which ran out may be taken over."""
        ...

    async def release_lease(self, name: str, owner: str) -> None:
        """Gives it up, if `owner` still holds it."""
        ...

    async def append_changes(self, events: Sequence[ChangeEvent]) -> None: ...

    async def read_changes(self, *, after: str | None, limit: int) -> list[ChangeEvent]:
        """Events with an id above `after`, oldest first."""
        ...

    async def write_health(self, health: ProviderHealth) -> None: ...

    async def read_health(self) -> Mapping[str, ProviderHealth]: ...

    async def add_traffic(self, provider: str, minute: int, window: TrafficWindow) -> None:
        """Adds calls to a provider's minute (`minute` = unix time // 60)."""
        ...

    async def read_traffic(self, provider: str, *, since_minute: int) -> Mapping[int, TrafficWindow]:
        """Windows by minute, from `since_minute` on."""
        ...

    async def read_table(self, name: str) -> bytes | None:
        """What was last written under this name; None when nothing was."""
        ...

    async def write_table(self, name: str, data: bytes) -> None:
        """Keeps a small table of facts from elsewhere, of at most MAX_TABLE_BYTES, in place of the last one.

        Raises ValueError when it is larger.
        """
        ...


class AccountStore(Protocol):
    """API keys, by the hash of their text."""

    async def get_key(self, key_hash: str) -> ApiKey | None: ...

    async def put_key(self, key: ApiKey) -> None:
        """Creates or replaces."""
        ...

    async def get_key_by_id(self, key_id: str) -> ApiKey | None: ...

    async def list_keys(
        self, *, user_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[ApiKey], str | None]:
        """Newest first; of all users when `user_id` is None. The second value is the next cursor."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """A counter to be raised by one, if it stays within `limit`: `name` is unique per key and minute."""

    name: str
    limit: int
    expires_at: datetime


class GenerationStore(Protocol):
    """The record of each generation, written before the provider is called and before the last byte."""

    async def begin(self, record: GenerationRecord, *, rate: RateWindow | None = None) -> None:
        """Writes the record, and raises the counter, together or not at all.

        Raises LimitReached (`rate_limited`) when the counter is at its limit.
        """
        ...

    async def count(self, rate: RateWindow) -> None:
        """Raises the counter, for a request of which nothing else is kept.

        Raises LimitReached (`rate_limited`) when it is at its limit.
        """
        ...

    async def finish(self, record: GenerationRecord) -> None:
        """Replaces the record by its outcome."""
        ...

    async def get(self, generation_id: str) -> GenerationRecord | None: ...

    async def list_by_owner(
        self,
        owner: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> tuple[list[GenerationRecord], str | None]:
        """Newest first. filters: `status`, `type`, `project_id`. The second value is the next cursor."""
        ...


class RefreshStarter(Protocol):
    """Starts a refresh elsewhere, without waiting for it."""

    async def start(self, providers: Iterable[str] | None, *, force: bool) -> None:
        """`providers` None means every configured one."""
        ...


class Log(Protocol):
    """One structured event per outcome; values never hold a secret or a prompt."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...

    def error(self, event: str, **fields: Any) -> None: ...
