"""moto's transactions, without a copy of whole tables for each of their actions.

One that fails puts back the copies that moto made of its tables at its start, one for each action: with five
of them 46 ms at 100 items, 390 ms at 400; as it is here, 5 ms at any number (5.2.5, measured). What it can
change of a table are the items that it names, and the stream: a copy of those is enough to put it back.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

_in_place = DynamoDBBackend.transact_write_items


class _Touched:
    """The partition keys that the running transaction names, by table; None while there is none.

    One transaction runs at a time: see `OneAtATime`.
    """

    keys: Mapping[str, Sequence[DynamoType]] | None = None


def copy_what_is_touched() -> None:
    """Has moto's transactions copy no more than they may change."""
    Table.__deepcopy__ = _copied  # type: ignore[attr-defined]
    DynamoDBBackend.transact_write_items = _transact  # type: ignore[assignment]


def _transact(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    keys: dict[str, list[DynamoType]] = {}
    for action in transact_items:
        told = next(iter(action.values()))
        table = backend.tables.get(told.get("TableName", ""))
        key = told.get("Key") or told.get("Item") or {}
        if table is not None and table.hash_key_attr in key:
            keys.setdefault(table.name, []).append(DynamoType(key[table.hash_key_attr]))
    _Touched.keys = keys
    try:
        _in_place(backend, transact_items)
    finally:
        _Touched.keys = None


def _copied(table: Table, memo: dict[int, Any]) -> Any:
    """A table that can take this one's place when the running transaction fails; else a copy of all of it."""
    kind: Any = Table
    made = object.__new__(kind)
    memo[id(table)] = made
    if _Touched.keys is None:
        made.__dict__.update(copy.deepcopy(table.__dict__, memo))
        return made
    made.__dict__.update(table.__dict__)
    made.items = table.items.copy()
    for key in _Touched.keys.get(table.name, ()):
        if key in table.items:
            made.items[key] = copy.deepcopy(table.items[key], memo)
    if table.stream_shard is not None:
        made.stream_shard = shard = copy.copy(table.stream_shard)
        shard.table, shard.items = made, list(table.stream_shard.items)
    return made
