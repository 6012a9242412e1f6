"""The composition root: settings in, services out.

Everything is built on first use, so a function pays only for what its routes touch.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from headgate.clock import SystemClock
from headgate.observability import PowertoolsLog
from headgate.ports import (
    AccountStore,
    CatalogStore,
    Clock,
    ConnectionStore,
    GenerationStore,
    HttpTransport,
    KeyVault,
    Ledger,
    Log,
    RefreshStarter,
    RequestSigner,
    SecretStore,
    UsageStore,
    WebhookStore,
    WireRequest,
)
from headgate.settings import Settings

if TYPE_CHECKING:
    from headgate.aws.clients import AwsClients, OnCall
    from headgate.domain.secret import Secret
    from headgate.net.guard import AddressGuard
    from headgate.providers.base import ProviderConfig
    from headgate.providers.registry import ProviderRegistry
    from headgate.services.authenticate import Authenticator
    from headgate.services.bind import Binder
    from headgate.services.caller_catalog import CallerCatalog
    from headgate.services.catalog import Catalog
    from headgate.services.chat import ChatService
    from headgate.services.check_connection import ConnectionChecker
    from headgate.services.check_health import HealthService
    from headgate.services.circuits import Circuits
    from headgate.services.connection_keys import ConnectionKeys
    from headgate.services.explain import Explainer
    from headgate.services.flags import FlagManager, Flags
    from headgate.services.grant_credits import CreditsOffice
    from headgate.services.lent_lists import LentLists
    from headgate.services.limit_reads import ReadLimiter
    from headgate.services.list_models import ModelLister
    from headgate.services.manage_connections import ConnectionManager
    from headgate.services.manage_keys import KeyManager
    from headgate.services.manage_projects import ProjectManager
    from headgate.services.manage_settings import SettingsManager
    from headgate.services.manage_webhooks import WebhookManager
    from headgate.services.oidc import TokenVerifier
    from headgate.services.once import Repeats
    from headgate.services.override_models import OverrideManager
    from headgate.services.platform_keys import PlatformKeys
    from headgate.services.price_tables import PriceTables
    from headgate.services.reach import ReachService
    from headgate.services.record_traffic import TrafficRecorder
    from headgate.services.record_usage import UsageRecorder
    from headgate.services.refresh_catalog import CatalogRefresher
    from headgate.services.refresh_connections import ConnectionRefresher
    from headgate.services.show_account import AccountOverview
    from headgate.services.show_providers import ProviderDirectory
    from headgate.services.show_usage import UsageReporter
    from headgate.services.spare_lists import SpareLists
    from headgate.services.sweep import Sweeper


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """Stores that stand in for AWS, shared by the functions of one process (local runner, tests)."""

    catalog: CatalogStore
    accounts: AccountStore
    connections: ConnectionStore
    generations: GenerationStore
    ledger: Ledger
    vault: KeyVault
    webhooks: WebhookStore
    secrets: SecretStore
    starter: RefreshStarter
    usage: UsageStore
    clock: Clock | None = None
    log: Log | None = None
    transport: HttpTransport | None = None
    signer: RequestSigner | None = None


class _SignerOnCall:
    """A signer that is made when the first request is to be signed: most providers ask for none."""

    def __init__(self, make: Callable[[], RequestSigner]) -> None:
        self._make = make

    async def sign(self, request: WireRequest, *, service: str, region: str) -> "Mapping[str, str | Secret]":
        return await self._make().sign(request, service=service, region=region)


class Container:
    """One function's services, each built once, when first asked for. Belongs to one event loop."""

    def __init__(
        self, settings: Settings, adapters: Adapters | None = None, *, on_aws_call: "OnCall | None" = None
    ) -> None:
        self.settings = settings
        self._adapters = adapters
        self._on_aws_call = on_aws_call

    # -- adapters -------------------------------------------------------------------------------------------

    @cached_property
    def clock(self) -> Clock:
        given = self._adapters.clock if self._adapters is not None else None
        return given or SystemClock()

    @cached_property
    def log(self) -> Log:
        given = self._adapters.log if self._adapters is not None else None
        return given or PowertoolsLog(self.settings.function, self.settings.log_level)

    @cached_property
    def aws(self) -> "AwsClients":
        from headgate.aws.clients import AwsClients  # noqa: PLC0415

        return AwsClients(
            region=self.settings.aws_region,
            endpoint_url=self.settings.aws_endpoint_url,
            endpoints={"lambda": self.settings.aws_lambda_endpoint_url},
            on_call=self._on_aws_call,
        )

    @cached_property
    def catalog_store(self) -> CatalogStore:
        if self._adapters is not None:
            return self._adapters.catalog
        from headgate.aws.catalog import DynamoCatalogStore  # noqa: PLC0415

        return DynamoCatalogStore(self.aws, self.settings.catalog_table, self.clock)

    @cached_property
    def accounts(self) -> AccountStore:
        if self._adapters is not None:
            return self._adapters.accounts
        from headgate.aws.accounts import DynamoAccountStore  # noqa: PLC0415

        return DynamoAccountStore(self.aws, self.settings.accounts_table, self.clock)

    @cached_property
    def connections(self) -> ConnectionStore:
        if self._adapters is not None:
            return self._adapters.connections
        from headgate.aws.connections import DynamoConnectionStore  # noqa: PLC0415

        return DynamoConnectionStore(
            self.aws, self.settings.connections_table, self.settings.accounts_table, self.clock
        )

    @cached_property
    def webhook_store(self) -> WebhookStore:
        if self._adapters is not None:
            return self._adapters.webhooks
        from headgate.aws.webhooks import DynamoWebhookStore  # noqa: PLC0415

        return DynamoWebhookStore(self.aws, self.settings.connections_table, self.settings.accounts_table)

    @cached_property
    def vault(self) -> KeyVault:
        if self._adapters is not None:
            return self._adapters.vault
        from headgate.aws.kms import KmsVault  # noqa: PLC0415

        return KmsVault(self.aws, self.settings.kms_key_id)

    @cached_property
    def generations(self) -> GenerationStore:
        if self._adapters is not None:
            return self._adapters.generations
        from headgate.aws.generations import DynamoGenerationStore  # noqa: PLC0415

        return DynamoGenerationStore(
            self.aws,
            self.settings.generations_table,
            self.clock,
            ledger_table=self.settings.ledger_table,
        )

    @cached_property
    def ledger(self) -> Ledger:
        if self._adapters is not None:
            return self._adapters.ledger
        from headgate.aws.ledger import DynamoLedger  # noqa: PLC0415

        return DynamoLedger(self.aws, self.settings.ledger_table, accounts_table=self.settings.accounts_table)

    @cached_property
    def usage_store(self) -> UsageStore:
        if self._adapters is not None:
            return self._adapters.usage
        from headgate.aws.usage import DynamoUsageStore  # noqa: PLC0415

        return DynamoUsageStore(self.aws, self.settings.ledger_table, self.clock)

    @cached_property
    def secrets(self) -> SecretStore:
        if self._adapters is not None:
            return self._adapters.secrets
        from headgate.aws.secrets import SecretsManagerStore  # noqa: PLC0415

        return SecretsManagerStore(self.aws, prefix=self.settings.secret_prefix)

    @cached_property
    def starter(self) -> RefreshStarter:
        if self._adapters is not None:
            return self._adapters.starter
        from headgate.aws.refresh import LambdaRefreshStarter  # noqa: PLC0415

        return LambdaRefreshStarter(self.aws, self.settings.refresh_function)

    @cached_property
    def transport(self) -> HttpTransport:
        given = self._adapters.transport if self._adapters is not None else None
        if given is not None:
            return given
        from headgate.net.transport import AioTransport  # noqa: PLC0415

        return AioTransport(guard=self.guard)

    @cached_property
    def guard(self) -> "AddressGuard":
        """Which addresses callers may name, and which may then be connected to."""
        from headgate.net.guard import AddressGuard  # noqa: PLC0415

        return AddressGuard(
            allowed_hosts=frozenset(self.settings.private_hosts), allow_loopback=self.settings.local
        )

    @cached_property
    def signer(self) -> RequestSigner:
        given = self._adapters.signer if self._adapters is not None else None
        if given is not None:
            return given
        from headgate.aws.signing import RoleSigner  # noqa: PLC0415

        return RoleSigner(self.aws)

    # -- services -------------------------------------------------------------------------------------------

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

    @cached_property
    def connection_keys(self) -> "ConnectionKeys":
        from headgate.services.connection_keys import ConnectionKeys  # noqa: PLC0415

        return ConnectionKeys(self.vault, self.clock, self.settings)

    @cached_property
    def connection_manager(self) -> "ConnectionManager":
        from headgate.services.manage_connections import ConnectionManager  # noqa: PLC0415

        starts = self._adapters is not None or bool(self.settings.refresh_function)
        return ConnectionManager(
            store=self.connections,
            vault=self.vault,
            registry=self.registry,
            addresses=self.guard,
            starter=self.starter if starts else None,
            log=self.log,
        )

    @cached_property
    def webhooks(self) -> "WebhookManager":
        from headgate.services.manage_webhooks import WebhookManager  # noqa: PLC0415

        return WebhookManager(store=self.webhook_store, vault=self.vault, addresses=self.guard, log=self.log)

    @cached_property
    def connection_checker(self) -> "ConnectionChecker":
        from headgate.services.check_connection import ConnectionChecker  # noqa: PLC0415

        return ConnectionChecker(
            store=self.connections,
            binder=self.binder,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
        )

    @cached_property
    def connection_refresher(self) -> "ConnectionRefresher":
        from headgate.services.refresh_connections import ConnectionRefresher  # noqa: PLC0415

        return ConnectionRefresher(
            store=self.connections,
            binder=self.binder,
            prices=self.prices,
            leases=self.catalog_store,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
        )

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
    def caller_catalog(self) -> "CallerCatalog":
        """Only `models` waits for lists of lent keys, and does without a store."""
        from headgate.services.caller_catalog import CallerCatalog  # noqa: PLC0415
        from headgate.services.key_lists import ConnectionLists  # noqa: PLC0415

        lists = self.settings.function == "models"
        starts = self._adapters is not None or bool(self.settings.refresh_function)
        return CallerCatalog(
            catalog=self.catalog,
            connections=ConnectionLists(
                store=self.connections,
                reach=self.reach,
                clock=self.clock,
                log=self.log,
                ttl_s=self.settings.list_ttl_s,
                keep_s=self.settings.head_check_s,
                starter=self.starter if starts and lists else None,
            ),
            flags=self.flags,
            settings=self.settings,
            clock=self.clock,
            log=self.log,
            lent=self._lent_lists() if lists else None,
            spare=self._spare_lists() if lists else None,
        )

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
    def overrides(self) -> "OverrideManager":
        from headgate.services.override_models import OverrideManager  # noqa: PLC0415

        return OverrideManager(self.accounts)

    @cached_property
    def models(self) -> "ModelLister":
        from headgate.services.list_models import ModelLister  # noqa: PLC0415

        return ModelLister(self.catalog, self.clock, self.settings)

    @cached_property
    def circuits(self) -> "Circuits":
        from headgate.services.circuits import Circuits  # noqa: PLC0415

        return Circuits(self.clock, self.log)

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
    def binder(self) -> "Binder":
        from headgate.services.bind import Binder  # noqa: PLC0415

        return Binder(self.registry, self.platform, self.connection_keys)

    @cached_property
    def chat(self) -> "ChatService":
        from headgate.services.chat import ChatService  # noqa: PLC0415

        return ChatService(
            catalog=self.catalog,
            seen=self.caller_catalog,
            registry=self.registry,
            platform=self.platform,
            binder=self.binder,
            reach=self.reach,
            generations=self.generations,
            circuits=self.circuits,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def repeats(self) -> "Repeats":
        from headgate.services.once import Repeats  # noqa: PLC0415

        return Repeats(self.generations)

    @cached_property
    def explain(self) -> "Explainer":
        from headgate.services.explain import Explainer  # noqa: PLC0415

        return Explainer(self.chat)

    @cached_property
    def health(self) -> "HealthService":
        from headgate.services.check_health import HealthService  # noqa: PLC0415

        return HealthService(
            store=self.catalog_store,
            registry=self.registry,
            platform=self.platform,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def refresher(self) -> "CatalogRefresher":
        from headgate.services.refresh_catalog import CatalogRefresher  # noqa: PLC0415

        return CatalogRefresher(
            store=self.catalog_store,
            registry=self.registry,
            platform=self.platform,
            prices=self.prices,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def sweeper(self) -> "Sweeper":
        from headgate.services.sweep import Sweeper  # noqa: PLC0415

        return Sweeper(self.generations, self.clock, self.log)

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

    @cached_property
    def usage_recorder(self) -> "UsageRecorder":
        from headgate.services.record_usage import UsageRecorder  # noqa: PLC0415

        return UsageRecorder(self.usage_store, self.traffic, self.accounts)

    @cached_property
    def usage(self) -> "UsageReporter":
        from headgate.services.show_usage import UsageReporter  # noqa: PLC0415

        return UsageReporter(self.usage_store)

    @cached_property
    def providers(self) -> "ProviderDirectory":
        from headgate.services.show_providers import ProviderDirectory  # noqa: PLC0415

        return ProviderDirectory(self.registry)

    @cached_property
    def keys(self) -> "KeyManager":
        from headgate.services.manage_keys import KeyManager  # noqa: PLC0415

        return KeyManager(self.accounts, self.clock, self.log)

    @cached_property
    def projects(self) -> "ProjectManager":
        from headgate.services.manage_projects import ProjectManager  # noqa: PLC0415

        return ProjectManager(self.accounts)

    @cached_property
    def user_settings(self) -> "SettingsManager":
        from headgate.services.manage_settings import SettingsManager  # noqa: PLC0415

        return SettingsManager(self.accounts, self.connections, self._slug_of)

    def _slug_of(self, name: str) -> str | None:
        """The slug of a provider by any of its names."""
        from headgate.providers.registry import canonical_slug  # noqa: PLC0415

        slug = canonical_slug(name)
        return slug if slug in self._known_slugs() else None

    @cached_property
    def credits(self) -> "CreditsOffice":
        from headgate.services.grant_credits import CreditsOffice  # noqa: PLC0415

        return CreditsOffice(self.ledger)

    @cached_property
    def account(self) -> "AccountOverview":
        from headgate.services.show_account import AccountOverview  # noqa: PLC0415

        return AccountOverview(self.accounts, self.ledger, self.usage_store, self.clock)

    @cached_property
    def flags(self) -> "Flags":
        from headgate.services.flags import Flags  # noqa: PLC0415

        return Flags(self.accounts, self.clock, self.log)

    @cached_property
    def flag_manager(self) -> "FlagManager":
        from headgate.services.flags import FlagManager  # noqa: PLC0415

        return FlagManager(self.accounts)

    async def warm(self) -> None:
        """Makes and imports, before the first request, what every request needs."""
        if self.settings.function == "generations":
            _ = self.chat, self.transport
        if self._adapters is None:
            await self.aws.warm("dynamodb")

    async def close(self) -> None:
        """Gives connections up."""
        if "registry" in self.__dict__:
            await self.registry.close()
        if "transport" in self.__dict__:
            await self.transport.close()


def memory_adapters(settings: Settings) -> Adapters:
    """Stores in this process alone; keys from the environment."""
    from headgate.testing import memory  # noqa: PLC0415

    accounts = memory.MemoryAccountStore()
    ledger = memory.MemoryLedger(accounts)
    return Adapters(
        catalog=memory.MemoryCatalogStore(),
        accounts=accounts,
        connections=memory.MemoryConnectionStore(audit=accounts),
        vault=memory.MemoryVault(),
        webhooks=memory.MemoryWebhookStore(accounts),
        generations=memory.MemoryGenerationStore(ledger=ledger),
        ledger=ledger,
        secrets=memory.EnvSecretStore(settings.provider_environ),
        starter=memory.MemoryRefreshStarter(),
        usage=memory.MemoryUsageStore(),
    )
