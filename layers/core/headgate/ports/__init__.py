"""What the services need of the outside world, as small protocols. Adapters live in `aws`, `net`, `testing`.

Every method that talks to a store raises `GatewayFault` (`gateway_unavailable`) when it can't be reached or
throttles; nothing else of the adapter's own exceptions gets out.
"""

from headgate.ports.accounts import (
    AccountStore,
    AuditLog,
    Begun,
    FlagStore,
    KeyStore,
    OnceStore,
    OverrideStore,
    ProjectStore,
    SettingsStore,
)
from headgate.ports.ambient import Clock, Log, SecretStore
from headgate.ports.catalog import MAX_TABLE_BYTES, CatalogStore, RefreshStarter
from headgate.ports.connections import ConnectionModels, ConnectionStore, KeyVault, Unsealable
from headgate.ports.generations import MAX_ANSWER_BYTES, AlreadyClaimed, GenerationStore
from headgate.ports.ledger import MAX_USAGE_CELLS, Ledger, TooMuchUsage, UsageStore
from headgate.ports.webhooks import WebhookStore
from headgate.ports.wire import HttpTransport, RequestSigner, WireRequest, WireResponse

__all__ = [
    "MAX_ANSWER_BYTES",
    "MAX_TABLE_BYTES",
    "MAX_USAGE_CELLS",
    "AccountStore",
    "AlreadyClaimed",
    "AuditLog",
    "Begun",
    "CatalogStore",
    "Clock",
    "ConnectionModels",
    "ConnectionStore",
    "FlagStore",
    "GenerationStore",
    "HttpTransport",
    "KeyStore",
    "KeyVault",
    "Ledger",
    "Log",
    "OnceStore",
    "OverrideStore",
    "ProjectStore",
    "RefreshStarter",
    "RequestSigner",
    "SecretStore",
    "SettingsStore",
    "TooMuchUsage",
    "Unsealable",
    "UsageStore",
    "WebhookStore",
    "WireRequest",
    "WireResponse",
]
