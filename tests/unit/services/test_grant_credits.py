"""What administrators grant is there at once, told, and once however often it is sent."""

import pytest

from headgate.domain.callers import Scope
from headgate.domain.credits import Balance, EntryKind
from headgate.domain.errors import AccessDenied, GatewayFault, InvalidRequest
from headgate.services.acts import Act
from headgate.services.grant_credits import MAX_GRANT_NANOUSD, CreditsOffice
from tests.support.bench import Bench, ann

ROOT = ann(user_id="root", key_id="key_root", scopes=frozenset({Scope.ADMIN}))
ANN = ann()


class Till(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.credits = CreditsOffice(self.ledger)

    def act(self) -> Act:
        self.clock.advance(1)
        return Act(actor="key_root", at=self.clock.now(), user_id="root")

    async def grant(self, amount_nanousd: int, act: Act | None = None) -> EntryKind:
        given = act or self.act()
        entry = await self.credits.grant(given, user_id="ann", amount_nanousd=amount_nanousd, reason="why")
        return entry.kind


async def test_grants_and_adjustments_add_up_to_the_balance() -> None:
    till = Till()
    assert await till.grant(5_000_000_000) is EntryKind.GRANT
    assert await till.grant(-7_000_000_001) is EntryKind.ADJUST
    assert await till.credits.balance(ANN) == Balance(available_nanousd=-2_000_000_001)
    entries, _ = await till.credits.entries(ANN, None, limit=10, cursor=None)
    assert [entry.amount_nanousd for entry in entries] == [-7_000_000_001, 5_000_000_000]
    assert {(entry.actor, entry.reason) for entry in entries} == {("key_root", "why")}


async def test_an_act_that_is_repeated_grants_once() -> None:
    till = Till()
    act = till.act()
    for _ in range(3):
        await till.grant(5, act)
    assert (await till.credits.balance(ANN)).available_nanousd == 5
    assert len((await till.credits.entries(ANN, None, limit=9, cursor=None))[0]) == 1
    assert len(await till.accounts.read_audit(after=None, limit=9)) == 1


@pytest.mark.parametrize("amount_nanousd", [0, MAX_GRANT_NANOUSD + 1, -MAX_GRANT_NANOUSD - 1])
async def test_nothing_and_far_too_much_are_refused(amount_nanousd: int) -> None:
    till = Till()
    with pytest.raises(InvalidRequest) as refused:
        await till.grant(amount_nanousd)
    assert [error.field for error in refused.value.errors] == ["amount"]
    assert await till.credits.balance(ANN) == Balance()


async def test_a_fault_grants_nothing_and_the_same_act_can_be_tried_again() -> None:
    till = Till()
    act = till.act()
    for store in (till.ledger, till.accounts):
        store.fault = GatewayFault.unavailable("The table")
        with pytest.raises(GatewayFault):
            await till.grant(5, act)
        store.fault = None
        assert await till.credits.balance(ANN) == Balance()
    await till.grant(5, act)
    assert (await till.credits.balance(ANN)).available_nanousd == 5


async def test_only_an_administrator_reads_anothers_credits() -> None:
    till = Till()
    await till.grant(5)
    assert (await till.credits.balance(ROOT, "ann")).available_nanousd == 5
    assert (await till.credits.balance(ANN, "ann")).available_nanousd == 5
    for user_id in ("bob", "root"):
        with pytest.raises(AccessDenied):
            await till.credits.balance(ANN, user_id)
        with pytest.raises(AccessDenied):
            await till.credits.entries(ANN, user_id, limit=1, cursor=None)
