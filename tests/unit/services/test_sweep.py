"""The sweep ends what is overdue, all of it, whatever single ones do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.domain.admission import Admission, Closing
from headgate.domain.audit import AuditEvent
from headgate.domain.credits import Balance, EntryKind, Hold, LedgerEntry
from headgate.domain.errors import Conflict, GatewayFault
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.domain.ids import new_id
from headgate.services.sweep import Sweeper, Swept
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock, MemoryGenerationStore, MemoryLedger, MemoryLog


def running(number: int, **fields: object) -> GenerationRecord:
    record = GenerationRecord(
        id=f"gen_{number:04d}",
        owner="ann",
        key_id="key_ann",
        type="text",
        status=GenerationStatus.RUNNING,
        created_at=START,
        due_at=START + timedelta(seconds=number),
    )
    return replace(record, **fields)  # type: ignore[arg-type]


def hold(number: int, amount: int) -> Admission:
    entry = LedgerEntry(
        id=f"led_{number}",
        user_id="ann",
        at=START,
        kind=EntryKind.HOLD,
        amount_nanousd=-amount,
        generation_id=f"gen_{number:04d}",
    )
    return Admission(hold=Hold(entry=entry))


class Stubborn(MemoryGenerationStore):
    """Some generations can't be finished; `slow_s` passes with each that is tried."""

    def __init__(self, clock: ManualClock, ledger: MemoryLedger) -> None:
        super().__init__(clock, ledger=ledger)
        self.clock = clock
        self.slow_s = 0.0
        self.refusing: dict[str, Exception] = {}

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        self.clock.advance(self.slow_s)
        if record.id in self.refusing:
            raise self.refusing[record.id]
        await super().finish(record, closing)


class Broom:
    """A store with things to sweep, an hour later."""

    def __init__(self, *, limit_s: float = 90.0) -> None:
        self.clock = ManualClock()
        self.ledger = MemoryLedger()
        self.log = MemoryLog()
        self.store = Stubborn(self.clock, self.ledger)
        self.sweeper = Sweeper(self.store, self.clock, self.log, limit_s=limit_s)

    async def begun(self, count: int) -> "Broom":
        for number in range(count):
            await self.store.begin(running(number))
        self.clock.advance(3600)
        return self

    async def statuses(self) -> list[str]:
        records, _ = await self.store.list_by_owner("ann", filters={}, limit=1000, cursor=None)
        return [record.status.value for record in reversed(records)]


async def test_what_is_overdue_expires_and_says_that_its_end_is_unknown() -> None:
    broom = Broom()
    await broom.store.begin(running(1, held_nanousd=0), hold(1, 0))
    await broom.store.begin(running(2, due_at=START + timedelta(hours=2)))
    broom.clock.advance(3600)
    assert await broom.sweeper.sweep() == Swept(ended=1)
    record = await broom.store.get("gen_0001")
    assert record is not None
    assert (record.status.value, record.cost_charged_nanousd) == ("expired", 0)
    assert record.completed_at == broom.clock.now()
    assert record.error is not None
    assert (record.error["code"], record.error["origin"]) == ("gateway_unavailable", "gateway")
    assert await broom.statuses() == ["expired", "running"]
    assert await broom.sweeper.sweep() == Swept()


async def test_any_number_of_them_is_ended_in_one_run() -> None:
    broom = await Broom().begun(250)
    assert (await broom.sweeper.sweep()).ended == 250
    assert set(await broom.statuses()) == {"expired"}


async def test_one_that_can_not_be_ended_does_not_keep_the_others() -> None:
    broom = await Broom().begun(150)
    for number in (0, 7, 120):
        broom.store.refusing[f"gen_{number:04d}"] = GatewayFault.unavailable("The store")
    assert await broom.sweeper.sweep() == Swept(ended=147, failed=3)
    assert [entry.fields["generation_id"] for entry in broom.log.named("sweep.failed")] == [
        "gen_0000",
        "gen_0007",
        "gen_0120",
    ]
    broom.store.refusing.clear()
    assert await broom.sweeper.sweep() == Swept(ended=3)


async def test_one_that_ended_by_itself_meanwhile_is_left_as_it_is() -> None:
    broom = await Broom().begun(2)
    broom.store.refusing["gen_0000"] = Conflict("It has ended already.")
    assert await broom.sweeper.sweep() == Swept(ended=1)
    assert not broom.log.named("sweep.failed")


async def test_a_run_ends_in_its_time_and_the_next_goes_on() -> None:
    broom = await Broom(limit_s=10).begun(30)
    broom.store.slow_s = 1
    assert (await broom.sweeper.sweep()).ended == 10
    broom.store.slow_s = 0
    assert (await broom.sweeper.sweep()).ended == 20


async def test_a_hold_of_what_never_ended_is_given_back_whole() -> None:
    broom = Broom()
    grant = LedgerEntry(id="led_g", user_id="ann", at=START, kind=EntryKind.GRANT, amount_nanousd=100)
    granted = AuditEvent(id=new_id("evt"), at=START, actor="root", action="credits.grant", target="ann")
    await broom.ledger.add_entry(grant, granted)
    await broom.store.begin(running(1, held_nanousd=70), hold(1, 70))
    broom.clock.advance(3600)
    assert await broom.sweeper.sweep() == Swept(ended=1, released_nanousd=70)
    assert await broom.ledger.balance("ann") == Balance(available_nanousd=100)


async def test_a_list_that_can_not_be_read_is_a_fault() -> None:
    broom = await Broom().begun(1)
    broom.store.fault = GatewayFault.unavailable("The store")
    with pytest.raises(GatewayFault):
        await broom.sweeper.sweep()
