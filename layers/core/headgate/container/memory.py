"""Stores that stand in for AWS, in this process alone."""

from headgate.container.outside import Adapters
from headgate.settings import Settings


def memory_adapters(settings: Settings) -> Adapters:
    """New, empty ones; platform keys come from the environment."""
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
