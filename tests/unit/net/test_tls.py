"""Providers over TLS: trusted, not trusted, and left in the middle."""

import asyncio

import pytest

from headgate.domain.errors import ProviderFailed
from headgate.net.transport import AioTransport
from headgate.ports import WireRequest
from tests.unit.net.certificates import Authority
from tests.unit.net.names import Names
from tests.unit.net.wire_server import Wire, WireServer, answer_of, repeat, script_of

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def post(url: str) -> WireRequest:
    return WireRequest(method="POST", url=url, body=b"{}", connect_timeout_s=3)


async def test_a_trusted_provider_is_served_over_tls(authority: Authority) -> None:
    transport = AioTransport(ssl_context=authority.client_context())
    tls = authority.server_context("127.0.0.1")
    async with WireServer(repeat(answer_of(b"{}")), tls=tls) as server:
        for _ in range(2):
            assert await (await transport.send(post(server.url))).read() == b"{}"
        await transport.close()
    assert server.connections == 1


async def test_the_name_is_checked_not_the_address_it_leads_to(authority: Authority) -> None:
    names = {"right.test": [["127.0.0.1"]], "wrong.test": [["127.0.0.1"]]}
    transport = AioTransport(ssl_context=authority.client_context(), make_resolver=lambda: Names(names))
    tls = authority.server_context("right.test")
    async with WireServer(repeat(answer_of(b"{}")), tls=tls) as server:
        for host in ("right.test", "right.test.", "RIGHT.test"):
            answer = await transport.send(post(f"https://{host}:{server.port}/"))
            assert await answer.read() == b"{}"
        with pytest.raises(ProviderFailed) as caught:
            await transport.send(post(f"https://wrong.test:{server.port}/"))
        await transport.close()
    assert (caught.value.code, caught.value.may_have_run) == ("provider_unavailable", False)


async def test_a_provider_that_is_not_trusted_gets_nothing(authority: Authority) -> None:
    transport = AioTransport()
    async with WireServer(repeat(answer_of(b"{}")), tls=authority.server_context("127.0.0.1")) as server:
        with pytest.raises(ProviderFailed) as caught:
            await transport.send(post(server.url))
        await transport.close()
    assert (caught.value.code, caught.value.may_have_run) == ("provider_unavailable", False)
    assert server.requests == []


async def test_a_provider_that_does_not_speak_tls_is_unavailable(authority: Authority) -> None:
    async def plain(wire: Wire) -> None:
        await wire.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await wire.until_gone()

    transport = AioTransport(ssl_context=authority.client_context())
    async with WireServer(plain) as server:
        with pytest.raises(ProviderFailed) as caught:
            await transport.send(post(server.url.replace("http:", "https:")))
        await transport.close()
    assert (caught.value.code, caught.value.may_have_run) == ("provider_unavailable", False)


async def test_a_tls_handshake_that_hangs_ends_at_the_connect_timeout(authority: Authority) -> None:
    transport = AioTransport(ssl_context=authority.client_context())
    async with WireServer(script_of()) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(ProviderFailed) as caught:
            await transport.send(WireRequest(method="GET", url=url, connect_timeout_s=0.2))
        await transport.close()
    assert (caught.value.code, caught.value.may_have_run) == ("provider_timeout", False)


@pytest.mark.parametrize("steps", [("hang",), (CHUNKED, "hang")])
async def test_giving_up_disconnects_at_once_over_tls_too(
    authority: Authority, steps: tuple[bytes | str, ...]
) -> None:
    transport = AioTransport(ssl_context=authority.client_context())
    tls = authority.server_context("127.0.0.1")
    async with WireServer(script_of(*steps), tls=tls) as server:
        task = asyncio.create_task(_read(transport, server.url))
        await server.asked.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait_for(server.left.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await task
        await transport.close()


async def _read(transport: AioTransport, url: str) -> bytes:
    return await (await transport.send(post(url))).read()
