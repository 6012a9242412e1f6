"""A key's windows in DynamoDB: how much of a limit is used up, at one item or at several.

Where the limit is large a window is counted at several items, so that requests of one key are seldom in each
other's way. How many follows from the limit, and where from the generation's id: one call, as for one item.
Only what finds no room there has to look (`aws/portions.py` has the rule, and why it is exact).
"""

import random
from collections.abc import Sequence

from headgate.aws.clients import AwsClients
from headgate.aws.codec import number_of
from headgate.aws.dynamodb import Item, Key, Table, Value, When
from headgate.aws.faults import TransactionCancelled, reading
from headgate.aws.lately import Lately
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
from headgate.aws.transactions import Placing, Refused, Short, Step, unconditional
from headgate.domain.admission import Correction, Counter, limit_reached
from headgate.ports import Clock

_NEVER = When("attribute_exists(#pk) AND attribute_not_exists(#pk)")
_CHANGE = "SET #expires_at = :expires_at ADD #n :added"
_FIRST = "RATE"
_LOOKS = 3
_FULL_S = 10.0
"""How long a process that saw a window without room looks before it tries the next."""


class Windows:
    """The windows of one table of generations."""

    def __init__(self, clients: AwsClients, table: Table, clock: Clock) -> None:
        self._clients = clients
        self._table = table
        self._clock = clock
        self._full = Lately(clock, for_s=_FULL_S)

    def counting(self, counter: Counter, lot: str | None = None) -> Placing:
        """Raises the counter, if it then is within its limit. lot: whose it is (a generation's id), None for
        what is never corrected."""
        home = random.randrange(counter.parts) if lot is None else home_of(lot, counter.parts)  # noqa: S311
        return _Counting(self, counter, home)

    def correcting(self, correction: Correction, lot: str) -> Step | Placing:
        """Changes the counter, whatever its limit."""
        if correction.parts == 1:
            return self.step(correction, Part(place=0, added=correction.amount))
        return _Correcting(self, correction, home_of(lot, correction.parts))

    def step(self, of: Counter | Correction, part: Part) -> Step:
        """What is written at one item. Refused as Short."""
        values: dict[str, Value] = {"expires_at": int(of.expires_at.timestamp()), "added": part.added}
        when = _condition(part)
        action = self._table.updating(_item_key(of.name, part.place), _CHANGE, values, when=when)
        return unconditional(action) if when is None else Step(action, lambda _: Short())

    def sole(self, counter: Counter, part: Part) -> Step:
        """What is written at the only item of a window, which decides by itself."""
        when = _condition(part) if counter.room >= 0 else _NEVER
        values: dict[str, Value] = {"expires_at": int(counter.expires_at.timestamp()), "added": part.added}
        action = self._table.updating(_item_key(counter.name, part.place), _CHANGE, values, when=when)
        return Step(action, lambda _: limit_reached(counter, self._clock.now()))

    async def read(self, of: Counter | Correction) -> Window:
        """Each item strongly, though not all in one instant."""
        keys = When("#pk = :pk", {"pk": windows_pk(of.name)})
        items = [item async for item in self._table.query(keys, ConsistentRead=True)]
        return _window(of, items)

    async def seen_full(self, counter: Counter, window: Window) -> Window:
        """The window, looked at again where it lacks room: what changes while it is read may be missing from
        the sum, or be in it twice. Raises Refused when it still does."""
        if window.left >= max(1, counter.amount):
            return window
        if counter.parts > 1:
            window = await self._read_at_once(counter)
        if window.left < max(1, counter.amount):
            self._full.note(counter.name)
            raise Refused({}, [limit_reached(counter, self._clock.now())])
        return window

    def was_full(self, counter: Counter) -> bool:
        """Whether this process saw the window lately without room for something."""
        return counter.name in self._full

    async def _read_at_once(self, counter: Counter) -> Window:
        """All items as they were in one instant; where others write to them at every try, one by one."""
        keys = [_item_key(counter.name, place) for place in range(counter.parts)]
        for tries in range(_LOOKS):
            try:
                return _window(counter, await self._table.get_together(keys))
            except TransactionCancelled:
                await self._clients.pause(tries)
        return await self.read(counter)


class _Counting:
    """A counter on its way to the items where it is counted."""

    def __init__(self, windows: Windows, counter: Counter, home: int) -> None:
        self._windows = windows
        self._counter = counter
        self._home = home
        portion = portions_of(counter.limit, counter.parts)[home]
        self._parts: Sequence[Part] = [counted_at(home, counter.amount, portion)]

    @property
    def steps(self) -> Sequence[Step]:
        if self._counter.room < 0 or (self._counter.parts == 1 and len(self._parts) == 1):
            return [self._windows.sole(self._counter, self._parts[0])]
        return [self._windows.step(self._counter, part) for part in self._parts]

    async def look_ahead(self) -> None:
        if self._windows.was_full(self._counter):
            await self.look_elsewhere()

    async def look_elsewhere(self) -> None:
        window = await self._windows.seen_full(self._counter, await self._windows.read(self._counter))
        self._parts = parts_counting(window, self._counter.amount, self._home) or self._parts

    async def look_around(self, tries: int) -> bool:
        """Whoever waits for room that there is not is in the way of those who make it. One item is looked at
        when it is met first, several when they are met again."""
        if tries:
            await self._windows.seen_full(self._counter, await self._windows.read(self._counter))
        return False


class _Correcting:
    """A correction on its way to the items where it is counted."""

    def __init__(self, windows: Windows, correction: Correction, home: int) -> None:
        self._windows = windows
        self._correction = correction
        self._home = home
        portion = portions_of(correction.limit, correction.parts)[home]
        self._parts: Sequence[Part] = [corrected_at(home, correction.amount, portion)]

    @property
    def steps(self) -> Sequence[Step]:
        return [self._windows.step(self._correction, part) for part in self._parts]

    async def look_ahead(self) -> None:
        pass

    async def look_elsewhere(self) -> None:
        window = await self._windows.read(self._correction)
        self._parts = parts_correcting(window, self._correction.amount, self._home)

    async def look_around(self, tries: int) -> bool:  # noqa: ARG002 - as `Placing` has it
        return False


def _condition(part: Part) -> When | None:
    """An item that is not there counts as one at zero; a comparison with what it lacks never holds."""
    texts: list[str] = []
    values: dict[str, Value] = {}
    if part.at_most is not None:
        texts.append("#n <= :most")
        values["most"] = part.at_most
    if part.at_least is not None:
        texts.append("#n >= :least")
        values["least"] = part.at_least
    if not texts:
        return None
    if (part.at_most or 0) >= 0 if part.at_most is not None else (part.at_least or 0) <= 0:
        texts.insert(0, "attribute_not_exists(#n)")
    return When(" OR ".join(texts), values)


def _window(of: Counter | Correction, items: Sequence[Item]) -> Window:
    with reading("What is used up of a limit"):
        there = {_place_of(str(item["sk"])): number_of(item, "n") for item in items}
    return Window(portions_of(of.limit, of.parts), there)


def windows_pk(name: str) -> str:
    """Under it the items of a window stand."""
    return f"RATE#{name}"


def _item_key(name: str, place: int) -> Key:
    return windows_pk(name), f"{_FIRST}#{place:02d}" if place else _FIRST


def _place_of(sk: str) -> int:
    return int(sk.partition("#")[2] or 0)
