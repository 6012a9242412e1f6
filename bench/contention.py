"""`python -m bench.contention`: how often transactions on one user's balance meet.

moto never shows it. So `headgate.aws.balances` itself runs here over `bench.items`, which refuses a
transaction that begins while another holds one of its items. Processes are a function's: each has one chat
at a time, the one that was used last takes the next, and each knows only what it met itself. Rates and times
are those of ADR 0005.
"""

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from bench.items import ItemsInUse, ShortCutLoop
from headgate.aws.balances import Balances
from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Table
from headgate.aws.shares import Move, Sharing
from headgate.aws.transactions import Refused
from headgate.domain.credits import EntryKind, Hold, LedgerEntry
from headgate.domain.errors import GatewayFault
from headgate.testing.clock import START

DOLLAR = 10**9
HELD = 40_960_000
"""Nano-dollars: an answer of 4,096 tokens at $10 a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """rate: chats a second. chat_s: how long one takes, on the average. granted: dollars, at first and again
    every ten seconds."""

    rate: float
    chat_s: float = 5.0
    granted: tuple[int, int] = (10_000, 0)
    seconds: float = 120.0


@dataclass(slots=True)
class Seen:
    """refused: for want of credits. waits_s: of each transaction until it was carried out."""

    chats: int = 0
    gave_up: int = 0
    refused: int = 0
    calls: int = 0
    met: int = 0
    waits_s: list[float] = field(default_factory=list)

    def row(self) -> str:
        waits = sorted(self.waits_s) or [0.0]
        tried = len(self.waits_s) + self.gave_up
        p99_ms = 1000 * waits[int(0.99 * len(waits))]
        shares = f"{self.met / max(1, tried):10.1%}  {self.gave_up / max(1, tried):9.3%}  {p99_ms:11.0f}"
        return f"{shares}  {self.calls / max(1, self.chats):10.2f}  {self.refused / max(1, self.chats):8.2%}"


class _Clock:
    """The loop's time, for `Balances`."""

    def now(self) -> Any:
        return START

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Town:
    """One user's chats, and the processes that serve them."""

    def __init__(self, load: Load, sharing: Sharing, *, transaction_s: float) -> None:
        self.load = load
        self.sharing = sharing
        self.items = ItemsInUse(transaction_s=transaction_s)
        self.chance = random.Random(2)
        self.seen = Seen()
        self._idle: list[Balances] = []
        self._lots = itertools.count()

    async def live(self) -> Seen:
        first, again = self.load.granted
        await self._grant(first)
        async with asyncio.TaskGroup() as group:
            granting = group.create_task(self._grant_again(again))
            for at in self._arrivals():
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                group.create_task(self._chat(f"gen_{next(self._lots)}"))
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
        if await self._carried_out(process, hold):
            await asyncio.sleep(self.chance.expovariate(1 / self.load.chat_s))
            back = HELD - self.chance.randrange(HELD // 2)
            await self._carried_out(process, Move(user_id="ann", lot=lot, available=back, reserved=-HELD))
        self._idle.append(process)

    async def _carried_out(self, process: Balances, move: Move) -> bool:
        began_s = asyncio.get_running_loop().time()
        try:
            await process.carry_out(move, before=(), after=())
        except GatewayFault:
            self.seen.gave_up += 1
            return False
        except Refused:
            self.seen.refused += 1
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
            await self._process().carry_out(move, before=(), after=())

    def _process(self) -> Balances:
        clients = cast("AwsClients", self.items)
        return Balances(clients, Table(clients, "ledger"), sharing=self.sharing, clock=_Clock())


def run(load: Load, *, shards: int = 16, transaction_s: float = 0.01) -> Seen:
    """What became of such a load, from the first chat on."""
    with asyncio.Runner(loop_factory=ShortCutLoop) as runner:
        return runner.run(Town(load, Sharing(shards=shards), transaction_s=transaction_s).live())


def main() -> None:
    print("ms/tx  items  chats/s  s/chat  $ granted         met    gave up  p99 wait ms  calls/chat   402")
    loads = [
        *((0.01, 1, Load(rate=rate)) for rate in (1, 5, 10, 20, 30, 50)),
        *((0.01, 16, Load(rate=rate)) for rate in (1, 5, 10, 20, 50, 100, 200, 300)),
        *((0.02, 16, Load(rate=rate)) for rate in (10, 50, 100, 150)),
        *((0.01, 16, Load(rate=100, chat_s=chat_s)) for chat_s in (1, 60)),
        *((0.01, 16, Load(rate=100, granted=granted)) for granted in ((50, 8), (30, 10), (20, 10))),
    ]
    for transaction_s, shards, load in loads:
        seen = run(load, shards=shards, transaction_s=transaction_s)
        granted = "{} + {}".format(*load.granted)
        asked = f"{1000 * transaction_s:5.0f}  {shards:5}  {load.rate:7}  {load.chat_s:6}  {granted:>10}"
        print(f"{asked}  {seen.row()}", flush=True)


if __name__ == "__main__":
    main()
