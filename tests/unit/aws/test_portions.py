"""Where something is counted, of a limit that stands at several items: exact, whatever was read before."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.aws.portions import (
    Part,
    Window,
    corrected_at,
    counted_at,
    home_of,
    parts_correcting,
    parts_counting,
    portions_of,
)

PARTS = 4
LIMIT = 42
PORTIONS = portions_of(LIMIT, PARTS)
HOMES = st.integers(0, PARTS - 1)
SUMS = st.lists(st.integers(-15, 0), min_size=PARTS, max_size=PARTS)


def _beneath(less: list[int]) -> dict[int, int]:
    return {place: portion + less[place] for place, portion in enumerate(PORTIONS)}


def _above(less: list[int]) -> dict[int, int]:
    return {place: portion - less[place] for place, portion in enumerate(PORTIONS)}


LEGAL = SUMS.map(_beneath) | SUMS.map(_above)
"""What items may be at: none above its portion, or none below."""

ANY = st.dictionaries(st.integers(0, PARTS + 1), st.integers(-15, 30))
"""What may have been read, of several instants, or by other rules."""


def is_legal(there: dict[int, int]) -> bool:
    rooms = [portion - there.get(place, 0) for place, portion in enumerate(PORTIONS)]
    return all(room >= 0 for room in rooms) or all(room <= 0 for room in rooms)


def applied(parts: Sequence[Part], there: dict[int, int]) -> dict[int, int] | None:
    """What it makes of the items, as a transaction does; None where a condition does not hold."""
    for part in parts:
        at = there.get(part.place, 0)
        holds = [part.at_most is not None and at <= part.at_most]
        holds += [part.at_least is not None and at >= part.at_least]
        if not any(holds):
            return None
    after = dict(there)
    for part in parts:
        after[part.place] = after.get(part.place, 0) + part.added
    return after


def check(parts: Sequence[Part], there: dict[int, int], amount: int, *, counts: bool) -> bool:
    """Whether it was carried out; if so it was the whole amount, within the limit if it was counted."""
    assert len({part.place for part in parts}) == len(parts)
    after = applied(parts, there)
    if after is None:
        return False
    assert sum(after.values()) == sum(there.values()) + amount
    assert is_legal(after)
    if counts:
        assert sum(there.values()) + max(1, amount) <= LIMIT
    return True


@given(st.integers(0, 10**12), st.integers(1, 16))
def test_portions_sum_to_the_limit_and_are_as_equal_as_can_be(limit: int, parts: int) -> None:
    portions = portions_of(limit, parts)
    assert (len(portions), sum(portions)) == (parts, limit)
    assert max(portions) - min(portions) <= 1


@given(LEGAL, HOMES, st.integers(0, 60))
def test_what_is_counted_unseen_is_within_the_limit(there: dict[int, int], home: int, amount: int) -> None:
    check([counted_at(home, amount, PORTIONS[home])], there, amount, counts=True)


@given(LEGAL, HOMES, st.integers(-60, 60).filter(bool))
def test_what_is_corrected_unseen_leaves_items_on_one_side(
    there: dict[int, int], home: int, amount: int
) -> None:
    check([corrected_at(home, amount, PORTIONS[home])], there, amount, counts=False)


@given(LEGAL, LEGAL | ANY, HOMES, st.integers(0, 60))
def test_whatever_was_read_what_is_counted_is_within_the_limit(
    there: dict[int, int], read: dict[int, int], home: int, amount: int
) -> None:
    parts = parts_counting(Window(PORTIONS, read), amount, home)
    if parts is not None and set(read) <= set(range(PARTS)):
        assert sum(part.added for part in parts) == amount
        check(parts, there, amount, counts=True)


@given(LEGAL, LEGAL | ANY, HOMES, st.integers(-60, 60).filter(bool))
def test_whatever_was_read_a_correction_leaves_items_on_one_side(
    there: dict[int, int], read: dict[int, int], home: int, amount: int
) -> None:
    parts = parts_correcting(Window(PORTIONS, read), amount, home)
    assert sum(part.added for part in parts) == amount
    if set(read) <= set(range(PARTS)):
        check(parts, there, amount, counts=False)


@given(LEGAL, HOMES, st.integers(0, 60))
def test_what_the_limit_has_room_for_is_counted_and_nothing_else(
    there: dict[int, int], home: int, amount: int
) -> None:
    parts = parts_counting(Window(PORTIONS, there), amount, home)
    if sum(there.values()) + max(1, amount) > LIMIT:
        assert parts is None
    else:
        assert parts is not None
        assert check(parts, there, amount, counts=True)


@given(LEGAL, HOMES, st.integers(-60, 60).filter(bool))
def test_a_correction_is_always_carried_out_by_who_saw_what_there_is(
    there: dict[int, int], home: int, amount: int
) -> None:
    assert check(parts_correcting(Window(PORTIONS, there), amount, home), there, amount, counts=False)


@given(ANY, HOMES, st.integers(0, 60), st.integers(-60, 60).filter(bool))
def test_what_was_counted_by_other_rules_is_counted_too_and_moved_along(
    read: dict[int, int], home: int, amount: int, corrected: int
) -> None:
    """By a version that has another number of items, or one."""
    window = Window(PORTIONS, read)
    parts = parts_counting(window, amount, home)
    assert (parts is None) == (sum(read.values()) + max(1, amount) > LIMIT)
    if parts is not None:
        after = applied(parts, read)
        assert after is not None
        assert sum(after.values()) == sum(read.values()) + amount
        assert all(after[place] <= window.portion(place) for place in after)
    after = applied(parts_correcting(window, corrected, home), read)
    assert after is not None
    assert sum(after.values()) == sum(read.values()) + corrected


def test_what_fits_one_item_is_counted_at_one() -> None:
    parts = parts_counting(Window(PORTIONS, {0: 11, 1: 9, 2: 2, 3: 2}), 5, home=1)
    assert [(part.place, part.added) for part in parts or ()] == [(2, 5)]


def test_what_fits_none_is_counted_at_as_few_as_it_takes() -> None:
    parts = parts_counting(Window(PORTIONS, {0: 9, 1: 7, 2: 3, 3: 2}), 12, home=0)
    assert [(part.place, part.added) for part in parts or ()] == [(3, 8), (2, 4)]


@pytest.mark.parametrize("amount", [1, 7, 40])
def test_who_passes_the_limit_fills_it_first(amount: int) -> None:
    there = {0: 11, 1: 9, 2: 10, 3: 10}
    after = applied(parts_correcting(Window(PORTIONS, there), amount + 2, home=1), there)
    assert after is not None
    assert sum(after.values()) == LIMIT + amount
    assert all(after[place] >= PORTIONS[place] for place in range(PARTS))


def test_lots_are_spread_evenly_and_each_has_one_place() -> None:
    homes = [home_of(f"gen_{number}", 16) for number in range(1_600)]
    assert homes == [home_of(f"gen_{number}", 16) for number in range(1_600)]
    assert all(50 <= homes.count(place) <= 150 for place in range(16))
