"""When EventBridge Scheduler's `rate(…)` and `cron(…)` expressions fire. Pure.

The syntax: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html (2026-11-20).
Of cron, `L`, `W` and `#` are refused here, and so is `at(…)`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dev.intrinsics import TemplateError

_RATE = re.compile(r"rate\(\s*([1-9]\d*)\s+(minute|hour|day)s?\s*\)")
_CRON = re.compile(r"cron\(\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_LAST_YEAR = 2199


@dataclass(frozen=True, slots=True)
class Rate:
    """Every `period_s` seconds, the first time at once."""

    period_s: int

    def next_due(self, last_due: datetime, now: datetime) -> datetime:
        """The next time that is still to come, a whole number of periods after `last_due`."""
        missed = max(0, int((now - last_due).total_seconds() // self.period_s))
        return last_due + timedelta(seconds=(missed + 1) * self.period_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """At each minute whose fields all match, in `zone`. weekdays: 1 is Sunday; None where it says `?`.

    A local time which a clock change leaves out is skipped; one that it repeats fires once.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int]
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after `moment` (aware), in UTC; None when there is none before the year 2200."""
        day = moment.astimezone(self.zone).date()
        while day.year <= _LAST_YEAR:
            if self._is_on(day):
                for at in self._times(day):
                    if at > moment:
                        return at
            day += timedelta(days=1)
        return None

    def _is_on(self, day: date) -> bool:
        if day.year not in self.years or day.month not in self.months:
            return False
        if self.days is not None:
            return day.day in self.days
        return self.weekdays is not None and day.isoweekday() % 7 + 1 in self.weekdays

    def _times(self, day: date) -> list[datetime]:
        times = []
        for hour in self.hours:
            for minute in self.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                at = local.astimezone(UTC)
                if at.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    times.append(at)
        return sorted(times)


def parse_schedule(expression: str, timezone: str = "UTC") -> Rate | Cron:
    """Raises TemplateError for an expression that is wrong, or not supported here."""
    text = expression.strip()
    rate = _RATE.fullmatch(text)
    if rate:
        return Rate(int(rate[1]) * _SECONDS[rate[2]])
    cron = _CRON.fullmatch(text)
    if cron is None:
        raise TemplateError(f"{text} is no rate(…) or cron(…) with six fields")
    try:
        return _cron(cron.groups(), UTC if timezone == "UTC" else ZoneInfo(timezone))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise TemplateError(f"{text} in {timezone}: {error}") from error


def _cron(fields: tuple[str, ...], zone: tzinfo) -> Cron:
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise ValueError("exactly one of day-of-month and day-of-week must be ?")
    return Cron(
        minutes=tuple(sorted(_field(minutes, 0, 59))),
        hours=tuple(sorted(_field(hours, 0, 23))),
        days=None if days == "?" else _field(days, 1, 31),
        months=_field(months, 1, 12, _MONTHS),
        weekdays=None if weekdays == "?" else _field(weekdays, 1, 7, _WEEKDAYS),
        years=_field(years, 1970, _LAST_YEAR),
        zone=zone,
    )


def _field(text: str, low: int, high: int, names: list[str] | None = None) -> frozenset[int]:
    """`*`, `5`, `1-5`, `MON-FRI`, `0/15`, `10-30/5`, and lists of them."""
    values: set[int] = set()
    for part in text.upper().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if span == "*" else _number(first, low, names)
        open_end = high if span == "*" or slash else start
        end = _number(last, low, names) if dash else open_end
        every = int(step) if slash else 1
        if not low <= start <= end <= high or every < 1:
            raise ValueError(f"{part} is not within {low} to {high}")
        values.update(range(start, end + 1, every))
    return frozenset(values)


def _number(text: str, low: int, names: list[str] | None) -> int:
    if names and text in names:
        return names.index(text) + low
    if not text.isdigit():
        raise ValueError(f"{text} is not understood")
    return int(text)
