"""A chat goes to the next provider before its content and never after; circuits remember who failed."""

import asyncio

import pytest

from headgate.domain.errors import (
    GatewayFault,
    HeadgateError,
)
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from headgate.testing.transport import Step
from tests.support.provider import CRASH, fake_provider, lines, said
from tests.support.stage import BUSY, GONE, A, B, Stage, outcomes

# -- failing over ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Answer(status=401), "provider_auth"),
        (Answer(status=402), "provider_insufficient_funds"),
        (Answer(status=429), "provider_rate_limited"),
        (Answer(status=500), "provider_unavailable"),
        (Answer(status=503), "provider_overloaded"),
        (Answer(status=504), "provider_timeout"),
        (GONE, "provider_unavailable"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_next_candidate_serves_when_one_can_not(failure: Step, code: str, streamed: bool) -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", failure)
    stage.answers("beta", lines("say x", "END") if streamed else said("x"))
    if streamed:
        run, received = await stage.stream()
        assert b"x" in await received.rest()
    else:
        run = await stage.whole()
    record = await stage.stored(run)
    assert (record.status.value, record.provider, record.model) == ("succeeded", "beta", B.id)
    assert outcomes(record) == [("alpha", "failed", code), ("beta", "succeeded", None)]
    assert run.attempt_count == 2


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Answer(status=400, body=b"no such parameter"), "provider_rejected"),
        (Answer(status=413), "context_too_long"),
        (CRASH, "internal"),
    ],
)
async def test_what_another_provider_would_answer_no_better_is_told_at_once(failure: Step, code: str) -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", failure)
    run, error = await stage.failure()
    assert error.code == code
    assert stage.asked == ["alpha"]
    record = await stage.stored(run)
    assert (record.status.value, record.cost_charged_nanousd) == ("failed", 0)
    assert record.error is not None
    assert record.error["code"] == code


async def test_when_all_fail_the_last_ones_error_is_told_and_all_are_recorded() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", Answer(status=429, body=b"slow down", headers={"retry-after": "20"}))
    stage.answers("beta", Answer(status=503, body=b"full", headers={"retry-after": "30"}))
    run, error = await stage.failure()
    assert (error.code, error.provider, error.retry_after_s) == ("provider_overloaded", "beta", 30)
    assert outcomes(await stage.stored(run)) == [
        ("alpha", "failed", "provider_rate_limited"),
        ("beta", "failed", "provider_overloaded"),
    ]


async def test_a_crash_in_a_providers_code_is_the_gateways_fault_and_settled() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say x", "CRASH"))
    run, received = await stage.stream()
    with pytest.raises(GatewayFault) as failed:
        await received.rest()
    assert failed.value.code == "internal"
    assert (await stage.stored(run)).status.value == "failed"
    assert [entry.fields["error"] for entry in stage.log.named("provider.crashed")] == ["RuntimeError"]
    assert stage.transport.responses[0].closed


# -- streams -----------------------------------------------------------------------------------------------


async def test_events_arrive_as_they_come_and_end_properly() -> None:
    stage = await Stage().open_shop()
    more = asyncio.Event()
    stage.answers("alpha", lines("say a", more, "say b", "END"))
    _, received = await stage.stream()
    assert await received.next() == b"data: a\n\n"
    more.set()
    assert await received.rest() == b"data: a\n\ndata: b\n\ndata: [DONE]\n\n"


async def test_what_comes_before_the_content_is_held_with_it() -> None:
    stage = await Stage().open_shop()
    go = asyncio.Event()
    stage.answers("alpha", lines("note role", go, "say a", "END"))
    _, received = await stage.stream()
    first = asyncio.create_task(received.next())
    await asyncio.sleep(0)
    assert received.data == b""
    go.set()
    assert (await first).startswith(b"data: role\n\ndata: a\n\n")


async def test_an_answer_without_any_content_is_still_delivered() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("note role", "END"))
    run, received = await stage.stream()
    assert await received.rest() == b"data: role\n\ndata: [DONE]\n\n"
    assert (await stage.stored(run)).status.value == "succeeded"


@pytest.mark.parametrize("break_", ["BAD 503", GONE, "cut"])
async def test_before_the_content_another_takes_over_and_nothing_of_the_first_is_seen(
    break_: str | HeadgateError,
) -> None:
    stage = await Stage().open_shop()
    tail = [] if break_ == "cut" else [break_]
    stage.answers("alpha", lines("note alphas role", *tail))
    stage.answers("beta", lines("note betas role", "say x", "END"))
    run, received = await stage.stream()
    assert await received.rest() == b"data: betas role\n\ndata: x\n\ndata: [DONE]\n\n"
    record = await stage.stored(run)
    assert (record.provider, record.status.value) == ("beta", "succeeded")
    assert [outcome for _, outcome, _ in outcomes(record)] == ["failed", "succeeded"]
    assert all(response.closed for response in stage.transport.responses)


@pytest.mark.parametrize("break_", ["BAD 503", GONE, "cut"])
async def test_after_the_content_nobody_takes_over_and_nothing_looks_like_an_end(
    break_: str | HeadgateError,
) -> None:
    stage = await Stage().open_shop()
    tail = [] if break_ == "cut" else [break_]
    stage.answers("alpha", lines("say a", "usage 10 5", *tail))
    stage.answers("beta", lines("say x", "END"))
    run, received = await stage.stream()
    with pytest.raises(HeadgateError):
        await received.rest()
    assert received.data == b"data: a\n\n"
    assert stage.asked == ["alpha"]
    record = await stage.stored(run)
    assert (record.status.value, record.cost_charged_nanousd) == ("failed", 0)
    assert [outcome for _, outcome, _ in outcomes(record)] == ["failed"]


@pytest.mark.parametrize("before", [["say a"], []])
async def test_content_that_came_in_one_read_with_the_error_is_given(before: list[str]) -> None:
    """How the bytes were cut decides nothing; nor does it when nobody is left to take over."""
    stage = await Stage().open_shop(A)
    stage.answers("alpha", lines(*before, "say b\nBAD 503"))
    run, received = await stage.stream()
    with pytest.raises(HeadgateError):
        await received.rest()
    assert received.data.endswith(b"data: b\n\n")
    assert stage.asked == ["alpha"]
    assert (await stage.stored(run)).status.value == "failed"


async def test_content_that_came_in_one_read_with_the_error_still_lets_another_take_over() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say a\nBAD 503"))
    stage.answers("beta", lines("say x", "END"))
    _, received = await stage.stream()
    assert await received.rest() == b"data: x\n\ndata: [DONE]\n\n"


async def test_a_stream_that_breaks_with_nobody_left_tells_its_own_error() -> None:
    stage = await Stage().open_shop(A)
    stage.answers("alpha", lines("note role", "BAD 503"))
    run, received = await stage.stream()
    with pytest.raises(HeadgateError) as failed:
        await received.rest()
    assert failed.value.code == "provider_overloaded"
    error = (await stage.stored(run)).error
    assert error is not None
    assert (error["code"], error["provider"]) == ("provider_overloaded", "alpha")


async def test_a_failure_before_the_first_event_is_raised_by_opening() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", Answer(status=400, body=b"bad field"))
    run = stage.run(stream=True)
    await run.prepare()
    with pytest.raises(HeadgateError) as failed:
        await run.open()
    assert failed.value.code == "provider_rejected"
    assert (await stage.stored(run)).status.value == "failed"


# -- circuits ----------------------------------------------------------------------------------------------


async def test_a_provider_that_keeps_failing_is_left_alone_for_some_seconds() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", BUSY)
    stage.answers("beta", said("x"))
    for _ in range(5):
        await stage.whole()
    assert stage.asked.count("alpha") == 5
    run = await stage.whole()
    assert stage.asked.count("alpha") == 5
    assert outcomes(run.record) == [("beta", "succeeded", None)]
    assert stage.log.named("circuit.opened")
    stage.answers("alpha", said("x"))
    stage.clock.advance(30)
    assert (await stage.whole()).record.provider == "alpha"
    assert stage.log.named("circuit.closed")


async def test_an_open_circuit_never_hides_the_only_candidate() -> None:
    stage = await Stage().open_shop(A)
    stage.answers("alpha", BUSY)
    for _ in range(5):
        await stage.failure()
    stage.answers("alpha", said("x"))
    assert (await stage.whole()).record.provider == "alpha"


async def test_when_the_others_fail_the_one_left_alone_is_tried_after_all() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", BUSY)
    stage.answers("beta", said("x"))
    for _ in range(5):
        await stage.whole()
    stage.answers("alpha", said("x"))
    stage.answers("beta", BUSY)
    run = await stage.whole()
    assert outcomes(run.record) == [("beta", "failed", "provider_overloaded"), ("alpha", "succeeded", None)]


async def test_streams_that_break_open_the_circuit_too() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say a", "BAD 503"))
    stage.answers("beta", lines("say x", "END"))
    for _ in range(5):
        _, received = await stage.stream()
        with pytest.raises(HeadgateError):
            await received.rest()
    _, received = await stage.stream()
    assert await received.rest() == b"data: x\n\ndata: [DONE]\n\n"


async def test_what_callers_get_wrong_opens_no_circuit() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", Answer(status=400))
    for _ in range(10):
        await stage.failure()
    stage.answers("alpha", said("x"))
    assert (await stage.whole()).record.provider == "alpha"


async def test_failing_embeddings_leave_a_providers_chats_alone() -> None:
    stage = Stage()
    stage.providers["alpha"] = fake_provider("alpha", embeddings_path="/embed")
    stage.one = stage.process()
    await stage.open_shop()
    stage.transport.on("https://alpha.example/embed", BUSY)
    for _ in range(6):
        await stage.failure(operation="embeddings", body={"input": "x"})
    assert [entry.fields["circuit"] for entry in stage.log.named("circuit.opened")] == [
        "alpha/embedding/platform"
    ]
    stage.answers("alpha", said("x"))
    assert (await stage.whole()).record.provider == "alpha"


# -- time --------------------------------------------------------------------------------------------------


async def test_no_call_may_take_longer_than_is_left_of_the_deadline() -> None:
    stage = await Stage().open_shop()

    def slow(_request: WireRequest) -> Answer:
        stage.clock.advance(4)
        return Answer(status=503)

    stage.answers("alpha", slow)
    stage.answers("beta", said("x"))
    await stage.whole(deadline_s=10)
    first, second = stage.transport.requests
    assert (first.total_timeout_s, second.total_timeout_s) == (10, 6)


async def test_past_the_deadline_nobody_else_is_asked() -> None:
    stage = await Stage().open_shop()

    def too_slow(_request: WireRequest) -> Answer:
        stage.clock.advance(10)
        return Answer(status=503)

    stage.answers("alpha", too_slow)
    _, error = await stage.failure(deadline_s=10)
    assert error.code == "provider_overloaded"
    assert stage.asked == ["alpha"]


async def test_the_stacks_own_deadline_bounds_the_callers() -> None:
    stage = await Stage(HEADGATE_REQUEST_TIMEOUT_S="30").open_shop()
    stage.answers("alpha", said("x"))
    await stage.whole(deadline_s=900)
    assert stage.transport.requests[0].total_timeout_s == 30
