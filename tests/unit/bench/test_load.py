"""The load driver: it counts whole answers, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.load import Target, run_round
from bench.upstream import Upstream

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def serving(protocol: type[asyncio.Protocol], path: str = CHAT) -> AsyncIterator[Target]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    target = Target(name="mock", url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}")
    try:
        yield target
    finally:
        target.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("at_once", [1, 7])
async def test_each_connection_gets_one_whole_answer_where_no_time_is_set(at_once: int) -> None:
    async with serving(Upstream) as target:
        done = await run_round(target, target.request("POST", {"model": "bench-3-0"}), at_once=at_once)
    assert len(done.latency_ms) == at_once
    assert not done.errors


@pytest.mark.parametrize("usage", [False, True])
async def test_every_chunk_of_a_stream_is_counted_however_it_is_cut(usage: bool) -> None:
    body = {"model": "bench-50-0", "stream": True, "stream_options": {"include_usage": usage}}
    async with serving(Upstream) as target:
        done = await run_round(target, target.request("POST", body), at_once=2, stream=True)
    beside = ["role", "finish", "done", *(["usage"] if usage else [])]
    assert done.events == 2 * (50 + len(beside))
    assert all(first <= whole for first, whole in zip(done.first_ms, done.latency_ms, strict=True))


async def test_pauses_of_a_stream_are_kept() -> None:
    async with serving(Upstream) as target:
        payload = target.request("POST", {"model": "bench-5-20", "stream": True})
        done = await run_round(target, payload, at_once=1, stream=True)
    assert done.latency_ms[0] - done.first_ms[0] >= 4 * 20 * 0.9


async def test_a_round_lasts_as_long_as_it_was_told() -> None:
    async with serving(Upstream) as target:
        payload = target.request("POST", {"model": "bench-3-0"})
        done = await run_round(target, payload, at_once=2, seconds=0.1)
    assert done.wall_s >= 0.1
    assert len(done.latency_ms) > 2


async def test_a_refusal_counts_as_an_error_and_not_as_a_quick_answer() -> None:
    async with serving(Upstream, "/nowhere") as target:
        done = await run_round(target, target.request("POST", {"model": "m"}), at_once=1)
    assert done.errors == {"404": 1}
    assert not done.latency_ms


class Cut(Upstream):
    """Ends every answer after its first write."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        write = self._transport.write

        class Once:
            def write(self, data: bytes) -> None:
                write(data)
                transport.close()

            def is_closing(self) -> bool:
                return transport.is_closing()

        self._transport = Once()  # type: ignore[assignment]  # of a transport, only this is used


async def test_a_stream_that_was_cut_counts_as_an_error() -> None:
    async with serving(Cut) as target:
        payload = target.request("POST", {"model": "bench-9-0", "stream": True})
        done = await run_round(target, payload, at_once=1, stream=True)
    assert done.errors.total() == 1
    assert not done.latency_ms
