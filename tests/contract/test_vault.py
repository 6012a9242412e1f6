"""What services may rely on of any vault, above all what it refuses to open."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from boto3.session import Session

from headgate.aws.kms import KmsVault
from headgate.domain.connections import Connection, key_context
from headgate.domain.errors import GatewayFault, ProviderRefused
from headgate.domain.generation import KeyOpening
from headgate.domain.secret import Secret
from headgate.ports import KeyVault, Unsealable
from headgate.services.connection_keys import ConnectionKeys
from headgate.settings import from_environ
from headgate.testing.memory import ManualClock, MemoryVault
from tests.contract.conftest import KINDS, Aws
from tests.contract.values import NOON

KEY = Secret("sk-open-sesame-0123456789")
ROW = Connection(
    id="con_1",
    user_id="ada",
    name="mine",
    type="custom",
    base_url="https://llm.example.com/v1",
    created_at=NOON,
    updated_at=NOON,
)
CONTEXT = key_context(ROW)
MOVES: dict[str, dict[str, Any]] = {
    "to another user": {"user_id": "grace"},
    "to another connection": {"id": "con_2"},
    "to another provider": {"type": "openai"},
    "to another host": {"base_url": "https://evil.example.com/v1"},
    "to another port": {"base_url": "https://llm.example.com:8443/v1"},
    "to the provider's own address": {"base_url": None},
}


@pytest.fixture(scope="session")
def kms(_session_aws: Aws) -> Iterator[Any]:
    """KMS, as an operator uses it."""
    client = Session(region_name="us-east-1").client("kms", endpoint_url=_session_aws.endpoint_url)
    yield client
    client.close()


@pytest.fixture(params=KINDS)
def vault(request: pytest.FixtureRequest) -> KeyVault:
    if request.param == "memory":
        return MemoryVault()
    aws, kms = request.getfixturevalue("aws"), request.getfixturevalue("kms")
    return KmsVault(aws.clients, kms.create_key()["KeyMetadata"]["KeyId"])


async def test_what_was_sealed_is_opened_with_the_same_context(vault: KeyVault) -> None:
    for text in ("k", KEY.reveal(), "ключ ✓", "x" * 4_096):
        sealed = await vault.seal(Secret(text), CONTEXT)
        assert await vault.unseal(sealed, dict(reversed(CONTEXT.items()))) == Secret(text)


async def test_a_ciphertext_holds_nothing_of_the_key_and_is_never_the_same(vault: KeyVault) -> None:
    first, second = await vault.seal(KEY, CONTEXT), await vault.seal(KEY, CONTEXT)
    assert first != second
    assert KEY.reveal().encode() not in first
    assert KEY.reveal() not in repr(vault)


@pytest.mark.parametrize("move", MOVES)
async def test_a_row_that_was_moved_can_t_be_opened(vault: KeyVault, move: str) -> None:
    sealed = await vault.seal(KEY, CONTEXT)
    moved = replace(ROW, **MOVES[move])
    with pytest.raises(Unsealable) as caught:
        await vault.unseal(sealed, key_context(moved))
    assert KEY.reveal() not in str(caught.value)


async def test_another_purpose_opens_nothing(vault: KeyVault) -> None:
    sealed = await vault.seal(KEY, CONTEXT)
    for context in ({**CONTEXT, "purpose": "webhook"}, {**CONTEXT, "more": "x"}, {"user": "ada"}, {}):
        with pytest.raises(Unsealable):
            await vault.unseal(sealed, context)


async def test_what_is_no_ciphertext_is_told_as_that(vault: KeyVault) -> None:
    sealed = await vault.seal(KEY, CONTEXT)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong in (b"x", b"no ciphertext at all", sealed[:-1], changed):
        with pytest.raises(Unsealable):
            await vault.unseal(wrong, CONTEXT)


async def test_a_ciphertext_of_another_key_is_not_opened(aws: Aws, kms: Any) -> None:
    one, other = (KmsVault(aws.clients, kms.create_key()["KeyMetadata"]["KeyId"]) for _ in range(2))
    sealed = await one.seal(KEY, CONTEXT)
    with pytest.raises((Unsealable, GatewayFault)):
        await other.unseal(sealed + b"x", CONTEXT)
    assert await one.unseal(sealed, CONTEXT) == KEY


async def test_a_vault_that_is_not_there_is_a_fault_that_passes(aws: Aws) -> None:
    missing = KmsVault(aws.clients, "00000000-0000-0000-0000-000000000000")
    with pytest.raises(GatewayFault) as caught:
        await missing.seal(KEY, CONTEXT)
    assert caught.value.code == "gateway_unavailable"
    assert KEY.reveal() not in str(caught.value)


@pytest.mark.parametrize("move", MOVES)
async def test_a_moved_row_gets_no_key_even_where_it_was_just_opened(
    vault: KeyVault, clock: ManualClock, move: str
) -> None:
    """The plaintext that is kept for the proper row is no way around the vault."""
    keys = ConnectionKeys(vault, clock, from_environ("generations", {}))
    row = replace(ROW, sealed=await vault.seal(KEY, CONTEXT))
    opened: list[KeyOpening] = []
    assert (await keys.config(row, opened.append)).api_key == KEY
    with pytest.raises(ProviderRefused) as caught:
        await keys.config(replace(row, **MOVES[move]), opened.append)
    assert [each.outcome for each in opened] == ["ok", "refused"]
    assert caught.value.code == "provider_auth"
    assert KEY.reveal() not in str(caught.value)
