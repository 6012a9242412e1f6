"""Generations in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from headgate.aws.admission import (
    ENDED,
    SAME_ID,
    Writing,
    beginning,
    check_claim,
    claim_in,
    ending,
    entering,
    setting,
)
from headgate.aws.answers import ANSWER_PREFIX, answer_items, answer_of
from headgate.aws.balances import Balances
from headgate.aws.clients import AwsClients
from headgate.aws.codec import (
    DUE_PARTITIONS,
    RECORD,
    bulk_prefix,
    bytes_of,
    keys_item,
    number_of,
    record_items,
    record_of,
    text_of,
)
from headgate.aws.dynamodb import Item, Table, Value, When, Wire, from_wire, to_wire
from headgate.aws.faults import ConditionFailed, reading
from headgate.aws.shares import Sharing
from headgate.aws.transactions import NEW, Foreseen, Refused, carry_out
from headgate.aws.windows import Windows
from headgate.domain.admission import Admission, Answer, Claim, Closing, Counter
from headgate.domain.errors import Conflict, GatewayFault
from headgate.domain.generation import GenerationRecord
from headgate.paging import check_filters, decode_cursor, encode_cursor
from headgate.ports import Clock
from headgate.ports.generations import check_size

OWNER_INDEX = "by_owner"
DUE_INDEX = "by_due"
_FIRST_LOOK = 100
_LONGEST_LOOK = 4_000
_UNFINISHED = When("#status IN (:queued, :running)", {"queued": "queued", "running": "running"})
_UNFINISHED_OR_NEW = When(f"attribute_not_exists(#pk) OR {_UNFINISHED.text}", _UNFINISHED.values)


class DynamoGenerationStore:
    """table, ledger_table: names. The ledger is touched only for holds and settlements.

    sharing: when a user's balance is spread. most_looks: Query calls for one page; a filter that drops
    nearly everything gives a short page after that.
    """

    def __init__(
        self,
        clients: AwsClients,
        table: str,
        clock: Clock,
        *,
        ledger_table: str = "",
        sharing: Sharing = Sharing(),
        most_looks: int = 20,
    ) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._ledger = Table(clients, ledger_table)
        self._balances = Balances(clients, self._ledger, sharing=sharing, clock=clock)
        self._windows = Windows(clients, self._table, clock)
        self._clock = clock
        self._most_looks = most_looks

    async def begin(self, record: GenerationRecord, admission: Admission = Admission()) -> None:
        item, pieces = record_items(record)
        if pieces:
            await self._table.put_many(pieces)
        writing = beginning(self._table, self._windows, item, admission, now=self._clock.now())
        try:
            await self._write(item, writing, when=NEW)
        except Refused as refused:
            if isinstance(refused, Foreseen) and await self._is_begun(item, admission.claim):
                return
            raise refused.errors[0] from refused

    async def _is_begun(self, item: Mapping[str, Value | None], claim: Claim | None) -> bool:
        """Whether it was begun already, by the same request sent before; asked where what would have told was
        not tried. Raises what comes before a limit that refuses it: AlreadyClaimed, Conflict."""
        stored = await self._table.get(str(item["pk"]), RECORD)
        if stored is not None and to_wire(stored) == to_wire(item):
            return True
        if claim is not None:
            await check_claim(self._table, claim, now=self._clock.now())
        if stored is not None:
            raise Conflict(SAME_ID)
        return False

    async def count(self, counters: Sequence[Counter]) -> None:
        if not counters:
            return
        # A transaction even for one: when it meets another that says so, and it is sent again.
        try:
            await carry_out(self._clients, self._table, [self._windows.counting(each) for each in counters])
        except Refused as refused:
            raise refused.errors[0] from refused

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        item, pieces = record_items(record)
        if pieces:
            await self._table.put_many(pieces)
        # What was never begun has no hold to settle; else its outcome alone is worth keeping.
        when = _UNFINISHED if closing.settlement is not None else _UNFINISHED_OR_NEW
        writing = ending(self._table, self._windows, item, closing, when=when)
        if closing.answer is not None:
            kept = await self._clients.run(answer_items, record.id, closing.answer)
            pieces_kept = [setting(self._table, piece) for piece in kept]
            writing = replace(writing, steps=(*writing.steps, *pieces_kept))
        try:
            await self._write(item, writing, when=when)
        except Refused as refused:
            raise refused.errors[0] from refused

    async def tell_keys(self, record: GenerationRecord) -> None:
        await self._table.put(keys_item(record))

    async def find_claim(self, name: str) -> tuple[Claim, str] | None:
        return await claim_in(self._table, name, now=self._clock.now())

    async def put_answer(self, generation_id: str, answer: Answer) -> None:
        check_size(answer)
        await self._table.put_many(await self._clients.run(answer_items, generation_id, answer))

    async def get_answer(self, generation_id: str) -> Answer | None:
        keys = When("#pk = :pk AND begins_with(#sk, :prefix)", {"pk": generation_id, "prefix": ANSWER_PREFIX})
        items = [item async for item in self._table.query(keys, ConsistentRead=True)]
        with reading("The answer of a generation"):
            answer = await self._clients.run(answer_of, items)
        return answer if answer is not None and answer.expires_at > self._clock.now() else None

    async def _write(self, item: Mapping[str, Value | None], writing: Writing, *, when: When) -> None:
        """The record's item alone, or with what belongs to it.

        The SDK sends again when an answer is lost: then this very item is there already, and so is all that
        belongs to it.

        Raises Refused.
        """
        steps = writing.steps
        try:
            if writing.move is not None and writing.entry is not None:
                entry = [entering(self._ledger, writing.entry)]
                return await self._balances.carry_out(writing.move, before=steps, after=entry)
            if len(steps) > 1:
                return await carry_out(self._clients, self._table, steps)
            await self._table.put(item, when=when)
        except ConditionFailed as failed:
            if dict(failed.item or {}) != to_wire(item):
                raise Refused({}, [Conflict(SAME_ID if when is NEW else ENDED)]) from failed
        except Refused as refused:
            if to_wire(item) not in refused.items.values():
                raise

    async def get(self, generation_id: str) -> GenerationRecord | None:
        item = await self._table.get(generation_id, RECORD)
        return None if item is None or self._is_expired(item) else await self._record(item)

    async def list_by_owner(
        self,
        owner: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> tuple[list[GenerationRecord], str | None]:
        check_filters(filters)
        scope = f"generations of {owner}"
        keys = _owned(owner, None if cursor is None else decode_cursor(scope, cursor))
        only = self._matching(filters)
        found: list[GenerationRecord] = []
        places: list[str] = []
        start: Wire | None = None
        first_look = max(limit + 1, _FIRST_LOOK) if filters else limit + 1
        for look in range(self._most_looks):
            size = min(_LONGEST_LOOK, first_look * 2**look)
            rows, start = await self._table.query_page(
                keys, only=only, start=start, IndexName=OWNER_INDEX, ScanIndexForward=False, Limit=size
            )
            while rows and len(found) <= limit:
                wanted, rows = rows[: limit + 1 - len(found)], rows[limit + 1 - len(found) :]
                for record, place in await self._records(wanted, filters):
                    found.append(record)
                    places.append(place)
            if len(found) > limit:
                return found[:limit], encode_cursor(scope, places[limit - 1])
            if start is None:
                return found, None
        with reading("The list of generations"):
            return found, encode_cursor(scope, text_of(from_wire(start or {}), "list_sk"))

    async def list_overdue(self, *, before: datetime, limit: int) -> list[GenerationRecord]:
        rows = await asyncio.gather(*(self._due(part, before, limit) for part in DUE_PARTITIONS))
        due = sorted((row for part in rows for row in part), key=lambda row: (row["due_at"], row["pk"]))
        items = await self._table.get_many([(str(row["pk"]), RECORD) for row in due[:limit]])
        # The index lags behind: what ended meanwhile has no date any more.
        overdue = sorted(
            (item for item in items.values() if "due_at" in item),
            key=lambda item: (item["due_at"], item["pk"]),
        )
        found = await asyncio.gather(*(self._record(item) for item in overdue), return_exceptions=True)
        records = [each for each in found if not isinstance(each, BaseException)]
        broken = next((each for each in found if isinstance(each, BaseException)), None)
        if broken is not None and (not records or not isinstance(broken, GatewayFault)):
            raise broken
        return records

    async def _due(self, partition: str, before: datetime, limit: int) -> list[Item]:
        keys = When(
            "#due_pk = :part AND #due_at < :before", {"part": partition, "before": before.timestamp()}
        )
        rows, _ = await self._table.query_page(keys, IndexName=DUE_INDEX, Limit=limit)
        return rows

    def _matching(self, filters: Mapping[str, str]) -> When:
        texts = ["(attribute_not_exists(#expires_at) OR #expires_at > :now)"]
        texts += [f"#{name} = :{name}" for name in filters]
        return When(" AND ".join(texts), {"now": self._clock.now().timestamp(), **filters})

    async def _records(
        self, rows: Sequence[Item], filters: Mapping[str, str]
    ) -> list[tuple[GenerationRecord, str]]:
        """The records of these rows of the index, each with its place in the list.

        The index lags behind: what is gone or no longer matches is left out.
        """
        items = await self._table.get_many([(str(row["pk"]), RECORD) for row in rows])
        current = [items[key] for row in rows if (key := (str(row["pk"]), RECORD)) in items]
        kept = [item for item in current if all(item.get(name) == value for name, value in filters.items())]
        records = await asyncio.gather(*(self._record(item) for item in kept))
        return [(record, str(item["list_sk"])) for record, item in zip(records, kept, strict=True)]

    async def _record(self, item: Item) -> GenerationRecord:
        """Raises GatewayFault when a piece of the record is missing."""
        with reading("The generation"):
            if "bulk_set" not in item:
                return record_of(item)
            prefix = bulk_prefix(text_of(item, "bulk_set"))
            keys = When(
                "#pk = :pk AND begins_with(#sk, :prefix)", {"pk": text_of(item, "pk"), "prefix": prefix}
            )
            pieces = [bytes_of(one, "data") async for one in self._table.query(keys, ConsistentRead=True)]
            if len(pieces) != number_of(item, "bulk_of"):
                raise GatewayFault.unavailable("The output of this generation")
            return record_of(item, pieces)

    def _is_expired(self, item: Mapping[str, Any]) -> bool:
        return "expires_at" in item and item["expires_at"] <= self._clock.now().timestamp()


def _owned(owner: str, before: str | None) -> When:
    if before is None:
        return When("#owner = :owner", {"owner": owner})
    return When("#owner = :owner AND #list_sk < :before", {"owner": owner, "before": before})
