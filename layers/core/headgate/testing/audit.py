"""The audit log in memory."""

from collections.abc import Sequence

from headgate.clock import SystemClock
from headgate.domain.audit import AuditEvent, day_after
from headgate.ports import Clock
from headgate.testing.faults import Faulty

_MOST = 100_000


class MemoryAuditLog(Faulty):
    """Bounded: after 100,000 events the oldest half is forgotten."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._events: dict[str, AuditEvent] = {}

    def note(self, event: AuditEvent | None) -> bool:
        """Whether the change that it tells of is still to be made; for fakes that make such changes."""
        if event is None:
            return True
        if event.id in self._events:
            return False
        self._events[event.id] = event
        if len(self._events) > _MOST:
            self._events = {one: self._events[one] for one in sorted(self._events)[-_MOST // 2 :]}
        return True

    async def append_audit(self, events: Sequence[AuditEvent]) -> None:
        self.check_fault()
        for event in events:
            self.note(event)

    async def read_audit(self, *, after: str | None, limit: int) -> list[AuditEvent]:
        self.check_fault()
        if after is not None:
            day_after(after)
        wanted = sorted(one for one in self._events if after is None or one > after)
        return [self._events[one] for one in wanted[:limit]]
