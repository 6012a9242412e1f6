"""What only DynamoDB's audit log has: where a day's events stand, and what reading them costs."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from headgate.aws.accounts import DynamoAccountStore
from headgate.domain.accounts import ProviderSettings
from headgate.testing.memory import ManualClock
from tests.contract.conftest import Aws
from tests.contract.values import NOON, audit

PLACES = 16
"""Partitions of one day."""


@pytest.fixture
def table(make_table: Callable[[str], str]) -> str:
    return make_table("AccountsTable")


@pytest.fixture
def accounts(aws: Aws, table: str, clock: ManualClock) -> DynamoAccountStore:
    return DynamoAccountStore(aws.clients, table, clock)


def events_of(admin: Any, table: str) -> list[dict[str, Any]]:
    return [item for item in admin.scan(TableName=table)["Items"] if item["pk"]["S"].startswith("AUDIT#")]


async def test_a_days_events_are_spread_so_that_no_partition_takes_them_all(
    accounts: DynamoAccountStore, table: str, admin: Any
) -> None:
    await accounts.append_audit([audit(number) for number in range(160)])
    counts = Counter(item["pk"]["S"] for item in events_of(admin, table))
    assert len(counts) == PLACES
    assert max(counts.values()) < 160 / 4
    assert all(pk.startswith("AUDIT#2026-11-20") for pk in counts)


@pytest.mark.parametrize("limit", [1, 7, 60, 200])
async def test_a_page_is_the_first_of_all_places_in_order_and_costs_about_one_reading_of_each(
    aws: Aws, accounts: DynamoAccountStore, limit: int
) -> None:
    events = [audit(number) for number in range(150)]
    await accounts.append_audit(events)
    aws.calls.clear()
    assert await accounts.read_audit(after=events[9].id, limit=limit) == events[10 : 10 + limit]
    days = 1
    assert len(aws.calls) <= days + 2 * PLACES


async def test_events_of_a_day_before_it_had_several_places_are_read_among_the_others(
    accounts: DynamoAccountStore, table: str, admin: Any
) -> None:
    events = [audit(number) for number in range(20)]
    await accounts.append_audit(events)
    for item in events_of(admin, table)[::2]:
        key = {name: item[name] for name in ("pk", "sk")}
        admin.delete_item(TableName=table, Key=key)
        admin.put_item(TableName=table, Item={**item, "pk": {"S": "AUDIT#2026-11-20"}})
    assert await accounts.read_audit(after=None, limit=50) == events
    assert await accounts.read_audit(after=events[4].id, limit=3) == events[5:8]


async def test_a_change_that_is_told_is_one_call_and_made_once_wherever_its_event_stands(
    aws: Aws, accounts: DynamoAccountStore
) -> None:
    told = [audit(number, at=NOON + timedelta(seconds=number)) for number in range(PLACES)]
    await accounts.append_audit(told[:1])
    aws.calls.clear()
    for event in told[1:]:
        for flags in ({"first": True}, {"again": True}):
            await accounts.put_settings(f"user:{event.id}", ProviderSettings(flags=flags), event)
    assert aws.operations() == ["transact_write_items"] * 2 * (PLACES - 1)
    for event in told[1:]:
        stored = await accounts.get_settings(f"user:{event.id}")
        assert stored is not None
        assert stored.flags == {"first": True}
    assert await accounts.read_audit(after=None, limit=50) == told
