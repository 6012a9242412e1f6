"""Idempotency keys of requests that create something, in DynamoDB."""

from datetime import datetime

import orjson

from headgate.aws.account_table import AccountTable
from headgate.aws.codec import bytes_of, text_of
from headgate.aws.dynamodb import Item, Value, When, from_wire, happened
from headgate.aws.faults import ConditionFailed, reading
from headgate.domain.admission import Answer
from headgate.ports import Begun

_ONCE = "ONCE"


class DynamoOnce(AccountTable):
    """Items end by themselves (`expires_at`); until they are deleted the clock says that they are over."""

    async def begin_once(self, name: str, begun: Begun) -> Begun:
        free = When(
            "attribute_not_exists(#pk) OR #expires_at <= :now", {"now": self._clock.now().timestamp()}
        )
        try:
            await self._table.put(_item(name, begun), when=free)
        except ConditionFailed as taken:
            with reading("The request under this idempotency key"):
                return _begun(from_wire(taken.item or {}))
        return begun

    async def finish_once(self, name: str, begun: Begun) -> None:
        await happened(self._table.put(_item(name, begun), when=When("#seed = :seed", {"seed": begun.seed})))


def _item(name: str, begun: Begun) -> dict[str, Value | None]:
    item: dict[str, Value | None] = {
        "pk": f"{_ONCE}#{name}",
        "sk": _ONCE,
        "fingerprint": begun.fingerprint,
        "seed": begun.seed,
        "ends_at": begun.expires_at.isoformat(),
        "expires_at": int(begun.expires_at.timestamp()),
    }
    if (answer := begun.answer) is not None:
        head = {"status": answer.status, "headers": answer.headers, "expires_at": answer.expires_at}
        item |= {"answer": answer.body, "answer_head": orjson.dumps(head).decode()}
    return item


def _begun(item: Item) -> Begun:
    """Raises ValueError for what can't be read."""
    answer = None
    if "answer_head" in item:
        head = orjson.loads(text_of(item, "answer_head"))
        answer = Answer(
            status=head["status"],
            headers=tuple((name, value) for name, value in head["headers"]),
            body=bytes_of(item, "answer"),
            expires_at=datetime.fromisoformat(head["expires_at"]),
        )
    return Begun(
        fingerprint=text_of(item, "fingerprint"),
        seed=text_of(item, "seed"),
        expires_at=datetime.fromisoformat(text_of(item, "ends_at")),
        answer=answer,
    )
