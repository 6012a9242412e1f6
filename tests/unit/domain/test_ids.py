"""Ids carry their kind, never repeat, and sort by the time they were made."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.ids import new_id, time_of

MOMENTS_MS = st.integers(0, 2**48 - 1)


def test_an_id_is_its_prefix_and_26_url_safe_characters() -> None:
    assert re.fullmatch(r"gen_[0-9a-v]{26}", new_id("gen"))


@given(MOMENTS_MS, MOMENTS_MS)
def test_ids_sort_by_the_millisecond_they_were_made_in(one_ms: int, other_ms: int) -> None:
    one, other = new_id("evt", at_ms=one_ms), new_id("evt", at_ms=other_ms)
    if one_ms != other_ms:
        assert (one < other) == (one_ms < other_ms)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({new_id("req", at_ms=1) for _ in range(5_000)}) == 5_000


def test_without_a_moment_it_is_now() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = new_id("key")
    after_ms = time.time_ns() // 1_000_000
    assert new_id("key", at_ms=before_ms)[:13] <= made[:13] <= new_id("key", at_ms=after_ms)[:13]


@given(st.integers(0, 32_503_680_000_000))  # up to the year 3000
def test_an_id_tells_when_it_was_made(at_ms: int) -> None:
    assert time_of(new_id("evt", at_ms=at_ms)).timestamp() * 1000 == pytest.approx(at_ms, abs=0.5)


@pytest.mark.parametrize(
    "text", ["", "evt_", "evt_1", "evt_" + "w" * 26, "evt_" + "v" * 26, "évt_" + "é" * 26]
)
def test_what_is_no_id_tells_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        time_of(text)
