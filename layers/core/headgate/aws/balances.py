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
from headgate.aws.share_steps import Short, closing, opening, shard_key, shards_pk, steps_of
from headgate.aws.shares import MAIN, Move, Part, Shares, Sharing, lot_shard, parts_of, shared_out
from headgate.aws.transactions import TRIES, Met, Refused, Step, attempt
from headgate.clock import SystemClock
from headgate.domain.admission import not_covered
from headgate.domain.errors import GatewayFault
from headgate.ports import Clock

_MOST_REMEMBERED = 10_000


class Balances:
    """The balances of one ledger table."""

    def __init__(
        self, clients: AwsClients, table: Table, *, sharing: Sharing = Sharing(), clock: Clock | None = None
    ) -> None:
        self._clients = clients
        self._table = table
        self._sharing = sharing
        self._clock = clock or SystemClock()
        self._spread_until: dict[str, float] = {}

    async def read(self, user_id: str) -> Shares:
        """Each item strongly, though not all in one instant. Nothing for a user who never had any."""
        pk = shards_pk(user_id)
        items = (
            [item async for item in self._table.query(When("#pk = :pk", {"pk": pk}), ConsistentRead=True)]
            if is_key(pk)
            else []
        )
        return self._shares(items)

    async def carry_out(self, move: Move, *, before: Sequence[Step], after: Sequence[Step]) -> None:
        """The move, between other steps: all or none. One call, unless the item is contended or lacks it.

        Raises Refused (with LimitReached where all together don't cover a hold), or GatewayFault.
        """
        lot = lot_shard(move.lot, self._sharing.shards)
        home = lot if self._is_spread(move.user_id) else MAIN
        parts: Sequence[Part] = [(home, move.available)]
        for tries in range(TRIES):
            try:
                steps = steps_of(self._table, move, parts)
                return await attempt(self._table, [*before, *steps, *after])
            except Met as met:
                if home == MAIN and len(before) in met.steps and await self._is_relieved(move):
                    home = lot
                    parts = [(home, move.available)]
                else:
                    await self._clients.pause(tries)
            except Refused as refused:
                if not isinstance(refused.errors[0], Short):
                    raise
                parts = await self._elsewhere(move, home)
        raise GatewayFault.unavailable("The store")

    # -- where to --------------------------------------------------------------------------------------------

    async def _elsewhere(self, move: Move, home: int) -> Sequence[Part]:
        """Where it is to be tried, now that it did not go where it was tried.

        Raises Refused when all together don't cover it.
        """
        shares = await self.read(move.user_id)
        if not shares.open or move.need <= 0:
            if not shares.takes(home):
                self._spread_until.pop(move.user_id, None)
            return [(MAIN, move.available)]
        shares = await self._seen_to_cover(move, shares)
        if shares.total < move.need:
            await self._draw_together(move.user_id)
            return [(MAIN, move.available)]
        little = self._sharing.is_little(shares.total, move.size)
        if little and await self._is_drawn(move.user_id, shares, sorted(shares.open)):
            return [(MAIN, move.available)]
        return parts_of(move.need, shares, home)

    async def _is_relieved(self, move: Move) -> bool:
        """Whether items beside the contended main one are open, or could be opened, which was not known."""
        if self._is_spread(move.user_id):
            return False
        shares = await self.read(move.user_id)
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
            self._spread_until.pop(user_id, None)
        return True

    # -- what is known ---------------------------------------------------------------------------------------

    def _is_spread(self, user_id: str) -> bool:
        return self._spread_until.get(user_id, 0.0) > self._clock.monotonic()

    def _remember(self, user_id: str) -> bool:
        if len(self._spread_until) >= _MOST_REMEMBERED:
            self._spread_until.clear()
        self._spread_until[user_id] = self._clock.monotonic() + self._sharing.remembered_s
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
