"""Users' connections in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headgate.aws.audit import AuditTrail, was_made
from headgate.aws.clients import AwsClients
from headgate.aws.codec import body_of, from_body, number_of
from headgate.aws.connection_lists import StoredLists
from headgate.aws.dynamodb import Item, Table, Value, When, happened
from headgate.aws.faults import TransactionCancelled, reading
from headgate.aws.once import OnceItems
from headgate.domain.audit import AuditEvent
from headgate.domain.connections import (
    Connection,
    UserConnections,
    access_tag,
    attention_after,
    default_among,
    newest_first,
)
from headgate.domain.errors import Conflict, GatewayFault, NotFound
from headgate.ports import Begun, Clock, ConnectionModels

_DEFAULT = "DEFAULT"
_CON = "CON#"
_TRIES = 30
"""Everyone who changes which of a user's connections there are meets on one item, and may lose each time."""


class DynamoConnectionStore:
    """`table` is the connections table's name, `accounts_table` where audit events go.

    Which connections are active, and the default, hang together: every change of either raises the revision
    of the item `DEFAULT`, on the condition that it still is what was read before the connections were.
    """

    def __init__(self, clients: AwsClients, table: str, accounts_table: str, clock: Clock) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._trail = AuditTrail(Table(clients, accounts_table))
        self._lists = StoredLists(clients, table, clock)
        self._once = OnceItems(self._table, clock)

    async def load(self, user_id: str) -> UserConnections:
        """One query: `CON#…` and `DEFAULT` lie beside each other."""
        keys = When(
            "#pk = :pk AND #sk BETWEEN :first AND :last",
            {"pk": _user_pk(user_id), "first": _CON, "last": _DEFAULT},
        )
        rows: list[Connection] = []
        default_id: str | None = None
        with reading("A connection"):
            async for item in self._table.query(keys, ConsistentRead=True):
                if item["sk"] == _DEFAULT:
                    default_id = _default_of(item)
                else:
                    rows.append(_connection_of(item))
        return UserConnections(rows=newest_first(rows), default_id=default_id)

    async def create(self, connection: Connection, audit: AuditEvent) -> None:
        user_id, new = connection.user_id, When("attribute_not_exists(#pk)")
        for tries in range(_TRIES):
            seen = await self._look(user_id) if connection.is_active else None
            actions = [self._table.putting(_item_of(connection), when=new)]
            if seen is not None:
                actions.append(seen.moving(self._table, [*seen.found.rows, connection]))
            if await self._happened(actions, audit, tries):
                return
            stored = (await self.load(user_id)).find(connection.id)
            if stored is not None:
                if stored == connection:  # the SDK sent this write again when its answer was lost
                    return
                raise Conflict("There is a connection of that id.")
        raise GatewayFault.unavailable("The store")

    async def replace(self, connection: Connection, audit: AuditEvent) -> None:
        user_id = connection.user_id
        for tries in range(_TRIES):
            seen = await self._look(user_id)
            stored = seen.found.find(connection.id)
            if stored is None or stored.revision != connection.revision - 1:
                if stored == connection or (stored is not None and _same(stored, connection)):
                    return
                raise Conflict("Someone else changed this connection. Read it again.")
            after = replace(connection, needs_attention=attention_after(stored, connection))
            actions = [self._replacing(stored, after)]
            if stored.is_active != after.is_active:
                others = [row for row in seen.found.rows if row.id != after.id]
                actions.append(seen.moving(self._table, [*others, after]))
            if await self._happened(actions, audit, tries):
                return
        raise GatewayFault.unavailable("The store")

    async def set_default(self, user_id: str, connection_id: str, audit: AuditEvent) -> None:
        for tries in range(_TRIES):
            seen = await self._look(user_id)
            row = seen.found.find(connection_id)
            if row is None:
                raise NotFound("There is no such connection.")
            if not row.is_active:
                raise Conflict("A deleted connection can't be the default. Restore it first.")
            if seen.found.default_id == connection_id:
                return
            if await self._happened([seen.writing(self._table, connection_id)], audit, tries):
                return
        raise GatewayFault.unavailable("The store")

    async def note_attention(
        self, user_id: str, connection_id: str, *, sealed: bytes | None, reason: str | None
    ) -> None:
        text, values = "attribute_exists(#pk) AND attribute_not_exists(#sealed)", dict[str, Value]()
        if sealed is not None:
            text, values = "#sealed = :sealed", {"sealed": sealed}
        change, given = "REMOVE #attention", dict[str, Value]()
        if reason is not None:
            change, given = "SET #attention = :reason", {"reason": reason}
        key = (_user_pk(user_id), _CON + connection_id)
        await happened(self._table.update(key, change, given, when=When(text, values)))

    async def read_lists(self, connections: Sequence[Connection]) -> Mapping[str, ConnectionModels]:
        return await self._lists.read(connections)

    async def write_list(self, connection: Connection, models: ConnectionModels) -> None:
        await self._lists.write(connection, models)

    async def begin_once(self, name: str, begun: Begun) -> Begun:
        return await self._once.begin(name, begun)

    async def finish_once(self, name: str, begun: Begun) -> None:
        await self._once.finish(name, begun)

    async def _look(self, user_id: str) -> "_Seen":
        """The pointer first: if rows change after it was read, so has it, and the write is refused."""
        pointer = await self._table.get(_user_pk(user_id), _DEFAULT)
        found = await self.load(user_id)
        with reading("A default connection"):
            return _Seen(
                user_id=user_id,
                found=replace(found, default_id=None if pointer is None else _default_of(pointer)),
                revision=None if pointer is None else number_of(pointer, "revision"),
            )

    def _replacing(self, stored: Connection, after: Connection) -> dict[str, Any]:
        """An update, not a put: whether it needs attention is written by others meanwhile."""
        item = _item_of(after)
        names = ("body", "revision", "sealed")
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in names if item[name] is not None)
        gone = [name for name in ("sealed",) if item[name] is None]
        if access_tag(stored) != access_tag(after):
            gone.append("attention")
        if gone:
            change += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        values = {name: value for name in names if (value := item[name]) is not None}
        still = When("#revision = :before", {"before": stored.revision})
        return self._table.updating((str(item["pk"]), str(item["sk"])), change, values, when=still)

    async def _happened(self, actions: Sequence[dict[str, Any]], audit: AuditEvent, tries: int) -> bool:
        """Does these with their event. False after a pause, when others were in the way: then read again."""
        told = await self._trail.putting(audit)
        try:
            await self._table.transact(*actions, told)
        except TransactionCancelled as cancelled:
            if was_made(cancelled):
                return True
            lost = any(cancelled.failed_condition(place) is not None for place in range(len(actions)))
            if not lost and not cancelled.is_passing:
                raise GatewayFault("The store refused to keep a connection") from cancelled
            await self._clients.pause(tries)
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A user's connections, and the revision of `DEFAULT` that they are no older than, if there is one."""

    user_id: str
    found: UserConnections
    revision: int | None

    def moving(self, table: Table, rows: Sequence[Connection]) -> dict[str, Any]:
        """An action: the default that follows when these are the user's connections."""
        return self.writing(table, default_among(rows, self.found.default_id))

    def writing(self, table: Table, default_id: str | None) -> dict[str, Any]:
        still = When("attribute_not_exists(#pk)")
        if self.revision is not None:
            still = When("#revision = :before", {"before": self.revision})
        return table.putting(
            {
                "pk": _user_pk(self.user_id),
                "sk": _DEFAULT,
                "connection_id": default_id,
                "revision": (self.revision or 0) + 1,
            },
            when=still,
        )


def _same(stored: Connection, connection: Connection) -> bool:
    return stored == replace(connection, needs_attention=stored.needs_attention)


def _user_pk(user_id: str) -> str:
    return f"USER#{user_id}"


def _default_of(item: Item) -> str | None:
    value = item.get("connection_id")
    return None if value is None else str(value)


def _item_of(connection: Connection) -> dict[str, Value | None]:
    """Ciphertext and attention stand in attributes of their own: conditions and updates name them."""
    return {
        "pk": _user_pk(connection.user_id),
        "sk": _CON + connection.id,
        "revision": connection.revision,
        "sealed": connection.sealed,
        "attention": connection.needs_attention,
        "body": body_of(replace(connection, sealed=None, needs_attention=None)),
    }


def _connection_of(item: Item) -> Connection:
    sealed, attention = item.get("sealed"), item.get("attention")
    return replace(
        from_body(Connection, item),
        sealed=sealed if isinstance(sealed, bytes) else None,
        needs_attention=attention if isinstance(attention, str) else None,
    )
