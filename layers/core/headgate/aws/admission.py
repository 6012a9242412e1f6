"""What begins or ends together with a generation, as steps of one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from headgate.aws.codec import body_of, number_of, text_of
from headgate.aws.dynamodb import Item, Key, Table, Value, When
from headgate.aws.faults import reading
from headgate.aws.once import ONCE
from headgate.aws.shares import Move
from headgate.aws.transactions import NEW, Step, Written, unconditional
from headgate.aws.windows import Windows
from headgate.domain.admission import Admission, Claim, Closing
from headgate.domain.credits import LedgerEntry
from headgate.domain.errors import Conflict
from headgate.paging import position_of
from headgate.ports import AlreadyClaimed

SAME_ID = "There is a generation of that id."
ENDED = "This generation has ended already."

# -- what a generation begins with --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written together: `steps`, and the money that moves with its entry where any does."""

    steps: tuple[Written, ...]
    move: Move | None = None
    entry: LedgerEntry | None = None


def beginning(
    table: Table, windows: Windows, record: Mapping[str, Value | None], admission: Admission, *, now: datetime
) -> Writing:
    """The claim, then the record's item, then limits, then money: refused in this order."""
    claim, hold = admission.claim, admission.hold
    generation_id = str(record["pk"])
    steps: list[Written] = [] if claim is None else [_claiming(table, claim, generation_id, now=now)]
    steps.append(Step(table.putting(record, when=NEW), lambda _: Conflict(SAME_ID)))
    steps += [windows.counting(counter, generation_id) for counter in admission.counters]
    if hold is None:
        return Writing(tuple(steps))
    entry, amount = hold.entry, hold.amount_nanousd
    move = Move(user_id=entry.user_id, lot=generation_id, available=-amount, reserved=amount, hold=hold)
    return Writing(tuple(steps), move, entry)


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


async def check_claim(table: Table, claim: Claim, *, now: datetime) -> None:
    """Raises AlreadyClaimed where it is another's."""
    found = await claim_in(table, claim.name, now=now)
    if found is not None and found[1] != claim.replaces:
        raise AlreadyClaimed(*found)


def _claim_key(name: str) -> Key:
    return f"{ONCE}#{name}", ONCE


def _taken(name: str, item: Item) -> AlreadyClaimed:
    expires_at = datetime.fromtimestamp(number_of(item, "expires_at"), UTC)
    claim = Claim(name=name, fingerprint=text_of(item, "fingerprint"), expires_at=expires_at)
    return AlreadyClaimed(claim, text_of(item, "generation_id"))


# -- what it ends with --------------------------------------------------------------------------------------


def ending(
    table: Table, windows: Windows, record: Mapping[str, Value | None], closing: Closing, *, when: When
) -> Writing:
    """The record's outcome, if `when` holds of what is stored; then counters, then money."""
    lot = str(record["pk"])
    steps: list[Written] = [Step(table.putting(record, when=when), lambda _: Conflict(ENDED))]
    steps += [windows.correcting(each, lot) for each in closing.corrections]
    if closing.settlement is None:
        return Writing(tuple(steps))
    entry, held = closing.settlement.entry, closing.settlement.held_nanousd
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


def setting(table: Table, item: Mapping[str, Value | None]) -> Step:
    """Puts an item, whatever is there."""
    return unconditional(table.putting(item))


# -- keys ---------------------------------------------------------------------------------------------------


def entries_pk(user_id: str) -> str:
    """Under it a user's entries stand by time."""
    return f"LED#{user_id}"
