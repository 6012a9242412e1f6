"""Sums of usage in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

from headgate.aws.clients import AwsClients
from headgate.aws.codec import number_of, text_of
from headgate.aws.dynamodb import Item, Key, Table, Value, When, Wire
from headgate.aws.faults import Cancellation, TransactionCancelled, reading
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import GenerationRecord
from headgate.domain.usage import Dimension, UsageCell, UsageSums, added, cells_of
from headgate.ports import MAX_USAGE_CELLS, Clock, TooMuchUsage

MARKERS_KEPT = timedelta(days=2)
"""A stream gives its records for one day, so none comes again once its marker is gone."""

_SEEN = "SEEN"
_MOST_ACTIONS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (2026-11-20)"""

_TRIES = 8
_SLOTS = 8
"""Places where sums over all users may stand: any two transactions of different shards meet on these sums."""

_SPREAD_S = 300.0
_MEASURES = tuple(field.name for field in fields(UsageSums))
_NEW = When("attribute_not_exists(#pk)")


class DynamoUsageStore:
    """`table` is the ledger table's name."""

    def __init__(
        self, clients: AwsClients, table: str, clock: Clock, *, most_cells: int = MAX_USAGE_CELLS
    ) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._clock = clock
        self._most_cells = most_cells
        self._spread_until_s = 0.0

    async def count_usage(self, records: Sequence[GenerationRecord]) -> list[GenerationRecord]:
        """One transaction after another, each with as many records as it has room for.

        Together they would meet each other on the sums over all users.
        """
        run = secrets.token_hex(8)
        firsts: dict[str, GenerationRecord] = {}
        for record in records:
            firsts.setdefault(record.id, record)
        new: list[GenerationRecord] = []
        for chunk in _chunks(firsts.values()):
            new += await self._count(chunk, run)
        return new

    async def read_usage(
        self, user_id: str | None, dimension: Dimension, *, first_day: str, last_day: str
    ) -> Mapping[str, UsageSums]:
        # "$" is the character after "#": this is before the first group of the first day, and after all of
        # the last one's.
        days: dict[str, Value] = {"first": f"{first_day}#", "last": f"{last_day}$"}
        groups: dict[str, UsageSums] = {}
        read = 0

        async def add_up(slot: int) -> None:
            nonlocal read
            pk = _sums_pk(user_id, dimension, slot)
            keys = When("#pk = :pk AND #sk BETWEEN :first AND :last", {"pk": pk, **days})
            start: Wire | None = None
            while True:
                items, start = await self._table.query_page(keys, start=start)
                read += len(items)
                if read > self._most_cells:
                    raise TooMuchUsage
                for item in items:
                    group = text_of(item, "sk").partition("#")[2]
                    groups[group] = groups.get(group, UsageSums()) + _sums(item)
                if start is None:
                    return

        with reading("The usage"):
            await asyncio.gather(*(add_up(slot) for slot in range(_SLOTS if user_id is None else 1)))
        return groups

    async def _count(self, records: list[GenerationRecord], run: str) -> list[GenerationRecord]:
        """Counts those of one transaction that are not counted yet, and returns them."""
        tries = 0
        while records:
            try:
                await self._table.transact(*self._actions(records, run))
                return records
            except TransactionCancelled as cancelled:
                markers = [cancelled.failed_condition(place) for place in range(len(records))]
                if all(marker is not None and _is_of(marker, run) for marker in markers):
                    return records  # the SDK sent this transaction again when its answer was lost
                left = [record for record, seen in zip(records, markers, strict=True) if seen is None]
                if len(left) == len(records) and not cancelled.is_passing:
                    raise GatewayFault("The store refused to count usage") from cancelled
                if len(left) == len(records):
                    self._spread_until_s = self._clock.monotonic() + _SPREAD_S
                    tries += 1
                    if tries == _TRIES:
                        raise GatewayFault.unavailable("The store") from cancelled
                    await self._clients.pause(tries)
                records = left
        return []

    def _actions(self, records: Sequence[GenerationRecord], run: str) -> list[dict[str, Any]]:
        expires_at = int((self._clock.now() + MARKERS_KEPT).timestamp())
        markers = [
            self._table.putting(
                {"pk": f"{_SEEN}#{record.id}", "sk": _SEEN, "run": run, "expires_at": expires_at}, when=_NEW
            )
            for record in records
        ]
        slot = self._slot()
        return markers + [self._adding(cell, sums, slot) for cell, sums in added(records).items()]

    def _slot(self) -> int:
        """Another for each try, once there were others in the way; the first one until then, and again after
        a while: sums that stand in one place are read at once."""
        return secrets.randbelow(_SLOTS) if self._clock.monotonic() < self._spread_until_s else 0

    def _adding(self, cell: UsageCell, sums: UsageSums, slot: int) -> dict[str, Any]:
        values = {name: value for name in _MEASURES if (value := getattr(sums, name))}
        change = "ADD " + ", ".join(f"#{name} :{name}" for name in values)
        return self._table.updating(_key_of(cell, slot), change, values)


def _chunks(records: Iterable[GenerationRecord]) -> Iterator[list[GenerationRecord]]:
    """Cut so that the markers and cells of each are within one transaction; one record needs 11 at most."""
    chunk: list[GenerationRecord] = []
    cells: set[UsageCell] = set()
    for record in records:
        more = cells.union(cells_of(record))
        if chunk and len(chunk) + 1 + len(more) > _MOST_ACTIONS:
            yield chunk
            chunk, more = [], set(cells_of(record))
        chunk.append(record)
        cells = more
    if chunk:
        yield chunk


def _is_of(marker: Cancellation, run: str) -> bool:
    return (marker.item or {}).get("run") == {"S": run}


def _key_of(cell: UsageCell, slot: int) -> Key:
    slot = slot if cell.user_id is None else 0
    return _sums_pk(cell.user_id, cell.dimension, slot), f"{cell.day}#{cell.group}"


def _sums_pk(user_id: str | None, dimension: Dimension, slot: int) -> str:
    """`USE#<user>#<dimension>`; over all users `USE##<dimension>`, as no user's id is empty, and beside it
    `USE##<dimension>#<slot>`, which ends as no dimension does."""
    return f"USE#{user_id or ''}#{dimension}" + (f"#{slot}" if slot else "")


def _sums(item: Item) -> UsageSums:
    return UsageSums(**{name: number_of(item, name) for name in _MEASURES})
