"""Users' connections in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from headgate.clock import SystemClock
from headgate.domain.audit import AuditEvent
from headgate.domain.connections import (
    Connection,
    UserConnections,
    access_tag,
    attention_after,
    default_among,
    newest_first,
)
from headgate.domain.errors import Conflict, NotFound
from headgate.ports import Begun, Clock, ConnectionModels
from headgate.testing.audit import MemoryAuditLog
from headgate.testing.faults import Faulty
from headgate.testing.once import OnceItems

_LIST_KEPT = timedelta(hours=25)


class MemoryConnectionStore(Faulty):
    """Connections by user, and the lists that their keys see.

    audit: where the events of changes go.
    """

    def __init__(self, clock: Clock | None = None, audit: MemoryAuditLog | None = None) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self.audit = audit or MemoryAuditLog(self._clock)
        self._rows: dict[str, dict[str, Connection]] = {}
        self._defaults: dict[str, str | None] = {}
        self._lists: dict[tuple[str, str, str], ConnectionModels] = {}
        self._once = OnceItems(self._clock)

    async def load(self, user_id: str) -> UserConnections:
        self.check_fault()
        rows = self._rows.get(user_id, {})
        return UserConnections(rows=newest_first(rows.values()), default_id=self._defaults.get(user_id))

    async def create(self, connection: Connection, audit: AuditEvent) -> None:
        self.check_fault()
        stored = self._rows.get(connection.user_id, {}).get(connection.id)
        if stored is not None:
            if stored == connection:
                return
            raise Conflict("There is a connection of that id.")
        if self.audit.note(audit):
            self._keep(connection)

    async def replace(self, connection: Connection, audit: AuditEvent) -> None:
        self.check_fault()
        stored = self._rows.get(connection.user_id, {}).get(connection.id)
        if stored is not None:
            connection = replace(connection, needs_attention=attention_after(stored, connection))
        if stored == connection:
            return
        if stored is None or stored.revision != connection.revision - 1:
            raise Conflict("Someone else changed this connection. Read it again.")
        if self.audit.note(audit):
            self._keep(connection)

    async def set_default(self, user_id: str, connection_id: str, audit: AuditEvent) -> None:
        self.check_fault()
        row = self._rows.get(user_id, {}).get(connection_id)
        if row is None:
            raise NotFound("There is no such connection.")
        if not row.is_active:
            raise Conflict("A deleted connection can't be the default. Restore it first.")
        if self._defaults.get(user_id) == connection_id:
            return
        if self.audit.note(audit):
            self._defaults[user_id] = connection_id

    async def note_attention(
        self, user_id: str, connection_id: str, *, sealed: bytes | None, reason: str | None
    ) -> None:
        self.check_fault()
        row = self._rows.get(user_id, {}).get(connection_id)
        if row is not None and row.sealed == sealed:
            self._rows[user_id][connection_id] = replace(row, needs_attention=reason)

    async def read_lists(self, connections: Sequence[Connection]) -> Mapping[str, ConnectionModels]:
        self.check_fault()
        oldest = self._clock.now() - _LIST_KEPT
        found = {each.id: self._lists.get(_list_key(each)) for each in connections}
        return {name: kept for name, kept in found.items() if kept is not None and kept.checked_at > oldest}

    async def write_list(self, connection: Connection, models: ConnectionModels) -> None:
        self.check_fault()
        self._lists[_list_key(connection)] = models

    async def begin_once(self, name: str, begun: Begun) -> Begun:
        self.check_fault()
        return self._once.begin(name, begun)

    async def finish_once(self, name: str, begun: Begun) -> None:
        self.check_fault()
        self._once.finish(name, begun)

    def _keep(self, connection: Connection) -> None:
        user_id = connection.user_id
        rows = self._rows.setdefault(user_id, {})
        rows[connection.id] = connection
        self._defaults[user_id] = default_among(rows.values(), self._defaults.get(user_id))


def _list_key(connection: Connection) -> tuple[str, str, str]:
    return connection.user_id, connection.id, access_tag(connection)
