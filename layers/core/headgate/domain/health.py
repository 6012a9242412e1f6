"""How a provider does: checks that cost nothing and traffic that happened anyway. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from headgate.domain.catalog import ProviderStatus

CheckOutcome = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One free check. `skipped`: the provider has no such check, or needs no key."""

    outcome: CheckOutcome
    code: str | None = None
    detail: str | None = None
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficWindow:
    """Real calls of the last minutes: how many, how many failed by the provider's fault, how long they took.

    latency_buckets: calls by upper bound in milliseconds (`LATENCY_BOUNDS_MS`, the last is open).
    """

    calls: int = 0
    failures: int = 0
    latency_buckets: tuple[int, ...] = ()

    @property
    def success_rate(self) -> float | None:
        return None if self.calls == 0 else round(1 - self.failures / self.calls, 4)


LATENCY_BOUNDS_MS = (
    50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000,
    7_500, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 900_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """The last judgement of one provider. `checks` by name: `list`, `key`.

    success_rate: 0 to 1, latency in milliseconds: of the real calls of the last hour; None without any.
    """

    provider: str
    status: ProviderStatus
    last_checked: datetime
    error: str | None = None
    success_rate: float | None = None
    latency_p50_ms: int | None = None
    latency_p95_ms: int | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)


def bucket_of(latency_ms: int) -> int:
    """Index into the latency buckets."""
    for index, bound in enumerate(LATENCY_BOUNDS_MS):
        if latency_ms <= bound:
            return index
    return len(LATENCY_BOUNDS_MS)


def percentile_ms(buckets: tuple[int, ...], share: float) -> int | None:
    """The upper bound of the bucket in which the share lies; None without calls."""
    total = sum(buckets)
    if total == 0:
        return None
    seen = 0
    for index, count in enumerate(buckets):
        seen += count
        if seen >= share * total:
            return LATENCY_BOUNDS_MS[min(index, len(LATENCY_BOUNDS_MS) - 1)]
    return LATENCY_BOUNDS_MS[-1]


def add_windows(windows: "list[TrafficWindow]") -> TrafficWindow:
    """One window that holds all of them."""
    size = len(LATENCY_BOUNDS_MS) + 1
    buckets = [0] * size
    for window in windows:
        for index, count in enumerate(window.latency_buckets):
            buckets[index] += count
    return TrafficWindow(
        calls=sum(window.calls for window in windows),
        failures=sum(window.failures for window in windows),
        latency_buckets=tuple(buckets),
    )


def judge(
    checks: Mapping[str, Check],
    recent: TrafficWindow,
    normal: TrafficWindow,
    *,
    list_partial: bool,
) -> ProviderStatus:
    """Down when every check failed or most calls fail; degraded when some do, or it is far slower than usual.

    recent: the last minutes; normal: the hours before, for the usual latency.
    """
    outcomes = [check.outcome for check in checks.values() if check.outcome != "skipped"]
    failed = outcomes.count("failed")
    if outcomes and failed == len(outcomes):
        return ProviderStatus.DOWN
    rate = recent.success_rate
    if rate is not None and recent.calls >= 10 and rate < 0.2:
        return ProviderStatus.DOWN
    if failed or list_partial or (rate is not None and recent.calls >= 5 and rate < 0.8):
        return ProviderStatus.DEGRADED
    return ProviderStatus.DEGRADED if _far_slower(recent, normal) else ProviderStatus.HEALTHY


def _far_slower(recent: TrafficWindow, normal: TrafficWindow) -> bool:
    if recent.calls < 10 or normal.calls < 50:
        return False
    now_ms = percentile_ms(recent.latency_buckets, 0.95)
    usual_ms = percentile_ms(normal.latency_buckets, 0.95)
    return now_ms is not None and usual_ms is not None and now_ms > 3 * usual_ms
