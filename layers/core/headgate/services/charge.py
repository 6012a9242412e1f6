"""What a request may cost, what is set aside and counted for it, and what it costs in the end. Pure.

Amounts are nano-dollars. A price that is unknown never becomes one of zero: what it is needed for is None.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from headgate.domain.admission import (
    Admission,
    Closing,
    Correction,
    Counter,
    Measure,
    never_within,
    parts_of,
)
from headgate.domain.callers import Caller
from headgate.domain.credits import EntryKind, Hold, LedgerEntry, Settlement
from headgate.domain.generation import GenerationRecord, GenerationStatus, Usage, cost_of
from headgate.domain.money import nanousd, usd
from headgate.providers.base import ChatOutcome
from headgate.services.chat_records import ChatAsk, estimated_tokens
from headgate.services.longest import longest_answer
from headgate.services.route import Candidate
from headgate.settings import Settings

_WITHOUT_COST = frozenset({GenerationStatus.FAILED, GenerationStatus.CANCELLED, GenerationStatus.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """How this stack charges. credits: whether callers need a balance. hold_tokens: answer tokens reckoned
    with where a request names no maximum. fee_percent: of the price, where the caller's own key pays it."""

    credits: bool = False
    hold_tokens: int = 4_096
    fee_percent: Decimal = Decimal(0)


def tariff_of(settings: Settings) -> Tariff:
    return Tariff(
        credits=settings.credits == "enforced",
        hold_tokens=settings.default_hold_tokens,
        fee_percent=settings.gateway_fee_percent,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admittance:
    """What a generation begins with, and what its record has to remember of it.

    estimated_nanousd: the most it should cost at the dearest of its candidates, None where no price is known.
    """

    admission: Admission
    estimated_nanousd: int | None

    @property
    def held_nanousd(self) -> int | None:
        hold = self.admission.hold
        return None if hold is None else hold.amount_nanousd

    @property
    def raised(self) -> tuple[Correction, ...]:
        """The counters that were raised by an estimate; what each request counts as one is none."""
        return tuple(each.raised for each in self.admission.counters if each.measure != "requests")


def admit(
    caller: Caller,
    ask: ChatAsk,
    candidates: Sequence[Candidate],
    *,
    generation_id: str,
    now: datetime,
    tariff: Tariff,
) -> Admittance:
    """What must hold for this generation to begin, whichever of the candidates serves it.

    Raises NeverWithinLimit for what could not begin in a window of its own either.
    """
    tokens = estimated_tokens(ask.body)
    charges = [longest_charge(each, ask, tariff, tokens=tokens) for each in candidates]
    known = [(charge, each) for charge, each in zip(charges, candidates, strict=True) if charge is not None]
    estimate, dearest = max(known, key=lambda pair: pair[0], default=(None, None))
    free = all(map(_is_free, candidates, charges))
    hold = None
    if tariff.credits and not free:
        entry = LedgerEntry(
            id=entry_id(generation_id, ended=False),
            user_id=caller.user_id,
            at=now,
            kind=EntryKind.HOLD,
            amount_nanousd=-(estimate or 0),
            generation_id=generation_id,
            price=dearest.info.pricing if dearest is not None and dearest.info is not None else None,
        )
        hold = Hold(entry=entry)
    spend = None if free else estimate or 0
    counters = counters_of(caller, now, tokens=tokens, spend_nanousd=spend)
    for counter in counters:
        if counter.room < 0:
            raise never_within(counter)
    admission = Admission(counters=counters, hold=hold, claim=ask.claim)
    return Admittance(admission=admission, estimated_nanousd=estimate)


def closing_of(begun: GenerationRecord, ended: GenerationRecord, now: datetime) -> Closing:
    """What becomes of the hold and of the counters that `begun` raised, now that it ended so.

    What produced nothing gives all of its hold back; what has an unknown cost is settled at nothing.
    """
    return Closing(
        settlement=_settlement(begun, ended, now),
        corrections=tuple(
            replace(each, amount=actual - each.amount)
            for each in begun.raised
            for actual in [_actual(each, ended)]
            if actual != each.amount and each.expires_at > now
        ),
    )


def _settlement(begun: GenerationRecord, ended: GenerationRecord, now: datetime) -> Settlement | None:
    if begun.held_nanousd is None:
        return None
    charged = ended.cost_charged_nanousd
    released = ended.status in _WITHOUT_COST and not charged
    entry = LedgerEntry(
        id=entry_id(begun.id, ended=True),
        user_id=begun.owner,
        at=now,
        kind=EntryKind.RELEASE if released else EntryKind.SETTLE,
        amount_nanousd=begun.held_nanousd - (charged or 0),
        generation_id=begun.id,
        charged_nanousd=None if released else charged,
    )
    return Settlement(entry=entry, held_nanousd=begun.held_nanousd)


def _actual(raised: Correction, ended: GenerationRecord) -> int:
    """What the counter would have been raised by, had it been known."""
    if _measure_of(raised.name) == "spend":
        return ended.cost_charged_nanousd or 0
    told = ended.usage
    if told is not None and (told.input_tokens is not None or told.output_tokens is not None):
        entered = raised.amount if told.input_tokens is None else told.input_tokens
        return entered + (told.output_tokens or 0)
    return 0 if ended.status in _WITHOUT_COST else raised.amount


def entry_id(generation_id: str, *, ended: bool) -> str:
    """The ids of a generation's two entries, so that neither is ever written twice; the hold sorts first."""
    return f"led_{generation_id.partition('_')[2]}_{int(ended)}"


# -- prices -------------------------------------------------------------------------------------------------


def charge_usd(usage: Usage, candidate: Candidate, tariff: Tariff) -> Decimal | None:
    """Dollars that this usage is charged at: by the catalogue's price, else what the provider says it cost,
    else None: unknown. Where the caller's own key pays, the stack's fee."""
    pricing = candidate.info.pricing if candidate.info is not None else None
    if not candidate.credential.caller_pays:
        cost = cost_of(usage, pricing)
        return usage.cost_usd if cost is None else usd(cost)
    if not tariff.fee_percent:
        return Decimal(0)
    cost = cost_of(usage, pricing)
    return None if cost is None else usd(cost) * tariff.fee_percent / 100


def charged_nanousd(
    status: GenerationStatus, served: Candidate | None, outcome: ChatOutcome | None, tariff: Tariff
) -> int | None:
    """Nothing for a failure; for what was produced its price, None where that is unknown."""
    if status is GenerationStatus.FAILED or served is None or outcome is None:
        return 0
    produced = status is GenerationStatus.SUCCEEDED or bool(outcome.text or outcome.tool_calls)
    usage = outcome.usage or (Usage() if produced else Usage(cost_usd=Decimal(0)))
    charge = charge_usd(usage, served, tariff)
    return (None if produced else 0) if charge is None else nanousd(charge)


def free_of(candidates: Sequence[Candidate], ask: ChatAsk, tariff: Tariff) -> list[Candidate]:
    """Those by which it is certain that nothing will be charged."""
    tokens = estimated_tokens(ask.body)
    return [each for each in candidates if _is_free(each, longest_charge(each, ask, tariff, tokens=tokens))]


def _is_free(candidate: Candidate, longest_nanousd: int | None) -> bool:
    """An answer that is as long as it may be and costs nothing may still have a price: its tokens may be
    none."""
    if candidate.credential.caller_pays and longest_nanousd == 0:
        return True
    pricing = candidate.info.pricing if candidate.info is not None else None
    return longest_nanousd == 0 and pricing is not None and not pricing.above_zero


def longest_charge(candidate: Candidate, ask: ChatAsk, tariff: Tariff, *, tokens: int) -> int | None:
    """What this is charged at if its answer gets as long as it may; None where that is unknown.

    tokens: of its input, as estimated.
    """
    answer = 0 if ask.operation != "chat" else longest_answer(ask.body, candidate.info, tariff.hold_tokens)
    charge = charge_usd(Usage(input_tokens=tokens, output_tokens=answer), candidate, tariff)
    return None if charge is None else nanousd(charge)


# -- limits -------------------------------------------------------------------------------------------------


def counters_of(
    caller: Caller, now: datetime, *, tokens: int | None = None, spend_nanousd: int | None = None
) -> tuple[Counter, ...]:
    """One per limit of the caller's key that applies; None: this request has no tokens, or can cost nothing.

    A request counts with its input at first, as nobody knows how long its answer gets: with the longest it
    may get, a limit below that would let nothing through at all.
    """
    limits = caller.limits
    rows: tuple[tuple[str, Measure, int | None, int | None, _Window], ...] = (
        ("requests_per_minute", "requests", 1, limits.requests_per_minute, _minute),
        ("tokens_per_minute", "tokens", tokens, limits.tokens_per_minute, _minute),
        ("credits_per_day", "spend", spend_nanousd, limits.spend_per_day_nanousd, _day),
        ("credits_per_month", "spend", spend_nanousd, limits.spend_per_month_nanousd, _month),
    )
    counters = []
    for label, measure, amount, limit, window_of in rows:
        if limit is not None and amount is not None:
            window, ends_at = window_of(now.astimezone(UTC))
            name = f"{caller.key_id}#{measure}#{window}"
            counters.append(
                Counter(
                    name=name,
                    measure=measure,
                    amount=amount,
                    limit=limit,
                    expires_at=ends_at,
                    label=label,
                    parts=parts_of(measure, limit),
                )
            )
    return tuple(counters)


type _Window = Callable[[datetime], tuple[str, datetime]]
"""The name and the end of the window that a moment (UTC) is in."""


def _minute(now: datetime) -> tuple[str, datetime]:
    begins_at = now.replace(second=0, microsecond=0)
    return str(int(begins_at.timestamp()) // 60), begins_at + timedelta(minutes=1)


def _day(now: datetime) -> tuple[str, datetime]:
    begins_at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{begins_at:%Y-%m-%d}", begins_at + timedelta(days=1)


def _month(now: datetime) -> tuple[str, datetime]:
    begins_at = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return f"{begins_at:%Y-%m}", (begins_at + timedelta(days=32)).replace(day=1)


def _measure_of(counter_name: str) -> str:
    return counter_name.rsplit("#", 2)[1]
