"""Users' balances in DynamoDB, spread over several items where one would be in its own way.

Transactions on one item refuse each other. So a balance is one item, the main one, until it is seen to be
contended and has enough; then others are opened beside it, each with a share, and a generation's money moves
at one of them. What a user has available is the sum of all. What holds after every single transaction:

- an item beside the main one is never below zero, and is at zero unless it is open;
- the main one is below zero only while none beside it is open.

So what covers a hold is covered by the sum, and who is in debt has nothing in any item. `reserved` means
something as a sum only: a hold may be given back at another item than it was taken from.
"""

import random
from collections.abc import Sequence

from headgate.aws.clients import AwsClients
from headgate.aws.codec import number_of
from headgate.aws.dynamodb import Item, Table, When, is_key
from headgate.aws.faults import TransactionCancelled, reading
from headgate.aws.lately import Lately
from headgate.aws.share_steps import closing, opening, shard_key, shards_pk, steps_of
from headgate.aws.shares import MAIN, Move, Part, Shares, Sharing, lot_shard, parts_of, shared_out
from headgate.aws.transactions import TRIES, Met, Placing, Refused, Step, Written, attempt, carry_out
from headgate.clock import SystemClock
from headgate.domain.admission import not_covered
from headgate.domain.errors import GatewayFault
from headgate.ports import Clock

_PATIENCE = 4
"""How often others are met at a balance that is known to be spread before a process looks whether there is
any money."""

_POOR_S = 10.0
"""How long a process that saw a user without the money for a hold looks before it tries the next one."""


class Balances:
    """The balances of one ledger table."""

    def __init__(
        self, clients: AwsClients, table: Table, *, sharing: Sharing = Sharing(), clock: Clock | None = None
    ) -> None:
        self._clients = clients
        self._table = table
        self._sharing = sharing
        clock = clock or SystemClock()
        self._spread = Lately(clock, for_s=sharing.remembered_s)
        self._poor = Lately(clock, for_s=_POOR_S)

    async def read(self, user_id: str) -> Shares:
        """Each item strongly, though not all in one instant. Nothing for a user who never had any."""
        pk = shards_pk(user_id)
        items = (
            [item async for item in self._table.query(When("#pk = :pk", {"pk": pk}), ConsistentRead=True)]
            if is_key(pk)
            else []
        )
        return self._shares(items)

    def moving(self, move: Move) -> Placing:
        """The move, as part of a transaction: at one item, unless that is contended or lacks it.

        Refused with LimitReached where all together don't cover a hold.
        """
        return _Moving(self, self._table, move, lot_shard(move.lot, self._sharing.shards))

    async def carry_out(self, move: Move, *, before: Sequence[Written], after: Sequence[Written]) -> None:
        """The move, between what else is written: all or none.

        Raises Refused, or GatewayFault.
        """
        await carry_out(self._clients, self._table, [*before, self.moving(move), *after])

    # -- where to --------------------------------------------------------------------------------------------

    async def elsewhere(self, move: Move, home: int) -> Sequence[Part]:
        """Where a move is to be tried, now that it did not go where it was tried.

        Raises Refused when all together don't cover it.
        """
        shares = await self.read(move.user_id)
        if not shares.open or move.need <= 0:
            if not shares.takes(home):
                self._spread.forget(move.user_id)
            return [(MAIN, move.available)]
        shares = await self._seen_to_cover(move, shares)
        if shares.total < move.need:
            await self._draw_together(move.user_id)
            return [(MAIN, move.available)]
        little = self._sharing.is_little(shares.total, move.size)
        if little and await self._is_drawn(move.user_id, shares, sorted(shares.open)):
            return [(MAIN, move.available)]
        return parts_of(move.need, shares, home)

    async def look_ahead(self, move: Move) -> None:
        """Looks before it is tried where there was too little lately. Raises Refused where there still is."""
        if move.hold is not None and move.user_id in self._poor:
            await self._seen_to_cover(move, await self.read(move.user_id))

    async def is_relieved(self, move: Move) -> bool:
        """Whether items beside the contended main one are open, or could be opened, which was not known.

        Raises Refused where there is too little for the move: who waits for money that is not there is only
        in the way of those who bring some.
        """
        shares = await self._seen_to_cover(move, await self.read(move.user_id))
        if self.is_spread(move.user_id):
            return False
        share, closed = shared_out(shares)
        if closed and self._sharing.is_enough(shares.available[MAIN], move.size):
            try:
                await attempt(self._table, opening(self._table, move.user_id, closed, share=share))
            except (Met, Refused):
                return bool(shares.open) and self._remember(move.user_id)
            return self._remember(move.user_id)
        return bool(shares.open) and self._remember(move.user_id)

    async def _seen_to_cover(self, move: Move, shares: Shares) -> Shares:
        """The items, looked at again where they don't cover a hold: what moves from one to another just then
        may be missing from the sum. Raises Refused when they still don't."""
        if move.hold is None or shares.total >= move.need:
            return shares
        self._poor.note(move.user_id)
        if not shares.open:
            raise Refused({}, [not_covered(move.hold, shares.total)])
        again = await self._read_at_once(move.user_id)
        if again is None:
            await self._clients.pause(0)
            again = await self.read(move.user_id)
        if again.total < move.need:
            raise Refused({}, [not_covered(move.hold, again.total)])
        return again

    async def _draw_together(self, user_id: str) -> None:
        """Moves all there is to the main item; fewer at a time where that meets others."""
        most = self._sharing.shards
        tries = 0
        while tries < TRIES:
            shares = await self.read(user_id)
            if not shares.open:
                return
            chosen = random.sample(sorted(shares.open), min(most, len(shares.open)))
            if not await self._is_drawn(user_id, shares, chosen):
                most = max(1, len(chosen) // 2)
                await self._clients.pause(tries)
                tries += 1
        raise GatewayFault.unavailable("The store")

    async def _is_drawn(self, user_id: str, shares: Shares, chosen: Sequence[int]) -> bool:
        """Whether what these have could be moved to the main item, tried once."""
        try:
            await attempt(self._table, closing(self._table, user_id, shares, chosen))
        except (Met, Refused):
            return False
        if shares.open <= {*chosen}:
            self._spread.forget(user_id)
        return True

    # -- what is known ---------------------------------------------------------------------------------------

    def is_spread(self, user_id: str) -> bool:
        """Whether this process saw so lately."""
        return user_id in self._spread

    def _remember(self, user_id: str) -> bool:
        self._spread.note(user_id)
        return True

    async def _read_at_once(self, user_id: str) -> Shares | None:
        """All items as they were in one instant; None when others were writing to them."""
        keys = [shard_key(user_id, shard) for shard in range(self._sharing.shards)]
        try:
            return self._shares(await self._table.get_together(keys))
        except TransactionCancelled:
            return None

    def _shares(self, items: Sequence[Item]) -> Shares:
        available = [0] * self._sharing.shards
        reserved = 0
        opened = set()
        with reading("The balance"):
            for item in items:
                shard = int(str(item["sk"]).partition("#")[2])
                available[shard] = number_of(item, "available")
                reserved += number_of(item, "reserved")
                if shard != MAIN and number_of(item, "open"):
                    opened.add(shard)
        return Shares(tuple(available), frozenset(opened), reserved)


class _Moving:
    """A move on its way to the items where it is made."""

    def __init__(self, balances: Balances, table: Table, move: Move, lot: int) -> None:
        self._balances = balances
        self._table = table
        self._move = move
        self._lot = lot
        self._home = lot if balances.is_spread(move.user_id) else MAIN
        self._parts: Sequence[Part] = [(self._home, move.available)]

    @property
    def steps(self) -> Sequence[Step]:
        return steps_of(self._table, self._move, self._parts)

    async def look_ahead(self) -> None:
        await self._balances.look_ahead(self._move)

    async def look_elsewhere(self) -> None:
        self._parts = await self._balances.elsewhere(self._move, self._home)

    async def look_around(self, tries: int) -> bool:
        if tries < _PATIENCE and self._balances.is_spread(self._move.user_id):
            return False
        if not await self._balances.is_relieved(self._move):
            return False
        self._home = self._lot
        self._parts = [(self._home, self._move.available)]
        return True
