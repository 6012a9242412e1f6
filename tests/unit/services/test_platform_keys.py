"""Which providers the platform has, and how it reaches them."""

from typing import Literal, cast

import pytest

from headgate.domain.errors import GatewayFault
from headgate.ports import SecretStore
from headgate.services.platform_keys import PlatformKeys
from headgate.settings import Settings
from headgate.testing.memory import ManualClock, MemorySecretStore
from tests.support.bench import Counted

Mock = Literal["auto", "on", "off"]
KNOWN = ("alpha", "custom", "mock")


class Ring:
    """Platform keys over a store that counts; `custom` is the provider that may need no key, `cloud` the one
    that the function's own role is good for, where `by_role` says so."""

    def __init__(self, mock: Mock = "off", *, by_role: frozenset[str] = frozenset()) -> None:
        self.clock = ManualClock()
        self.secrets = MemorySecretStore({"alpha": {"api_key": "sk-alpha"}})
        self.counted = Counted(self.secrets)
        self.keys = PlatformKeys(
            cast("SecretStore", self.counted),
            self.clock,
            Settings(function="x", mock=mock, request_timeout_s=70, by_role=by_role),
            known_slugs=lambda: (*KNOWN, *sorted(by_role)),
            needs_key=lambda slug: slug != "custom",
            by_role=lambda slug: slug == "cloud",
        )


async def test_a_provider_with_a_key_is_configured() -> None:
    ring = Ring()
    config = await ring.keys.config("alpha")
    assert config is not None
    assert config.api_key is not None
    assert config.api_key.reveal() == "sk-alpha"
    assert (config.base_url, config.timeout_s, config.guarded) == (None, 70, False)
    assert await ring.keys.configured() == ["alpha"]


async def test_a_base_url_alone_is_enough_where_the_server_may_need_no_key() -> None:
    ring = Ring()
    ring.secrets.put("custom", base_url="http://vllm:8000/v1")
    ring.secrets.put("alpha", base_url="https://proxy.example")
    config = await ring.keys.config("custom")
    assert config is not None
    assert (config.api_key, config.base_url) == (None, "http://vllm:8000/v1")
    assert await ring.keys.config("alpha") is None


async def test_a_role_is_a_configuration_where_it_is_turned_on_and_the_provider_takes_it() -> None:
    assert await Ring().keys.config("cloud") is None
    ring = Ring(by_role=frozenset({"cloud", "beta"}))
    config = await ring.keys.config("cloud")
    assert config is not None
    assert (config.api_key, config.base_url, config.timeout_s) == (None, None, 70)
    assert await ring.keys.config("beta") is None
    assert await ring.keys.configured() == ["alpha", "cloud"]


async def test_a_key_is_used_beside_a_role() -> None:
    ring = Ring(by_role=frozenset({"cloud"}))
    ring.secrets.put("cloud", api_key="sk-cloud")
    config = await ring.keys.config("cloud")
    assert config is not None
    assert config.api_key is not None


async def test_an_empty_secret_is_no_configuration() -> None:
    ring = Ring()
    ring.secrets.put("alpha")
    assert await ring.keys.configured() == []


async def test_secrets_are_read_once_in_five_minutes_missing_ones_too() -> None:
    ring = Ring()
    for _ in range(3):
        await ring.keys.configured()
        await ring.keys.config("alpha")
        ring.clock.advance(99)
    assert ring.counted.calls == ["get", "get"]
    ring.clock.advance(3)
    await ring.keys.configured()
    assert len(ring.counted.calls) == 4


async def test_forgetting_reads_them_anew() -> None:
    ring = Ring()
    await ring.keys.config("alpha")
    ring.secrets.put("alpha", api_key="sk-new")
    ring.keys.forget()
    config = await ring.keys.config("alpha")
    assert config is not None
    assert config.api_key is not None
    assert config.api_key.reveal() == "sk-new"


async def test_a_fault_of_the_store_is_not_taken_for_no_key() -> None:
    ring = Ring()
    ring.secrets.fault = GatewayFault.unavailable("Secrets")
    with pytest.raises(GatewayFault):
        await ring.keys.config("alpha")
    ring.secrets.fault = None
    assert await ring.keys.config("alpha") is not None


@pytest.mark.parametrize(
    ("mock", "others", "on"),
    [
        ("off", True, False),
        ("off", False, False),
        ("on", True, True),
        ("on", False, True),
        ("auto", True, False),
        ("auto", False, True),
    ],
)
async def test_the_mock_provider_is_there_when_wanted_or_when_nothing_else_is(
    mock: Mock, others: bool, on: bool
) -> None:
    ring = Ring(mock)
    if not others:
        ring.secrets.remove("alpha")
    assert ("mock" in await ring.keys.configured()) is on
    assert (await ring.keys.config("mock") is not None) is on


async def test_no_key_shows_in_what_holds_it() -> None:
    ring = Ring()
    assert "sk-alpha" not in repr(await ring.keys.config("alpha"))
