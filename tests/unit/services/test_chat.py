"""A chat completion is recorded before and after, fails over before its content, and settles once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.callers import Caller
from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import (
    GatewayFault,
    HeadgateError,
    InvalidRequest,
    LimitReached,
    NoRoute,
    NotFound,
    ProviderFailed,
)
from headgate.domain.generation import GenerationRecord
from headgate.domain.money import nanousd
from headgate.ports import WireRequest
from headgate.services.chat import ChatRun
from headgate.services.chat_records import ChatAsk
from headgate.testing.memory import Answer, MemoryGenerationStore
from headgate.testing.transport import Step
from tests.support.bench import ANN, Bench, Counted, ann, limited
from tests.support.models import model, priced
from tests.support.provider import CRASH, fake_provider, lines, said

BODY = {"messages": [{"role": "user", "content": "hi"}]}
PRICE = priced("1", "10")
SHARED = {"canonical_id": "maker/m", "pricing": PRICE}
A, B = model("alpha/m", **SHARED), model("beta/m", **SHARED)
BUSY = Answer(status=503, body=b"try later")
GONE = ProviderFailed("reset", code="provider_unavailable", may_have_run=True)


class Stage(Bench):
    """A generations process; `maker/m` is offered by alpha and beta, alpha first."""

    def __init__(self, **environ: str) -> None:
        super().__init__("alpha", "beta", environ=environ)
        self.stages: list[str] = []
        self.one = self.process()

    async def open_shop(self, *models: ModelInfo) -> "Stage":
        for each in models or (A, B):
            await self.publish(each.provider, *(m for m in models or (A, B) if m.provider == each.provider))
        return self

    def answers(self, slug: str, *steps: Step) -> None:
        """What a provider answers to chats: in turn, and the last one again and again."""
        self.transport.on(f"https://{slug}.example/chat", *steps)

    def run(self, caller: Caller = ANN, **ask: Any) -> ChatRun:
        made = ChatAsk(**({"body": BODY, "model": "maker/m"} | ask))
        return self.one.chat.run(caller, made, lambda stage, _s: self.stages.append(stage))

    async def whole(self, caller: Caller = ANN, **ask: Any) -> ChatRun:
        """A run whose answer was given."""
        run = self.run(caller, **ask)
        await run.prepare()
        await run.answer()
        return run

    async def failure(self, caller: Caller = ANN, **ask: Any) -> tuple[ChatRun, HeadgateError]:
        run = self.run(caller, **ask)

        async def both() -> None:
            await run.prepare()
            await run.answer()

        with pytest.raises(HeadgateError) as failed:
            await both()
        return run, failed.value

    async def stream(self, **ask: Any) -> tuple[ChatRun, "Received"]:
        """A streamed run, opened; read on from `Received`."""
        run = self.run(stream=True, **ask)
        await run.prepare()
        await run.open()
        return run, Received(run.chunks())

    async def stored(self, run: ChatRun) -> GenerationRecord:
        record = await self.generations.get(run.id)
        assert record is not None
        return record

    def answers_once_asked(self, slug: str, answer: Answer) -> asyncio.Event:
        """What it answers, and whether it was asked."""
        asked = asyncio.Event()

        def meet(_request: WireRequest) -> Answer:
            asked.set()
            return answer

        self.answers(slug, meet)
        return asked

    @property
    def asked(self) -> list[str]:
        """Providers that were asked, in order."""
        return [request.url.split("//")[1].split(".")[0] for request in self.transport.requests]


class Received:
    """What a client has got so far."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.data = b""

    async def rest(self) -> bytes:
        async for chunk in self._chunks:
            self.data += chunk
        return self.data

    async def next(self) -> bytes:
        chunk = await anext(self._chunks)
        self.data += chunk
        return chunk


def outcomes(record: GenerationRecord) -> list[tuple[str, str, str | None]]:
    return [(attempt.provider, attempt.outcome, attempt.code) for attempt in record.attempts]


# -- records -----------------------------------------------------------------------------------------------


async def test_a_whole_answer_costs_two_writes_and_no_read() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("hello"))
    run = await stage.whole()
    assert stage.generation_calls.calls == ["begin", "finish"]
    record = await stage.stored(run)
    assert record == run.record
    assert (record.owner, record.key_id, record.requested_model) == ("ann", "key_ann", "maker/m")
    assert (record.status.value, record.model, record.provider) == ("succeeded", A.id, "alpha")
    assert record.created_at == record.started_at == record.completed_at == stage.clock.now()
    assert outcomes(record) == [("alpha", "succeeded", None)]
    assert record.error is None


async def test_a_streamed_answer_costs_two_writes_the_second_before_its_last_bytes() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", lines("say a", "say b", "usage 3 2", "END"))
    run, received = await stage.stream()
    assert stage.generation_calls.calls == ["begin"]
    while b"[DONE]" not in received.data:
        await received.next()
    assert stage.generation_calls.calls == ["begin", "finish"]
    assert (await stage.stored(run)).status.value == "succeeded"


async def test_a_failure_costs_two_writes_too() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", BUSY)
    stage.answers("beta", BUSY)
    await stage.failure()
    assert stage.generation_calls.calls == ["begin", "finish"]


async def test_while_the_provider_works_the_record_says_running() -> None:
    stage = await Stage().open_shop()
    answered = asyncio.Event()
    stage.answers("alpha", Answer(pieces=[answered, said("x").body]))
    run = stage.run()
    await run.prepare()
    answering = asyncio.create_task(run.answer())
    await asyncio.sleep(0)
    record = await stage.stored(run)
    assert (record.status.value, record.completed_at, record.cost_charged_nanousd) == ("running", None, None)
    answered.set()
    await answering


async def test_a_begin_that_fails_calls_no_provider() -> None:
    stage = await Stage().open_shop()
    stage.generations.fault = GatewayFault.unavailable("The table")
    _, error = await stage.failure()
    assert (error.code, error.http_status) == ("gateway_unavailable", 503)
    assert stage.asked == []


async def test_a_finish_that_fails_still_delivers_the_answer_and_is_logged() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("hello"), lines("say hello", "END"))
    stage.generations.fault, stage.generations.faults_after = GatewayFault.unavailable("The table"), 1
    run = stage.run()
    await run.prepare()
    assert b"hello" in (await run.answer()).body
    stage.generations.faults_after = 1
    _, received = await stage.stream()
    assert await received.rest() == b"data: hello\n\ndata: [DONE]\n\n"
    assert [entry.fields["code"] for entry in stage.log.named("generation.unsettled")] == [
        "gateway_unavailable"
    ] * 2
    stage.generations.fault = None
    assert (await stage.stored(run)).status.value == "running"


async def test_the_output_is_kept_only_where_it_was_asked_for() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("secret words"))
    kept = await stage.stored(await stage.whole(keep_output=True))
    assert kept.output == {"text": "secret words", "finish_reason": "stop"}
    bare = await stage.stored(await stage.whole())
    assert bare.output is None
    assert "secret words" not in str(bare) + str([entry.fields for entry in stage.log.entries])


async def test_labels_and_project_are_kept_the_asks_before_the_keys() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"))
    caller = ann(project_id="prj_key")
    own = await stage.whole(caller, project_id="prj_ask", metadata={"scene_id": "7"})
    assert (own.record.project_id, own.record.metadata) == ("prj_ask", {"scene_id": "7"})
    assert (await stage.whole(caller)).record.project_id == "prj_key"


async def test_each_outcome_is_logged_once_with_its_figures() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x", tokens=(7, 3)))
    run = await stage.whole()
    (entry,) = stage.log.named("generation.finished")
    assert entry.fields["generation_id"] == run.id
    assert (entry.fields["input_tokens"], entry.fields["output_tokens"]) == (7, 3)
    assert (entry.fields["status"], entry.fields["provider"]) == ("succeeded", "alpha")


async def test_our_own_time_is_told_by_stage_the_providers_apart_from_it_even_if_it_fails() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"), Answer(status=400))
    await stage.whole()
    assert stage.stages == ["route", "record", "provider", "settle"]
    stage.stages.clear()
    await stage.failure()
    assert stage.stages == ["route", "record", "provider"]


# -- limits ------------------------------------------------------------------------------------------------


async def test_a_keys_requests_are_limited_by_the_minute() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"))
    caller = limited(2)
    await stage.whole(caller)
    await stage.whole(caller)
    _, error = await stage.failure(caller)
    assert isinstance(error, LimitReached)
    assert error.code == "rate_limited"
    assert error.retry_after_s is not None
    assert 0 < error.retry_after_s <= 60
    assert len(stage.asked) == 2
    stage.clock.advance(error.retry_after_s)
    await stage.whole(caller)


async def test_another_key_has_a_limit_of_its_own_and_some_have_none() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"))
    await stage.whole(limited(1))
    await stage.whole(replace(limited(1), key_id="key_other"))
    for _ in range(5):
        await stage.whole()


async def test_a_request_that_is_refused_for_its_model_uses_nothing_up() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"))
    caller = limited(1)
    await stage.failure(caller, model="nonsense")
    await stage.whole(caller)


# -- routing -----------------------------------------------------------------------------------------------


async def test_without_a_model_the_platforms_default_serves() -> None:
    stage = await Stage().open_shop(
        A, replace(B, id="beta/cheap", canonical_id="x/y", pricing=priced("0.1", "1"))
    )
    stage.answers("beta", said("x"))
    assert (await stage.whole(model=None)).record.model == "beta/cheap"


async def test_without_any_model_there_is_no_route() -> None:
    stage = Stage()
    _, error = await stage.failure(model=None)
    assert isinstance(error, NoRoute)
    assert error.members["candidates"] == []


@pytest.mark.parametrize("name", ["m", "beta/m", "maker/m", None])
async def test_a_provider_that_is_named_serves_and_no_other_does(name: str | None) -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"))
    stage.answers("beta", BUSY)
    if name == "maker/m":
        await stage.publish("beta", replace(B, id="beta/maker/m"))
    run, error = await stage.failure(model=name, provider="beta")
    assert error.code == "provider_overloaded"
    assert stage.asked == ["beta"]
    assert {attempt.provider for attempt in run.attempts} == {"beta"}


async def test_a_list_of_models_stays_within_the_provider_named() -> None:
    stage = await Stage().open_shop(A, B, model("alpha/other"))
    stage.answers("alpha", Answer(status=500))
    await stage.failure(model="m, other", provider="alpha")
    assert stage.asked == ["alpha", "alpha"]


async def test_a_provider_without_a_key_has_no_route_and_the_answer_says_so() -> None:
    stage = await Stage().open_shop()
    _, error = await stage.failure(model="gpt-5", provider="openai")
    assert isinstance(error, NoRoute)
    (candidate,) = error.members["candidates"]
    assert candidate["provider"] == "openai"
    assert "key" in candidate["reasons"][0]


async def test_a_provider_nobody_knows_is_an_invalid_field() -> None:
    stage = await Stage().open_shop()
    _, error = await stage.failure(provider="nobody")
    assert isinstance(error, InvalidRequest)
    assert [each.field for each in error.errors] == ["provider"]


async def test_a_provider_whose_list_is_not_read_yet_serves_what_is_named() -> None:
    stage = Stage(HEADGATE_ALLOW_UNLISTED_MODELS="1")
    stage.answers("alpha", said("x"))
    run = await stage.whole(model="alpha/brand-new")
    assert run.record.model == "alpha/brand-new"
    assert run.record.cost_charged_nanousd is None
    assert stage.transport.requests[0].url.endswith("/chat/brand-new")


async def test_unlisted_models_are_refused_where_the_stack_says_so() -> None:
    stage = await Stage().open_shop()
    _, error = await stage.failure(model="alpha/brand-new")
    assert isinstance(error, NotFound)
    assert stage.asked == []
    assert stage.generation_calls.calls == []


async def test_the_callers_body_goes_to_the_provider_with_the_providers_own_model() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x"))
    await stage.whole(body=BODY | {"unknown_field": [1]}, include_usage=True)
    (call,) = stage.providers["alpha"].seen
    assert call.model == "m"
    assert call.body["unknown_field"] == [1]
    assert call.include_usage
    assert not call.stream


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
    assert record.cost_charged_nanousd is None  # something was produced, and nobody says what it costs
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
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await run.abandon()
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

    async def finish(self, record: GenerationRecord) -> None:
        self.finishing.set()
        await self.go.wait()
        await super().finish(record)


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


# -- costs -------------------------------------------------------------------------------------------------


async def cost(stage: Stage, answer: Answer, *models: ModelInfo, **ask: Any) -> tuple[int | None, int | None]:
    """Charged, and what the provider said, in nano-dollars."""
    await stage.open_shop(*models)
    stage.answers("alpha", answer)
    record = (await stage.whole(**ask)).record
    return record.cost_charged_nanousd, record.cost_provider_nanousd


async def test_the_cost_is_the_catalogues_price_of_the_usage() -> None:
    assert await cost(Stage(), said("x", tokens=(1000, 200))) == (nanousd(Decimal("0.003")), None)


async def test_the_catalogues_price_is_charged_and_the_providers_figure_kept_beside() -> None:
    answer = said("x", tokens=(1000, 200), cost_usd="0.0029")
    assert await cost(Stage(), answer) == (nanousd(Decimal("0.003")), nanousd(Decimal("0.0029")))


async def test_without_a_price_the_provider_is_believed() -> None:
    answer = said("x", cost_usd="0.0029")
    assert await cost(Stage(), answer, model("alpha/m"), model="alpha/m") == (2_900_000, 2_900_000)


@pytest.mark.parametrize("answer", [said("x"), said("x", tokens=None)])
async def test_without_a_price_or_a_count_the_cost_is_unknown(answer: Answer) -> None:
    assert await cost(Stage(), answer, model("alpha/m"), model="alpha/m") == (None, None)


async def test_without_a_count_even_a_known_price_says_nothing() -> None:
    assert await cost(Stage(), said("x", tokens=None)) == (None, None)


async def test_a_free_model_costs_nothing_which_is_known() -> None:
    free = model("alpha/m", pricing=priced("0", "0"))
    assert await cost(Stage(), said("x"), free, model="alpha/m") == (0, None)


async def test_the_client_sees_the_same_cost_as_the_record() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x", tokens=(1000, 200)))
    run = stage.run()
    await run.prepare()
    assert b'"cost":"0.003"' in (await run.answer()).body
    assert run.record.cost_charged_nanousd == nanousd(Decimal("0.003"))


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


# -- keys that are bound to models -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "served"),
    [
        (("alpha/m",), ["alpha"]),
        (("beta/m",), ["beta"]),
        (("alpha/m", "beta/m"), ["alpha", "beta"]),
        (("maker/m",), ["alpha", "beta"]),
        (("m",), ["alpha", "beta"]),
        (None, ["alpha", "beta"]),
    ],
)
async def test_nobody_takes_over_whom_the_key_may_not_use(
    allowed: tuple[str, ...] | None, served: list[str]
) -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", BUSY)
    stage.answers("beta", BUSY)
    await stage.failure(ann(allowed_models=allowed))
    assert stage.asked == served


async def test_a_key_that_may_use_none_of_the_candidates_is_refused_before_anything_is_recorded() -> None:
    stage = await Stage().open_shop()
    _, error = await stage.failure(ann(allowed_models=("gamma/other",)))
    assert error.code == "forbidden"
    assert stage.asked == []
    assert stage.generation_calls.calls == []


async def test_a_key_may_name_a_provider_by_its_other_name() -> None:
    stage = Stage(HEADGATE_ALLOW_UNLISTED_MODELS="1")
    stage.secrets.put("custom", base_url="https://llama.example/v1")
    stage.transport.on("https://llama.example", Answer(status=401))
    _, error = await stage.failure(ann(allowed_models=("ollama/llama3",)), model="ollama/llama3")
    assert error.provider == "custom"


# -- beside chat -------------------------------------------------------------------------------------------


async def test_embeddings_are_routed_recorded_and_charged_like_chats() -> None:
    stage = Stage()
    stage.providers["beta"] = fake_provider("beta", embeddings_path="/embed")
    stage.one = stage.process()
    await stage.open_shop()
    stage.transport.on("https://beta.example/embed", said("vectors", tokens=(1000, 0)))
    record = (await stage.whole(operation="embeddings", body={"input": "x"})).record
    assert (record.type, record.provider, record.status.value) == ("embedding", "beta", "succeeded")
    assert record.cost_charged_nanousd == nanousd(Decimal("0.001"))
    assert stage.asked == ["beta"]  # alpha, which comes first, has none


async def test_where_nobody_has_embeddings_the_callers_request_is_at_fault() -> None:
    stage = await Stage().open_shop()
    _, error = await stage.failure(operation="embeddings", body={"input": "x"})
    assert isinstance(error, InvalidRequest)
    assert stage.asked == []


async def test_tokens_are_counted_by_the_provider_for_nothing() -> None:
    stage = Stage()
    stage.providers["alpha"] = fake_provider("alpha", features=("counting",))
    stage.one = stage.process()
    await stage.open_shop()
    stage.transport.on("https://alpha.example/count", Answer(body=b"321"))
    run = stage.run(operation="count_tokens")
    await run.prepare()
    assert (await run.answer()).body == b'{"input_tokens":321}'
    assert not run.estimated
    assert run.record.cost_charged_nanousd == 0


async def test_tokens_are_estimated_where_the_provider_can_not_count() -> None:
    stage = await Stage().open_shop()
    run = stage.run(operation="count_tokens", body={"messages": [{"content": "x" * 4_000}]})
    await run.prepare()
    assert (await run.answer()).body == b'{"input_tokens":1000}'
    assert run.estimated
    assert stage.asked == []


async def test_a_provider_that_does_not_know_a_model_is_told_with_the_closest_ids() -> None:
    stage = await Stage(HEADGATE_ALLOW_UNLISTED_MODELS="1").open_shop()
    stage.answers("alpha", NotFound("No model mm here.", code="model_not_found", provider_request_id="r1"))
    _, error = await stage.failure(model="alpha/mm")
    assert (error.code, error.provider, error.provider_request_id) == ("model_not_found", "alpha", "r1")
    assert "alpha/m" in error.members["suggestions"]
    assert error.detail.startswith("No model mm here.")
