"""A limit on calls that read or administer: counted in the process, as a write would cost more.

Calls which cost money are counted in the store, exactly and across processes, with the generation's record.
"""

from collections import OrderedDict

from headgate.domain.callers import Caller
from headgate.domain.errors import LimitReached
from headgate.ports import Clock

_MOST = 10_000


class ReadLimiter:
    """A token bucket per key: `per_minute` calls a minute, a quarter of that at once."""

    def __init__(self, clock: Clock, *, per_minute: int) -> None:
        self._clock = clock
        self._rate_per_s = per_minute / 60
        self._burst = max(1.0, per_minute / 4)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, caller: Caller) -> None:
        """Takes one token. Raises LimitReached (`rate_limited`) when there is none."""
        if self._rate_per_s <= 0:
            return
        now_s = self._clock.monotonic()
        tokens, at_s = self._buckets.get(caller.key_id, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - at_s) * self._rate_per_s)
        taken = 1.0 if tokens >= 1 else 0.0
        self._buckets[caller.key_id] = (tokens - taken, now_s)
        self._buckets.move_to_end(caller.key_id)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        if not taken:
            raise LimitReached(
                "This key's request limit is reached.", retry_after_s=(1 - tokens) / self._rate_per_s
            )
