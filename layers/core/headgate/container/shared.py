"""Services that several functions use: providers, keys, catalogue, callers."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from headgate.container.outside import Outside
from headgate.ports import RequestSigner, WireRequest

if TYPE_CHECKING:
    from headgate.domain.secret import Secret
    from headgate.providers.base import ProviderConfig
    from headgate.providers.registry import ProviderRegistry
    from headgate.services.authenticate import Authenticator
    from headgate.services.bind import Binder
    from headgate.services.caller_catalog import CallerCatalog
    from headgate.services.catalog import Catalog
    from headgate.services.circuits import Circuits
    from headgate.services.connection_keys import ConnectionKeys
    from headgate.services.flags import Flags
    from headgate.services.lent_lists import LentLists
    from headgate.services.limit_reads import ReadLimiter
    from headgate.services.oidc import TokenVerifier
    from headgate.services.platform_keys import PlatformKeys
    from headgate.services.price_tables import PriceTables
    from headgate.services.reach import ReachService
    from headgate.services.record_traffic import TrafficRecorder
    from headgate.services.spare_lists import SpareLists


class _SignerOnCall:
    """A signer that is made when the first request is to be signed: most providers ask for none."""

    def __init__(self, make: Callable[[], RequestSigner]) -> None:
        self._make = make

    async def sign(self, request: WireRequest, *, service: str, region: str) -> "Mapping[str, str | Secret]":
        return await self._make().sign(request, service=service, region=region)


class Shared(Outside):
    """Beside the adapters, what most functions need."""

    @cached_property
    def registry(self) -> "ProviderRegistry":
        from headgate.providers.registry import ProviderRegistry  # noqa: PLC0415

        return ProviderRegistry(
            transport=self.transport,
            clock=self.clock,
            configure=self._platform_config,
            signer=_SignerOnCall(lambda: self.signer),
            region=self.settings.aws_region,
        )

    @cached_property
    def platform(self) -> "PlatformKeys":
        from headgate.services.platform_keys import PlatformKeys  # noqa: PLC0415

        return PlatformKeys(
            self.secrets,
            self.clock,
            self.settings,
            known_slugs=self._known_slugs,
            needs_key=self._needs_key,
            by_role=lambda slug: self.registry.load(slug).spec.by_role,
        )

    async def _platform_config(self, slug: str) -> "ProviderConfig | None":
        return await self.platform.config(slug)

    def _needs_key(self, slug: str) -> bool:
        """A role does for one only where the operator says so."""
        spec = self.registry.load(slug).spec
        return spec.key_required or spec.by_role

    def _known_slugs(self) -> "Iterable[str]":
        return self.registry.known_slugs()

    def _slug_of(self, name: str) -> str | None:
        """The slug of a provider by any of its names."""
        from headgate.providers.registry import canonical_slug  # noqa: PLC0415

        slug = canonical_slug(name)
        return slug if slug in self._known_slugs() else None

    @cached_property
    def connection_keys(self) -> "ConnectionKeys":
        from headgate.services.connection_keys import ConnectionKeys  # noqa: PLC0415

        return ConnectionKeys(self.vault, self.clock, self.settings)

    @cached_property
    def authenticate(self) -> "Authenticator":
        from headgate.services.authenticate import Authenticator  # noqa: PLC0415

        return Authenticator(
            self.accounts, self.clock, cache_s=self.settings.key_cache_s, tokens=self._tokens()
        )

    def _tokens(self) -> "TokenVerifier | None":
        from headgate.services.oidc import TokenVerifier, trust_of  # noqa: PLC0415

        given = self.settings
        trust = trust_of(given.oidc_issuer, given.oidc_audience, given.oidc_scopes_claim, self.log)
        if trust is None:
            return None
        return TokenVerifier(trust, lambda: self.transport, self.clock, self.log)

    @cached_property
    def reads(self) -> "ReadLimiter":
        from headgate.services.limit_reads import ReadLimiter  # noqa: PLC0415

        return ReadLimiter(self.clock, per_minute=self.settings.read_requests_per_minute)

    @cached_property
    def flags(self) -> "Flags":
        from headgate.services.flags import Flags  # noqa: PLC0415

        return Flags(self.accounts, self.clock, self.log)

    @cached_property
    def catalog(self) -> "Catalog":
        from headgate.services.catalog import Catalog  # noqa: PLC0415

        starts = self._adapters is not None or bool(self.settings.refresh_function)
        return Catalog(
            self.catalog_store,
            self.clock,
            self.log,
            head_check_s=self.settings.head_check_s,
            starter=self.starter if starts and self.settings.function == "models" else None,
            overrides=self.accounts if self.settings.function in ("models", "generations") else None,
        )

    @cached_property
    def reach(self) -> "ReachService":
        from headgate.services.reach import ReachService  # noqa: PLC0415

        return ReachService(
            connections=self.connections,
            projects=self.accounts,
            settings=self.accounts,
            clock=self.clock,
            log=self.log,
        )

    @cached_property
    def caller_catalog(self) -> "CallerCatalog":
        """Only `models` waits for lists of lent keys, and does without a store."""
        from headgate.services.caller_catalog import CallerCatalog  # noqa: PLC0415
        from headgate.services.key_lists import IDLE_TTL_S, ConnectionLists  # noqa: PLC0415

        lists = self.settings.function == "models"
        starts = self._adapters is not None or bool(self.settings.refresh_function)
        return CallerCatalog(
            catalog=self.catalog,
            connections=ConnectionLists(
                store=self.connections,
                reach=self.reach,
                clock=self.clock,
                log=self.log,
                ttl_s=self.settings.list_ttl_s if lists else IDLE_TTL_S,
                keep_s=self.settings.head_check_s,
                starter=self.starter if starts else None,
            ),
            reach=self.reach,
            flags=self.flags,
            audit=self.accounts,
            settings=self.settings,
            clock=self.clock,
            log=self.log,
            lent=self._lent_lists() if lists else None,
            spare=self._spare_lists() if lists else None,
        )

    def forget(self) -> None:
        """What callers and administrators have written is read anew by whoever asks for it next."""
        built = self.__dict__
        if "reach" in built:
            self.reach.forget_all()
        if "flags" in built:
            self.flags.forget()
        if "catalog" in built:
            self.catalog.look_again()
        if "caller_catalog" in built:
            self.caller_catalog.forget_all()

    def _lent_lists(self) -> "LentLists":
        from headgate.services.lent_lists import LentLists  # noqa: PLC0415

        return LentLists(
            registry=self.registry,
            base_urls=self.settings.base_url_of,
            clock=self.clock,
            log=self.log,
            ttl_s=self.settings.list_ttl_s,
        )

    def _spare_lists(self) -> "SpareLists":
        from headgate.services.spare_lists import SpareLists  # noqa: PLC0415

        return SpareLists(
            self.settings.default_providers,
            registry=self.registry,
            base_urls=self.settings.base_url_of,
            clock=self.clock,
            log=self.log,
            ttl_s=self.settings.list_ttl_s,
        )

    @cached_property
    def circuits(self) -> "Circuits":
        from headgate.services.circuits import Circuits  # noqa: PLC0415

        return Circuits(self.clock, self.log)

    @cached_property
    def binder(self) -> "Binder":
        from headgate.services.bind import Binder  # noqa: PLC0415

        return Binder(self.registry, self.platform, self.connection_keys)

    @cached_property
    def prices(self) -> "PriceTables":
        from headgate.services.price_tables import PriceTables  # noqa: PLC0415

        return PriceTables(
            store=self.catalog_store,
            transport=self.transport,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def traffic(self) -> "TrafficRecorder":
        from headgate.services.record_traffic import TrafficRecorder  # noqa: PLC0415

        return TrafficRecorder(self.catalog_store)
