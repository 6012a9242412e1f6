"""API keys in DynamoDB: by hash, by id, and listed."""

import asyncio
from typing import Any

from headgate.aws.account_table import TRIES, AccountTable
from headgate.aws.audit import was_made
from headgate.aws.codec import body_of, from_body
from headgate.aws.dynamodb import Item, When
from headgate.aws.faults import TransactionCancelled, reading
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import ApiKey
from headgate.domain.errors import Conflict, GatewayFault
from headgate.paging import decode_cursor, encode_cursor, position_of

LIST_INDEX = "by_list"
_KEY = "KEY"


class DynamoKeys(AccountTable):
    """A key stands under its hash, under the hash it replaced, and under its id."""

    async def get_key(self, key_hash: str) -> ApiKey | None:
        return _key_of(await self._table.get(_hash_pk(key_hash), _KEY))

    async def get_key_by_id(self, key_id: str) -> ApiKey | None:
        return _key_of(await self._table.get(_id_pk(key_id), _KEY))

    async def put_key(
        self, key: ApiKey, audit: AuditEvent | None = None, *, was: ApiKey | None = None
    ) -> None:
        """All items in one transaction, on the condition that they are as they were read."""
        event = [] if audit is None else [await self._trail.putting(audit)]
        for tries in range(TRIES):
            actions = await self._replacing(key, was)
            try:
                return await self._table.transact(*actions, *event)
            except TransactionCancelled as cancelled:
                if event and was_made(cancelled):
                    return
                changed = any(cancelled.failed_condition(place) is not None for place in range(len(actions)))
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

    async def _replacing(self, key: ApiKey, was: ApiKey | None) -> list[dict[str, Any]]:
        """The actions that make the items those of `key`. Raises Conflict when there is not what was."""
        by_hash, by_id = await asyncio.gather(
            self._table.get(_hash_pk(key.hash), _KEY), self._table.get(_id_pk(key.id), _KEY)
        )
        if was is not None and _key_of(by_id) != was:
            raise Conflict("This key was changed at the same time. Read it again.")
        place = position_of(key.created_at, key.id)
        body = body_of(key)
        found = {"sk": _KEY, "key_id": key.id}
        by_user = {"list_pk": _list_pk(key.user_id), "list_sk": place}
        actions = [
            self._table.putting(
                {**found, **by_user, "pk": _hash_pk(key.hash), "body": body},
                when=_still("key_id", None if by_hash is None else str(by_hash["key_id"])),
            ),
            self._table.putting(
                {
                    **{"pk": _id_pk(key.id), "sk": _KEY, "body": body, "key_hash": key.hash},
                    **{"previous_hash": key.previous_hash, "list_pk": _list_pk(None), "list_sk": place},
                },
                when=_still("body", None if by_id is None else str(by_id["body"])),
            ),
        ]
        if (previous := key.previous) is not None:
            actions.append(
                self._table.putting(
                    {**found, "pk": _hash_pk(previous.hash), "body": body_of(previous)},
                    when=When("attribute_not_exists(#pk) OR #key_id = :key_id", {"key_id": key.id}),
                )
            )
        return actions + self._leaving(key, by_hash, by_id)

    def _leaving(self, key: ApiKey, by_hash: Item | None, by_id: Item | None) -> list[dict[str, Any]]:
        """What goes: hashes that the id no longer has, and the id that had this hash."""
        hashes = {str(by_id[name]) for name in ("key_hash", "previous_hash") if by_id and name in by_id}
        actions = [
            self._table.deleting(_hash_pk(one), _KEY)
            for one in sorted(hashes - {key.hash, key.previous_hash})
        ]
        if by_hash is not None and by_hash["key_id"] != key.id:
            actions.append(self._table.deleting(_id_pk(str(by_hash["key_id"])), _KEY))
        return actions


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
