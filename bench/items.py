"""Items as DynamoDB keeps them under load: what a transaction is writing to, no other may touch meanwhile.

moto carries out one request after the other, so nothing ever meets there. Here time is what the loop says it
is, and `ShortCutLoop` leaps over what nobody does anything in.
"""

import asyncio
import random
import re
import selectors
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headgate.aws.dynamodb import Item, Wire, from_wire, to_wire
from headgate.aws.faults import Cancellation, TransactionCancelled

_NAME = re.compile(r"#(\w+)")
_SECTION = re.compile(r"\b(SET|ADD|REMOVE)\b")
_COMPARISON = re.compile(r"#(\w+) (>=|<=|=) :(\w+)")
_PRESENCE = re.compile(r"attribute_(not_)?exists\(#(\w+)\)")


class ItemsInUse:
    """In place of `AwsClients`: transactions that write and read, and a partition's Query.

    transaction_s: how long one holds its items. query_s: how long a Query takes.
    """

    def __init__(self, *, transaction_s: float = 0.01, query_s: float = 0.005, seed: int = 1) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.transaction_s = transaction_s
        self.query_s = query_s
        self.chance = random.Random(seed)
        self.calls = 0
        self.met = 0
        self._busy: set[tuple[str, str]] = set()

    async def pause(self, tries: int) -> None:
        """As `AwsClients.pause` does, drawn from this one's own chance."""
        await asyncio.sleep(self.chance.random() * min(1.0, 0.05 * 2.0**tries))

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Raises TransactionCancelled."""
        assert service == "dynamodb"
        self.calls += 1
        answer: dict[str, Any] = await getattr(self, f"_{operation}")(**params)
        return answer

    async def _query(self, **params: Any) -> dict[str, Any]:
        (pk,) = (value["S"] for value in params["ExpressionAttributeValues"].values())
        await asyncio.sleep(self.query_s)
        return {"Items": [to_wire(item) for key, item in sorted(self.items.items()) if key[0] == pk]}

    async def _transact_get_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        keys = [_key(one["Get"]["Key"]) for one in TransactItems]
        with self._holding(keys):
            there = [self.items.get(key) for key in keys]
        await asyncio.sleep(self.transaction_s)  # readers are in nobody's way
        return {"Responses": [{} if item is None else {"Item": to_wire(item)} for item in there]}

    async def _transact_write_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        actions = [next(iter(one.items())) for one in TransactItems]
        keys = [_key(action.get("Key") or action["Item"]) for _, action in actions]
        with self._holding(keys):
            await asyncio.sleep(self.transaction_s)
            there = [self.items.get(key, {}) for key in keys]
            held = [_holds(action, item) for (_, action), item in zip(actions, there, strict=True)]
            if not all(held):
                raise TransactionCancelled(
                    tuple(
                        Cancellation("None") if one else Cancellation("ConditionalCheckFailed", to_wire(item))
                        for one, item in zip(held, there, strict=True)
                    )
                )
            for key, (kind, action), item in zip(keys, actions, there, strict=True):
                self.items[key] = from_wire(action["Item"]) if kind == "Put" else _updated(action, key, item)
        return {}

    @contextmanager
    def _holding(self, keys: list[tuple[str, str]]) -> Iterator[None]:
        if not self._busy.isdisjoint(keys):
            self.met += 1
            codes = ["TransactionConflict" if key in self._busy else "None" for key in keys]
            raise TransactionCancelled(tuple(map(Cancellation, codes)))
        self._busy.update(keys)
        try:
            yield
        finally:
            self._busy.difference_update(keys)


def _key(wire: Wire) -> tuple[str, str]:
    return wire["pk"]["S"], wire["sk"]["S"]


def _holds(action: Mapping[str, Any], item: Item) -> bool:
    """Of `A OR B` and `A AND B`, which is all that is asked here."""
    text = action.get("ConditionExpression", "")
    values = _values(action)
    each = [_is_so(part, values, item) for part in re.split(r" AND | OR ", text) if part]
    return any(each) if " OR " in text else all(each)


def _values(action: Mapping[str, Any]) -> Item:
    named = action.get("ExpressionAttributeValues", {})
    return from_wire({name.removeprefix(":"): value for name, value in named.items()})


def _is_so(text: str, values: Item, item: Item) -> bool:
    if (presence := _PRESENCE.fullmatch(text)) is not None:
        return (presence[2] in item) is (presence[1] is None)
    comparison = _COMPARISON.fullmatch(text)
    assert comparison is not None, text
    name, sign, value = comparison.groups()
    if name not in item:
        return False
    there, other = float(item[name]), float(values[value])
    return {">=": there >= other, "<=": there <= other, "=": there == other}[sign]


def _updated(action: Mapping[str, Any], key: tuple[str, str], item: Item) -> Item:
    values = _values(action)
    changed = {**item, "pk": key[0], "sk": key[1]}
    _, *sections = _SECTION.split(action["UpdateExpression"])
    for kind, text in zip(sections[::2], sections[1::2], strict=True):
        for clause in text.split(","):
            name = _NAME.findall(clause)[0]
            if kind == "REMOVE":
                changed.pop(name, None)
                continue
            value = values[clause.rpartition(":")[2].strip()]
            changed[name] = int(changed.get(name, 0)) + int(value) if kind == "ADD" else value
    return changed


class _Leaping(selectors.DefaultSelector):
    """Waits for nothing but time, and that takes none."""

    leapt_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.leapt_s += timeout or 0.0
        return super().select(0)


class ShortCutLoop(asyncio.SelectorEventLoop):
    """Its time goes by only while all are asleep, and then at once."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.leapt_s
