"""The audit log in DynamoDB: a partition a day, and a list of the days. See docs/data-model.md."""

import asyncio
from collections.abc import Sequence
from typing import Any

from headgate.aws.codec import body_of, from_body
from headgate.aws.dynamodb import Table, Value, When, happened
from headgate.aws.faults import TransactionCancelled, reading
from headgate.domain.audit import AuditEvent
from headgate.domain.errors import InvalidRequest
from headgate.domain.ids import time_of

_DAYS = "AUDITDAYS"
_NEW = When("attribute_not_exists(#pk)")


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
        """Oldest first. Raises InvalidRequest naming `after` when that is no event's id."""
        first_day = "0" if after is None else _day_of(after)
        days = When("#pk = :pk AND #sk >= :day", {"pk": _DAYS, "day": first_day})
        found: list[AuditEvent] = []
        with reading("The audit log"):
            async for day in self._table.query(days, ConsistentRead=True):
                place: dict[str, Value] = {"pk": _pk(str(day["sk"])), "after": after or " "}
                keys = When("#pk = :pk AND #sk > :after", place)
                async for item in self._table.query(keys, ConsistentRead=True, Limit=limit):
                    found.append(from_body(AuditEvent, item))
                    if len(found) == limit:
                        return found
        return found

    async def _note_day(self, day: str) -> None:
        if day not in self._known_days:
            await self._table.put({"pk": _DAYS, "sk": day})
            self._known_days.add(day)


def was_made(cancelled: TransactionCancelled) -> bool:
    """Whether a transaction whose last action is an event's failed because that event is there already."""
    return cancelled.failed_condition(len(cancelled.reasons) - 1) is not None


def _item(event: AuditEvent) -> dict[str, Value | None]:
    return {"pk": _pk(event.day), "sk": event.id, "body": body_of(event)}


def _pk(day: str) -> str:
    return f"AUDIT#{day}"


def _day_of(event_id: str) -> str:
    try:
        return time_of(event_id).date().isoformat()
    except ValueError:
        raise InvalidRequest.of_field("after", "This is no event's id.") from None
