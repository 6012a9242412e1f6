"""A clock that moves when it is told to."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class ManualClock:
    """Stands at `start` (aware) until advanced; both times move together, the monotonic one from 1000.0."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Raises ValueError for a step back: `jump_to` is for wall clocks that were set."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def jump_to(self, moment: datetime) -> None:
        """Sets the wall time only, as an operator or NTP does."""
        self._now = moment
