"""How a provider is judged: by free checks and by the calls that happened anyway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.catalog import ProviderStatus
from headgate.domain.health import (
    LATENCY_BOUNDS_MS,
    Check,
    TrafficWindow,
    add_windows,
    bucket_of,
    judge,
    percentile_ms,
)

OK, FAILED, SKIPPED = (Check(outcome=outcome) for outcome in ("ok", "failed", "skipped"))
QUIET = TrafficWindow()
LATENCIES_MS = st.lists(st.integers(0, 1_000_000), min_size=1, max_size=200)
WINDOWS = st.builds(
    lambda calls, failures, buckets: TrafficWindow(
        calls=calls + failures, failures=failures, latency_buckets=tuple(buckets)
    ),
    st.integers(0, 100),
    st.integers(0, 100),
    st.lists(st.integers(0, 50), max_size=len(LATENCY_BOUNDS_MS) + 1),
)


def traffic(calls: int, failures: int = 0, latency_ms: int = 400) -> TrafficWindow:
    buckets = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    buckets[bucket_of(latency_ms)] = calls - failures
    return TrafficWindow(calls=calls, failures=failures, latency_buckets=tuple(buckets))


@pytest.mark.parametrize(
    ("listed", "key", "status"),
    [
        (OK, OK, "healthy"),
        (OK, SKIPPED, "healthy"),
        (SKIPPED, SKIPPED, "healthy"),
        (SKIPPED, OK, "healthy"),
        (OK, FAILED, "degraded"),
        (FAILED, OK, "degraded"),
        (FAILED, FAILED, "down"),
        (FAILED, SKIPPED, "down"),
        (SKIPPED, FAILED, "down"),
    ],
)
def test_some_failed_checks_degrade_and_all_take_it_down(listed: Check, key: Check, status: str) -> None:
    assert judge({"list": listed, "key": key}, QUIET, QUIET, list_partial=False).value == status


def test_a_partial_list_degrades() -> None:
    assert judge({"list": OK}, QUIET, QUIET, list_partial=True) is ProviderStatus.DEGRADED


@pytest.mark.parametrize(
    ("recent", "status"),
    [
        (traffic(4, 4), "healthy"),  # too few to say anything
        (traffic(5, 1), "healthy"),  # 80 % is still fine
        (traffic(10, 3), "degraded"),
        (traffic(5, 5), "degraded"),  # bad, but few: not down yet
        (traffic(10, 8), "degraded"),
        (traffic(10, 9), "down"),
        (traffic(100, 100), "down"),
    ],
)
def test_real_calls_that_fail_count_like_checks(recent: TrafficWindow, status: str) -> None:
    assert judge({"list": OK, "key": OK}, recent, QUIET, list_partial=False).value == status


@pytest.mark.parametrize(
    ("recent", "normal", "status"),
    [
        (traffic(20, latency_ms=4_000), traffic(100, latency_ms=400), "degraded"),
        (traffic(20, latency_ms=1_400), traffic(100, latency_ms=400), "healthy"),
        (traffic(9, latency_ms=60_000), traffic(100, latency_ms=400), "healthy"),
        (traffic(20, latency_ms=60_000), traffic(49, latency_ms=400), "healthy"),
    ],
)
def test_far_slower_than_usual_degrades_once_there_is_enough_to_compare(
    recent: TrafficWindow, normal: TrafficWindow, status: str
) -> None:
    assert judge({"list": OK}, recent, normal, list_partial=False).value == status


def test_the_success_rate_is_unknown_without_calls() -> None:
    assert QUIET.success_rate is None
    assert traffic(3, 1).success_rate == 0.6667


def test_percentiles_are_unknown_without_calls() -> None:
    assert percentile_ms((), 0.5) is None
    assert percentile_ms((0,) * 21, 0.95) is None


@given(LATENCIES_MS, st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_the_upper_bound_of_the_true_ones_bucket(
    latencies_ms: list[int], share: float
) -> None:
    buckets = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    for latency_ms in latencies_ms:
        buckets[bucket_of(latency_ms)] += 1
    ranked = sorted(latencies_ms)
    true_ms = next(ms for at, ms in enumerate(ranked, 1) if at >= share * len(ranked))
    shown_ms = percentile_ms(tuple(buckets), share)
    assert shown_ms == LATENCY_BOUNDS_MS[min(bucket_of(true_ms), len(LATENCY_BOUNDS_MS) - 1)]


@given(st.lists(WINDOWS, max_size=6))
def test_adding_windows_loses_no_call(windows: list[TrafficWindow]) -> None:
    whole = add_windows(windows)
    assert whole.calls == sum(window.calls for window in windows)
    assert whole.failures == sum(window.failures for window in windows)
    assert sum(whole.latency_buckets) == sum(sum(window.latency_buckets) for window in windows)
    assert add_windows([whole]) == whole
