"""A balance spread over items: whatever meets whatever, and fails when, it is one sum."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.contention import Load, run
from bench.items import ItemsInUse, ShortCutLoop
from headgate.aws.balances import Balances
from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Item, Table
from headgate.aws.share_steps import steps_of
from headgate.aws.shares import MAIN, Move, Shares, Sharing, lot_shard, parts_of
from headgate.aws.transactions import NEW, Refused, Step
from headgate.domain.credits import Balance, EntryKind, Hold, LedgerEntry
from headgate.domain.errors import GatewayFault, LimitReached
from headgate.testing.clock import START, ManualClock

SHARDS = 4
EAGER = Sharing(shards=SHARDS, enough=2, smallest_nanousd=1)
DOLLAR = 10**9


def hold(lot: str, amount: int) -> Move:
    entry = LedgerEntry(id=lot, user_id="ann", at=START, kind=EntryKind.HOLD, amount_nanousd=-amount)
    return Move(user_id="ann", lot=lot, available=-amount, reserved=amount, hold=Hold(entry=entry))


def end(lot: str, held: int, cost: int) -> Move:
    return Move(user_id="ann", lot=lot, available=held - cost, reserved=-held)


def given_to(amount: int, lot: str = "grant") -> Move:
    return Move(user_id="ann", lot=lot, available=amount)


class Watched(ItemsInUse):
    """Checks after each write what must hold after each; and fails some before they are made, or after."""

    def __init__(self, faults: Sequence[str] = ("",), **options: Any) -> None:
        # A Query takes longer than a transaction, so that who met another finds the item free again.
        super().__init__(**{"query_s": 0.015, **options})
        self.faults = faults
        self.written = 0
        self.least = 0

    async def _transact_write_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        fault = self.chance.choice(self.faults)  # in turn they could hit every other write for ever
        self.written += 1
        if fault == "before":
            raise GatewayFault.unavailable("The store")
        answer = await super()._transact_write_items(TransactItems)
        self.check()
        if fault == "after":
            raise GatewayFault.unavailable("The store")
        return answer

    def shards(self) -> dict[int, Item]:
        return {int(sk[4:]): item for (_, sk), item in self.items.items() if sk.startswith("BAL#")}

    def check(self) -> None:
        shards = self.shards()
        opened = {shard for shard, item in shards.items() if shard != MAIN and item.get("open")}
        main = shards.get(MAIN, {})
        assert main.get("open", 0) == len(opened)
        assert not opened or int(main["available"]) >= 0
        for shard in shards.keys() - {MAIN}:
            there = int(shards[shard]["available"])
            assert there >= 0 if shard in opened else there == 0
        self.least = min(self.least, self.available)

    @property
    def available(self) -> int:
        return sum(int(item["available"]) for item in self.shards().values())

    @property
    def reserved(self) -> int:
        return sum(int(item.get("reserved", 0)) for item in self.shards().values())


def process(items: ItemsInUse, sharing: Sharing = EAGER) -> Balances:
    clients = cast("AwsClients", items)
    return Balances(clients, Table(clients, "ledger"), sharing=sharing, clock=ManualClock())


async def carry_out(balances: Balances, move: Move) -> None:
    await balances.carry_out(move, before=(), after=())


async def open_all(items: ItemsInUse, granted: int) -> Balances:
    """A process that knows that the balance is spread, as it met another just now."""
    await carry_out(process(items), given_to(granted))
    knowing = process(items)
    await asyncio.gather(*(carry_out(one, given_to(0)) for one in (process(items), knowing)))
    assert (await knowing.read("ann")).open == set(range(1, SHARDS))
    return knowing


def play(coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=ShortCutLoop) as runner:
        return runner.run(coroutine)


# -- any story ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chat:
    """Amounts of a hold and of what it then cost; when it begins and how long it takes, in transactions."""

    held: int
    cost: int
    at: int
    takes: int


@dataclass(frozen=True, slots=True)
class Story:
    """granted: at first; given: later, by when (negative: taken). processes: how many serve."""

    granted: int
    given: Mapping[int, int]
    chats: list[Chat]
    processes: int
    faults: list[str]
    seed: int
    query_s: float


STORIES = st.builds(
    Story,
    granted=st.integers(0, 300) | st.integers(300, 1_000),
    given=st.dictionaries(st.integers(0, 20), st.integers(-150, 300), max_size=3),
    chats=st.lists(
        st.builds(Chat, st.integers(0, 60), st.integers(0, 120), st.integers(0, 15), st.integers(0, 10)),
        min_size=3,
        max_size=14,
    ),
    processes=st.integers(1, 4),
    faults=st.lists(st.sampled_from(["", "", "", "before", "after"]), min_size=0, max_size=9).map(
        lambda faults: [*faults, ""]
    ),
    seed=st.integers(0, 99),
    query_s=st.sampled_from([0.001, 0.015]),
)


@dataclass
class Books:
    """What was written, told by marks in the same transactions as the money."""

    items: Watched
    held: dict[str, int] = field(default_factory=dict)

    async def write(self, balances: Balances, move: Move, mark: str) -> None:
        """Sent until it is there, or refused, as the gateway and its sweep do."""
        table = Table(cast("AwsClients", self.items), "ledger")
        marking = {"pk": f"MARK#{mark}", "sk": "MARK", "n": move.available, "r": move.reserved}
        step = _mark_step(table, marking)
        while not self.is_marked(mark):
            try:
                await balances.carry_out(move, before=[step], after=())
            except (GatewayFault, Refused) as failed:
                if isinstance(failed, Refused) and isinstance(failed.errors[0], LimitReached):
                    raise

    def is_marked(self, mark: str) -> bool:
        return (f"MARK#{mark}", "MARK") in self.items.items

    def sums(self) -> tuple[int, int]:
        marks = [item for (pk, _), item in self.items.items.items() if pk.startswith("MARK#")]
        return sum(int(one["n"]) for one in marks), sum(int(one["r"]) for one in marks)


def _mark_step(table: Table, item: Mapping[str, Any]) -> Step:
    return Step(table.putting(item, when=NEW), lambda _: KeyError("done already"))


async def live(story: Story) -> None:
    items = Watched(story.faults, seed=story.seed, query_s=story.query_s)
    books = Books(items)
    processes = [process(items) for _ in range(story.processes)]
    await books.write(processes[0], given_to(story.granted), "first")
    refused: set[str] = set()

    async def chat(number: int, each: Chat) -> None:
        lot = f"gen_{number}"
        serving = processes[number % len(processes)]
        await asyncio.sleep(each.at * 0.01)
        try:
            await books.write(serving, hold(lot, each.held), f"{lot}+")
        except Refused:
            refused.add(lot)
            return
        await asyncio.sleep(each.takes * 0.01)
        await books.write(serving, end(lot, each.held, each.cost), f"{lot}-")

    async def grant(at: int, amount: int) -> None:
        await asyncio.sleep(at * 0.01)
        await books.write(process(items), given_to(amount, f"evt_{at}"), f"evt_{at}")

    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(story.chats):
            group.create_task(chat(number, each))
        for at, amount in story.given.items():
            group.create_task(grant(at, amount))
    served = [each for number, each in enumerate(story.chats) if f"gen_{number}" not in refused]
    charged = sum(each.cost for each in served)
    assert books.sums() == (items.available, items.reserved)
    assert items.reserved == 0
    assert items.available == story.granted + sum(story.given.values()) - charged
    overruns = sum(max(0, each.cost - each.held) for each in served)
    assert items.least >= -overruns + sum(min(0, amount) for amount in story.given.values())


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_the_items_are_one_balance_whatever_meets_and_fails(story: Story) -> None:
    play(live(story))


# -- one thing at a time ------------------------------------------------------------------------------------


def test_who_meets_no_other_has_one_item_and_one_call_however_rich() -> None:
    async def one_by_one() -> None:
        items = Watched()
        balances = process(items)
        await carry_out(balances, given_to(1000 * DOLLAR))
        for number in range(20):
            await carry_out(balances, hold(f"gen_{number}", DOLLAR))
        assert items.calls == 21
        assert items.shards().keys() == {MAIN}

    play(one_by_one())


def test_who_meets_another_and_has_enough_is_spread_and_goes_on_in_one_call() -> None:
    async def meet() -> None:
        items = Watched()
        balances = await open_all(items, 4_000)
        assert [item["available"] for item in items.shards().values()] == [1_000] * SHARDS
        items.calls = 0
        lots = [f"gen_{number}" for number in range(8)]
        for lot in lots:
            await carry_out(balances, hold(lot, 60))
            await carry_out(balances, end(lot, 60, 10))
        assert items.calls == 16
        assert len({lot_shard(lot, SHARDS) for lot in lots}) > 1
        assert (await balances.read("ann")).balance == Balance(available_nanousd=4_000 - 80)

    play(meet())


def test_who_has_too_little_stays_with_one_item_whoever_is_met() -> None:
    async def meet() -> None:
        items = Watched()
        await carry_out(process(items), given_to(SHARDS * 2 * 50 - 1))
        await asyncio.gather(*(carry_out(process(items), hold(f"gen_{n}", 50)) for n in range(3)))
        assert items.met
        assert items.shards().keys() == {MAIN}

    play(meet())


@pytest.mark.parametrize("amount", [1_500, 2_500, 4_000])
def test_a_hold_that_no_item_covers_is_covered_by_several(amount: int) -> None:
    async def take() -> None:
        items = Watched()
        balances = await open_all(items, 4_000)
        await carry_out(balances, hold("gen_1", amount))
        assert (items.available, items.reserved) == (4_000 - amount, amount)

    play(take())


def test_a_hold_that_all_together_do_not_cover_is_refused_with_their_sum() -> None:
    async def take() -> None:
        items = Watched()
        balances = await open_all(items, 4_000)
        for knows in (balances, process(items)):
            with pytest.raises(Refused) as refused:
                await carry_out(knows, hold("gen_1", 4_001))
            (error,) = refused.value.errors
            assert isinstance(error, LimitReached)
            assert error.members["available"] == {"amount": "0.000004", "currency": "USD"}
        assert (items.available, items.reserved) == (4_000, 0)

    play(take())


def test_who_is_in_debt_holds_nothing_and_what_is_given_back_pays_the_debt_first() -> None:
    async def owe() -> None:
        items = Watched()
        balances = await open_all(items, 4_000)
        await carry_out(balances, hold("gen_1", 1_000))
        await carry_out(balances, hold("gen_2", 500))
        await carry_out(balances, end("gen_1", 1_000, 5_000))
        assert items.available == -1_500
        for amount in (0, 1):
            for knows in (balances, process(items)):
                with pytest.raises(Refused):
                    await carry_out(knows, hold("gen_3", amount))
        await carry_out(balances, end("gen_2", 500, 0))
        with pytest.raises(Refused):
            await carry_out(balances, hold("gen_3", 0))
        await carry_out(balances, given_to(1_000))
        await carry_out(balances, hold("gen_3", 0))
        assert items.shards()[MAIN]["available"] == items.available == 0

    play(owe())


def test_what_is_little_is_drawn_together_and_one_call_is_enough_again() -> None:
    async def dwindle() -> None:
        items = Watched()
        balances = await open_all(items, 40)
        await carry_out(balances, given_to(-25))
        await carry_out(balances, hold("gen_1", 12))
        assert (await balances.read("ann")).open == set()
        items.calls = 0
        await carry_out(balances, end("gen_1", 12, 10))
        await carry_out(process(items), hold("gen_2", 5))
        assert items.calls == 2

    play(dwindle())


def test_a_process_that_knows_of_no_spreading_serves_from_the_main_item_in_one_call() -> None:
    async def come_late() -> None:
        items = Watched()
        await open_all(items, 4_000)
        items.calls = 0
        newcomer = process(items)
        await carry_out(newcomer, hold("gen_1", 60))
        await carry_out(newcomer, end("gen_1", 60, 10))
        assert items.calls == 2

    play(come_late())


AMOUNTS = st.integers(0, 1_000)


@given(
    st.lists(AMOUNTS, min_size=SHARDS, max_size=SHARDS),
    st.sets(st.integers(1, SHARDS - 1)),
    st.integers(0, SHARDS - 1),
    st.integers(1, 4_000),
)
def test_what_is_taken_is_the_sum_and_leaves_no_item_below_zero(
    available: list[int], opened: set[int], home: int, need: int
) -> None:
    there = [each if shard in {MAIN, *opened} else 0 for shard, each in enumerate(available)]
    shares = Shares(tuple(there), frozenset(opened))
    need = min(need, shares.total)
    parts = dict(parts_of(need, shares, home))
    assert -sum(parts.values()) == need
    assert all(shares.takes(shard) for shard in parts)
    assert all(there[shard] + added >= 0 for shard, added in parts.items())


def test_each_part_of_a_hold_is_bound_to_be_covered() -> None:
    table = Table(cast("AwsClients", Watched()), "ledger")
    steps = steps_of(table, hold("gen_1", 30), [(MAIN, -10), (2, -20)])
    assert all("#available >= :need" in step.action["Update"]["ConditionExpression"] for step in steps)


@pytest.mark.parametrize("transaction_s", [0.01, 0.02])
def test_one_user_has_a_hundred_chats_a_second(transaction_s: float) -> None:
    seen = run(Load(rate=100, seconds=20), transaction_s=transaction_s)
    assert seen.chats > 1_500
    assert seen.unpaid == 0
    assert seen.gave_up < len(seen.waits_s) / 1_000
    assert seen.calls < 3.5 * seen.chats


def test_one_item_has_not() -> None:
    """So that the test above could fail."""
    seen = run(Load(rate=100, seconds=5), shards=1)
    assert seen.gave_up > len(seen.waits_s) / 10
