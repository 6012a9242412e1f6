"""Two processes over one store, in memory and in DynamoDB: a request under an idempotency key runs once, and
whichever of the store's writes fails, before or after it was made, it is charged once at most."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.bootstrap import HttpFunction
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Scope
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.domain.errors import GatewayFault
from headgate.http.routes import generations
from headgate.ports import GenerationStore
from headgate.services.manage_keys import KeyManager
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock, MemoryGenerationStore, MemoryLedger
from tests.contract.conftest import Money
from tests.support.bench import Bench, Counted
from tests.support.models import model, priced
from tests.support.provider import lines, said

GRANTED = 10**9
CHARGED = 10 * 1_000 + 5 * 10_000
"""Nano-dollars for 10 tokens in at $1, 5 out at $10 a million."""

BODY: dict[str, Any] = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}


class Fickle:
    """A store whose calls fail as told, in turn: `before` they do anything, or `after`."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.faults: Iterator[str] = repeat("")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        async def call(*given: Any, **named: Any) -> Any:
            fault = next(self.faults)
            if fault == "before":
                raise GatewayFault.unavailable("The store")
            result = await found(*given, **named)
            if fault == "after":
                raise GatewayFault.unavailable("The store")
            return result

        return call


class Twins(Bench):
    """Two processes that serve generations, over these stores; Ann has a dollar."""

    def __init__(self, money: Money, clock: ManualClock) -> None:
        super().__init__("alpha", environ={"HEADGATE_CREDITS": "enforced"})
        self.clock = clock
        self.money = money
        self.fickle = Fickle(money.generations)
        self.generations = cast("MemoryGenerationStore", self.fickle)
        self.generation_calls = Counted(self.generations)
        self.ledger = cast("MemoryLedger", money.ledger)
        self.twins = [HttpFunction("generations", [generations.router], buffered=False) for _ in range(2)]
        for twin in self.twins:
            twin.configure(self.environ, self.adapters)
            self.register(twin.services)
            twin.services.chat_means.settle_pauses_s = ()
            twin.services.repeats.wait_s = 5.0
        self.key = ""

    async def open_shop(self) -> "Twins":
        if self.clock.now() < START:
            self.clock.jump_to(START)
        manager = KeyManager(self.accounts, self.clock, self.log)
        _, text = await manager.mint(user_id="ann", name="x", scopes=[Scope.GENERATE])
        self.key = text.reveal()
        await self.publish("alpha", model("alpha/m", pricing=priced("1", "10")))
        entry = LedgerEntry(
            id="evt_1", user_id="ann", at=self.clock.now(), kind=EntryKind.GRANT, amount_nanousd=GRANTED
        )
        told = AuditEvent(id="evt_1", at=self.clock.now(), actor="k", action="grant", target="ann")
        await self.money.ledger.add_entry(entry, told)
        return self

    async def ask(self, twin: int = 0, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.twins[twin].app)
        headers = {"authorization": f"Bearer {self.key}", "idempotency-key": "k"}
        async with httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
            return await client.post("/v1/chat/completions", headers=headers, json=BODY | more)

    def answers(self, *steps: Any) -> None:
        self.transport.on("https://alpha.example/chat", *steps)

    async def an_hour_later(self) -> None:
        """What nobody ended is overdue then, and swept."""
        self.clock.advance(3600)
        await self.publish("alpha", model("alpha/m", pricing=priced("1", "10")))
        await self.process("sweep").sweeper.sweep()

    async def spent(self) -> int:
        """Nano-dollars, when nothing is held any more; the entries say so too."""
        balance = await self.money.ledger.balance("ann")
        entries, _ = await self.money.ledger.list_entries("ann", limit=100, cursor=None)
        assert sum(entry.amount_nanousd for entry in entries) == balance.available_nanousd
        assert balance.reserved_nanousd == 0
        return GRANTED - balance.available_nanousd


@pytest.fixture
async def twins(money: Money, clock: ManualClock) -> Twins:
    return await Twins(money, clock).open_shop()


@pytest.mark.parametrize("stream", [False, True])
async def test_over_two_processes_one_runs_and_all_get_its_answer(twins: Twins, stream: bool) -> None:
    twins.answers(lines("say one", "usage 10 5", "END") if stream else said("one"))
    answers = await asyncio.gather(*(twins.ask(number % 2, stream=stream) for number in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert len(twins.transport.requests) == 1
    assert await twins.spent() == CHARGED


async def test_after_a_crash_the_other_process_waits_for_the_sweep_and_goes_on(twins: Twins) -> None:
    twins.answers(said("one"), said("two"))
    twins.fickle.faults = chain([""], repeat("before"))  # it begins, answers, and is gone
    assert (await twins.ask(0)).status_code == 200
    twins.fickle.faults = repeat("")
    twins.twins[1].services.repeats.wait_s = 0.01
    waiting = await twins.ask(1)
    assert (waiting.status_code, "retry-after" in waiting.headers) == (409, True)
    await twins.an_hour_later()
    assert "two" in (await twins.ask(1)).text
    assert await twins.spent() == CHARGED


async def test_a_day_later_another_body_may_have_the_key(twins: Twins) -> None:
    twins.answers(said("one"), said("two"))
    await twins.ask()
    assert (await twins.ask(n=1)).status_code == 409
    twins.clock.advance(24 * 3600)
    await twins.an_hour_later()
    assert "two" in (await twins.ask(n=1)).text


async def charged_once_at_most(twins: Twins, faults: Sequence[str], *, stream: bool) -> None:
    """Asks while the store fails, and again when it is well; then there is an answer, or it is said that
    there was one."""
    twins.answers(lines("say one", "usage 10 5", "END") if stream else said("one"))
    for twin in twins.twins:
        twin.services.repeats.wait_s = 0.0
    twins.fickle.faults = chain(faults, repeat(""))
    given = [answer for n in range(3) if (answer := await twins.ask(n % 2, stream=stream)).status_code == 200]
    twins.fickle.faults = repeat("")
    await twins.an_hour_later()
    last = await twins.ask(stream=stream)
    if last.status_code == 409:
        assert given
        assert "not kept" in last.text
    else:
        assert last.status_code == 200
    assert await twins.spent() == CHARGED


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("place", range(5))
async def test_whichever_write_fails_it_is_charged_once(
    twins: Twins, place: int, fault: str, stream: bool
) -> None:
    await charged_once_at_most(twins, [*repeat("", place), fault], stream=stream)


@given(
    faults=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=14),
    stream=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_in_memory_it_is_charged_once_however_many_fail(faults: list[str], stream: bool) -> None:
    async def play() -> None:
        clock = ManualClock()
        bench = Bench()
        ledger = MemoryLedger(bench.accounts)
        store: GenerationStore = MemoryGenerationStore(clock, ledger=ledger)
        shop = await Twins(Money(ledger, store, bench.accounts), clock).open_shop()
        await charged_once_at_most(shop, faults, stream=stream)

    asyncio.run(play())
