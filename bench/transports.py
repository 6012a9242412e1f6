"""What each HTTP client costs, bare, and what our transport adds to the one it stands on.

    PYTHONPATH=layers/core python -m bench.transports [--rounds 4]

Every client talks to the same mock upstream on another processor, in rounds that are interleaved, under
uvloop. `socket` is a client of a few lines that parses nothing it need not: the floor, from which "added" is
counted. `headgate` is `headgate.net.transport.AioTransport`, plain and guarded. Imports are timed in
processes of their own, in turn with a bare Python. Clients that are not installed are left out, and named.
"""

import argparse
import asyncio
import importlib
import importlib.util
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import aiohttp
import uvloop

from bench import figures, machine
from headgate.net.guard import AddressGuard
from headgate.net.transport import AioTransport
from headgate.ports import WireRequest, WireResponse

_HEADERS = {"content-type": "application/json", "authorization": "Bearer not-a-key"}
_MESSAGES = b'"messages":[{"role":"user","content":"' + b"Tell me about gateways. " * 10 + b'"}]'
_SHORTEST_CHUNK = 100
_SHORTEST_WHOLE = 300


class Client(ABC):
    """An HTTP client that posts a body and counts the bytes of the answer. Made inside the loop."""

    package = ""
    statement = ""

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    async def whole(self, body: bytes) -> int:
        """The size of the answer, read at once."""

    @abstractmethod
    async def stream(self, body: bytes) -> int:
        """The size of the answer, read as it arrives."""

    @abstractmethod
    async def close(self) -> None: ...


class SocketClient(Client):
    """asyncio streams, a kept connection per task, and just enough HTTP to find an answer's end."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        host, _, port = url.split("/")[2].partition(":")
        self._address = (host, int(port))
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        lines = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())
        self._head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n{lines}"

    async def whole(self, body: bytes) -> int:
        reader, writer = await self._post(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        data = await reader.readexactly(length)
        self._idle.append((reader, writer))
        return len(data)

    async def stream(self, body: bytes) -> int:
        reader, writer = await self._post(body)
        size, tail = 0, b""
        while not tail.endswith(b"0\r\n\r\n"):
            data = await reader.read(65536)
            size += len(data)
            tail = (tail + data)[-5:]
        self._idle.append((reader, writer))
        return size

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()

    async def _post(self, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        writer.write(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return reader, writer


class AiohttpClient(Client):
    package, statement = "aiohttp", "import aiohttp"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        jar = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=jar)

    async def whole(self, body: bytes) -> int:
        async with self._session.post(self.url, data=body, headers=_HEADERS) as response:
            return len(await response.read())

    async def stream(self, body: bytes) -> int:
        async with self._session.post(self.url, data=body, headers=_HEADERS) as response:
            return sum([len(chunk) async for chunk in response.content.iter_any()])

    async def close(self) -> None:
        await self._session.close()


class HeadgateClient(Client):
    package, statement = "aiohttp", "from headgate.net import transport"
    guarded = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._transport = AioTransport(guard=AddressGuard(allow_loopback=True))

    async def whole(self, body: bytes) -> int:
        return len(await (await self._send(body)).read())

    async def stream(self, body: bytes) -> int:
        return sum([len(chunk) async for chunk in (await self._send(body)).chunks()])

    async def close(self) -> None:
        await self._transport.close()

    async def _send(self, body: bytes) -> WireResponse:
        request = WireRequest(method="POST", url=self.url, headers=_HEADERS, body=body, guarded=self.guarded)
        return await self._transport.send(request)


class GuardedClient(HeadgateClient):
    statement = ""
    guarded = True


class HttpxClient(Client):
    """httpx, and what shares its interface. None of them is used at runtime, so they may be missing."""

    package, statement, maker = "httpx", "import httpx", "AsyncClient"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        module = importlib.import_module(self.package)
        limits = importlib.import_module(self.package.removesuffix("_aiohttp")).Limits(max_connections=None)
        self._client: Any = getattr(module, self.maker)(limits=limits, timeout=60)

    async def whole(self, body: bytes) -> int:
        return len((await self._client.post(self.url, content=body, headers=_HEADERS)).content)

    async def stream(self, body: bytes) -> int:
        async with self._client.stream("POST", self.url, content=body, headers=_HEADERS) as response:
            return sum([len(chunk) async for chunk in response.aiter_bytes()])

    async def close(self) -> None:
        await self._client.aclose()


class Httpx2Client(HttpxClient):
    package, statement = "httpx2", "import httpx2"


class HttpxAiohttpClient(HttpxClient):
    package, statement, maker = "httpx_aiohttp", "import httpx_aiohttp", "HttpxAiohttpClient"


CLIENTS: dict[str, type[Client]] = {
    "socket": SocketClient,
    "aiohttp": AiohttpClient,
    "headgate": HeadgateClient,
    "headgate guarded": GuardedClient,
    "httpx": HttpxClient,
    "httpx2": Httpx2Client,
    "httpx-aiohttp": HttpxAiohttpClient,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`calls` answers per client and round, `concurrency` at a time, streamed if they have `chunks`."""

    name: str
    concurrency: int
    calls: int
    chunks: int = 0
    pause_ms: int = 0

    @property
    def body(self) -> bytes:
        if not self.chunks:
            return b'{"model":"plain",' + _MESSAGES + b"}"
        return b'{"model":"bench-%d-%d","stream":true,' % (self.chunks, self.pause_ms) + _MESSAGES + b"}"

    @property
    def shortest(self) -> int:
        """Bytes that a right answer has at least."""
        return self.chunks * _SHORTEST_CHUNK or _SHORTEST_WHOLE


SCENARIOS = (
    Scenario("whole c1", 1, 100),
    Scenario("whole c8", 8, 240),
    Scenario("whole c64", 64, 320),
    Scenario("stream c8, 200 chunks at once", 8, 16, chunks=200),
    Scenario("stream c100, 20 chunks 10 ms apart", 100, 100, chunks=20, pause_ms=10),
)


@dataclass(slots=True)
class Series:
    """One client in one scenario, a value per round: milliseconds to the median answer, answers a second,
    processor milliseconds an answer."""

    latency_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


async def run_batch(client: Client, scenario: Scenario, series: Series | None) -> None:
    """Raises BenchFailed for an answer that is not whole."""
    call: Callable[[bytes], Awaitable[int]] = client.stream if scenario.chunks else client.whole
    body = scenario.body
    left = iter(range(scenario.calls))
    took_s: list[float] = []

    async def worker() -> None:
        for _ in left:
            begun = time.perf_counter()
            size = await call(body)
            took_s.append(time.perf_counter() - begun)
            if size < scenario.shortest:
                raise machine.BenchFailed(f"{type(client).__name__} got {size} bytes")

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(scenario.concurrency)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if series is not None:
        series.latency_ms.append(median(took_s) * 1e3)
        series.per_s.append(scenario.calls / wall)
        series.cpu_ms.append(cpu / scenario.calls * 1e3)


async def measure(url: str, names: Sequence[str], rounds: int) -> dict[str, dict[str, Series]]:
    """Series by scenario and client; the clients take turns in each round, from another start each time.

    Each batch has a client of its own, warmed up: the idle connections of a busier scenario slow some pools.
    """
    results = {scenario.name: {name: Series() for name in names} for scenario in SCENARIOS}
    for number in range(rounds):
        turn = number % len(names)
        for scenario in SCENARIOS:
            for name in (*names[turn:], *names[:turn]):
                client = CLIENTS[name](url)
                await run_batch(client, replace(scenario, calls=max(8, scenario.concurrency // 2)), None)
                await run_batch(client, scenario, results[scenario.name][name])
                await client.close()
    return results


def time_imports(names: Sequence[str], rounds: int) -> list[figures.Row]:
    """Milliseconds that a process takes longer than a bare one, by import statement; median of the rounds."""
    statements = {"python": "pass"} | {n: CLIENTS[n].statement for n in names if CLIENTS[n].statement}
    took_ms: dict[str, list[float]] = {name: [] for name in statements}
    environ = machine.environment({"PYTHONDONTWRITEBYTECODE": "1"})
    for _ in range(rounds):
        for name, statement in statements.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], env=environ, check=True)
            took_ms[name].append((time.perf_counter() - begun) * 1e3)
    bare = took_ms["python"]
    return [
        {"client": name, "wall_ms": median(took), "added_ms": figures.paired(took, bare, figures.difference)}
        for name, took in took_ms.items()
    ]


def rows_of(scenario: Scenario, results: dict[str, Series]) -> list[figures.Row]:
    """One row a client: medians of the rounds, and what is paired with the floor and with aiohttp."""
    floor, aiohttp = results["socket"], results["aiohttp"]
    rows: list[figures.Row] = []
    for name, series in results.items():
        row: dict[str, object] = {
            "client": name,
            "added_ms": figures.paired(series.latency_ms, floor.latency_ms, figures.difference),
            "cpu_ms": median(series.cpu_ms),
            "cpu_ratio": figures.paired(series.cpu_ms, aiohttp.cpu_ms, figures.ratio),
            "per_s": median(series.per_s),
            "per_s_ratio": figures.paired(series.per_s, aiohttp.per_s, figures.ratio),
        }
        if scenario.chunks:
            row["cpu_us_chunk"] = median(series.cpu_ms) * 1e3 / scenario.chunks
        rows.append(row)
    return rows


_COLUMNS = {
    "client": "client",
    "added_ms": "p50 added ms",
    "cpu_ms": "CPU ms",
    "cpu_ratio": "CPU ×aiohttp",
    "per_s": "per s",
    "per_s_ratio": "per s ×aiohttp",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    names = [n for n, kind in CLIENTS.items() if not kind.package or importlib.util.find_spec(kind.package)]
    print(figures.json_line(machine.describe() | {"missing": ", ".join(set(CLIENTS) - set(names))}))
    ours, theirs = machine.processors()
    port = machine.free_port()
    with machine.running(machine.module("bench.upstream", str(port)), cpu=theirs) as upstream:
        upstream.wait_for_port(port)
        os.sched_setaffinity(0, {ours})
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        results = uvloop.run(measure(url, names, rounds))
    for scenario in SCENARIOS:
        extra = {"cpu_us_chunk": "CPU µs/chunk"} if scenario.chunks else {}
        print(figures.table(scenario.name, rows_of(scenario, results[scenario.name]), _COLUMNS | extra))
    columns = {"client": "client", "wall_ms": "process ms", "added_ms": "added ms"}
    print(figures.table("import", time_imports(names, min(rounds, 3)), columns))


if __name__ == "__main__":
    main()
