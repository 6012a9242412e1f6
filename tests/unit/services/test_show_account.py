"""What a key has spent, and what its user's credits are, add up as the records do."""

from datetime import timedelta

import pytest

from headgate.domain.audit import audit_event
from headgate.domain.callers import ApiKey, Scope
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.services.manage_keys import KeyManager
from headgate.testing.memory import MemoryUsageStore
from tests.support.bench import Bench, ann


class Books(Bench):
    """It is Friday, 2026-11-20."""

    async def key(self, days_ago: int = 400) -> ApiKey:
        """A key of ann's that is so old."""
        now = self.clock.now()
        self.clock.jump_to(now - timedelta(days=days_ago))
        manager = KeyManager(self.accounts, self.clock, self.log)
        key, _ = await manager.mint(user_id="ann", name="x", scopes=[Scope.GENERATE])
        self.clock.jump_to(now)
        return key

    async def spend(self, key_id: str, amount_nanousd: int, *, days_ago: int, user_id: str = "ann") -> None:
        at = self.clock.now() - timedelta(days=days_ago)
        record = GenerationRecord(
            id=f"gen_{key_id}_{amount_nanousd}",
            owner=user_id,
            key_id=key_id,
            type="text",
            status=GenerationStatus.SUCCEEDED,
            created_at=at,
            completed_at=at,
            cost_charged_nanousd=amount_nanousd,
        )
        await self.usage.count_usage([record])


async def test_a_keys_spending_is_by_day_week_month_and_all_of_it() -> None:
    books = Books()
    key = await books.key()
    for amount, days_ago in ((1, 0), (10, 4), (100, 5), (1_000, 19), (10_000, 20), (100_000, 300)):
        await books.spend(key.id, amount, days_ago=days_ago)
    await books.spend("key_other", 5, days_ago=0)
    found = await books.process("accounts").account.of_key(ann(key_id=key.id))
    assert found.key == key
    assert found.day_nanousd == 1
    assert found.week_nanousd == 11, "the week began on Monday, four days ago"
    assert found.month_nanousd == 1_111, "the month began 19 days ago"
    assert found.total_nanousd == 111_111


async def test_a_caller_with_a_token_has_spending_but_no_key() -> None:
    books = Books()
    await books.spend("oidc:ann", 7, days_ago=40)
    found = await books.process("accounts").account.of_key(ann(key_id="oidc:ann"))
    assert (found.key, found.total_nanousd, found.month_nanousd) == (None, 7, 0)


async def test_what_was_granted_less_what_was_used_is_the_balance() -> None:
    books = Books()
    now = books.clock.now()
    entry = LedgerEntry(
        id="evt_1", user_id="ann", at=now, kind=EntryKind.GRANT, amount_nanousd=100, actor="x", reason="y"
    )
    await books.ledger.add_entry(entry, audit_event(at=now, actor="x", action="credits.grant", target="ann"))
    await books.spend("key_1", 30, days_ago=0)
    await books.spend("key_2", 12, days_ago=200)
    await books.spend("key_3", 1_000, days_ago=0, user_id="bob")
    granted, used = await books.process("accounts").account.credits(ann())
    assert (granted - used, used) == (100, 42)


async def test_more_usage_than_can_be_added_up_is_said_and_no_wrong_sum_is_given() -> None:
    books = Books()
    books.usage = MemoryUsageStore(books.clock, most_cells=2)
    key = await books.key()
    for amount in range(1, 5):
        await books.spend(key.id, amount, days_ago=amount)
    with pytest.raises(GatewayFault) as refused:
        await books.process("accounts").account.of_key(ann(key_id=key.id))
    assert "/v2/usage" in refused.value.detail
