"""What services may rely on of any ledger, and of what generations hold and settle in it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from headgate.domain.admission import Admission, Claim, Closing, Correction, Counter
from headgate.domain.audit import AuditEvent
from headgate.domain.catalog import Pricing
from headgate.domain.credits import Balance, EntryKind, Hold, LedgerEntry, Settlement
from headgate.domain.errors import Conflict, InvalidRequest, LimitReached
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.domain.ids import new_id
from headgate.ports import AlreadyClaimed
from headgate.testing.memory import ManualClock
from tests.contract.conftest import Money
from tests.contract.values import NOON, generation

PRICE = Pricing(input=Decimal("0.15"), output=Decimal("0.6"), units={"request": Decimal("0.01")}, source="x")


@pytest.fixture(autouse=True)
def _noon(clock: ManualClock) -> None:
    clock.jump_to(NOON)


def entry(number: int, amount: int, **fields: object) -> LedgerEntry:
    made = {
        "id": f"led_{number:04d}",
        "user_id": "ada",
        "at": NOON + timedelta(seconds=number),
        "kind": EntryKind.GRANT,
        "amount_nanousd": amount,
        **fields,
    }
    return LedgerEntry(**made)  # type: ignore[arg-type]


def audit() -> AuditEvent:
    return AuditEvent(id=new_id("evt"), at=NOON, actor="key_root", action="credits.grant", target="ada")


async def grant(money: Money, amount: int, number: int = 0) -> None:
    await money.ledger.add_entry(entry(number, amount), audit())


def hold(amount: int, number: int = 1) -> Admission:
    made = entry(
        1000 + number,
        -amount,
        kind=EntryKind.HOLD,
        generation_id=f"gen_{number:04d}",
        price=PRICE,
    )
    return Admission(hold=Hold(entry=made))


def settle(held: int, cost: int | None, number: int = 1) -> Closing:
    made = entry(
        2000 + number,
        held - (cost or 0),
        kind=EntryKind.RELEASE if cost is None else EntryKind.SETTLE,
        generation_id=f"gen_{number:04d}",
        charged_nanousd=cost,
    )
    return Closing(settlement=Settlement(entry=made, held_nanousd=held))


def done(record: GenerationRecord) -> GenerationRecord:
    return replace(record, status=GenerationStatus.SUCCEEDED, completed_at=NOON)


async def amounts(money: Money, user_id: str = "ada") -> list[int]:
    """Newest first."""
    found, cursor = await money.ledger.list_entries(user_id, limit=1000, cursor=None)
    assert cursor is None
    return [each.amount_nanousd for each in found]


async def test_who_never_had_any_has_nothing_and_owes_nothing(money: Money) -> None:
    assert await money.ledger.balance("ada") == Balance()
    assert await money.ledger.list_entries("ada", limit=5, cursor=None) == ([], None)


async def test_a_grant_is_available_at_once_and_told_with_everything_said_of_it(money: Money) -> None:
    granted = entry(1, 5_000_000_000, actor="key_root", reason="a gift: 5 $")
    event = audit()
    await money.ledger.add_entry(granted, event)
    await money.ledger.add_entry(entry(2, -2_000_000_000, kind=EntryKind.ADJUST), audit())
    assert await money.ledger.balance("ada") == Balance(available_nanousd=3_000_000_000)
    entries, _ = await money.ledger.list_entries("ada", limit=5, cursor=None)
    assert entries[1] == granted
    assert event in await money.audit.read_audit(after=None, limit=10)
    assert await money.ledger.balance("grace") == Balance()


async def test_a_grant_that_is_sent_again_happens_once_even_if_it_bears_another_time(money: Money) -> None:
    for later_s in (0, 0, 60):
        again = entry(1, 500)
        await money.ledger.add_entry(replace(again, at=again.at + timedelta(seconds=later_s)), audit())
    assert await amounts(money) == [500]
    assert len(await money.audit.read_audit(after=None, limit=10)) == 1


@pytest.mark.parametrize("other", [{"amount_nanousd": 501}, {"user_id": "grace"}, {"reason": "other"}])
async def test_another_entry_of_the_same_id_is_a_conflict(money: Money, other: dict[str, object]) -> None:
    await money.ledger.add_entry(entry(1, 500), audit())
    with pytest.raises(Conflict):
        await money.ledger.add_entry(replace(entry(1, 500), **other), audit())  # type: ignore[arg-type]
    assert await amounts(money) == [500]
    assert await amounts(money, "grace") == []


async def test_entries_come_newest_first_by_pages_that_neither_skip_nor_repeat(money: Money) -> None:
    for number in range(7):
        await money.ledger.add_entry(replace(entry(number, number + 1), at=NOON), audit())
    pages: list[list[int]] = []
    cursor = None
    while not pages or cursor is not None:
        found, cursor = await money.ledger.list_entries("ada", limit=3, cursor=cursor)
        pages.append([each.amount_nanousd for each in found])
        await money.ledger.add_entry(entry(100 + len(pages), 1), audit())
    assert pages == [[7, 6, 5], [4, 3, 2], [1]]


async def test_a_cursor_serves_its_user_alone(money: Money) -> None:
    for number in range(2):
        await money.ledger.add_entry(entry(number, 1), audit())
    _, cursor = await money.ledger.list_entries("ada", limit=1, cursor=None)
    with pytest.raises(InvalidRequest):
        await money.ledger.list_entries("grace", limit=1, cursor=cursor)
    with pytest.raises(InvalidRequest):
        await money.ledger.list_entries("ada", limit=1, cursor="nonsense")


async def test_what_is_held_is_not_available_until_it_is_settled(money: Money) -> None:
    await grant(money, 1000)
    await money.generations.begin(generation(1), hold(600))
    assert await money.ledger.balance("ada") == Balance(available_nanousd=400, reserved_nanousd=600)
    await money.generations.finish(done(generation(1)), settle(600, 250))
    assert await money.ledger.balance("ada") == Balance(available_nanousd=750)
    assert await amounts(money) == [350, -600, 1000]


async def test_a_hold_may_take_the_last_of_it_and_not_more(money: Money) -> None:
    await grant(money, 1000)
    with pytest.raises(LimitReached) as refused:
        await money.generations.begin(generation(1), hold(1001))
    assert refused.value.code == "insufficient_credits"
    assert refused.value.members == {
        "needed": {"amount": "0.000001001", "currency": "USD"},
        "available": {"amount": "0.000001", "currency": "USD"},
    }
    assert await money.generations.get("gen_0001") is None
    assert await amounts(money) == [1000]
    await money.generations.begin(generation(1), hold(1000))
    assert await money.ledger.balance("ada") == Balance(reserved_nanousd=1000)


async def test_who_has_nothing_can_hold_nothing_but_nothing(money: Money) -> None:
    with pytest.raises(LimitReached) as refused:
        await money.generations.begin(generation(1), hold(1))
    assert refused.value.members["available"] == {"amount": "0", "currency": "USD"}
    await money.generations.begin(generation(1), hold(0))
    assert await amounts(money) == [0]


async def test_a_call_may_cost_more_than_it_held_and_then_nothing_can_be_held(money: Money) -> None:
    await grant(money, 100)
    await money.generations.begin(generation(1), hold(100))
    await money.generations.finish(done(generation(1)), settle(100, 130))
    assert await money.ledger.balance("ada") == Balance(available_nanousd=-30)
    for amount in (0, 1):
        with pytest.raises(LimitReached) as refused:
            await money.generations.begin(generation(2), hold(amount, 2))
        assert refused.value.members["available"] == {"amount": "-0.00000003", "currency": "USD"}
    await grant(money, 30, 9)
    await money.generations.begin(generation(2), hold(0, 2))


async def test_of_many_holds_at_once_as_many_are_granted_as_are_covered(money: Money) -> None:
    await grant(money, 1000)
    begun = await asyncio.gather(
        *(money.generations.begin(generation(number), hold(100, number)) for number in range(1, 17)),
        return_exceptions=True,
    )
    held = [number for number, outcome in enumerate(begun, start=1) if outcome is None]
    refused = [outcome for outcome in begun if outcome is not None]
    assert len(held) == 10
    assert all(isinstance(one, LimitReached) and one.code == "insufficient_credits" for one in refused)
    assert await money.ledger.balance("ada") == Balance(reserved_nanousd=1000)
    await asyncio.gather(
        *(money.generations.finish(done(generation(number)), settle(100, 30, number)) for number in held)
    )
    assert await money.ledger.balance("ada") == Balance(available_nanousd=700)
    assert sum(await amounts(money)) == 700


async def test_a_release_gives_all_of_it_back(money: Money) -> None:
    await grant(money, 100)
    await money.generations.begin(generation(1), hold(70))
    await money.generations.finish(done(generation(1)), settle(70, None))
    assert await money.ledger.balance("ada") == Balance(available_nanousd=100)
    assert sum(await amounts(money)) == 100


async def test_beginning_and_finishing_again_move_money_once(money: Money) -> None:
    await grant(money, 100)
    for _ in range(3):
        await money.generations.begin(generation(1), hold(70))
    for _ in range(3):
        await money.generations.finish(done(generation(1)), settle(70, 10))
    assert await amounts(money) == [60, -70, 100]


async def test_a_second_outcome_moves_nothing(money: Money) -> None:
    await grant(money, 100)
    await money.generations.begin(generation(1), hold(70))
    await money.generations.finish(done(generation(1)), settle(70, 10))
    expired = replace(generation(1), status=GenerationStatus.EXPIRED)
    with pytest.raises(Conflict):
        await money.generations.finish(expired, settle(70, None))
    assert await money.ledger.balance("ada") == Balance(available_nanousd=90)
    found = await money.generations.get("gen_0001")
    assert found is not None
    assert found.status is GenerationStatus.SUCCEEDED


async def test_nothing_is_settled_for_what_never_began(money: Money) -> None:
    with pytest.raises(Conflict):
        await money.generations.finish(done(generation(1)), settle(70, 10))
    assert await amounts(money) == []
    assert await money.ledger.balance("ada") == Balance()


def counter(limit: int, amount: int = 1, **fields: object) -> Counter:
    made = {"name": "key_1#spend#2026-11", "measure": "spend", "amount": amount, "limit": limit, **fields}
    return Counter(expires_at=NOON + timedelta(minutes=1), **made)  # type: ignore[arg-type]


async def test_money_is_held_only_if_everything_else_is_granted_too(money: Money) -> None:
    await grant(money, 100)
    claim = Claim(name="c", fingerprint="f", expires_at=NOON + timedelta(days=1))
    await money.generations.begin(generation(1), Admission(claim=claim))
    for refused, admission in (
        (LimitReached, replace(hold(70), counters=(counter(1, 2),))),
        (AlreadyClaimed, replace(hold(70), claim=claim)),
    ):
        with pytest.raises(refused):
            await money.generations.begin(generation(2), admission)
    assert await amounts(money) == [100]


async def test_nothing_is_counted_or_claimed_without_the_money(money: Money) -> None:
    claim = Claim(name="c", fingerprint="f", expires_at=NOON + timedelta(days=1))
    for _ in range(3):
        with pytest.raises(LimitReached) as refused:
            await money.generations.begin(
                generation(1), replace(hold(70), claim=claim, counters=(counter(1),))
            )
        assert refused.value.code == "insufficient_credits"
    await money.generations.begin(generation(1), Admission(claim=claim, counters=(counter(1),)))


async def test_of_several_refusals_the_claim_comes_first_and_money_last(money: Money) -> None:
    claim = Claim(name="c", fingerprint="f", expires_at=NOON + timedelta(days=1))
    await money.generations.begin(generation(1), Admission(claim=claim, counters=(counter(1),)))
    everything = replace(hold(70), claim=claim, counters=(counter(1),))
    with pytest.raises(AlreadyClaimed):
        await money.generations.begin(generation(2), everything)
    with pytest.raises(AlreadyClaimed):
        await money.generations.begin(replace(generation(1), type="image"), everything)
    with pytest.raises(LimitReached) as refused:
        await money.generations.begin(generation(2), replace(everything, claim=None))
    assert refused.value.code == "rate_limited"


async def test_settlement_and_corrections_come_together(money: Money) -> None:
    await grant(money, 100)
    await money.generations.begin(generation(1), replace(hold(70), counters=(counter(80, 70),)))
    correction = Correction(name="key_1#spend#2026-11", amount=-60, expires_at=NOON + timedelta(minutes=1))
    await money.generations.finish(done(generation(1)), replace(settle(70, 10), corrections=(correction,)))
    await money.generations.begin(generation(2), replace(hold(70, 2), counters=(counter(80, 70),)))
    assert await money.ledger.balance("ada") == Balance(available_nanousd=20, reserved_nanousd=70)
