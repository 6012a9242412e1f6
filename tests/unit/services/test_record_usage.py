"""What a batch of finished generations leaves behind, however often and in whatever order it comes."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.domain.audit import AuditEvent
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import (
    COUNTING,
    Attempt,
    GenerationRecord,
    GenerationStatus,
    KeyOpening,
    keys_of,
)
from headgate.domain.ids import time_of
from headgate.domain.usage import Dimension
from headgate.services.record_traffic import TrafficRecorder
from headgate.services.record_usage import UsageRecorder, decrypts, key_uses
from headgate.testing.clock import START
from tests.support.bench import Bench

MINUTE = int(START.timestamp() // 60)
FAULT = GatewayFault.unavailable("The store")


def attempt(provider: str = "alpha", **fields: Any) -> Attempt:
    return Attempt(**{"provider": provider, "model": "m", "outcome": "succeeded", "latency_ms": 90, **fields})


def record(number: int = 1, *attempts: Attempt, **fields: Any) -> GenerationRecord:
    return GenerationRecord(
        **{
            "id": f"gen_{number}",
            "owner": "ann",
            "key_id": "key_1",
            "type": "text",
            "status": GenerationStatus.SUCCEEDED,
            "created_at": START,
            "completed_at": START + timedelta(milliseconds=500 + number),
            "model": "alpha/m",
            "provider": "alpha",
            "request_id": f"req_{number}",
            "attempts": attempts or (attempt(),),
            **fields,
        }
    )


def opening(connection_id: str = "con_1", **fields: Any) -> KeyOpening:
    return KeyOpening(**{"connection_id": connection_id, "provider": "alpha", "at": START, **fields})


def recorder(bench: Bench) -> UsageRecorder:
    return UsageRecorder(bench.usage, TrafficRecorder(bench.catalog_store), bench.accounts)


async def requests(bench: Bench, dimension: Dimension = Dimension.MODEL) -> dict[str, int]:
    found = await bench.usage.read_usage(None, dimension, first_day="2026-11-20", last_day="2026-11-20")
    return {group: sums.requests for group, sums in found.items()}


async def calls(bench: Bench, provider: str = "alpha") -> int:
    windows = await bench.catalog_store.read_traffic(provider, since_minute=0)
    return sum(window.calls for window in windows.values())


async def audit(bench: Bench) -> list[AuditEvent]:
    return await bench.accounts.read_audit(after=None, limit=1000)


async def test_a_batch_is_summed_counted_as_traffic_and_told_of_each_key() -> None:
    bench = Bench()
    batch = [record(1), record(2, attempt("beta"), attempt()), record(3, model="alpha/n")]
    done = await recorder(bench).record(batch)
    assert (done.counted, done.attempts, done.key_uses) == (3, 4, 4)
    assert await requests(bench) == {"alpha/m": 2, "alpha/n": 1}
    assert (await calls(bench), await calls(bench, "beta")) == (3, 1)
    assert [(event.action, event.target) for event in await audit(bench)].count(
        ("provider_key.use", "alpha")
    ) == 3


async def test_a_use_of_a_key_tells_who_what_when_and_in_which_request() -> None:
    bench = Bench()
    await recorder(bench).record([record(7, attempt(outcome="failed"), attempt())])
    (event,) = await audit(bench)
    assert event.id.startswith("evt_")
    assert event == AuditEvent(
        id=event.id,
        at=START + timedelta(milliseconds=507),
        actor="key_1",
        action="provider_key.use",
        target="alpha",
        user_id="ann",
        request_id="req_7",
        details={"generation_id": "gen_7", "provider": "alpha", "calls": "2", "outcome": "succeeded"},
    )


def test_each_key_that_was_tried_is_told_of_and_lent_ones_are_not_ours_to_tell() -> None:
    tried = (
        attempt("alpha", key="con_1", outcome="failed"),
        attempt("alpha", key="con_2", outcome="failed"),
        attempt("alpha", outcome="failed"),
        attempt("beta", key="lent", outcome="failed"),
        attempt("gamma", key="con_1"),
    )
    assert [
        (event.action, event.target, event.details["calls"]) for event in key_uses(record(1, *tried))
    ] == [
        ("connection.use", "con_1", "2"),
        ("connection.use", "con_2", "1"),
        ("provider_key.use", "alpha", "1"),
    ]


def test_one_that_called_nobody_used_no_key() -> None:
    assert key_uses(replace(record(), attempts=())) == []


async def test_a_decryption_tells_who_what_when_and_in_which_request() -> None:
    bench = Bench()
    asked_at = START + timedelta(milliseconds=3)
    opened = (opening(at=asked_at),)
    done = await recorder(bench).record([record(7, attempt(key="con_1"), opened=opened)])
    assert (done.key_uses, done.decrypts) == (1, 1)
    event, use = sorted(await audit(bench), key=lambda each: each.action)
    assert use.action == "connection.use"
    assert event == AuditEvent(
        id=event.id,
        at=asked_at,
        actor="key_1",
        action="connection.decrypt",
        target="con_1",
        user_id="ann",
        request_id="req_7",
        details={"generation_id": "gen_7", "provider": "alpha", "outcome": "ok"},
    )
    assert time_of(event.id) == record(7).completed_at  # or who follows the log would miss it


def test_each_time_that_the_vault_was_asked_is_an_event_of_its_own() -> None:
    opened = (
        opening(outcome="refused"),
        opening(outcome="unknown"),
        opening("con_2", provider="beta", outcome="ok"),
        opening(outcome="refused"),
    )
    events = decrypts(record(1, opened=opened))
    assert [(each.target, each.details["provider"], each.details["outcome"]) for each in events] == [
        ("con_1", "alpha", "refused"),
        ("con_1", "alpha", "unknown"),
        ("con_2", "beta", "ok"),
        ("con_1", "alpha", "refused"),
    ]
    assert len({each.id for each in events}) == 4


def test_one_that_found_its_keys_in_memory_tells_of_no_decryption() -> None:
    assert decrypts(record(1, attempt(key="con_1"))) == []


async def test_keys_of_a_counting_are_told_and_counted_nowhere() -> None:
    bench = Bench()
    counting = keys_of(record(1, attempt(key="con_1"), type=COUNTING, opened=(opening(),)))
    done = await recorder(bench).record([counting])
    assert (done.counted, done.attempts, done.key_uses, done.decrypts) == (0, 0, 1, 1)
    assert (await requests(bench), await calls(bench)) == ({}, 0)
    told = {each.action: dict(each.details) for each in await audit(bench)}
    assert told == {
        "connection.use": {
            "operation": "count_tokens",
            "provider": "alpha",
            "calls": "1",
            "outcome": "succeeded",
        },
        "connection.decrypt": {"operation": "count_tokens", "provider": "alpha", "outcome": "ok"},
    }


async def test_keys_told_beside_a_record_and_in_it_are_told_once() -> None:
    bench = Bench()
    ended = record(1, attempt(key="con_1"), opened=(opening(),))
    await recorder(bench).record([keys_of(ended), ended])
    await recorder(bench).record([keys_of(ended)])
    assert len(await audit(bench)) == 2
    assert await requests(bench) == {"alpha/m": 1}


def test_events_sort_by_when_the_generation_ended() -> None:
    numbers = random.Random(1).sample(range(400), 50)
    events = [event for number in numbers for event in key_uses(record(number))]
    assert [e.request_id for e in sorted(events, key=lambda e: e.id)] == [
        f"req_{number}" for number in sorted(numbers)
    ]
    assert len({event.id for event in events}) == 50


async def test_what_comes_again_in_any_order_changes_nothing() -> None:
    bench = Bench()
    batch = [
        record(number, attempt(), attempt("beta", key="con_1"), opened=(opening(), opening()))
        for number in range(20)
    ]
    await recorder(bench).record(batch)
    before = await requests(bench), await calls(bench), await audit(bench)
    chosen = random.Random(5)
    for _ in range(5):
        again = await recorder(bench).record(chosen.sample(batch, 12))
        assert (again.counted, again.attempts) == (0, 0)
    assert (await requests(bench), await calls(bench), await audit(bench)) == before
    assert len(before[2]) == 4 * 20


@pytest.mark.parametrize("store", ["usage", "catalog_store", "accounts"])
@pytest.mark.parametrize("faults_after", [0, 1, 2])
async def test_after_a_fault_anywhere_the_batch_again_makes_it_whole(store: str, faults_after: int) -> None:
    """But for traffic, of which a fault may leave calls out: it never counts one twice."""
    bench = Bench()
    batch = [record(number, attempt(), attempt("beta"), attempt("gamma")) for number in range(3)]
    broken = getattr(bench, store)
    broken.fault, broken.faults_after = FAULT, faults_after
    for _ in range(4):
        try:
            await recorder(bench).record(batch)
        except GatewayFault:
            broken.fault = None
    broken.fault = None
    await recorder(bench).record(batch)
    assert await requests(bench) == {"alpha/m": 3}
    assert len(await audit(bench)) == 9
    assert all([await calls(bench, each) <= 3 for each in ("alpha", "beta", "gamma")])
    if store != "catalog_store":
        assert await calls(bench) == 3


async def test_an_empty_batch_writes_nothing() -> None:
    bench = Bench()
    bench.accounts.fault = FAULT
    done = await recorder(bench).record([])
    assert (done.counted, done.attempts, done.key_uses) == (0, 0, 0)
