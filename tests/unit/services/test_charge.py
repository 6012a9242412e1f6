"""What a request may cost, what is held and counted for it, and what it costs in the end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from headgate.codec import codec_of
from headgate.domain.admission import Correction, Measure, parts_of
from headgate.domain.callers import KeyLimits
from headgate.domain.catalog import ModelInfo
from headgate.domain.connections import Connection
from headgate.domain.credentials import Credential
from headgate.domain.credits import EntryKind
from headgate.domain.errors import NeverWithinLimit
from headgate.domain.generation import GenerationRecord, GenerationStatus, Usage
from headgate.domain.secret import Secret
from headgate.providers.base import ChatOutcome
from headgate.services.charge import (
    Admittance,
    Tariff,
    admit,
    charge_usd,
    charged_nanousd,
    closing_of,
    counters_of,
)
from headgate.services.chat_records import ChatAsk, estimated_tokens
from headgate.services.longest import longest_answer
from headgate.services.route import Candidate
from headgate.testing.clock import START
from tests.support.bench import ann
from tests.support.models import model, priced

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "x" * 400}]}
INPUT = estimated_tokens(BODY)
LENT = Credential(paid_by="lent", lent=Secret("sk-lent"))
OWN = Credential(
    paid_by="connection",
    connection=Connection(id="con_1", user_id="ann", name="x", type="a", created_at=START, updated_at=START),
)
ENFORCED = Tariff(credits=True)
PRICED = model("a/m", pricing=priced("1", "10"))
"""Nano-dollars: 1,000 a token of input, 10,000 one of an answer."""


def candidate(info: ModelInfo | None = PRICED, **fields: Any) -> Candidate:
    return Candidate(provider="a", native_id="m", info=info, **fields)


def admitted(*candidates: Candidate, tariff: Tariff = ENFORCED, **ask: Any) -> Admittance:
    made = ChatAsk(**({"body": BODY, "model": "m"} | ask))
    limits = KeyLimits(
        requests_per_minute=5,
        tokens_per_minute=10**9,
        spend_per_day_nanousd=10**18,
        spend_per_month_nanousd=10**18,
    )
    return admit(ann(limits=limits), made, candidates, generation_id="gen_1", now=START, tariff=tariff)


# -- how long an answer may get ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "most", "tokens"),
    [
        ({"max_tokens": 7}, None, 7),
        ({"max_completion_tokens": 7, "max_tokens": 9}, None, 9),  # not every server goes by the newer
        ({"max_tokens": 9, "max_completion_tokens": 7}, None, 9),
        ({"max_completion_tokens": 7, "max_output_tokens": 9}, None, 9),
        ({"max_tokens": 7, "generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}, None, 18),
        ({"max_tokens": 7, "generation_config": {"max_output_tokens": 9}}, None, 9),
        ({"max_tokens": 7, "extra_body": {"google": {"generationConfig": {"maxOutputTokens": 9}}}}, None, 9),
        ({"max_tokens": 7, "additionalModelRequestFields": {"max_tokens": 9}}, None, 9),
        ({"max_tokens": 7, "generationConfig": [9]}, None, 7),
        ({"max_tokens": 8_000.0}, None, 8_000),
        ({"max_tokens": "8000"}, None, 8_000),
        ({"max_tokens": "1e999"}, None, 4_096),
        ({"max_tokens": 1e300}, None, 10**12),
        ({"max_tokens": 7, "n": "3"}, None, 21),
        ({"max_tokens": 7, "n": 2.0, "best_of": 4}, None, 28),
        ({"max_output_tokens": 7}, None, 7),
        ({"max_tokens": 9_000}, 50, 9_000),  # what is asked for counts
        ({}, 50, 50),
        ({}, 9_000, 4_096),
        ({}, None, 4_096),
        ({"max_tokens": None}, None, 4_096),
        ({"max_tokens": "7"}, None, 4_096),
        ({"max_tokens": 7, "n": 3}, None, 21),
        ({"max_tokens": -1, "n": 0}, None, 4_096),  # no limit, some servers say
        ({"max_tokens": 10**30}, None, 10**12),
    ],
)
def test_an_answer_may_get_as_long_as_asked_or_as_the_model_may_within_bounds(
    body: dict[str, Any], most: int | None, tokens: int
) -> None:
    assert longest_answer(body, replace(PRICED, max_output_tokens=most), 4_096) == tokens


# -- holds -------------------------------------------------------------------------------------------------


def test_the_hold_is_the_input_and_the_longest_answer_at_the_candidates_price() -> None:
    body = BODY | {"max_tokens": 50}
    made = admitted(candidate(), body=body)
    assert made.held_nanousd == made.estimated_nanousd == estimated_tokens(body) * 1_000 + 50 * 10_000
    hold = made.admission.hold
    assert hold is not None
    assert (hold.entry.kind, hold.entry.user_id, hold.entry.generation_id) == (EntryKind.HOLD, "ann", "gen_1")
    assert hold.entry.price == PRICED.pricing


def test_the_dearest_of_the_candidates_is_held_for() -> None:
    dear = model("b/m", pricing=priced("2", "20"))
    both = admitted(candidate(), candidate(dear))
    assert both.held_nanousd == admitted(candidate(dear)).held_nanousd
    assert both.admission.hold is not None
    assert both.admission.hold.entry.price == dear.pricing


def test_embeddings_hold_their_input_alone() -> None:
    assert admitted(candidate(), operation="embeddings").held_nanousd == INPUT * 1_000


def test_while_credits_are_off_nothing_is_held_and_the_estimate_is_told() -> None:
    off = admitted(candidate(), tariff=Tariff())
    assert off.held_nanousd is None
    assert off.estimated_nanousd == admitted(candidate()).held_nanousd


@pytest.mark.parametrize("unknown", [None, model("a/m"), model("a/m", pricing=priced(None, "1"))])
def test_an_unknown_price_holds_nothing_yet_asks_whether_there_is_a_debt(unknown: ModelInfo | None) -> None:
    made = admitted(candidate(unknown))
    assert (made.held_nanousd, made.estimated_nanousd) == (0, None)
    beside = admitted(candidate(unknown), candidate())
    assert beside.held_nanousd == admitted(candidate()).held_nanousd


@pytest.mark.parametrize(
    "free",
    [
        candidate(model("a/m", pricing=priced("0", "0"))),
        candidate(credential=LENT),
        candidate(credential=OWN),
        candidate(None, credential=OWN),
    ],
)
def test_what_certainly_costs_nothing_holds_nothing_and_counts_no_spending(free: Candidate) -> None:
    made = admitted(free)
    assert (made.held_nanousd, made.estimated_nanousd) == (None, 0)
    assert {counter.label for counter in made.admission.counters} == {
        "requests_per_minute",
        "tokens_per_minute",
    }
    assert admitted(free, candidate()).held_nanousd == admitted(candidate()).held_nanousd


def test_a_price_per_request_is_no_price_of_zero() -> None:
    per_request = priced("0", "0", units={"request": Decimal("0.01")})
    assert admitted(candidate(model("a/m", pricing=per_request))).held_nanousd == 10_000_000


def test_the_fee_is_held_where_the_callers_own_key_pays() -> None:
    fee = Tariff(credits=True, fee_percent=Decimal("2.5"))
    whole = admitted(candidate()).held_nanousd
    assert whole is not None
    assert admitted(candidate(credential=OWN), tariff=fee).held_nanousd == round(whole * 0.025)
    assert admitted(candidate(None, credential=OWN), tariff=fee).held_nanousd == 0


# -- charges -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "usage", "usd"),
    [
        (PRICED, Usage(input_tokens=1000, output_tokens=200, cost_usd=Decimal(9)), "0.003"),
        (model("a/m"), Usage(input_tokens=1, output_tokens=2, cost_usd=Decimal("0.5")), "0.5"),
        (None, Usage(input_tokens=1, output_tokens=2), None),
        (PRICED, Usage(cost_usd=Decimal("0.5")), "0.5"),
    ],
)
def test_the_catalogues_price_is_charged_else_what_the_provider_says(
    info: ModelInfo | None, usage: Usage, usd: str | None
) -> None:
    charge = charge_usd(usage, candidate(info), ENFORCED)
    assert charge == (None if usd is None else Decimal(usd))


def test_the_callers_own_key_is_charged_the_fee_alone() -> None:
    usage = Usage(input_tokens=1000, output_tokens=200, cost_usd=Decimal(9))
    fee = Tariff(fee_percent=Decimal(5))
    for credential in (OWN, LENT):
        own = candidate(credential=credential)
        assert charge_usd(usage, own, ENFORCED) == 0
        assert charge_usd(usage, own, fee) == Decimal("0.00015")
        assert charge_usd(usage, replace(own, info=None), fee) is None


@pytest.mark.parametrize(
    ("status", "text", "usage", "nano"),
    [
        ("succeeded", "x", Usage(input_tokens=1, output_tokens=1), 11_000),
        ("succeeded", "", None, None),
        ("cancelled", "x", None, None),
        ("cancelled", "", None, 0),
        ("cancelled", "", Usage(input_tokens=1, output_tokens=0), 1_000),
        ("failed", "x", Usage(input_tokens=1, output_tokens=1), 0),
    ],
)
def test_what_was_produced_is_charged_and_a_failure_is_free(
    status: str, text: str, usage: Usage | None, nano: int | None
) -> None:
    outcome = ChatOutcome(text=text, usage=usage)
    assert charged_nanousd(GenerationStatus(status), candidate(), outcome, ENFORCED) == nano


# -- the end -----------------------------------------------------------------------------------------------


def begun(**fields: Any) -> GenerationRecord:
    made: dict[str, Any] = {
        "id": "gen_1",
        "owner": "ann",
        "key_id": "key_ann",
        "type": "text",
        "status": GenerationStatus.RUNNING,
        "created_at": START,
        "held_nanousd": 100,
    }
    return GenerationRecord(**made | fields)


@pytest.mark.parametrize(
    ("status", "charged", "kind", "amount"),
    [
        ("succeeded", 30, "settle", 70),
        ("succeeded", 130, "settle", -30),
        ("succeeded", 0, "settle", 100),
        ("succeeded", None, "settle", 100),
        ("cancelled", 30, "settle", 70),
        ("cancelled", 0, "release", 100),
        ("failed", 0, "release", 100),
        ("expired", 0, "release", 100),
    ],
)
def test_a_hold_is_settled_by_what_was_charged_or_given_back(
    status: str, charged: int | None, kind: str, amount: int
) -> None:
    ended = begun(status=GenerationStatus(status), cost_charged_nanousd=charged)
    settlement = closing_of(begun(), ended, START).settlement
    assert settlement is not None
    assert settlement.held_nanousd == 100
    assert (settlement.entry.kind.value, settlement.entry.amount_nanousd) == (kind, amount)
    assert settlement.entry.charged_nanousd == (charged if kind == "settle" else None)


def test_without_a_hold_nothing_is_settled() -> None:
    assert closing_of(begun(held_nanousd=None), begun(cost_charged_nanousd=5), START).settlement is None


@pytest.mark.parametrize(
    ("status", "usage", "charged", "corrections"),
    [
        ("succeeded", Usage(input_tokens=30, output_tokens=5), 70, {"tokens": -5, "spend": 20}),
        ("succeeded", Usage(input_tokens=30, output_tokens=10), 50, {}),
        ("succeeded", None, None, {"spend": -50}),
        ("succeeded", Usage(cost_usd=Decimal(1)), 50, {}),  # what is not told leaves the estimate
        ("succeeded", Usage(output_tokens=5), 50, {"tokens": 5}),
        ("failed", None, 0, {"tokens": -40, "spend": -50}),
        ("expired", None, 0, {"tokens": -40, "spend": -50}),
    ],
)
def test_counters_are_put_right_by_what_was_used(
    status: str, usage: Usage | None, charged: int | None, corrections: dict[str, int]
) -> None:
    ends = START + timedelta(minutes=1)
    raised = (
        Correction(name="key_ann#tokens#1", amount=40, expires_at=ends),
        Correction(name="key_ann#spend#2026-11", amount=50, expires_at=ends),
    )
    ended = begun(status=GenerationStatus(status), usage=usage, cost_charged_nanousd=charged)
    closing = closing_of(begun(raised=raised), ended, START)
    assert {each.name.split("#")[1]: each.amount for each in closing.corrections} == corrections
    assert closing_of(begun(raised=raised), ended, ends).corrections == ()  # nobody asks any more


# -- limits ------------------------------------------------------------------------------------------------


def test_windows_are_calendar_minutes_days_and_months_of_utc() -> None:
    limits = KeyLimits(
        requests_per_minute=1, tokens_per_minute=2, spend_per_day_nanousd=3, spend_per_month_nanousd=4
    )
    new_years_eve = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    counters = counters_of(ann(limits=limits), new_years_eve, tokens=7, spend_nanousd=9)
    assert {each.label: (each.amount, each.limit, each.expires_at) for each in counters} == {
        "requests_per_minute": (1, 1, midnight),
        "tokens_per_minute": (7, 2, midnight),
        "credits_per_day": (9, 3, midnight),
        "credits_per_month": (9, 4, midnight),
    }
    assert len({each.name for each in counters}) == 4
    later = counters_of(ann(limits=limits), midnight, tokens=7, spend_nanousd=9)
    assert not {each.name for each in counters} & {each.name for each in later}


def test_a_request_is_counted_with_its_input_until_its_answer_is_known() -> None:
    made = admitted(candidate(), body=BODY | {"max_tokens": 1_000_000})
    tokens = next(each for each in made.admission.counters if each.measure == "tokens")
    assert tokens.amount == estimated_tokens(BODY | {"max_tokens": 1_000_000})
    assert {each.name.split("#")[1] for each in made.raised} == {"tokens", "spend"}


@pytest.mark.parametrize(
    ("measure", "limit", "parts"),
    [
        ("requests", 1, 1),
        ("requests", 599, 1),
        ("requests", 600, 2),
        ("requests", 6_000, 16),
        ("tokens", 499_999, 1),
        ("tokens", 1_000_000, 4),
        ("spend", 39 * 10**8, 1),
        ("spend", 20 * 10**9, 10),
        ("spend", 10**15, 16),
    ],
)
def test_a_window_has_as_many_parts_as_its_limit_bears(measure: Measure, limit: int, parts: int) -> None:
    assert parts_of(measure, limit) == parts


def test_what_puts_a_counter_right_knows_how_it_was_counted() -> None:
    limits = KeyLimits(tokens_per_minute=2_000_000, spend_per_day_nanousd=10**9)
    made = admit(
        ann(limits=limits),
        ChatAsk(body=BODY, model="m"),
        [candidate()],
        generation_id="gen_1",
        now=START,
        tariff=ENFORCED,
    )
    assert [(each.parts, each.limit) for each in made.raised] == [(8, 2_000_000), (1, 0)]
    assert [each.parts for each in made.admission.counters] == [8, 1]
    begun = GenerationRecord(
        id="gen_1",
        owner="ann",
        key_id="key_1",
        type="text",
        status=GenerationStatus.RUNNING,
        created_at=START,
        raised=made.raised,
    )
    ended = replace(begun, status=GenerationStatus.FAILED, cost_charged_nanousd=0, raised=())
    corrections = closing_of(begun, ended, START).corrections
    assert [(each.parts, each.limit) for each in corrections] == [(8, 2_000_000), (1, 0)]


def test_a_record_that_was_kept_before_windows_had_parts_is_read() -> None:
    stored = b'{"amount":7,"expires_at":"2026-11-21T05:03:53+00:00","name":"key_1#spend#2026-11"}'
    read = codec_of(Correction).load(stored)
    assert (read.amount, read.parts, read.limit) == (7, 1, 0)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (KeyLimits(tokens_per_minute=9), ["ESTIMATE tokens", "tokens_per_minute limit is 9", "shorten"]),
        (KeyLimits(spend_per_day_nanousd=10**6), ["credits_per_day limit is 0.001 USD", "max_tokens"]),
        (KeyLimits(spend_per_month_nanousd=10**6), ["credits_per_month", "max_tokens", "administrator"]),
    ],
)
def test_what_fits_no_window_is_refused_for_good(limits: KeyLimits, says: list[str]) -> None:
    body = BODY | {"max_tokens": 100}
    estimate = str(estimated_tokens(body))
    with pytest.raises(NeverWithinLimit) as refused:
        admit(
            ann(limits=limits),
            ChatAsk(body=body, model="m"),
            [candidate()],
            generation_id="gen_1",
            now=START,
            tariff=ENFORCED,
        )
    error = refused.value
    assert (error.code, error.http_status, error.retryable) == ("rate_limited", 429, False)
    assert error.retry_after_s is None
    assert all(each.replace("ESTIMATE", estimate) in error.detail for each in says)


def test_what_fits_a_window_to_the_last_is_let_through() -> None:
    body = BODY | {"max_tokens": 100}
    limits = KeyLimits(
        tokens_per_minute=estimated_tokens(body),
        spend_per_day_nanousd=estimated_tokens(body) * 1_000 + 100 * 10_000,
    )
    made = admit(
        ann(limits=limits),
        ChatAsk(body=body, model="m"),
        [candidate()],
        generation_id="gen_1",
        now=START,
        tariff=ENFORCED,
    )
    assert [counter.room for counter in made.admission.counters] == [0, 0]


def test_only_limits_that_are_set_are_counted() -> None:
    assert counters_of(ann(), START, tokens=1, spend_nanousd=1) == ()
