"""What begins or ends together with a generation, as steps of one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headgate.aws.clients import AwsClients
from headgate.aws.codec import body_of, number_of, text_of
from headgate.aws.dynamodb import Item, Key, Table, Value, When, from_wire
from headgate.aws.faults import TransactionCancelled, reading
from headgate.aws.once import ONCE
from headgate.domain.admission import (
    Admission,
    Claim,
    Closing,
    Correction,
    Counter,
    limit_reached,
    not_covered,
)
from headgate.domain.credits import Hold, LedgerEntry
from headgate.domain.errors import Conflict, GatewayFault
from headgate.paging import position_of
from headgate.ports import AlreadyClaimed

NEW = When("attribute_not_exists(#pk)")
_NEVER = When("attribute_exists(#pk) AND attribute_not_exists(#pk)")
_TRIES = 10
_SAME_ID = "There is a generation of that id."
ENDED = "This generation has ended already."

type Refusal = Callable[[Item], Exception]


@dataclass(frozen=True, slots=True)
class Step:
    """One action, and what to raise when its condition does not hold, given the item that is there instead.

    decides: while it is not known whether this one's condition holds, no other's refusal counts.
    """

    action: dict[str, Any]
    refuse: Refusal
    decides: bool = False


class Refused(Exception):
    """Conditions that did not hold: the items that are there instead, and what they mean, by step."""

    def __init__(self, items: Mapping[int, Mapping[str, Any]], errors: Sequence[Exception]) -> None:
        super().__init__("conditions did not hold")
        self.items = items
        self.errors = tuple(errors)


async def carry_out(clients: AwsClients, table: Table, steps: Sequence[Step]) -> None:
    """All steps or none. A transaction that meets another is sent again, with growing pauses.

    Raises Refused, or GatewayFault.
    """
    for tries in range(_TRIES):
        try:
            return await table.transact(*(step.action for step in steps))
        except TransactionCancelled as cancelled:
            if not _is_undecided(steps, cancelled):
                _raise_refused(steps, cancelled)
            if not cancelled.is_passing:
                raise GatewayFault("The store refused a transaction of the gateway's") from cancelled
        await clients.pause(tries)
    raise GatewayFault.unavailable("The store")


def _is_undecided(steps: Sequence[Step], cancelled: TransactionCancelled) -> bool:
    return any(step.decides and cancelled.is_contended(place) for place, step in enumerate(steps))


def _raise_refused(steps: Sequence[Step], cancelled: TransactionCancelled) -> None:
    items = {
        place: reason.item or {}
        for place in range(len(steps))
        if (reason := cancelled.failed_condition(place)) is not None
    }
    if items:
        with reading("What is in the way"):
            errors = [steps[place].refuse(from_wire(item)) for place, item in items.items()]
        raise Refused(items, errors) from cancelled


# -- what a generation begins with --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tables:
    """The two that a generation is written to."""

    generations: Table
    ledger: Table


def begin_steps(
    tables: Tables, record: Mapping[str, Value | None], admission: Admission, *, now: datetime
) -> list[Step]:
    """The claim, then the record's item, then limits, then money: refused in this order."""
    claim, hold = admission.claim, admission.hold
    generation_id = str(record["pk"])
    steps = [] if claim is None else [_claiming(tables.generations, claim, generation_id, now=now)]
    steps.append(Step(tables.generations.putting(record, when=NEW), lambda _: Conflict(_SAME_ID)))
    steps += [counting(tables.generations, counter, now=now) for counter in admission.counters]
    if hold is not None:
        steps.append(_holding(tables.ledger, hold))
        steps.append(entering(tables.ledger, hold.entry))
    return steps


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


def _holding(table: Table, hold: Hold) -> Step:
    """One of zero is refused only where there is a debt; who never had a balance has none."""
    amount = hold.amount_nanousd
    covered = "#available >= :amount" + (" OR attribute_not_exists(#available)" if amount <= 0 else "")
    action = table.updating(
        balance_key(hold.entry.user_id),
        "ADD #available :change, #reserved :amount",
        {"change": -amount, "amount": amount},
        when=When(covered),
    )
    return Step(action, lambda there: not_covered(hold, number_of(there, "available")))


# -- what it ends with --------------------------------------------------------------------------------------


def end_steps(
    tables: Tables, record: Mapping[str, Value | None], closing: Closing, *, when: When
) -> list[Step]:
    """The record's outcome, if `when` holds of what is stored; then money, then counters."""
    steps = [Step(tables.generations.putting(record, when=when), lambda _: Conflict(ENDED))]
    if closing.settlement is not None:
        entry, held = closing.settlement.entry, closing.settlement.held_nanousd
        steps.append(moving(tables.ledger, entry.user_id, available=entry.amount_nanousd, reserved=-held))
        steps.append(entering(tables.ledger, entry))
    return steps + [_correcting(tables.generations, each) for each in closing.corrections]


def moving(table: Table, user_id: str, *, available: int, reserved: int = 0) -> Step:
    """Adds to a balance, whatever it is."""
    action = table.updating(
        balance_key(user_id),
        "ADD #available :available, #reserved :reserved",
        {"available": available, "reserved": reserved},
    )
    return _unconditional(action)


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
    return _unconditional(action)


def setting(table: Table, item: Mapping[str, Value | None]) -> Step:
    """Puts an item, whatever is there."""
    return _unconditional(table.putting(item))


def _unconditional(action: dict[str, Any]) -> Step:
    return Step(action, lambda _: GatewayFault("The store refused what has no condition"))


# -- keys ---------------------------------------------------------------------------------------------------


def balance_key(user_id: str) -> Key:
    return f"BAL#{user_id}", "BAL"


def entries_pk(user_id: str) -> str:
    """Under it a user's entries stand by time."""
    return f"LED#{user_id}"


def _counter_key(name: str) -> Key:
    return f"RATE#{name}", "RATE"
