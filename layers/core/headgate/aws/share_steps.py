"""Movements of money between and at a user's balance items, as steps of a transaction.

The main item's `open` counts the items beside it that are open; theirs is 1 or not there.
"""

from collections.abc import Sequence

from headgate.aws.codec import number_of
from headgate.aws.dynamodb import Item, Key, Table, Value, When
from headgate.aws.shares import MAIN, Move, Part, Shares
from headgate.aws.transactions import Short, Step, unconditional
from headgate.domain.admission import not_covered

_ADD = "ADD #available :available, #reserved :reserved"


def steps_of(table: Table, move: Move, parts: Sequence[Part]) -> list[Step]:
    """The move, done at these items; what is reserved is noted at the first."""
    steps = []
    for place, (shard, added) in enumerate(parts):
        values: dict[str, Value] = {"available": added, "reserved": 0 if place else move.reserved}
        sole = len(parts) == 1
        when = _at_main(move, added, sole=sole) if shard == MAIN else _beside(added)
        action = table.updating(shard_key(move.user_id, shard), _ADD, values, when=when)
        if when is None:
            steps.append(unconditional(action))
        elif shard == MAIN and sole:
            steps.append(Step(action, lambda there: _refusal(move, there)))
        else:
            steps.append(Step(action, lambda _: Short()))
    return steps


def _beside(added: int) -> When:
    if added < 0:
        return When("#open = :one AND #available >= :need", {"one": 1, "need": -added})
    return When("#open = :one", {"one": 1})


def _at_main(move: Move, added: int, *, sole: bool) -> When | None:
    """One of zero is refused only where there is a debt; who never had a balance has none."""
    covered = "#available >= :need"
    if sole and move.hold is not None:
        return When(
            covered + (" OR attribute_not_exists(#available)" if added >= 0 else ""), {"need": -added}
        )
    if added >= 0:
        return None
    alone = " OR attribute_not_exists(#open) OR #open = :none" if sole else ""
    return When(covered + alone, {"need": -added} | ({"none": 0} if sole else {}))


def _refusal(move: Move, there: Item) -> Exception:
    if move.hold is None or number_of(there, "open"):
        return Short()
    return not_covered(move.hold, number_of(there, "available"))


def opening(table: Table, user_id: str, closed: Sequence[int], *, share: int) -> list[Step]:
    """Gives a share of the main item's to each of these, which are open from then on."""
    given = share * len(closed)
    at_main = table.updating(
        shard_key(user_id, MAIN),
        "ADD #available :given, #open :more",
        {"given": -given, "more": len(closed)},
        when=When("#available >= :need", {"need": given}),
    )
    steps = [Step(at_main, lambda _: Short())]
    for shard in closed:
        beside = table.updating(
            shard_key(user_id, shard),
            "SET #open = :one ADD #available :share",
            {"one": 1, "share": share},
            when=When("attribute_not_exists(#open)"),
        )
        steps.append(Step(beside, lambda _: Short()))
    return steps


def closing(table: Table, user_id: str, shares: Shares, chosen: Sequence[int]) -> list[Step]:
    """Gives all that these have to the main item, if it is still what was read."""
    taken = sum(shares.available[shard] for shard in chosen)
    at_main = table.updating(
        shard_key(user_id, MAIN),
        "ADD #available :taken, #open :fewer",
        {"taken": taken, "fewer": -len(chosen)},
    )
    steps = [unconditional(at_main)]
    for shard in chosen:
        there = shares.available[shard]
        beside = table.updating(
            shard_key(user_id, shard),
            "ADD #available :given REMOVE #open",
            {"given": -there},
            when=When("#open = :one AND #available = :there", {"one": 1, "there": there}),
        )
        steps.append(Step(beside, lambda _: Short()))
    return steps


def shard_key(user_id: str, shard: int) -> Key:
    return shards_pk(user_id), f"BAL#{shard}"


def shards_pk(user_id: str) -> str:
    """Under it a user's balance items stand."""
    return f"BAL#{user_id}"
