"""Figures: what is told of a run is true of its rounds."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import difference, json_line, paired, percentile, ratio, table

FINITE = st.floats(min_value=-1e9, max_value=1e9)
SHARES = st.floats(min_value=0.01, max_value=1.0)


@given(st.lists(FINITE, min_size=1), SHARES)
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_of_nothing_there_is_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


def test_noise_which_hits_both_targets_in_a_round_does_not_show_in_the_difference() -> None:
    quiet, base = [3.0, 3.0, 3.0], [1.0, 1.0, 1.0]
    noise = [0.0, 40.0, 700.0]
    noisy = [value + more for value, more in zip(quiet, noise, strict=True)]
    noisy_base = [value + more for value, more in zip(base, noise, strict=True)]
    assert paired(noisy, noisy_base, difference) == paired(quiet, base, difference) == 2.0


def test_rounds_that_do_not_match_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired([1.0], [1.0, 2.0], ratio)


def test_a_ratio_to_nothing_is_no_number() -> None:
    assert math.isnan(ratio(1.0, 0.0))


@given(st.dictionaries(st.text(min_size=1), st.floats() | st.integers() | st.text() | st.none()))
def test_a_row_is_one_line_of_strict_json(row: dict[str, float | int | str | None]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json_line(row)
    assert "\n" not in line
    assert json.loads(line, parse_constant=refuse).keys() == row.keys()


def test_a_table_lines_up_and_shows_what_is_missing() -> None:
    rows: list[dict[str, object]] = [
        {"name": "one", "ms": 1234.5},
        {"name": "another"},
        {"name": "third", "ms": 0.0123},
    ]
    title, *lines = table("Title", rows, {"name": "who", "ms": "ms"}).splitlines()
    assert title == "Title"
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [line.split()[-1] for line in lines[2:]] == ["1,234", "–", "0.012"]
