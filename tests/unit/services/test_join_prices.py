"""A table fills what a provider leaves open, contradicts it nowhere, and is named where it is the source."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, Pricing
from headgate.providers.dialects.canonical import canonical_id
from headgate.services.join_prices import PriceBook, differ
from headgate.services.price_sources import PriceRow
from tests.support.models import priced

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)


def listed(model_id: str, **fields: Any) -> ModelInfo:
    """As a provider's list gives it: without prices, unless they are told."""
    slug, _, native = model_id.partition("/")
    return ModelInfo(
        id=model_id, canonical_id=canonical_id(slug, native), provider=slug, name=native, **fields
    )


def row(row_id: str, *, seller: str = "openai", author: str | None = None, **fields: Any) -> PriceRow:
    """A row of a seller of ours, or of an author whom we reach through others."""
    name = canonical_id("", row_id, author=author) if author else canonical_id(seller, row_id)
    return PriceRow(seller="" if author else seller, id=row_id, canonical_id=name, **fields)


def book(*first: PriceRow, second: tuple[PriceRow, ...] = ()) -> PriceBook:
    return PriceBook([("models.dev", MONDAY, first), ("genai-prices", TUESDAY, second)])


def completed(model: ModelInfo, *first: PriceRow, second: tuple[PriceRow, ...] = ()) -> ModelInfo:
    (done,) = book(*first, second=second).complete([model])
    return done


def price_of(model: ModelInfo) -> Pricing:
    assert model.pricing is not None
    return model.pricing


# -- prices ------------------------------------------------------------------------------------------------


def test_a_missing_price_is_the_first_tables_with_its_name_and_date() -> None:
    done = completed(
        listed("openai/gpt-x"),
        row("gpt-x", pricing=priced("1.25", "10", cache_read=Decimal("0.125"))),
        second=(row("gpt-x", pricing=priced("1.25", "10")),),
    )
    assert done.pricing == priced(
        "1.25", "10", cache_read=Decimal("0.125"), source="models.dev", as_of=MONDAY, disputed=False
    )
    assert done.premium


def test_where_the_first_knows_nothing_the_second_is_asked() -> None:
    told = (row("gpt-x", pricing=priced("1", "2")),)
    for first in ((), (row("gpt-x"),), (row("gpt-y", pricing=priced("9", "9")),)):
        price = price_of(completed(listed("openai/gpt-x"), *first, second=told))
        assert (price.input, price.source, price.as_of) == (Decimal(1), "genai-prices", TUESDAY)


def test_the_providers_own_price_stays_as_it_is() -> None:
    own = priced("0.15", "0.6", source="openrouter")
    done = completed(
        listed("openrouter/openai/gpt-x", pricing=own, premium=True),
        row("openai/gpt-x", seller="openrouter", pricing=priced("0.15", "0.6", cache_read=Decimal("0.01"))),
    )
    assert done.pricing == own


def test_a_price_that_is_known_to_be_unknown_may_be_filled() -> None:
    done = completed(
        listed("huggingface/a/b", pricing=Pricing(source="huggingface")),
        row("a/b", seller="huggingface", pricing=priced("0.3", "1.2")),
    )
    assert price_of(done).source == "models.dev"
    assert done.premium


def test_a_free_model_is_not_made_dear_only_disputed() -> None:
    own = priced("0", "0", source="openrouter")
    done = completed(
        listed("openrouter/a/b:free", pricing=own),
        row("a/b:free", seller="openrouter", pricing=priced("1", "2")),
    )
    assert done.pricing == replace(own, disputed=True)
    assert not done.premium


def test_without_any_row_a_model_stays_as_it_is() -> None:
    model = listed("openai/gpt-x")
    assert completed(model) == model
    assert completed(model, row("gpt-y", pricing=priced("1", "2"))) == model


# -- disagreement ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (priced("1", "2"), priced("1", "2"), False),
        (priced("1", "2"), priced("1.01", "2"), False),
        (priced("100", "2"), priced("99", "2"), False),
        (priced("100", "2"), priced("98.9", "2"), True),
        (priced("1", "2"), priced("1.02", "2"), True),
        (priced("1", "2"), priced("1", "2.1"), True),
        (priced("1", "2"), priced("1", None), False),
        (priced("1", "2"), priced(None, None), False),
        (priced("0", "0"), priced("0", "0"), False),
        (priced("0", "0"), priced("0.01", "0"), True),
        (priced("1", "2", cache_read=Decimal("0.1")), priced("1", "2", cache_read=Decimal("0.2")), True),
        (priced("1", "2", cache_read=Decimal("0.1")), priced("1", "2"), False),
    ],
)
def test_more_than_a_hundredth_is_a_disagreement(one: Pricing, other: Pricing, apart: bool) -> None:
    assert differ(one, other) is apart
    assert differ(other, one) is apart


def test_tables_that_disagree_are_flagged_and_so_is_a_provider_they_contradict() -> None:
    bare = completed(
        listed("openai/gpt-x"),
        row("gpt-x", pricing=priced("1", "2")),
        second=(row("gpt-x", pricing=priced("3", "2")),),
    )
    assert (price_of(bare).input, price_of(bare).disputed) == (Decimal(1), True)
    own = completed(
        listed("openai/gpt-x", pricing=priced("1", "2", source="openai")),
        row("gpt-x", pricing=priced("1", "2")),
        second=(row("gpt-x", pricing=priced("3", "2")),),
    )
    assert own.pricing == priced("1", "2", source="openai", disputed=True)


# -- who is meant ------------------------------------------------------------------------------------------


def test_a_makers_model_is_found_under_any_of_its_spellings() -> None:
    told = row("claude-sonnet-4-5", seller="anthropic", pricing=priced("3", "15"))
    for name in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4.5"):
        assert price_of(completed(listed(f"anthropic/{name}"), told)).input == 3


def test_the_very_id_goes_before_another_spelling_of_it() -> None:
    told = [
        row("claude-sonnet-4-5", seller="anthropic", pricing=priced("3", "15")),
        row("claude-sonnet-4-5-20250929", seller="anthropic", pricing=priced("4", "15")),
    ]
    assert price_of(completed(listed("anthropic/claude-sonnet-4-5-20250929"), *told)).input == 4


def test_snapshots_that_cost_differently_are_not_mixed_up() -> None:
    told = row("gpt-4o", pricing=priced("2.5", "10"))
    assert completed(listed("openai/gpt-4o-2024-05-13"), told).pricing is None


def test_a_rule_finds_what_no_id_names() -> None:
    ruled = [
        row("gpt-x", match={"starts_with": "gpt-x"}, pricing=priced("1", "2")),
        row("gpt-x-old", match={"equals": "gpt-x-2024"}, pricing=priced("5", "6")),
        row("gpt-late", match={"contains": "gpt-x"}, pricing=priced("7", "8")),
    ]
    assert price_of(completed(listed("openai/gpt-x-2026-01-01"), *ruled)).input == 1
    assert price_of(completed(listed("openai/gpt-x-2024"), *ruled)).input == 5, "what is named goes first"


def test_what_one_seller_asks_says_nothing_of_another() -> None:
    makers = row("gpt-x", pricing=priced("1", "2"), context_window=1000)
    routers = row("openai/gpt-x", seller="openrouter", pricing=priced("1.1", "2.2"))
    for model in (listed("requesty/openai/gpt-x"), listed("bedrock/openai.gpt-x")):
        assert completed(model, makers, routers).pricing is None


def test_regions_and_tiers_of_a_router_are_not_priced_by_each_other() -> None:
    told = row("anthropic/claude-x", seller="requesty", pricing=priced("3", "15"))
    for name in ("bedrock/anthropic/claude-x@eu-west-1", "anthropic/claude-x:flex"):
        assert completed(listed(f"requesty/{name}"), told).pricing is None


@pytest.mark.parametrize("model_id", ["openai/ft:gpt-x:acme::1", "openai/gpt-x:ft-acme-2023"])
def test_a_fine_tune_has_a_price_of_its_own_that_no_table_knows(model_id: str) -> None:
    told = row("gpt-x", match={"contains": "gpt-x"}, pricing=priced("1", "2"))
    assert completed(listed(model_id), told) == listed(model_id)


@pytest.mark.parametrize("model_id", ["custom/openai/gpt-x", "modal/openai/gpt-x", "mock/gpt-x", "kie/gpt-x"])
def test_whoever_no_table_speaks_of_is_left_alone(model_id: str) -> None:
    told = row("gpt-x", pricing=priced("1", "2"), context_window=1000)
    assert completed(listed(model_id), told) == listed(model_id)


# -- facts -------------------------------------------------------------------------------------------------


def test_limits_and_age_are_filled_where_they_are_missing() -> None:
    told = row("gpt-x", context_window=400_000, max_output_tokens=128_000, created_at=MONDAY)
    bare = completed(listed("openai/gpt-x"), told)
    assert (bare.context_window, bare.max_output_tokens, bare.created_at) == (400_000, 128_000, MONDAY)
    own = listed("openai/gpt-x", context_window=1, max_output_tokens=2, created_at=TUESDAY)
    kept = completed(own, told)
    assert (kept.context_window, kept.max_output_tokens, kept.created_at) == (1, 2, TUESDAY)


def test_the_maker_knows_a_models_limits_wherever_it_is_sold() -> None:
    makers = row("claude-x", seller="anthropic", pricing=priced("3", "15"), context_window=200_000)
    done = completed(listed("requesty/anthropic/claude-x"), makers)
    assert (done.context_window, done.pricing) == (200_000, None)
    reached = row("grok-4", author="x-ai", pricing=priced("3", "15"), context_window=256_000)
    assert completed(listed("requesty/xai/grok-4"), reached).context_window == 256_000


def test_the_sellers_own_limit_goes_before_the_makers() -> None:
    makers = row("claude-x", seller="anthropic", context_window=1_000_000)
    sellers = row("anthropic/claude-x", seller="requesty", context_window=200_000)
    assert completed(listed("requesty/anthropic/claude-x"), makers, sellers).context_window == 200_000


def test_a_second_table_fills_what_the_first_leaves_open() -> None:
    done = completed(
        listed("openai/gpt-x"),
        row("gpt-x", pricing=priced("1", "2")),
        second=(row("gpt-x", context_window=400_000),),
    )
    assert (price_of(done).source, done.context_window) == ("models.dev", 400_000)


ABLE = row(
    "gpt-x",
    input_modalities=("text", "image", "file"),
    output_modalities=("text",),
    capabilities=frozenset({"tools", "vision", "file_input"}),
)


def test_a_list_of_names_learns_abilities_and_keeps_its_own() -> None:
    done = completed(listed("openai/gpt-x", capabilities=frozenset({"streaming"})), ABLE)
    assert done.capabilities == {"streaming", "tools", "vision", "file_input"}
    assert (done.input_modalities, done.vision) == (("text", "image", "file"), True)


def test_a_list_that_tells_prices_has_told_its_abilities_too() -> None:
    model = listed("openai/gpt-x", pricing=priced("1", "2", source="openai"))
    done = completed(model, ABLE)
    assert (done.capabilities, done.input_modalities) == (frozenset(), ("text",))


def test_only_models_that_write_learn_abilities() -> None:
    model = listed("openai/gpt-x", modality=Modality.IMAGE, output_modalities=("image",))
    done = completed(model, ABLE)
    assert (done.modality, done.output_modalities, done.capabilities) == (
        Modality.IMAGE,
        ("image",),
        frozenset(),
    )


@pytest.mark.parametrize("modality", [Modality.TTS, Modality.STT, Modality.MUSIC, Modality.VIDEO])
def test_what_is_not_paid_by_tokens_gets_no_price_per_token(modality: Modality) -> None:
    told = row("gpt-x", pricing=priced("1", "2"))
    assert completed(listed("openai/gpt-x", modality=modality), told).pricing is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ModelStatus.AVAILABLE, ModelStatus.DEPRECATED),
        (ModelStatus.LIMITED, ModelStatus.DEPRECATED),
        (ModelStatus.UNAVAILABLE, ModelStatus.UNAVAILABLE),
    ],
)
def test_an_end_that_a_table_tells_is_shown(status: ModelStatus, expected: ModelStatus) -> None:
    model = listed("openai/gpt-x", status=status)
    assert completed(model, row("gpt-x", deprecated=True)).status is expected
    assert completed(model, row("gpt-x"), second=(row("gpt-x", deprecated=True),)).status is expected


def test_an_end_at_the_makers_is_none_at_another_seller() -> None:
    ended = row("claude-x", seller="anthropic", deprecated=True)
    assert completed(listed("requesty/anthropic/claude-x"), ended).status is ModelStatus.AVAILABLE


def test_a_list_keeps_its_order_and_length() -> None:
    models = [listed(f"openai/gpt-{name}") for name in "cab"]
    done = book(row("gpt-a", pricing=priced("1", "2"))).complete(models)
    assert [model.id for model in done] == [model.id for model in models]


def test_an_empty_book_changes_nothing() -> None:
    models = (listed("openai/gpt-x"), listed("custom/y"))
    assert PriceBook().complete(models) == models
