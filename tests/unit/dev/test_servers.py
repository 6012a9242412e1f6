"""uvicorn on sockets of ours: started, stopped, and honest about both."""

import asyncio
from typing import Any

import httpx
import pytest

from dev.servers import CannotServe, RunningServer, bind


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Greets at once on `/`; on `/endless` it greets until it is cut."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while scope["path"] == "/endless":
        await send({"type": "http.response.body", "body": b"hello ", "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": b"hello"})


async def broken(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no table"})


async def test_a_started_server_answers_and_a_stopped_one_does_not() -> None:
    server = RunningServer(greet, bind(0), lifespan=True)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        assert (await client.get("/")).text == "hello"
        await server.stop()
        with pytest.raises(httpx.TransportError):
            await client.get("/")


async def test_a_stop_cuts_what_still_runs() -> None:
    server = RunningServer(greet, bind(0), lifespan=False)
    await server.start()
    async with (
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
        client.stream("GET", "/endless") as answer,
    ):
        chunks = answer.aiter_bytes()
        assert (await anext(chunks)).startswith(b"hello")
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(httpx.TransportError):
            async for _ in chunks:
                pass
        await asyncio.wait_for(stopping, 4)


async def test_an_app_that_can_not_start_is_an_error_and_nothing_more() -> None:
    server = RunningServer(broken, bind(0), lifespan=True)
    with pytest.raises(CannotServe):
        await server.start()
    await server.stop()


async def test_a_port_in_use_is_named() -> None:
    taken = bind(0)
    port = taken.getsockname()[1]
    with pytest.raises(CannotServe, match=f"port {port} is in use"):
        bind(port)
    taken.close()
    bind(port).close()
