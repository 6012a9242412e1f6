"""What services may rely on of any store of usage."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus, Usage
from headgate.domain.usage import Dimension, UsageSums, added
from headgate.ports import UsageStore
from headgate.testing.memory import ManualClock
from tests.contract.values import NOON, generation

TODAY = "2026-11-20"
ALL_TIME = {"first_day": "0001-01-01", "last_day": "9999-12-31"}


def done(number: int, **fields: Any) -> GenerationRecord:
    """A finished generation of 10 tokens in, 2 out, 7 nano-dollars and 1.5 s."""
    made = generation(number)
    return generation(
        number,
        **{
            "status": GenerationStatus.SUCCEEDED,
            "model": "openai/gpt",
            "provider": "openai",
            "started_at": made.created_at,
            "completed_at": made.created_at + timedelta(seconds=1.5),
            "usage": Usage(input_tokens=10, output_tokens=2),
            "cost_charged_nanousd": 7,
            **fields,
        },
    )


def sums(requests: int, **more: int) -> UsageSums:
    """Those of as many generations as `done` makes them."""
    plain = {
        "requests": requests,
        "input_tokens": 10 * requests,
        "output_tokens": 2 * requests,
        "cost_nanousd": 7 * requests,
        "latency_ms": 1500 * requests,
        "timed": requests,
    }
    return UsageSums(**(plain | more))


async def read(
    usage: UsageStore, user_id: str | None, dimension: Dimension, *, days: str = TODAY
) -> dict[str, UsageSums]:
    first, _, last = days.partition("..")
    return dict(await usage.read_usage(user_id, dimension, first_day=first, last_day=last or first))


async def requests(usage: UsageStore, user_id: str | None = None) -> int:
    found = await usage.read_usage(user_id, Dimension.DAY, **ALL_TIME)
    return sum(each.requests for each in found.values())


def ids(records: Sequence[GenerationRecord]) -> list[str]:
    return [record.id for record in records]


async def test_nothing_counted_is_nothing(usage: UsageStore) -> None:
    assert await usage.count_usage([]) == []
    for dimension in Dimension:
        assert await read(usage, "ada", dimension) == await read(usage, None, dimension) == {}


async def test_one_is_counted_in_every_dimension_for_its_owner_and_over_all(usage: UsageStore) -> None:
    record = done(1, project_id="prj_1")
    assert await usage.count_usage([record]) == [record]
    for user_id in ("ada", None):
        found = {dimension: await read(usage, user_id, dimension) for dimension in Dimension}
        assert found == {
            Dimension.MODEL: {"openai/gpt": sums(1)},
            Dimension.PROVIDER: {"openai": sums(1)},
            Dimension.PROJECT: {"prj_1": sums(1)},
            Dimension.KEY: {"key_1": sums(1)},
            Dimension.DAY: {TODAY: sums(1)},
        }
    assert await read(usage, "grace", Dimension.DAY) == {}


async def test_users_are_kept_apart_and_summed_over_all(usage: UsageStore) -> None:
    await usage.count_usage([done(1), done(2, owner="grace"), done(3, owner="grace", model="openai/o")])
    assert await read(usage, "ada", Dimension.MODEL) == {"openai/gpt": sums(1)}
    assert await read(usage, "grace", Dimension.MODEL) == {"openai/gpt": sums(1), "openai/o": sums(1)}
    assert await read(usage, None, Dimension.MODEL) == {"openai/gpt": sums(2), "openai/o": sums(1)}


@pytest.mark.parametrize("name", ["*", "#", "a#model", "USE#ada", "ada#day#", "Zoë 🦊", "x" * 200])
async def test_no_name_of_a_user_reaches_anothers_sums(usage: UsageStore, name: str) -> None:
    await usage.count_usage([done(1), done(2, owner=name), done(3, owner=name)])
    for dimension in (Dimension.MODEL, Dimension.DAY):
        assert [each.requests for each in (await read(usage, name, dimension)).values()] == [2]
        assert [each.requests for each in (await read(usage, "ada", dimension)).values()] == [1]
        assert [each.requests for each in (await read(usage, None, dimension)).values()] == [3]


async def test_what_is_unknown_adds_nothing_and_failures_are_errors(usage: UsageStore) -> None:
    await usage.count_usage(
        [
            done(1, usage=None, cost_charged_nanousd=None),
            done(2, usage=Usage(input_tokens=4), cost_charged_nanousd=-3),
            done(3, status=GenerationStatus.FAILED, usage=None, cost_charged_nanousd=0),
            done(4, status=GenerationStatus.CANCELLED, usage=None, cost_charged_nanousd=0),
            done(5, status=GenerationStatus.EXPIRED, usage=None, cost_charged_nanousd=0),
        ]
    )
    assert await read(usage, "ada", Dimension.DAY) == {
        TODAY: UsageSums(requests=5, input_tokens=4, cost_nanousd=-3, errors=2, latency_ms=6000, timed=4)
    }


async def test_one_that_reached_no_provider_has_no_model_and_still_a_day(usage: UsageStore) -> None:
    await usage.count_usage([done(1, status=GenerationStatus.FAILED, model=None, provider=None)])
    assert await read(usage, "ada", Dimension.MODEL) == {}
    assert await read(usage, "ada", Dimension.PROVIDER) == {}
    assert (await read(usage, "ada", Dimension.DAY))[TODAY].errors == 1


async def test_a_model_has_one_name_whether_it_served_or_failed(usage: UsageStore) -> None:
    failed = Attempt(provider="openai", model="openai/gpt", outcome="failed")
    asked_last = done(2, model="openai/gpt", attempts=(failed,), usage=None)
    await usage.count_usage([done(1, attempts=(failed,)), asked_last])
    assert {group: each.requests for group, each in (await read(usage, "ada", Dimension.MODEL)).items()} == {
        "openai/gpt": 2
    }


async def test_days_are_those_of_completion_in_utc_and_read_inclusively(usage: UsageStore) -> None:
    for days in range(5):
        at = NOON + timedelta(days=days, hours=11, minutes=59)
        await usage.count_usage([done(days, completed_at=at, started_at=at - timedelta(seconds=1.5))])
    late = NOON + timedelta(hours=12)
    await usage.count_usage([done(9, started_at=late - timedelta(seconds=1.5), completed_at=late)])
    by_day = await read(usage, "ada", Dimension.DAY, days="2026-11-20..2026-11-22")
    assert {day: each.requests for day, each in by_day.items()} == {
        "2026-11-20": 1,
        "2026-11-21": 2,
        "2026-11-22": 1,
    }
    by_model = await read(usage, "ada", Dimension.MODEL, days="2026-11-21..2026-11-24")
    assert by_model == {"openai/gpt": sums(5)}


@pytest.mark.parametrize("group", ["a#b", "#", "  ", "…", "p" * 200, "p" * 5_000, "🦊" * 300])
async def test_any_name_of_a_group_is_counted_and_apart_from_the_others(
    usage: UsageStore, group: str
) -> None:
    await usage.count_usage([done(1, project_id=group), done(2, project_id=f"{group}!"), done(3)])
    found = await read(usage, "ada", Dimension.PROJECT)
    assert sorted(each.requests for each in found.values()) == [1, 1]
    if len(group) < 200:
        assert set(found) == {group, f"{group}!"}


# -- exactly once -------------------------------------------------------------------------------------------


async def test_what_is_delivered_again_is_counted_no_more(usage: UsageStore) -> None:
    records = [done(number) for number in range(5)]
    assert await usage.count_usage(records) == records
    assert await usage.count_usage(records) == []
    assert await usage.count_usage([*records[3:], done(7), *records[:3], done(7)]) == [done(7)]
    assert await requests(usage, "ada") == await requests(usage) == 6


async def test_a_batch_that_names_one_twice_counts_it_once(usage: UsageStore) -> None:
    assert ids(await usage.count_usage([done(1), done(2), done(1, cost_charged_nanousd=9)])) == [
        "gen_0001",
        "gen_0002",
    ]
    assert await read(usage, "ada", Dimension.DAY) == {TODAY: sums(2)}


async def test_an_older_delivery_within_a_stream_s_day_is_still_remembered(
    usage: UsageStore, clock: ManualClock
) -> None:
    await usage.count_usage([done(1)])
    clock.advance(47 * 3600)
    assert await usage.count_usage([done(1)]) == []
    assert await requests(usage) == 1


async def test_the_order_of_delivery_makes_no_difference(usage: UsageStore) -> None:
    records = mixed(40)
    shuffled = random.Random(3).sample(records, len(records))
    for first in range(0, 40, 7):
        await usage.count_usage(shuffled[first : first + 7])
        await usage.count_usage(shuffled[max(0, first - 3) : first + 2])
    await expect(usage, records)


async def test_batches_larger_than_a_transaction_are_counted_whole(usage: UsageStore) -> None:
    records = mixed(110)
    assert await usage.count_usage(records) == records
    await expect(usage, records)


async def test_two_deliveries_at_once_count_each_once(usage: UsageStore) -> None:
    records = mixed(60)
    found = await asyncio.gather(
        usage.count_usage(records[:40]), usage.count_usage(records[20:]), usage.count_usage(records)
    )
    assert sorted(one for new in found for one in ids(new)) == sorted(ids(records))
    await expect(usage, records)


def mixed(count: int) -> list[GenerationRecord]:
    """Of several users, models, projects and days."""
    chosen = random.Random(1)
    return [
        done(
            number,
            owner=chosen.choice(("ada", "grace", "joan")),
            model=chosen.choice(("openai/gpt", "openai/o")),
            project_id=chosen.choice((None, "prj_1", f"prj_{number}")),
            completed_at=NOON + timedelta(days=chosen.randrange(3)),
            started_at=NOON,
        )
        for number in range(count)
    ]


async def expect(usage: UsageStore, records: list[GenerationRecord]) -> None:
    """The sums are those of each of these once."""
    wanted: dict[tuple[str | None, Dimension], dict[str, UsageSums]] = {}
    for cell, more in added(records).items():
        groups = wanted.setdefault((cell.user_id, cell.dimension), {})
        groups[cell.group] = groups.get(cell.group, UsageSums()) + more
    for (user_id, dimension), groups in wanted.items():
        assert await usage.read_usage(user_id, dimension, **ALL_TIME) == groups
