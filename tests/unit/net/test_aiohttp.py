"""What the transport and the guard rely on in aiohttp. A change of one of these is a change to the design:
docs/adr/0002. Tests of `allows for` show flaws worked around: when one fails, the workaround may go.
"""

import asyncio
import gzip
import ipaddress
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import ResolveResult
from aiohttp.connector import Connection

from tests.unit.net.names import Names
from tests.unit.net.wire_server import Wire, WireServer, answer_of, repeat, script_of

OK = b"HTTP/1.1 200 OK\r\n"


async def _asked_for(url: str, *addresses: str, refuse: bool = True) -> list[str]:
    """The addresses that `socket_factory` is asked for in one GET."""
    asked: list[str] = []

    def factory(info: Any) -> socket.socket:
        asked.append(info[4][0])
        if refuse:
            raise OSError("refused")
        return socket.socket(info[0], info[1], info[2])

    connector = aiohttp.TCPConnector(socket_factory=factory, resolver=Names({"many.test": [list(addresses)]}))
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.get(url):
                pass
        except aiohttp.ClientConnectorError:
            pass
    return asked


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:9/", "127.0.0.1"),
        ("http://[::1]:9/", "::1"),
        ("http://[::ffff:127.0.0.1]:9/", "::ffff:127.0.0.1"),
        ("https://127.0.0.1:9/", "127.0.0.1"),
    ],
)
async def test_socket_factory_is_asked_for_ip_literals_which_skip_the_resolver(
    url: str, address: str
) -> None:
    asked = await _asked_for(url, "127.9.9.9")
    assert [ipaddress.ip_address(text) for text in asked] == [ipaddress.ip_address(address)]


async def test_socket_factory_is_asked_for_every_address_of_a_name() -> None:
    addresses = ("127.0.0.1", "127.0.0.2", "::1")
    assert set(await _asked_for("http://many.test:9/", *addresses)) == set(addresses)


async def test_socket_factory_is_asked_before_each_connection_not_once() -> None:
    async with WireServer(script_of(answer_of(b"{}", headers="connection: close"), "close")) as server:
        asked = [await _asked_for(server.url, "", refuse=False) for _ in range(2)]
    assert asked == [["127.0.0.1"], ["127.0.0.1"]]
    assert server.connections == 2


async def test_what_socket_factory_raises_comes_back_as_the_cause() -> None:
    class Refused(OSError):
        pass

    def factory(info: Any) -> socket.socket:
        raise Refused

    connector = aiohttp.TCPConnector(socket_factory=factory)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get("http://127.0.0.1:9/")
    assert isinstance(caught.value.os_error, Refused)


async def test_what_a_resolver_raises_comes_back_as_the_cause() -> None:
    class Refused(OSError):
        pass

    class Refusing(Names):
        async def resolve(self, *_args: Any, **_kwargs: Any) -> list[ResolveResult]:
            raise Refused

    connector = aiohttp.TCPConnector(resolver=Refusing({}))
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorDNSError) as caught:
            await session.get("http://name.test/")
    assert isinstance(caught.value.os_error, Refused)


async def test_allows_for_idempotent_requests_being_sent_again_on_a_kept_connection() -> None:
    """Without the transport's middleware, one GET reaches a provider twice."""

    async def once_then_drop(wire: Wire) -> None:
        await wire.read_request()
        await wire.write(answer_of(b"{}"))
        await wire.read_request()
        wire.reset()

    async with WireServer(once_then_drop) as server, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(server.url) as response:
                await response.read()
    assert len(server.requests) == 3


async def test_allows_for_a_gzip_body_that_stops_early_being_taken_for_whole() -> None:
    wire = gzip.compress(b"hello " * 1000)[:-15]
    answer = answer_of(wire, headers="content-encoding: gzip")
    async with (
        WireServer(script_of(answer)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url) as response,
    ):
        assert 0 < len(await response.read()) < 6000


async def test_allows_for_a_body_with_a_bad_chunk_that_never_ends() -> None:
    steps = (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", 0.05, b"zz\r\nabc\r\n")
    async with (
        WireServer(script_of(*steps)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url) as response,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.read(), 0.3)


async def test_allows_for_a_reset_being_taken_for_the_end_of_a_body_without_length() -> None:
    async with (
        WireServer(script_of(OK + b"\r\nabc", 0.05, "reset")) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url) as response,
    ):
        assert await response.read() == b"abc"


async def test_a_connection_tells_how_it_was_lost() -> None:
    """`Connection.protocol.closed`: by it the transport tells a reset from an orderly end."""
    endings: dict[str, BaseException | None] = {}
    for ending in ("reset", "close"):
        async with (
            WireServer(script_of(OK + b"\r\nabc", 0.05, ending)) as server,
            aiohttp.ClientSession() as session,
            session.get(server.url) as response,
        ):
            assert response.connection is not None
            assert response.connection.protocol is not None
            lost = response.connection.protocol.closed
            assert lost is not None
            await response.read()
            endings[ending] = lost.exception()
    assert isinstance(endings["reset"], aiohttp.ClientConnectionError)
    assert endings["close"] is None


async def test_a_request_is_sent_by_send_once_its_connection_new_or_reused_stands() -> None:
    """By `request_class` and `ClientRequest.send` the transport starts its clock and gets at the wire."""
    wires: list[object] = []

    class Request(aiohttp.ClientRequest):
        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            assert conn.transport is not None
            wires.append(conn.transport.get_extra_info("peername"))
            assert not conn.closed
            return await super().send(conn)

    async with (
        WireServer(repeat(answer_of(b"{}"))) as server,
        aiohttp.ClientSession(request_class=Request) as session,
    ):
        for sent in range(2):
            assert len(server.requests) == len(wires) == sent
            async with session.get(server.url) as response:
                await response.read()
        assert wires == [("127.0.0.1", server.port)] * 2
        assert server.connections == 1
