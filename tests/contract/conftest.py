"""Each port, twice: the shipped fake, and the real adapter against moto in a process of its own."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.catalog import DynamoCatalogStore
from headgate.aws.clients import AwsClients, AwsTuning
from headgate.aws.connections import DynamoConnectionStore
from headgate.aws.generations import DynamoGenerationStore
from headgate.aws.ledger import DynamoLedger
from headgate.aws.shares import Sharing
from headgate.aws.usage import DynamoUsageStore
from headgate.ports import (
    AccountStore,
    AuditLog,
    CatalogStore,
    ConnectionStore,
    GenerationStore,
    Ledger,
    UsageStore,
)
from headgate.testing.memory import (
    ManualClock,
    MemoryAccountStore,
    MemoryCatalogStore,
    MemoryConnectionStore,
    MemoryGenerationStore,
    MemoryLedger,
    MemoryUsageStore,
)
from tests.contract.tables import create_table_request
from tests.support.conflicts import meeting

KINDS = ["memory", "aws"]
ROOT = Path(__file__).parents[2]

_PRETENDED = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass(frozen=True, slots=True)
class AwsCall:
    service: str
    operation: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Connections:
    """A store of connections, and where its audit events go."""

    store: ConnectionStore
    log: AccountStore
    is_aws: bool

    async def audited(self) -> set[str]:
        return {event.id for event in await self.log.read_audit(after=None, limit=1_000)}


@dataclass(slots=True)
class Aws:
    """moto, clients for it, and every call they made."""

    endpoint_url: str
    clients: AwsClients
    calls: list[AwsCall] = field(default_factory=list)

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The address of a moto server that this session started: the local runner's, which lets one DynamoDB
    request in at a time. Without that a transaction that fails undoes what others wrote, and limits leak.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "dev.moto_process"],
        cwd=ROOT,
        env={**os.environ, **_PRETENDED, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        if process.stdout is None or not (port := process.stdout.readline().strip()):
            raise RuntimeError("moto ended before it could serve")
        try:
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def _session_aws(moto_endpoint: str) -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _PRETENDED.items():
            patch.setenv(name, value)
        calls: list[AwsCall] = []
        clients = AwsClients(
            region="us-east-1",
            endpoint_url=moto_endpoint,
            tuning=AwsTuning(read_timeout_s=60.0),  # moto takes what a busy machine leaves it
            on_call=lambda service, operation, params: calls.append(AwsCall(service, operation, params)),
        )
        yield Aws(moto_endpoint, clients, calls)
        clients.close()


@pytest.fixture
def aws(_session_aws: Aws) -> Aws:
    _session_aws.calls.clear()
    return _session_aws


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def admin(_session_aws: Aws) -> Iterator[Any]:
    """A client beside the adapters', for what only an operator does."""
    client = Session(region_name="us-east-1").client("dynamodb", endpoint_url=_session_aws.endpoint_url)
    yield client
    client.close()


@pytest.fixture
def make_table(admin: Any) -> Iterator[Callable[[str], str]]:
    """Creates a table of the template under a name of its own, for this test; gives the name."""
    made: list[str] = []

    def make(logical_id: str) -> str:
        name = f"{logical_id}-{uuid.uuid4().hex[:8]}"
        admin.create_table(**create_table_request(logical_id, name))
        made.append(name)
        return name

    yield make
    for name in made:
        admin.delete_table(TableName=name)


@pytest.fixture(params=KINDS)
def catalog(request: pytest.FixtureRequest, clock: ManualClock) -> CatalogStore:
    if request.param == "memory":
        return MemoryCatalogStore(clock)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoCatalogStore(aws.clients, make_table("CatalogTable"), clock)


@pytest.fixture(params=KINDS)
def accounts(request: pytest.FixtureRequest, clock: ManualClock) -> AccountStore:
    if request.param == "memory":
        return MemoryAccountStore(clock)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoAccountStore(aws.clients, make_table("AccountsTable"), clock)


@dataclass(frozen=True, slots=True)
class Money:
    """A ledger, and the store of generations that holds and settles in it."""

    ledger: Ledger
    generations: GenerationStore
    audit: AuditLog


SPREAD = Sharing(shards=4, enough=0, smallest_nanousd=1)
"""Whatever a user has is spread as soon as a transaction meets another."""


@pytest.fixture(params=[*KINDS, "aws, spread"])
def money(request: pytest.FixtureRequest, clock: ManualClock) -> Money:
    if request.param == "memory":
        log = MemoryAccountStore(clock)
        books = MemoryLedger(log)
        return Money(books, MemoryGenerationStore(clock, ledger=books), log)
    clients, make_table = request.getfixturevalue("aws").clients, request.getfixturevalue("make_table")
    table, accounts_table = make_table("LedgerTable"), make_table("AccountsTable")
    sharing = Sharing()
    if request.param == "aws, spread":
        clients, sharing = meeting(clients), SPREAD
    return Money(
        DynamoLedger(clients, table, accounts_table=accounts_table, sharing=sharing),
        DynamoGenerationStore(
            clients, make_table("GenerationsTable"), clock, ledger_table=table, sharing=sharing
        ),
        DynamoAccountStore(clients, accounts_table, clock),
    )


@pytest.fixture(params=KINDS)
def generations(request: pytest.FixtureRequest, clock: ManualClock) -> GenerationStore:
    if request.param == "memory":
        return MemoryGenerationStore(clock)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoGenerationStore(aws.clients, make_table("GenerationsTable"), clock)


@pytest.fixture(params=KINDS)
def connections(request: pytest.FixtureRequest, clock: ManualClock) -> Connections:
    if request.param == "memory":
        log = MemoryAccountStore()
        return Connections(MemoryConnectionStore(clock, log), log, is_aws=False)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    table, accounts_table = make_table("ConnectionsTable"), make_table("AccountsTable")
    return Connections(
        DynamoConnectionStore(aws.clients, table, accounts_table, clock),
        DynamoAccountStore(aws.clients, accounts_table),
        is_aws=True,
    )


@pytest.fixture(params=KINDS)
def usage(request: pytest.FixtureRequest, clock: ManualClock) -> UsageStore:
    if request.param == "memory":
        return MemoryUsageStore(clock)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoUsageStore(aws.clients, make_table("LedgerTable"), clock)
