"""The audit log in DynamoDB: some partitions a day, and a list of the days. See docs/data-model.md."""

import asyncio
import heapq
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from headgate.aws.codec import body_of, from_body
from headgate.aws.dynamodb import Item, Table, Value, When, happened
from headgate.aws.faults import TransactionCancelled, reading
from headgate.domain.audit import AuditEvent, day_after

_DAYS = "AUDITDAYS"
_NEW = When("attribute_not_exists(#pk)")
_PARTS = 16
"""Partitions of a day. One takes 1,000 writes a second, and splitting it would not help: ids rise with time,
so all go to its end. Each call's uses of keys are events, beside whatever else is audited."""


class AuditTrail:
    """Events in the accounts table, for whichever adapter makes the change that they tell of."""

    def __init__(self, accounts_table: Table) -> None:
        self._table = accounts_table
        self._known_days: set[str] = set()

    async def putting(self, event: AuditEvent) -> dict[str, Any]:
        """The action that adds the event to the transaction of its change; put it last.

        Its condition fails when there is an event of that id, hence when that change was made before:
        `was_made` tells. The day is written down beforehand: a day listed without events harms nothing.
        """
        await self._note_day(event.day)
        return self._table.putting(_item(event), when=_NEW)

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Those that are not there yet."""
        for day in sorted({event.day for event in events}):
            await self._note_day(day)
        await asyncio.gather(*(happened(self._table.put(_item(event), when=_NEW)) for event in events))

    async def read(self, *, after: str | None, limit: int) -> list[AuditEvent]:
        """As `AuditLog.read_audit`."""
        first_day = "0" if after is None else day_after(after)
        days = When("#pk = :pk AND #sk >= :day", {"pk": _DAYS, "day": first_day})
        found: list[AuditEvent] = []
        with reading("The audit log"):
            async for day in self._table.query(days, ConsistentRead=True):
                found += await self._read_day(str(day["sk"]), after or " ", limit - len(found))
                if len(found) == limit:
                    break
        return found

    async def _read_day(self, day: str, after: str, limit: int) -> list[AuditEvent]:
        """The day's first `limit` events after that id, merged from its partitions."""
        page = limit // (_PARTS // 2) + 4  # more than a partition's share, mostly
        parts = [self._events(day, part, after, page) for part in range(_PARTS)]
        firsts = await asyncio.gather(*(anext(part, None) for part in parts))
        heap = [(str(item["sk"]), part, item) for part, item in enumerate(firsts) if item is not None]
        heapq.heapify(heap)
        found: list[AuditEvent] = []
        while heap and len(found) < limit:
            _, part, item = heap[0]
            found.append(from_body(AuditEvent, item))
            following = None if len(found) == limit else await anext(parts[part], None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (str(following["sk"]), part, following))
        return found

    def _events(self, day: str, part: int, after: str, page: int) -> AsyncIterator[Item]:
        keys = When("#pk = :pk AND #sk > :after", {"pk": _pk(day, part), "after": after})
        return self._table.query(keys, ConsistentRead=True, Limit=page)

    async def _note_day(self, day: str) -> None:
        if day not in self._known_days:
            await self._table.put({"pk": _DAYS, "sk": day})
            self._known_days.add(day)


def was_made(cancelled: TransactionCancelled) -> bool:
    """Whether a transaction whose last action is an event's failed because that event is there already."""
    return cancelled.failed_condition(len(cancelled.reasons) - 1) is not None


def _item(event: AuditEvent) -> dict[str, Value | None]:
    part = zlib.crc32(event.id.encode()) % _PARTS
    return {"pk": _pk(event.day, part), "sk": event.id, "body": body_of(event)}


def _pk(day: str, part: int) -> str:
    """The first is named by the day alone: events were there before a day had several."""
    return f"AUDIT#{day}#{part}" if part else f"AUDIT#{day}"
