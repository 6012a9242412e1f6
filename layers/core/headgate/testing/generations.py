"""Generations in memory, quick enough that load and benchmarks measure the gateway and not this."""

import heapq
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from headgate.clock import SystemClock
from headgate.domain.admission import Admission, Closing, Counter
from headgate.domain.errors import Conflict, LimitReached
from headgate.domain.generation import GenerationRecord
from headgate.paging import check_filters, decode_cursor, encode_cursor, position_of, split_position
from headgate.ports import Clock
from headgate.testing.faults import Faulty

OnFinish = Callable[[GenerationRecord], Awaitable[object]]


class MemoryGenerationStore(Faulty):
    """Keeps every running generation, and the `most_finished` that finished last.

    on_finish stands for the table's stream: it is awaited with each finished record.
    """

    def __init__(
        self, clock: Clock | None = None, *, most_finished: int = 100_000, on_finish: OnFinish | None = None
    ) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._most_finished = most_finished
        self._on_finish = on_finish
        self._records: dict[str, GenerationRecord] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._ids_by_owner: dict[str, dict[str, None]] = {}
        self._counters: dict[str, tuple[int, datetime]] = {}
        self._prune_counters_at = 1_000

    def __len__(self) -> int:
        return len(self._records)

    @property
    def counters(self) -> int:
        """How many rate windows are remembered."""
        return len(self._counters)

    async def begin(self, record: GenerationRecord, admission: Admission = Admission()) -> None:
        self.check_fault()
        if record.id in self._records:
            if self._records[record.id] == record:
                return
            raise Conflict("There is a generation of that id.")
        for counter in admission.counters:
            self._count(counter)
        self._keep(record)

    async def count(self, counters: Sequence[Counter]) -> None:
        self.check_fault()
        for counter in counters:
            self._count(counter)

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        self.check_fault()
        self._keep(record)
        self._finished[record.id] = None
        self._finished.move_to_end(record.id)
        while len(self._finished) > self._most_finished:
            self._forget(self._finished.popitem(last=False)[0])
        if self._on_finish is not None:
            await self._on_finish(record)

    async def get(self, generation_id: str) -> GenerationRecord | None:
        self.check_fault()
        record = self._records.get(generation_id)
        return None if record is None or self._is_expired(record) else record

    async def list_by_owner(
        self,
        owner: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> tuple[list[GenerationRecord], str | None]:
        self.check_fault()
        check_filters(filters)
        scope = f"generations of {owner}"
        below = None if cursor is None else split_position(decode_cursor(scope, cursor))
        now = self._clock.now()
        # The newest stand last as a rule, and met first they leave the heap little to do.
        owned = (self._records[one] for one in reversed(self._ids_by_owner.get(owner, {})))
        shown = (
            record
            for record in owned
            if (below is None or (record.created_at, record.id) < below)
            and (record.expires_at is None or record.expires_at > now)
            and (not filters or all(getattr(record, name) == value for name, value in filters.items()))
        )
        found = heapq.nlargest(limit + 1, shown, key=lambda record: (record.created_at, record.id))
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], encode_cursor(scope, position_of(last.created_at, last.id))

    def _count(self, rate: Counter) -> None:
        now = self._clock.now()
        count = self._counters.get(rate.name, (0, rate.expires_at))[0]
        if count >= rate.limit:
            left_s = max(1.0, (rate.expires_at - now).total_seconds())
            raise LimitReached("This key's requests for this minute are used up.", retry_after_s=left_s)
        self._counters[rate.name] = (count + 1, rate.expires_at)
        if len(self._counters) >= self._prune_counters_at:
            self._counters = {name: kept for name, kept in self._counters.items() if kept[1] > now}
            self._prune_counters_at = max(1_000, 2 * len(self._counters))

    def _keep(self, record: GenerationRecord) -> None:
        self._records[record.id] = record
        self._ids_by_owner.setdefault(record.owner, {})[record.id] = None

    def _forget(self, generation_id: str) -> None:
        record = self._records.pop(generation_id)
        owned = self._ids_by_owner[record.owner]
        del owned[generation_id]
        if not owned:
            del self._ids_by_owner[record.owner]

    def _is_expired(self, record: GenerationRecord) -> bool:
        return record.expires_at is not None and record.expires_at <= self._clock.now()
