"""How the platform itself reaches each provider: its keys, and which providers it has."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from headgate.domain.secret import Secret
from headgate.ports import Clock, SecretStore
from headgate.providers.base import ProviderConfig
from headgate.settings import Settings


class PlatformKeys:
    """Configurations by slug, kept for `secret_cache_s` seconds in the process.

    needs_key: whether a provider always needs one. by_role: whether the function's own role can be its key,
    asked only of those that `settings.by_role` turns on.
    """

    def __init__(
        self,
        secrets: SecretStore,
        clock: Clock,
        settings: Settings,
        *,
        known_slugs: Callable[[], Iterable[str]],
        needs_key: Callable[[str], bool],
        by_role: Callable[[str], bool],
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._settings = settings
        self._known_slugs = known_slugs
        self._needs_key = needs_key
        self._by_role = by_role
        self._cache: dict[str, tuple[float, ProviderConfig | None, ProviderConfig]] = {}

    async def config(self, slug: str) -> ProviderConfig | None:
        """The platform's configuration of a provider; None when it has none."""
        if slug == "mock":
            return ProviderConfig() if await self._mock_is_on() else None
        return await self._stored(slug)

    async def place(self, slug: str) -> ProviderConfig:
        """Where the platform has a provider, without its key: what a key of someone else's is used with."""
        return (await self._read(slug))[1]

    async def configured(self) -> list[str]:
        """Slugs of the providers that the platform has, sorted."""
        slugs = [slug for slug in self._known_slugs() if slug != "mock"]
        configs = await asyncio.gather(*(self._stored(slug) for slug in slugs))
        found = [slug for slug, config in zip(slugs, configs, strict=True) if config is not None]
        return sorted([*found, "mock"] if self._mock_wanted(found) else found)

    def forget(self) -> None:
        """The next look-up reads the store again."""
        self._cache.clear()

    async def _mock_is_on(self) -> bool:
        if self._settings.mock != "auto":
            return self._settings.mock == "on"
        return "mock" in await self.configured()

    def _mock_wanted(self, others: list[str]) -> bool:
        return self._settings.mock == "on" or (self._settings.mock == "auto" and not others)

    async def _stored(self, slug: str) -> ProviderConfig | None:
        return (await self._read(slug))[0]

    async def _read(self, slug: str) -> tuple[ProviderConfig | None, ProviderConfig]:
        now_s = self._clock.monotonic()
        cached = self._cache.get(slug)
        if cached is None or now_s >= cached[0]:
            secret = await self._secrets.get(slug) or {}
            place = self._place_of(secret)
            cached = (now_s + self._settings.secret_cache_s, self._config_of(slug, secret, place), place)
            self._cache[slug] = cached
        return cached[1], cached[2]

    def _place_of(self, secret: Mapping[str, Secret]) -> ProviderConfig:
        base_url = secret.get("base_url")
        return ProviderConfig(
            base_url=None if base_url is None else base_url.reveal(),
            timeout_s=self._settings.request_timeout_s,
            first_byte_timeout_s=self._settings.first_byte_timeout_s,
            idle_timeout_s=self._settings.idle_timeout_s,
        )

    def _config_of(
        self, slug: str, secret: Mapping[str, Secret], place: ProviderConfig
    ) -> ProviderConfig | None:
        key = secret.get("api_key")
        signs = slug in self._settings.by_role and self._by_role(slug)
        if key is None and not signs and (place.base_url is None or self._needs_key(slug)):
            return None
        return replace(place, api_key=key)
