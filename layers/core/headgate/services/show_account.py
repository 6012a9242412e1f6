"""What a caller's key may spend and has spent, and what the caller's credits are: as OpenRouter tells it."""

from dataclasses import dataclass
from datetime import date, timedelta

from headgate.domain.callers import ApiKey, Caller
from headgate.domain.usage import Dimension, UsageSums
from headgate.ports import AccountStore, Clock, Ledger, UsageStore

_FIRST_DAY = "2026-01-01"
"""Before anything was counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpending:
    """What one key was charged, nano-dollars; weeks begin on Monday, all of it by days UTC.

    key: None for a caller that came with a token instead.
    """

    key: ApiKey | None
    total_nanousd: int
    day_nanousd: int
    week_nanousd: int
    month_nanousd: int


class AccountOverview:
    """Sums come from the usage that is counted behind the records, so they may be some seconds old."""

    def __init__(self, accounts: AccountStore, ledger: Ledger, usage: UsageStore, clock: Clock) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._usage = usage
        self._clock = clock

    async def of_key(self, caller: Caller) -> KeySpending:
        """Raises TooMuchUsage when the key has used more groups than can be added up."""
        key = await self._accounts.get_key_by_id(caller.key_id)
        today = self._clock.now().date()
        first = _FIRST_DAY if key is None else key.created_at.date().isoformat()
        return KeySpending(
            key=key,
            total_nanousd=await self._spent(caller, first, today),
            day_nanousd=await self._spent(caller, today.isoformat(), today),
            week_nanousd=await self._spent(caller, _monday(today), today),
            month_nanousd=await self._spent(caller, today.replace(day=1).isoformat(), today),
        )

    async def credits(self, caller: Caller) -> tuple[int, int]:
        """All that was ever granted, and all that was charged, nano-dollars; they differ by the balance."""
        today = self._clock.now().date().isoformat()
        days = await self._usage.read_usage(
            caller.user_id, Dimension.DAY, first_day=_FIRST_DAY, last_day=today
        )
        used = sum(sums.cost_nanousd for sums in days.values())
        balance = await self._ledger.balance(caller.user_id)
        return balance.balance_nanousd + used, used

    async def _spent(self, caller: Caller, first_day: str, last: date) -> int:
        groups = await self._usage.read_usage(
            caller.user_id, Dimension.KEY, first_day=first_day, last_day=last.isoformat()
        )
        return groups.get(caller.key_id, UsageSums()).cost_nanousd


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()
