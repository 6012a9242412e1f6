"""The guard where it counts: on the way to a socket. Refused means that not a byte was sent."""

from collections.abc import Mapping
from typing import Any

import pytest

from headgate.domain.errors import InvalidRequest, ProviderFailed
from headgate.net.guard import AddressGuard, Reach
from headgate.net.transport import AioTransport
from headgate.ports import WireRequest
from tests.unit.net.names import Names
from tests.unit.net.wire_server import WireServer, answer_of, repeat

Table = Mapping[str, list[list[str]]]


def get(url: str, *, guarded: bool = True) -> WireRequest:
    return WireRequest(method="GET", url=url, guarded=guarded, connect_timeout_s=2)


def transport_of(table: Table, guard: AddressGuard | None = None) -> AioTransport:
    return AioTransport(guard=guard, make_resolver=lambda: Names(dict(table)))


async def refusal_of(transport: AioTransport, url: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await transport.send(get(url))
    await transport.close()
    assert caught.value.code == "invalid_request"
    assert [error.field for error in caught.value.errors] == ["base_url"]
    return caught.value


async def test_a_name_that_leads_inside_is_refused_and_its_address_untold() -> None:
    for address in ("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a00:1"):
        error = await refusal_of(transport_of({"inside.test": [[address]]}), "http://inside.test:8000/v1")
        assert address not in str(error)
        assert "inside.test" in str(error)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "127.0.0.1"], ["1.1.1.1", "::1"]]
)
async def test_one_private_address_among_public_ones_is_enough_for_a_refusal(addresses: list[str]) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        url = f"http://both.test:{server.port}/v1"
        await refusal_of(transport_of({"both.test": [addresses]}), url)
    assert server.connections == 0


class Deceived(AddressGuard):
    """A guard that the first lookup gets past: what a name that changes its address does."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self._passes = passes

    def judge(self, address: Any, reach: Reach) -> str | None:
        self._passes -= 1
        return None if self._passes >= 0 else super().judge(address, reach)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "::1"]])
async def test_an_address_that_got_past_the_lookup_is_refused_at_its_socket(addresses: list[str]) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        guard = Deceived(passes=len(addresses))
        transport = transport_of({"rebound.test": [addresses]}, guard)
        await refusal_of(transport, f"http://rebound.test:{server.port}/v1")
    assert server.connections == 0


async def test_each_new_connection_is_judged_anew() -> None:
    guard = AddressGuard(allowed_hosts=["127.0.0.2"])
    names = Names({"rebound.test": [["127.0.0.2"], ["127.0.0.1"]]})
    transport = AioTransport(guard=guard, make_resolver=lambda: names, keepalive_s=0.01)
    async with WireServer(repeat(answer_of(b"{}", headers="connection: close")), host="127.0.0.2") as server:
        url = f"http://rebound.test:{server.port}/v1"
        assert await (await transport.send(get(url))).read() == b"{}"
        await transport.close()
        await refusal_of(transport, url)
    assert len(names.lookups) == 2
    assert server.connections == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"]
)
async def test_a_literal_is_refused_in_every_spelling(host: str) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        await refusal_of(transport_of({}), f"http://{host}:{server.port}/v1")
    assert server.connections == 0


async def test_a_connection_made_for_the_platform_is_not_lent_to_a_caller() -> None:
    transport = transport_of({"shared.test": [["127.0.0.1"]]})
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        url = f"http://shared.test:{server.port}/v1"
        assert await (await transport.send(get(url, guarded=False))).read() == b"{}"
        await refusal_of(transport, url)
    assert len(server.requests) == 1


async def test_a_redirect_inside_is_an_answer_and_not_a_way() -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as inner:
        answer = answer_of(
            b"", status="307 Temporary Redirect", headers=f"Location: {inner.url}/latest/meta-data"
        )
        async with WireServer(repeat(answer)) as outer:
            transport = AioTransport(guard=AddressGuard(allow_loopback=True))
            response = await transport.send(get(outer.url))
            assert (response.status, await response.read()) == (307, b"")
            await transport.close()
    assert inner.connections == 0


@pytest.mark.parametrize("host", ["vllm.internal", "VLLM.internal.", "127.0.0.1"])
async def test_a_host_that_the_operator_named_is_reached(host: str) -> None:
    guard = AddressGuard(allowed_hosts=["vllm.internal", "127.0.0.1"])
    transport = transport_of({"vllm.internal": [["127.0.0.1"]]}, guard)
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        response = await transport.send(get(f"http://{host}:{server.port}/v1"))
        assert await response.read() == b"{}"
        await transport.close()


async def test_a_host_that_the_operator_named_still_never_leads_to_credentials() -> None:
    guard = AddressGuard(allowed_hosts=["vllm.internal"])
    for address in ("169.254.169.254", "fd00:ec2::254", "0.0.0.0"):
        await refusal_of(transport_of({"vllm.internal": [[address]]}, guard), "http://vllm.internal/v1")


async def test_loopback_is_reached_where_it_is_allowed_and_nothing_else_is() -> None:
    guard = AddressGuard(allow_loopback=True)
    transport = transport_of({"localhost": [["127.0.0.1"]]}, guard)
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        for host in ("localhost", "127.0.0.1"):
            assert await (await transport.send(get(f"http://{host}:{server.port}/v1"))).read() == b"{}"
        await transport.close()
    await refusal_of(transport_of({"inside.test": [["10.0.0.1"]]}, guard), "http://inside.test/v1")


async def test_a_request_that_nobody_guards_may_go_anywhere() -> None:
    transport = transport_of({"inside.test": [["127.0.0.1"]]})
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        for host in ("inside.test", "127.0.0.1"):
            response = await transport.send(get(f"http://{host}:{server.port}/v1", guarded=False))
            assert await response.read() == b"{}"
        await transport.close()


async def test_a_guarded_name_that_does_not_exist_is_unavailable_not_invalid() -> None:
    transport = transport_of({})
    with pytest.raises(ProviderFailed) as caught:
        await transport.send(get("http://nowhere.test/v1"))
    await transport.close()
    assert (caught.value.code, caught.value.may_have_run) == ("provider_unavailable", False)
