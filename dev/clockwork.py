"""Schedules, running for real."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from dev.invocation import FunctionFailed
from dev.template import ScheduleSpec
from dev.timetable import Rate, parse_schedule

type Report = Callable[[str, str], None]
"""(who, what went wrong): tells the person at the terminal."""


async def keep_schedule(
    spec: ScheduleSpec,
    invoke: Callable[[bytes], Awaitable[object]],
    report: Report,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Calls the function with the schedule's input whenever it is due, until cancelled or never due again.

    A rate fires at once too, as one without a start date does on AWS
    (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html, 2026-11-20).
    A run that is due while the last one is still going is left out. A failure is reported, and the next run
    is the retry.
    """
    timetable = parse_schedule(spec.expression, spec.timezone)
    due: datetime | None = now() if isinstance(timetable, Rate) else timetable.next_after(now())
    while due is not None:
        await sleep(max(0.0, (due - now()).total_seconds()))
        try:
            await invoke(spec.input.encode())
        except FunctionFailed as error:
            report(spec.name, str(error))
        if isinstance(timetable, Rate):
            due = timetable.next_due(due, now())
        else:
            due = timetable.next_after(max(due, now()))
