"""Generations in memory, quick enough that load and benchmarks measure the gateway and not this."""

import heapq
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from headgate.clock import SystemClock
from headgate.domain.admission import Admission, Answer, Claim, Closing, Counter, limit_reached
from headgate.domain.errors import Conflict
from headgate.domain.generation import GenerationRecord, keys_of
from headgate.paging import check_filters, decode_cursor, encode_cursor, position_of, split_position
from headgate.ports import AlreadyClaimed, Clock
from headgate.ports.generations import check_size
from headgate.testing.faults import Faulty
from headgate.testing.ledger import MemoryLedger

OnFinish = Callable[[GenerationRecord], Awaitable[object]]


class MemoryGenerationStore(Faulty):
    """Keeps every running generation, and the `most_finished` that finished last.

    on_finish stands for the table's stream: it is awaited with each finished record, and with what is told
    of keys beside. ledger: where holds are
    set aside and settled.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        ledger: MemoryLedger | None = None,
        most_finished: int = 100_000,
        on_finish: OnFinish | None = None,
    ) -> None:
        super().__init__()
        self._ledger = ledger or MemoryLedger()
        self._clock = clock or SystemClock()
        self._most_finished = most_finished
        self._on_finish = on_finish
        self._records: dict[str, GenerationRecord] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._ids_by_owner: dict[str, dict[str, None]] = {}
        self._counters: dict[str, tuple[int, datetime]] = {}
        self._prune_counters_at = 1_000
        self._due: dict[str, None] = {}
        self._claims: dict[str, tuple[Claim, str]] = {}
        self._answers: dict[str, Answer] = {}
        self._prune_claims_at = 1_000

    def __len__(self) -> int:
        return len(self._records)

    @property
    def counters(self) -> int:
        """How many rate windows are remembered."""
        return len(self._counters)

    async def begin(self, record: GenerationRecord, admission: Admission = Admission()) -> None:
        self.check_fault()
        there = self._records.get(record.id)
        if there == record:
            return
        if admission.claim is not None:
            self._check_claim(admission.claim)
        if there is not None:
            raise Conflict("There is a generation of that id.")
        self._check_counters(admission.counters)
        if admission.hold is not None:
            self._ledger.check(admission.hold)
            self._ledger.take(admission.hold)
        if admission.claim is not None:
            self._claim(admission.claim, record.id)
        for counter in admission.counters:
            self._raise(counter.name, counter.amount, counter.expires_at)
        self._keep(record)
        if record.due_at is not None:
            self._due[record.id] = None

    async def count(self, counters: Sequence[Counter]) -> None:
        self.check_fault()
        self._check_counters(counters)
        for counter in counters:
            self._raise(counter.name, counter.amount, counter.expires_at)

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        self.check_fault()
        if record.id in self._finished and self._records[record.id] == record:
            return
        if record.id in self._finished or (closing.settlement and record.id not in self._records):
            raise Conflict("This generation has ended already.")
        if closing.settlement is not None:
            self._ledger.settle(closing.settlement)
        for each in closing.corrections:
            self._raise(each.name, each.amount, each.expires_at)
        if closing.answer is not None:
            self._put_answer(record.id, closing.answer)
        self._keep(record)
        self._due.pop(record.id, None)
        self._finished[record.id] = None
        while len(self._finished) > self._most_finished:
            self._forget(self._finished.popitem(last=False)[0])
        if self._on_finish is not None:
            await self._on_finish(record)

    async def tell_keys(self, record: GenerationRecord) -> None:
        self.check_fault()
        if self._on_finish is not None:
            await self._on_finish(keys_of(record))

    async def list_overdue(self, *, before: datetime, limit: int) -> list[GenerationRecord]:
        self.check_fault()
        unfinished = (self._records[one] for one in self._due)
        due = [
            (record.due_at, record.id) for record in unfinished if record.due_at and record.due_at < before
        ]
        return [self._records[one] for _, one in sorted(due)[:limit]]

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

    async def find_claim(self, name: str) -> tuple[Claim, str] | None:
        self.check_fault()
        taken = self._claims.get(name)
        return taken if taken is not None and taken[0].expires_at > self._clock.now() else None

    async def put_answer(self, generation_id: str, answer: Answer) -> None:
        self.check_fault()
        check_size(answer)
        self._put_answer(generation_id, answer)

    def _put_answer(self, generation_id: str, answer: Answer) -> None:
        now = self._clock.now()
        while self._answers and next(iter(self._answers.values())).expires_at <= now:
            del self._answers[next(iter(self._answers))]
        self._answers[generation_id] = answer

    async def get_answer(self, generation_id: str) -> Answer | None:
        self.check_fault()
        answer = self._answers.get(generation_id)
        return answer if answer is not None and answer.expires_at > self._clock.now() else None

    def _check_counters(self, counters: Sequence[Counter]) -> None:
        now = self._clock.now()
        for counter in counters:
            there = self._counters.get(counter.name)
            if counter.room < 0 or (there is not None and there[0] > counter.room):
                raise limit_reached(counter, now)

    def _raise(self, name: str, amount: int, expires_at: datetime) -> None:
        self._counters[name] = (self._counters.get(name, (0, expires_at))[0] + amount, expires_at)
        if len(self._counters) >= self._prune_counters_at:
            now = self._clock.now()
            self._counters = {name: kept for name, kept in self._counters.items() if kept[1] > now}
            self._prune_counters_at = max(1_000, 2 * len(self._counters))

    def _check_claim(self, claim: Claim) -> None:
        taken, generation_id = self._claims.get(claim.name, (None, ""))
        if taken is not None and taken.expires_at > self._clock.now() and generation_id != claim.replaces:
            raise AlreadyClaimed(taken, generation_id)

    def _claim(self, claim: Claim, generation_id: str) -> None:
        self._claims[claim.name] = (replace(claim, replaces=None), generation_id)
        if len(self._claims) >= self._prune_claims_at:
            now = self._clock.now()
            self._claims = {name: kept for name, kept in self._claims.items() if kept[0].expires_at > now}
            self._prune_claims_at = max(1_000, 2 * len(self._claims))

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
