"""Sums of usage in memory."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from headgate.clock import SystemClock
from headgate.domain.generation import GenerationRecord
from headgate.domain.usage import Dimension, UsageSums, added
from headgate.ports import MAX_USAGE_CELLS, Clock, TooMuchUsage
from headgate.testing.faults import Faulty

MARKERS_KEPT = timedelta(days=2)


class MemoryUsageStore(Faulty):
    """Sums by cell, and the ids that were counted in the last two days (of those the last `most_markers`)."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        most_markers: int = 200_000,
        most_cells: int = MAX_USAGE_CELLS,
    ) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._most_markers = most_markers
        self._most_cells = most_cells
        self._markers: OrderedDict[str, datetime] = OrderedDict()
        self._cells: dict[tuple[str | None, Dimension], dict[tuple[str, str], UsageSums]] = {}

    async def count_usage(self, records: Sequence[GenerationRecord]) -> list[GenerationRecord]:
        self.check_fault()
        now = self._clock.now()
        while self._markers and next(iter(self._markers.values())) <= now:
            self._markers.popitem(last=False)
        new: list[GenerationRecord] = []
        for record in records:
            if record.id not in self._markers:
                self._markers[record.id] = now + MARKERS_KEPT
                new.append(record)
        while len(self._markers) > self._most_markers:
            self._markers.popitem(last=False)
        for cell, sums in added(new).items():
            cells = self._cells.setdefault((cell.user_id, cell.dimension), {})
            cells[cell.day, cell.group] = cells.get((cell.day, cell.group), UsageSums()) + sums
        return new

    async def read_usage(
        self, user_id: str | None, dimension: Dimension, *, first_day: str, last_day: str
    ) -> Mapping[str, UsageSums]:
        self.check_fault()
        groups: dict[str, UsageSums] = {}
        read = 0
        for (day, group), sums in self._cells.get((user_id, dimension), {}).items():
            if first_day <= day <= last_day:
                read += 1
                groups[group] = groups.get(group, UsageSums()) + sums
        if read > self._most_cells:
            raise TooMuchUsage
        return groups
