"""What connections' own keys see: one reader of each list at a time, the last good one kept."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from headgate.codec import snapshot_version
from headgate.domain.audit import audit_event
from headgate.domain.catalog import ModelInfo, merge_models
from headgate.domain.connections import Connection
from headgate.domain.credentials import Credential
from headgate.domain.errors import GatewayFault, HeadgateError, ProviderFailed
from headgate.domain.generation import KeyOpening
from headgate.domain.ids import new_id
from headgate.ports import AuditLog, CatalogStore, Clock, ConnectionModels, ConnectionStore, Log
from headgate.providers.bound import BoundProvider, ModelListing
from headgate.services.bind import Binder, attention_of
from headgate.services.price_tables import PriceTables
from headgate.services.tell_decrypts import tell_decrypts

FRESH_FOR = timedelta(seconds=60)
"""How long a list that was read without an error is not read again, whoever asks."""

_LEASE_S = 120.0
_AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOutcome:
    """What became of one: `updated`, `fresh`, `busy` (elsewhere), `failed`, `gone` (deleted, never there)."""

    connection_id: str
    outcome: str
    model_count: int = 0
    error: str | None = None


class ConnectionRefresher:
    """Reads lists with connections' keys. Safe to run in any number of processes at once.

    leases: the catalogue's store, which keeps them for everyone.
    """

    def __init__(
        self,
        *,
        store: ConnectionStore,
        binder: Binder,
        prices: PriceTables,
        leases: CatalogStore,
        audit: AuditLog,
        clock: Clock,
        log: Log,
    ) -> None:
        self._store = store
        self._binder = binder
        self._prices = prices
        self._leases = leases
        self._audit = audit
        self._clock = clock
        self._log = log

    async def refresh(self, connections: Iterable[tuple[str, str]]) -> list[ConnectionOutcome]:
        """Reads the lists of these connections, given as (user id, connection id)."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(user_id: str, connection_id: str) -> ConnectionOutcome:
            async with gate:
                try:
                    return await self._refresh_one(user_id, connection_id)
                except GatewayFault as error:  # a store's: the other connections may still be read
                    return ConnectionOutcome(
                        connection_id=connection_id, outcome="failed", error=_told(error)
                    )

        outcomes = await asyncio.gather(*(one(*pair) for pair in dict.fromkeys(connections)))
        for each in outcomes:
            self._log.info(
                "connection.refreshed",
                connection_id=each.connection_id,
                outcome=each.outcome,
                model_count=each.model_count,
                error=each.error,
            )
        return list(outcomes)

    async def _refresh_one(self, user_id: str, connection_id: str) -> ConnectionOutcome:
        owner, lease = new_id("req"), f"connection#{user_id}#{connection_id}"
        if not await self._leases.acquire_lease(lease, owner, _LEASE_S):
            return ConnectionOutcome(connection_id=connection_id, outcome="busy")
        try:
            row = (await self._store.load(user_id)).find(connection_id)
            if row is None or not row.is_active:
                return ConnectionOutcome(connection_id=connection_id, outcome="gone")
            before = (await self._store.read_lists([row])).get(row.id)
            if before is not None and before.error is None and self._is_fresh(before):
                return ConnectionOutcome(
                    connection_id=row.id, outcome="fresh", model_count=len(before.models)
                )
            return await self._read(row, before)
        finally:
            await self._leases.release_lease(lease, owner)

    def _is_fresh(self, models: ConnectionModels) -> bool:
        return self._clock.now() - models.checked_at < FRESH_FOR

    async def _read(self, row: Connection, before: ConnectionModels | None) -> ConnectionOutcome:
        bound = await self._open(row)
        try:
            models = await self._ask(row, bound)
        except HeadgateError as error:
            return await self._failed(row, before, error)
        except Exception as error:  # noqa: BLE001 - a plugin's code: it must not take the others down
            self._log.error("provider.crashed", provider=row.type, error=type(error).__name__)
            fault = GatewayFault(f"The provider's own code failed: {type(error).__name__}.")
            return await self._failed(row, before, fault)
        await self._store.write_list(
            row,
            ConnectionModels(
                connection_id=row.id,
                version=snapshot_version(models),
                checked_at=self._clock.now(),
                models=models,
            ),
        )
        if row.needs_attention is not None:
            await self._store.note_attention(row.user_id, row.id, sealed=row.sealed, reason=None)
        return ConnectionOutcome(connection_id=row.id, outcome="updated", model_count=len(models))

    async def _ask(self, row: Connection, bound: BoundProvider | Exception) -> tuple[ModelInfo, ...]:
        """The key is checked by itself: many lists are shown to whoever asks, with any key or none."""
        if isinstance(bound, Exception):
            raise bound
        if bound.has_key_check:
            await bound.check_key()
        listing = await bound.list_models()
        book = await self._prices.book([row.type])
        return book.complete(_accept(listing))

    async def _failed(
        self, row: Connection, before: ConnectionModels | None, error: HeadgateError
    ) -> ConnectionOutcome:
        """The last good list stays, and says that it is older."""
        if before is None:
            before = ConnectionModels(
                connection_id=row.id, version=snapshot_version(()), checked_at=self._clock.now()
            )
        failed = replace(before, checked_at=self._clock.now(), error=_told(error))
        await self._store.write_list(row, failed)
        if (reason := attention_of(error)) is not None:
            await self._store.note_attention(row.user_id, row.id, sealed=row.sealed, reason=reason)
        return ConnectionOutcome(
            connection_id=row.id, outcome="failed", model_count=len(failed.models), error=failed.error
        )

    async def _open(self, row: Connection) -> BoundProvider | Exception:
        """The provider with the connection's key, or why it can't be had. Told before the key is used, so
        that no use goes untold; raises GatewayFault where it can't be told."""
        told = audit_event(
            at=self._clock.now(),
            actor="refresh",
            action="connection.list",
            target=row.id,
            user_id=row.user_id,
            details={"type": row.type, "host": row.host or "-"},
        )
        opened: list[KeyOpening] = []
        try:
            credential = Credential(paid_by="connection", connection=row)
            return await self._binder.bind(row.type, credential, opened.append)
        except Exception as error:  # noqa: BLE001 - raised again where it is judged, once this is told
            return error
        finally:
            await tell_decrypts(self._audit, self._log, told, opened)


def _accept(listing: ModelListing) -> tuple[ModelInfo, ...]:
    """Raises ProviderFailed where there is no list: an empty one would say that the server has no model."""
    if not listing.listed:
        raise ProviderFailed("This server has no list of its models.", code="provider_protocol")
    models = merge_models(listing.models)
    if not models and listing.dropped:
        reason = listing.dropped[0]
        raise ProviderFailed(f"No usable model in the list: {reason}", code="provider_protocol")
    return models


def _told(error: HeadgateError) -> str:
    return f"{error.code}: {error.detail}"
