"""A client that leaves stops the provider, and what was decided is written all the same."""

import asyncio
from decimal import Decimal

import pytest

from headgate.domain.admission import Closing
from headgate.domain.generation import GenerationRecord
from headgate.domain.money import nanousd
from headgate.testing.memory import Answer, MemoryGenerationStore
from tests.support.bench import Counted
from tests.support.provider import lines, said
from tests.support.stage import Stage, outcomes

# -- the client leaves -------------------------------------------------------------------------------------


async def test_a_client_that_leaves_a_stream_stops_the_provider() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say a", asyncio.Event()))
    run, received = await stage.stream()
    await received.next()
    await run.abandon()
    assert stage.transport.responses[0].closed
    record = await stage.stored(run)
    assert (record.status.value, record.provider) == ("cancelled", "alpha")
    assert outcomes(record) == [("alpha", "cancelled", None)]
    assert record.usage is not None  # nobody counted, so what was produced is estimated
    assert record.usage.output_tokens == 1
    assert record.cost_charged_nanousd
    assert stage.generation_calls.calls == ["begin", "finish"]


async def test_a_client_that_leaves_is_charged_for_what_was_counted_till_then() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say a", "usage 1000 200", "note", asyncio.Event()))
    run, received = await stage.stream()
    await received.next()
    await received.next()
    await run.abandon()
    assert (await stage.stored(run)).cost_charged_nanousd == nanousd(Decimal("0.003"))


async def test_a_client_that_leaves_before_any_event_owes_nothing() -> None:
    stage = await Stage().open_shop()
    asked = stage.answers_once_asked("alpha", lines(asyncio.Event()))
    run = stage.run(stream=True)
    await run.prepare()
    opening = asyncio.create_task(run.open())
    await asked.wait()
    assert run.attempt_count == 1  # told in the headers, if they have to go out now
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await run.abandon()
    assert run.attempt_count == 1
    assert stage.transport.responses[0].closed
    record = await stage.stored(run)
    assert (record.status.value, record.cost_charged_nanousd) == ("cancelled", 0)
    assert outcomes(record) == [("alpha", "cancelled", None)]


async def test_a_client_that_leaves_a_whole_answer_stops_the_provider() -> None:
    stage = await Stage().open_shop()
    asked = stage.answers_once_asked("alpha", Answer(pieces=[asyncio.Event()]))
    run = stage.run()
    await run.prepare()
    answering = asyncio.create_task(run.answer())
    await asked.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert stage.transport.responses[0].closed
    assert (await stage.stored(run)).status.value == "cancelled"
    assert stage.asked == ["alpha"]


class SlowStore(MemoryGenerationStore):
    """Finishes only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.finishing, self.go = asyncio.Event(), asyncio.Event()

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        self.finishing.set()
        await self.go.wait()
        await super().finish(record, closing)


async def test_a_client_that_leaves_while_the_outcome_is_written_does_not_undo_it() -> None:
    stage = await Stage().open_shop()
    slow = SlowStore()
    stage.generations, stage.generation_calls = slow, Counted(slow)
    stage.one = stage.process()
    stage.answers("alpha", said("x"))
    run = stage.run()
    await run.prepare()
    answering = asyncio.create_task(run.answer())
    await slow.finishing.wait()
    answering.cancel()
    await asyncio.sleep(0)
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert (await stage.stored(run)).status.value == "succeeded"


async def test_leaving_after_the_end_changes_nothing() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say a", "usage 1 1", "END"))
    run, received = await stage.stream()
    await received.rest()
    await run.abandon()
    assert (await stage.stored(run)).status.value == "succeeded"
    assert stage.generation_calls.calls == ["begin", "finish"]
