"""Ending generations of which nobody wrote how they ended: a process died, or the store could not be reached.

What became of such a one at its provider is not known, so its caller is not charged: what was held is given
back. The same write decides against an outcome that comes late.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from headgate.domain.errors import Conflict, GatewayFault, HeadgateError
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.ports import Clock, GenerationStore, Log
from headgate.services.charge import closing_of
from headgate.services.chat_records import error_json

_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """ended: generations. released_nanousd: held by them. failed: such as could not be ended this time."""

    ended: int = 0
    released_nanousd: int = 0
    failed: int = 0


class Sweeper:
    """Run on a schedule; two at once do no harm. limit_s: after this time the next run goes on."""

    def __init__(
        self, generations: GenerationStore, clock: Clock, log: Log, *, limit_s: float = 90.0
    ) -> None:
        self._generations = generations
        self._clock = clock
        self._log = log
        self._limit_s = limit_s

    async def sweep(self) -> Swept:
        """Ends what is overdue. Raises GatewayFault when it can't be listed."""
        stop_s = self._clock.monotonic() + self._limit_s
        tried: set[str] = set()
        total = Swept()
        while True:
            # What failed is listed again, so a batch that brings nothing new is the last.
            limit = _BATCH + len(tried)
            overdue = await self._generations.list_overdue(before=self._clock.now(), limit=limit)
            new = [record for record in overdue if record.id not in tried]
            for record in new:
                if self._clock.monotonic() >= stop_s:
                    return total
                tried.add(record.id)
                total = await self._end(record, total)
            if not new or len(overdue) < limit:
                return total

    async def _end(self, record: GenerationRecord, total: Swept) -> Swept:
        now = self._clock.now()
        ended = expired(record, now)
        try:
            await self._generations.finish(ended, closing_of(record, ended, now))
        except Conflict:
            return total  # it ended by itself meanwhile
        except HeadgateError as fault:
            self._log.error("sweep.failed", generation_id=record.id, code=fault.code)
            return replace(total, failed=total.failed + 1)
        held = record.held_nanousd or 0
        self._log.warning("generation.expired", generation_id=record.id, held_nanousd=record.held_nanousd)
        return replace(total, ended=total.ended + 1, released_nanousd=total.released_nanousd + held)


def expired(record: GenerationRecord, now: datetime) -> GenerationRecord:
    """The record of a generation that nobody ended in time."""
    lost = GatewayFault("It is not known how this generation ended.", code="gateway_unavailable")
    return replace(
        record,
        status=GenerationStatus.EXPIRED,
        completed_at=now,
        cost_charged_nanousd=0,
        error=error_json(lost),
        raised=(),
        due_at=None,
    )
