"""What a provider says was used is believed within reason."""

from decimal import Decimal

import pytest

from headgate.domain.generation import MOST_TOKENS, MOST_USD, Usage

COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "total_tokens",
)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(("told", "kept"), [(0, 0), (MOST_TOKENS, MOST_TOKENS), (2**70, None), (-1, None)])
def test_counts_that_no_generation_can_have_are_unknown(name: str, told: int, kept: int | None) -> None:
    usage = Usage(**{name: told})  # type: ignore[arg-type]
    assert getattr(usage, name) == kept
    assert all(getattr(usage, other) is None for other in COUNTS if other != name)


@pytest.mark.parametrize("cost", ["1e308", "-0.1", str(MOST_USD + 1)])
def test_costs_that_no_generation_can_have_are_unknown(cost: str) -> None:
    assert Usage(cost_usd=Decimal(cost)).cost_usd is None


def test_a_cost_is_kept_to_the_last_digit() -> None:
    assert Usage(cost_usd=Decimal("0.0000123450")).cost_usd == Decimal("0.0000123450")
