"""What a caller's key may spend and has spent, and what the caller's credits are: as OpenRouter tells it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from headgate.domain.callers import ApiKey, Caller
from headgate.domain.errors import GatewayFault
from headgate.domain.usage import Dimension, UsageSums
from headgate.ports import AccountStore, Clock, Ledger, TooMuchUsage, UsageStore

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
        """Raises GatewayFault when the user's keys have more sums than can be added up at once."""
        key = await self._accounts.get_key_by_id(caller.key_id)
        today = self._clock.now().date()
        first = _FIRST_DAY if key is None else key.created_at.date().isoformat()
        since = (first, today.isoformat(), _monday(today), today.replace(day=1).isoformat())
        total, day, week, month = await asyncio.gather(*(self._spent(caller, one, today) for one in since))
        return KeySpending(
            key=key, total_nanousd=total, day_nanousd=day, week_nanousd=week, month_nanousd=month
        )

    async def credits(self, caller: Caller) -> tuple[int, int]:
        """All that was ever granted, and all that was charged, nano-dollars; they differ by the balance."""
        days = await self._read(caller, Dimension.DAY, _FIRST_DAY, self._clock.now().date())
        used = sum(sums.cost_nanousd for sums in days.values())
        balance = await self._ledger.balance(caller.user_id)
        return balance.balance_nanousd + used, used

    async def _spent(self, caller: Caller, first_day: str, last: date) -> int:
        groups = await self._read(caller, Dimension.KEY, first_day, last)
        return groups.get(caller.key_id, UsageSums()).cost_nanousd

    async def _read(
        self, caller: Caller, dimension: Dimension, first_day: str, last: date
    ) -> Mapping[str, UsageSums]:
        try:
            return await self._usage.read_usage(
                caller.user_id, dimension, first_day=first_day, last_day=last.isoformat()
            )
        except TooMuchUsage as exc:
            raise GatewayFault(
                "There is too much usage to add up. Ask GET /v2/usage for fewer days."
            ) from exc


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()
