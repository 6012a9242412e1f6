"""The real composition root on the shipped fakes: as many processes as a test wants, over the same stores."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from headgate.bootstrap import Adapters, Container
from headgate.domain.callers import Caller, KeyLimits, Scope
from headgate.domain.catalog import ModelInfo, SnapshotHead
from headgate.domain.health import ProviderHealth
from headgate.ports import GenerationStore
from headgate.settings import from_environ
from headgate.testing.memory import (
    ManualClock,
    MemoryAccountStore,
    MemoryCatalogStore,
    MemoryConnectionStore,
    MemoryGenerationStore,
    MemoryLedger,
    MemoryLog,
    MemoryRefreshStarter,
    MemorySecretStore,
    MemoryUsageStore,
    MemoryVault,
    MemoryWebhookStore,
    ScriptedTransport,
)
from tests.support.models import snapshot
from tests.support.provider import FakeProvider, fake_provider

KEY = "sk-test-0123456789"
ANN = Caller(user_id="ann", key_id="key_ann", scopes=frozenset({Scope.GENERATE, Scope.MODELS_READ}))


def ann(**fields: Any) -> Caller:
    return replace(ANN, **fields)


def limited(requests_per_minute: int) -> Caller:
    return ann(limits=KeyLimits(requests_per_minute=requests_per_minute))


class Counted:
    """Passes every call on to `inner`, and keeps the names of the calls."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            self.calls.append(name)
            return found(*given, **named)

        return call


class Bench:
    """Stores, a clock, a log and a scripted network; fake providers `slugs`, each with a platform key."""

    def __init__(self, *slugs: str, environ: Mapping[str, str] | None = None) -> None:
        self.environ = dict(environ or {})
        self.clock = ManualClock()
        self.log = MemoryLog()
        self.catalog_store = MemoryCatalogStore(self.clock)
        self.catalog_calls = Counted(self.catalog_store)
        self.accounts = MemoryAccountStore(self.clock)
        self.account_calls = Counted(self.accounts)
        self.connections = MemoryConnectionStore(self.clock, self.accounts)
        self.vault = MemoryVault()
        self.webhooks = MemoryWebhookStore(self.accounts)
        self.ledger = MemoryLedger(self.accounts)
        self.generations = MemoryGenerationStore(self.clock, ledger=self.ledger)
        self.generation_calls = Counted(self.generations)
        self.secrets = MemorySecretStore({slug: {"api_key": KEY} for slug in slugs})
        self.starter = MemoryRefreshStarter()
        self.usage = MemoryUsageStore(self.clock)
        self.transport = ScriptedTransport()
        self.providers: dict[str, FakeProvider] = {slug: fake_provider(slug) for slug in slugs}

    @property
    def adapters(self) -> Adapters:
        """All of them; the stores count who calls them."""
        return Adapters(
            catalog=cast("MemoryCatalogStore", self.catalog_calls),
            accounts=cast("MemoryAccountStore", self.account_calls),
            connections=self.connections,
            vault=self.vault,
            webhooks=self.webhooks,
            generations=cast("GenerationStore", self.generation_calls),
            ledger=self.ledger,
            secrets=self.secrets,
            starter=self.starter,
            usage=self.usage,
            clock=self.clock,
            log=self.log,
            transport=self.transport,
        )

    def process(self, function: str = "generations", **environ: str) -> Container:
        """A process of that function, which shares everything but its memory with the others."""
        container = Container(from_environ(function, self.environ | environ), self.adapters)
        self.register(container)
        return container

    def register(self, container: Container) -> None:
        for provider in self.providers.values():
            container.registry.register(provider)

    async def publish(
        self, slug: str, *models: ModelInfo, fresh_s: float = 600, stale_s: float = 86_400
    ) -> None:
        """Puts a list into the store, as a refresh that happened now would."""
        made = snapshot(slug, *models, now=self.clock.now(), fresh_s=fresh_s, stale_s=stale_s)
        head = (await self.catalog_store.read_heads()).get(slug)
        if head is not None and head.version == made.head.version:
            await self.catalog_store.write_head(made.head)
        else:
            assert await self.catalog_store.write_snapshot(made, replaces=head.version if head else None)

    async def head(self, slug: str) -> SnapshotHead:
        return (await self.catalog_store.read_heads())[slug]

    async def health(self, slug: str) -> ProviderHealth:
        return (await self.catalog_store.read_health())[slug]

    async def changes(self) -> list[tuple[str, str, str | None]]:
        """Type, provider and model of all change events, oldest first."""
        events = await self.catalog_store.read_changes(after=None, limit=10_000)
        return [(event.type.value, event.provider, event.model_id) for event in events]

    def count(self, calls: Counted, names: Iterable[str]) -> int:
        return sum(call in set(names) for call in calls.calls)
