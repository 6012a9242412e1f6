"""The shared catalogue, and who refreshes it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from headgate.domain.catalog import ChangeEvent, ModelInfo, Snapshot, SnapshotHead
from headgate.domain.health import ProviderHealth, TrafficWindow

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


class RefreshStarter(Protocol):
    """Starts a refresh elsewhere, without waiting for it."""

    async def start(self, providers: Iterable[str] | None, *, force: bool) -> None:
        """`providers` None means every configured one."""
        ...

    async def start_connections(self, connections: Iterable[tuple[str, str]]) -> None:
        """The lists of these connections of users, as (user id, connection id)."""
        ...
