"""What a caller's own keys see: lists of stored connections, which are read elsewhere and kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from headgate.domain.catalog import ModelInfo
from headgate.domain.connections import Connection
from headgate.domain.errors import HeadgateError
from headgate.ports import Clock, ConnectionModels, ConnectionStore, Log, RefreshStarter
from headgate.services.reach import ReachService
from headgate.services.remember import Memory

_START_AGAIN_S = 30.0
_LOOK_AGAIN_S = 3.0
_MOST_NOTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """One key's list. version: None while none was ever read. error: why the last look at it failed; `models`
    are then older. own_server: it is another server than the platform's, though it speaks like it.
    name: what `error` is told of, in words.
    """

    slug: str
    source: Literal["connection", "lent"]
    name: str
    id: str
    version: str | None = None
    checked_at: datetime | None = None
    error: str | None = None
    own_server: bool = False
    models: tuple[ModelInfo, ...] = field(default=(), repr=False)

    @property
    def identity(self) -> tuple[object, ...]:
        """Differs when anything does that is shown of it."""
        return (self.slug, self.source, self.id, self.version, self.error, self.checked_at)


class ConnectionLists:
    """Lists of users' active connections, read from the store at most once in `keep_s` seconds per process.

    starter: has lists read anew that are missing, or older than `ttl_s`; None where others see to that. What
    is there is served meanwhile.
    """

    def __init__(
        self,
        *,
        store: ConnectionStore,
        reach: ReachService,
        clock: Clock,
        log: Log,
        ttl_s: float,
        keep_s: float = 60.0,
        starter: RefreshStarter | None = None,
    ) -> None:
        self._store = store
        self._reach = reach
        self._clock = clock
        self._log = log
        self._ttl = timedelta(seconds=ttl_s)
        self._starter = starter
        self._lists = Memory[Mapping[str, ConnectionModels]](clock, log, keep_s=keep_s)
        self._started_s: dict[str, float] = {}
        self._look_again_s: dict[str, float] = {}

    async def of(self, user_id: str) -> tuple[KeyList, ...]:
        """One for each active connection, the default first. Raises GatewayFault when the connections, or
        their lists, can't be read and nothing is in memory."""
        rows = (await self._reach.connections(user_id)).active
        if not rows:
            return ()
        found = await self._read(rows)
        await self._restart(rows, found)
        return tuple(self._list_of(row, found.get(row.id)) for row in rows)

    async def refresh(self, user_id: str) -> list[Connection]:
        """Has all of a user's lists read anew, and tells whose. Raises GatewayFault if it can't."""
        self.forget(user_id)
        rows = (await self._reach.connections(user_id)).active
        if not rows or self._starter is None:
            return []
        await self._starter.start_connections([(row.user_id, row.id) for row in rows])
        name = _name_of(rows)
        self._lists.forget(name)
        self._note(self._started_s, name, _START_AGAIN_S)
        self._note(self._look_again_s, name, _LOOK_AGAIN_S)
        return list(rows)

    def forget(self, user_id: str) -> None:
        """The next look reads this user's connections again."""
        self._reach.forget(user_id)

    async def _read(self, rows: Sequence[Connection]) -> Mapping[str, ConnectionModels]:
        name = _name_of(rows)
        if self._look_again_s and self._clock.monotonic() >= self._look_again_s.get(name, float("inf")):
            del self._look_again_s[name]
            self._lists.forget(name)

        async def load(_name: str) -> Mapping[str, ConnectionModels]:
            return await self._store.read_lists(rows)

        return await self._lists.get(name, load)

    async def _restart(self, rows: Sequence[Connection], found: Mapping[str, ConnectionModels]) -> None:
        """A list that was just started to be read is looked for again soon, not in a minute."""
        if self._starter is None:
            return
        oldest = self._clock.now() - self._ttl
        due = [row for row in rows if row.id not in found or found[row.id].checked_at <= oldest]
        name, now_s = _name_of(rows), self._clock.monotonic()
        if not due:
            return
        if now_s >= self._started_s.get(name, 0.0):
            self._note(self._started_s, name, _START_AGAIN_S)
            try:
                await self._starter.start_connections([(row.user_id, row.id) for row in due])
            except HeadgateError as error:
                self._log.warning("catalog.connections_not_started", code=error.code)
        if name not in self._look_again_s:
            self._note(self._look_again_s, name, _LOOK_AGAIN_S)

    def _note(self, notes: dict[str, float], name: str, in_s: float) -> None:
        if len(notes) >= _MOST_NOTED:
            notes.clear()
        notes[name] = self._clock.monotonic() + in_s

    def _list_of(self, row: Connection, kept: ConnectionModels | None) -> KeyList:
        return KeyList(
            slug=row.type,
            source="connection",
            name=f"connection '{row.name}'",
            id=row.id,
            version=None if kept is None or not (kept.models or kept.error is None) else kept.version,
            checked_at=None if kept is None else kept.checked_at,
            error=None if kept is None else kept.error,
            own_server=row.base_url is not None,
            models=() if kept is None else kept.models,
        )


def _name_of(rows: Sequence[Connection]) -> str:
    return ",".join(f"{row.id}.{row.revision}" for row in rows)
