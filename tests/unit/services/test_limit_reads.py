"""Reads are limited by key, in the process, smoothly over the minute."""

import pytest

from headgate.domain.errors import LimitReached
from headgate.services.limit_reads import ReadLimiter
from headgate.testing.clock import ManualClock
from tests.support.bench import ann


def allowed(limiter: ReadLimiter, key_id: str, tries: int) -> int:
    """How many of so many calls at once go through."""
    through = 0
    for _ in range(tries):
        try:
            limiter.check(ann(key_id=key_id))
        except LimitReached:
            continue
        through += 1
    return through


def test_a_quarter_of_the_minute_may_come_at_once_then_it_refills_evenly() -> None:
    clock = ManualClock()
    limiter = ReadLimiter(clock, per_minute=600)
    assert allowed(limiter, "a", 1_000) == 150
    clock.advance(1)
    assert allowed(limiter, "a", 1_000) == 10
    clock.advance(3_600)
    assert allowed(limiter, "a", 1_000) == 150


def test_over_any_minute_it_is_the_burst_and_the_rate() -> None:
    clock = ManualClock()
    limiter = ReadLimiter(clock, per_minute=60)
    through = 0
    for _ in range(600):
        through += allowed(limiter, "a", 3)
        clock.advance(0.1)
    assert through == 15 + 59


def test_a_refusal_says_when_the_next_call_will_do() -> None:
    clock = ManualClock()
    limiter = ReadLimiter(clock, per_minute=30)
    allowed(limiter, "a", 100)
    with pytest.raises(LimitReached) as refused:
        limiter.check(ann(key_id="a"))
    assert refused.value.code == "rate_limited"
    assert refused.value.retry_after_s is not None
    clock.advance(refused.value.retry_after_s - 0.01)
    assert allowed(limiter, "a", 1) == 0
    clock.advance(0.02)
    assert allowed(limiter, "a", 1) == 1


def test_one_key_does_not_use_up_anothers() -> None:
    limiter = ReadLimiter(ManualClock(), per_minute=60)
    allowed(limiter, "a", 100)
    assert allowed(limiter, "b", 100) == 15


def test_zero_is_no_limit() -> None:
    assert allowed(ReadLimiter(ManualClock(), per_minute=0), "a", 10_000) == 10_000


def test_many_other_keys_do_not_refill_the_one_in_use() -> None:
    limiter = ReadLimiter(ManualClock(), per_minute=4)
    assert allowed(limiter, "busy", 5) == 1
    for other in range(20_000):
        limiter.check(ann(key_id=str(other)))
        if other % 100 == 0:
            assert allowed(limiter, "busy", 1) == 0
