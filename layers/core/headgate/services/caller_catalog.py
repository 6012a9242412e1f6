"""The catalogue as one caller sees it: the platform's, with what the caller's own keys see beside."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from headgate.domain.callers import Caller
from headgate.domain.connections import Connection
from headgate.domain.errors import GatewayFault
from headgate.domain.secret import Secret
from headgate.ports import Clock, Log
from headgate.providers.registry import canonical_slug
from headgate.services.catalog import Catalog
from headgate.services.catalog_view import CatalogView, pins_of
from headgate.services.flags import Flags
from headgate.services.key_lists import ConnectionLists, KeyList
from headgate.services.lent_lists import LentLists
from headgate.services.merge_lists import limited_to, merged
from headgate.services.spare_lists import SpareLists
from headgate.settings import Settings

REGISTRY_FLAG = "use_provider_registry"
"""Off, only the default providers are listed and served."""

MOST_VIEWS = 64
_STORE_AGAIN_S = 2.0
_PLAIN_S = 1.0
_MOST_PLAIN = 10_000
_NO_KEYS: Mapping[str, Secret] = {}


class CallerCatalog:
    """Views by caller. Whoever has no key of their own is given the platform's view itself.

    lent: reads what lent keys see; None where a request must not wait for that. spare: the default providers
    while the store can't be read and nothing is in memory; None where the catalogue alone would not help.
    first_read_s: how long that store may hang. For one event loop.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        connections: ConnectionLists,
        flags: Flags,
        settings: Settings,
        clock: Clock,
        log: Log,
        lent: LentLists | None = None,
        spare: SpareLists | None = None,
        first_read_s: float = 3.0,
    ) -> None:
        self._catalog = catalog
        self._connections = connections
        self._flags = flags
        self._defaults = frozenset(map(canonical_slug, settings.default_providers))
        self._ttl_s = settings.list_ttl_s
        self._clock = clock
        self._log = log
        self._lent = lent
        self._spare = spare
        self._first_read_s = first_read_s
        self._store_again_s = 0.0
        self._limited: tuple[int, CatalogView] | None = None
        self._partial: tuple[int, CatalogView] | None = None
        self._plain_until_s: dict[str, float] = {}
        self._views: OrderedDict[tuple[str, ...], tuple[object, CatalogView]] = OrderedDict()

    @property
    def in_memory(self) -> bool:
        """Whether the platform's next view comes from memory."""
        return self._catalog.in_memory

    async def view(self, caller: Caller, lent: Mapping[str, Secret] = _NO_KEYS) -> CatalogView:
        """What this caller sees with these lent keys, by slug.

        Raises GatewayFault when a store can't be read and nothing is in memory; with `spare`, never: what
        can't be had is left out, and `unread` says so.
        """
        if lent:
            return await self._seen_by(caller, lent, await self._platform(caller))
        platform = self._catalog.peek()
        if platform is not None and self._catalog.in_memory and self._is_plain(caller):
            return platform
        view = await self._seen_by(caller, lent, await self._platform(caller))
        if view is self._catalog.peek():
            if len(self._plain_until_s) >= _MOST_PLAIN:
                self._plain_until_s.clear()
            self._plain_until_s[caller.user_id] = self._clock.monotonic() + _PLAIN_S
        return view

    def _is_plain(self, caller: Caller) -> bool:
        """Whether this caller had no keys of their own just now: most have none, and some ask very often."""
        return self._clock.monotonic() < self._plain_until_s.get(caller.user_id, 0.0)

    async def pinned(
        self, caller: Caller, lent: Mapping[str, Secret], pins: Mapping[str, str], mark: str
    ) -> CatalogView:
        """The view at these versions, as a cursor remembers them. Raises GatewayFault when it is gone."""
        view = await self.view(caller, lent)
        if view.mark == mark and pins_of(view) != dict(pins):
            shared = await self._catalog.pinned(pins)
            if view.only is not None:
                shared = limited_to(shared, view.only)
            view = await self._seen_by(caller, lent, shared)
        if view.mark != mark or pins_of(view) != dict(pins):
            raise GatewayFault("What this list was made of has changed.")
        return view

    async def force(self, caller: Caller, lent: Mapping[str, Secret], *, wait_s: float) -> CatalogView:
        """A refresh of every provider that the platform has; raises as `Catalog.refresh`."""
        shared = await self._catalog.refresh(wait_s=wait_s)
        return await self._seen_by(caller, lent, await self._served_to(caller, shared))

    async def refresh(self, caller: Caller, lent: Mapping[str, Secret] = _NO_KEYS) -> Sequence[Connection]:
        """Drops what is kept for this caller, and has the lists of their connections read anew; whose.

        Raises GatewayFault when that can't be started.
        """
        self._plain_until_s.pop(caller.user_id, None)
        for name in [name for name in self._views if name[0] == caller.user_id]:
            del self._views[name]
        if self._lent is not None:
            self._lent.forget(lent)
        return await self._connections.refresh(caller.user_id)

    # -- the platform's -------------------------------------------------------------------------------------

    async def _platform(self, caller: Caller) -> CatalogView:
        if self._catalog.in_memory:
            shared = await self._catalog.view()
        else:
            shared, _ = await asyncio.gather(self._shared(), self._registry_on(caller))
        return await self._served_to(caller, shared)

    async def _registry_on(self, caller: Caller) -> bool:
        return await self._flags.is_on(REGISTRY_FLAG, True, {"user_id": caller.user_id})

    async def _served_to(self, caller: Caller, shared: CatalogView) -> CatalogView:
        if await self._registry_on(caller):
            return shared
        if self._limited is None or self._limited[0] != shared.serial:
            self._limited = (shared.serial, limited_to(shared, self._defaults))
        return self._limited[1]

    async def _shared(self) -> CatalogView:
        """While nothing is in memory, a store that fails is asked again every two seconds, not by all."""
        if self._spare is None or self._catalog.peek() is not None:
            return await self._catalog.view()
        if self._clock.monotonic() >= self._store_again_s:
            try:
                async with asyncio.timeout(self._first_read_s):
                    return await self._catalog.view()
            except (GatewayFault, TimeoutError) as fault:
                self._store_again_s = self._clock.monotonic() + _STORE_AGAIN_S
                self._log.warning("catalog.default_set", error=type(fault).__name__)
        return await self._spare.view()

    # -- the caller's own -----------------------------------------------------------------------------------

    async def _seen_by(self, caller: Caller, lent: Mapping[str, Secret], shared: CatalogView) -> CatalogView:
        try:
            mine = await self._connections.of(caller.user_id)
        except GatewayFault as fault:
            if self._spare is None:
                raise
            self._log.warning("catalog.connections_unreadable", code=fault.code)
            shared, mine = self._without_own(shared), ()
        if lent and self._lent is not None:
            mine = (*await self._lent.of(lent, shared.heads), *mine)
        return self._merged(caller, mine, shared) if mine else shared

    def _merged(self, caller: Caller, lists: Sequence[KeyList], shared: CatalogView) -> CatalogView:
        """Made once for each user and set of lent keys, and again when anything differs."""
        lent = (each.id for each in lists if each.source == "lent")
        name = (caller.user_id, shared.versions, *lent)
        made_of = (shared.serial, tuple(each.identity for each in lists))
        kept = self._views.get(name)
        if kept is None or kept[0] != made_of:
            view = merged(
                shared,
                lists,
                whose=caller.user_id,
                now=self._clock.now(),
                ttl_s=self._ttl_s,
                before=None if kept is None else kept[1],
            )
            kept = self._views[name] = (made_of, view)
            while len(self._views) > MOST_VIEWS:
                self._views.popitem(last=False)
        self._views.move_to_end(name)
        return kept[1]

    def _without_own(self, shared: CatalogView) -> CatalogView:
        if self._partial is None or self._partial[0] != shared.serial:
            partial = replace(shared, unread=True, mark=f"{shared.mark}|partial")
            self._partial = (shared.serial, partial)
        return self._partial[1]
