"""Ids carry their kind, never repeat, and sort by the time they were made."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.ids import new_id

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
