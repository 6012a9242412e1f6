"""Models and what became of them between two lists."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.catalog import (
    ChangeType,
    ModelInfo,
    ModelStatus,
    Pricing,
    SnapshotHead,
    diff_models,
    merge_models,
    rfc3339,
    with_status,
)
from headgate.testing.clock import START
from tests.support.models import model, priced

HOUR = timedelta(hours=1)
BASE = model("openai/gpt-5", pricing=priced("1.25", "10"))

MODELS = st.builds(
    lambda name, pricing, expires_at, status, description: model(
        f"openai/{name}", pricing=pricing, expires_at=expires_at, status=status, description=description
    ),
    st.sampled_from("abcdef"),
    st.none()
    | st.sampled_from([priced("1", "2"), priced("1.0", "2.00"), priced("1", "3"), priced("0", "0")]),
    st.none() | st.sampled_from([START, START + HOUR]),
    st.sampled_from(ModelStatus),
    st.sampled_from(["", "new words"]),
)
LISTS = st.lists(MODELS, unique_by=lambda each: each.id, max_size=6)


def types(before: list[ModelInfo], after: list[ModelInfo]) -> list[tuple[str, str]]:
    return [(change.type.value, change.model_id) for change in diff_models(before, after)]


# -- status over time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expires_at", "status"),
    [
        ("available", None, "available"),
        ("limited", None, "limited"),
        ("deprecated", None, "deprecated"),
        ("unavailable", None, "unavailable"),
        ("available", START + HOUR, "deprecated"),
        ("limited", START + HOUR, "deprecated"),
        ("deprecated", START + HOUR, "deprecated"),
        ("unavailable", START + HOUR, "unavailable"),
        ("available", START, "unavailable"),
        ("available", START - HOUR, "unavailable"),
        ("deprecated", START - HOUR, "unavailable"),
    ],
)
def test_an_end_date_deprecates_before_it_and_ends_at_it(
    told: str, expires_at: datetime | None, status: str
) -> None:
    offer = model("openai/gpt-4", status=ModelStatus(told), expires_at=expires_at)
    assert offer.status_at(START).value == status


def test_a_head_is_fresh_then_stale_then_gone() -> None:
    head = SnapshotHead(
        provider="openai", version="v1", fresh_until=START + HOUR, stale_until=START + 24 * HOUR
    )
    assert head.is_fresh(START)
    assert not head.is_fresh(START + HOUR)
    assert head.is_servable(START + HOUR)
    assert not head.is_servable(START + 24 * HOUR)


def test_a_list_that_was_never_read_is_neither() -> None:
    head = SnapshotHead(provider="openai", stale_until=START + HOUR)
    assert not head.is_fresh(START)
    assert not head.is_servable(START)


# -- prices ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pricing", "known", "above_zero"),
    [
        (Pricing(), False, False),
        (priced("0", "0"), True, False),
        (priced(None, "0.1"), True, True),
        (priced(None, None, units={"image": Decimal("0.04")}), True, True),
        (priced("0", "0", units={"image": Decimal(0)}), True, False),
    ],
)
def test_unknown_is_not_free_and_free_is_not_unknown(pricing: Pricing, known: bool, above_zero: bool) -> None:
    assert pricing.known is known
    assert pricing.above_zero is above_zero


# -- what changed ------------------------------------------------------------------------------------------


def test_equal_lists_have_no_changes() -> None:
    assert types([BASE], [BASE]) == []


def test_what_is_new_is_added_and_what_is_missing_is_removed() -> None:
    other = model("openai/gpt-6")
    assert types([BASE], [other]) == [("model.removed", BASE.id), ("model.added", other.id)]


@pytest.mark.parametrize(
    ("was", "now", "deprecated"),
    [
        (BASE, replace(BASE, expires_at=START), True),
        (BASE, with_status(BASE, ModelStatus.DEPRECATED), True),
        (with_status(BASE, ModelStatus.DEPRECATED), replace(BASE, expires_at=START), False),
        (replace(BASE, expires_at=START), replace(BASE, expires_at=START + HOUR), False),
        (replace(BASE, expires_at=START), BASE, False),
        (BASE, with_status(BASE, ModelStatus.LIMITED), False),
    ],
)
def test_a_model_is_deprecated_when_its_end_is_first_told(
    was: ModelInfo, now: ModelInfo, deprecated: bool
) -> None:
    assert types([was], [now]) == ([("model.deprecated", BASE.id)] if deprecated else [])


def test_the_end_date_is_told_with_the_change() -> None:
    (change,) = diff_models([BASE], [replace(BASE, expires_at=START)])
    assert change.after == {"status": "available", "expires_at": "2026-11-20T09:00:00Z"}


@pytest.mark.parametrize(
    ("now", "repriced"),
    [
        (priced("1.25", "10"), False),
        (priced("1.250", "10.0"), False),
        (priced("1.25", "10", source="elsewhere", as_of=START, disputed=True), False),
        (priced("1.26", "10"), True),
        (priced("1.25", "9"), True),
        (priced("1.25", None), True),
        (priced("1.25", "10", cache_read=Decimal("0.1")), True),
        (priced("1.25", "10", reasoning=Decimal(0)), True),
        (priced("1.25", "10", units={"image": Decimal("0.04")}), True),
        (None, True),
    ],
)
def test_only_another_price_is_a_new_price(now: Pricing | None, repriced: bool) -> None:
    assert types([BASE], [replace(BASE, pricing=now)]) == ([("model.repriced", BASE.id)] if repriced else [])


def test_a_new_price_is_told_beside_the_old_one() -> None:
    (change,) = diff_models([BASE], [replace(BASE, pricing=priced("1", "10"))])
    assert change.before == {"input": "1.25", "output": "10"}
    assert change.after == {"input": "1", "output": "10"}


def test_words_are_no_change() -> None:
    assert types([BASE], [replace(BASE, description="better", name="GPT-5!", context_window=9)]) == []


def prices(offer: ModelInfo) -> list[object]:
    price = offer.pricing or Pricing()
    return [price.input, price.output, price.cache_read, price.cache_write, price.reasoning, price.units]


@given(LISTS, LISTS)
def test_a_change_is_told_exactly_when_there_is_one(before: list[ModelInfo], after: list[ModelInfo]) -> None:
    old, new = ({each.id: each for each in models} for models in (before, after))
    told = {(change.type, change.model_id) for change in diff_models(before, after)}
    assert {i for kind, i in told if kind is ChangeType.MODEL_ADDED} == new.keys() - old.keys()
    assert {i for kind, i in told if kind is ChangeType.MODEL_REMOVED} == old.keys() - new.keys()
    for model_id in old.keys() & new.keys():
        was, now = old[model_id], new[model_id]
        ended = [o.expires_at is not None or o.status is ModelStatus.DEPRECATED for o in (was, now)]
        assert ((ChangeType.MODEL_DEPRECATED, model_id) in told) == (ended == [False, True])
        assert ((ChangeType.MODEL_REPRICED, model_id) in told) == (prices(was) != prices(now))


@given(LISTS, LISTS)
def test_the_order_of_the_lists_does_not_matter(before: list[ModelInfo], after: list[ModelInfo]) -> None:
    assert diff_models(before, after) == diff_models(before[::-1], after[::-1])


# -- merging -----------------------------------------------------------------------------------------------


@given(st.lists(MODELS, max_size=12))
def test_a_merged_list_is_sorted_and_has_each_id_once_the_first_one(models: list[ModelInfo]) -> None:
    merged = merge_models(models)
    ids = [each.id for each in merged]
    assert ids == sorted(set(ids))
    assert set(ids) == {each.id for each in models}
    for each in merged:
        assert each is next(m for m in models if m.id == each.id)


# -- times -------------------------------------------------------------------------------------------------


def test_times_are_utc_end_in_z_and_have_milliseconds_only_where_there_are_any() -> None:
    assert rfc3339(datetime(2026, 11, 20, 9, tzinfo=UTC)) == "2026-11-20T09:00:00Z"
    assert rfc3339(datetime(2026, 11, 20, 9, 0, 0, 5_900, UTC)) == "2026-11-20T09:00:00.005Z"
    assert rfc3339(datetime(2026, 11, 20, 9, 0, 0, 999, UTC)) == "2026-11-20T09:00:00Z"
    assert rfc3339(datetime(2026, 11, 20, 11, tzinfo=timezone(2 * HOUR))) == "2026-11-20T09:00:00Z"
    assert rfc3339(None) is None


def test_ids_keep_the_providers_own_id_whole() -> None:
    assert model("openrouter/openai/gpt-4o:free").native_id == "openai/gpt-4o:free"
    assert model("custom/a@b/c").native_id == "a@b/c"
