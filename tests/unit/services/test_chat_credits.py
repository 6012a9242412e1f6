"""Chats under credits and limits: what is held before, charged after, and refused."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Caller, KeyLimits
from headgate.domain.catalog import ModelInfo
from headgate.domain.credits import Balance, EntryKind, LedgerEntry
from headgate.domain.errors import GatewayFault, LimitReached
from headgate.domain.generation import Usage
from headgate.domain.ids import new_id
from headgate.domain.secret import Secret
from headgate.providers.base import ChatOutcome
from headgate.services.chat_records import estimated_tokens, with_usage
from headgate.services.reconcile import reconcile
from headgate.testing.clock import START
from headgate.testing.memory import Answer
from tests.support.bench import ANN, ann
from tests.support.models import model, priced
from tests.support.provider import lines, said
from tests.support.stage import BODY, BUSY, GONE, A, B, Stage

SHORT = BODY | {"max_tokens": 100}
HELD = 1_002_000
"""Of `SHORT` at a dollar and ten per million tokens: its two tokens and a hundred of an answer."""


async def shop(*models: ModelInfo, granted: int = 10_000_000, **environ: str) -> Stage:
    stage = await Stage(HEADGATE_CREDITS="enforced", **environ).open_shop(*models)
    stage.one.chat_means.settle_pauses_s = (0.0, 0.0)
    if granted:
        entry = LedgerEntry(
            id="led_grant", user_id="ann", at=START, kind=EntryKind.GRANT, amount_nanousd=granted
        )
        event = AuditEvent(id=new_id("evt"), at=START, actor="root", action="credits.grant", target="ann")
        await stage.ledger.add_entry(entry, event)
    return stage


async def kinds(stage: Stage) -> list[tuple[str, int]]:
    """Oldest first, without grants."""
    entries, _ = await stage.ledger.list_entries("ann", limit=100, cursor=None)
    return [(e.kind.value, e.amount_nanousd) for e in reversed(entries) if e.kind is not EntryKind.GRANT]


async def test_a_chat_holds_what_it_may_cost_and_pays_what_it_did_in_two_writes() -> None:
    stage = await shop()
    answered = asyncio.Event()
    stage.answers("alpha", Answer(pieces=[answered, said("x", tokens=(10, 20)).body]))
    run = stage.run(body=SHORT)
    await run.prepare()
    assert await stage.ledger.balance("ann") == Balance(
        available_nanousd=10_000_000 - HELD, reserved_nanousd=HELD
    )
    answering = asyncio.create_task(run.answer())
    answered.set()
    await answering
    assert await stage.ledger.balance("ann") == Balance(available_nanousd=10_000_000 - 210_000)
    assert await kinds(stage) == [("hold", -HELD), ("settle", HELD - 210_000)]
    assert stage.generation_calls.calls == ["begin", "finish"]
    record = await stage.stored(run)
    assert (record.cost_estimated_nanousd, record.held_nanousd) == (HELD, HELD)
    assert (record.cost_charged_nanousd, record.due_at) == (210_000, None)


async def test_without_enough_credits_nothing_is_called_and_the_refusal_has_both_figures() -> None:
    stage = await shop(granted=HELD - 1)
    _, error = await stage.failure(body=SHORT)
    assert isinstance(error, LimitReached)
    assert (error.code, error.http_status, error.retryable) == ("insufficient_credits", 402, False)
    assert error.members == {
        "needed": {"amount": "0.001002", "currency": "USD"},
        "available": {"amount": "0.001001999", "currency": "USD"},
    }
    assert stage.asked == []
    assert await kinds(stage) == []


async def test_an_overrun_is_charged_whole_and_closes_the_door() -> None:
    stage = await shop(granted=HELD)
    stage.answers("alpha", said("x", tokens=(10, 200)))
    await stage.whole(body=SHORT)
    assert (await stage.ledger.balance("ann")).available_nanousd == HELD - 2_010_000
    _, error = await stage.failure(body=SHORT)
    assert error.code == "insufficient_credits"


async def test_with_credits_off_nothing_is_held_and_cost_is_recorded() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x", tokens=(10, 20)))
    run = await stage.whole(body=SHORT)
    assert await kinds(stage) == []
    assert (run.record.cost_estimated_nanousd, run.record.cost_charged_nanousd) == (HELD, 210_000)
    assert run.record.held_nanousd is None


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_gives_everything_back(stream: bool) -> None:
    stage = await shop()
    broken = lines("say a", "usage 10 20", GONE)
    stage.answers("alpha", broken if stream else BUSY)
    stage.answers("beta", broken if stream else BUSY)
    if stream:
        _, received = await stage.stream(body=SHORT)
        with pytest.raises(Exception, match="reset"):
            await received.rest()
    else:
        await stage.failure(body=SHORT)
    assert await kinds(stage) == [("hold", -HELD), ("release", HELD)]


async def test_who_leaves_a_stream_pays_for_what_was_produced() -> None:
    stage = await shop()
    stage.answers("alpha", lines("say a", "usage 10 20", "note", asyncio.Event()))
    run, received = await stage.stream(body=SHORT)
    await received.next()
    await received.next()
    await run.abandon()
    assert await kinds(stage) == [("hold", -HELD), ("settle", HELD - 210_000)]


@pytest.mark.parametrize(
    ("pieces", "entered", "produced"),
    [
        (["usage 10 1", "say " + "word " * 40], 10, 50),  # what came out is counted at the end only
        (["usage 10 70", "say " + "word " * 40], 10, 70),
        (["think so"] * 30, estimated_tokens(SHORT), 30),
        (["usage 10 1", *["think so"] * 30, "say it"], 10, 31),
    ],
)
async def test_who_leaves_before_the_count_pays_for_all_that_was_produced(
    pieces: list[str], entered: int, produced: int
) -> None:
    stage = await shop()
    stage.answers("alpha", lines(*pieces, asyncio.Event()))
    run, received = await stage.stream(body=SHORT)
    while received.data.count(b"data:") < sum(not piece.startswith("usage") for piece in pieces):
        await received.next()
    await run.abandon()
    charged = entered * 1_000 + produced * 10_000
    assert (await stage.stored(run)).cost_charged_nanousd == charged
    assert (await stage.ledger.balance("ann")).available_nanousd == 10_000_000 - charged


def test_what_was_counted_at_the_end_is_not_estimated() -> None:
    counted = ChatOutcome(
        text="word " * 40, finish_reason="stop", usage=Usage(input_tokens=10, output_tokens=3)
    )
    assert with_usage(counted, SHORT, pieces=40) == counted
    assert with_usage(ChatOutcome(), SHORT) == ChatOutcome()


def test_no_more_is_estimated_than_the_request_allows() -> None:
    left = with_usage(ChatOutcome(text="word " * 400), SHORT, pieces=300)
    assert left.usage is not None
    assert left.usage.output_tokens == 100


async def test_a_stream_that_broke_as_its_client_would_not_read_is_no_gift() -> None:
    stage = await shop()
    stage.answers("alpha", lines("usage 10 1", "say a", "note", "say " + "word " * 40, "note", GONE))
    run, received = await stage.stream(body=SHORT)
    while b"word" not in received.data:
        await received.next()
    stage.clock.advance(31)
    with pytest.raises(Exception, match="reset"):
        await received.rest()
    assert (await stage.stored(run)).status.value == "cancelled"
    assert await kinds(stage) == [("hold", -HELD), ("settle", HELD - 10 * 1_000 - 50 * 10_000)]


async def test_a_provider_that_is_slow_before_it_breaks_is_free_all_the_same() -> None:
    stage = await shop()
    more = asyncio.Event()
    stage.answers("alpha", lines("say a", more, GONE))
    _, received = await stage.stream(body=SHORT)
    await received.next()
    waiting = asyncio.create_task(received.rest())
    await asyncio.sleep(0)
    stage.clock.advance(31)
    more.set()
    with pytest.raises(Exception, match="reset"):
        await waiting
    assert await kinds(stage) == [("hold", -HELD), ("release", HELD)]


async def test_a_takeover_is_charged_at_the_price_of_who_served() -> None:
    dear = replace(B, pricing=priced("2", "20"))
    stage = await shop(A, dear)
    stage.answers("alpha", BUSY)
    stage.answers("beta", said("x", tokens=(10, 20)))
    await stage.whole(body=SHORT)
    assert await kinds(stage) == [("hold", -2 * HELD), ("settle", 2 * HELD - 420_000)]


async def test_a_price_that_changes_meanwhile_changes_nothing() -> None:
    stage = await shop(A)
    stage.answers("alpha", said("x", tokens=(10, 20)))
    run = stage.run(body=SHORT)
    await run.prepare()
    await stage.publish("alpha", replace(A, pricing=priced("50", "500")))
    stage.clock.advance(120)
    await stage.one.catalog.view()
    await run.answer()
    assert run.record.cost_charged_nanousd == 210_000


@pytest.mark.parametrize(("cost_usd", "charged"), [("0.0029", 2_900_000), (None, None)])
async def test_without_a_price_nothing_is_held_and_the_provider_is_believed(
    cost_usd: str | None, charged: int | None
) -> None:
    stage = await shop(model("alpha/m"))
    stage.answers("alpha", said("x", cost_usd=cost_usd))
    run = await stage.whole(model="alpha/m")
    assert await kinds(stage) == [("hold", 0), ("settle", -(charged or 0))]
    assert run.record.cost_charged_nanousd == charged
    entries, _ = await stage.ledger.list_entries("ann", limit=9, cursor=None)
    assert [e.charged_nanousd for e in entries if e.kind is EntryKind.SETTLE] == [charged]


async def test_a_free_model_needs_no_credits() -> None:
    stage = await shop(model("alpha/m", pricing=priced("0", "0")), granted=0)
    stage.answers("alpha", said("x"))
    await stage.whole(model="alpha/m")
    assert await kinds(stage) == []


async def test_who_has_no_credits_is_still_served_by_a_key_of_their_own() -> None:
    stage = await shop(granted=0)
    stage.answers("alpha", said("x", tokens=(10, 20)))
    lent = {"alpha": Secret("sk-anns-own-key")}
    run = await stage.whole(body=SHORT, lent=lent)
    assert (run.record.provider, run.record.paid_by) == ("alpha", "lent")
    assert run.record.cost_charged_nanousd == 0
    assert await kinds(stage) == []
    stage.answers("alpha", BUSY)
    run, error = await stage.failure(body=SHORT, lent=lent)
    assert error.code == "provider_overloaded"
    assert {attempt.provider for attempt in run.attempts} == {"alpha"}  # beta would be the platform's


async def test_the_fee_is_charged_where_the_callers_own_key_pays() -> None:
    stage = await shop(A, HEADGATE_GATEWAY_FEE_PERCENT="10")
    stage.answers("alpha", said("x", tokens=(10, 20)))
    await stage.whole(body=SHORT, lent={"alpha": Secret("sk-anns-own-key")})
    assert await kinds(stage) == [("hold", -HELD // 10), ("settle", HELD // 10 - 21_000)]


async def test_counting_tokens_needs_no_credits() -> None:
    stage = await shop(granted=0)
    await stage.whole(operation="count_tokens")
    assert stage.generation_calls.calls == ["count"]


# -- when the outcome can't be written ---------------------------------------------------------------------


async def test_a_store_that_is_away_for_a_moment_costs_nobody_anything() -> None:
    stage = await shop()
    stage.answers("alpha", said("x", tokens=(10, 20)))
    run = stage.run(body=SHORT)
    await run.prepare()
    stage.generations.fault = GatewayFault.unavailable("The table")
    stage.one.chat_means.settle_pauses_s = (0.0, 0.05)
    asyncio.get_running_loop().call_later(0.01, lambda: setattr(stage.generations, "fault", None))
    await run.answer()
    assert await kinds(stage) == [("hold", -HELD), ("settle", HELD - 210_000)]
    assert not stage.log.named("generation.unsettled")


async def test_what_stays_unsettled_is_logged_with_its_figures_and_released_by_the_sweep() -> None:
    stage = await shop()
    stage.answers("alpha", said("x", tokens=(10, 20)))
    run = stage.run(body=SHORT)
    await run.prepare()
    stage.generations.fault = GatewayFault.unavailable("The table")
    assert b'"x"' in (await run.answer()).body
    (entry,) = stage.log.named("generation.unsettled")
    assert entry.fields | {"generation_id": run.id} == entry.fields
    assert (entry.fields["held_nanousd"], entry.fields["charged_nanousd"]) == (HELD, 210_000)
    assert (entry.fields["input_tokens"], entry.fields["output_tokens"]) == (10, 20)
    stage.generations.fault = None
    assert (await stage.ledger.balance("ann")).reserved_nanousd == HELD
    stage.clock.advance(840 + 121)
    swept = await stage.process("sweep").sweeper.sweep()
    assert (swept.ended, swept.released_nanousd, swept.failed) == (1, HELD, 0)
    assert await kinds(stage) == [("hold", -HELD), ("release", HELD)]
    assert (await reconcile(stage.ledger, "ann")).adds_up


async def test_what_the_sweep_ended_is_not_charged_by_an_outcome_that_comes_late() -> None:
    stage = await shop()
    stage.answers("alpha", said("x", tokens=(10, 20)))
    run = stage.run(body=SHORT)
    await run.prepare()
    stage.generations.fault, stage.generations.faults_after = None, 0
    record = await stage.stored(run)
    assert record.due_at == START + timedelta(seconds=840 + 120)
    late = stage.process("sweep")
    stage.clock.jump_to(START + timedelta(hours=1))
    await late.sweeper.sweep()
    stage.clock.jump_to(START)
    await run.answer()
    (entry,) = stage.log.named("generation.unsettled")
    assert entry.fields["code"] == "conflict"
    assert (await stage.stored(run)).status.value == "expired"
    assert await kinds(stage) == [("hold", -HELD), ("release", HELD)]


# -- limits ------------------------------------------------------------------------------------------------


def spender(**limits: Any) -> Caller:
    return ann(limits=KeyLimits(**limits))


async def test_tokens_are_limited_by_the_minute_answers_included() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("x", tokens=(10, 90)))
    caller = spender(tokens_per_minute=100)
    await stage.whole(caller)
    _, error = await stage.failure(caller)
    assert error.code == "rate_limited"
    assert "tokens_per_minute" in error.detail
    assert error.retry_after_s == 60
    stage.clock.advance(60)
    await stage.whole(caller)


@pytest.mark.parametrize(
    ("limits", "name", "after_s"),
    [
        ({"spend_per_day_nanousd": HELD + 210_000}, "credits_per_day", 15 * 3600),
        ({"spend_per_month_nanousd": HELD + 210_000}, "credits_per_month", 10 * 86_400 + 15 * 3600),
    ],
)
async def test_spending_is_limited_by_the_calendar_with_credits_or_without(
    limits: dict[str, int], name: str, after_s: int
) -> None:
    for stage in (await Stage().open_shop(), await shop()):
        stage.answers("alpha", said("x", tokens=(10, 20)))
        caller = spender(**limits)
        await stage.whole(caller, body=SHORT)
        await stage.whole(caller, body=SHORT)  # the first came to less than was reckoned with
        _, error = await stage.failure(caller, body=SHORT)
        assert (error.code, error.retry_after_s) == ("rate_limited", after_s)
        assert f"{name} limit of 0.001212 USD" in error.detail
        assert len(stage.asked) == 2
        stage.clock.advance(after_s)
        await stage.open_shop()
        await stage.whole(caller, body=SHORT)


async def test_a_spending_limit_that_is_reached_stops_nothing_that_costs_nothing() -> None:
    stage = await Stage().open_shop(A, model("beta/free", pricing=priced("0", "0")))
    stage.answers("beta", said("x"))
    caller = spender(spend_per_day_nanousd=0)
    _, error = await stage.failure(caller)
    assert error.code == "rate_limited"
    await stage.whole(caller, model="beta/free")


async def test_failures_use_no_limit_of_tokens_or_spending_up() -> None:
    stage = await Stage().open_shop(A)
    stage.answers("alpha", BUSY)
    caller = spender(tokens_per_minute=6, spend_per_day_nanousd=HELD)
    for _ in range(5):
        await stage.failure(caller, body=SHORT)
    stage.answers("alpha", said("x"))
    await stage.whole(caller, body=SHORT)


async def test_the_callers_request_and_key_are_on_the_record() -> None:
    stage = await shop(granted=10**9)
    stage.answers("alpha", said("x", cost_usd="0.1"))
    record = (await stage.whole(ANN, request_id="req_1")).record
    assert (record.request_id, record.paid_by, record.connection_id) == ("req_1", "platform", None)
    assert record.cost_provider_nanousd == int(Decimal("0.1") * 10**9)
