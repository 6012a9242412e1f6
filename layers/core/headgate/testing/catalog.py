"""The catalogue in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from headgate.clock import SystemClock
from headgate.domain.catalog import ChangeEvent, ModelInfo, Snapshot, SnapshotHead
from headgate.domain.errors import GatewayFault
from headgate.domain.health import ProviderHealth, TrafficWindow, add_windows
from headgate.ports import MAX_TABLE_BYTES, Clock
from headgate.testing.faults import Faulty

REPLACED_PIECES_KEPT = timedelta(hours=2)
CHANGES_KEPT = timedelta(days=30)
TRAFFIC_KEPT = timedelta(hours=26)
_MOST_CHANGES = 20_000


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The models of one version; `gone_at` is set when another version has replaced it."""

    models: tuple[ModelInfo, ...]
    gone_at: datetime | None = None


class MemoryCatalogStore(Faulty):
    """Bounded: replaced lists, old traffic and old changes are forgotten as the real tables forget them."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._heads: dict[str, SnapshotHead] = {}
        self._pieces: dict[tuple[str, str], _Pieces] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._changes: dict[str, ChangeEvent] = {}
        self._health: dict[str, ProviderHealth] = {}
        self._traffic: dict[str, dict[int, TrafficWindow]] = {}
        self._tables: dict[str, bytes] = {}

    async def read_heads(self) -> Mapping[str, SnapshotHead]:
        self.check_fault()
        return dict(self._heads)

    async def read_models(self, head: SnapshotHead) -> tuple[ModelInfo, ...]:
        self.check_fault()
        if head.version is None:
            return ()
        pieces = self._pieces.get((head.provider, head.version))
        if pieces is None or _is_past(pieces.gone_at, self._clock.now()):
            raise GatewayFault.unavailable(f"The list of {head.provider}")
        return pieces.models

    def lose_pieces(self, provider: str) -> None:
        """For tests: the head stays, what it points at is gone."""
        self._pieces = {key: kept for key, kept in self._pieces.items() if key[0] != provider}

    async def write_snapshot(self, snapshot: Snapshot, *, replaces: str | None) -> bool:
        self.check_fault()
        head = snapshot.head
        before = self._heads.get(head.provider)
        if (before.version if before else None) != replaces:
            return False
        self._retire(before)
        chunks = 0 if head.version is None else 1
        if head.version is not None:
            self._pieces[head.provider, head.version] = _Pieces(snapshot.models)
        self._heads[head.provider] = replace(head, chunks=chunks)
        return True

    async def write_head(self, head: SnapshotHead) -> None:
        self.check_fault()
        stored = self._heads.get(head.provider)
        if stored is not None and stored.version == head.version:
            self._heads[head.provider] = replace(head, chunks=stored.chunks)

    async def delete_provider(self, provider: str) -> None:
        self.check_fault()
        self._retire(self._heads.pop(provider, None))

    async def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        self.check_fault()
        now = self._clock.now()
        held = self._leases.get(name)
        if held is not None and held[0] != owner and now < held[1]:
            return False
        self._leases[name] = (owner, now + timedelta(seconds=ttl_s))
        return True

    async def release_lease(self, name: str, owner: str) -> None:
        self.check_fault()
        if name in self._leases and self._leases[name][0] == owner:
            del self._leases[name]

    async def append_changes(self, events: Sequence[ChangeEvent]) -> None:
        self.check_fault()
        self._changes.update((event.id, event) for event in events)
        if len(self._changes) > _MOST_CHANGES:
            newest = sorted(self._changes)[-_MOST_CHANGES // 2 :]
            self._changes = {event_id: self._changes[event_id] for event_id in newest}

    async def read_changes(self, *, after: str | None, limit: int) -> list[ChangeEvent]:
        self.check_fault()
        oldest = self._clock.now() - CHANGES_KEPT
        wanted = sorted(event_id for event_id in self._changes if after is None or event_id > after)
        return [self._changes[event_id] for event_id in wanted if self._changes[event_id].at > oldest][:limit]

    async def write_health(self, health: ProviderHealth) -> None:
        self.check_fault()
        self._health[health.provider] = health

    async def read_health(self) -> Mapping[str, ProviderHealth]:
        self.check_fault()
        return dict(self._health)

    async def add_traffic(self, provider: str, minute: int, window: TrafficWindow) -> None:
        self.check_fault()
        windows = self._traffic.setdefault(provider, {})
        windows[minute] = add_windows([windows[minute], window] if minute in windows else [window])
        kept = TRAFFIC_KEPT // timedelta(minutes=1)
        if len(windows) > kept:
            oldest = int(self._clock.now().timestamp() // 60) - kept
            self._traffic[provider] = {at: one for at, one in windows.items() if at >= oldest}

    async def read_traffic(self, provider: str, *, since_minute: int) -> Mapping[int, TrafficWindow]:
        self.check_fault()
        windows = self._traffic.get(provider, {})
        return {minute: windows[minute] for minute in sorted(windows) if minute >= since_minute}

    async def read_table(self, name: str) -> bytes | None:
        self.check_fault()
        return self._tables.get(name)

    async def write_table(self, name: str, data: bytes) -> None:
        self.check_fault()
        if len(data) > MAX_TABLE_BYTES:
            raise ValueError(f"{name}: {len(data)} bytes are too many for one item")
        self._tables[name] = data

    def _retire(self, head: SnapshotHead | None) -> None:
        now = self._clock.now()
        self._pieces = {key: kept for key, kept in self._pieces.items() if not _is_past(kept.gone_at, now)}
        if head is not None and head.version is not None:
            key = (head.provider, head.version)
            if (pieces := self._pieces.get(key)) is not None:
                self._pieces[key] = replace(pieces, gone_at=now + REPLACED_PIECES_KEPT)


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
