"""Balances and entries in memory."""

import heapq
from collections import defaultdict, deque
from dataclasses import replace

from headgate.domain.admission import not_covered
from headgate.domain.audit import AuditEvent
from headgate.domain.credits import Balance, Hold, LedgerEntry, Settlement
from headgate.domain.errors import Conflict
from headgate.paging import decode_cursor, encode_cursor, position_of, split_position
from headgate.ports import AuditLog
from headgate.testing.faults import Faulty


class MemoryLedger(Faulty):
    """Keeps each user's balance, and the `most_entries` last of its entries.

    audit: where grants and adjustments are told.
    """

    def __init__(self, audit: AuditLog | None = None, *, most_entries: int = 200_000) -> None:
        super().__init__()
        self._audit = audit
        self._balances: dict[str, Balance] = {}
        self._entries: dict[str, deque[LedgerEntry]] = defaultdict(lambda: deque(maxlen=most_entries))
        self._added: dict[str, LedgerEntry] = {}

    async def balance(self, user_id: str) -> Balance:
        self.check_fault()
        return self._balances.get(user_id, Balance())

    async def list_entries(
        self, user_id: str, *, limit: int, cursor: str | None
    ) -> tuple[list[LedgerEntry], str | None]:
        self.check_fault()
        scope = f"ledger of {user_id}"
        below = None if cursor is None else split_position(decode_cursor(scope, cursor))
        # The newest stand last as a rule, and met first they leave the heap little to do.
        shown = (
            entry
            for entry in reversed(self._entries.get(user_id, deque()))
            if below is None or (entry.at, entry.id) < below
        )
        found = heapq.nlargest(limit + 1, shown, key=lambda entry: (entry.at, entry.id))
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], encode_cursor(scope, position_of(last.at, last.id))

    async def add_entry(self, entry: LedgerEntry, audit: AuditEvent) -> None:
        self.check_fault()
        stored = self._added.get(entry.id)
        if stored is not None:
            if replace(stored, at=entry.at) == entry:
                return
            raise Conflict("There is an entry of that id.")
        if self._audit is not None:
            await self._audit.append_audit([audit])
        self._added[entry.id] = entry
        self._move(entry, reserved_nanousd=0)

    def check(self, hold: Hold) -> None:
        """Raises LimitReached (`insufficient_credits`) unless what is available covers it."""
        available = self._balances.get(hold.entry.user_id, Balance()).available_nanousd
        if available < hold.amount_nanousd:
            raise not_covered(hold, available)

    def take(self, hold: Hold) -> None:
        """Sets it aside, unchecked; for the store of generations, which does so with the record."""
        self._move(hold.entry, reserved_nanousd=hold.amount_nanousd)

    def settle(self, settlement: Settlement) -> None:
        """Gives it back less what was charged; for the store of generations."""
        self._move(settlement.entry, reserved_nanousd=-settlement.held_nanousd)

    def _move(self, entry: LedgerEntry, *, reserved_nanousd: int) -> None:
        was = self._balances.get(entry.user_id, Balance())
        self._balances[entry.user_id] = Balance(
            available_nanousd=was.available_nanousd + entry.amount_nanousd,
            reserved_nanousd=was.reserved_nanousd + reserved_nanousd,
        )
        self._entries[entry.user_id].append(entry)
