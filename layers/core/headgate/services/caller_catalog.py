"""The catalogue as one caller sees it: the platform's, and what the keys see that serve the caller."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from headgate.domain.callers import Caller
from headgate.domain.connections import Connection
from headgate.domain.errors import GatewayFault
from headgate.domain.secret import Secret
from headgate.ports import AuditLog, Clock, Log
from headgate.providers.registry import canonical_slug
from headgate.services.acts import Act
from headgate.services.catalog import Catalog
from headgate.services.catalog_view import CatalogView, pins_of
from headgate.services.flags import REGISTRY_FLAG, Flags
from headgate.services.key_lists import ConnectionLists, KeyList
from headgate.services.lent_lists import LentLists
from headgate.services.merge_lists import limited_to, merged
from headgate.services.reach import Owned, ReachService
from headgate.services.spare_lists import SpareLists
from headgate.settings import Settings

MOST_VIEWS = 64
_STORE_AGAIN_S = 2.0
_ON_S = 1.0
_MOST_ON = 10_000
_NO_KEYS: Mapping[str, Secret] = {}


class CallerCatalog:
    """Views by caller. Whoever is served by no key but the platform's is given the platform's view itself.

    What serves a caller hangs on the key that they call with, and on the request's project, so nothing of it
    is kept under the user's name alone. lent: reads what lent keys see; None where a request must not wait
    for that. spare: the default providers while the store can't be read and nothing is in memory; None where
    the catalogue alone would not help. first_read_s: how long that store may hang. For one event loop.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        connections: ConnectionLists,
        reach: ReachService,
        flags: Flags,
        audit: AuditLog,
        settings: Settings,
        clock: Clock,
        log: Log,
        lent: LentLists | None = None,
        spare: SpareLists | None = None,
        first_read_s: float = 3.0,
    ) -> None:
        self._catalog = catalog
        self._connections = connections
        self._reach = reach
        self._flags = flags
        self._audit = audit
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
        self._on_until_s: dict[str, float] = {}
        self._views: OrderedDict[tuple[str, ...], tuple[object, CatalogView]] = OrderedDict()

    @property
    def in_memory(self) -> bool:
        """Whether the platform's next view comes from memory."""
        return self._catalog.in_memory

    async def view(
        self,
        caller: Caller,
        lent: Mapping[str, Secret] = _NO_KEYS,
        serving: Sequence[Owned] | None = None,
    ) -> CatalogView:
        """What this caller sees with these lent keys, by slug, and with these connections; without any told,
        with those that serve this caller where a request names nothing.

        Raises GatewayFault when a store can't be read and nothing is in memory; with `spare`, never: what
        can't be had is left out, and `unread` says so.
        """
        shared = self._catalog.peek()
        if shared is None or not self._catalog.in_memory or not self._is_on(caller):
            shared = await self._platform(caller)
        return await self._seen_by(caller, lent, shared, serving)

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

    async def force(
        self, caller: Caller, lent: Mapping[str, Secret], act: Act, *, wait_s: float
    ) -> CatalogView:
        """A refresh of every provider that the platform has; raises as `Catalog.refresh`, and where it can't
        be told who asked for it."""
        await self._audit.append_audit([act.event("catalog.force", "catalog")])
        shared = await self._catalog.refresh(wait_s=wait_s)
        return await self._seen_by(caller, lent, await self._served_to(caller, shared))

    async def refresh(self, caller: Caller, lent: Mapping[str, Secret] = _NO_KEYS) -> Sequence[Connection]:
        """Drops what is kept for this caller, and has the lists of their connections read anew; whose.

        In a project too it is their own connections' lists: what others' keys are asked for is not theirs to
        say. Raises GatewayFault when that can't be started.
        """
        for name in [name for name in self._views if name[0] == caller.user_id]:
            del self._views[name]
        if self._lent is not None:
            self._lent.forget(lent)
        return await self._connections.refresh(caller.user_id)

    def forget_all(self) -> None:
        """The next look at anybody's lists reads them again, and asks for the flag."""
        self._connections.forget_all()
        self._on_until_s.clear()

    # -- the platform's -------------------------------------------------------------------------------------

    async def _platform(self, caller: Caller) -> CatalogView:
        if self._catalog.in_memory:
            shared = await self._catalog.view()
        else:
            shared, _ = await asyncio.gather(self._shared(), self._registry_on(caller))
        return await self._served_to(caller, shared)

    async def _registry_on(self, caller: Caller) -> bool:
        if self._is_on(caller):
            return True
        on = await self._flags.is_on(REGISTRY_FLAG, True, {"user_id": caller.user_id})
        if on:
            if len(self._on_until_s) >= _MOST_ON:
                self._on_until_s.clear()
            self._on_until_s[caller.user_id] = self._clock.monotonic() + _ON_S
        return on

    def _is_on(self, caller: Caller) -> bool:
        """Whether the registry was on for this user just now: some ask very often."""
        return self._clock.monotonic() < self._on_until_s.get(caller.user_id, 0.0)

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

    # -- beside it ------------------------------------------------------------------------------------------

    async def _seen_by(
        self,
        caller: Caller,
        lent: Mapping[str, Secret],
        shared: CatalogView,
        serving: Sequence[Owned] | None = None,
    ) -> CatalogView:
        lists: tuple[KeyList, ...] = ()
        try:
            if serving is None:
                serving = await self._reach.serving(caller)
            if serving:
                lists = await self._connections.of(serving, user_id=caller.user_id)
        except GatewayFault as fault:
            if self._spare is None:
                raise
            self._log.warning("catalog.connections_unreadable", code=fault.code)
            shared = self._without_own(shared)
        if lent and self._lent is not None:
            lists = (*await self._lent.of(lent, shared.heads), *lists)
        return self._merged(caller, lists, shared) if lists else shared

    def _merged(self, caller: Caller, lists: Sequence[KeyList], shared: CatalogView) -> CatalogView:
        """Made once for each user and set of keys, and again when anything differs."""
        name = (caller.user_id, shared.versions, *(each.id for each in lists))
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
