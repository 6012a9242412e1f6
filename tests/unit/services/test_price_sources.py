"""Public tables are read as they are: misspelt keys, zeros that mean nothing, prices that begin one day."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.catalog import Pricing
from headgate.services.price_sources import (
    PriceRow,
    UnreadableTable,
    read_genai_prices,
    read_models_dev,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PRICED = {"cost": {"input": 1, "output": 2}}


def models_dev(**sellers: dict[str, Any]) -> bytes:
    """`models_dev(openai={"gpt-x": {…}})`; one priced model more, so that there is always a table."""
    root = {
        name.replace("_", "-"): {
            "id": name,
            "models": {key: {"id": key, **one} for key, one in models.items()},
        }
        for name, models in sellers.items()
    }
    return orjson.dumps({"deepseek": {"models": {"anchor": PRICED}}} | root)


def one_of_models_dev(**entry: Any) -> PriceRow:
    rows = read_models_dev(models_dev(openai={"gpt-x": entry}), NOW).rows
    return next(row for row in rows if row.id == "gpt-x")


def genai(*models: Any, seller: str = "openai") -> bytes:
    anchor = {"id": "anchor", "match": {"equals": "anchor"}, "prices": {"input_mtok": 1}}
    return orjson.dumps([{"id": seller, "models": list(models)}, {"id": "deepseek", "models": [anchor]}])


def one_of_genai(prices: Any, **more: Any) -> PriceRow:
    entry = {"id": "gpt-x", "match": {"starts_with": "gpt-x"}, "prices": prices, **more}
    return next(row for row in read_genai_prices(genai(entry), NOW).rows if row.id == "gpt-x")


def dollars(pricing: Pricing | None) -> dict[str, Decimal]:
    """What is told, by name."""
    assert pricing is not None
    named = {
        name: getattr(pricing, name) for name in ("input", "output", "cache_read", "cache_write", "reasoning")
    }
    return {name: price for name, price in named.items() if price is not None} | dict(pricing.units)


# -- models.dev --------------------------------------------------------------------------------------------


def test_prices_are_per_million_tokens_exactly_as_written() -> None:
    row = one_of_models_dev(cost={"input": 0.435, "output": 0.87, "cache_read": 0.003625, "reasoning": 3})
    assert dollars(row.pricing) == {
        "input": Decimal("0.435"),
        "output": Decimal("0.87"),
        "cache_read": Decimal("0.003625"),
        "reasoning": Decimal(3),
    }


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("cache_read", "cache_read"),
        ("cached_input", "cache_read"),
        ("cache_input", "cache_read"),
        ("cache_write", "cache_write"),
        ("cached_write", "cache_write"),
    ],
)
def test_a_price_is_found_however_its_key_is_spelt(key: str, name: str) -> None:
    row = one_of_models_dev(cost={"input": 1, "output": 2, key: 0.1})
    assert dollars(row.pricing)[name] == Decimal("0.1")


@pytest.mark.parametrize(
    "cost", [None, {}, [], {"input": 0, "output": 0}, {"input": 0, "cache_read": 0}, {"input": -1}]
)
def test_zero_for_everything_is_no_price(cost: Any) -> None:
    assert one_of_models_dev(cost=cost).pricing is None


def test_zero_for_one_side_is_one() -> None:
    row = one_of_models_dev(cost={"input": 0.01, "output": 0, "cache_read": 0, "cache_write": 0})
    assert dollars(row.pricing) == {"input": Decimal("0.01"), "output": Decimal(0)}


def test_of_tiers_the_first_is_the_price() -> None:
    tiers = [{"tier": {"size": 200_000}, "input": 10, "output": 37.5}]
    row = one_of_models_dev(cost={"input": 5, "output": 25, "tiers": tiers})
    assert dollars(row.pricing) == {"input": Decimal(5), "output": Decimal(25)}


def test_tokens_of_sound_have_prices_of_their_own_per_token() -> None:
    row = one_of_models_dev(cost={"input": 1, "output": 2, "input_audio": 40, "output_audio": 80})
    assert dollars(row.pricing)["audio"] == Decimal("0.00004")
    assert dollars(row.pricing)["audio_output"] == Decimal("0.00008")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"context": 200_000, "output": 64_000}, (200_000, 64_000)),
        ({"context": 0, "output": 0}, (None, None)),
        ({"context": "much"}, (None, None)),
        (None, (None, None)),
    ],
)
def test_a_limit_of_zero_is_none_that_is_known(limit: Any, expected: tuple[int | None, int | None]) -> None:
    row = one_of_models_dev(limit=limit, **PRICED)
    assert (row.context_window, row.max_output_tokens) == expected


def test_abilities_are_told_in_our_words() -> None:
    row = one_of_models_dev(
        cost={"input": 1, "output": 2, "cache_read": 0.1},
        tool_call=True,
        reasoning=True,
        structured_output=True,
        modalities={"input": ["pdf", "image", "text", "audio"], "output": ["text"]},
    )
    assert row.input_modalities == ("text", "image", "file", "audio")
    assert row.capabilities == {
        "tools",
        "reasoning",
        "structured_output",
        "prompt_caching",
        "vision",
        "audio_input",
        "file_input",
    }


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2025-12-16", "2025-12-16"),
        ("2025-12", "2025-12-01"),
        ("2025", "2025-01-01"),
        ("soon", None),
        (None, None),
        (2025, None),
    ],
)
def test_a_release_is_a_day_or_the_first_of_its_month(told: Any, day: str | None) -> None:
    created = one_of_models_dev(release_date=told, **PRICED).created_at
    assert created == (datetime.fromisoformat(f"{day}T00:00:00Z") if day else None)


@pytest.mark.parametrize(("status", "ends"), [("deprecated", True), ("beta", False), (None, False)])
def test_only_what_is_called_deprecated_is(status: str | None, ends: bool) -> None:
    assert one_of_models_dev(status=status, **PRICED).deprecated is ends


def test_sellers_are_known_by_our_names_and_others_left_out() -> None:
    body = models_dev(
        google={"gemini-x": PRICED},
        amazon_bedrock={"anthropic.claude-sonnet-4-5-20250929-v1:0": PRICED},
        xai={"grok-4": PRICED},
        somebody={"x": PRICED},
    )
    rows = {(row.seller, row.id): row.canonical_id for row in read_models_dev(body, NOW).rows}
    assert rows[("gemini", "gemini-x")] == "google/gemini-x"
    assert rows[("", "grok-4")] == "x-ai/grok-4"
    assert ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0") in rows
    assert not any(name == "x" for _, name in rows)


# -- genai-prices ------------------------------------------------------------------------------------------


def test_genai_prices_are_per_million_tokens_too() -> None:
    row = one_of_genai(
        {"input_mtok": 1.5, "output_mtok": 6, "cache_read_mtok": 0.375, "cache_write_mtok": 1.875},
        context_window=200_000,
        deprecated=True,
    )
    assert dollars(row.pricing) == {
        "input": Decimal("1.5"),
        "output": Decimal(6),
        "cache_read": Decimal("0.375"),
        "cache_write": Decimal("1.875"),
    }
    assert (row.context_window, row.deprecated, row.match) == (200_000, True, {"starts_with": "gpt-x"})


def test_of_genais_tiers_the_base_is_the_price() -> None:
    row = one_of_genai(
        {"input_mtok": {"base": 5, "tiers": [{"start": 200_000, "price": 10}]}, "output_mtok": 25}
    )
    assert dollars(row.pricing) == {"input": Decimal(5), "output": Decimal(25)}


def conditional(*prices: tuple[dict[str, str] | None, float]) -> list[dict[str, Any]]:
    return [
        {"prices": {"input_mtok": price}} | ({"constraint": constraint} if constraint else {})
        for constraint, price in prices
    ]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (conditional((None, 5), ({"start_date": "2026-03-13"}, 4)), 4),
        (conditional((None, 5), ({"start_date": "2026-11-20"}, 4)), 4),
        (conditional((None, 5), ({"start_date": "2026-11-21"}, 4)), 5),
        (conditional((None, 5), ({"start_date": "2026-01-01"}, 4), ({"start_date": "2026-06-01"}, 3)), 3),
        (conditional((None, 1), ({"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, 2)), 2),
        (conditional((None, 2), ({"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, 1)), 2),
        ([None, *conditional((None, 5)), 7], 5),
    ],
)
def test_a_price_counts_from_its_day_on_and_no_hour_exceeds_it(prices: Any, expected: int) -> None:
    assert dollars(one_of_genai(prices).pricing) == {"input": Decimal(expected)}


def test_when_the_next_price_begins_is_known() -> None:
    prices = conditional(
        (None, 5),
        ({"start_date": "2027-03-01"}, 4),
        ({"start_date": "2027-01-01"}, 3),
        ({"start_date": "2026-01-01"}, 2),
    )
    entry = {"id": "gpt-x", "match": {"equals": "gpt-x"}, "prices": prices}
    assert read_genai_prices(genai(entry), NOW).changes_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert read_genai_prices(genai(), NOW).changes_at is None


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"id": "gpt-x", "prices": {"input_mtok": 1}},
        {"id": "gpt-x", "match": {}, "prices": {"input_mtok": 1}},
        {"match": {"equals": "x"}, "prices": {"input_mtok": 1}},
        {"id": 7, "match": {"equals": "x"}},
    ],
)
def test_an_entry_without_a_name_or_rule_is_left_out(entry: Any) -> None:
    assert [row.id for row in read_genai_prices(genai(entry), NOW).rows] == ["anchor"]


def test_what_others_sell_under_a_seller_we_do_not_reach_is_left_out() -> None:
    entry = {"id": "x", "match": {"equals": "x"}, "prices": {"input_mtok": 1}}
    body = genai(entry, seller="huggingface_together")
    assert [row.id for row in read_genai_prices(body, NOW).rows] == ["anchor"]


# -- both --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [read_models_dev, read_genai_prices])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"[]", b"{}", b'{"openai":{"models":{}}}', b"[" * 5000, b'[{"id":"openai"}]'],
)
def test_what_is_no_such_table_is_refused(read: Any, body: bytes) -> None:
    with pytest.raises(UnreadableTable):
        read(body, NOW)


ABSURD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["cost", "limit", "modalities", "release_date", "status", "tool_call"]
GENAI_KEYS = ["prices", "context_window", "deprecated", "match", "id"]


@settings(max_examples=150)
@given(name=st.text(max_size=12), entry=st.dictionaries(st.sampled_from(KEYS), ABSURD), inner=ABSURD)
def test_no_entry_of_models_dev_is_too_mad(name: str, entry: dict[str, Any], inner: Any) -> None:
    mad = {name: entry, "y": {"cost": {"input": inner, "output": 1}, "limit": {"context": inner}}, "z": inner}
    sellers = {
        "openai": {"models": mad},
        "anthropic": {"models": mad},
        "xai": {"models": mad},
        "google": inner,
    }
    body = json.dumps({"deepseek": {"models": {"anchor": PRICED}}} | sellers).encode()
    _assert_sound(body, read_models_dev)


@settings(max_examples=150)
@given(entry=st.dictionaries(st.sampled_from(GENAI_KEYS), ABSURD), inner=ABSURD)
def test_no_entry_of_genai_prices_is_too_mad(entry: dict[str, Any], inner: Any) -> None:
    rule = {"equals": "y"}
    told = [
        entry,
        inner,
        {"id": "y", "match": rule, "prices": [{"constraint": inner, "prices": {"input_mtok": inner}}]},
    ]
    anchor = {"id": "anchor", "match": rule, "prices": {"input_mtok": 1}}
    body = json.dumps([inner, {"id": "openai", "models": [*told, anchor]}]).encode()
    _assert_sound(body, read_genai_prices)


def _assert_sound(body: bytes, read: Any) -> None:
    try:
        rows = read(body, NOW).rows
    except UnreadableTable:
        return  # NaN and the like are no JSON
    for row in rows:
        prices = dollars(row.pricing).values() if row.pricing is not None else []
        assert all(price.is_finite() and 0 <= price <= 10_000 for price in prices)
        assert row.context_window is None or 0 < row.context_window <= 1_000_000_000
