"""What must hold for a generation to begin, and what its end puts right. Decided in one write each. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from headgate.domain.credits import Hold, Settlement
from headgate.domain.errors import LimitReached
from headgate.domain.money import decimal_text, money_json, usd

Measure = Literal["requests", "tokens", "spend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A sum over one window (a key's minute, day or month), raised by `amount` if it then is within `limit`.

    name: unique per key, measure and window. amount, limit: requests, tokens or nano-dollars by `measure`.
    expires_at: when the window ends, hence when asking again makes sense. label: what the limit is called
    where it is set (`requests_per_minute`).
    """

    name: str
    measure: Measure
    amount: int
    limit: int
    expires_at: datetime
    label: str = ""

    @property
    def room(self) -> int:
        """The highest sum that this may be added to; even what adds nothing needs a limit not yet reached."""
        return self.limit - max(1, self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a counter was raised by too much (negative) or too little, known once a generation is over."""

    name: str
    amount: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A caller's idempotency key, taken for one generation until `expires_at`.

    name: hash of the caller and the key. fingerprint: of the route and the body. replaces: the generation
    whose failure left the key free to be used again, where there is one.
    """

    name: str
    fingerprint: str
    expires_at: datetime
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Everything that is decided together with the record's first write, or nothing is."""

    counters: tuple[Counter, ...] = ()
    hold: Hold | None = None
    claim: Claim | None = None


LARGEST_WITHIN = 32_768
"""Bytes of an answer's body that may be written in one with the outcome: such a write costs double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer kept for whoever sends the same idempotency key again, byte for byte.

    headers: lower case names; none that speaks of the connection or of the moment. body: what one caller was
    told, a secret at times.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Everything that is written together with a record's outcome, or nothing is.

    answer: kept for repetitions of its request; of LARGEST_WITHIN bytes at most, larger ones go before.
    """

    settlement: Settlement | None = None
    corrections: tuple[Correction, ...] = ()
    answer: Answer | None = None


def limit_reached(counter: Counter, now: datetime) -> LimitReached:
    """`rate_limited`: which limit it is, and how long its window still lasts."""
    limit = f"{decimal_text(usd(counter.limit))} USD" if counter.measure == "spend" else str(counter.limit)
    left_s = (counter.expires_at - now).total_seconds()
    name = counter.label or counter.measure
    return LimitReached(f"This key's {name} limit of {limit} is reached.", retry_after_s=max(1.0, left_s))


def not_covered(hold: Hold, available_nanousd: int) -> LimitReached:
    """`insufficient_credits`, with `needed` and `available`."""
    needed, there = (f"{decimal_text(usd(n))} USD" for n in (hold.amount_nanousd, available_nanousd))
    return LimitReached(
        f"This may cost up to {needed}, which must be available first; {there} is.",
        code="insufficient_credits",
        members={"needed": money_json(hold.amount_nanousd), "available": money_json(available_nanousd)},
    )
