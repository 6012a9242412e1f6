"""What every HttpTransport promises, real or fake: `headgate.ports` in executable form.

A new implementation joins by a subclass of World that makes a provider behave, and a line in WORLDS.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from headgate.domain.errors import ProviderFailed
from headgate.net.transport import AioTransport
from headgate.ports import HttpTransport, WireRequest, WireResponse
from headgate.testing.transport import Answer, ScriptedTransport
from tests.unit.net.wire_server import Wire, WireServer

Break = str
"""How a body breaks: `reset` (the connection), `cut` (it ends too early)."""

BREAKS = {"reset": "provider_unavailable", "cut": "provider_protocol"}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a provider does with a request. pieces: its body; an Event is waited for, a text breaks it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes | asyncio.Event | Break] = (b"",)


@dataclass(frozen=True, slots=True)
class Place:
    """A transport, and the address of a provider that behaves. calls: how often the provider was asked."""

    transport: HttpTransport
    url: str
    calls: list[object]

    def request(self, method: str = "POST") -> WireRequest:
        return WireRequest(method=method, url=self.url + "/v1/x", body=b"{}" if method == "POST" else None)


class World(ABC):
    """Makes places. Request by request, the provider there shows the next behaviour."""

    @abstractmethod
    def place(self, *behaviours: Behaviour) -> AbstractAsyncContextManager[Place]: ...

    @abstractmethod
    def nowhere(self) -> AbstractAsyncContextManager[Place]:
        """An address where nobody listens."""


class RealWorld(World):
    """AioTransport, and sockets."""

    @asynccontextmanager
    async def place(self, *behaviours: Behaviour) -> AsyncIterator[Place]:
        left = list(behaviours)

        async def script(wire: Wire) -> None:
            while True:
                await wire.read_request()
                if not await _play(wire, left.pop(0)):
                    return

        transport = AioTransport()
        async with WireServer(script) as server:
            yield Place(transport, server.url, server.requests)  # type: ignore[arg-type] # only counted
            await transport.close()

    @asynccontextmanager
    async def nowhere(self) -> AsyncIterator[Place]:
        async with WireServer(lambda _: asyncio.sleep(0)) as server:
            url = server.url
        transport = AioTransport()
        yield Place(transport, url, [])
        await transport.close()


async def _play(wire: Wire, behaviour: Behaviour) -> bool:
    """Whether the connection can be used again."""
    lines = [f"HTTP/1.1 {behaviour.status} Any", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in behaviour.headers.items()]
    await wire.write("\r\n".join([*lines, "", ""]).encode())
    for piece in behaviour.pieces:
        if isinstance(piece, asyncio.Event):
            await piece.wait()
        elif isinstance(piece, bytes):
            await wire.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if piece else b"")
        else:
            await asyncio.sleep(0.05)  # a reset destroys what is still on its way
            (wire.reset if piece == "reset" else wire.close)()
            return False
    await wire.write(b"0\r\n\r\n")
    return True


class ScriptedWorld(World):
    """The fake that ships with the product."""

    @asynccontextmanager
    async def place(self, *behaviours: Behaviour) -> AsyncIterator[Place]:
        transport = ScriptedTransport(*(self._answer(behaviour) for behaviour in behaviours))
        yield Place(transport, "http://provider.test", transport.requests)  # type: ignore[arg-type]

    @asynccontextmanager
    async def nowhere(self) -> AsyncIterator[Place]:
        transport = ScriptedTransport(ProviderFailed("unreachable", code="provider_unavailable"))
        yield Place(transport, "http://provider.test", [])

    def _answer(self, behaviour: Behaviour) -> Answer:
        pieces = [
            ProviderFailed("broken", code=BREAKS[piece], may_have_run=True)
            if isinstance(piece, str)
            else piece
            for piece in behaviour.pieces
        ]
        return Answer(behaviour.status, headers=behaviour.headers, pieces=pieces)


WORLDS: dict[str, World] = {"aio": RealWorld(), "scripted": ScriptedWorld()}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


async def drain(response: WireResponse) -> tuple[list[bytes], ProviderFailed | None]:
    """The chunks that came, and the failure that ended them."""
    seen: list[bytes] = []
    try:
        async for chunk in response.chunks():
            seen.append(chunk)  # noqa: PERF401 - what came before a failure counts
    except ProviderFailed as failure:
        return seen, failure
    return seen, None


@pytest.mark.parametrize("status", [200, 201, 302, 400, 404, 429, 500, 503])
async def test_every_status_is_an_answer(world: World, status: int) -> None:
    async with world.place(Behaviour(status, {"Location": "/elsewhere"}, [b"body"])) as place:
        response = await place.transport.send(place.request())
        assert response.status == status
        assert await response.read() == b"body"
        assert len(place.calls) == 1


async def test_header_names_are_lower_case(world: World) -> None:
    async with world.place(Behaviour(headers={"X-Request-ID": "Req_7", "Retry-After": "3"})) as place:
        headers = (await place.transport.send(place.request())).headers
    assert (headers["x-request-id"], headers["retry-after"]) == ("Req_7", "3")
    assert all(name == name.lower() for name in headers)


@pytest.mark.parametrize("pieces", [[b""], [b"one"], [b"one", b"two"], [b"x" * 300_000, b"y"]])
async def test_chunks_are_the_body_in_order_and_never_empty(world: World, pieces: list[bytes]) -> None:
    async with world.place(Behaviour(pieces=pieces), Behaviour(pieces=pieces)) as place:
        chunks, failure = await drain(await place.transport.send(place.request()))
        assert failure is None
        assert all(chunks)
        assert b"".join(chunks) == b"".join(pieces)
        assert await (await place.transport.send(place.request())).read() == b"".join(pieces)


async def test_a_chunk_is_given_out_before_the_next_one_is_there(world: World) -> None:
    gate = asyncio.Event()
    async with world.place(Behaviour(pieces=[b"first", gate, b"second"])) as place:
        chunks = (await place.transport.send(place.request())).chunks()
        async with asyncio.timeout(5):
            assert await anext(chunks) == b"first"
            gate.set()
            assert await anext(chunks) == b"second"
            with pytest.raises(StopAsyncIteration):
                await anext(chunks)


async def test_the_head_is_given_out_before_the_body_is_there(world: World) -> None:
    gate = asyncio.Event()
    async with world.place(Behaviour(pieces=[gate, b"late"])) as place, asyncio.timeout(5):
        response = await place.transport.send(place.request())
        assert response.status == 200
        gate.set()
        assert await response.read() == b"late"


async def test_answers_under_way_at_once_do_not_mix(world: World) -> None:
    gate = asyncio.Event()
    first, second = Behaviour(pieces=[b"1", gate, b"1"]), Behaviour(pieces=[b"2", gate, b"2"])
    async with world.place(first, second) as place, asyncio.timeout(5):
        responses = [await place.transport.send(place.request()) for _ in range(2)]
        readers = [asyncio.create_task(response.read()) for response in responses]
        gate.set()
        assert await asyncio.gather(*readers) == [b"11", b"22"]


@pytest.mark.parametrize("how", BREAKS)
async def test_a_body_that_breaks_gives_what_came_and_then_fails(world: World, how: Break) -> None:
    broken = Behaviour(pieces=[b"some", how])
    async with world.place(broken, broken) as place:
        chunks, failure = await drain(await place.transport.send(place.request()))
        assert chunks == [b"some"]
        assert failure is not None
        assert (failure.code, failure.may_have_run) == (BREAKS[how], True)
        with pytest.raises(ProviderFailed) as caught:
            await (await place.transport.send(place.request())).read()
        assert caught.value.code == BREAKS[how]


async def test_where_nobody_listens_nothing_has_run(world: World) -> None:
    async with world.nowhere() as place:
        with pytest.raises(ProviderFailed) as caught:
            await place.transport.send(place.request())
    assert (caught.value.code, caught.value.may_have_run) == ("provider_unavailable", False)


async def test_an_answer_may_be_closed_at_any_time_and_twice(world: World) -> None:
    never = asyncio.Event()
    endless = Behaviour(pieces=[b"some", never])
    async with world.place(endless, endless, Behaviour(pieces=[b"all"])) as place, asyncio.timeout(5):
        unread = await place.transport.send(place.request())
        half_read = await place.transport.send(place.request())
        assert await anext(half_read.chunks()) == b"some"
        read = await place.transport.send(place.request())
        assert await read.read() == b"all"
        for response in (unread, half_read, read):
            await response.close()
            await response.close()


async def test_a_transport_may_be_closed_twice(world: World) -> None:
    async with world.place(Behaviour()) as place:
        await (await place.transport.send(place.request())).read()
        await place.transport.close()
        await place.transport.close()
