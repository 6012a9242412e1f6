"""Where connections may lead: judged when they are stored, and again when they are connected to."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from functions.connections import app as connections
from functions.health import app as health
from functions.refresh import app as refresh
from headgate.container import Adapters
from headgate.domain.callers import Scope
from headgate.net.guard import AddressGuard
from headgate.net.transport import AioTransport
from headgate.ports import WireRequest
from headgate.providers.registry import ProviderRegistry
from headgate.testing.memory import Answer, MemorySecretStore
from tests.support.gate import Gate, open_gate
from tests.unit.http.test_connection_routes import KEY, SERVER, Desk, open_desk, wrong_fields
from tests.unit.net.names import Names
from tests.unit.net.test_guard import BAD_URLS
from tests.unit.net.wire_server import WireServer, answer_of, repeat

PLATFORM_KEY = "sk-platform-keys-stay-at-home"
LIST = b'{"object":"list","data":[{"id":"small"}]}'
CORPUS = [url for url in BAD_URLS if url == url.strip()]  # blanks around a URL are left out, not refused


@pytest.mark.parametrize("url", CORPUS)
async def test_no_connection_is_made_to_an_address_out_of_reach(url: str) -> None:
    desk = await open_desk()
    assert wrong_fields(await desk.ask("POST", json={**SERVER, "base_url": url})) == {"base_url"}
    made = (await desk.ask("POST", json=SERVER)).json()
    assert wrong_fields(await desk.change(made["id"], base_url=url)) == {"base_url"}
    assert len(await desk.ids("?show_inactive=true")) == 1


async def test_an_operator_may_name_private_hosts() -> None:
    desk = await open_desk(HEADGATE_PRIVATE_HOSTS="vllm.internal, 10.0.3.7")
    for url in ("http://vllm.internal:81/v1", "http://10.0.3.7:8000/v1"):
        assert (await desk.ask("POST", json={**SERVER, "base_url": url})).status_code == 201
    answer = await desk.ask("POST", json={**SERVER, "base_url": "http://10.0.3.8:8000/v1"})
    assert wrong_fields(answer) == {"base_url"}


async def test_this_machine_is_in_reach_in_the_local_runner_only() -> None:
    local = {**SERVER, "base_url": "http://127.0.0.1:11434/v1"}
    assert (await (await open_desk(HEADGATE_LOCAL="1")).ask("POST", json=local)).status_code == 201
    assert wrong_fields(await (await open_desk()).ask("POST", json=local)) == {"base_url"}


class Net:
    """Connections over a real transport, with names that mean what a test says."""

    def __init__(self, desk: Desk, transport: AioTransport) -> None:
        self.desk = desk
        self.transport = transport

    async def check(self, base_url: str, *, generate: bool = True) -> dict[str, Any]:
        """Stores a connection to that address and tries it out."""
        answer = await self.desk.ask("POST", json={**SERVER, "base_url": base_url, "api_key": KEY})
        assert answer.status_code == 201, answer.text
        made = answer.json()["id"]
        tried = await self.desk.ask("POST", f"/{made}/test", json={"generate": generate})
        assert tried.status_code == 200
        outcome = await refresh.on_event(refresh.function.services, {"connections": [["ada", made]]})
        result: dict[str, Any] = tried.json() | {"list": outcome[made]}
        return result


async def open_net(table: Mapping[str, list[list[str]]], guard: AddressGuard | None = None) -> Net:
    gate = await open_gate()
    hosts = {"HEADGATE_PRIVATE_HOSTS": "allowed.test"}
    transport = AioTransport(guard=guard or AddressGuard(), make_resolver=lambda: Names(dict(table)))
    adapters = Adapters(
        **{
            name: getattr(gate.adapters, name)
            for name in Adapters.__dataclass_fields__
            if name not in ("transport",)
        },
        transport=transport,
    )
    environ = {**gate.environ, **hosts, "HEADGATE_MODELS_DEV_URL": "", "HEADGATE_GENAI_PRICES_URL": ""}
    for each in (connections.function, health.function, refresh.function):
        each.configure(environ, adapters)
    return Net(Desk(gate, await gate.key(Scope.CONNECTIONS, user_id="ada"), ""), transport)


@pytest.fixture
async def server() -> AsyncIterator[WireServer]:
    async with WireServer(repeat(answer_of(LIST, headers="content-type: application/json"))) as running:
        yield running


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"], ["::ffff:127.0.0.1"]]
)
async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(
    server: WireServer, addresses: list[str]
) -> None:
    net = await open_net({"inside.test": [addresses]})
    result = await net.check(f"http://inside.test:{server.port}/v1")
    await net.transport.close()
    assert (result["ok"], result["code"], result["list"]) == (False, "invalid_request", "failed")
    assert "127.0.0.1" not in result["detail"]
    assert server.connections == 0


async def test_a_name_that_changes_its_address_is_judged_each_time(server: WireServer) -> None:
    guard = AddressGuard(allowed_hosts=["127.0.0.2"])
    net = await open_net({"rebound.test": [["127.0.0.2"], ["127.0.0.1"]]}, guard)
    result = await net.check(f"http://rebound.test:{server.port}/v1")
    await net.transport.close()
    assert not result["ok"]
    assert server.connections == 0


async def test_a_redirect_inside_leads_nowhere(server: WireServer) -> None:
    away = f"Location: {server.url}/latest/meta-data"
    for status in (
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ):
        async with WireServer(repeat(answer_of(b"", status=status, headers=away))) as outer:
            guard = AddressGuard(allowed_hosts=["allowed.test"])
            net = await open_net({"allowed.test": [["127.0.0.1"]]}, guard)
            result = await net.check(f"http://allowed.test:{outer.port}/v1")
            await net.transport.close()
            assert (result["ok"], result["list"]) == (False, "failed")
            assert outer.connections >= 1
    assert server.connections == 0


async def test_a_server_in_reach_is_reached_with_the_connection_s_key(server: WireServer) -> None:
    guard = AddressGuard(allowed_hosts=["allowed.test"])
    net = await open_net({"allowed.test": [["127.0.0.1"]]}, guard)
    result = await net.check(f"http://allowed.test:{server.port}/v1", generate=False)
    await net.transport.close()
    assert (result["ok"], result["list"]) == (True, "updated")
    assert result["model_count"] == 1
    assert all(KEY in str(request) for request in server.requests)


def revealed(request: WireRequest) -> str:
    values = [value if isinstance(value, str) else value.reveal() for value in request.headers.values()]
    return " ".join([request.url, *values, (request.body or b"").decode()])


def slugs(gate: Gate) -> tuple[str, ...]:
    registry: ProviderRegistry = gate.process().registry
    return tuple(slug for slug in registry.known_slugs() if slug not in ("mock", "alpha", "beta"))


async def test_no_platform_key_leaves_for_an_address_of_a_caller_s() -> None:
    """With every provider configured and every way to call it tried."""
    desk = await open_desk(HEADGATE_BEDROCK="1", HEADGATE_MODELS_DEV_URL="", HEADGATE_GENAI_PRICES_URL="")
    gate = desk.gate
    gate.secrets = MemorySecretStore({slug: {"api_key": PLATFORM_KEY} for slug in slugs(gate)})
    for each in (health.function, refresh.function):
        each.configure(gate.environ, gate.adapters)
    gate.transport.on(
        "https://theirs.example", Answer(body=LIST, headers={"content-type": "application/json"})
    )
    for slug in slugs(gate):
        fields = {
            "name": slug,
            "type": slug,
            "base_url": "https://theirs.example/v1",
            "default_model": "small",
        }
        for key in ({"api_key": KEY}, {}):
            answer = await desk.ask("POST", json=fields | key)
            if answer.status_code == 422 and not key:
                continue
            made = answer.json()["id"]
            await desk.ask("POST", f"/{made}/test", json={"generate": True})
            await refresh.on_event(refresh.function.services, {"connections": [["ada", made]]})
    assert len(gate.transport.requests) > 2 * len(slugs(gate))
    for request in gate.transport.requests:
        assert request.url.startswith("https://theirs.example/")
        assert request.guarded
        assert PLATFORM_KEY not in revealed(request)
        assert "AWS4-HMAC" not in revealed(request)
