"""Making and changing users' own connections. Keys go in, are sealed, and never come out here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Caller
from headgate.domain.connections import MASK, Connection, UserConnections, access_tag, key_context
from headgate.domain.errors import Conflict, HeadgateError, InvalidRequest, NotFound
from headgate.domain.secret import Secret
from headgate.paging import page_among, position_of
from headgate.ports import ConnectionStore, KeyVault, Log, RefreshStarter
from headgate.providers.base import ProviderConfig
from headgate.providers.registry import ProviderRegistry, canonical_slug
from headgate.services.acts import Act
from headgate.services.connection_rules import AddressRules, check_access

MOST_PER_USER = 1_000
"""Deleted ones included: all of a user's are read together."""
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFields:
    """What a user says of a new connection; `type` by any name that the provider has."""

    name: str
    type: str
    api_key: Secret | None = None
    base_url: str | None = None
    default_model: str | None = None
    timeout_s: float | None = None
    max_retries: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A connection, and whether it is its user's default."""

    connection: Connection
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFilter:
    """show_inactive: also those that were deleted. search: part of the name, in any case."""

    show_inactive: bool = False
    type: str | None = None
    search: str | None = None

    def takes(self, row: Connection) -> bool:
        return (
            (self.show_inactive or row.is_active)
            and self.type in (None, row.type)
            and (self.search is None or self.search.casefold() in row.name.casefold())
        )


class ConnectionManager:
    """Connections of callers, each seeing its own user's only: of others' there is nothing to be found.

    starter: starts a look at what a new or changed key sees; None where there is nothing to start.
    """

    def __init__(
        self,
        *,
        store: ConnectionStore,
        vault: KeyVault,
        registry: ProviderRegistry,
        addresses: AddressRules,
        starter: RefreshStarter | None,
        log: Log,
    ) -> None:
        self._store = store
        self._vault = vault
        self._registry = registry
        self._addresses = addresses
        self._starter = starter
        self._log = log

    # -- reading --------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, connection_id: str) -> Shown:
        """One of the caller's, a deleted one too. Raises NotFound."""
        return _shown(await self._store.load(caller.user_id), connection_id)

    async def list(
        self, caller: Caller, wanted: ConnectionFilter, *, limit: int, cursor: str | None
    ) -> tuple[list[Shown], str | None]:
        """Newest first. The second value is the next cursor."""
        found = await self._store.load(caller.user_id)
        rows = [row for row in found.rows if wanted.takes(row)]
        page, next_cursor = page_among(
            f"connections of {caller.user_id}",
            [(position_of(row.created_at, row.id), row) for row in rows],
            limit=limit,
            cursor=cursor,
        )
        return [Shown(connection=row, is_default=row.id == found.default_id) for row in page], next_cursor

    # -- changing -------------------------------------------------------------------------------------------

    async def create(self, caller: Caller, asked: ConnectionFields, act: Act) -> Shown:
        """Seals the key and stores the connection. The same act again gives what the first time made.

        Raises InvalidRequest naming the field.
        """
        connection_id = act.new_id("con")
        found = await self._store.load(caller.user_id)
        row = found.find(connection_id)
        if row is None:
            if len(found.rows) >= MOST_PER_USER:
                raise Conflict(f"A user may have {MOST_PER_USER} connections, deleted ones included.")
            row = await self._new_row(caller, asked, connection_id=connection_id, now=act.at)
            try:
                await self._store.create(row, _event(act, row, "create"))
            except Conflict:
                row = _find(await self._store.load(caller.user_id), connection_id)  # the same request, twice
        if asked.is_default:
            await self._store.set_default(caller.user_id, row.id, _event(act, row, "default"))
        self._log.info("connection.created", connection_id=row.id, type=row.type, user_id=row.user_id)
        await self._look_at(row)
        return await self.get(caller, row.id)

    async def change(self, caller: Caller, connection_id: str, changes: Mapping[str, Any], act: Act) -> Shown:
        """Changes the fields that are named; None clears one. `is_active` deletes and restores.

        Raises InvalidRequest naming the field: `api_key` where another type or address wants it anew.
        """
        wants_default = changes.get("is_default")
        rest = {name: value for name, value in changes.items() if name != "is_default"}
        if isinstance(key := rest.get("api_key"), Secret) and key.reveal() == MASK:
            del rest["api_key"]  # shown to the caller in a key's place, and sent back with the rest
        if wants_default is not None:
            stays = changes.get("is_active")
            self._check_default(await self.get(caller, connection_id), wants=wants_default, stays=stays)
        if rest:
            await self._rewrite(caller, connection_id, rest, act)
        if wants_default:
            return await self.make_default(caller, connection_id, act)
        return await self.get(caller, connection_id)

    async def make_default(self, caller: Caller, connection_id: str, act: Act) -> Shown:
        """Raises NotFound; Conflict for a deleted one."""
        row = (await self.get(caller, connection_id)).connection
        await self._store.set_default(caller.user_id, connection_id, _event(act, row, "default"))
        return await self.get(caller, connection_id)

    async def delete(self, caller: Caller, connection_id: str, act: Act) -> None:
        """It stays readable, and is used for nothing from now on. Deleting twice is fine."""
        await self._rewrite(caller, connection_id, {"is_active": False}, act)

    async def restore(self, caller: Caller, connection_id: str, act: Act) -> Shown:
        """Makes a deleted one usable again. Restoring twice is fine."""
        await self._rewrite(caller, connection_id, {"is_active": True}, act)
        return await self.get(caller, connection_id)

    # -- inside ---------------------------------------------------------------------------------------------

    async def _new_row(
        self, caller: Caller, asked: ConnectionFields, *, connection_id: str, now: datetime
    ) -> Connection:
        if asked.api_key is not None and asked.api_key.reveal() == MASK:
            raise InvalidRequest.of_field("api_key", "These stars stand for a key, and are none.")
        slug = self._check(asked.type, asked.api_key, asked.base_url)
        row = Connection(
            id=connection_id,
            user_id=caller.user_id,
            name=asked.name,
            type=slug,
            created_at=now,
            updated_at=now,
            base_url=asked.base_url,
            default_model=asked.default_model,
            timeout_s=asked.timeout_s,
            max_retries=asked.max_retries,
            metadata=asked.metadata,
        )
        return await self._with_key(row, asked.api_key)

    async def _rewrite(
        self, caller: Caller, connection_id: str, changes: Mapping[str, Any], act: Act
    ) -> None:
        """Changes what is stored now; when someone else was quicker, what is stored then."""
        for tries in range(_TRIES):
            row = _find(await self._store.load(caller.user_id), connection_id)
            after = await self._changed(row, changes, now=act.at, by=caller.user_id)
            if after == row:
                return
            after = replace(after, revision=row.revision + 1, updated_at=act.at)
            try:
                await self._store.replace(
                    after, _event(act, after, _what(row, after), changed=_changed_names(row, after))
                )
            except Conflict:
                if tries == _TRIES - 1:
                    raise
                continue
            self._log.info("connection.changed", connection_id=row.id, user_id=row.user_id)
            if after.is_active and (not row.is_active or access_tag(row) != access_tag(after)):
                await self._look_at(after)
            return

    async def _changed(
        self, row: Connection, changes: Mapping[str, Any], *, now: datetime, by: str
    ) -> Connection:
        """The row as it is to be, but for its revision. A key is sealed for where it is to be used."""
        given = {name: value for name, value in changes.items() if name not in ("api_key", "is_active")}
        if "metadata" in given:
            given["metadata"] = given["metadata"] or {}
        if "type" in given:
            given["type"] = canonical_slug(given["type"])
        after: Connection = replace(row, **given)
        moved = (after.type, after.base_url) != (row.type, row.base_url)
        if moved and row.sealed is not None and "api_key" not in changes:
            raise InvalidRequest.of_field("api_key", "is needed again for another type or base_url.")
        if "api_key" in changes:
            self._check(after.type, changes["api_key"], after.base_url)
            after = await self._with_key(after, changes["api_key"])
        elif moved:
            self._check(after.type, None, after.base_url)
        if (active := changes.get("is_active")) is not None and active != row.is_active:
            at, who = (None, None) if active else (now, by)
            after = replace(after, is_active=active, deactivated_at=at, deactivated_by=who)
        return after

    @staticmethod
    def _check_default(now: Shown, *, wants: bool, stays: bool | None) -> None:
        """Before anything is changed, so that a change is made as a whole or not.

        stays: what `is_active` is to be, None where it stays as it is. Raises Conflict and InvalidRequest.
        """
        if wants and not (now.connection.is_active if stays is None else stays):
            raise Conflict("A deleted connection can't be the default. Restore it first.")
        if not wants and now.is_default and stays is not False:
            raise InvalidRequest.of_field("is_default", "make another connection the default instead.")

    def _check(self, name: str, key: Secret | None, base_url: str | None) -> str:
        """The provider's slug. Raises InvalidRequest naming `type`, `api_key` or `base_url`."""
        if not self._registry.has(name):
            known = ", ".join(self._registry.known_slugs())
            raise InvalidRequest.of_field("type", f"must be one of {known}.")
        provider = self._registry.load(name)
        if base_url is not None:
            self._addresses.check_url(base_url)
        guarded = base_url is not None
        check_access(provider, ProviderConfig(api_key=key, base_url=base_url, guarded=guarded))
        return provider.spec.slug

    async def _with_key(self, row: Connection, key: Secret | None) -> Connection:
        if key is None:
            return replace(row, sealed=None, key_hint=None)
        sealed = await self._vault.seal(key, key_context(row))
        return replace(row, sealed=sealed, key_hint=key.hint)

    async def _look_at(self, row: Connection) -> None:
        """The connection is stored, which counts: a look that can't be started now happens later."""
        if self._starter is None:
            return
        try:
            await self._starter.start_connections([(row.user_id, row.id)])
        except HeadgateError as error:
            self._log.warning("connection.not_looked_at", connection_id=row.id, code=error.code)


def _event(act: Act, row: Connection, what: str, **more: str) -> AuditEvent:
    details = {"type": row.type, "host": row.host or "-", "revision": str(row.revision), **more}
    return act.event(f"connection.{what}", row.id, **details)


def _find(found: UserConnections, connection_id: str) -> Connection:
    row = found.find(connection_id)
    if row is None:
        raise NotFound(f"There is no connection {connection_id[:80]}.")
    return row


def _shown(found: UserConnections, connection_id: str) -> Shown:
    row = _find(found, connection_id)
    return Shown(connection=row, is_default=row.id == found.default_id)


def _what(before: Connection, after: Connection) -> str:
    if before.is_active != after.is_active:
        return "restore" if after.is_active else "delete"
    return "change" if access_tag(before) == access_tag(after) else "rekey"


def _changed_names(before: Connection, after: Connection) -> str:
    """Fields, as callers know them: one change may do several things, and its action tells one."""
    names = ("name", "type", "base_url", "default_model", "is_active", "timeout_s", "max_retries", "metadata")
    changed = [name for name in names if getattr(before, name) != getattr(after, name)]
    return " ".join([*changed, *(["api_key"] if before.sealed != after.sealed else [])])
