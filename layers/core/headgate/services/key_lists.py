"""What a caller's own keys see: lists of stored connections, which are read elsewhere and kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from headgate.domain.catalog import ModelInfo
from headgate.domain.connections import Connection
from headgate.domain.errors import HeadgateError
from headgate.ports import Clock, ConnectionModels, ConnectionStore, Log, RefreshStarter
from headgate.services.reach import Owned, ReachService
from headgate.services.remember import Memory

IDLE_TTL_S = 12 * 3600.0
"""Age at which a list is read anew for who calls with it and never lists: well before it is dropped, since a
model that no list has is found by its full id alone."""
MOST_USERS = 128
"""Whose lists a process keeps in memory: 400 models are about 0.6 MB, and a function has 1 GB."""
_START_AGAIN_S = 30.0
_LOOK_AGAIN_S = 3.0
_MOST_NOTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """One key's list. version: None while none was ever read. error: why the last look at it failed; `models`
    are then older. own_server: it is another server than the platform's, though it speaks like it.
    name: what `error` is told of, in words. mine: whether the key is the caller's, not of somebody in whose
    project they call: only then is anything told of it but its models. kinds: the modalities that it serves;
    None for all.
    """

    slug: str
    source: Literal["connection", "lent"]
    name: str
    id: str
    mine: bool = True
    kinds: frozenset[str] | None = None
    version: str | None = None
    checked_at: datetime | None = None
    error: str | None = None
    own_server: bool = False
    models: tuple[ModelInfo, ...] = field(default=(), repr=False)

    @property
    def identity(self) -> tuple[object, ...]:
        """Differs when anything does that is shown of it."""
        return (*self.content, self.id, self.checked_at)

    @property
    def content(self) -> tuple[object, ...]:
        """The same in every process: what is shown of it, but for when it was read and by which key."""
        kinds = None if self.kinds is None else tuple(sorted(self.kinds))
        error = None if self.error is None else (self.name, self.error)
        return (self.slug, self.source, self.version, error, self.own_server, kinds)


class ConnectionLists:
    """The one reader of connections' lists: of each user's active ones together, at most once in `keep_s`
    seconds per process, whoever calls with them.

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
        self._lists = Memory[Mapping[str, ConnectionModels]](clock, log, keep_s=keep_s, most=MOST_USERS)
        self._started_s: dict[str, float] = {}
        self._look_again_s: dict[str, float] = {}

    async def of(self, serving: Sequence[Owned], *, user_id: str) -> tuple[KeyList, ...]:
        """One for each of these connections, in their order, as that user sees it. Raises GatewayFault when
        they can't be read and nothing is in memory."""
        found = await self._read(dict.fromkeys(each.connection.user_id for each in serving))
        await self._restart([each.connection for each in serving], found)
        return tuple(_list_of(each, found.get(each.connection.id), user_id) for each in serving)

    async def refresh(self, user_id: str) -> list[Connection]:
        """Has all of a user's lists read anew, and tells whose. Raises GatewayFault if it can't."""
        self._reach.forget(user_id)
        rows = (await self._reach.connections(user_id)).active
        if not rows or self._starter is None:
            return []
        await self._starter.start_connections([(row.user_id, row.id) for row in rows])
        self._lists.forget(_name_of(rows))
        for row in rows:
            self._note(self._started_s, _name_of([row]), _START_AGAIN_S)
        self._note(self._look_again_s, user_id, _LOOK_AGAIN_S)
        return list(rows)

    def forget_all(self) -> None:
        """The next look at anybody's lists reads them again."""
        self._lists.forget_all()

    async def _read(self, users: Iterable[str]) -> Mapping[str, ConnectionModels]:
        """By connection id, of all that these users have: one who is asked for a few is read as a whole."""
        rows: dict[str, Sequence[Connection]] = {}
        for user in users:
            active = (await self._reach.connections(user)).active
            name = _name_of(active)
            rows[name] = active
            if self._look_again_s and self._clock.monotonic() >= self._look_again_s.get(user, float("inf")):
                del self._look_again_s[user]
                self._lists.forget(name)

        async def load(name: str) -> Mapping[str, ConnectionModels]:
            return await self._store.read_lists(rows[name])

        read = list((await self._lists.all([name for name in rows if name], load)).values())
        if len(read) == 1:
            return read[0]
        return {connection_id: kept for each in read for connection_id, kept in each.items()}

    async def _restart(self, rows: Sequence[Connection], found: Mapping[str, ConnectionModels]) -> None:
        """A list that was just started to be read is looked for again soon, not in a minute."""
        if self._starter is None:
            return
        oldest = self._clock.now() - self._ttl
        due = [row for row in rows if row.id not in found or found[row.id].checked_at <= oldest]
        if not due:
            return
        now_s = self._clock.monotonic()
        start = [row for row in due if now_s >= self._started_s.get(_name_of([row]), 0.0)]
        for row in start:
            self._note(self._started_s, _name_of([row]), _START_AGAIN_S)
        if start:
            try:
                await self._starter.start_connections([(row.user_id, row.id) for row in start])
            except HeadgateError as error:
                self._log.warning("catalog.connections_not_started", code=error.code)
        for user in {row.user_id for row in due} - self._look_again_s.keys():
            self._note(self._look_again_s, user, _LOOK_AGAIN_S)

    def _note(self, notes: dict[str, float], name: str, in_s: float) -> None:
        if len(notes) >= _MOST_NOTED:
            notes.clear()
        notes[name] = self._clock.monotonic() + in_s


def _list_of(owned: Owned, kept: ConnectionModels | None, user_id: str) -> KeyList:
    row = owned.connection
    models = () if kept is None else kept.models
    if owned.kinds is not None:
        models = tuple(each for each in models if each.modality.value in owned.kinds)
    return KeyList(
        slug=row.type,
        source="connection",
        name=f"connection '{row.name}'",
        id=row.id,
        mine=row.user_id == user_id,
        kinds=owned.kinds,
        version=None if kept is None or not (kept.models or kept.error is None) else kept.version,
        checked_at=None if kept is None else kept.checked_at,
        error=None if kept is None else kept.error,
        own_server=row.base_url is not None,
        models=models,
    )


def _name_of(rows: Sequence[Connection]) -> str:
    return ",".join(sorted(f"{row.id}.{row.revision}" for row in rows))
