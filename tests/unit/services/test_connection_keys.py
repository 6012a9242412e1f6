"""How a stored connection becomes the configuration that its provider is called with."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.domain.connections import Connection, key_context
from headgate.domain.errors import GatewayFault, ProviderRefused
from headgate.domain.generation import KeyOpening
from headgate.domain.secret import Secret
from headgate.providers.base import ProviderConfig
from headgate.services.connection_keys import ConnectionKeys
from headgate.settings import from_environ
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock, MemoryVault

KEY = Secret("sk-open-sesame-0123456789")


class Bench:
    def __init__(self, **environ: str) -> None:
        self.vault: MemoryVault = MemoryVault()
        self.clock = ManualClock()
        self.keys = ConnectionKeys(self.vault, self.clock, from_environ("generations", environ))
        self.opened: list[KeyOpening] = []

    async def config(self, row: Connection) -> ProviderConfig:
        return await self.keys.config(row, self.opened.append)

    async def row(self, **fields: Any) -> Connection:
        row = Connection(
            **{
                "id": "con_1",
                "user_id": "ada",
                "name": "Mine",
                "type": "openai",
                "created_at": START,
                "updated_at": START,
                **fields,
            }
        )
        return replace(row, sealed=await self.vault.seal(KEY, key_context(row)))


async def test_a_connection_is_reached_with_its_own_key_and_bounds() -> None:
    bench = Bench(HEADGATE_IDLE_TIMEOUT_S="7")
    row = await bench.row(timeout_s=12.5, max_retries=0, metadata={"region": "eu-central-1"})
    config = await bench.config(row)
    assert config.api_key == KEY
    assert (config.base_url, config.guarded) == (None, False)
    assert (config.timeout_s, config.idle_timeout_s, config.max_retries) == (12.5, 7, 0)
    assert config.metadata == {"region": "eu-central-1"}
    assert KEY.reveal() not in repr(config)


async def test_an_address_of_the_user_s_is_always_guarded() -> None:
    bench = Bench()
    config = await bench.config(await bench.row(type="custom", base_url="https://llm.example.com/v1"))
    assert (config.base_url, config.guarded) == ("https://llm.example.com/v1", True)


async def test_no_connection_outlasts_the_platform_s_own_bound() -> None:
    bench = Bench(HEADGATE_REQUEST_TIMEOUT_S="60")
    assert (await bench.config(await bench.row(timeout_s=600))).timeout_s == 60
    assert (await bench.config(await bench.row())).timeout_s == 60


async def test_one_without_a_key_asks_no_vault() -> None:
    bench = Bench()
    row = replace(await bench.row(type="custom", base_url="https://a.example"), sealed=None)
    bench.vault.fault = GatewayFault.unavailable("The vault")
    assert (await bench.config(row)).api_key is None


async def test_a_key_is_kept_for_five_minutes_and_no_longer() -> None:
    bench = Bench(HEADGATE_SECRET_CACHE_S="3600")
    row = await bench.row()
    for seconds in (0, 100, 199.9):
        bench.clock.advance(seconds)
        await bench.config(row)
    assert len(bench.vault.unsealed) == 1
    bench.clock.advance(0.2)
    await bench.config(row)
    assert len(bench.vault.unsealed) == 2
    bench.keys.forget()
    await bench.config(row)
    assert len(bench.vault.unsealed) == 3


async def test_of_many_requests_at_once_one_asks_the_vault() -> None:
    bench = Bench()
    row = await bench.row()
    configs = await asyncio.gather(*(bench.config(row) for _ in range(50)))
    assert {config.api_key for config in configs} == {KEY}
    assert len(bench.vault.unsealed) == 1


async def test_a_new_name_needs_no_new_look_and_a_new_key_does() -> None:
    bench = Bench()
    row = await bench.row()
    await bench.config(row)
    await bench.config(replace(row, name="Other", default_model="x", revision=7))
    assert len(bench.vault.unsealed) == 1
    await bench.config(await bench.row())
    assert len(bench.vault.unsealed) == 2


async def test_a_key_that_can_t_be_opened_is_told_with_the_connection() -> None:
    bench = Bench()
    row = replace(await bench.row(), user_id="grace")
    with pytest.raises(ProviderRefused) as caught:
        await bench.config(row)
    assert caught.value.code == "provider_auth"
    assert "con_1" in caught.value.detail
    assert caught.value.members == {"connection_id": "con_1"}


async def test_a_vault_that_can_t_be_reached_is_the_gateway_s_fault_and_forgotten() -> None:
    bench = Bench()
    row = await bench.row()
    bench.vault.fault = GatewayFault.unavailable("The vault")
    with pytest.raises(GatewayFault):
        await bench.config(row)
    bench.vault.fault = None
    assert (await bench.config(row)).api_key == KEY


async def test_however_many_connections_there_are_memory_is_bounded() -> None:
    bench = Bench()
    first = await bench.row(id="con_first")
    await bench.config(first)
    for number in range(1_000):
        await bench.config(await bench.row(id=f"con_{number}"))
    before = len(bench.vault.unsealed)
    await bench.config(first)
    assert len(bench.vault.unsealed) == before + 1


async def test_who_asks_the_vault_tells_it_and_nobody_else_does() -> None:
    bench = Bench()
    row = await bench.row()
    bench.clock.advance(7)
    told: list[list[KeyOpening]] = [[] for _ in range(50)]
    await asyncio.gather(*(bench.keys.config(row, each.append) for each in told))
    await bench.config(row)
    at = START + timedelta(seconds=7)
    opening = KeyOpening(connection_id="con_1", provider="openai", at=at, outcome="ok")
    assert [each for each in told if each] == [[opening]]
    assert bench.opened == []


async def test_one_without_a_key_has_nothing_to_tell() -> None:
    bench = Bench()
    await bench.config(replace(await bench.row(type="custom", base_url="https://a.example"), sealed=None))
    assert bench.opened == []


async def test_what_the_vault_refuses_is_told_each_time_it_is_asked() -> None:
    bench = Bench()
    moved = replace(await bench.row(), user_id="grace")
    for _ in range(2):
        with pytest.raises(ProviderRefused):
            await bench.config(moved)
    assert [(each.connection_id, each.outcome) for each in bench.opened] == [("con_1", "refused")] * 2


async def test_a_vault_without_an_answer_leaves_open_whether_it_opened_the_key() -> None:
    bench = Bench()
    row = await bench.row()
    bench.vault.fault = GatewayFault.unavailable("The vault")
    with pytest.raises(GatewayFault):
        await bench.config(row)
    bench.vault.fault = None
    await bench.config(row)
    assert [each.outcome for each in bench.opened] == ["unknown", "ok"]


class SlowVault(MemoryVault):
    """Answers once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def unseal(self, sealed: bytes, context: Mapping[str, str]) -> Secret:
        self.asked.set()
        await self.may.wait()
        return await super().unseal(sealed, context)


async def test_who_leaves_while_the_vault_is_asked_tells_it_and_who_waited_asks_and_tells_anew() -> None:
    bench = Bench()
    vault = bench.vault = SlowVault()
    bench.keys = ConnectionKeys(vault, bench.clock, from_environ("generations", {}))
    row = await bench.row()
    leaver: list[KeyOpening] = []
    leaving = asyncio.create_task(bench.keys.config(row, leaver.append))
    await vault.asked.wait()
    waiting = asyncio.create_task(bench.config(row))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    vault.may.set()
    assert (await waiting).api_key == KEY
    assert [each.outcome for each in leaver] == ["unknown"]
    assert [each.outcome for each in bench.opened] == ["ok"]
