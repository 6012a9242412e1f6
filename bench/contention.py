"""`python -m bench.contention`: how often transactions on one user's balance meet, and on one key's limits.

moto never shows it. So `headgate.aws.balances` and `headgate.aws.windows` themselves run here over
`bench.items`, which refuses a transaction that begins while another holds one of its items. Processes are a
function's: each has one chat at a time, the one that was used last takes the next, and each knows only what
it met itself. Rates and times are those of ADR 0005.
"""

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

from bench.items import ItemsInUse, ShortCutLoop
from headgate.aws.balances import Balances
from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Table
from headgate.aws.shares import Move, Sharing
from headgate.aws.transactions import Refused, Written, carry_out
from headgate.aws.windows import Windows
from headgate.domain.admission import Counter, Measure, parts_of
from headgate.domain.credits import EntryKind, Hold, LedgerEntry
from headgate.domain.errors import GatewayFault, LimitReached
from headgate.testing.clock import START

DOLLAR = 10**9
HELD = 40_960_000
"""Nano-dollars: an answer of 4,096 tokens at $10 a million."""

ENTERED = 500
"""Tokens of each input; answers are as long on the average."""

USED: dict[Measure, float] = {"requests": 1.0, "tokens": 2.0 * ENTERED, "spend": HELD / 4}
"""By a chat, on the average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """rate: chats a second. chat_s: how long one takes, on the average. granted: dollars, at first and again
    every ten seconds; None while credits are off. limited: by what its key is, in windows of a minute.
    allowed: how many times what it uses on the average. parts: of each window, else as its limit has it."""

    rate: float
    chat_s: float = 5.0
    granted: tuple[int, int] | None = (10_000, 0)
    seconds: float = 120.0
    limited: tuple[Measure, ...] = ()
    allowed: float = 1.5
    parts: int | None = None

    def limit(self, measure: Measure) -> int:
        return int(self.allowed * 60 * self.rate * USED[measure])


@dataclass(slots=True)
class Seen:
    """unpaid: refused for want of credits; limited: by a limit. waits_s: of each transaction until it was
    carried out."""

    chats: int = 0
    gave_up: int = 0
    unpaid: int = 0
    limited: int = 0
    calls: int = 0
    met: int = 0
    waits_s: list[float] = field(default_factory=list)

    def row(self) -> str:
        waits = sorted(self.waits_s) or [0.0]
        tried = len(self.waits_s) + self.gave_up
        p99_ms = 1000 * waits[int(0.99 * len(waits))]
        shares = f"{self.met / max(1, tried):10.1%}  {self.gave_up / max(1, tried):9.3%}  {p99_ms:11.0f}"
        refused = f"{self.unpaid / max(1, self.chats):8.2%}  {self.limited / max(1, self.chats):8.2%}"
        return f"{shares}  {self.calls / max(1, self.chats):10.2f}  {refused}"


class _Clock:
    """The loop's time."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Process:
    """What one process knows."""

    def __init__(self, items: ItemsInUse, sharing: Sharing) -> None:
        self._clients = cast("AwsClients", items)
        self._table = Table(self._clients, "one")
        self.balances = Balances(self._clients, self._table, sharing=sharing, clock=_Clock())
        self.windows = Windows(self._clients, self._table, _Clock())

    async def carry_out(self, written: list[Written]) -> None:
        await carry_out(self._clients, self._table, written)


class Town:
    """One user's chats, all with one key, and the processes that serve them."""

    def __init__(self, load: Load, sharing: Sharing, *, transaction_s: float) -> None:
        self.load = load
        self.sharing = sharing
        self.items = ItemsInUse(transaction_s=transaction_s)
        self.chance = random.Random(2)
        self.seen = Seen()
        self._idle: list[Process] = []
        self._lots = itertools.count()

    async def live(self) -> Seen:
        first, again = self.load.granted or (0, 0)
        await self._grant(first)
        async with asyncio.TaskGroup() as group:
            granting = group.create_task(self._grant_again(again))
            for at in self._arrivals():
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                # Drawn, as real ones are: of numbers in a row no two fall on one item.
                group.create_task(self._chat(f"gen_{self.chance.getrandbits(64):016x}"))
            granting.cancel()
        self.seen.calls, self.seen.met = self.items.calls, self.items.met
        return self.seen

    def _arrivals(self) -> Iterator[float]:
        at = asyncio.get_running_loop().time()
        end = at + self.load.seconds
        while (at := at + self.chance.expovariate(self.load.rate)) < end:
            yield at

    async def _chat(self, lot: str) -> None:
        process = self._idle.pop() if self._idle else self._process()
        self.seen.chats += 1
        entry = LedgerEntry(id=lot, user_id="ann", at=START, kind=EntryKind.HOLD, amount_nanousd=-HELD)
        hold = Move(user_id="ann", lot=lot, available=-HELD, reserved=HELD, hold=Hold(entry=entry))
        counters = [self._counter(measure) for measure in self.load.limited]
        counting: list[Written] = [process.windows.counting(each, lot) for each in counters]
        if await self._carried_out(process, counting + self._moving(process, hold)):
            await asyncio.sleep(self.chance.expovariate(1 / self.load.chat_s))
            cost, tokens = self.chance.randrange(HELD // 2), self.chance.randrange(2 * ENTERED)
            back = Move(user_id="ann", lot=lot, available=HELD - cost, reserved=-HELD)
            more = {"requests": 0, "tokens": tokens, "spend": cost - HELD}
            correcting: list[Written] = [
                process.windows.correcting(replace(each.raised, amount=more[each.measure]), lot)
                for each in counters
                if more[each.measure] and each.expires_at > _Clock().now()
            ]
            await self._carried_out(process, correcting + self._moving(process, back))
        self._idle.append(process)

    def _moving(self, process: Process, move: Move) -> list[Written]:
        return [] if self.load.granted is None else [process.balances.moving(move)]

    def _counter(self, measure: Measure) -> Counter:
        window, limit = int(_Clock().monotonic() // 60), self.load.limit(measure)
        return Counter(
            name=f"key#{measure}#{window}",
            measure=measure,
            amount={"requests": 1, "tokens": ENTERED, "spend": HELD}[measure],
            limit=limit,
            expires_at=START + timedelta(minutes=window + 1),
            parts=self.load.parts or parts_of(measure, limit),
        )

    async def _carried_out(self, process: Process, written: list[Written]) -> bool:
        if not written:
            return True
        began_s = asyncio.get_running_loop().time()
        try:
            await process.carry_out(written)
        except GatewayFault:
            self.seen.gave_up += 1
            return False
        except Refused as refused:
            (error,) = refused.errors
            assert isinstance(error, LimitReached)
            self.seen.unpaid += error.code == "insufficient_credits"
            self.seen.limited += error.code == "rate_limited"
            return False
        self.seen.waits_s.append(asyncio.get_running_loop().time() - began_s - self.items.transaction_s)
        return True

    async def _grant_again(self, dollars: int) -> None:
        while dollars:
            await asyncio.sleep(10)
            await self._grant(dollars)

    async def _grant(self, dollars: int) -> None:
        move = Move(user_id="ann", lot=f"evt_{next(self._lots)}", available=dollars * DOLLAR)
        with suppress(GatewayFault):
            process = self._process()
            await process.carry_out([process.balances.moving(move)])

    def _process(self) -> Process:
        return Process(self.items, self.sharing)


def run(load: Load, *, shards: int = 16, transaction_s: float = 0.01) -> Seen:
    """What became of such a load, from the first chat on."""
    with asyncio.Runner(loop_factory=ShortCutLoop) as runner:
        return runner.run(Town(load, Sharing(shards=shards), transaction_s=transaction_s).live())


def _limited() -> Iterator[Load]:
    """One key, by one limit each and by all; as it is with one item; and sent twice what it is allowed."""
    each: tuple[Measure, ...] = ("requests", "tokens", "spend")
    for limited in (each[:1], each[1:2], each[2:], each):
        for rate in (10, 50, 100, 200):
            yield Load(rate=rate, granted=None, limited=limited)
    for rate in (10, 50, 100, 200):
        yield Load(rate=rate, limited=each)
    for limited in (each[:1], each[1:2], each[2:]):
        for rate in (10, 20, 50):
            yield Load(rate=rate, granted=None, limited=limited, parts=1)
    for limited in (each[:1], each[1:2], each[2:], each):
        for rate in (20, 100):
            yield Load(rate=rate, granted=None, limited=limited, allowed=0.5)


def main() -> None:
    print(
        "ms/tx  items  chats/s  s/chat  $ granted  limited  allowed         met    gave up  p99 wait ms  "
        "calls/chat       402       429"
    )
    loads = [
        *((0.01, 1, Load(rate=rate)) for rate in (1, 5, 10, 20, 30, 50)),
        *((0.01, 16, Load(rate=rate)) for rate in (1, 5, 10, 20, 50, 100, 200, 300)),
        *((0.02, 16, Load(rate=rate)) for rate in (10, 50, 100, 150)),
        *((0.01, 16, Load(rate=100, chat_s=chat_s)) for chat_s in (1, 60)),
        *((0.01, 16, Load(rate=100, granted=granted)) for granted in ((50, 8), (30, 10), (20, 10))),
        *((0.01, 16, load) for load in _limited()),
    ]
    for transaction_s, shards, load in loads:
        seen = run(load, shards=shards, transaction_s=transaction_s)
        granted = "off" if load.granted is None else "{} + {}".format(*load.granted)
        limited = "".join(measure[0] for measure in load.limited) + ("" if load.parts is None else " x1")
        asked = (
            f"{1000 * transaction_s:5.0f}  {shards:5}  {load.rate:7}  {load.chat_s:6}  {granted:>9}  "
            f"{limited:>7}  {load.allowed if load.limited else '':>7}"
        )
        print(f"{asked}  {seen.row()}", flush=True)


if __name__ == "__main__":
    main()
