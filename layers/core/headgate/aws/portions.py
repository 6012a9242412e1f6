"""How what a limit allows is shared out over several items, and at which of them something is counted. Pure.

Each item has a portion of the limit, and the portions sum to it. What holds after every single transaction:

    either no item is above its portion, or none is below it.

Below the limit it is the first; only what is corrected by too much once all is used up makes it the second.
So an item with room for something proves that the sum has, whatever the others are at: they are at their
portions at most. And what all together have room for is counted at some of them, so nothing else is refused.
Every part of a plan is conditional on what keeps this true, whatever was read before.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is added at one item, if it has at most `at_most` before, or at least `at_least`. Neither: always.

    Mostly only one is given. Both are for an item that stays on its side of its portion, whichever that is.
    """

    place: int
    added: int
    at_most: int | None = None
    at_least: int | None = None


@dataclass(frozen=True)
class Window:
    """portions: of each item. there: what each was read to have, by place, where it is there.

    An item that has no portion (another version's) only gives away what it has.
    """

    portions: tuple[int, ...]
    there: Mapping[int, int]

    @cached_property
    def over(self) -> dict[int, int]:
        """Items above their portions, and by how much."""
        return {place: -room for place, room in self._rooms.items() if room < 0}

    @cached_property
    def below(self) -> dict[int, int]:
        """Items below their portions, and by how much."""
        return {place: room for place, room in self._rooms.items() if room > 0}

    @cached_property
    def _rooms(self) -> dict[int, int]:
        places = {*range(len(self.portions)), *self.there}
        return {place: self.portion(place) - self.there.get(place, 0) for place in sorted(places)}

    @property
    def places(self) -> list[int]:
        return list(self._rooms)

    @property
    def left(self) -> int:
        """What the limit still allows in all; below zero where it was passed."""
        return sum(self._rooms.values())

    def portion(self, place: int) -> int:
        return self.portions[place] if place < len(self.portions) else 0

    def room(self, place: int) -> int:
        return self._rooms[place]


def portions_of(limit: int, parts: int) -> tuple[int, ...]:
    """They sum to the limit, and differ by one at most."""
    each, more = divmod(limit, parts)
    return tuple(each + (place < more) for place in range(parts))


def home_of(lot: str, parts: int) -> int:
    """Where a lot (a generation's id) is counted: always the same, so that its end falls where it began."""
    return zlib.crc32(lot.encode()) % parts


# -- where to, unseen ---------------------------------------------------------------------------------------


def counted_at(home: int, amount: int, portion: int) -> Part:
    """Within the item's portion."""
    return Part(place=home, added=amount, at_most=portion - max(1, amount))


def corrected_at(home: int, amount: int, portion: int) -> Part:
    """Where that takes the item from one side of its portion to the other it is not done unseen."""
    if amount > 0:
        return Part(place=home, added=amount, at_most=portion - amount, at_least=portion + 1)
    return Part(place=home, added=amount, at_most=portion - 1, at_least=portion - amount)


# -- where to, having looked --------------------------------------------------------------------------------


def parts_counting(window: Window, amount: int, home: int) -> list[Part] | None:
    """Where an amount is counted that the limit allows; None where it does not."""
    if window.left < max(1, amount):
        return None
    return _levelled(window, amount, home)


def parts_correcting(window: Window, amount: int, home: int) -> list[Part]:
    """Where a correction is counted, whatever the limit is."""
    if window.left >= amount:
        if amount < 0 and not window.over and window.below:
            place = home if home in window.below else min(window.below, key=window.room)
            return [Part(place=place, added=amount, at_most=window.portion(place) - 1)]
        if amount <= -sum(window.over.values()):
            return _drawn_below(window, amount, home)
        return _levelled(window, amount, home)
    if amount < 0:
        return _given_back_above(window, -amount, home)
    if window.over and not window.below:
        place = home if home in window.over else min(window.over, key=window.room)
        return [Part(place=place, added=amount, at_least=window.portion(place) + 1)]
    return _raised_above(window, amount, home)


def _levelled(window: Window, amount: int, home: int) -> list[Part]:
    """Counted so that none is above its portion then: what some were above theirs (they had been counted at
    by other rules) is moved along."""
    level = [
        Part(place=place, added=-above, at_most=window.portion(place) + above)
        for place, above in window.over.items()
    ]
    return level + _filled(window, amount + sum(window.over.values()), home)


def _filled(window: Window, amount: int, home: int) -> list[Part]:
    """Counted at one that has room for it, `home` or the next after it: who comes at the same moment and has
    another home then finds another one. Else at as few as it takes."""
    parts: list[Part] = []
    around = sorted(window.below, key=lambda place: (place < home, place))
    single = [place for place in around if window.room(place) >= max(1, amount)]
    for place in single[:1] or sorted(around, key=lambda place: -window.room(place)):
        added = min(amount, window.room(place))
        parts.append(Part(place=place, added=added, at_most=window.portion(place) - max(1, added)))
        amount -= added
        if amount <= 0:
            break
    return parts


def _drawn_below(window: Window, amount: int, home: int) -> list[Part]:
    """More is given back than all are above their portions: those give that, and `home` the rest, so that
    none is above. All are named, since the conditions of all are what makes sure of it."""
    added = {place: -window.over.get(place, 0) for place in window.places}
    added[home] += amount - sum(added.values())
    return [
        Part(place=place, added=each, at_most=window.portion(place) - each) for place, each in added.items()
    ]


def _raised_above(window: Window, amount: int, home: int) -> list[Part]:
    """None is below its portion any more, and each above it if that can be, so that what comes next finds it
    so at its own item."""
    if sum(window.below.values()) >= amount:
        return _filled(window, amount, home)
    added = {place: window.below.get(place, 0) for place in window.places}
    rest = amount - sum(added.values())
    for place in added:
        added[place] += rest // len(added)
    added[home] += rest % len(added)
    return [
        Part(place=place, added=each, at_least=window.portion(place) - each) for place, each in added.items()
    ]


def _given_back_above(window: Window, amount: int, home: int) -> list[Part]:
    """Of what items are above their portions, so that none comes below."""
    parts: list[Part] = []
    by_excess = sorted(window.over, key=window.room)
    places = [home] if window.over.get(home, 0) >= amount else by_excess
    for place in places:
        given = min(amount, window.over[place])
        if given:
            parts.append(Part(place=place, added=-given, at_least=window.portion(place) + given))
        amount -= given
    return parts
