"""What only DynamoDB's store of usage has: calls counted, faults between its writes, many readers' costs."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from headgate.aws.clients import AwsClients
from headgate.aws.faults import Cancellation, TransactionCancelled
from headgate.aws.usage import DynamoUsageStore
from headgate.domain.errors import GatewayFault
from headgate.domain.usage import Dimension, UsageSums
from headgate.ports import TooMuchUsage
from headgate.testing.memory import ManualClock, MemoryUsageStore
from tests.contract.conftest import Aws
from tests.contract.test_usage_store import TODAY, done, expect, ids, mixed

PAGE_BYTES = 1_000_000
"""What a Query reads before it gives a page: 1 MB."""


@pytest.fixture
def table(make_table: Callable[[str], str]) -> str:
    return make_table("LedgerTable")


@pytest.fixture
def usage(aws: Aws, table: str, clock: ManualClock) -> DynamoUsageStore:
    return DynamoUsageStore(aws.clients, table, clock)


class Interrupted:
    """Clients whose transactions fail as told: `before` it happens, or once it has, `after`."""

    def __init__(self, inner: AwsClients, *, before: Mapping[int, Exception] = {}, after: set[int] = set()):  # noqa: B006 - never changed
        self._inner = inner
        self._before, self._after = dict(before), after
        self.transactions = 0

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation != "transact_write_items":
            return await self._inner.call(service, operation, **params)
        self.transactions += 1
        if self.transactions in self._before:
            raise self._before[self.transactions]
        answer = await self._inner.call(service, operation, **params)
        if self.transactions in self._after:  # as the SDK does it when the answer is lost
            answer = await self._inner.call(service, operation, **params)
        return answer

    async def pause(self, tries: int) -> None:
        assert tries > 0


def conflict(actions: int) -> TransactionCancelled:
    """As AWS says that another transaction holds the last of these items."""
    return TransactionCancelled(
        (*[Cancellation("None")] * (actions - 1), Cancellation("TransactionConflict"))
    )


def interrupted(aws: Aws, table: str, clock: ManualClock, **how: Any) -> tuple[DynamoUsageStore, Interrupted]:
    clients = Interrupted(aws.clients, **how)
    return DynamoUsageStore(clients, table, clock), clients  # type: ignore[arg-type]


# -- writes -------------------------------------------------------------------------------------------------


async def test_a_batch_of_one_user_and_model_is_one_transaction(aws: Aws, usage: DynamoUsageStore) -> None:
    await usage.count_usage([done(number) for number in range(90)])
    assert aws.operations() == ["transact_write_items"]
    actions = aws.calls[0].params["TransactItems"]
    assert len(actions) == 90 + 2 * 4


async def test_no_transaction_is_larger_than_aws_takes(aws: Aws, usage: DynamoUsageStore) -> None:
    records = [
        done(
            number,
            owner=f"user_{number}",
            project_id=f"prj_{number}",
            key_id=f"key_{number}",
            model=f"openai/{number}",
        )
        for number in range(25)
    ]
    assert await usage.count_usage(records) == records
    sizes = [len(call.params["TransactItems"]) for call in aws.calls]
    assert max(sizes) <= 100
    assert len(sizes) <= 4


async def test_only_what_marks_a_generation_as_counted_expires(
    usage: DynamoUsageStore, table: str, admin: Any, clock: ManualClock
) -> None:
    await usage.count_usage([done(1)])
    items = admin.scan(TableName=table)["Items"]
    ends = {item["pk"]["S"]: int(item["expires_at"]["N"]) for item in items if "expires_at" in item}
    assert ends == {"SEEN#gen_0001": int((clock.now() + timedelta(days=2)).timestamp())}
    assert len(items) == 1 + 8


# -- faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_after_a_fault_anywhere_the_same_batch_again_counts_the_rest_once(
    aws: Aws, table: str, clock: ManualClock, failing: int
) -> None:
    records = mixed(110)
    fault = GatewayFault.unavailable("The store")
    broken, clients = interrupted(aws, table, clock, before={failing: fault})
    with pytest.raises(GatewayFault):
        await broken.count_usage(records)
    left = await broken.count_usage(records)
    assert clients.transactions > failing
    assert left == records[-len(left) :]
    assert (len(left) == len(records)) is (failing == 1)
    await expect(broken, records)


async def test_a_transaction_that_is_sent_twice_counts_once_and_says_that_it_counted(
    aws: Aws, table: str, clock: ManualClock
) -> None:
    records = mixed(30)
    resending, _ = interrupted(aws, table, clock, after={1})
    assert await resending.count_usage(records) == records
    await expect(resending, records)


async def test_one_that_meets_another_is_sent_again(aws: Aws, table: str, clock: ManualClock) -> None:
    contended, clients = interrupted(aws, table, clock, before={1: conflict(9), 2: conflict(9)})
    assert await contended.count_usage([done(1)]) == [done(1)]
    assert clients.transactions == 3
    await expect(contended, [done(1)])


def places_of_all(admin: Any, table: str) -> dict[str, int]:
    """Requests by partition, of the sums over all users by day."""
    items = [item for item in admin.scan(TableName=table)["Items"] if item["pk"]["S"].startswith("USE##day")]
    return {item["pk"]["S"]: int(item["requests"]["N"]) for item in items}


async def test_who_never_met_another_keeps_the_sums_over_all_users_in_one_place(
    usage: DynamoUsageStore, table: str, admin: Any
) -> None:
    for number in range(12):
        await usage.count_usage([done(number)])
    assert places_of_all(admin, table) == {"USE##day": 12}


async def test_who_met_another_spreads_the_sums_over_all_users_for_a_while_and_they_add_up(
    aws: Aws, table: str, admin: Any, clock: ManualClock
) -> None:
    records = [done(number, owner=f"user_{number}") for number in range(40)]
    contended, _ = interrupted(aws, table, clock, before={1: conflict(9)})
    for record in records[:36]:
        assert await contended.count_usage([record]) == [record]
    spread = places_of_all(admin, table)
    assert len(spread) > 3
    assert max(spread.values()) < 36 / 2
    clock.advance(301)
    for record in records[36:]:
        await contended.count_usage([record])
    after = places_of_all(admin, table)
    assert after["USE##day"] == spread.get("USE##day", 0) + 4
    assert {pk: n for pk, n in after.items() if pk != "USE##day"} == {
        pk: n for pk, n in spread.items() if pk != "USE##day"
    }
    await expect(contended, records)


async def test_one_that_never_gets_through_is_a_fault_that_may_pass(
    aws: Aws, table: str, clock: ManualClock
) -> None:
    stuck, _ = interrupted(aws, table, clock, before=dict.fromkeys(range(1, 50), conflict(9)))
    with pytest.raises(GatewayFault) as fault:
        await stuck.count_usage([done(1)])
    assert fault.value.code == "gateway_unavailable"
    assert await stuck.read_usage("ada", Dimension.DAY, first_day=TODAY, last_day=TODAY) == {}


async def test_one_that_can_never_be_written_is_a_fault_of_ours(
    aws: Aws, table: str, clock: ManualClock
) -> None:
    refused = TransactionCancelled((Cancellation("ValidationError"),))
    broken, clients = interrupted(aws, table, clock, before={1: refused})
    with pytest.raises(GatewayFault) as fault:
        await broken.count_usage([done(1)])
    assert (fault.value.code, clients.transactions) == ("internal", 1)


async def test_shards_that_count_at_once_lose_nothing(aws: Aws, table: str, clock: ManualClock) -> None:
    """Each with a client of its own, as functions have; every shard is delivered twice."""
    records = mixed(60)
    shards = [records[at::4] for at in range(4)] * 2
    stores = [DynamoUsageStore(aws.clients, table, clock) for _ in shards]
    found = await asyncio.gather(
        *(store.count_usage(shard) for store, shard in zip(stores, shards, strict=True))
    )
    assert sorted(one for new in found for one in ids(new)) == sorted(ids(records))
    await expect(stores[0], records)


# -- reads --------------------------------------------------------------------------------------------------


def put_sums(admin: Any, table: str, *, days: int, groups: int, requests: int) -> None:
    """Sums of `days × groups` cells, `requests` in each, as if so many generations had been counted."""
    first = date(2026, 1, 1)
    rows = [
        {
            "pk": {"S": "USE##model"},
            "sk": {"S": f"{first + timedelta(days=day)}#openrouter/maker/model-{group:04d}"},
            **{name: {"N": str(requests)} for name in ("requests", "input_tokens", "output_tokens", "timed")},
            **{name: {"N": str(requests * 1000)} for name in ("cost_nanousd", "latency_ms")},
        }
        for day in range(days)
        for group in range(groups)
    ]
    for at in range(0, len(rows), 25):
        batch = [{"PutRequest": {"Item": row}} for row in rows[at : at + 25]]
        admin.batch_write_item(RequestItems={table: batch})


async def test_a_million_generations_are_read_in_as_many_calls_as_their_sums_fill_pages(
    aws: Aws, usage: DynamoUsageStore, table: str, admin: Any
) -> None:
    days, groups, each = 30, 200, 170
    assert days * groups * each > 1_000_000
    put_sums(admin, table, days=days, groups=groups, requests=each)
    aws.calls.clear()
    found = await usage.read_usage(None, Dimension.MODEL, first_day="2026-01-01", last_day="2026-01-30")
    assert len(found) == groups
    assert {one.requests for one in found.values()} == {days * each}
    cell_bytes = 220
    assert set(aws.operations()) == {"query"}
    places = 8  # where such sums may stand
    assert len(aws.calls) <= -(-days * groups * cell_bytes // PAGE_BYTES) + places
    aws.calls.clear()
    one = await usage.read_usage(None, Dimension.MODEL, first_day="2026-01-07", last_day="2026-01-07")
    assert {each_.requests for each_ in one.values()} == {each}
    assert len(aws.calls) == places
    aws.calls.clear()
    await usage.read_usage("ada", Dimension.MODEL, first_day="2026-01-01", last_day="2026-01-30")
    assert len(aws.calls) == 1


@pytest.mark.parametrize("kind", ["memory", "aws"])
async def test_a_reading_ends_however_many_groups_there_are(
    aws: Aws, table: str, clock: ManualClock, kind: str
) -> None:
    store = (
        MemoryUsageStore(clock, most_cells=5)
        if kind == "memory"
        else DynamoUsageStore(aws.clients, table, clock, most_cells=5)
    )
    await store.count_usage([done(number, model=f"openai/{number}") for number in range(6)])
    with pytest.raises(TooMuchUsage):
        await store.read_usage("ada", Dimension.MODEL, first_day=TODAY, last_day=TODAY)
    assert len(await store.read_usage("ada", Dimension.KEY, first_day=TODAY, last_day=TODAY)) == 1


async def test_what_another_version_wrote_beside_the_sums_is_no_obstacle(
    usage: DynamoUsageStore, table: str, admin: Any
) -> None:
    await usage.count_usage([done(1)])
    key = {"pk": {"S": "USE#ada#day"}, "sk": {"S": f"{TODAY}#{TODAY}"}}
    admin.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET images = :n REMOVE timed",
        ExpressionAttributeValues={":n": {"N": "3"}},
    )
    found = await usage.read_usage("ada", Dimension.DAY, first_day=TODAY, last_day=TODAY)
    assert found == {
        TODAY: UsageSums(requests=1, input_tokens=10, output_tokens=2, cost_nanousd=7, latency_ms=1500)
    }
