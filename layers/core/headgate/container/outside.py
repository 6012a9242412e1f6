"""What services stand on: AWS, the network, time; or what stands in for them."""

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
)
from headgate.settings import Settings

if TYPE_CHECKING:
    from headgate.aws.clients import AwsClients, OnCall
    from headgate.net.guard import AddressGuard


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


class Outside:
    """The adapters of one function, each built when it is first asked for."""

    def __init__(
        self, settings: Settings, adapters: Adapters | None = None, *, on_aws_call: "OnCall | None" = None
    ) -> None:
        self.settings = settings
        self._adapters = adapters
        self._on_aws_call = on_aws_call

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
