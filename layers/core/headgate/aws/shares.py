"""How a balance stands spread over items, and from which of them a sum is taken. Pure.

Item 0 is the main one. It serves alone until it is contended; then the others are opened, each with a share.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from headgate.domain.credits import Balance, Hold

MAIN = 0

type Part = tuple[int, int]
"""One item's number, and what is added to what it has available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """When a balance is spread over `shards` items, and when it no longer is.

    A share must be worth `enough` holds of the size that is moved, or of `smallest_nanousd` if that is more;
    what is left is drawn together again once the whole is worth less than that. remembered_s: how long a
    process goes by what it saw.
    """

    shards: int = 16
    enough: int = 4
    smallest_nanousd: int = 10_000_000
    remembered_s: float = 300.0

    def is_enough(self, available: int, size: int) -> bool:
        """Whether so much is worth spreading, where holds are of this size."""
        return available >= max(1, self.shards * self._share(size))

    def is_little(self, available: int, size: int) -> bool:
        """Whether so much had better stand in one item."""
        return available < self._share(size)

    def _share(self, size: int) -> int:
        return self.enough * max(size, self.smallest_nanousd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one transaction does to a user's balance. Amounts are nano-dollars.

    lot: whose money it is (a generation's id): what has one lot goes to one item. hold: of what must be
    covered; without it a negative `available` may take the balance below zero.
    """

    user_id: str
    lot: str
    available: int
    reserved: int = 0
    hold: Hold | None = None

    @property
    def need(self) -> int:
        """What must be there, or is taken all the same; negative for what is given."""
        return -self.available

    @property
    def size(self) -> int:
        """Of the hold that is taken, or settled."""
        return abs(self.reserved)


@dataclass(frozen=True, slots=True)
class Shares:
    """A user's items as they were read: what each has available; which beside the main one are open."""

    available: tuple[int, ...]
    open: frozenset[int]
    reserved: int = 0

    @property
    def total(self) -> int:
        return sum(self.available)

    @property
    def closed(self) -> list[int]:
        """Those beside the main one that are not open."""
        return [shard for shard in range(1, len(self.available)) if shard not in self.open]

    @property
    def balance(self) -> Balance:
        return Balance(available_nanousd=self.total, reserved_nanousd=self.reserved)

    def takes(self, shard: int) -> bool:
        return shard == MAIN or shard in self.open


def lot_shard(lot: str, shards: int) -> int:
    """The item of a lot: always the same, so that what a hold left there is given back there."""
    return zlib.crc32(lot.encode()) % shards


def parts_of(need: int, shares: Shares, home: int) -> list[Part]:
    """Where a sum is taken that all together cover: at `home`, else at the richest, which then shares what it
    has left with `home`; else at as few as it takes."""
    if not shares.takes(home):
        home = MAIN
    there = shares.available
    if there[home] >= need:
        return [(home, -need)]
    by_wealth = sorted(filter(shares.takes, range(len(there))), key=lambda shard: -there[shard])
    richest = by_wealth[0]
    if there[richest] >= need:
        spare = max(0, (there[richest] - need - there[home]) // 2)
        return [(richest, -need - spare), *([(home, spare)] if spare else [])]
    parts: list[Part] = []
    for shard in by_wealth:
        taken = min(need, there[shard])
        if taken > 0:
            parts.append((shard, -taken))
            need -= taken
    return parts


def shared_out(shares: Shares) -> tuple[int, Sequence[int]]:
    """What each closed item gets of the main one's, and which these are."""
    closed = shares.closed
    return shares.available[MAIN] // (len(closed) + 1), closed
