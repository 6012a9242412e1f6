"""From finished generations to each provider's traffic by minute, so that health needs no scan."""

from collections.abc import Iterable

from headgate.domain.generation import Attempt, GenerationRecord
from headgate.domain.health import LATENCY_BOUNDS_MS, TrafficWindow, bucket_of
from headgate.ports import CatalogStore

PROVIDERS_FAULT = frozenset(
    {"provider_unavailable", "provider_overloaded", "provider_protocol", "provider_timeout", "provider_auth"}
)
"""Codes which speak against a provider; a rejected request or a rate limit does not."""


class TrafficRecorder:
    """Adds attempts to the counters. At least once: a batch that is delivered twice counts twice."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    async def record(self, records: Iterable[GenerationRecord]) -> int:
        """Counts the attempts of these finished generations; returns how many there were."""
        windows: dict[tuple[str, int], list[Attempt]] = {}
        count = 0
        for record in records:
            if record.completed_at is None:
                continue
            minute = int(record.completed_at.timestamp() // 60)
            for attempt in record.attempts:
                windows.setdefault((attempt.provider, minute), []).append(attempt)
                count += 1
        for (provider, minute), attempts in windows.items():
            await self._store.add_traffic(provider, minute, window_of(attempts))
        return count


def window_of(attempts: Iterable[Attempt]) -> TrafficWindow:
    """The counters of these attempts; latency is that of the ones which succeeded."""
    calls = failures = 0
    buckets = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    for attempt in attempts:
        if attempt.outcome == "cancelled":
            continue
        calls += 1
        failures += attempt.code in PROVIDERS_FAULT
        if attempt.outcome == "succeeded" and attempt.latency_ms is not None:
            buckets[bucket_of(attempt.latency_ms)] += 1
    return TrafficWindow(calls=calls, failures=failures, latency_buckets=tuple(buckets))
