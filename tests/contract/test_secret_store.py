"""What services may rely on of any store of platform keys, and how each reads what is in it."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from boto3.session import Session

from headgate.aws.secrets import SecretsManagerStore
from headgate.domain.errors import GatewayFault
from headgate.domain.secret import Secret
from headgate.ports import SecretStore
from headgate.testing.memory import EnvSecretStore, MemorySecretStore
from tests.contract.conftest import Aws

Secrets = Mapping[str, Mapping[str, str]]
MakeStore = Callable[[Secrets], SecretStore]


@pytest.fixture
def manager(aws: Aws) -> Iterator[Any]:
    """Secrets Manager, as an operator uses it."""
    client = Session(region_name="us-east-1").client("secretsmanager", endpoint_url=aws.endpoint_url)
    yield client
    client.close()


@pytest.fixture
def prefix() -> str:
    return f"headgate-{uuid.uuid4().hex[:8]}/"


@pytest.fixture(params=["memory", "environment", "aws"])
def make_store(request: pytest.FixtureRequest, prefix: str) -> MakeStore:
    def in_environment(secrets: Secrets) -> SecretStore:
        return EnvSecretStore(
            {
                f"{slug}_{field}".upper(): value
                for slug, fields in secrets.items()
                for field, value in fields.items()
            }
        )

    def in_aws(secrets: Secrets) -> SecretStore:
        aws, manager = request.getfixturevalue("aws"), request.getfixturevalue("manager")
        for slug, fields in secrets.items():
            manager.create_secret(Name=prefix + slug, SecretString=orjson.dumps(fields).decode())
        return SecretsManagerStore(aws.clients, prefix)

    makers: Mapping[str, MakeStore] = {
        "memory": MemorySecretStore,
        "environment": in_environment,
        "aws": in_aws,
    }
    return makers[request.param]


async def test_a_provider_without_a_secret_has_none(make_store: MakeStore) -> None:
    assert await make_store({"openai": {"api_key": "sk-1"}}).get("anthropic") is None


async def test_the_fields_are_given_as_secrets(make_store: MakeStore) -> None:
    store = make_store({"openai": {"api_key": "sk-1", "base_url": "http://127.0.0.1:9/v1"}})
    fields = await store.get("openai")
    assert fields == {"api_key": Secret("sk-1"), "base_url": Secret("http://127.0.0.1:9/v1")}


async def test_an_address_without_a_key_is_a_secret(make_store: MakeStore) -> None:
    fields = await make_store({"custom": {"base_url": "http://127.0.0.1:9/v1"}}).get("custom")
    assert fields == {"base_url": Secret("http://127.0.0.1:9/v1")}


async def test_no_store_shows_what_it_holds(make_store: MakeStore) -> None:
    store = make_store({"openai": {"api_key": "sk-sesame"}})
    assert "sesame" not in repr(store)
    assert "sesame" not in repr(await store.get("openai"))


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        ("sk-bare", {"api_key": "sk-bare"}),
        (" sk-bare\n", {"api_key": "sk-bare"}),
        ('{"api_key":"sk-1","region":"eu"}', {"api_key": "sk-1", "region": "eu"}),
        ('{"api_key":" sk-1 ","port":8080,"base_url":"","x":null}', {"api_key": "sk-1"}),
        ("{}", None),
        ("  ", None),
        (b"sk-binary", {"api_key": "sk-binary"}),
    ],
)
async def test_a_stored_secret_is_an_object_or_the_bare_key(
    aws: Aws, manager: Any, prefix: str, stored: str | bytes, fields: dict[str, str] | None
) -> None:
    kind = "SecretString" if isinstance(stored, str) else "SecretBinary"
    manager.create_secret(Name=f"{prefix}openai", **{kind: stored})
    found = await SecretsManagerStore(aws.clients, prefix).get("openai")
    shown = None if found is None else {name: value.reveal() for name, value in found.items()}
    assert shown == fields


@pytest.mark.parametrize("stored", ['{"api_key": "sk-sesame"', b"\xff\xfesesame"])
async def test_a_secret_that_can_not_be_read_is_a_fault_which_does_not_show_it(
    aws: Aws, manager: Any, prefix: str, stored: str | bytes
) -> None:
    kind = "SecretString" if isinstance(stored, str) else "SecretBinary"
    manager.create_secret(Name=f"{prefix}openai", **{kind: stored})
    with pytest.raises(GatewayFault) as fault:
        await SecretsManagerStore(aws.clients, prefix).get("openai")
    assert fault.value.code == "gateway_unavailable"
    assert "openai" in fault.value.detail
    assert "sesame" not in fault.value.detail
    assert fault.value.__cause__ is None


async def test_a_secret_on_its_way_to_deletion_is_none(aws: Aws, manager: Any, prefix: str) -> None:
    manager.create_secret(Name=f"{prefix}openai", SecretString="sk-1")
    manager.delete_secret(SecretId=f"{prefix}openai")
    assert await SecretsManagerStore(aws.clients, prefix).get("openai") is None


async def test_a_secret_put_anew_is_read_anew(aws: Aws, manager: Any, prefix: str) -> None:
    manager.create_secret(Name=f"{prefix}openai", SecretString="sk-1")
    store = SecretsManagerStore(aws.clients, prefix)
    await store.get("openai")
    manager.put_secret_value(SecretId=f"{prefix}openai", SecretString="sk-2")
    assert await store.get("openai") == {"api_key": Secret("sk-2")}
