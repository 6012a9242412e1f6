"""What services may rely on of any catalogue store."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.codec import snapshot_version
from headgate.domain.catalog import ChangeEvent, ChangeType, ModelInfo, ProviderStatus, Snapshot, SnapshotHead
from headgate.domain.errors import GatewayFault
from headgate.domain.health import LATENCY_BOUNDS_MS, Check, ProviderHealth, TrafficWindow
from headgate.ports import MAX_TABLE_BYTES, CatalogStore
from headgate.testing.memory import ManualClock
from tests.contract.values import NOON, model, snapshot

BUCKETS = len(LATENCY_BOUNDS_MS) + 1


async def head_of(catalog: CatalogStore, provider: str = "openai") -> SnapshotHead:
    return (await catalog.read_heads())[provider]


async def test_an_empty_store_has_no_heads_health_or_changes(catalog: CatalogStore) -> None:
    assert await catalog.read_heads() == {}
    assert await catalog.read_health() == {}
    assert await catalog.read_changes(after=None, limit=10) == []
    assert await catalog.read_traffic("openai", since_minute=0) == {}


async def test_a_written_list_is_read_back_through_its_head(catalog: CatalogStore) -> None:
    written = snapshot("gpt-a", "gpt-b", partial=True, warnings=("one dropped",), fetch_ms=12)
    assert await catalog.write_snapshot(written, replaces=None)
    head = await head_of(catalog)
    assert replace(head, chunks=0) == replace(written.head, chunks=0)
    assert head.chunks >= 1
    assert await catalog.read_models(head) == written.models


async def test_heads_are_told_apart_by_provider(catalog: CatalogStore) -> None:
    for provider in ("openai", "gemini"):
        assert await catalog.write_snapshot(snapshot("m", provider=provider), replaces=None)
    assert set(await catalog.read_heads()) == {"openai", "gemini"}


async def test_an_empty_list_is_a_list(catalog: CatalogStore) -> None:
    empty = snapshot()
    assert await catalog.write_snapshot(empty, replaces=None)
    assert await catalog.read_models(await head_of(catalog)) == ()


async def test_a_list_larger_than_an_item_is_kept_whole(catalog: CatalogStore) -> None:
    noise = random.Random(7)  # what doesn't compress needs several pieces
    models = tuple(model(f"m{index:05d}", description=noise.randbytes(300).hex()) for index in range(3000))
    head = SnapshotHead(provider="openai", version=snapshot_version(models), model_count=len(models))
    assert await catalog.write_snapshot(Snapshot(head=head, models=models), replaces=None)
    assert await catalog.read_models(await head_of(catalog)) == models


async def test_only_the_writer_who_saw_the_current_version_replaces_it(catalog: CatalogStore) -> None:
    first, second, late = snapshot("a"), snapshot("b"), snapshot("c")
    assert await catalog.write_snapshot(first, replaces=None)
    assert not await catalog.write_snapshot(late, replaces=None)
    assert await catalog.write_snapshot(second, replaces=first.head.version)
    assert not await catalog.write_snapshot(late, replaces=first.head.version)
    assert (await head_of(catalog)).version == second.head.version
    assert await catalog.read_models(await head_of(catalog)) == second.models


async def test_of_writers_at_once_exactly_one_wins(catalog: CatalogStore) -> None:
    lists = [snapshot(f"m{index}") for index in range(5)]
    won = await asyncio.gather(*(catalog.write_snapshot(one, replaces=None) for one in lists))
    assert won.count(True) == 1
    assert await catalog.read_models(await head_of(catalog)) == lists[won.index(True)].models


async def test_a_replaced_list_stays_readable_for_those_who_hold_its_head(
    catalog: CatalogStore, clock: ManualClock
) -> None:
    first = snapshot("a")
    await catalog.write_snapshot(first, replaces=None)
    held = await head_of(catalog)
    await catalog.write_snapshot(snapshot("b"), replaces=first.head.version)
    clock.advance(3600)
    assert await catalog.read_models(held) == first.models


async def test_a_replaced_list_is_gone_in_the_end(catalog: CatalogStore, clock: ManualClock) -> None:
    first = snapshot("a")
    await catalog.write_snapshot(first, replaces=None)
    held = await head_of(catalog)
    await catalog.write_snapshot(snapshot("b"), replaces=first.head.version)
    clock.advance(3 * 3600)
    with pytest.raises(GatewayFault) as fault:
        await catalog.read_models(held)
    assert fault.value.code == "gateway_unavailable"


async def test_a_list_that_comes_back_is_not_lost_with_its_first_appearance(
    catalog: CatalogStore, clock: ManualClock
) -> None:
    first, second = snapshot("a"), snapshot("b")
    await catalog.write_snapshot(first, replaces=None)
    await catalog.write_snapshot(second, replaces=first.head.version)
    await catalog.write_snapshot(first, replaces=second.head.version)
    clock.advance(24 * 3600)
    assert await catalog.read_models(await head_of(catalog)) == first.models


async def test_a_list_written_over_itself_stays(catalog: CatalogStore, clock: ManualClock) -> None:
    first = snapshot("a")
    await catalog.write_snapshot(first, replaces=None)
    assert await catalog.write_snapshot(first, replaces=first.head.version)
    clock.advance(24 * 3600)
    assert await catalog.read_models(await head_of(catalog)) == first.models


async def test_the_loser_with_the_winners_list_does_no_harm(
    catalog: CatalogStore, clock: ManualClock
) -> None:
    first = snapshot("a")
    await catalog.write_snapshot(first, replaces=None)
    assert not await catalog.write_snapshot(first, replaces=None)
    clock.advance(24 * 3600)
    assert await catalog.read_models(await head_of(catalog)) == first.models


async def test_a_version_that_was_never_written_is_a_fault(catalog: CatalogStore) -> None:
    with pytest.raises(GatewayFault):
        await catalog.read_models(SnapshotHead(provider="openai", version="none", chunks=1))


async def test_a_provider_without_a_list_has_a_head_that_says_why(catalog: CatalogStore) -> None:
    failed = SnapshotHead(provider="openai", checked_at=NOON, error="provider_auth: refused")
    assert await catalog.write_snapshot(Snapshot(head=failed, models=()), replaces=None)
    assert await head_of(catalog) == failed
    assert await catalog.read_models(failed) == ()
    again = replace(failed, error="provider_timeout: slow")
    await catalog.write_head(again)
    assert (await head_of(catalog)).error == "provider_timeout: slow"
    assert await catalog.write_snapshot(snapshot("a"), replaces=None)


async def test_new_times_do_not_disturb_the_list(catalog: CatalogStore) -> None:
    written = snapshot("a", "b")
    await catalog.write_snapshot(written, replaces=None)
    later = replace(written.head, fetched_at=NOON + timedelta(minutes=10), chunks=0)
    await catalog.write_head(later)
    head = await head_of(catalog)
    assert head.fetched_at == NOON + timedelta(minutes=10)
    assert await catalog.read_models(head) == written.models


async def test_a_head_of_a_replaced_version_is_ignored(catalog: CatalogStore) -> None:
    first, second = snapshot("a"), snapshot("b")
    await catalog.write_snapshot(first, replaces=None)
    await catalog.write_snapshot(second, replaces=first.head.version)
    await catalog.write_head(replace(first.head, error="late"))
    assert (await head_of(catalog)).version == second.head.version
    assert (await head_of(catalog)).error is None


async def test_a_deleted_provider_has_no_head_and_late_heads_do_not_revive_it(catalog: CatalogStore) -> None:
    written = snapshot("a")
    await catalog.write_snapshot(written, replaces=None)
    held = await head_of(catalog)
    await catalog.delete_provider("openai")
    await catalog.delete_provider("openai")
    await catalog.write_head(written.head)
    await catalog.write_head(SnapshotHead(provider="openai", error="late"))
    assert await catalog.read_heads() == {}
    assert await catalog.read_models(held) == written.models


async def test_a_lease_is_held_by_one_until_it_is_given_up(catalog: CatalogStore) -> None:
    assert await catalog.acquire_lease("refresh#openai", "a", 60)
    assert not await catalog.acquire_lease("refresh#openai", "b", 60)
    assert await catalog.acquire_lease("refresh#gemini", "b", 60)
    await catalog.release_lease("refresh#openai", "b")
    assert not await catalog.acquire_lease("refresh#openai", "b", 60)
    await catalog.release_lease("refresh#openai", "a")
    assert await catalog.acquire_lease("refresh#openai", "b", 60)


async def test_a_lease_that_ran_out_may_be_taken_over(catalog: CatalogStore, clock: ManualClock) -> None:
    assert await catalog.acquire_lease("l", "a", 60.5)
    clock.advance(60)
    assert not await catalog.acquire_lease("l", "b", 60)
    clock.advance(0.5)
    assert await catalog.acquire_lease("l", "b", 60)
    await catalog.release_lease("l", "a")
    assert not await catalog.acquire_lease("l", "a", 60)


async def test_asking_again_for_ones_own_lease_renews_it(catalog: CatalogStore, clock: ManualClock) -> None:
    assert await catalog.acquire_lease("l", "a", 60)
    clock.advance(30)
    assert await catalog.acquire_lease("l", "a", 60)
    clock.advance(59)
    assert not await catalog.acquire_lease("l", "b", 60)


async def test_of_many_who_ask_at_once_one_gets_the_lease(catalog: CatalogStore) -> None:
    got = await asyncio.gather(*(catalog.acquire_lease("l", f"owner{index}", 60) for index in range(8)))
    assert got.count(True) == 1


async def test_releasing_what_nobody_holds_is_fine(catalog: CatalogStore) -> None:
    await catalog.release_lease("never", "a")


def event(number: int, **fields: object) -> ChangeEvent:
    known = {"id": f"evt_{number:04d}", "type": ChangeType.MODEL_ADDED, "at": NOON, "provider": "openai"}
    return ChangeEvent(**{**known, **fields})  # type: ignore[arg-type]


async def test_changes_come_oldest_first_after_an_id(catalog: CatalogStore) -> None:
    events = [
        event(number, model_id=f"openai/m{number}", before={"input": "1"}, after={"input": None, "n": 2})
        for number in range(60)
    ]
    await catalog.append_changes(events[::-1])
    assert await catalog.read_changes(after=None, limit=100) == events
    assert await catalog.read_changes(after="evt_0019", limit=5) == events[20:25]
    assert await catalog.read_changes(after="evt_0059", limit=5) == []


async def test_appending_nothing_is_fine(catalog: CatalogStore) -> None:
    await catalog.append_changes([])


async def test_changes_are_forgotten_after_thirty_days(catalog: CatalogStore, clock: ManualClock) -> None:
    clock.jump_to(NOON)
    old = [event(number) for number in range(30)]
    fresh = [event(100 + number, at=NOON + timedelta(days=20)) for number in range(3)]
    await catalog.append_changes([*old, *fresh])
    clock.advance(31 * 86_400)
    assert await catalog.read_changes(after=None, limit=2) == fresh[:2]


async def test_health_is_the_last_judgement(catalog: CatalogStore) -> None:
    checks = {
        "list": Check(outcome="ok", latency_ms=80),
        "key": Check(outcome="failed", code="provider_auth"),
    }
    down = ProviderHealth(
        provider="openai", status=ProviderStatus.DOWN, last_checked=NOON, error="x", checks=checks
    )
    await catalog.write_health(replace(down, status=ProviderStatus.HEALTHY))
    await catalog.write_health(down)
    other = ProviderHealth(provider="gemini", status=ProviderStatus.HEALTHY, last_checked=NOON)
    await catalog.write_health(other)
    assert await catalog.read_health() == {"openai": down, "gemini": other}


def buckets(**counts: int) -> tuple[int, ...]:
    return tuple(counts.get(f"b{index}", 0) for index in range(BUCKETS))


async def test_traffic_of_a_minute_adds_up(catalog: CatalogStore, clock: ManualClock) -> None:
    minute = int(clock.now().timestamp() // 60)
    one = TrafficWindow(calls=3, failures=1, latency_buckets=buckets(b0=1, b4=1))
    two = TrafficWindow(calls=2, failures=0, latency_buckets=buckets(b4=1, b20=1))
    await asyncio.gather(
        catalog.add_traffic("openai", minute, one),
        catalog.add_traffic("openai", minute, two),
        catalog.add_traffic("openai", minute - 1, one),
        catalog.add_traffic("gemini", minute, two),
    )
    both = TrafficWindow(calls=5, failures=1, latency_buckets=buckets(b0=1, b4=2, b20=1))
    assert await catalog.read_traffic("openai", since_minute=minute - 1) == {minute - 1: one, minute: both}
    assert await catalog.read_traffic("openai", since_minute=minute) == {minute: both}
    assert await catalog.read_traffic("openai", since_minute=minute + 1) == {}


async def test_traffic_without_latencies_counts_calls(catalog: CatalogStore) -> None:
    await catalog.add_traffic("openai", 29_000_000, TrafficWindow(calls=1, failures=1))
    windows = await catalog.read_traffic("openai", since_minute=0)
    assert windows == {29_000_000: TrafficWindow(calls=1, failures=1, latency_buckets=buckets())}


async def test_a_table_is_the_last_one_written_under_its_name(catalog: CatalogStore) -> None:
    assert await catalog.read_table("prices") is None
    await catalog.write_table("prices", b"\x00first")
    await catalog.write_table("others", b"other")
    await catalog.write_table("prices", b"\xffsecond")
    assert await catalog.read_table("prices") == b"\xffsecond"
    assert await catalog.read_table("others") == b"other"
    assert await catalog.read_heads() == {}


async def test_the_largest_table_fits_and_a_larger_one_is_refused(catalog: CatalogStore) -> None:
    largest = random.Random(7).randbytes(MAX_TABLE_BYTES)
    await catalog.write_table("prices", largest)
    with pytest.raises(ValueError, match="too many"):
        await catalog.write_table("prices", largest + b"x")
    assert await catalog.read_table("prices") == largest


async def test_models_come_back_as_they_were(catalog: CatalogStore) -> None:
    rich = ModelInfo(
        id="openai/x",
        canonical_id="x/x",
        provider="openai",
        name="Ünïcode ✓",
        expires_at=NOON + timedelta(microseconds=1),
        supported_parameters=("b", "a"),
        input_modalities=(),
    )
    head = SnapshotHead(provider="openai", version="v", model_count=1)
    await catalog.write_snapshot(Snapshot(head=head, models=(rich,)), replaces=None)
    assert await catalog.read_models(await head_of(catalog)) == (rich,)
