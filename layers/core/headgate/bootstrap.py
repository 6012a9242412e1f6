"""The composition root: settings in, services out, and the two kinds of function that are made of them.

Everything is built on first use, so a function pays only for what its routes touch, and nothing happens at
import: Lambda may snapshot a process before its first request.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from headgate.clock import SystemClock
from headgate.domain.errors import GatewayFault
from headgate.observability import PowertoolsLog
from headgate.ports import (
    AccountStore,
    CatalogStore,
    Clock,
    GenerationStore,
    HttpTransport,
    Log,
    RefreshStarter,
    RequestSigner,
    SecretStore,
    WireRequest,
)
from headgate.settings import BUFFERED_BODY_BYTES, Settings, from_environ

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from headgate.aws.clients import AwsClients, OnCall
    from headgate.domain.secret import Secret
    from headgate.http.edge import Edge
    from headgate.providers.base import ProviderConfig
    from headgate.providers.registry import ProviderRegistry
    from headgate.services.authenticate import Authenticator
    from headgate.services.catalog import Catalog
    from headgate.services.chat import ChatService
    from headgate.services.check_health import HealthService
    from headgate.services.circuits import Circuits
    from headgate.services.explain import Explainer
    from headgate.services.limit_reads import ReadLimiter
    from headgate.services.list_models import ModelLister
    from headgate.services.manage_keys import KeyManager
    from headgate.services.platform_keys import PlatformKeys
    from headgate.services.price_tables import PriceTables
    from headgate.services.record_traffic import TrafficRecorder
    from headgate.services.refresh_catalog import CatalogRefresher
    from headgate.services.show_providers import ProviderDirectory


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """Stores that stand in for AWS, shared by the functions of one process (local runner, tests)."""

    catalog: CatalogStore
    accounts: AccountStore
    generations: GenerationStore
    secrets: SecretStore
    starter: RefreshStarter
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

        return DynamoAccountStore(self.aws, self.settings.accounts_table)

    @cached_property
    def generations(self) -> GenerationStore:
        if self._adapters is not None:
            return self._adapters.generations
        from headgate.aws.generations import DynamoGenerationStore  # noqa: PLC0415

        return DynamoGenerationStore(self.aws, self.settings.generations_table, self.clock)

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
        from headgate.net.guard import AddressGuard  # noqa: PLC0415
        from headgate.net.transport import AioTransport  # noqa: PLC0415

        guard = AddressGuard(
            allowed_hosts=frozenset(self.settings.private_hosts), allow_loopback=self.settings.local
        )
        return AioTransport(guard=guard)

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
    def authenticate(self) -> "Authenticator":
        from headgate.services.authenticate import Authenticator  # noqa: PLC0415

        return Authenticator(self.accounts, self.clock, cache_s=self.settings.key_cache_s)

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
        )

    @cached_property
    def models(self) -> "ModelLister":
        from headgate.services.list_models import ModelLister  # noqa: PLC0415

        return ModelLister(self.catalog, self.clock, self.settings)

    @cached_property
    def circuits(self) -> "Circuits":
        from headgate.services.circuits import Circuits  # noqa: PLC0415

        return Circuits(self.clock, self.log)

    @cached_property
    def chat(self) -> "ChatService":
        from headgate.services.chat import ChatService  # noqa: PLC0415

        return ChatService(
            catalog=self.catalog,
            registry=self.registry,
            platform=self.platform,
            generations=self.generations,
            circuits=self.circuits,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def explain(self) -> "Explainer":
        from headgate.services.explain import Explainer  # noqa: PLC0415

        return Explainer(self.chat, self.catalog)

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
    def providers(self) -> "ProviderDirectory":
        from headgate.services.show_providers import ProviderDirectory  # noqa: PLC0415

        return ProviderDirectory(self.registry)

    @cached_property
    def keys(self) -> "KeyManager":
        from headgate.services.manage_keys import KeyManager  # noqa: PLC0415

        return KeyManager(self.accounts, self.clock, self.log)

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


type OnEvent = Callable[[Container, Any], Awaitable[Any]]


class Function:
    """What one Lambda function is made of. `configure` is called by the local runner and tests, before use;
    on Lambda the environment is the process's own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._environ: Mapping[str, str] | None = None
        self._adapters: Adapters | None = None
        self._on_aws_call: OnCall | None = None
        self._settings: Settings | None = None
        self._containers: WeakKeyDictionary[asyncio.AbstractEventLoop, Container] = WeakKeyDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy = threading.Lock()

    def configure(
        self,
        environ: Mapping[str, str] | None = None,
        adapters: Adapters | None = None,
        *,
        on_aws_call: "OnCall | None" = None,
    ) -> None:
        """Sets the environment and the stores this function works on; forgets what was built before."""
        self._environ = environ
        self._adapters = adapters
        self._on_aws_call = on_aws_call
        self._settings = None
        self._containers.clear()

    @property
    def settings(self) -> Settings:
        """Read once. Raises GatewayFault for a variable that can't be read."""
        if self._settings is None:
            self._settings = from_environ(self.name, self._environ)
        return self._settings

    @property
    def services(self) -> Container:
        """The services of the running event loop."""
        loop = asyncio.get_running_loop()
        container = self._containers.get(loop)
        if container is None:
            adapters = self._adapters
            if adapters is None and self.settings.store == "memory":
                adapters = self._adapters = memory_adapters(self.settings)
            container = Container(self.settings, adapters, on_aws_call=self._on_aws_call)
            self._containers[loop] = container
        return container

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Runs to the end on this function's own loop, which outlives the call: so do its connections."""
        with self._busy:
            loop = self._own_loop()
            return loop.run_until_complete(_as_coroutine(work))

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        return self._loop

    def close(self) -> None:
        """Gives back what this function's own loop holds. Lambda never asks for it: it stops the process."""
        loop, self._loop = self._loop, None
        if loop is None or loop.is_closed():
            return
        container = self._containers.pop(loop, None)
        if container is not None:
            loop.run_until_complete(container.close())
        loop.close()


async def _as_coroutine(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


class EventFunction(Function):
    """A function that is invoked with an event: by a schedule, a stream, or another function."""

    def __init__(self, name: str, on_event: OnEvent) -> None:
        super().__init__(name)
        self._on_event = on_event

    def handler(self, event: Any, context: Any) -> Any:
        """The Lambda handler."""
        del context
        return self.run(lambda: self._on_event(self.services, event))


class HttpFunction(Function):
    """A function that serves routes, and may take other events beside."""

    def __init__(
        self, name: str, routers: "Iterable[APIRouter]", *, buffered: bool, on_event: OnEvent | None = None
    ) -> None:
        super().__init__(name)
        from headgate.http.app import create_app  # noqa: PLC0415 - event functions do without FastAPI
        from headgate.http.edge import EdgeConfig  # noqa: PLC0415

        self._on_event = on_event
        self._buffered = buffered
        self.edge: EdgeConfig = EdgeConfig(PowertoolsLog(name))
        self.app: Edge = create_app(routers, self)
        self._mangum: Callable[[Any, Any], Any] | None = None

    @property
    def services(self) -> Container:
        container = super().services
        if not self.edge.ready:
            self._configure_edge(container)
        return container

    def configure(
        self,
        environ: Mapping[str, str] | None = None,
        adapters: Adapters | None = None,
        *,
        on_aws_call: "OnCall | None" = None,
    ) -> None:
        super().configure(environ, adapters, on_aws_call=on_aws_call)
        self.edge.ready = False

    def _configure_edge(self, container: Container) -> None:
        settings = container.settings
        limit = (
            min(settings.max_body_bytes, BUFFERED_BODY_BYTES) if self._buffered else settings.max_body_bytes
        )
        self.edge.configure(log=container.log, cors_origins=settings.cors_origins, limit_bytes=limit)

    @asynccontextmanager
    async def lifespan(self, _app: "FastAPI") -> AsyncIterator[None]:
        """Under a server: builds before the first request, gives connections up after the last."""
        services = self.services
        await services.warm()
        try:
            yield
        finally:
            await services.close()

    def handler(self, event: Any, context: Any) -> Any:
        """The Lambda handler: HTTP events by Mangum, buffered; others by `on_event`."""
        if "httpMethod" in event or "requestContext" in event:
            return self._serve(event, context)
        if self._on_event is None:
            raise GatewayFault(f"{self.name} takes no such event.")
        on_event = self._on_event
        return self.run(lambda: on_event(self.services, event))

    def _serve(self, event: Any, context: Any) -> Any:
        with self._busy:
            asyncio.set_event_loop(self._own_loop())
            if self._mangum is None:
                from mangum import Mangum  # noqa: PLC0415 - only where there is no server in front

                self._mangum = Mangum(self.app, lifespan="off")
            return self._mangum(event, context)


def memory_adapters(settings: Settings) -> Adapters:
    """Stores in this process alone; keys from the environment."""
    from headgate.testing import memory  # noqa: PLC0415

    return Adapters(
        catalog=memory.MemoryCatalogStore(),
        accounts=memory.MemoryAccountStore(),
        generations=memory.MemoryGenerationStore(),
        secrets=memory.EnvSecretStore(settings.provider_environ),
        starter=memory.MemoryRefreshStarter(),
    )
