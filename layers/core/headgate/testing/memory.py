"""Every shipped fake, under one name: they pass the same contract suite as the real adapters."""

from headgate.clock import SystemClock
from headgate.testing.accounts import MemoryAccountStore
from headgate.testing.catalog import MemoryCatalogStore
from headgate.testing.clock import ManualClock
from headgate.testing.connections import MemoryConnectionStore
from headgate.testing.generations import MemoryGenerationStore
from headgate.testing.ledger import MemoryLedger
from headgate.testing.logs import LogEntry, MemoryLog, NullLog
from headgate.testing.refresh import MemoryRefreshStarter
from headgate.testing.secrets import EnvSecretStore, MemorySecretStore
from headgate.testing.transport import Answer, ScriptedResponse, ScriptedTransport
from headgate.testing.usage import MemoryUsageStore
from headgate.testing.vault import MemoryVault
from headgate.testing.webhooks import MemoryWebhookStore

__all__ = [
    "Answer",
    "EnvSecretStore",
    "LogEntry",
    "ManualClock",
    "MemoryAccountStore",
    "MemoryCatalogStore",
    "MemoryConnectionStore",
    "MemoryGenerationStore",
    "MemoryLedger",
    "MemoryLog",
    "MemoryRefreshStarter",
    "MemorySecretStore",
    "MemoryUsageStore",
    "MemoryVault",
    "MemoryWebhookStore",
    "NullLog",
    "ScriptedResponse",
    "ScriptedTransport",
    "SystemClock",
]
