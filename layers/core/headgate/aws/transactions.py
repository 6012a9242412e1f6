"""Transactions as steps: what is written, on what condition, and what it means when that does not hold.

What may be written at one item or another (`Placing`) is moved on while the transaction is tried.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class Foreseen(Refused):
    """Refused by what was seen, not by trying: whether anything else would refuse it is not known."""


class Short(Exception):
    """An item does not serve this, and others may."""


class Met(Exception):
    """Others were at the same items. `steps`: the places of those steps which they were in the way of."""

    def __init__(self, steps: frozenset[int]) -> None:
        super().__init__("the transaction met another")
        self.steps = steps


class Placing(Protocol):
    """Something that may be written at one item or another, which trying tells.

    steps: as it is to be tried now; a refusal of Short means that it is to be tried elsewhere.
    """

    @property
    def steps(self) -> Sequence[Step]: ...

    async def look_ahead(self) -> None:
        """Before it is tried: where there was too little lately, whether there is now. Raises Refused."""
        ...

    async def look_elsewhere(self) -> None:
        """Its items did not serve: finds others. Raises Refused where none do."""
        ...

    async def look_around(self, tries: int) -> bool:
        """Its items were in use: whether it found others, so that there is nothing to wait for.

        Raises Refused where no wait would help.
        """
        ...


type Written = Step | Placing


async def carry_out(clients: AwsClients, table: Table, written: Sequence[Written]) -> None:
    """All of it or none. A transaction that meets another is sent again, with growing pauses; what its items
    don't serve is tried elsewhere. Of refusals the first counts, in the order of what is written.

    Raises Refused (Foreseen where it was not tried, or met others), or GatewayFault.
    """
    for each in written:
        if not isinstance(each, Step):
            await _foreseeing(each.look_ahead(), each, written)
    for tries in range(TRIES):
        steps, owners = _laid_out(written)
        try:
            return await attempt(table, steps)
        except Met as met:
            eased = True
            for owner in _once(owners[place] for place in sorted(met.steps)):
                if owner is None or not await _foreseeing(owner.look_around(tries), owner, written):
                    eased = False
            if not eased:
                await clients.pause(tries)
        except Refused as refused:
            await _look_elsewhere(refused, owners)
    raise GatewayFault.unavailable("The store")


async def _foreseeing[T](looking: Awaitable[T], which: Placing, written: Sequence[Written]) -> T:
    """What it came to. Raises Foreseen: for this one, or for what comes before it and is refused too."""
    try:
        return await looking
    except Refused as refused:
        try:
            for each in written[: written.index(which)]:
                if not isinstance(each, Step):
                    await each.look_elsewhere()
        except Refused as before:
            raise Foreseen({}, before.errors) from before
        raise Foreseen({}, refused.errors) from refused


def _laid_out(written: Sequence[Written]) -> tuple[list[Step], list[Placing | None]]:
    """All steps, and for each the placing that it is of."""
    steps: list[Step] = []
    owners: list[Placing | None] = []
    for each in written:
        laid, owner = ((each,), None) if isinstance(each, Step) else (each.steps, each)
        steps += laid
        owners += [owner] * len(laid)
    return steps, owners


async def _look_elsewhere(refused: Refused, owners: Sequence[Placing | None]) -> None:
    """Raises Refused for the first refusal that stands."""
    short: list[Placing | None] = []
    for place, error in zip(refused.items, refused.errors, strict=True):
        if not isinstance(error, Short):
            raise Refused(refused.items, [error]) from refused
        owner = owners[place]
        if owner is not None and not any(owner is each for each in short):
            short.append(owner)
            await owner.look_elsewhere()


def _once[T](all_of: Iterable[T]) -> list[T]:
    return list({id(each): each for each in all_of}.values())


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
