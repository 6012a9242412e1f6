"""Generations in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from headgate.aws.clients import AwsClients
from headgate.aws.codec import RECORD, bulk_prefix, bytes_of, number_of, record_items, record_of, text_of
from headgate.aws.dynamodb import Item, Table, When, Wire, from_wire, to_wire
from headgate.aws.faults import ConditionFailed, TransactionCancelled, reading
from headgate.domain.admission import Admission, Closing, Counter
from headgate.domain.errors import Conflict, GatewayFault, LimitReached
from headgate.domain.generation import GenerationRecord
from headgate.paging import check_filters, decode_cursor, encode_cursor
from headgate.ports import Clock

OWNER_INDEX = "by_owner"
_TRIES = 6
_NEW = When("attribute_not_exists(#pk)")
_FIRST_LOOK = 100
_LONGEST_LOOK = 4_000


class DynamoGenerationStore:
    """`table` is the generations table's name.

    most_looks: Query calls for one page; a filter that drops nearly everything gives a short page after that.
    """

    def __init__(self, clients: AwsClients, table: str, clock: Clock, *, most_looks: int = 20) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._clock = clock
        self._most_looks = most_looks

    async def begin(self, record: GenerationRecord, admission: Admission = Admission()) -> None:
        item, pieces = record_items(record)
        if pieces:
            await self._table.put_many(pieces)
        try:
            if not admission.counters:
                await self._table.put(item, when=_NEW)
            else:
                await self._counted(admission.counters[0], self._table.putting(item, when=_NEW))
        except ConditionFailed as exists:
            # The SDK sends again when an answer is lost: then this very record is there already.
            if dict(exists.item or {}) != to_wire(item):
                raise Conflict("There is a generation of that id.") from exists

    async def count(self, counters: Sequence[Counter]) -> None:
        for counter in counters:
            await self._counted(counter)

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        item, pieces = record_items(record)
        if pieces:
            await self._table.put_many(pieces)
        await self._table.put(item)

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

    async def _counted(self, rate: Counter, *actions: dict[str, Any]) -> None:
        """Does these, which must be new things, and raises the counter: together, or nothing of it.

        A transaction even for the counter alone: one that meets another says so, and is sent again.

        Raises ConditionFailed when there is such a thing already, before LimitReached.
        """
        count = self._table.updating(
            (f"RATE#{rate.name}", "RATE"),
            "SET #expires_at = :expires_at ADD #n :one",
            {"expires_at": int(rate.expires_at.timestamp()), "one": 1},
            when=When("attribute_not_exists(#n) OR #n < :limit", {"limit": rate.limit}),
        )
        if rate.limit <= 0:
            raise self._used_up(rate)
        for tries in range(_TRIES):
            try:
                return await self._table.transact(*actions, count)
            except TransactionCancelled as cancelled:
                for place in range(len(actions)):
                    exists = cancelled.failed_condition(place)
                    if exists is not None:
                        raise ConditionFailed(exists.item) from cancelled
                if cancelled.failed_condition(len(actions)) is not None:
                    raise self._used_up(rate) from cancelled
                if not cancelled.is_passing:
                    raise GatewayFault("The store refused to count a request") from cancelled
            await self._clients.pause(tries)
        raise GatewayFault.unavailable("The counter of this key's requests")

    def _used_up(self, rate: Counter) -> LimitReached:
        left_s = (rate.expires_at - self._clock.now()).total_seconds()
        return LimitReached(
            "This key's requests for this minute are used up.", retry_after_s=max(1.0, left_s)
        )

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
