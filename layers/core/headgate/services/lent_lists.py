"""What keys see that were lent with a request. Their lists stay in this process, under a keyed hash."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headgate.codec import snapshot_version
from headgate.domain.catalog import SnapshotHead, merge_models
from headgate.domain.errors import GatewayFault, HeadgateError, ProviderRefused
from headgate.domain.secret import Secret
from headgate.ports import Clock, Log
from headgate.providers.base import ProviderConfig
from headgate.providers.bound import BoundProvider, ModelListing
from headgate.providers.registry import ProviderRegistry
from headgate.services.key_lists import KeyList

MOST_KEPT = 200
_RETRY_S = 30.0
_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Kept:
    until_s: float
    list: KeyList


class LentLists:
    """Lists by lent key, read here and good for `ttl_s` seconds; of any number who ask at once, one reads.

    Neither a key nor a plain hash of one is kept: names are made with a secret that this process draws when
    it first needs one. base_urls: where the operator has providers, by slug. For one event loop.
    """

    def __init__(
        self,
        *,
        registry: ProviderRegistry,
        base_urls: Callable[[str], str | None],
        clock: Clock,
        log: Log,
        ttl_s: float,
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self._registry = registry
        self._base_urls = base_urls
        self._clock = clock
        self._log = log
        self._ttl_s = ttl_s
        self._deadline_s = deadline_s
        self._secret: bytes | None = None
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._reading: dict[str, asyncio.Task[KeyList]] = {}

    async def of(self, lent: Mapping[str, Secret], heads: Mapping[str, SnapshotHead]) -> tuple[KeyList, ...]:
        """One list for each key; what fails is told in it. heads: what the platform knows of providers."""
        return tuple(
            await asyncio.gather(*(self._one(slug, key, heads.get(slug)) for slug, key in lent.items()))
        )

    def forget(self, lent: Mapping[str, Secret]) -> None:
        """The next look asks the providers of these keys."""
        for slug, key in lent.items():
            name = self._name(slug, key)
            self._kept.pop(name, None)
            self._reading.pop(name, None)

    async def _one(self, slug: str, key: Secret, head: SnapshotHead | None) -> KeyList:
        name = self._name(slug, key)
        kept = self._kept.get(name)
        if kept is not None and self._clock.monotonic() < kept.until_s:
            self._kept.move_to_end(name)
            return kept.list
        task = self._reading.get(name)
        if task is None:
            task = self._reading[name] = asyncio.create_task(self._read(name, slug, key, head))
            task.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(task)

    def _name(self, slug: str, key: Secret) -> str:
        if self._secret is None:
            self._secret = secrets.token_bytes(32)
        return hmac.new(self._secret, f"{slug}\n{key.reveal()}".encode(), hashlib.sha256).hexdigest()

    async def _read(self, name: str, slug: str, key: Secret, head: SnapshotHead | None) -> KeyList:
        unread = KeyList(slug=slug, source="lent", name="the key lent", id=name[:16])
        try:
            found = await self._ask(unread, key, head)
        except HeadgateError as error:
            found = self._failed(unread, f"{error.code}: {error.detail}")
        except Exception as error:  # noqa: BLE001 - a plugin's code: it must not take the list down
            self._log.error("provider.crashed", provider=slug, error=type(error).__name__)
            fault = GatewayFault("The provider's own code failed.")
            found = self._failed(unread, f"{fault.code}: {fault.detail}")
        if self._reading.get(name) is asyncio.current_task():
            kept_s = self._ttl_s if found.error is None else min(_RETRY_S, self._ttl_s)
            self._kept[name] = _Kept(self._clock.monotonic() + kept_s, found)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _failed(self, unread: KeyList, error: str) -> KeyList:
        return KeyList(
            slug=unread.slug,
            source="lent",
            name=unread.name,
            id=unread.id,
            checked_at=self._clock.now(),
            error=error,
        )

    async def _ask(self, unread: KeyList, key: Secret, head: SnapshotHead | None) -> KeyList:
        """As for connections: the key is checked by itself, as many lists are shown with any key or none."""
        place = self._base_urls(unread.slug) or (head.base_url if head is not None else None)
        bound = self._registry.bind(unread.slug, ProviderConfig(api_key=key, base_url=place, max_retries=1))
        listing, refused = await asyncio.gather(self._list(bound), self._check(bound), return_exceptions=True)
        if isinstance(refused, BaseException):
            raise refused
        if isinstance(listing, BaseException):
            raise listing
        models = merge_models(listing.models)
        return KeyList(
            slug=unread.slug,
            source="lent",
            name=unread.name,
            id=unread.id,
            version=snapshot_version(models) if listing.listed else None,
            checked_at=self._clock.now(),
            models=models,
        )

    async def _list(self, bound: BoundProvider) -> ModelListing:
        """Not listed where asking for it costs something: nobody does so for a look."""
        if bound.spec.list_ttl_s is not None:
            return ModelListing(listed=False)
        return await bound.list_models(deadline_s=self._deadline_s)

    async def _check(self, bound: BoundProvider) -> None:
        """Raises ProviderRefused where the key is bad; what else goes wrong says nothing of it."""
        if not bound.has_key_check:
            return
        try:
            await bound.check_key(deadline_s=self._deadline_s)
        except ProviderRefused:
            raise
        except HeadgateError as error:
            self._log.info("catalog.lent_key_unchecked", provider=bound.slug, code=error.code)

    def _end(self, name: str, task: asyncio.Task[KeyList]) -> None:
        if self._reading.get(name) is task:
            del self._reading[name]
        if not task.cancelled():
            task.exception()  # whoever asked has it; where all have left, nobody misses it
