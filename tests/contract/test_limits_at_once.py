"""Limits and balances hold while four processes ask at once, each with its own memory, over one store."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import pytest

from headgate.aws.dynamodb import Table, When
from headgate.aws.generations import DynamoGenerationStore
from headgate.aws.ledger import DynamoLedger
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import KeyLimits
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.services.chat_records import estimated_tokens
from headgate.services.sweep import Sweeper
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock, MemoryLog
from tests.contract.conftest import Aws
from tests.contract.hammering import BODY, PROCESSES, Job, Tally, body_of, context, hammer, meet_at

pytestmark = pytest.mark.xdist_group("hammering")  # one pool of processes for all

MAKE = Callable[[str], str]
TOKENS = estimated_tokens({**BODY, "place": 0})
"""Of each request, as estimated; its answers have what is said of them."""

HELD = TOKENS * 1_000 + BODY["max_tokens"] * 10_000
"""Nano-dollars that a request may cost at most: $1 a million tokens in, $10 out."""


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """One process for each job, which begin together."""
    spawn = context()
    with ProcessPoolExecutor(
        PROCESSES, mp_context=spawn, initializer=meet_at, initargs=(spawn.Barrier(PROCESSES),)
    ) as started:
        yield started


@dataclass(frozen=True, slots=True)
class Shop:
    """Two tables, and the processes on them."""

    aws: Aws
    clock: ManualClock
    pool: ProcessPoolExecutor
    generations_table: str
    ledger_table: str
    accounts_table: str

    @property
    def generations(self) -> DynamoGenerationStore:
        return DynamoGenerationStore(
            self.aws.clients, self.generations_table, self.clock, ledger_table=self.ledger_table
        )

    @property
    def ledger(self) -> DynamoLedger:
        return DynamoLedger(self.aws.clients, self.ledger_table, accounts_table=self.accounts_table)

    def hammered(self, **job: Any) -> Tally:
        """What became of all processes' requests together."""
        made = Job(
            endpoint_url=self.aws.endpoint_url,
            generations_table=self.generations_table,
            ledger_table=self.ledger_table,
            **job,
        )
        total = Tally()
        for tally in self.pool.map(hammer, [made] * PROCESSES):
            assert sum(tally.ends.values()) == made.requests
            total.ends += tally.ends
            total.retry_after_s += tally.retry_after_s
        return total

    async def counts(self, measure: str, window: str) -> list[int]:
        """At each item of a window."""
        table = Table(self.aws.clients, self.generations_table)
        keys = When("#pk = :pk", {"pk": f"RATE#key_ann#{measure}#{window}"})
        return [int(str(item["n"])) async for item in table.query(keys, ConsistentRead=True)]

    async def count(self, measure: str, window: str) -> int:
        return sum(await self.counts(measure, window))

    async def records(self) -> list[GenerationRecord]:
        found, cursor = await self.generations.list_by_owner("ann", filters={}, limit=1_000, cursor=None)
        assert cursor is None
        return found

    async def entries(self) -> list[LedgerEntry]:
        found, cursor = await self.ledger.list_entries("ann", limit=1_000, cursor=None)
        assert cursor is None
        return found

    async def grant(self, amount_nanousd: int) -> None:
        entry = LedgerEntry(
            id="led_grant", user_id="ann", at=START, kind=EntryKind.GRANT, amount_nanousd=amount_nanousd
        )
        event = AuditEvent(
            id="evt_1", at=START, actor="key_root", user_id="ann", action="credits.granted", target="ann"
        )
        await self.ledger.add_entry(entry, event)


@pytest.fixture
def shop(aws: Aws, clock: ManualClock, make_table: MAKE, pool: ProcessPoolExecutor) -> Shop:
    return Shop(
        aws,
        clock,
        pool,
        make_table("GenerationsTable"),
        make_table("LedgerTable"),
        make_table("AccountsTable"),
    )


MINUTE = f"{int(START.astimezone(UTC).replace(second=0, microsecond=0).timestamp()) // 60}"


async def test_no_more_requests_than_a_minute_allows(shop: Shop) -> None:
    tally = shop.hammered(requests=12, limits=KeyLimits(requests_per_minute=19))
    assert tally.ends == {"served": 19, "rate_limited": 4 * 12 - 19}
    assert await shop.count("requests", MINUTE) == 19
    assert len(await shop.records()) == 19
    left_s = 60 - START.second - START.microsecond / 1e6
    assert all(told is not None and 0 < told <= left_s + 1 for told in tally.retry_after_s)


async def test_no_more_tokens_than_a_minute_allows(shop: Shop) -> None:
    """Each uses what it was estimated at, so the limit is met to the token."""
    limit = 15 * TOKENS + TOKENS // 2
    tally = shop.hammered(requests=10, limits=KeyLimits(tokens_per_minute=limit), used=(TOKENS, 0))
    assert tally.ends == {"served": 15, "rate_limited": 4 * 10 - 15}
    assert await shop.count("tokens", MINUTE) == 15 * TOKENS


LETTERS = 264_000
MUCH = estimated_tokens({**body_of(LETTERS), "place": 0})


async def test_no_more_tokens_than_a_large_limit_allows_that_several_items_count(shop: Shop) -> None:
    """Four items, none of which has room for a fourth of these: the last ones are counted in parts."""
    limit = 15 * MUCH + MUCH // 2
    tally = shop.hammered(
        requests=6, letters=LETTERS, limits=KeyLimits(tokens_per_minute=limit), used=(MUCH, 0)
    )
    assert tally.ends == {"served": 15, "rate_limited": 4 * 6 - 15}
    counts = await shop.counts("tokens", MINUTE)
    assert sum(counts) == 15 * MUCH
    assert max(counts) <= -(-limit // 4)
    assert len(counts) == 4


async def test_what_answers_add_to_a_large_limit_is_neither_lost_nor_counted_twice(shop: Shop) -> None:
    """Each answer is half as long as its input, so items are passed by what is in flight."""
    limit = 9 * MUCH
    used = (MUCH, MUCH // 2)
    tally = shop.hammered(requests=5, letters=LETTERS, limits=KeyLimits(tokens_per_minute=limit), used=used)
    served = tally.ends["served"]
    assert served + tally.ends["rate_limited"] == 20
    assert await shop.count("tokens", MINUTE) == served * sum(used)
    assert 6 <= served <= 9  # as many as were counted with their inputs alone when the last one came


@pytest.mark.parametrize("credits", ["off", "enforced"])
async def test_no_more_is_spent_than_a_day_allows(shop: Shop, credits: str) -> None:
    """Every one is counted with the most it may cost, and corrected to what it did; those that fail cost
    nothing."""
    await shop.grant(10**12)
    limit = 16 * HELD
    tally = shop.hammered(
        requests=15,
        limits=KeyLimits(spend_per_day_nanousd=limit),
        used=(TOKENS, 40),
        failing=5,
        credits=credits,
    )
    records = await shop.records()
    charged = sum(record.cost_charged_nanousd or 0 for record in records)
    assert all(tally.ends[end] for end in ("served", "failed", "rate_limited"))
    assert len(records) == tally.admitted
    assert charged == tally.ends["served"] * (TOKENS * 1_000 + 40 * 10_000) <= limit
    assert await shop.count("spend", f"{START:%Y-%m-%d}") == charged
    assert {record.held_nanousd for record in records} == ({HELD} if credits == "enforced" else {None})


async def test_no_more_is_held_than_there_is(shop: Shop) -> None:
    """None of them ends, so all of it is held at once."""
    await shop.grant(12 * HELD + HELD // 2)
    tally = shop.hammered(requests=6, lost=1, credits="enforced")
    assert tally.ends == {"lost": 12, "insufficient_credits": 4 * 6 - 12}
    await adds_up(shop, 12 * HELD + HELD // 2, running=12)


async def test_no_hold_is_lost(shop: Shop, clock: ManualClock) -> None:
    """A third of the requests is lost by dying processes; the sweep gives their holds back."""
    granted = 14 * HELD + HELD // 2
    await shop.grant(granted)
    tally = shop.hammered(requests=12, used=(TOKENS, 40), lost=3, failing=5, credits="enforced")
    assert all(tally.ends[end] for end in ("served", "failed", "lost", "insufficient_credits"))
    await adds_up(shop, granted, running=tally.ends["lost"])
    clock.advance(3_600)
    swept = await Sweeper(shop.generations, clock, MemoryLog()).sweep()
    assert (swept.ended, swept.released_nanousd, swept.failed) == (
        tally.ends["lost"],
        tally.ends["lost"] * HELD,
        0,
    )
    await adds_up(shop, granted, running=0)


async def adds_up(shop: Shop, granted: int, *, running: int) -> None:
    """The balance is the sum of its entries; each hold has one end, or its generation is still running."""
    balance, entries, records = await shop.ledger.balance("ann"), await shop.entries(), await shop.records()
    assert balance.available_nanousd == sum(entry.amount_nanousd for entry in entries) >= 0
    assert balance.reserved_nanousd == running * HELD
    holds = {entry.generation_id for entry in entries if entry.kind is EntryKind.HOLD}
    ends = Counter(
        entry.generation_id for entry in entries if entry.kind in (EntryKind.SETTLE, EntryKind.RELEASE)
    )
    open_ones = {record.id for record in records if record.status is GenerationStatus.RUNNING}
    assert holds == {record.id for record in records}
    assert len(open_ones) == running
    assert set(ends) == holds - open_ones
    assert set(ends.values()) <= {1}
    charged = sum(record.cost_charged_nanousd or 0 for record in records)
    assert balance.available_nanousd + balance.reserved_nanousd == granted - charged
