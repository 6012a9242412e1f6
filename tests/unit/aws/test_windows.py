"""A limit that is counted at several items: whatever meets whatever, and fails when, it is exact."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.contention import Load, run
from bench.items import ItemsInUse, ShortCutLoop
from headgate.aws.balances import Balances
from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Table
from headgate.aws.portions import home_of, portions_of
from headgate.aws.shares import Move
from headgate.aws.transactions import NEW, Refused, Step, Written, carry_out
from headgate.aws.windows import Windows, windows_pk
from headgate.domain.admission import Counter, Measure
from headgate.domain.credits import EntryKind, Hold, LedgerEntry
from headgate.domain.errors import Conflict, GatewayFault, LimitReached
from headgate.testing.clock import START, ManualClock

PARTS = 3
ENDS = START + timedelta(minutes=1)


def counter(limit: int, amount: int = 1, *, name: str = "w", parts: int = PARTS) -> Counter:
    return Counter(name=name, measure="tokens", amount=amount, limit=limit, expires_at=ENDS, parts=parts)


class Watched(ItemsInUse):
    """Remembers every sum that a window had, and checks that its items are on one side of their portions."""

    def __init__(self, limit: int, faults: Sequence[str] = ("",), **options: Any) -> None:
        super().__init__(**options)
        self.limit = limit
        self.faults = faults
        self.written = 0
        self.sums: list[tuple[float, int]] = [(0.0, 0)]

    async def _transact_write_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        fault = self.chance.choice(self.faults)  # in turn they could hit every other write for ever
        self.written += 1
        if fault == "before":
            raise GatewayFault.unavailable("The store")
        answer = await super()._transact_write_items(TransactItems)
        self._check()
        if fault == "after":
            raise GatewayFault.unavailable("The store")
        return answer

    def counted(self, name: str = "w") -> list[int]:
        pk = windows_pk(name)
        return [
            int(self.items.get((pk, f"RATE#{place:02d}" if place else "RATE"), {}).get("n", 0))
            for place in range(PARTS)
        ]

    def _check(self) -> None:
        rooms = [
            portion - at for portion, at in zip(portions_of(self.limit, PARTS), self.counted(), strict=True)
        ]
        assert all(room >= 0 for room in rooms) or all(room <= 0 for room in rooms)
        self.sums.append((asyncio.get_running_loop().time(), sum(self.counted())))

    def highest_since(self, began_s: float) -> int:
        """The highest sum that the window had at a moment since then."""
        before = [total for at_s, total in self.sums if at_s <= began_s][-1]
        return max([before, *(total for at_s, total in self.sums if at_s > began_s)])


def table(items: ItemsInUse) -> Table:
    return Table(cast("AwsClients", items), "one")


@dataclass
class Process:
    """One that counts, with its own memory."""

    items: ItemsInUse
    windows: Windows = field(init=False)
    balances: Balances = field(init=False)

    def __post_init__(self) -> None:
        clients = cast("AwsClients", self.items)
        self.windows = Windows(clients, table(self.items), ManualClock())
        self.balances = Balances(clients, table(self.items), clock=ManualClock())

    async def carry_out(self, *written: Written) -> None:
        await carry_out(cast("AwsClients", self.items), table(self.items), written)

    async def count(self, of: Counter, lot: str) -> None:
        await self.carry_out(self.windows.counting(of, lot))

    async def correct(self, of: Counter, lot: str, amount: int) -> None:
        await self.carry_out(self.windows.correcting(replace(of.raised, amount=amount), lot))

    def mark(self, lot: str) -> Step:
        """What is there once, as a record is."""
        return Step(table(self.items).putting({"pk": lot, "sk": "MARK"}, when=NEW), lambda _: Conflict("x"))


def play(coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=ShortCutLoop) as runner:
        return runner.run(coroutine)


# -- any story ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chat:
    """Counted with `amount` at first, and with `actual` in the end; when it begins and how long it takes, in
    transactions."""

    amount: int
    actual: int
    at: int
    takes: int


@dataclass(frozen=True, slots=True)
class Story:
    limit: int
    chats: list[Chat]
    processes: int
    faults: list[str]
    seed: int
    query_s: float


STORIES = st.builds(
    Story,
    limit=st.integers(PARTS, 60),
    chats=st.lists(
        st.builds(Chat, st.integers(0, 25), st.integers(0, 60), st.integers(0, 15), st.integers(0, 10)),
        min_size=3,
        max_size=16,
    ),
    processes=st.integers(1, 4),
    faults=st.lists(st.sampled_from(["", "", "", "before", "after"]), min_size=0, max_size=9).map(
        lambda faults: [*faults, ""]
    ),
    seed=st.integers(0, 99),
    query_s=st.sampled_from([0.001, 0.015]),
)


class Books:
    """What was written, told by marks in the same transactions."""

    def __init__(self, items: Watched) -> None:
        self.items = items

    async def count(self, process: Process, of: Counter, lot: str) -> bool:
        """Whether it was. Sent until it is there or refused; refused only where the limit is in the way."""
        while not self._is_marked(f"{lot}+"):
            began_s = asyncio.get_running_loop().time()
            try:
                await process.carry_out(process.mark(f"{lot}+"), process.windows.counting(of, lot))
            except GatewayFault:
                continue
            except Refused as refused:
                if self._is_marked(f"{lot}+"):
                    break
                (error,) = refused.errors
                assert isinstance(error, LimitReached)
                # at some moment since it was sent there was no room
                assert self.items.highest_since(began_s) + max(1, of.amount) > of.limit
                return False
        return True

    async def correct(self, process: Process, of: Counter, lot: str, amount: int) -> None:
        correcting = [process.windows.correcting(replace(of.raised, amount=amount), lot)] if amount else []
        while not self._is_marked(f"{lot}-"):
            try:
                await process.carry_out(process.mark(f"{lot}-"), *correcting)
            except GatewayFault:
                continue
            except Refused:
                assert self._is_marked(f"{lot}-")

    def _is_marked(self, mark: str) -> bool:
        return (mark, "MARK") in self.items.items


async def live(story: Story) -> None:
    items = Watched(story.limit, story.faults, seed=story.seed, query_s=story.query_s)
    books = Books(items)
    processes = [Process(items) for _ in range(story.processes)]
    actual: list[int] = []

    async def chat(number: int, each: Chat) -> None:
        lot, process = f"gen_{number}", processes[number % len(processes)]
        of = counter(story.limit, each.amount)
        await asyncio.sleep(each.at * 0.01)
        if await books.count(process, of, lot):
            await asyncio.sleep(each.takes * 0.01)
            await books.correct(process, of, lot, each.actual - each.amount)
            actual.append(each.actual)

    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(story.chats):
            group.create_task(chat(number, each))
    assert sum(items.counted()) == sum(actual)
    # Only what turned out to be more than it was counted with ever passes the limit.
    most = max((each.actual - each.amount for each in story.chats), default=0)
    if most <= 0:
        assert max(total for _, total in items.sums) <= story.limit


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_the_items_are_one_limit_whatever_meets_and_fails(story: Story) -> None:
    play(live(story))


class Admitting(Watched):
    """Checks of every transaction that counts anew that the limit allows it."""

    async def _transact_write_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        answer = await super()._transact_write_items(TransactItems)
        marks = [each["Put"]["Item"]["pk"]["S"] for each in TransactItems if "Put" in each]
        if any(mark.endswith("+") for mark in marks):
            (_, before), (_, after) = self.sums[-2:]
            assert after <= self.limit
            assert before < self.limit
        return answer


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_nothing_is_counted_above_the_limit_however_much_was_corrected(story: Story) -> None:
    async def live_so() -> None:
        items = Admitting(story.limit, seed=story.seed, query_s=story.query_s)
        books = Books(items)

        async def chat(number: int, each: Chat) -> None:
            process, of, lot = Process(items), counter(story.limit, each.amount), f"gen_{number}"
            await asyncio.sleep(each.at * 0.01)
            if await books.count(process, of, lot):
                await asyncio.sleep(each.takes * 0.01)
                await books.correct(process, of, lot, each.actual - each.amount)

        async with asyncio.TaskGroup() as group:
            for number, each in enumerate(story.chats):
                group.create_task(chat(number, each))

    play(live_so())


# -- one thing at a time ------------------------------------------------------------------------------------


def test_while_there_is_room_counting_and_correcting_are_a_call_each() -> None:
    async def count() -> None:
        items = Watched(300)
        process = Process(items)
        for number in range(20):
            await process.count(counter(300, 5), f"gen_{number}")
            await process.correct(counter(300, 5), f"gen_{number}", 3)
        assert items.calls == 40
        assert sum(items.counted()) == 160
        assert all(items.counted())

    play(count())


@pytest.mark.parametrize("amount", [1, 2, 5, 7])
def test_a_limit_is_used_up_to_the_last(amount: int) -> None:
    async def use_up() -> None:
        items = Watched(100)
        process, passed = Process(items), 0
        for number in range(110):
            try:
                await Process(items).count(counter(100, amount), f"gen_{number}")
                passed += 1
            except Refused:
                pass
        assert passed == 100 // amount
        for left in range(100 % amount):
            await process.count(counter(100, 1), f"rest_{left}")
        with pytest.raises(Refused):
            await process.count(counter(100, 0), "none")
        assert sum(items.counted()) == 100

    play(use_up())


def test_who_was_refused_looks_before_the_next_is_tried_and_is_in_nobodys_way() -> None:
    async def ask_on() -> None:
        items = Watched(30)
        process = Process(items)
        await process.count(counter(30, 30), "all")
        with pytest.raises(Refused):
            await process.count(counter(30, 1), "gen_1")
        written = items.written
        for number in range(5):
            with pytest.raises(Refused):
                await process.count(counter(30, 1), f"again_{number}")
        assert items.written == written
        await process.correct(counter(30, 30), "all", -10)
        await process.count(counter(30, 10), "gen_2")

    play(ask_on())


def test_what_passed_the_limit_has_to_be_given_back_before_anything_is_counted() -> None:
    async def overrun() -> None:
        items = Watched(30)
        process = Process(items)
        for lot in ("a", "b", "c"):
            await process.count(counter(30, 2), lot)
        await process.correct(counter(30, 2), "a", 70)
        assert sum(items.counted()) == 76
        for lot in "bc":
            with pytest.raises(Refused):
                await process.count(counter(30, 0), f"more {lot}")
            await process.correct(counter(30, 2), lot, -2)
        await process.correct(counter(30, 2), "a", -42)
        assert sum(items.counted()) == 30
        with pytest.raises(Refused):
            await process.count(counter(30, 1), "d")
        await process.correct(counter(30, 2), "a", -1)
        await process.count(counter(30, 1), "d")

    play(overrun())


def test_what_another_version_counted_at_one_item_counts_on() -> None:
    async def update() -> None:
        items = ItemsInUse()
        await Process(items).count(counter(30, 22, parts=1), "before")
        passed = 0
        at_first = next(f"gen_{number}" for number in range(99) if home_of(f"gen_{number}", PARTS) == 0)
        for lot in (at_first, *(f"gen_{number}" for number in range(100, 130))):
            with suppress(Refused):
                await Process(items).count(counter(30), lot)
                passed += 1
        assert passed == 8

    play(update())


def test_what_another_version_counted_at_items_of_its_own_is_not_lost_where_one_is_left() -> None:
    async def update() -> None:
        items = ItemsInUse()
        process, sole = Process(items), counter(30, 2, parts=1)
        for number in range(12):
            await process.count(counter(30, 2), f"gen_{number}")
        with pytest.raises(Refused):  # as who meets others looks; from now on it looks first
            await process.windows.seen_full(replace(sole, amount=30), await process.windows.read(sole))
        await process.count(sole, "after")
        assert (await process.windows.read(sole)).left == 30 - 13 * 2

    play(update())


# -- together with others -----------------------------------------------------------------------------------


def holding(lot: str, amount: int) -> Move:
    entry = LedgerEntry(id=lot, user_id="ann", at=START, kind=EntryKind.HOLD, amount_nanousd=-amount)
    return Move(user_id="ann", lot=lot, available=-amount, reserved=amount, hold=Hold(entry=entry))


@pytest.mark.parametrize("parts", [1, PARTS])
def test_of_limits_and_money_the_first_that_refuses_is_told_and_nothing_is_written(parts: int) -> None:
    async def refuse() -> None:
        items = ItemsInUse()
        process = Process(items)
        given = Move(user_id="ann", lot="grant", available=100)
        await process.carry_out(process.balances.moving(given))
        full, free = counter(30, 30, name="full", parts=parts), counter(30, 1, name="free", parts=parts)
        await process.count(full, "all")

        async def told(*counters: Counter, hold: int) -> tuple[str, str]:
            before = {key: dict(item) for key, item in items.items.items()}
            someone = Process(items)
            with pytest.raises(Refused) as refused:
                await someone.carry_out(
                    someone.mark("gen_1"),
                    *(someone.windows.counting(each, "gen_1") for each in counters),
                    someone.balances.moving(holding("gen_1", hold)),
                )
            assert items.items == before
            (error,) = refused.value.errors
            assert isinstance(error, LimitReached)
            return error.code, error.detail

        one = replace(full, amount=1)
        assert (await told(free, one, hold=10))[0] == "rate_limited"
        assert (await told(free, one, hold=200))[0] == "rate_limited"
        assert (await told(free, hold=200))[0] == "insufficient_credits"
        other = replace(one, label="the_second")
        assert "the_second" not in (await told(one, other, hold=200))[1]
        await process.carry_out(process.mark("gen_1"), process.windows.counting(free, "gen_1"))
        with pytest.raises(Refused) as refused:
            await process.carry_out(process.mark("gen_1"), process.windows.counting(one, "gen_1"))
        assert isinstance(refused.value.errors[0], Conflict)

    play(refuse())


def test_several_limits_and_a_contended_balance_find_their_places_together() -> None:
    async def find() -> None:
        items = ItemsInUse()
        process = Process(items)
        await process.carry_out(process.balances.moving(Move(user_id="ann", lot="grant", available=10**12)))
        counters = [counter(30, name=name) for name in "abc"]

        async def begin(number: int) -> bool:
            lot, someone = f"gen_{number}", Process(items)
            try:
                await someone.carry_out(
                    someone.mark(lot),
                    *(someone.windows.counting(each, lot) for each in counters),
                    someone.balances.moving(holding(lot, 10**6)),
                )
            except Refused:
                return False
            return True

        begun = 0
        for _ in range(10):
            begun += sum(await asyncio.gather(*(begin(begun * 100 + n) for n in range(4))))
        shares = await process.balances.read("ann")
        assert begun == 30
        assert shares.reserved == 30 * 10**6
        assert shares.total == 10**12 - 30 * 10**6
        assert {(await process.windows.read(each)).left for each in counters} == {0}

    play(find())


# -- how much it bears --------------------------------------------------------------------------------------

EACH: tuple[Measure, ...] = ("requests", "tokens", "spend")


def test_one_limited_key_has_a_hundred_chats_a_second() -> None:
    seen = run(Load(rate=100, seconds=20, limited=EACH))
    assert seen.chats > 1_500
    assert (seen.unpaid, seen.limited) == (0, 0)
    assert seen.gave_up < len(seen.waits_s) / 1_000
    assert seen.calls < 3.5 * seen.chats


def test_one_item_would_not_bear_it() -> None:
    """So that the test above could fail."""
    seen = run(Load(rate=100, seconds=5, granted=None, limited=("tokens",), parts=1))
    assert seen.gave_up > len(seen.waits_s) / 10


def test_who_asks_for_twice_what_is_allowed_is_told_so_and_not_that_it_is_busy() -> None:
    seen = run(Load(rate=100, seconds=40, granted=None, limited=("requests",), allowed=0.25))
    assert seen.limited > seen.chats / 3
    assert seen.gave_up == 0


def test_who_runs_out_of_money_under_load_is_told_so() -> None:
    seen = run(Load(rate=100, seconds=30, granted=(5, 1)))
    assert seen.unpaid > seen.chats / 3
    assert seen.gave_up < len(seen.waits_s) / 20
