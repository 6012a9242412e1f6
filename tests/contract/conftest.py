"""Each port, twice: the shipped fake, and the real adapter against moto in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from boto3.session import Session

from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.catalog import DynamoCatalogStore
from headgate.aws.clients import AwsClients
from headgate.aws.generations import DynamoGenerationStore
from headgate.ports import AccountStore, CatalogStore, GenerationStore
from headgate.testing.memory import (
    ManualClock,
    MemoryAccountStore,
    MemoryCatalogStore,
    MemoryGenerationStore,
)
from tests.contract.tables import create_table_request

KINDS = ["memory", "aws"]

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
    """The address of a moto server that this session started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **_PRETENDED},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def _session_aws(moto_endpoint: str) -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _PRETENDED.items():
            patch.setenv(name, value)
        calls: list[AwsCall] = []
        clients = AwsClients(
            region="us-east-1",
            endpoint_url=moto_endpoint,
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
def _admin(_session_aws: Aws) -> Iterator[Any]:
    """A client beside the adapters', for what only an operator does."""
    client = Session(region_name="us-east-1").client("dynamodb", endpoint_url=_session_aws.endpoint_url)
    yield client
    client.close()


@pytest.fixture
def make_table(_admin: Any) -> Iterator[Callable[[str], str]]:
    """Creates a table of the template under a name of its own, for this test; gives the name."""
    made: list[str] = []

    def make(logical_id: str) -> str:
        name = f"{logical_id}-{uuid.uuid4().hex[:8]}"
        _admin.create_table(**create_table_request(logical_id, name))
        made.append(name)
        return name

    yield make
    for name in made:
        _admin.delete_table(TableName=name)


@pytest.fixture(params=KINDS)
def catalog(request: pytest.FixtureRequest, clock: ManualClock) -> CatalogStore:
    if request.param == "memory":
        return MemoryCatalogStore(clock)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoCatalogStore(aws.clients, make_table("CatalogTable"), clock)


@pytest.fixture(params=KINDS)
def accounts(request: pytest.FixtureRequest) -> AccountStore:
    if request.param == "memory":
        return MemoryAccountStore()
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoAccountStore(aws.clients, make_table("AccountsTable"))


@pytest.fixture(params=KINDS)
def generations(request: pytest.FixtureRequest, clock: ManualClock) -> GenerationStore:
    if request.param == "memory":
        return MemoryGenerationStore(clock)
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    return DynamoGenerationStore(aws.clients, make_table("GenerationsTable"), clock)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise RuntimeError("moto ended before it could serve")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("moto did not serve within 30 s")
