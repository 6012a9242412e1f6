"""What `sam build` made, once per test process, and the tables of the template in moto, for each module."""

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dev.moto import Moto
from dev.resources import aws_environment, client, create_keys, create_tables
from dev.template import Stack, read_stack
from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.clients import AwsClients
from headgate.domain.callers import ApiKey, Scope, hash_key
from tests.e2e.built.shipped import EXAMPLE_KEY, HOST, OTHER, ROOT, Account, Artefacts, Built


@pytest.fixture(scope="session")
def artefacts() -> Artefacts:
    """Built if they are missing or older than their sources; one test process does it."""
    folder = ROOT / ".aws-sam"
    folder.mkdir(exist_ok=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with (folder / "artefacts.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "artefacts"], cwd=ROOT, env=plain, check=True)
    return Artefacts(host=folder / HOST, other=folder / OTHER)


@pytest.fixture(scope="session")
def stack() -> Stack:
    parameters = {"MockProvider": "on", "Credits": "enforced", "ModelsDevUrl": "", "GenaiPricesUrl": ""}
    hosts = {"PrivateHosts": "127.0.0.1"}  # where webhooks are told, of those that stories make
    return read_stack((ROOT / "template.yaml").read_text(), {**parameters, **hosts})


@pytest.fixture(scope="module")
def account(stack: Stack) -> Iterator[Account]:
    """moto in a process of its own, with the tables, no secret, and the key of the example events."""
    moto = Moto.start()
    try:
        endpoint_url = asyncio.run(moto.ready())
        with pytest.MonkeyPatch.context() as patched:
            for name, value in aws_environment().items():
                patched.setenv(name, value)
            create_tables(client("dynamodb", endpoint_url), stack.tables)
            create_keys(client("kms", endpoint_url), stack.key_aliases)
            asyncio.run(_put_example_key(endpoint_url, stack))
        yield Account(endpoint_url, stack)
    finally:
        moto.stop()


async def _put_example_key(endpoint_url: str, stack: Stack) -> None:
    clients = AwsClients(region="us-east-1", endpoint_url=endpoint_url)
    table = next(table for table in stack.tables if table.logical_id == "AccountsTable")
    key = ApiKey(
        id="key_01example0000000000000001",
        hash=hash_key(EXAMPLE_KEY),
        user_id="ada",
        name="example",
        scopes=frozenset({Scope.ADMIN}),
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
        hint=EXAMPLE_KEY[-4:],
    )
    try:
        await DynamoAccountStore(clients, table.physical_name).put_key(key)
    finally:
        clients.close()


@pytest.fixture
def built(artefacts: Artefacts, account: Account, tmp_path: Path) -> Built:
    return Built(artefacts, account, tmp_path)
