"""Money that callers hold with the gateway: balances, entries, holds. Amounts are nano-dollars. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from headgate.domain.catalog import Pricing


class EntryKind(StrEnum):
    """grant, adjust: by an administrator. hold: set aside before a call (negative). release: a hold given
    back whole. settle: a hold given back less what the call cost (negative when it cost more than was held).
    """

    GRANT = "grant"
    HOLD = "hold"
    RELEASE = "release"
    SETTLE = "settle"
    ADJUST = "adjust"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One movement, never altered. The amounts of a user's entries always sum to what is available.

    charged_nanousd: of a `settle`, what the generation cost. price: of a `hold`, what it was reckoned with
    and will be settled by. actor, reason: who granted or adjusted, and why.
    """

    id: str
    user_id: str
    at: datetime
    kind: EntryKind
    amount_nanousd: int
    generation_id: str | None = None
    charged_nanousd: int | None = None
    price: Pricing | None = None
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """available: what new calls may hold; below zero after a call that cost more than it held.
    reserved: what open holds have set aside."""

    available_nanousd: int = 0
    reserved_nanousd: int = 0

    @property
    def balance_nanousd(self) -> int:
        return self.available_nanousd + self.reserved_nanousd


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What is set aside for one generation before it begins; zero where the price is unknown.

    A hold is refused unless `available` covers it, so one of zero is refused only to a user in debt.
    """

    entry: LedgerEntry

    @property
    def amount_nanousd(self) -> int:
        return -self.entry.amount_nanousd


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of a hold: `entry` is a settle or a release, `held_nanousd` what was set aside."""

    entry: LedgerEntry
    held_nanousd: int
