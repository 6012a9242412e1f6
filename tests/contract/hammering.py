"""A generations process that asks as fast as it can: one of several, over the same tables."""

import asyncio
import multiprocessing
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from typing import Any

import orjson

from headgate.aws.clients import AwsClients, AwsTuning
from headgate.aws.generations import DynamoGenerationStore
from headgate.domain.callers import KeyLimits
from headgate.domain.errors import HeadgateError, LimitReached
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from tests.support.bench import Counted, ann
from tests.support.models import model, priced
from tests.support.provider import said
from tests.support.stage import Stage

PROCESSES = 4
TEXT = "x" * 400
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 100}
OFFER = model("alpha/m", canonical_id="maker/m", pricing=priced("1", "10"))
_AT_ONCE = 4


def body_of(letters: int) -> dict[str, Any]:
    """A chat whose input has so many letters."""
    return {**BODY, "messages": [{"role": "user", "content": "x" * letters}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one process does, on which tables. used: tokens in and out of each answer.

    letters: of each input. requests: how many. lost: every how many-th is begun and never ended, as by a
    process that dies; failing: every how many-th fails at its provider; 0 for none.
    """

    endpoint_url: str
    generations_table: str
    ledger_table: str
    requests: int
    letters: int = len(TEXT)
    limits: KeyLimits = KeyLimits()
    credits: str = "off"
    used: tuple[int, int] = (101, 0)
    lost: int = 0
    failing: int = 0


@dataclass(slots=True)
class Tally:
    """What became of a process's requests: how many were served, failed, lost; refusals by their reason."""

    ends: Counter[str] = field(default_factory=Counter)
    retry_after_s: list[float | None] = field(default_factory=list)

    @property
    def admitted(self) -> int:
        return sum(self.ends[end] for end in ("served", "failed", "lost"))


_start: Barrier | None = None


def meet_at(barrier: Barrier) -> None:
    """Makes this process start its jobs together with the others."""
    global _start  # noqa: PLW0603 - a process of a pool is told once
    _start = barrier


def hammer(job: Job) -> Tally:
    return asyncio.run(_hammer(job))


async def _hammer(job: Job) -> Tally:
    clients = AwsClients(
        region="us-east-1", endpoint_url=job.endpoint_url, tuning=AwsTuning(read_timeout_s=60.0)
    )
    stage = Stage(HEADGATE_CREDITS=job.credits)
    store = DynamoGenerationStore(clients, job.generations_table, stage.clock, ledger_table=job.ledger_table)
    stage.generations, stage.generation_calls = store, Counted(store)  # type: ignore[assignment]
    stage.one = stage.process()
    await stage.open_shop(OFFER)

    def answer(request: WireRequest) -> Answer:
        place = orjson.loads(request.body or b"{}")["place"]
        return Answer(status=503) if job.failing and place % job.failing == 1 else said("x", tokens=job.used)

    stage.answers("alpha", answer)
    tally = Tally()
    assert _start is not None
    await asyncio.to_thread(_start.wait, 60)
    for first in range(0, job.requests, _AT_ONCE):
        places = range(first, min(first + _AT_ONCE, job.requests))
        await asyncio.gather(*(_one(stage, job, place, tally) for place in places))
    clients.close()
    return tally


async def _one(stage: Stage, job: Job, place: int, tally: Tally) -> None:
    run = stage.run(ann(limits=job.limits), body={**body_of(job.letters), "place": place})
    try:
        await run.prepare()
    except LimitReached as refused:
        tally.ends[refused.code] += 1
        tally.retry_after_s.append(refused.retry_after_s)
        return
    if job.lost and place % job.lost == 0:
        tally.ends["lost"] += 1
        return
    try:
        await run.answer()
        tally.ends["served"] += 1
    except HeadgateError:
        tally.ends["failed"] += 1


def context() -> Any:
    """Processes that share nothing but what is on the wire."""
    return multiprocessing.get_context("spawn")
