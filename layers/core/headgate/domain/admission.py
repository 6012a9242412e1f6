"""What must hold for a generation to begin, and what its end puts right. Decided in one write each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from headgate.domain.credits import Hold, Settlement
from headgate.domain.errors import LimitReached, NeverWithinLimit
from headgate.domain.money import decimal_text, money_json, usd

Measure = Literal["requests", "tokens", "spend"]

MOST_PARTS = 16
_A_PART: Mapping[Measure, int] = {"requests": 300, "tokens": 250_000, "spend": 2 * 10**9}
"""What one part of a window is for: as many chats use it up, roughly, as one item bears (docs/adr/0005).

With larger ones a limit has fewer items, and whoever finds room there does not look at those it had before:
of windows that are open at the update, a month's too, more may be used up than is allowed.
"""

_INSTEAD: Mapping[Measure, str] = {
    "requests": "ask an administrator for a higher limit",
    "tokens": "shorten the input, or ask an administrator for a higher limit",
    "spend": "ask for fewer max_tokens, shorten the input, name a cheaper model, or ask an administrator for "
    "a higher limit",
}


def parts_of(measure: Measure, limit: int) -> int:
    """How many parts a window of this limit is counted in, 1 to MOST_PARTS.

    It follows from the limit alone, so that all who count agree on it without asking; a key's limits never
    change.
    """
    return max(1, min(MOST_PARTS, limit // _A_PART[measure]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A sum over one window (a key's minute, day or month), raised by `amount` if it then is within `limit`.

    name: unique per key, measure and window. amount, limit: requests, tokens or nano-dollars by `measure`.
    expires_at: when the window ends, hence when asking again makes sense. label: what the limit is called
    where it is set (`requests_per_minute`). parts: in how many the sum stands, so that counting one request
    is not in the way of counting another; what it is, and what it is bound by, is their sum all the same.
    """

    name: str
    measure: Measure
    amount: int
    limit: int
    expires_at: datetime
    label: str = ""
    parts: int = 1

    @property
    def room(self) -> int:
        """The highest sum that this may be added to; even what adds nothing needs a limit not yet reached."""
        return self.limit - max(1, self.amount)

    @property
    def raised(self) -> "Correction":
        """What a generation remembers of having raised it, to be put right in the end."""
        limit = self.limit if self.parts > 1 else 0
        return Correction(
            name=self.name, amount=self.amount, expires_at=self.expires_at, parts=self.parts, limit=limit
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a counter was raised by too much (negative) or too little, known once a generation is over.

    parts, limit: the counter's; the limit is not remembered where there is one part only.
    """

    name: str
    amount: int
    expires_at: datetime
    parts: int = 1
    limit: int = 0


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
    left_s = (counter.expires_at - now).total_seconds()
    return LimitReached(
        f"This key's {_name(counter)} limit of {_told(counter, counter.limit)} is reached.",
        retry_after_s=max(1.0, left_s),
    )


def never_within(counter: Counter) -> NeverWithinLimit:
    """`rate_limited` for what no window has room for, be it empty: both figures, and what to do instead."""
    if counter.measure == "requests":
        counted = f"A request is counted as {counter.amount}"
    elif counter.measure == "tokens":
        counted = f"This request's input is estimated at {_told(counter, counter.amount)} tokens"
    else:
        counted = f"This request may cost up to {_told(counter, counter.amount)}"
    limit = f"this key's {_name(counter)} limit is {_told(counter, counter.limit)}"
    return NeverWithinLimit(f"{counted}, and {limit}, so it can never pass: {_INSTEAD[counter.measure]}.")


def _name(counter: Counter) -> str:
    return counter.label or counter.measure


def _told(counter: Counter, amount: int) -> str:
    return f"{decimal_text(usd(amount))} USD" if counter.measure == "spend" else str(amount)


def not_covered(hold: Hold, available_nanousd: int) -> LimitReached:
    """`insufficient_credits`, with `needed` and `available`."""
    needed, there = (f"{decimal_text(usd(n))} USD" for n in (hold.amount_nanousd, available_nanousd))
    return LimitReached(
        f"This may cost up to {needed}, which must be available first; {there} is.",
        code="insufficient_credits",
        members={"needed": money_json(hold.amount_nanousd), "available": money_json(available_nanousd)},
    )
