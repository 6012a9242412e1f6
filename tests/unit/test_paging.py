"""Cursors: opaque, safe in a URL, good for one list."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.errors import InvalidRequest
from headgate.paging import check_filters, decode_cursor, encode_cursor, position_of
from headgate.testing.clock import START
from tests.unit.strategies import TIMES

IDS = st.text(min_size=1, max_size=20)
URL_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(TIMES, IDS, st.text(max_size=10))
def test_a_cursor_gives_the_position_back_and_is_safe_in_a_url(
    at: datetime, item_id: str, scope: str
) -> None:
    position = position_of(at, item_id)
    cursor = encode_cursor(scope, position)
    assert decode_cursor(scope, cursor) == position
    assert set(cursor) <= URL_SAFE


@given(TIMES, TIMES, IDS, IDS)
def test_positions_sort_as_time_and_then_id_do(
    one: datetime, other: datetime, one_id: str, other_id: str
) -> None:
    by_position = position_of(one, one_id) < position_of(other, other_id)
    assert by_position == ((one, one_id) < (other, other_id))


def test_a_position_is_of_the_moment_and_not_of_its_zone() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=9)))
    assert position_of(elsewhere, "x") == position_of(START, "x") == "2026-11-20T09:00:00.000000Z#x"


CURSOR = encode_cursor("list", position_of(datetime(2026, 1, 1, tzinfo=UTC), "gen_1"))


@given(st.integers(0, len(CURSOR) - 1), st.sampled_from(sorted(URL_SAFE)))
def test_a_cursor_with_any_character_changed_is_refused(at: int, character: str) -> None:
    changed = CURSOR[:at] + character + CURSOR[at + 1 :]
    if changed == CURSOR:
        assert decode_cursor("list", changed)
        return
    with pytest.raises(InvalidRequest):
        decode_cursor("list", changed)


@given(st.text(max_size=80))
def test_no_text_makes_anything_but_a_refusal_that_names_the_cursor(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_cursor("list", text)
    assert [error.field for error in refused.value.errors] == ["cursor"]


@pytest.mark.parametrize("changed", [CURSOR[:-1], CURSOR + "A", CURSOR + "=", " " + CURSOR, CURSOR + "\n"])
def test_a_cursor_cut_or_padded_is_refused(changed: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor("list", changed)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor("another list", CURSOR)


def test_filters_that_lists_have_are_taken_and_others_named() -> None:
    check_filters({"status": "running", "type": "text", "project_id": "p"})
    with pytest.raises(InvalidRequest) as refused:
        check_filters({"status": "running", "owner": "grace"})
    assert [error.field for error in refused.value.errors] == ["owner"]
