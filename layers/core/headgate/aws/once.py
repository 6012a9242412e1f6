"""Idempotency keys of requests that create something, in any table: one item each, `ONCE#<name>`/`ONCE`.

Items end by themselves (`expires_at`); until DynamoDB deletes them the clock says that they are over.
"""

from datetime import datetime

from headgate.aws.answers import answered, head_text
from headgate.aws.codec import bytes_of, text_of
from headgate.aws.dynamodb import Item, Table, Value, When, from_wire, happened
from headgate.aws.faults import ConditionFailed, reading
from headgate.ports import Begun, Clock

ONCE = "ONCE"


class OnceItems:
    """The idempotency keys of one table."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def begin(self, name: str, begun: Begun) -> Begun:
        free = When(
            "attribute_not_exists(#pk) OR #expires_at <= :now", {"now": self._clock.now().timestamp()}
        )
        try:
            await self._table.put(_item(name, begun), when=free)
        except ConditionFailed as taken:
            with reading("The request under this idempotency key"):
                return _begun(from_wire(taken.item or {}))
        return begun

    async def finish(self, name: str, begun: Begun) -> None:
        await happened(self._table.put(_item(name, begun), when=When("#seed = :seed", {"seed": begun.seed})))


def _item(name: str, begun: Begun) -> dict[str, Value | None]:
    answer = begun.answer
    return {
        "pk": f"{ONCE}#{name}",
        "sk": ONCE,
        "fingerprint": begun.fingerprint,
        "seed": begun.seed,
        "presenter": begun.presenter,
        "ends_at": begun.expires_at.isoformat(),
        "expires_at": int(begun.expires_at.timestamp()),
        "answer": None if answer is None else answer.body,
        "answer_head": None if answer is None else head_text(answer),
    }


def _begun(item: Item) -> Begun:
    """Raises ValueError for what can't be read."""
    answer = None
    if "answer_head" in item:
        answer = answered(text_of(item, "answer_head"), bytes_of(item, "answer"))
    return Begun(
        fingerprint=text_of(item, "fingerprint"),
        seed=text_of(item, "seed"),
        presenter=text_of(item, "presenter") if "presenter" in item else None,
        expires_at=datetime.fromisoformat(text_of(item, "ends_at")),
        answer=answer,
    )
