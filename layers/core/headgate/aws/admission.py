"""What begins or ends together with a generation, as steps of one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from headgate.aws.codec import body_of, number_of, text_of
from headgate.aws.dynamodb import Item, Key, Table, Value, When
from headgate.aws.faults import reading
from headgate.aws.once import ONCE
from headgate.aws.shares import Move
from headgate.aws.transactions import NEW, Step, unconditional
from headgate.domain.admission import Admission, Claim, Closing, Correction, Counter, limit_reached
from headgate.domain.credits import LedgerEntry
from headgate.domain.errors import Conflict
from headgate.paging import position_of
from headgate.ports import AlreadyClaimed

_NEVER = When("attribute_exists(#pk) AND attribute_not_exists(#pk)")
_SAME_ID = "There is a generation of that id."
ENDED = "This generation has ended already."

# -- what a generation begins with --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written together: `steps`, and the money that moves with its entry where any does."""

    steps: tuple[Step, ...]
    move: Move | None = None
    entry: LedgerEntry | None = None


def beginning(
    table: Table, record: Mapping[str, Value | None], admission: Admission, *, now: datetime
) -> Writing:
    """The claim, then the record's item, then limits, then money: refused in this order."""
    claim, hold = admission.claim, admission.hold
    generation_id = str(record["pk"])
    steps = [] if claim is None else [_claiming(table, claim, generation_id, now=now)]
    steps.append(Step(table.putting(record, when=NEW), lambda _: Conflict(_SAME_ID)))
    steps += [counting(table, counter, now=now) for counter in admission.counters]
    if hold is None:
        return Writing(tuple(steps))
    entry, amount = hold.entry, hold.amount_nanousd
    move = Move(user_id=entry.user_id, lot=generation_id, available=-amount, reserved=amount, hold=hold)
    return Writing(tuple(steps), move, entry)


def counting(table: Table, counter: Counter, *, now: datetime) -> Step:
    """Raises the counter, if it then is within its limit."""
    room = counter.room
    action = table.updating(
        _counter_key(counter.name),
        "SET #expires_at = :expires_at ADD #n :amount",
        {"expires_at": int(counter.expires_at.timestamp()), "amount": counter.amount},
        when=When("attribute_not_exists(#n) OR #n <= :room", {"room": room}) if room >= 0 else _NEVER,
    )
    return Step(action, lambda _: limit_reached(counter, now))


def _claiming(table: Table, claim: Claim, generation_id: str, *, now: datetime) -> Step:
    free = "attribute_not_exists(#pk) OR #expires_at <= :now"
    values: dict[str, Value] = {"now": now.timestamp()}
    if claim.replaces is not None:
        free += " OR #generation_id = :replaces"
        values["replaces"] = claim.replaces
    pk, sk = _claim_key(claim.name)
    item: dict[str, Value | None] = {
        "pk": pk,
        "sk": sk,
        "generation_id": generation_id,
        "fingerprint": claim.fingerprint,
        "expires_at": int(claim.expires_at.timestamp()),
    }
    return Step(table.putting(item, when=When(free, values)), lambda taken: _taken(claim.name, taken), True)


async def claim_in(table: Table, name: str, *, now: datetime) -> tuple[Claim, str] | None:
    """What an idempotency key is taken with, and for which generation."""
    item = await table.get(*_claim_key(name))
    if item is None:
        return None
    with reading("What an idempotency key is taken with"):
        taken = _taken(name, item)
    return (taken.claim, taken.generation_id) if taken.claim.expires_at > now else None


def _claim_key(name: str) -> Key:
    return f"{ONCE}#{name}", ONCE


def _taken(name: str, item: Item) -> AlreadyClaimed:
    expires_at = datetime.fromtimestamp(number_of(item, "expires_at"), UTC)
    claim = Claim(name=name, fingerprint=text_of(item, "fingerprint"), expires_at=expires_at)
    return AlreadyClaimed(claim, text_of(item, "generation_id"))


# -- what it ends with --------------------------------------------------------------------------------------


def ending(table: Table, record: Mapping[str, Value | None], closing: Closing, *, when: When) -> Writing:
    """The record's outcome, if `when` holds of what is stored; then counters, then money."""
    steps = [Step(table.putting(record, when=when), lambda _: Conflict(ENDED))]
    steps += [_correcting(table, each) for each in closing.corrections]
    if closing.settlement is None:
        return Writing(tuple(steps))
    entry, held = closing.settlement.entry, closing.settlement.held_nanousd
    lot = str(record["pk"])
    move = Move(user_id=entry.user_id, lot=lot, available=entry.amount_nanousd, reserved=-held)
    return Writing(tuple(steps), move, entry)


def entering(table: Table, entry: LedgerEntry) -> Step:
    """Appends an entry."""
    item: dict[str, Value | None] = {
        "pk": entries_pk(entry.user_id),
        "sk": position_of(entry.at, entry.id),
        "body": body_of(entry),
    }
    return Step(table.putting(item, when=NEW), lambda _: Conflict("There is an entry of that id."))


def _correcting(table: Table, correction: Correction) -> Step:
    action = table.updating(
        _counter_key(correction.name),
        "SET #expires_at = :expires_at ADD #n :amount",
        {"expires_at": int(correction.expires_at.timestamp()), "amount": correction.amount},
    )
    return unconditional(action)


def setting(table: Table, item: Mapping[str, Value | None]) -> Step:
    """Puts an item, whatever is there."""
    return unconditional(table.putting(item))


# -- keys ---------------------------------------------------------------------------------------------------


def entries_pk(user_id: str) -> str:
    """Under it a user's entries stand by time."""
    return f"LED#{user_id}"


def _counter_key(name: str) -> Key:
    return f"RATE#{name}", "RATE"
