"""Reading every provider's list anew: one refresh of a provider at a time, the last good list kept."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from headgate.codec import snapshot_version
from headgate.domain.audit import audit_event
from headgate.domain.catalog import (
    Change,
    ChangeEvent,
    ModelInfo,
    Snapshot,
    SnapshotHead,
    diff_models,
    merge_models,
)
from headgate.domain.errors import GatewayFault, HeadgateError, ProviderFailed
from headgate.domain.ids import new_id
from headgate.ports import AuditLog, CatalogStore, Clock, Log
from headgate.providers.bound import BoundProvider, ModelListing
from headgate.providers.registry import ProviderRegistry
from headgate.services.join_prices import PriceBook
from headgate.services.platform_keys import PlatformKeys
from headgate.services.price_tables import PriceTables
from headgate.services.tell_looks import tell_looks
from headgate.settings import Settings

_LEASE_S = 120.0
_AT_ONCE = 10
_LOOKED = frozenset({"updated", "unchanged", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOutcome:
    """What became of one: `updated`, `unchanged`, `fresh`, `busy` (elsewhere), `failed`, `removed`."""

    provider: str
    outcome: str
    model_count: int = 0
    dropped: int = 0
    error: str | None = None


class CatalogRefresher:
    """Refreshes snapshots. Safe to run in any number of processes at once."""

    def __init__(
        self,
        *,
        store: CatalogStore,
        registry: ProviderRegistry,
        platform: PlatformKeys,
        prices: PriceTables,
        audit: AuditLog,
        clock: Clock,
        log: Log,
        settings: Settings,
    ) -> None:
        self._store = store
        self._registry = registry
        self._platform = platform
        self._prices = prices
        self._audit = audit
        self._clock = clock
        self._log = log
        self._settings = settings

    async def refresh(self, providers: Iterable[str] | None, *, force: bool) -> list[RefreshOutcome]:
        """Refreshes these providers, or all; those still fresh are left alone unless forced."""
        configured = await self._platform.configured()
        heads = await self._store.read_heads()
        wanted = configured if providers is None else [slug for slug in providers if slug in configured]
        gate = asyncio.Semaphore(_AT_ONCE)
        due = [slug for slug in wanted if force or not self._is_fresh(heads.get(slug))]
        book = await self._prices.book(due)

        async def one(slug: str) -> RefreshOutcome:
            async with gate:
                try:
                    return await self._refresh_one(slug, heads.get(slug), book, force=force)
                except GatewayFault as error:  # the store's: the other providers may still be written
                    return RefreshOutcome(provider=slug, outcome="failed", error=_told(error))

        outcomes = list(await asyncio.gather(*(one(slug) for slug in wanted)))
        await self._tell(outcomes)
        for slug in heads.keys() - set(configured):
            await self._store.delete_provider(slug)
            outcomes.append(RefreshOutcome(provider=slug, outcome="removed"))
        for outcome in outcomes:
            self._log.info(
                "catalog.refreshed",
                provider=outcome.provider,
                outcome=outcome.outcome,
                model_count=outcome.model_count,
                dropped=outcome.dropped,
                error=outcome.error,
            )
        return outcomes

    async def _tell(self, outcomes: Iterable[RefreshOutcome]) -> None:
        """At once: whatever fails after it, the keys were used."""
        looked = {each.provider: each.outcome for each in outcomes if each.outcome in _LOOKED}
        if looked:
            run = audit_event(
                at=self._clock.now(),
                actor="refresh",
                action="catalog.refresh",
                target="catalog",
                details=looked,
            )
            await tell_looks(self._audit, self._log, run)

    def _is_fresh(self, head: SnapshotHead | None) -> bool:
        return head is not None and head.is_fresh(self._clock.now())

    async def _refresh_one(
        self, slug: str, head: SnapshotHead | None, book: PriceBook, *, force: bool
    ) -> RefreshOutcome:
        if head is not None and not force and self._is_fresh(head):
            return RefreshOutcome(provider=slug, outcome="fresh", model_count=head.model_count)
        owner = new_id("req")
        lease = f"refresh#{slug}"
        if not await self._store.acquire_lease(lease, owner, _LEASE_S):
            return RefreshOutcome(provider=slug, outcome="busy")
        try:
            current = (await self._store.read_heads()).get(slug)
            if current is not None and not force and self._is_fresh(current):
                return RefreshOutcome(provider=slug, outcome="fresh", model_count=current.model_count)
            return await self._fetch(slug, current, book)
        finally:
            await self._store.release_lease(lease, owner)

    async def _fetch(self, slug: str, head: SnapshotHead | None, book: PriceBook) -> RefreshOutcome:
        started_s = self._clock.monotonic()
        try:
            bound = await self._registry.get(slug)
            listing = await bound.list_models()
            models = book.complete(self._accept(listing, head))
        except HeadgateError as error:
            return await self._failed(slug, head, error)
        except Exception as error:  # noqa: BLE001 - a plugin's code: it must not take the others down
            self._log.error("provider.crashed", provider=slug, error=type(error).__name__)
            fault = GatewayFault(f"The provider's own code failed: {type(error).__name__}.")
            return await self._failed(slug, head, fault)
        fetch_ms = round((self._clock.monotonic() - started_s) * 1000)
        return await self._store_list(head, listing, models, self._head(bound, listing, models, fetch_ms))

    def _accept(self, listing: ModelListing, head: SnapshotHead | None) -> tuple[ModelInfo, ...]:
        """An empty list where there was a full one is taken for a failure: the last good list is kept."""
        models = merge_models(listing.models)
        if models or not (listing.dropped or (head is not None and head.model_count)):
            return models
        reason = listing.dropped[0] if listing.dropped else "the list came back empty"
        raise ProviderFailed(f"No usable model in the list: {reason}", code="provider_protocol")

    def _head(
        self, bound: BoundProvider, listing: ModelListing, models: tuple[ModelInfo, ...], fetch_ms: int
    ) -> SnapshotHead:
        now, fresh_for = self._clock.now(), self._fresh_for(bound.slug)
        return SnapshotHead(
            provider=bound.slug,
            version=snapshot_version(models),
            model_count=len(models),
            dropped=len(listing.dropped),
            partial=listing.partial,
            warnings=tuple(listing.dropped[:20]),
            fetched_at=now,
            checked_at=now,
            fresh_until=now + fresh_for,
            stale_until=now + max(timedelta(seconds=self._settings.stale_ttl_s), fresh_for),
            fetch_ms=fetch_ms,
            base_url=bound.config.base_url,
        )

    async def _store_list(
        self,
        head: SnapshotHead | None,
        listing: ModelListing,
        models: tuple[ModelInfo, ...],
        fresh: SnapshotHead,
    ) -> RefreshOutcome:
        """`head` is what is stored, `fresh` what takes its place."""
        slug = fresh.provider
        fresh = replace(fresh, chunks=head.chunks if head is not None else 0)
        outcome = RefreshOutcome(
            provider=slug, outcome="unchanged", model_count=len(models), dropped=len(listing.dropped)
        )
        before = await self._models_before(head)
        if head is not None and head.version == fresh.version and before is not None:
            await self._store.write_head(fresh)
            return outcome
        if not await self._store.write_snapshot(
            Snapshot(head=fresh, models=models), replaces=head.version if head is not None else None
        ):
            return replace(outcome, outcome="busy")
        if before is not None:
            await self._append(slug, diff_models(before, models))
        return replace(outcome, outcome="updated")

    async def _models_before(self, head: SnapshotHead | None) -> tuple[ModelInfo, ...] | None:
        """The models to compare with; None for a first list, which is no change, or an unreadable old one."""
        if head is None or head.version is None:
            return None
        try:
            return await self._store.read_models(head)
        except HeadgateError as error:
            self._log.warning("catalog.old_list_unreadable", provider=head.provider, code=error.code)
            return None

    async def _append(self, slug: str, changes: Sequence[Change]) -> None:
        now = self._clock.now()
        await self._store.append_changes(
            [
                ChangeEvent(
                    id=new_id("evt", at_ms=int(now.timestamp() * 1000)),
                    type=change.type,
                    at=now,
                    provider=slug,
                    model_id=change.model_id,
                    before=change.before,
                    after=change.after,
                )
                for change in changes
            ]
        )

    async def _failed(self, slug: str, head: SnapshotHead | None, error: HeadgateError) -> RefreshOutcome:
        now = self._clock.now()
        known = head or SnapshotHead(provider=slug)
        failed = replace(known, checked_at=now, error=_told(error))
        if self._costly_s(slug) is not None:
            failed = replace(failed, fresh_until=now + self._fresh_for(slug))  # nor is it free to try again
        if head is None:
            await self._store.write_snapshot(Snapshot(head=failed, models=()), replaces=None)
        else:
            await self._store.write_head(failed)
        return RefreshOutcome(
            provider=slug, outcome="failed", model_count=known.model_count, error=failed.error
        )

    def _fresh_for(self, slug: str) -> timedelta:
        return timedelta(seconds=max(self._settings.list_ttl_s, self._costly_s(slug) or 0.0))

    def _costly_s(self, slug: str) -> float | None:
        """How long a list is good that costs something to ask for; None where it costs nothing."""
        try:
            return self._registry.load(slug).spec.list_ttl_s
        except HeadgateError:
            return None


def _told(error: HeadgateError) -> str:
    return f"{error.code}: {error.detail}"
