"""What a list entry says is read exactly, or not at all."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.catalog import Modality
from headgate.providers.dialects import listing

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.text(max_size=40)
    | st.sampled_from(["NaN", "sNaN", "-Infinity", "1e9999999", "1E-9999999", "-0", "٣"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("told", "usd"),
    [
        ("0.00000015", "0.15"),
        ("0.00001", "10"),
        ("0.0000000", "0"),
        ("0", "0"),
        ("0.00000008333333333333334", "0.08333333333333334"),
        (Decimal("2.5E-7"), "0.25"),
        (Decimal("1.38E-7"), "0.138"),
        (2.5e-07, "0.25"),
        (0, "0"),
        (0.00015, "150"),
    ],
)
def test_a_price_per_token_becomes_one_per_million_to_the_last_digit(told: Any, usd: str) -> None:
    price = listing.per_mtok(told)
    assert price == Decimal(usd)
    assert price is not None
    assert "E+" not in str(price)


NO_PRICES: list[Any] = [
    "-1", -1, "-0.000001", "", "free", None, True, "NaN", "Infinity", float("nan"), float("inf"), [], {},
    10**30, "1", 2.5, "0.02", "1e-30", "0.1" + "0" * 50, "1e9999999",
]  # fmt: skip


@pytest.mark.parametrize("told", NO_PRICES)
def test_what_is_no_price_or_of_another_unit_is_unknown(told: Any) -> None:
    assert listing.per_mtok(told) is None


def test_a_price_told_per_million_is_kept_and_an_absurd_one_is_not() -> None:
    assert listing.read_mtok("0.15") == Decimal("0.15")
    assert listing.read_mtok(0) == 0
    assert listing.read_mtok("10001") is None
    assert listing.read_mtok(Decimal("1e-15")) is None


@given(value=ANYTHING)
def test_nothing_is_ever_read_as_a_negative_or_unprintable_price(value: Any) -> None:
    for price in (
        listing.per_mtok(value),
        listing.read_mtok(value),
        *listing.read_units({"image": value}, ["image"]).values(),
    ):
        assert price is None or (price.is_finite() and 0 <= price <= 10_000 and len(format(price, "f")) < 60)


@given(value=ANYTHING)
def test_no_value_is_too_mad_to_be_read(value: Any) -> None:
    tokens = listing.read_tokens(value)
    assert tokens is None or 0 < tokens <= listing.MAX_TOKENS
    for moment in (listing.read_moment(value), listing.read_last_day(value)):
        assert moment is None or (moment.tzinfo is UTC and 2000 <= moment.year <= 2100)
    assert len(listing.read_text(value)) <= listing.MAX_TEXT_CHARS
    assert all(isinstance(word, str) for word in listing.read_words(value))
    assert listing.read_modalities(value)


COUNTS: list[tuple[Any, int | None]] = [
    (128000, 128000), ("128000", 128000), (Decimal("8192.0"), 8192), (4096.0, 4096), (0, None), (-1, None),
    (1.5, None), ("many", None), (True, None), (None, None), (10**12, None), ("9" * 400, None),
    (Decimal(10) ** 40, None), (Decimal("1e999999"), None),
]  # fmt: skip


@pytest.mark.parametrize(("told", "tokens"), COUNTS)
def test_counts_of_tokens_are_whole_and_above_zero(told: Any, tokens: int | None) -> None:
    assert listing.read_tokens(told) == tokens


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        (1721260800, datetime(2024, 7, 18, tzinfo=UTC)),
        (1721260800000, datetime(2024, 7, 18, tzinfo=UTC)),
        ("2026-12-10", datetime(2026, 12, 10, tzinfo=UTC)),
        ("2026-12-10T10:00:00Z", datetime(2026, 12, 10, 10, tzinfo=UTC)),
        ("2026-12-10T10:00:00+02:00", datetime(2026, 12, 10, 8, tzinfo=UTC)),
        (0, None),
        (-5, None),
        (10**20, None),
        ("2026-13-45", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        (None, None),
        (False, None),
    ],
)
def test_moments_are_read_from_seconds_milliseconds_and_dates(told: Any, moment: datetime | None) -> None:
    assert listing.read_moment(told) == moment


def test_a_last_day_lasts_until_its_end() -> None:
    assert listing.read_last_day("2026-12-31") == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert listing.read_last_day("2026-02-30") is None
    assert listing.read_last_day(None) is None


def test_the_order_in_which_modalities_are_told_does_not_matter() -> None:
    assert listing.read_modalities(["image", "text", "audio"]) == listing.read_modalities(
        ["audio", "text", "image"]
    )
    assert listing.read_modalities(["image", "text"]) == ("text", "image")
    assert listing.read_modalities(["hologram", "text"]) == ("text", "hologram")
    assert listing.read_modalities(None) == ("text",)


def test_zero_beside_a_price_is_no_price_for_cached_tokens() -> None:
    assert listing.charged(Decimal(0), Decimal("2.5")) is None
    assert listing.charged(Decimal(0), Decimal(0)) == 0
    assert listing.charged(Decimal("0.5"), Decimal("2.5")) == Decimal("0.5")


def test_units_that_cost_nothing_are_not_listed() -> None:
    prices = {"image": "0.04", "request": "0", "web_search": "-1", "unheard_of": "9"}
    assert listing.read_units(prices, ("image", "request", "web_search")) == {"image": Decimal("0.04")}


@pytest.mark.parametrize(
    "entry", [{}, {"id": None}, {"id": 3}, {"id": ""}, {"id": " a"}, {"id": "a\x00"}, {"id": "x" * 600}]
)
def test_an_unusable_id_says_what_is_wrong_with_it(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="id is"):
        listing.read_id(entry)


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("llama3.2:3b", Modality.TEXT),
        ("gpt-4o-search-preview", Modality.TEXT),
        ("nomic-embed-text", Modality.EMBEDDING),
        ("BAAI/bge-m3", Modality.EMBEDDING),
        ("bge-reranker-v2-m3", Modality.RERANK),
        ("Systran/faster-whisper-large-v3", Modality.STT),
        ("gpt-4o-mini-tts", Modality.TTS),
        ("hexgrad/kokoro-82m", Modality.TTS),
        ("gpt-image-1", Modality.IMAGE),
        ("black-forest-labs/flux.2-pro", Modality.IMAGE),
        ("sora-2", Modality.VIDEO),
        ("google/lyria-3-pro-preview", Modality.MUSIC),
        ("mistralai/mistral-nemo", Modality.TEXT),
        ("nvidia/nemotron-nano-12b-v2-vl", Modality.TEXT),
    ],
)
def test_a_family_name_tells_the_main_output(name: str, modality: Modality) -> None:
    assert listing.modality_of_name(name) is modality
