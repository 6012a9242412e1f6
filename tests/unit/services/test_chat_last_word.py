"""Who has the last word when no candidate serves, and what is learnt of those who were asked."""

import asyncio

import pytest

from headgate.domain.errors import CannotCarry, GatewayFault, ProviderBusy
from headgate.ports import WireRequest
from headgate.services.circuits import circuit_name
from headgate.services.route import Wish
from headgate.testing.memory import Answer
from tests.support.models import model
from tests.support.provider import CRASH, fake_provider, lines, said
from tests.support.stage import BUSY, SHARED, B, Stage, outcomes

TOO_LONG = Answer(status=413, body=b"too many tokens")
SMALL = model("alpha/m", context_window=8_000, **SHARED)
LARGE = model("beta/m", context_window=100_000, **SHARED)
CIRCUIT = circuit_name("alpha")

# -- a context that is too small ----------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_exceeds_one_context_is_served_from_a_larger_one(streamed: bool) -> None:
    stage = await Stage().open_shop(SMALL, LARGE)
    stage.answers("alpha", TOO_LONG)
    stage.answers("beta", lines("say x", "END") if streamed else said("x"))
    if streamed:
        run, received = await stage.stream()
        await received.rest()
    else:
        run = await stage.whole()
    assert outcomes(await stage.stored(run)) == [
        ("alpha", "failed", "context_too_long"),
        ("beta", "succeeded", None),
    ]


async def test_a_stream_that_finds_the_context_too_small_before_its_content_is_taken_over() -> None:
    stage = await Stage().open_shop(SMALL, LARGE)
    stage.answers("alpha", lines("note role", "BAD 413"))
    stage.answers("beta", lines("say x", "END"))
    _, received = await stage.stream()
    assert await received.rest() == b"data: x\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize(
    ("first", "second"), [(9_000, 8_000), (8_000, 8_000), (None, 100_000), (8_000, None)]
)
async def test_no_context_that_is_not_known_to_be_larger_is_tried(
    first: int | None, second: int | None
) -> None:
    stage = await Stage().open_shop(
        model("alpha/m", context_window=first, **SHARED), model("beta/m", context_window=second, **SHARED)
    )
    stage.answers("alpha", TOO_LONG)
    stage.answers("beta", TOO_LONG)
    run, error = await stage.failure()
    assert error.code == "context_too_long"
    assert len(stage.asked) == run.attempt_count == 1


async def test_without_fallbacks_no_larger_context_is_tried() -> None:
    stage = await Stage().open_shop(SMALL, LARGE)
    stage.answers("alpha", TOO_LONG)
    _, error = await stage.failure(wish=Wish(allow_fallbacks=False))
    assert error.code == "context_too_long"
    assert stage.asked == ["alpha"]


# -- whose error is told ------------------------------------------------------------------------------------


class Particular(Stage):
    """Beta can't carry what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        beta = self.providers["beta"]

        def refuse(*_: object) -> WireRequest:
            raise CannotCarry.field("seed", "is not understood there.")

        beta.build_chat = refuse  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("streamed", [False, True])
async def test_one_who_could_not_be_asked_does_not_hide_why_another_failed(streamed: bool) -> None:
    stage = await Particular().open_shop()
    stage.answers("alpha", BUSY)
    run = stage.run(stream=streamed)
    await run.prepare()
    with pytest.raises(ProviderBusy) as failed:
        await (run.open() if streamed else run.answer())
    error = failed.value
    assert (error.code, error.retryable) == ("provider_overloaded", True)
    record = await stage.stored(run)
    assert record.error is not None
    assert record.error["code"] == "provider_overloaded"


async def test_nor_why_a_stream_broke() -> None:
    stage = await Particular().open_shop()
    stage.answers("alpha", lines("note role", "BAD 503"))
    _, received = await stage.stream()
    with pytest.raises(ProviderBusy, match="inside the stream"):
        await received.rest()


async def test_where_nobody_could_be_asked_the_field_is_named() -> None:
    stage = await Particular().open_shop(B)
    _, error = await stage.failure()
    assert isinstance(error, CannotCarry)
    assert [each.field for each in error.errors] == ["seed"]


# -- a provider's code that crashes -------------------------------------------------------------------------


async def test_a_call_whose_answer_crashed_the_providers_code_counts() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", CRASH)
    run, error = await stage.failure()
    assert (error.code, run.attempt_count) == ("internal", 1)
    assert outcomes(await stage.stored(run)) == [("alpha", "failed", "internal")]


@pytest.mark.parametrize("before", [[], ["say a"]])
async def test_a_stream_that_crashed_the_providers_code_failed(before: list[str]) -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines(*before, "CRASH"))
    run = stage.run(stream=True)
    await run.prepare()

    async def read_all() -> None:
        await run.open()
        async for _ in run.chunks():
            pass

    with pytest.raises(GatewayFault, match="own code"):
        await read_all()
    assert outcomes(await stage.stored(run)) == [("alpha", "failed", "internal")]


# -- a half-open circuit's one call -------------------------------------------------------------------------


async def half_open() -> Stage:
    """Alpha was left alone, and may be tried by one call again."""
    stage = Stage()
    stage.providers["alpha"] = fake_provider("alpha", features=("counting",))
    stage.one = stage.process()
    await stage.open_shop()
    stage.answers("alpha", BUSY)
    stage.answers("beta", said("x"))
    for _ in range(5):
        await stage.whole()
    stage.clock.advance(30)
    assert stage.one.circuits.would_allow(CIRCUIT)
    return stage


async def test_a_counting_that_works_closes_the_circuit() -> None:
    stage = await half_open()
    stage.transport.on("https://alpha.example/count", Answer(body=b"7"))
    run = await stage.whole(operation="count_tokens")
    assert [(each.provider, each.outcome) for each in run.attempts] == [("alpha", "succeeded")]
    assert stage.one.circuits.would_allow(CIRCUIT)
    assert stage.log.named("circuit.closed")


async def test_a_counting_that_asks_nobody_leaves_the_place_free() -> None:
    stage = await half_open()
    stage.providers["alpha"].build_count_tokens = lambda *_: None  # type: ignore[method-assign]
    run = await stage.whole(operation="count_tokens")
    assert run.estimated
    assert stage.one.circuits.would_allow(CIRCUIT)
    assert not stage.log.named("circuit.closed")


async def test_a_client_that_leaves_before_the_answer_leaves_the_place_free() -> None:
    stage = await half_open()
    for streamed in (False, True):
        asked = stage.answers_once_asked("alpha", Answer(pieces=[asyncio.Event()]))
        run = stage.run(stream=streamed)
        await run.prepare()
        waiting = asyncio.ensure_future(run.open() if streamed else run.answer())
        await asked.wait()
        assert not stage.one.circuits.would_allow(CIRCUIT)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await run.abandon()
        assert stage.one.circuits.would_allow(CIRCUIT)
    assert not stage.log.named("circuit.closed")


@pytest.mark.parametrize(("piece", "well"), [("say a", True), ("note role", False)])
async def test_a_stream_that_is_left_tells_of_its_provider_what_it_showed(piece: str, well: bool) -> None:
    stage = await half_open()
    stage.answers("alpha", lines(piece, asyncio.Event()))
    run, received = await stage.stream()
    if well:
        await received.next()
    await run.abandon()
    assert stage.one.circuits.would_allow(CIRCUIT)
    assert bool(stage.log.named("circuit.closed")) is well
