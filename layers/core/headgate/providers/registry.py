"""Which providers there are, and how to get one that can be called.

Every module beside this one that is no infrastructure is a provider; its file name is its slug. Plugins come
through the entry point group `headgate.providers`, named by their slug. Nothing is imported before it is
asked for by its slug.
"""

import asyncio
import importlib
import inspect
import pkgutil
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

from headgate.domain.errors import GatewayFault, InvalidRequest, NotFound, ProviderRefused
from headgate.ports import Clock, HttpTransport, RequestSigner
from headgate.providers.base import CONTRACT_VERSION, Provider, ProviderConfig, ProviderSpec
from headgate.providers.bound import BoundProvider
from headgate.providers.sending import Sleep

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PACKAGE = "headgate.providers"
ENTRY_POINTS = "headgate.providers"
INFRASTRUCTURE = frozenset({"base", "bound", "dialects", "registry", "sending", "streaming", "striking"})
ALIASES = {"google": "gemini", "ollama": "custom", "vllm": "custom", "lmstudio": "custom"}

Configure = Callable[[str], Awaitable[ProviderConfig | None]]
"""The platform's configuration of a slug; None where it has none."""


class DuplicateProvider(GatewayFault):
    """Two providers claim one slug."""


class BrokenProvider(GatewayFault):
    """A provider's module can't be used: it does not import, or keeps to no contract."""


def canonical_slug(name: str) -> str:
    """The slug that a name stands for: `google` is `gemini`, `ollama` is `custom`."""
    lowered = name.lower()
    return ALIASES.get(lowered, lowered)


class ProviderRegistry:
    """All providers, loaded when asked for, bound to one transport and the platform's configuration.

    For one event loop. Slugs are taken by any of their names. signer, region: sign, and where, for providers
    that the function's own role is good for.
    """

    def __init__(
        self,
        *,
        transport: HttpTransport,
        clock: Clock,
        configure: Configure,
        rng: Callable[[], float] = random.random,
        sleep: Sleep = asyncio.sleep,
        package: str = PACKAGE,
        signer: RequestSigner | None = None,
        region: str | None = None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._configure = configure
        self._rng = rng
        self._sleep = sleep
        self._package = package
        self._signer = signer
        self._region = region
        self._builtin: frozenset[str] | None = None
        self._plugins: dict[str, EntryPoint] | None = None
        self._registered: dict[str, Provider | type[Provider]] = {}
        self._given: dict[str, ProviderConfig] = {}
        self._removed: set[str] = set()
        self._loaded: dict[str, Provider] = {}
        self._broken: dict[str, str] = {}
        self._modules: set[str] = set()
        self._bound: dict[str, BoundProvider] = {}
        self._transports: dict[str, HttpTransport] = {}
        self._to_close: dict[int, HttpTransport] = {}
        self._closed = False

    # -- what there is ------------------------------------------------------------------------------------

    def known_slugs(self) -> tuple[str, ...]:
        """Every slug, sorted; imports no provider. Raises DuplicateProvider for a plugin that hides one."""
        found = self._builtin_slugs() | self._plugin_points().keys() | self._registered.keys()
        return tuple(sorted(found - self._removed))

    def list(self) -> tuple[ProviderSpec, ...]:
        """What each provider says of itself, by slug; imports them all, and leaves out the broken ones."""
        specs = []
        for slug in self.known_slugs():
            try:
                specs.append(self.load(slug).spec)
            except BrokenProvider:
                continue  # told by `broken`; one bad plugin must not take the others along
        return tuple(specs)

    @property
    def broken(self) -> Mapping[str, str]:
        """Why a provider can't be used, by slug, of those that were tried."""
        return self._broken

    def has(self, name: str) -> bool:
        slug = canonical_slug(name)
        if slug in self._removed:
            return False
        return slug in self._registered or slug in self._builtin_slugs() or slug in self._plugin_points()

    def load(self, name: str) -> Provider:
        """The provider's one instance; imports its module at most once.

        Raises NotFound for an unknown slug, BrokenProvider for a module that is no proper provider.
        """
        slug = canonical_slug(name)
        if (loaded := self._loaded.get(slug)) is not None:
            return loaded
        if slug in self._broken:
            raise BrokenProvider(self._broken[slug], provider=slug)
        if not self.has(slug):
            raise NotFound(f"There is no provider {slug!r}. Known: {', '.join(self.known_slugs())}.")
        try:
            instance = self._make(slug)
        except BrokenProvider as error:
            self._broken[slug] = error.detail
            raise
        self._loaded[slug] = instance
        return instance

    # -- registering --------------------------------------------------------------------------------------

    def register(
        self, instance: Provider, config: ProviderConfig | None = None, *, replace: bool = False
    ) -> None:
        """Adds a provider that is there already, with a configuration of its own where one is given.

        Raises DuplicateProvider when its slug is taken, unless it is to `replace` what has it.
        """
        slug = self._claim(type(instance), replace=replace)
        self._registered[slug] = instance
        if config is not None:
            self._given[slug] = config

    def register_class(self, cls: type[Provider], *, replace: bool = False) -> None:
        """Adds a provider that is made when it is first asked for. Raises like `register`."""
        slug = self._claim(cls, replace=replace)
        self._registered[slug] = cls

    def unregister(self, name: str) -> None:
        """Takes a provider out, found by itself or registered, until `reload`. Raises NotFound."""
        slug = canonical_slug(name)
        if not self.has(slug):
            raise NotFound(f"There is no provider {slug!r}.")
        self._forget(slug)
        self._registered.pop(slug, None)
        self._given.pop(slug, None)
        self._removed.add(slug)

    def _claim(self, cls: type[Provider], *, replace: bool) -> str:
        slug = _check_class(cls)
        if self.has(slug) and not replace:
            raise DuplicateProvider(f"There is a provider {slug!r} already.")
        self._forget(slug)
        self._given.pop(slug, None)
        self._removed.discard(slug)
        return slug

    def _forget(self, slug: str) -> None:
        self._loaded.pop(slug, None)
        self._broken.pop(slug, None)
        self._bound.pop(slug, None)
        self._transports.pop(slug, None)

    # -- getting one that can be called -------------------------------------------------------------------

    async def get(self, name: str) -> BoundProvider:
        """The provider on the platform's own configuration, the same object until that changes.

        Raises NotFound for an unknown slug; ProviderRefused (`provider_auth`) when the platform has no
        configuration for it, or one that its `validate_config` refuses.
        """
        bound = await self.find(name)
        if bound is None:
            spec = self.load(name).spec
            raise ProviderRefused(
                f"The platform has no key for {spec.name}: set {spec.key_name}, or bring your own.",
                provider=spec.slug,
            )
        return bound

    async def find(self, name: str) -> BoundProvider | None:
        """Like `get`, but None where the platform has no configuration for it."""
        slug = canonical_slug(name)
        if self._closed:
            raise GatewayFault("The provider registry is closed.")
        if not self.has(slug):
            raise NotFound(f"There is no provider {slug!r}.")
        config = self._given.get(slug) or await self._configure(slug)
        if config is None:
            return None
        config = self._placed(self.load(slug), config)
        # Nothing is awaited from here on, so of any number of callers at once one initialises it.
        bound = self._bound.get(slug)
        if bound is None or bound.config != config:
            try:
                bound = self._bound[slug] = self.bind(slug, config)
            except InvalidRequest as error:
                raise ProviderRefused(
                    f"The platform's configuration is not valid: {error.detail}", provider=slug
                ) from error
        return bound

    def bind(self, name: str, config: ProviderConfig) -> BoundProvider:
        """The provider on a configuration of the caller's.

        Raises NotFound for an unknown slug, InvalidRequest naming `api_key` or `base_url`.
        """
        provider = self.load(name)
        config = self._placed(provider, config)
        provider.validate_config(config)
        return self._bound_to(provider, config)

    def bind_public(self, name: str, base_url: str | None = None) -> BoundProvider | None:
        """The provider without any key, good for its list alone; None where that is not shown to everyone.

        Raises NotFound for an unknown slug, BrokenProvider.
        """
        provider = self.load(name)
        if not provider.spec.public_list:
            return None
        return self._bound_to(provider, ProviderConfig(base_url=base_url))

    def _bound_to(self, provider: Provider, config: ProviderConfig) -> BoundProvider:
        return BoundProvider(
            provider,
            config,
            transport=self._transport_of(provider),
            clock=self._clock,
            rng=self._rng,
            sleep=self._sleep,
            signer=self._signer,
        )

    def _placed(self, provider: Provider, config: ProviderConfig) -> ProviderConfig:
        """With the region, for a provider that is reached where the function runs."""
        if self._region is None or not provider.spec.by_role or "region" in config.metadata:
            return config
        return replace(config, metadata={**config.metadata, "region": self._region})

    def _transport_of(self, provider: Provider) -> HttpTransport:
        """Its own where it has one, made once; else everyone's."""
        slug = provider.spec.slug
        own = self._transports.get(slug)
        if own is None and (own := provider.transport()) is not None:
            self._transports[slug] = own
            self._to_close[id(own)] = own
        return own or self._transport

    # -- lifecycle ----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Looks for providers again, without a restart: new and changed files, plugins installed since.

        What was registered stays; what was taken out comes back if it is still to be found. Modules are
        imported afresh, so classes imported elsewhere before are other ones than those loaded from now on.
        """
        for module in self._modules:
            sys.modules.pop(module, None)
        self._modules.clear()
        self._loaded.clear()
        self._broken.clear()
        self._bound.clear()
        self._transports.clear()
        self._removed.clear()
        self._builtin = self._plugins = None
        importlib.invalidate_caches()

    async def close(self) -> None:
        """Closes the transports that providers brought along; the shared one is its owner's. Safe twice."""
        self._closed = True
        self._bound.clear()
        self._transports.clear()
        while self._to_close:
            _, transport = self._to_close.popitem()
            await transport.close()

    # -- finding ------------------------------------------------------------------------------------------

    def _builtin_slugs(self) -> frozenset[str]:
        if self._builtin is None:
            path = importlib.import_module(self._package).__path__
            names = {module.name for module in pkgutil.iter_modules(path)}
            self._builtin = frozenset(name for name in names - INFRASTRUCTURE if not name.startswith("_"))
        return self._builtin

    def _plugin_points(self) -> "dict[str, EntryPoint]":
        """Entry points by slug. The same one found twice (a directory twice on the path) is one."""
        if self._plugins is None:
            # Costs tens of milliseconds, and a call to a built-in provider never comes here.
            from importlib.metadata import entry_points  # noqa: PLC0415

            points: dict[str, EntryPoint] = {}
            for point in entry_points(group=ENTRY_POINTS):
                known = points.setdefault(point.name, point)
                if point.name in self._builtin_slugs() or known.value != point.value:
                    raise DuplicateProvider(
                        f"The plugin {point.value} claims {point.name!r}, which is taken."
                    )
            self._plugins = points
        return self._plugins

    def _make(self, slug: str) -> Provider:
        registered = self._registered.get(slug)
        if isinstance(registered, Provider):
            return registered
        try:
            return (registered or self._find_class(slug))()
        except BrokenProvider:
            raise
        except Exception as error:  # the edge to code that is not ours: it may raise anything
            raise BrokenProvider(
                f"The provider {slug!r} can't be loaded: {type(error).__name__}.", provider=slug
            ) from error

    def _find_class(self, slug: str) -> type[Provider]:
        plugin = slug not in self._builtin_slugs()
        name = self._plugin_points()[slug].module if plugin else f"{self._package}.{slug}"
        module = importlib.import_module(name)
        self._modules.add(name)
        cls = _only_class(module, slug)
        if plugin and "contract_version" not in vars(cls):
            raise BrokenProvider(f"{cls.__name__} does not state its contract_version, as a plugin must.")
        if _check_class(cls) != slug:
            raise BrokenProvider(f"{name} should define {slug!r}, but its slug is {cls.spec.slug!r}.")
        return cls


def _only_class(module: ModuleType, slug: str) -> type[Provider]:
    """The one decorated class that the module itself defines."""
    classes: set[type[Provider]] = {
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and each.__module__ == module.__name__
        and "__headgate_provider__" in vars(each)
        and issubclass(each, Provider)
    }
    if len(classes) != 1:
        raise BrokenProvider(f"The module of {slug!r} has {len(classes)} classes marked @provider, not one.")
    return classes.pop()


def _check_class(cls: type[Provider]) -> str:
    """Its slug. Raises BrokenProvider for one of another contract, incomplete, or no provider at all."""
    if not issubclass(cls, Provider) or not isinstance(getattr(cls, "spec", None), ProviderSpec):
        raise BrokenProvider(f"{cls.__name__} is no provider with a spec.")
    if cls.contract_version != CONTRACT_VERSION:
        raise BrokenProvider(
            f"{cls.__name__} keeps to contract {cls.contract_version}, this gateway to {CONTRACT_VERSION}."
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise BrokenProvider(f"{cls.__name__} lacks {missing}.")
    if canonical_slug(cls.spec.slug) != cls.spec.slug:
        raise BrokenProvider(f"{cls.spec.slug!r} is no slug: it is an alias, or not lower case.")
    return cls.spec.slug
