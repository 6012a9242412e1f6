"""Schedules run for real, one run at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dev.clockwork import keep_schedule
from dev.invocation import FunctionFailed
from dev.template import ScheduleSpec

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Over(Exception):
    """The test has seen enough."""


class World:
    """Time that passes only by sleeping, and a function whose runs take `run_s` of it."""

    def __init__(self, *, run_s: float = 0.0, runs: int = 4, fails: bool = False) -> None:
        self.time = START
        self.calls: list[tuple[float, bytes]] = []
        self.reports: list[tuple[str, str]] = []
        self._run_s = run_s
        self._runs = runs
        self._fails = fails

    def now(self) -> datetime:
        return self.time

    async def sleep(self, delay_s: float) -> None:
        self.time += timedelta(seconds=delay_s)
        await asyncio.sleep(0)

    async def invoke(self, payload: bytes) -> bytes:
        if len(self.calls) == self._runs:
            raise Over
        self.calls.append(((self.time - START).total_seconds(), payload))
        self.time += timedelta(seconds=self._run_s)
        if self._fails:
            raise FunctionFailed("Broken", "no luck")
        return b"null"

    async def keep(self, expression: str) -> list[float]:
        """The seconds after START at which the function was called."""
        spec = ScheduleSpec(name="Keep.Often", expression=expression, input='{"task":"keep"}')
        with pytest.raises(Over):
            await keep_schedule(
                spec, self.invoke, lambda *what: self.reports.append(what), now=self.now, sleep=self.sleep
            )
        return [at_s for at_s, _ in self.calls]


async def test_a_rate_fires_at_once_and_then_on_its_beat() -> None:
    assert await World().keep("rate(5 minutes)") == [0, 300, 600, 900]


async def test_cron_fires_when_it_is_due() -> None:
    assert await World().keep("cron(10,40 * * * ? *)") == [600, 2400, 4200, 6000]


async def test_the_function_gets_the_schedules_own_input() -> None:
    world = World()
    await world.keep("rate(1 minute)")
    assert {payload for _, payload in world.calls} == {b'{"task":"keep"}'}


async def test_a_run_that_outlasts_its_period_leaves_out_the_next() -> None:
    assert await World(run_s=130).keep("rate(1 minute)") == [0, 180, 360, 540]


async def test_a_failed_run_is_reported_and_the_next_one_still_comes() -> None:
    world = World(fails=True, runs=3)
    assert await world.keep("rate(1 minute)") == [0, 60, 120]
    assert world.reports == [("Keep.Often", "Broken: no luck")] * 3


async def test_a_schedule_that_is_over_ends() -> None:
    world = World()
    spec = ScheduleSpec(name="Keep.Once", expression="cron(0 0 1 1 ? 2020)")
    await keep_schedule(spec, world.invoke, lambda *_: None, now=world.now, sleep=world.sleep)
    assert world.calls == []
