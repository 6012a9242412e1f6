"""API keys in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

import asyncio

from headgate.aws.clients import AwsClients
from headgate.aws.codec import body_of, from_body
from headgate.aws.dynamodb import Item, Table, When
from headgate.aws.faults import TransactionCancelled, reading
from headgate.domain.callers import ApiKey
from headgate.domain.errors import GatewayFault
from headgate.paging import decode_cursor, encode_cursor, position_of

LIST_INDEX = "by_list"
_KEY = "KEY"
_TRIES = 6


class DynamoAccountStore:
    """`table` is the accounts table's name."""

    def __init__(self, clients: AwsClients, table: str) -> None:
        self._clients = clients
        self._table = Table(clients, table)

    async def get_key(self, key_hash: str) -> ApiKey | None:
        return _key_of(await self._table.get(_hash_pk(key_hash), _KEY))

    async def get_key_by_id(self, key_id: str) -> ApiKey | None:
        return _key_of(await self._table.get(_id_pk(key_id), _KEY))

    async def put_key(self, key: ApiKey) -> None:
        """Both items in one transaction, on the condition that they are as they were read."""
        for tries in range(_TRIES):
            try:
                return await self._put_key(key)
            except TransactionCancelled as cancelled:
                changed = any(cancelled.failed_condition(action) is not None for action in (0, 1))
                if not changed and not cancelled.is_passing:
                    raise GatewayFault("The store refused to keep a key") from cancelled
                await self._clients.pause(tries)
        raise GatewayFault.unavailable("The store")

    async def list_keys(
        self, *, user_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[ApiKey], str | None]:
        scope = "keys" if user_id is None else f"keys of {user_id}"
        text, values = "#list_pk = :list_pk", {"list_pk": _list_pk(user_id)}
        if cursor is not None:
            text += " AND #list_sk < :before"
            values["before"] = decode_cursor(scope, cursor)
        found: list[Item] = []
        query = self._table.query(
            When(text, values), IndexName=LIST_INDEX, ScanIndexForward=False, Limit=limit + 1
        )
        async for item in query:
            found.append(item)
            if len(found) > limit:
                break
        with reading("The list of keys"):
            page = [from_body(ApiKey, item) for item in found[:limit]]
        more = len(found) > limit
        return page, encode_cursor(scope, str(found[limit - 1]["list_sk"])) if more else None

    async def _put_key(self, key: ApiKey) -> None:
        by_hash, by_id = await asyncio.gather(
            self._table.get(_hash_pk(key.hash), _KEY), self._table.get(_id_pk(key.id), _KEY)
        )
        old_id = None if by_hash is None else str(by_hash["key_id"])
        old_hash = None if by_id is None else str(by_id["key_hash"])
        shared = {"sk": _KEY, "body": body_of(key), "list_sk": position_of(key.created_at, key.id)}
        actions = [
            self._table.putting(
                {**shared, "pk": _hash_pk(key.hash), "key_id": key.id, "list_pk": _list_pk(key.user_id)},
                when=_still("key_id", old_id),
            ),
            self._table.putting(
                {**shared, "pk": _id_pk(key.id), "key_hash": key.hash, "list_pk": _list_pk(None)},
                when=_still("key_hash", old_hash),
            ),
        ]
        if old_hash is not None and old_hash != key.hash:
            actions.append(self._table.deleting(_hash_pk(old_hash), _KEY))
        if old_id is not None and old_id != key.id:
            actions.append(self._table.deleting(_id_pk(old_id), _KEY))
        await self._table.transact(*actions)


def _still(name: str, value: str | None) -> When:
    if value is None:
        return When("attribute_not_exists(#pk)")
    return When(f"#{name} = :{name}", {name: value})


def _hash_pk(key_hash: str) -> str:
    return f"KEY#{key_hash}"


def _id_pk(key_id: str) -> str:
    return f"KEYID#{key_id}"


def _list_pk(user_id: str | None) -> str:
    return "KEYS" if user_id is None else f"USER#{user_id}"


def _key_of(item: Item | None) -> ApiKey | None:
    if item is None:
        return None
    with reading("A key"):
        return from_body(ApiKey, item)
