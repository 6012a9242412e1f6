"""Whatever meets whatever, and whichever write fails before or after it was made: the money adds up.

Real runs over the real stores; their writes take turns as the example says, and fail as it says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count, cycle
from typing import Any, cast

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.aws.generations import DynamoGenerationStore
from headgate.aws.ledger import DynamoLedger
from headgate.aws.shares import Sharing
from headgate.domain.admission import Admission, Closing, Counter, parts_of
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Caller, KeyLimits
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.domain.errors import GatewayFault, HeadgateError, LimitReached
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.domain.ids import new_id
from headgate.ports import GenerationStore, Ledger, WireRequest
from headgate.services.reconcile import reconcile
from headgate.services.sweep import Sweeper
from headgate.testing.clock import START
from headgate.testing.memory import Answer, ManualClock, MemoryGenerationStore, MemoryLedger
from tests.contract.conftest import SPREAD, Aws
from tests.support.bench import Counted, ann
from tests.support.conflicts import meeting
from tests.support.models import model, priced
from tests.support.provider import lines, said
from tests.support.stage import Stage

MILLION = 1_000_000
PRICE = priced("1", "10")
A = model("alpha/m", canonical_id="maker/m", pricing=PRICE)
MONTHLY = KeyLimits(spend_per_month_nanousd=10**15, tokens_per_minute=10**9)
"""Windows of sixteen parts each."""

FIELDS: Any = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request: how it goes, and the tokens that it turns out to use."""

    course: str
    tokens_in: int
    tokens_out: int

    @property
    def body(self) -> dict[str, Any]:
        said_so = [self.course, self.tokens_in, self.tokens_out]
        return {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "script": said_so}


@dataclass(frozen=True, slots=True)
class Story:
    """granted: nano-dollars, given: in between. meets: which of the transactions on the balance meet others.
    turns: who goes next. faults: of each write in turn. sweep: after so
    many turns of its own, while others run."""

    granted: int
    given: int | None
    meets: list[bool]
    wanted: list[Wanted]
    turns: list[int]
    faults: list[str]
    sweep: int | None


STORIES = st.builds(
    Story,
    granted=st.sampled_from([0, 500_000, MILLION, 1_500_000, 2_500_000, 10 * MILLION]),
    given=st.sampled_from([None, None, -MILLION, 500_000, 10 * MILLION]),
    meets=st.lists(st.booleans(), max_size=7).map(lambda meets: [*meets, False]),
    wanted=st.lists(
        st.builds(
            Wanted,
            st.sampled_from(["answered", "refused", "streamed", "left", "broken"]),
            st.integers(1, 50),
            st.integers(0, 300),
        ),
        min_size=2,
        max_size=3,
    ),
    turns=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    faults=st.lists(st.sampled_from(["", "", "before", "after"]), min_size=1, max_size=12),
    sweep=st.none() | st.integers(1, 8),
)


@dataclass
class Turns:
    """Lets one write at a time through, and makes some fail before they are made, or after."""

    order: Sequence[int]
    faults: Sequence[str]
    waiting: list[tuple[asyncio.Future[None], asyncio.Future[None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults = cycle(self.faults)
        self._order = cycle(self.order)

    async def wait(self) -> None:
        """One turn in which nothing is done."""
        done = await self._turn()
        done.set_result(None)

    async def _turn(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        go, done = loop.create_future(), loop.create_future()
        self.waiting.append((go, done))
        await go
        return done

    async def take(self, write: Callable[[], Awaitable[Any]]) -> Any:
        done = await self._turn()
        fault = next(self._faults)
        try:
            if fault == "before":
                raise GatewayFault.unavailable("The store")
            result = await write()
            if fault == "after":
                raise GatewayFault.unavailable("The store")
            return result
        finally:
            done.set_result(None)

    async def play(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)  # so that all who can come as far as their next write
            if self.waiting:
                go, done = self.waiting.pop(next(self._order) % len(self.waiting))
                go.set_result(None)
                await done


class Fickle:
    """A store whose writes take turns."""

    def __init__(self, inner: GenerationStore, turns: Turns) -> None:
        self.inner = inner
        self.turns = turns

    async def begin(self, record: GenerationRecord, admission: Admission = Admission()) -> None:
        await self.turns.take(lambda: self.inner.begin(record, admission))

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        await self.turns.take(lambda: self.inner.finish(record, closing))

    async def tell_keys(self, record: GenerationRecord) -> None:
        await self.turns.take(lambda: self.inner.tell_keys(record))

    async def list_overdue(self, *, before: datetime, limit: int) -> list[GenerationRecord]:
        return await self.inner.list_overdue(before=before, limit=limit)


def answer(request: WireRequest) -> Answer:
    course, tokens_in, tokens_out = orjson.loads(request.body or b"")["script"]
    if course == "refused":
        return Answer(status=400)
    if course == "answered":
        return said("x", tokens=(tokens_in, tokens_out))
    usage = f"usage {tokens_in} {tokens_out}"
    if course == "left":
        return lines("say a", usage, "note", asyncio.Event())
    return lines("say a", usage, *(["END"] if course == "streamed" else []))


async def go_through(stage: Stage, caller: Caller, wanted: Wanted) -> None:
    run = stage.run(caller, body=wanted.body, stream=wanted.course not in ("answered", "refused"))
    try:
        await run.prepare()
        if wanted.course in ("answered", "refused"):
            await run.answer()
            return
        await run.open()
        async for _ in run.chunks():
            if wanted.course == "left":
                await run.abandon()
                return
    except HeadgateError:
        pass


@dataclass(frozen=True)
class Shop:
    ledger: Ledger
    store: GenerationStore
    clock: ManualClock


async def play(story: Story, shop: Shop, user_id: str) -> None:
    turns = Turns(story.turns, story.faults)
    fickle = cast("GenerationStore", Fickle(shop.store, turns))
    stage = Stage(HEADGATE_CREDITS="enforced")
    stage.clock = shop.clock
    stage.generations = cast("MemoryGenerationStore", shop.store)
    stage.generation_calls = Counted(fickle)
    stage.one = stage.process()
    stage.one.chat_means.settle_pauses_s = (0.0,)
    await stage.open_shop(A)
    stage.transport.on("https://alpha.example/chat", answer)
    if story.granted:
        await _grant(shop, user_id, story.granted, f"led_{user_id}")
    caller = ann(user_id=user_id, key_id=f"key_{user_id}", limits=MONTHLY)
    tasks = [asyncio.create_task(go_through(stage, caller, each)) for each in story.wanted]
    if story.sweep is not None:
        tasks.append(asyncio.create_task(_sweep_early(fickle, stage, turns, story.sweep)))
    if story.given is not None:
        giving = turns.take(partial(_grant, shop, user_id, story.given, f"led_{user_id}_given"))
        tasks.append(asyncio.create_task(_until_done(giving)))
    await turns.play(tasks)
    await asyncio.gather(*tasks)
    # Nothing but the last sweep is certain to reach the store.
    shop.clock.advance(3600)
    await Sweeper(shop.store, shop.clock, stage.log).sweep()
    await check(story, shop, caller)


async def _grant(shop: Shop, user_id: str, amount: int, entry_id: str) -> None:
    kind = EntryKind.GRANT if amount > 0 else EntryKind.ADJUST
    await shop.ledger.add_entry(
        LedgerEntry(id=entry_id, user_id=user_id, at=shop.clock.now(), kind=kind, amount_nanousd=amount),
        AuditEvent(id=new_id("evt"), at=START, actor="x", action="credits.grant", target=user_id),
    )


async def _until_done(giving: Awaitable[Any]) -> None:
    with suppress(HeadgateError):
        await giving


async def _sweep_early(store: GenerationStore, stage: Stage, turns: Turns, after: int) -> None:
    for _ in range(after):
        await turns.wait()
    stage.clock.advance(3600)
    await Sweeper(store, stage.clock, stage.log).sweep()


async def check(story: Story, shop: Shop, caller: Caller) -> None:
    found = await reconcile(shop.ledger, caller.user_id)
    assert found.adds_up
    assert found.open_holds_nanousd == {}
    entries, _ = await shop.ledger.list_entries(caller.user_id, limit=100, cursor=None)
    settled = {e.generation_id: e.charged_nanousd for e in entries if e.kind is EntryKind.SETTLE}
    records, _ = await shop.store.list_by_owner(caller.user_id, filters={}, limit=100, cursor=None)
    assert all(record.status is not GenerationStatus.RUNNING for record in records)
    assert {r.id: r.cost_charged_nanousd for r in records if r.cost_charged_nanousd} == settled
    charged = sum(amount or 0 for amount in settled.values())
    given = sum(e.amount_nanousd for e in entries if e.id == f"led_{caller.user_id}_given")
    assert given in (0, story.given)
    assert found.balance.available_nanousd == story.granted + given - charged
    overruns = [max(0, (r.cost_charged_nanousd or 0) - (r.held_nanousd or 0)) for r in records]
    assert found.balance.available_nanousd >= -sum(overruns) + min(0, given)
    await _check_spending(shop, caller, charged)


async def _check_spending(shop: Shop, caller: Caller, charged: int) -> None:
    """The month's counter stands at exactly what was charged."""
    month = START.replace(month=12, day=1, hour=0)
    limit = MONTHLY.spend_per_month_nanousd or 0
    left = Counter(
        name=f"{caller.key_id}#spend#2026-11",
        measure="spend",
        amount=limit - charged,
        limit=limit,
        expires_at=month,
        parts=parts_of("spend", limit),
    )
    with pytest.raises(LimitReached):
        await shop.store.count([replace(left, amount=left.amount + 1)])
    await shop.store.count([left])
    with pytest.raises(LimitReached):
        await shop.store.count([replace(left, amount=0)])


@settings(max_examples=150, **FIELDS)
@given(STORIES)
def test_in_memory_money_adds_up_whatever_fails_when(story: Story) -> None:
    clock = ManualClock()
    ledger = MemoryLedger()
    shop = Shop(ledger, MemoryGenerationStore(clock, ledger=ledger), clock)
    asyncio.run(play(story, shop, "ann"))


@pytest.fixture
def tables(make_table: Callable[[str], str]) -> Mapping[str, str]:
    return {name: make_table(f"{name}Table") for name in ("Generations", "Ledger", "Accounts")}


@pytest.mark.parametrize("sharing", [Sharing(), SPREAD], ids=["one item", "spread"])
def test_in_dynamodb_money_adds_up_whatever_fails_when(
    aws: Aws, tables: Mapping[str, str], sharing: Sharing
) -> None:
    users = (f"ann{number}" for number in count())

    @settings(max_examples=20, **FIELDS)
    @given(STORIES)
    def adds_up(story: Story) -> None:
        clock = ManualClock()
        clients, table = meeting(aws.clients, story.meets), tables["Ledger"]
        shop = Shop(
            DynamoLedger(clients, table, accounts_table=tables["Accounts"], sharing=sharing),
            DynamoGenerationStore(clients, tables["Generations"], clock, ledger_table=table, sharing=sharing),
            clock,
        )
        asyncio.run(play(story, shop, next(users)))

    adds_up()
