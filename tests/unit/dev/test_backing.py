"""In memory there is no stream: finished generations reach the same consumer all the same."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dev.backing import MemoryBacking
from dev.template import read_stack
from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus
from headgate.domain.usage import Dimension, UsageSums
from headgate.testing.clock import START

TEMPLATE = Path(__file__).parents[3] / "template.yaml"


async def nothing(*_: object) -> None:
    """Starts no refresh."""


async def no_function(_name: str, _payload: bytes) -> bytes:
    raise AssertionError("no function is called in this process's memory")


def running(number: int) -> GenerationRecord:
    return GenerationRecord(
        id=f"gen_{number}",
        owner="ann",
        key_id="key_1",
        type="text",
        status=GenerationStatus.RUNNING,
        created_at=START,
    )


def finished(record: GenerationRecord) -> GenerationRecord:
    return replace(
        record,
        status=GenerationStatus.SUCCEEDED,
        completed_at=START + timedelta(seconds=1),
        model="alpha/m",
        provider="alpha",
        attempts=(Attempt(provider="alpha", model="m", outcome="succeeded", latency_ms=5),),
    )


async def test_what_finishes_is_in_the_sums_the_traffic_and_the_audit_log_soon_after() -> None:
    backing = MemoryBacking({}, nothing, nothing)
    stores = backing.adapters
    ((_, follow),) = backing.followers(read_stack(TEMPLATE.read_text()), no_function, lambda *_: None).items()
    following = asyncio.ensure_future(follow())
    for number in range(120):
        await stores.generations.begin(running(number))
    for number in range(120):
        await stores.generations.finish(finished(running(number)))
    sums: dict[str, UsageSums] = {}
    async with asyncio.timeout(5):
        while not sums or sums["2026-11-20"].requests < 120:
            await asyncio.sleep(0.05)
            sums = dict(
                await stores.usage.read_usage(
                    "ann", Dimension.DAY, first_day="2026-11-20", last_day="2026-11-20"
                )
            )
    following.cancel()
    await asyncio.wait([following])
    traffic = await stores.catalog.read_traffic("alpha", since_minute=0)
    assert sum(window.calls for window in traffic.values()) == 120
    events = await stores.accounts.read_audit(after=None, limit=1000)
    assert {event.details["generation_id"] for event in events} == {f"gen_{n}" for n in range(120)}
