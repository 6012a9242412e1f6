"""Users' money, and sums over what they used."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from headgate.domain.audit import AuditEvent
from headgate.domain.credits import Balance, LedgerEntry
from headgate.domain.generation import GenerationRecord
from headgate.domain.usage import Dimension, UsageSums


class Ledger(Protocol):
    """Balances and entries. Holds and settlements are written by GenerationStore, with their generation."""

    async def balance(self, user_id: str) -> Balance:
        """Read strongly; zero for a user who never had any."""
        ...

    async def list_entries(
        self, user_id: str, *, limit: int, cursor: str | None
    ) -> tuple[list[LedgerEntry], str | None]:
        """Newest first. The second value is the next cursor."""
        ...

    async def add_entry(self, entry: LedgerEntry, audit: AuditEvent) -> None:
        """A grant or an adjustment: entry, balance and audit event together. Equal again, it happens once;
        Conflict for another of that id."""
        ...


MAX_USAGE_CELLS = 200_000
"""Sums of one group and day that one reading adds up, so that it ends within a function's time."""


class TooMuchUsage(Exception):
    """These days hold more than MAX_USAGE_CELLS sums: fewer days must be asked for."""


class UsageStore(Protocol):
    """Sums by user, dimension and day; reading them never reads a generation."""

    async def count_usage(self, records: Sequence[GenerationRecord]) -> list[GenerationRecord]:
        """Adds these finished generations to the sums (`domain.usage.added`), each exactly once however often
        it is delivered within two days; returns those that were not counted before.

        After a fault some may be counted and others not: deliver all of them again.
        """
        ...

    async def read_usage(
        self, user_id: str | None, dimension: Dimension, *, first_day: str, last_day: str
    ) -> Mapping[str, UsageSums]:
        """Sums over these days (`2026-11-21`, inclusive), by group; over all users for None.

        Raises TooMuchUsage.
        """
        ...
