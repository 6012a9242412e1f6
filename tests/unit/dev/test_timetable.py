"""When schedules fire."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.intrinsics import TemplateError
from dev.timetable import Cron, Rate, parse_schedule

MOMENTS = st.integers(1_577_836_800, 2_208_988_800).map(lambda at_s: datetime.fromtimestamp(at_s, UTC))


def cron(expression: str, timezone: str = "UTC") -> Cron:
    parsed = parse_schedule(expression, timezone)
    assert isinstance(parsed, Cron)
    return parsed


@pytest.mark.parametrize(
    ("expression", "period_s"),
    [
        ("rate(1 minute)", 60),
        ("rate(10 minutes)", 600),
        ("rate(1 hour)", 3600),
        ("rate(6 hours)", 21_600),
        ("rate(2 days)", 172_800),
    ],
)
def test_a_rate_is_a_period(expression: str, period_s: int) -> None:
    assert parse_schedule(expression) == Rate(period_s)


@given(MOMENTS, st.integers(1, 10_000), st.floats(0, 1_000_000))
def test_a_rate_is_next_due_in_the_future_on_its_own_beat(
    start: datetime, period_s: int, late_s: float
) -> None:
    now = start + timedelta(seconds=late_s)
    due = Rate(period_s).next_due(start, now)
    assert now < due <= now + timedelta(seconds=period_s)
    assert (due - start) % timedelta(seconds=period_s) == timedelta(0)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 12 * * ? *)", "2026-11-20T12:00:00", "2026-11-21T12:00:00"),
        ("cron(0 12 * * ? *)", "2026-11-20T11:59:59", "2026-11-20T12:00:00"),
        ("cron(0/15 * * * ? *)", "2026-11-20T12:46:00", "2026-11-20T13:00:00"),
        ("cron(5,35 9-10 * * ? *)", "2026-11-20T10:05:00", "2026-11-20T10:35:00"),
        ("cron(15 10 ? * MON-FRI *)", "2026-11-20T10:15:00", "2026-11-23T10:15:00"),
        ("cron(0 0 ? * 1 *)", "2026-11-20T00:00:00", "2026-11-22T00:00:00"),
        ("cron(0 8 1 * ? *)", "2026-11-20T00:00:00", "2026-12-01T08:00:00"),
        ("cron(0 0 29 FEB ? *)", "2026-11-20T00:00:00", "2028-02-29T00:00:00"),
        ("cron(0 0 1 JAN ? 2030)", "2026-11-20T00:00:00", "2030-01-01T00:00:00"),
    ],
)
def test_cron_fires_next_at(expression: str, after: str, expected: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert cron(expression).next_after(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_cron_that_is_over_never_fires_again() -> None:
    assert cron("cron(0 0 1 1 ? 2020)").next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_cron_follows_the_clocks_of_its_time_zone() -> None:
    daily = cron("cron(30 9 * * ? *)", "Europe/Berlin")
    assert daily.next_after(datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2026, 7, 1, 7, 30, tzinfo=UTC)
    assert daily.next_after(datetime(2026, 12, 1, tzinfo=UTC)) == datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def test_a_time_that_the_clocks_leave_out_is_skipped() -> None:
    at_half_past_two = cron("cron(30 2 * * ? *)", "Europe/Berlin")
    eve = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    assert at_half_past_two.next_after(eve) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_a_time_that_the_clocks_repeat_fires_once() -> None:
    at_half_past_two = cron("cron(30 2 * * ? *)", "Europe/Berlin")
    first = at_half_past_two.next_after(datetime(2026, 10, 24, 12, 0, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert at_half_past_two.next_after(first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@given(MOMENTS, st.sampled_from(["cron(7/20 * * * ? *)", "cron(0 3 ? * SUN *)", "cron(59 23 31 * ? *)"]))
def test_each_firing_is_later_than_the_last_and_on_a_whole_minute(moment: datetime, expression: str) -> None:
    schedule = cron(expression)
    for _ in range(3):
        due = schedule.next_after(moment)
        assert due is not None
        assert due > moment
        assert due.second == due.microsecond == 0
        moment = due


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)",
        "rate(5 seconds)",
        "rate(5)",
        "every 5 minutes",
        "cron(0 12 * * *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(60 * * * ? *)",
        "cron(0 0 L * ? *)",
        "cron(0 0 ? * 6#3 *)",
        "cron(0 0 1 NOP ? *)",
        "cron(0 0 20-10 * ? *)",
        "at(2026-11-20T13:00:00)",
    ],
)
def test_an_expression_that_is_not_understood_is_refused_by_name(expression: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_schedule(expression)
    assert expression in str(caught.value)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(TemplateError, match="Mars"):
        parse_schedule("cron(0 0 1 1 ? *)", "Mars/Base")
