"""A chat is recorded before and after, limited, routed and charged, whoever serves it."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import (
    GatewayFault,
    InvalidRequest,
    LimitReached,
    NoRoute,
    NotFound,
)
from headgate.domain.generation import Usage
from headgate.domain.money import nanousd
from headgate.services.chat_records import estimated_tokens
from headgate.testing.memory import Answer
from tests.support.bench import ann, limited
from tests.support.models import model, priced
from tests.support.provider import fake_provider, lines, said
from tests.support.stage import BODY, BUSY, A, B, Stage, outcomes

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


async def test_a_failures_record_says_who_was_asked_last() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", BUSY)
    stage.answers("beta", BUSY)
    run, _ = await stage.failure()
    record = await stage.stored(run)
    assert (record.provider, record.model) == ("beta", record.attempts[-1].model)


async def test_a_begin_that_fails_calls_no_provider() -> None:
    stage = await Stage().open_shop()
    stage.generations.fault = GatewayFault.unavailable("The table")
    _, error = await stage.failure()
    assert (error.code, error.http_status) == ("gateway_unavailable", 503)
    assert stage.asked == []


async def test_a_finish_that_fails_still_delivers_the_answer_and_is_logged() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("hello"), lines("say hello", "END"))
    stage.one.chat_means.settle_pauses_s = ()
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


@pytest.mark.parametrize("name", ["alpha/m", "alpha/m:floor", "alpha/m:nitro"])
async def test_a_fallback_does_not_stand_in_for_a_model_that_the_key_may_not_use(name: str) -> None:
    stage = await Stage().open_shop(model("alpha/m"), model("beta/n"))
    _, error = await stage.failure(ann(allowed_models=("beta/n",)), model=f"{name},beta/n")
    assert (error.code, stage.asked) == ("forbidden", [])


async def test_a_key_may_name_a_provider_by_its_other_name() -> None:
    stage = Stage(HEADGATE_ALLOW_UNLISTED_MODELS="1")
    stage.secrets.put("custom", base_url="https://llama.example/v1")
    stage.transport.on("https://llama.example", Answer(status=401))
    _, error = await stage.failure(ann(allowed_models=("ollama/llama3",)), model="ollama/llama3")
    assert error.provider == "custom"


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


async def test_who_is_told_no_count_charges_by_an_estimate_that_says_so() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x", tokens=None))
    record = (await stage.whole()).record
    tokens = estimated_tokens(BODY)
    assert record.usage == Usage(input_tokens=tokens, output_tokens=1, estimated=True)
    assert record.cost_charged_nanousd == 1_000 * tokens + 10_000


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
    assert [(attempt.provider, attempt.outcome) for attempt in run.attempts] == [("alpha", "succeeded")]
    assert (run.recorded, len(stage.generations)) == (False, 0)


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


@pytest.mark.parametrize("named", ["alpha/m", "maker/m", " alpha/m , nowhere/x"])
async def test_what_a_provider_has_just_denied_having_is_not_suggested(named: str) -> None:
    stage = await Stage().open_shop()
    for slug in ("alpha", "beta"):
        stage.answers(slug, NotFound("No model m here.", code="model_not_found"))
    _, error = await stage.failure(model=named)
    assert error.code == "model_not_found"
    assert "alpha/m" not in error.members["suggestions"]
