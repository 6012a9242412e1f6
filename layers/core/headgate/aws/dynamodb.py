"""One DynamoDB table with the keys `pk` and `sk`, and flat items of strings, numbers and bytes.

Attribute names in expressions are written `#name` everywhere: many are reserved words, and what the names
stand for follows from the text.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from headgate.aws.clients import AwsClients
from headgate.aws.faults import ConditionFailed
from headgate.domain.errors import GatewayFault

Value = str | int | float | bytes
Item = dict[str, Value]
Key = tuple[str, str]
"""`pk` and `sk`."""

Wire = dict[str, dict[str, Any]]
"""An item as the API writes it: `{"pk": {"S": "HEAD"}}`."""

_NAME = re.compile(r"#(\w+)")
_BATCH_TRIES = 6
_BATCH_WRITE_ITEMS = 25
_BATCH_WRITE_BYTES = 4_000_000
_BATCH_GET_KEYS = 100
_PARTITION_KEY_BYTES = 2048
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html (2026-11-20)"""


@dataclass(frozen=True, slots=True)
class When:
    """A condition: `#version = :replaces` with `{"replaces": …}`."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)


def to_wire(item: Mapping[str, Value | None]) -> Wire:
    """Leaves out what is None."""
    return {name: _to_wire(value) for name, value in item.items() if value is not None}


def from_wire(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: _from_wire(value) for name, value in item.items()}


class Table:
    """Reads and writes. Raises GatewayFault; conditional writes raise ConditionFailed, too."""

    def __init__(self, clients: AwsClients, name: str) -> None:
        self._clients = clients
        self._name = name

    async def get(self, pk: str, sk: str, *, consistent: bool = True) -> Item | None:
        """The item. None, unasked, for a key longer than any: DynamoDB would call that a mistake of ours."""
        if not is_key(pk):
            return None
        answer = await self._call("get_item", Key=_key(pk, sk), ConsistentRead=consistent)
        return from_wire(answer["Item"]) if "Item" in answer else None

    async def put(
        self, item: Mapping[str, Value | None], *, when: When | None = None, old: bool = False
    ) -> Item:
        """What was there before, where `old` asks for it; else nothing."""
        answer = await self._call(
            "put_item",
            Item=to_wire(item),
            ReturnValues="ALL_OLD" if old else "NONE",
            **_conditional(when),
        )
        return from_wire(answer.get("Attributes", {}))

    async def update(
        self, key: Key, change: str, values: Mapping[str, Value], *, when: When | None = None
    ) -> None:
        """`change` is an update expression: `SET #body = :body ADD #n :one`."""
        await self._call("update_item", Key=_key(*key), **_updating(change, values, when))

    async def delete(self, pk: str, sk: str, *, when: When | None = None) -> Item:
        """What was there."""
        answer = await self._call(
            "delete_item", Key=_key(pk, sk), ReturnValues="ALL_OLD", **_conditional(when)
        )
        return from_wire(answer.get("Attributes", {}))

    async def query_page(
        self, keys: When, *, only: When | None = None, start: Wire | None = None, **options: Any
    ) -> tuple[list[Item], Wire | None]:
        """Items of one page, and where the next one starts. `only` filters after reading.

        options: Query's own, such as IndexName, ScanIndexForward, ConsistentRead, Limit (items looked at).
        """
        texts = {"KeyConditionExpression": keys.text}
        values = dict(keys.values)
        if only is not None and only.text:
            texts["FilterExpression"] = only.text
            values.update(only.values)
        if start is not None:
            options["ExclusiveStartKey"] = start
        answer = await self._call("query", **_expressions(texts, values), **options)
        return [from_wire(item) for item in answer["Items"]], answer.get("LastEvaluatedKey")

    async def query(self, keys: When, **options: Any) -> AsyncIterator[Item]:
        """Every item, page after page."""
        start: Wire | None = None
        while True:
            items, start = await self.query_page(keys, start=start, **options)
            for item in items:
                yield item
            if start is None:
                return

    async def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those of the items that are there, read strongly."""
        found: dict[Key, Item] = {}
        for first in range(0, len(keys), _BATCH_GET_KEYS):
            left = [_key(*key) for key in keys[first : first + _BATCH_GET_KEYS]]
            for tries in range(_BATCH_TRIES):
                answer = await self._clients.call(
                    "dynamodb",
                    "batch_get_item",
                    RequestItems={self._name: {"Keys": left, "ConsistentRead": True}},
                )
                for wire in answer.get("Responses", {}).get(self._name, ()):
                    item = from_wire(wire)
                    found[str(item["pk"]), str(item["sk"])] = item
                left = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
                if not left:
                    break
                await self._clients.pause(tries)
            else:
                raise GatewayFault.unavailable("The store")
        return found

    async def get_together(self, keys: Sequence[Key]) -> list[Item]:
        """Those of up to 100 items that are there, all as they were in one instant.

        Raises TransactionCancelled when others were writing to them.
        """
        gets = [{"Get": {"TableName": self._name, "Key": _key(*key)}} for key in keys]
        answer = await self._clients.call("dynamodb", "transact_get_items", TransactItems=gets)
        return [from_wire(one["Item"]) for one in answer["Responses"] if one.get("Item")]

    async def put_many(self, items: Iterable[Mapping[str, Value | None]]) -> None:
        """Not together: after a fault some may be written and others not."""
        for batch in _batches([to_wire(item) for item in items]):
            left = [{"PutRequest": {"Item": wire}} for wire in batch]
            for tries in range(_BATCH_TRIES):
                answer = await self._clients.call(
                    "dynamodb", "batch_write_item", RequestItems={self._name: left}
                )
                left = answer.get("UnprocessedItems", {}).get(self._name, [])
                if not left:
                    break
                await self._clients.pause(tries)
            else:
                raise GatewayFault.unavailable("The store")

    async def transact(self, *actions: dict[str, Any]) -> None:
        """All or nothing. Raises TransactionCancelled."""
        await self._clients.call("dynamodb", "transact_write_items", TransactItems=list(actions))

    def putting(self, item: Mapping[str, Value | None], *, when: When | None = None) -> dict[str, Any]:
        """An action of a transaction."""
        return {"Put": {"TableName": self._name, "Item": to_wire(item), **_conditional(when)}}

    def updating(
        self, key: Key, change: str, values: Mapping[str, Value], *, when: When | None = None
    ) -> dict[str, Any]:
        """An action of a transaction."""
        return {
            "Update": {"TableName": self._name, "Key": _key(*key), **_updating(change, values, when)},
        }

    def deleting(self, pk: str, sk: str, *, when: When | None = None) -> dict[str, Any]:
        """An action of a transaction."""
        return {"Delete": {"TableName": self._name, "Key": _key(pk, sk), **_conditional(when)}}

    async def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self._clients.call("dynamodb", operation, TableName=self._name, **params)


async def happened(write: Awaitable[object]) -> bool:
    """Whether a conditional write took place."""
    try:
        await write
    except ConditionFailed:
        return False
    return True


def is_key(pk: str) -> bool:
    """Whether a partition key could be there at all: DynamoDB calls a longer one a mistake of ours."""
    return len(pk.encode()) <= _PARTITION_KEY_BYTES


def _key(pk: str, sk: str) -> Wire:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _to_wire(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    return {"B": value} if isinstance(value, bytes) else {"N": repr(value)}


def _from_wire(value: Mapping[str, Any]) -> Value:
    ((kind, content),) = value.items()
    if kind in ("S", "B"):
        return content  # type: ignore[no-any-return]
    if kind == "N":
        return int(content) if content.lstrip("-").isdigit() else float(content)
    raise ValueError(f"an attribute of kind {kind}")


def _conditional(when: When | None) -> dict[str, Any]:
    if when is None:
        return {}
    return {
        **_expressions({"ConditionExpression": when.text}, when.values),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _updating(change: str, values: Mapping[str, Value], when: When | None) -> dict[str, Any]:
    texts = {"UpdateExpression": change}
    params: dict[str, Any] = {}
    if when is not None:
        texts["ConditionExpression"] = when.text
        params["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return params | _expressions(texts, {**values, **(when.values if when else {})})


def _expressions(texts: Mapping[str, str], values: Mapping[str, Value]) -> dict[str, Any]:
    params: dict[str, Any] = dict(texts)
    names = _names(" ".join(texts.values()))
    if names:
        params["ExpressionAttributeNames"] = dict(names)
    if values:
        params["ExpressionAttributeValues"] = {f":{name}": _to_wire(value) for name, value in values.items()}
    return params


@lru_cache(maxsize=256)
def _names(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"#{name}", name) for name in sorted(set(_NAME.findall(text))))


def _batches(wires: Sequence[Wire]) -> Iterator[list[Wire]]:
    """Cut so that one call stays within DynamoDB's count and its own time to send."""
    batch: list[Wire] = []
    size = 0
    for wire in wires:
        weight = sum(len(next(iter(value.values()))) for value in wire.values())
        if batch and (len(batch) == _BATCH_WRITE_ITEMS or size + weight > _BATCH_WRITE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(wire)
        size += weight
    if batch:
        yield batch
