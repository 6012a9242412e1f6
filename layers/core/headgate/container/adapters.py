"""Stores that stand in for AWS."""

from dataclasses import dataclass

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
)
from headgate.settings import Settings


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
