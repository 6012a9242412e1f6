"""What was used, by model, provider, project, key or day: from sums that are kept."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import date

import orjson

from headgate.domain.callers import Caller
from headgate.domain.errors import InvalidRequest
from headgate.domain.usage import Dimension, UsageSums
from headgate.ports import TooMuchUsage, UsageStore

MOST_DAYS = 366
_CHECKSUM_BYTES = 9

type _Place = tuple[int, int, str]
"""Sorts as rows are shown: what cost most first, then what was asked most often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """The sums of one group over the days asked for."""

    group: str
    sums: UsageSums

    @property
    def latency_ms(self) -> int | None:
        """The mean, of those that tell one."""
        return round(self.sums.latency_ms / self.sums.timed) if self.sums.timed else None

    @property
    def place(self) -> _Place:
        return -self.sums.cost_nanousd, -self.sums.requests, self.group


class UsageReporter:
    """Sums of usage as callers may see them: their own; administrators everybody's."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store

    async def report(
        self,
        caller: Caller,
        dimension: Dimension,
        *,
        days: tuple[date, date],
        user_id: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[UsageRow], str | None]:
        """By group, over the days from the first to the last, UTC. The second value is the next cursor.

        user_id: whose, for an administrator, None for all users'; others see their own.
        Raises AccessDenied (`forbidden`) to others who ask for another's; InvalidRequest naming `from` for
        days that make no sense or are too many, or `cursor`.
        """
        caller.may_ask_of(user_id)
        first, last = days
        if first > last:
            raise InvalidRequest.of_field("from", "must not be after to.")
        if (last - first).days >= MOST_DAYS:
            raise InvalidRequest.of_field("from", f"may be {MOST_DAYS} days at most before the end of to.")
        whose = user_id if caller.is_admin else caller.user_id
        scope = f"usage\n{whose}\n{dimension}\n{first}\n{last}"
        after = None if cursor is None else _place_of(scope, cursor)
        try:
            groups = await self._store.read_usage(
                whose,
                dimension,
                first_day=first.isoformat(),
                last_day=last.isoformat(),
            )
        except TooMuchUsage:
            raise InvalidRequest.of_field(
                "from", "There are too many groups in these days: ask for fewer days at a time."
            ) from None
        rows = sorted((UsageRow(group=group, sums=sums) for group, sums in groups.items()), key=_place)
        rows = [row for row in rows if after is None or row.place > after]
        return rows[:limit], _cursor_of(scope, rows[limit - 1]) if len(rows) > limit else None


def _place(row: UsageRow) -> _Place:
    return row.place


def _cursor_of(scope: str, row: UsageRow) -> str:
    """With a checksum over the list it belongs to, as in `headgate.paging`."""
    place = orjson.dumps(row.place)
    return base64.urlsafe_b64encode(_checksum(scope, place) + place).decode().rstrip("=")


def _checksum(scope: str, place: bytes) -> bytes:
    return hashlib.sha256(scope.encode() + b"\n" + place).digest()[:_CHECKSUM_BYTES]


def _place_of(scope: str, cursor: str) -> _Place:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = raw[_CHECKSUM_BYTES:]
        match orjson.loads(place):
            case [int(cost), int(requests), str(group)] if raw == _checksum(scope, place) + place:
                return cost, requests, group
    except (binascii.Error, ValueError):
        pass
    raise InvalidRequest.of_field("cursor", "This is no cursor that this list gave out.")
