"""The catalogue as one process sees it: heads compared at most once a minute, models kept in memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from headgate.domain.accounts import ModelOverride
from headgate.domain.catalog import ModelInfo, SnapshotHead
from headgate.domain.errors import GatewayFault, HeadgateError
from headgate.domain.health import ProviderHealth
from headgate.ports import CatalogStore, Clock, Log, OverrideStore, RefreshStarter
from headgate.services.apply_overrides import overridden, overrides_mark
from headgate.services.catalog_view import CatalogView, pins_of, versions_text, view_of

__all__ = ["Catalog", "CatalogView", "pins_of", "view_of"]


class Catalog:
    """Reads the store's heads at most every `head_check_s` seconds, and only the models that changed.

    With a `starter`, a check that finds heads past their time starts a refresh elsewhere, and serves what
    there is. Once there is a view, a store that hangs is waited for `patience_s` seconds at most; to start a
    forced refresh, `start_s` in all. overrides: read with the heads; None for a function that needs none.
    """

    def __init__(
        self,
        store: CatalogStore,
        clock: Clock,
        log: Log,
        *,
        head_check_s: float,
        starter: RefreshStarter | None = None,
        overrides: OverrideStore | None = None,
        patience_s: float = 2.0,
        start_s: float = 8.0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._head_check_s = head_check_s
        self._starter = starter
        self._override_store = overrides
        self._patience_s = patience_s
        self._start_s = start_s
        self._readable = True
        self._view: CatalogView | None = None
        self._check_at_s = 0.0
        self._start_at_s = 0.0
        self._models: dict[str, tuple[str, tuple[ModelInfo, ...]]] = {}
        self._overrides: Mapping[str, ModelOverride] | None = None
        self._pinned: CatalogView | None = None
        self._lock = asyncio.Lock()

    async def view(self) -> CatalogView:
        """The current view, from memory when it was checked lately.

        Raises GatewayFault only when the store can't be read and nothing is in memory.
        """
        view = self._view
        if view is not None and self._clock.monotonic() < self._check_at_s:
            return view
        async with self._lock:
            if self._view is None or self._clock.monotonic() >= self._check_at_s:
                await self._check()
        if self._view is None:
            raise GatewayFault.unavailable("The catalogue")
        return self._view

    async def pinned(self, pins: Mapping[str, str]) -> CatalogView:
        """The view at these versions by slug, as a cursor remembers them.

        Raises GatewayFault when the store no longer has them.
        """
        current = await self.view()
        if pins_of(current) == dict(pins):
            return current
        versions = versions_text(pins)
        if self._pinned is None or (self._pinned.versions, self._pinned.mark) != (versions, current.mark):
            models: list[ModelInfo] = []
            for slug, version in pins.items():
                have = self._models.get(slug)
                if have is not None and have[0] == version:
                    models.extend(have[1])
                else:
                    old = SnapshotHead(provider=slug, version=version)
                    models.extend(await self._store.read_models(old))
            self._pinned = view_of(
                overridden(models, current.overrides),
                versions=versions,
                heads=current.heads,
                health=current.health,
                stale=current.stale,
                hour=current.hour,
                overrides=current.overrides,
                mark=current.mark,
            )
        return self._pinned

    def peek(self) -> CatalogView | None:
        """The view in memory, however old."""
        return self._view

    @property
    def in_memory(self) -> bool:
        """Whether the next view comes from memory."""
        return self._view is not None and self._clock.monotonic() < self._check_at_s

    def look_again(self) -> None:
        """The next view is over heads and overrides read then."""
        self._check_at_s = 0.0

    async def reload(self) -> CatalogView:
        """A view over heads read now."""
        self.look_again()
        return await self.view()

    async def refresh(self, *, wait_s: float, poll_s: float = 0.25) -> CatalogView:
        """Starts a refresh of everything; waits up to `wait_s` seconds until every head was checked anew.

        Raises GatewayFault when it can't be started, or the store can't be read: nothing would be seen of it.
        """
        asked_at = self._clock.now()
        try:
            async with asyncio.timeout(self._start_s):
                view = await self._reload_now()
                if self._starter is None:
                    return view
                await self._starter.start(None, force=True)
        except TimeoutError:
            raise GatewayFault.unavailable("What a refresh needs") from None
        give_up_s = self._clock.monotonic() + wait_s
        while self._clock.monotonic() < give_up_s:
            await asyncio.sleep(poll_s)
            view = await self._reload_now()
            checked = [head.checked_at for head in view.heads.values()]
            if checked and all(at is not None and at >= asked_at for at in checked):
                break
        return view

    async def _reload_now(self) -> CatalogView:
        """As `reload`, but raises GatewayFault where that goes on with what is in memory."""
        view = await self.reload()
        if not self._readable:
            raise GatewayFault.unavailable("The catalogue")
        return view

    async def _check(self) -> None:
        old = self._view
        try:
            async with asyncio.timeout(None if old is None else self._patience_s):
                heads, health, _ = await asyncio.gather(
                    self._store.read_heads(), self._store.read_health(), self._read_overrides()
                )
        except (HeadgateError, TimeoutError) as error:
            if old is None:
                raise
            code = error.code if isinstance(error, HeadgateError) else "timeout"
            self._log.warning("catalog.unreadable", code=code)
            heads, health, self._readable = old.heads, old.health, False
        else:
            self._readable = True
        complete = self._readable
        complete &= await self._load(heads)
        self._view = self._build(heads, health)
        self._check_at_s = self._clock.monotonic() + self._next_check_s(complete=complete)
        await self._start_refresh(heads)

    async def _read_overrides(self) -> None:
        """Those read before stay while they can't be read; without any, nobody knows what may be served."""
        if self._override_store is None:
            return
        try:
            self._overrides = await self._override_store.read_overrides()
        except HeadgateError as error:
            if self._overrides is None:
                raise
            self._log.warning("catalog.overrides_unreadable", code=error.code)

    def _next_check_s(self, *, complete: bool) -> float:
        """Sooner while there is nothing to show, so that a fresh stack fills in seconds."""
        if not self._models:
            return min(1.0, self._head_check_s)
        return self._head_check_s if complete else min(5.0, self._head_check_s)

    async def _load(self, heads: Mapping[str, SnapshotHead]) -> bool:
        """Brings the lists in memory up to these heads; False when one can't be read, and stays as it was.

        Raises GatewayFault when there is something to read, none of it can be, and there is no view yet.
        """
        now = self._clock.now()
        wanted = {slug: head for slug, head in heads.items() if head.is_servable(now)}
        for slug in self._models.keys() - wanted.keys():
            del self._models[slug]
        changed = [head for slug, head in wanted.items() if self._version_of(slug) != head.version]
        outcomes = await asyncio.gather(*(self._load_one(head) for head in changed))
        failures = [error for error in outcomes if error is not None]
        if failures and not self._models and self._view is None:
            raise failures[0]
        return not failures

    def _version_of(self, slug: str) -> str | None:
        return self._models[slug][0] if slug in self._models else None

    async def _load_one(self, head: SnapshotHead) -> HeadgateError | None:
        try:
            self._models[head.provider] = (head.version or "", await self._store.read_models(head))
        except HeadgateError as error:
            self._log.warning("catalog.list_unreadable", provider=head.provider, code=error.code)
            return error
        return None

    def _build(self, heads: Mapping[str, SnapshotHead], health: Mapping[str, ProviderHealth]) -> CatalogView:
        """The old view where nothing differs, so that what was rendered from it stays valid."""
        now = self._clock.now()
        stale = frozenset(s for s, head in heads.items() if head.error is not None or not head.is_fresh(now))
        hour = int(now.timestamp() // 3600)
        versions = versions_text({slug: version for slug, (version, _) in self._models.items()})
        old, overrides = self._view, self._overrides or {}
        mark = overrides_mark(overrides)
        if old is None or (versions, mark) != (old.versions, old.mark):
            return view_of(
                overridden((model for _, models in self._models.values() for model in models), overrides),
                versions=versions,
                heads=heads,
                health=health,
                stale=stale,
                hour=hour,
                overrides=overrides,
                mark=mark,
            )
        if (heads, health, stale, hour) == (old.heads, old.health, old.stale, old.hour):
            return old
        return replace(old, heads=heads, health=health, stale=stale, hour=hour)

    async def _start_refresh(self, heads: Mapping[str, SnapshotHead]) -> None:
        if self._starter is None or self._clock.monotonic() < self._start_at_s:
            return
        now = self._clock.now()
        due = [slug for slug, head in heads.items() if not head.is_fresh(now)]
        if heads and not due:
            return
        self._start_at_s = self._clock.monotonic() + 30.0
        try:
            await self._starter.start(due or None, force=False)
        except HeadgateError as error:
            self._log.warning("catalog.refresh_not_started", code=error.code)
