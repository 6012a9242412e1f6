"""The default providers' public lists, asked for live while there is no store and nothing in memory."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from headgate.codec import snapshot_version
from headgate.domain.catalog import ModelInfo, SnapshotHead, merge_models
from headgate.domain.errors import GatewayFault, HeadgateError
from headgate.ports import Clock, Log
from headgate.providers.registry import ProviderRegistry, canonical_slug
from headgate.services.catalog_view import CatalogView, versions_text, view_of

_RETRY_S = 15.0
_DEADLINE_S = 4.0
_Found = tuple[SnapshotHead, tuple[ModelInfo, ...]]


class SpareLists:
    """A view of the default providers alone. Good for `ttl_s` seconds; where a list is missing, for fifteen.

    Where a list needs a key, there is none: this process has no keys. base_urls: where the operator has
    providers, by slug. For one event loop.
    """

    def __init__(
        self,
        slugs: Sequence[str],
        *,
        registry: ProviderRegistry,
        base_urls: Callable[[str], str | None],
        clock: Clock,
        log: Log,
        ttl_s: float,
    ) -> None:
        self._slugs = sorted({canonical_slug(slug) for slug in slugs if registry.has(slug)})
        self._registry = registry
        self._base_urls = base_urls
        self._clock = clock
        self._log = log
        self._ttl_s = ttl_s
        self._view: CatalogView | None = None
        self._good_until_s = 0.0
        self._lock = asyncio.Lock()

    async def view(self) -> CatalogView:
        """Never raises HeadgateError: what can't be had is told in its provider's head."""
        async with self._lock:
            if self._view is None or self._clock.monotonic() >= self._good_until_s:
                self._view = await self._read()
        return self._view

    async def _read(self) -> CatalogView:
        found = await asyncio.gather(*(self._one(slug) for slug in self._slugs))
        whole = all(head.error is None for head, _ in found)
        self._good_until_s = self._clock.monotonic() + (self._ttl_s if whole else min(_RETRY_S, self._ttl_s))
        self._log.warning("catalog.spare_lists", providers={head.provider: head.error for head, _ in found})
        view = view_of(
            (model for _, models in found for model in models),
            versions=versions_text({head.provider: head.version or "none" for head, _ in found}),
            heads={head.provider: head for head, _ in found},
            health={},
            stale=frozenset(self._slugs),
            hour=int(self._clock.now().timestamp() // 3600),
            mark="spare",
        )
        return replace(view, unread=True)

    async def _one(self, slug: str) -> _Found:
        try:
            bound = self._registry.bind_public(slug, self._base_urls(slug))
            if bound is None:
                raise GatewayFault(
                    "The gateway can't read its store, and this list needs a key.", code="gateway_unavailable"
                )
            models = merge_models((await bound.list_models(deadline_s=_DEADLINE_S)).models)
        except HeadgateError as error:
            return self._failed(slug, error), ()
        except Exception as error:  # noqa: BLE001 - a plugin's code: it must not take the others down
            self._log.error("provider.crashed", provider=slug, error=type(error).__name__)
            return self._failed(slug, GatewayFault("The provider's own code failed.")), ()
        now = self._clock.now()
        head = SnapshotHead(
            provider=slug,
            version=snapshot_version(models),
            model_count=len(models),
            fetched_at=now,
            checked_at=now,
            fresh_until=now,
            stale_until=now + timedelta(seconds=self._ttl_s),
        )
        return head, models

    def _failed(self, slug: str, error: HeadgateError) -> SnapshotHead:
        return SnapshotHead(
            provider=slug, checked_at=self._clock.now(), error=f"{error.code}: {error.detail}"
        )
