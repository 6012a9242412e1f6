"""Money is whole nano-dollars, rounded once and half up, and reads as plain decimals."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.catalog import Pricing
from headgate.domain.generation import Usage, cost_of, cost_of_units
from headgate.domain.money import decimal_text, money_json, nanousd, usd
from tests.support.models import priced

AMOUNTS = st.integers(-(10**15), 10**15)
PRICES = st.decimals("0", "5000", places=9)
TOKENS = st.integers(0, 20_000_000)


def half_up(exact: Fraction) -> int:
    """What rounding half up means, without decimals."""
    return (exact.numerator * 2 + exact.denominator) // (exact.denominator * 2)


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [
        ("0", 0),
        ("1", 1_000_000_000),
        ("0.0000000004", 0),
        ("0.0000000005", 1),
        ("0.0000000015", 2),
        ("0.0000000025", 3),
        ("0.00000000149999", 1),
        ("-0.0000000005", -1),
    ],
)
def test_a_half_is_rounded_away_from_zero(dollars: str, nano: int) -> None:
    assert nanousd(Decimal(dollars)) == nano


@given(AMOUNTS)
def test_nano_dollars_survive_the_way_through_dollars(amount: int) -> None:
    assert nanousd(usd(amount)) == amount


@given(AMOUNTS)
def test_money_reads_as_a_plain_decimal_of_the_same_value(amount: int) -> None:
    shown = money_json(amount)
    assert shown["currency"] == "USD"
    assert set(shown) == {"amount", "currency"}
    text = shown["amount"]
    assert "e" not in text.lower()
    assert not ("." in text and text.endswith(("0", ".")))
    assert Decimal(text) * 1_000_000_000 == amount


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.150", "0.15"),
        ("0", "0"),
        ("0.00", "0"),
        ("12", "12"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-9", "0.000000001"),
    ],
)
def test_decimals_have_no_exponent_and_no_trailing_zeros(value: str, text: str) -> None:
    assert decimal_text(Decimal(value)) == text


@given(TOKENS, TOKENS, PRICES, PRICES)
def test_a_generation_is_rounded_once_at_the_end(
    tokens_in: int, tokens_out: int, price_in: Decimal, price_out: Decimal
) -> None:
    cost = cost_of(
        Usage(input_tokens=tokens_in, output_tokens=tokens_out), priced(str(price_in), str(price_out))
    )
    exact = (Fraction(price_in) * tokens_in + Fraction(price_out) * tokens_out) * 1000
    assert cost == half_up(exact)


def test_parts_that_round_down_alone_add_up_before_rounding() -> None:
    # 0.4 nano-dollars of input and 0.4 of output: 0.8, so one.
    assert cost_of(Usage(input_tokens=1, output_tokens=1), priced("0.0004", "0.0004")) == 1


USAGES = st.builds(
    Usage,
    input_tokens=TOKENS,
    output_tokens=TOKENS,
    cache_read_tokens=TOKENS,
    cache_write_tokens=TOKENS,
    reasoning_tokens=TOKENS,
)


@given(USAGES, PRICES, PRICES, st.tuples(*[st.none() | PRICES] * 3))
def test_every_token_is_charged_at_one_price(
    usage: Usage,
    price_in: Decimal,
    price_out: Decimal,
    special: tuple[Decimal | None, Decimal | None, Decimal | None],
) -> None:
    price_read, price_write, price_thought = special
    pricing = priced(
        str(price_in), str(price_out), cache_read=price_read, cache_write=price_write, reasoning=price_thought
    )
    cost = cost_of(usage, pricing)
    assert cost is not None
    tokens_in, tokens_out = usage.input_tokens or 0, usage.output_tokens or 0
    of_input = [price_in, *(p for p in (price_read, price_write) if p is not None)]
    of_output = [price_out, *(p for p in (price_thought,) if p is not None)]
    least = Fraction(min(of_input)) * tokens_in + Fraction(min(of_output)) * tokens_out
    most = Fraction(max(of_input)) * tokens_in + Fraction(max(of_output)) * tokens_out
    assert half_up(least * 1000) <= cost <= half_up(most * 1000)


def test_cached_and_reasoning_tokens_have_their_own_prices_where_known() -> None:
    usage = Usage(
        input_tokens=1_000_000,
        output_tokens=1_000_000,
        cache_read_tokens=400_000,
        cache_write_tokens=100_000,
        reasoning_tokens=500_000,
    )
    pricing = priced(
        "1", "10", cache_read=Decimal("0.1"), cache_write=Decimal("1.25"), reasoning=Decimal("20")
    )
    assert cost_of(usage, pricing) == nanousd(Decimal("0.5") + Decimal("0.04") + Decimal("0.125") + 5 + 10)
    assert cost_of(usage, priced("1", "10")) == nanousd(Decimal(11))


def test_a_price_per_request_is_added() -> None:
    pricing = priced("0", "0", units={"request": Decimal("0.005")})
    assert cost_of(Usage(input_tokens=5, output_tokens=5), pricing) == 5_000_000


@pytest.mark.parametrize(
    ("usage", "pricing"),
    [
        (Usage(input_tokens=1, output_tokens=1), None),
        (Usage(input_tokens=1, output_tokens=1), priced(None, "1")),
        (Usage(input_tokens=1, output_tokens=1), priced("1", None)),
        (Usage(input_tokens=1), priced("1", "1")),
        (Usage(output_tokens=1), priced("1", "1")),
    ],
)
def test_an_unknown_price_or_usage_is_an_unknown_cost_never_zero(
    usage: Usage, pricing: Pricing | None
) -> None:
    assert cost_of(usage, pricing) is None


def test_free_is_zero_which_is_known() -> None:
    assert cost_of(Usage(input_tokens=9, output_tokens=9), priced("0", "0")) == 0


# -- units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "nano"),
    [
        ({"image": Decimal(3)}, 120_000_000),
        ({"image": Decimal(1), "second": Decimal("2.5")}, 41_000_000),
        ({"character": Decimal(120)}, None),
        ({"image": Decimal(1), "character": Decimal(0)}, 40_000_000),
        ({}, 0),
    ],
)
def test_units_are_charged_each_at_its_price_and_an_unknown_price_is_no_price_of_zero(
    used: dict[str, Decimal], nano: int | None
) -> None:
    units = {"image": Decimal("0.04"), "second": Decimal("0.0004")}
    assert cost_of_units(used, priced(None, None, units=units)) == nano
    assert cost_of_units(used, None) is None


def test_what_a_request_itself_costs_is_added_once_to_its_units() -> None:
    units = {"image": Decimal("0.04"), "request": Decimal("0.01")}
    pricing = priced(None, None, units=units)
    assert cost_of_units({"image": Decimal(2)}, pricing) == 90_000_000
    assert cost_of_units({"image": Decimal(2), "request": Decimal(1)}, pricing) == 90_000_000
