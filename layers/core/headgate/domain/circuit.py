"""A circuit breaker as a value: failures in, a state out. Pure; the clock comes in as seconds."""

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """Opens after `failures` in a row, for `open_s` (doubling to `max_open_s`) seconds."""

    failures: int = 5
    open_s: float = 5.0
    max_open_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """State for one (provider, modality, key). Times are seconds of a monotonic clock."""

    failures: int = 0
    openings: int = 0
    open_until_s: float = 0.0
    probing_until_s: float = 0.0

    def state(self, now_s: float) -> State:
        if self.openings == 0:
            return "closed"
        return "open" if now_s < self.open_until_s else "half_open"

    def allows(self, now_s: float) -> bool:
        """Closed lets all through; half-open one probe at a time; open nothing."""
        state = self.state(now_s)
        return state == "closed" or (state == "half_open" and now_s >= self.probing_until_s)

    def probing(self, now_s: float, policy: CircuitPolicy) -> "Circuit":
        """The circuit after a call was let through; marks a half-open probe as under way."""
        if self.state(now_s) != "half_open":
            return self
        return replace(self, probing_until_s=now_s + policy.max_open_s)

    def succeeded(self) -> "Circuit":
        return self if self == _CLOSED else _CLOSED

    def failed(self, now_s: float, policy: CircuitPolicy) -> "Circuit":
        failures = self.failures + 1
        if self.openings == 0 and failures < policy.failures:
            return replace(self, failures=failures)
        if self.state(now_s) == "open":
            return replace(self, failures=failures)
        # A float overflows after 1,024 doublings: half a day of failed probes.
        open_s = min(policy.max_open_s, policy.open_s * 2.0 ** min(self.openings, 32))
        return Circuit(failures=failures, openings=self.openings + 1, open_until_s=now_s + open_s)


_CLOSED = Circuit()
