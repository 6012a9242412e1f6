"""From finished generations to each provider's calls by minute."""

from datetime import timedelta
from typing import Any

import pytest

from headgate.domain.errors import CODES
from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus
from headgate.domain.health import percentile_ms
from headgate.services.record_traffic import TrafficRecorder, window_of
from headgate.testing.clock import START
from tests.support.bench import Bench

MINUTE = int(START.timestamp() // 60)
AGAINST = {
    "provider_unavailable",
    "provider_overloaded",
    "provider_protocol",
    "provider_timeout",
    "provider_auth",
}


def attempt(provider: str = "alpha", outcome: str = "succeeded", **fields: Any) -> Attempt:
    return Attempt(provider=provider, model="m", outcome=outcome, **fields)


def record(*attempts: Attempt, after_s: float | None = 0) -> GenerationRecord:
    return GenerationRecord(
        id="gen_1",
        owner="ann",
        key_id="key_1",
        type="text",
        status=GenerationStatus.SUCCEEDED,
        created_at=START,
        completed_at=None if after_s is None else START + timedelta(seconds=after_s),
        attempts=attempts,
    )


async def test_every_attempt_counts_for_its_provider_in_the_minute_it_ended() -> None:
    bench = Bench()
    recorder = TrafficRecorder(bench.catalog_store)
    counted = await recorder.record(
        [
            record(attempt("alpha", "failed", code="provider_timeout"), attempt("beta", latency_ms=400)),
            record(attempt("alpha", latency_ms=90)),
            record(attempt("alpha", latency_ms=90), after_s=60),
            record(attempt("alpha"), after_s=None),  # still running
        ]
    )
    assert counted == 4
    alpha = await bench.catalog_store.read_traffic("alpha", since_minute=0)
    assert {minute: (window.calls, window.failures) for minute, window in alpha.items()} == {
        MINUTE: (2, 1),
        MINUTE + 1: (1, 0),
    }
    beta = await bench.catalog_store.read_traffic("beta", since_minute=0)
    assert percentile_ms(beta[MINUTE].latency_buckets, 0.5) == 500


@pytest.mark.parametrize("code", sorted(CODES))
def test_only_the_providers_own_faults_count_against_it(code: str) -> None:
    window = window_of([attempt(outcome="failed", code=code)])
    assert (window.calls, window.failures) == (1, int(code in AGAINST))


def test_a_call_that_a_client_broke_off_is_no_call() -> None:
    window = window_of([attempt(outcome="cancelled", latency_ms=5)])
    assert (window.calls, sum(window.latency_buckets)) == (0, 0)


def test_latency_is_that_of_calls_that_succeeded() -> None:
    window = window_of([attempt(latency_ms=90), attempt(outcome="failed", latency_ms=60_000), attempt()])
    assert (window.calls, sum(window.latency_buckets)) == (3, 1)
    assert percentile_ms(window.latency_buckets, 0.95) == 100


async def test_nothing_finished_writes_nothing() -> None:
    bench = Bench()
    assert await TrafficRecorder(bench.adapters.catalog).record([]) == 0
    assert bench.catalog_calls.calls == []
