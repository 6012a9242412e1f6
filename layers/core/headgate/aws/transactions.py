"""Transactions as steps: what is written, on what condition, and what it means when that does not hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Item, Table, When, from_wire
from headgate.aws.faults import TransactionCancelled, reading
from headgate.domain.errors import GatewayFault

NEW = When("attribute_not_exists(#pk)")
TRIES = 10
"""How often a transaction that meets others is sent in all."""

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


class Met(Exception):
    """Others were at the same items. `steps`: the places of those steps which they were in the way of."""

    def __init__(self, steps: frozenset[int]) -> None:
        super().__init__("the transaction met another")
        self.steps = steps


async def carry_out(clients: AwsClients, table: Table, steps: Sequence[Step]) -> None:
    """All steps or none. A transaction that meets another is sent again, with growing pauses.

    Raises Refused, or GatewayFault.
    """
    for tries in range(TRIES):
        try:
            return await attempt(table, steps)
        except Met:
            await clients.pause(tries)
    raise GatewayFault.unavailable("The store")


async def attempt(table: Table, steps: Sequence[Step]) -> None:
    """All steps or none, sent once. Raises Met, Refused, or GatewayFault."""
    try:
        await table.transact(*(step.action for step in steps))
    except TransactionCancelled as cancelled:
        if not _is_undecided(steps, cancelled):
            _raise_refused(steps, cancelled)
        if not cancelled.is_passing:
            raise GatewayFault("The store refused a transaction of the gateway's") from cancelled
        raise Met(frozenset(filter(cancelled.is_contended, range(len(steps))))) from cancelled


def unconditional(action: dict[str, Any]) -> Step:
    """A step that nothing is in the way of."""
    return Step(action, lambda _: GatewayFault("The store refused what has no condition"))


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
