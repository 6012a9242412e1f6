"""Balances and entries in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

from collections.abc import Mapping
from dataclasses import replace

from headgate.aws.admission import entering, entries_pk
from headgate.aws.audit import AuditTrail
from headgate.aws.balances import Balances
from headgate.aws.clients import AwsClients
from headgate.aws.codec import body_of, from_body, text_of
from headgate.aws.dynamodb import Item, Table, When
from headgate.aws.faults import reading
from headgate.aws.shares import Move, Sharing
from headgate.aws.transactions import NEW, Refused, Step
from headgate.domain.audit import AuditEvent
from headgate.domain.credits import Balance, LedgerEntry
from headgate.domain.errors import Conflict
from headgate.paging import decode_cursor, encode_cursor


class DynamoLedger:
    """table: the ledger table's name; accounts_table: where the audit log stands. sharing: when a user's
    balance is spread; the same as for the store of generations."""

    def __init__(
        self, clients: AwsClients, table: str, *, accounts_table: str, sharing: Sharing = Sharing()
    ) -> None:
        self._table = Table(clients, table)
        self._balances = Balances(clients, self._table, sharing=sharing)
        self._audit = AuditTrail(Table(clients, accounts_table))

    async def balance(self, user_id: str) -> Balance:
        return (await self._balances.read(user_id)).balance

    async def list_entries(
        self, user_id: str, *, limit: int, cursor: str | None
    ) -> tuple[list[LedgerEntry], str | None]:
        scope = f"ledger of {user_id}"
        keys = _entries(user_id, None if cursor is None else decode_cursor(scope, cursor))
        rows, _ = await self._table.query_page(
            keys, ScanIndexForward=False, ConsistentRead=True, Limit=limit + 1
        )
        with reading("The ledger"):
            entries = [from_body(LedgerEntry, row) for row in rows[:limit]]
            more = len(rows) > limit
            return entries, encode_cursor(scope, text_of(rows[limit - 1], "sk")) if more else None

    async def add_entry(self, entry: LedgerEntry, audit: AuditEvent) -> None:
        # Entries stand by time, and one that is sent again may bear another: its id is kept beside.
        once: Mapping[str, str] = {"pk": f"ENT#{entry.id}", "sk": "ENT", "body": body_of(entry)}
        before = [
            Step(self._table.putting(once, when=NEW), lambda there: _unless_equal(entry, there)),
        ]
        after = [
            entering(self._table, entry),
            Step(await self._audit.putting(audit), lambda _: Conflict("There is an audit event of that id.")),
        ]
        move = Move(user_id=entry.user_id, lot=entry.id, available=entry.amount_nanousd)
        try:
            await self._balances.carry_out(move, before=before, after=after)
        except Refused as refused:
            if not isinstance(refused.errors[0], _Equal):
                raise refused.errors[0] from refused


class _Equal(Exception):
    """The entry is there already."""


def _unless_equal(entry: LedgerEntry, there: Item) -> Exception:
    stored = from_body(LedgerEntry, there)
    return _Equal() if replace(stored, at=entry.at) == entry else Conflict("There is an entry of that id.")


def _entries(user_id: str, before: str | None) -> When:
    if before is None:
        return When("#pk = :pk", {"pk": entries_pk(user_id)})
    return When("#pk = :pk AND #sk < :before", {"pk": entries_pk(user_id), "before": before})
