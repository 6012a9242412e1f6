"""A closed-loop HTTP load driver which costs little: one keep-alive connection per request at a time."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools
import orjson

from bench.figures import percentile
from bench.machine import usage_of

_EVENT, _END = b"data:", b"[DONE]"
_TAIL_BYTES = max(len(_EVENT), len(_END)) - 1
_PATIENCE_S = 45.0
_WATCH_S = 0.05


class Connection(asyncio.Protocol):
    """Sends a request, reads its answer; then it may send the next. Times are of `time.perf_counter`."""

    def __init__(self) -> None:
        self.closed = False
        self.status = 0
        self.sent_s = self.first_s = self.end_s = 0.0
        self.events = self.body_bytes = 0
        self.ended = False
        self._tail = b""
        self._done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.closed = True
        self._finish(ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._finish(ConnectionError(type(error).__name__))
            self.close()

    def on_body(self, body: bytes) -> None:
        if not self.body_bytes:
            self.first_s = time.perf_counter()
        self.body_bytes += len(body)
        if self._stream:
            seen = self._tail + body
            self.events += seen.count(_EVENT) - self._tail.count(_EVENT)
            self.ended = self.ended or _END in seen
            self._tail = seen[-_TAIL_BYTES:]

    def on_message_complete(self) -> None:
        self.end_s = time.perf_counter()
        self.status = self._parser.get_status_code()
        keep = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        self._finish(None)
        if not keep:
            self.close()

    async def exchange(self, payload: bytes, *, stream: bool) -> None:
        """Returns with the answer complete; the attributes tell of it. Raises ConnectionError."""
        if self.closed:
            raise ConnectionError("the connection was closed")
        self._stream, self._tail, self.ended = stream, b"", False
        self.events = self.body_bytes = 0
        self._done = asyncio.get_running_loop().create_future()
        self.sent_s = time.perf_counter()
        self._transport.write(payload)
        await self._done

    def close(self) -> None:
        self.closed = True
        self._transport.abort()

    def _finish(self, error: ConnectionError | None) -> None:
        if self._done is None or self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


@dataclass(kw_only=True)
class Target:
    """Somewhere to send requests. pid: whose memory and processor time to watch, if any.

    model_prefix: what stands before the upstream's model name there.
    """

    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    pid: int | None = None
    model_prefix: str = ""
    connections: list[Connection] = field(default_factory=list, repr=False)

    def request(self, method: str, body: Mapping[str, object] | None = None, *, path: str = "") -> bytes:
        """The bytes of a request; a body's `model` gets the prefix."""
        parts = urlsplit(self.url)
        query = f"?{parts.query}" if parts.query else ""
        sent = b""
        if body is not None:
            sent = orjson.dumps({**body, "model": f"{self.model_prefix}{body['model']}"})
        headers = {"host": parts.netloc, "accept": "*/*", **self.headers}
        if sent:
            headers |= {"content-type": "application/json", "content-length": str(len(sent))}
        lines = [f"{method} {parts.path}{path}{query} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent

    async def connected(self, count: int) -> list[Connection]:
        """That many live connections, kept from round to round."""
        self.connections = [each for each in self.connections if not each.closed]
        while len(self.connections) < count:
            self.connections.append(await self._connect())
        return self.connections[:count]

    async def _connect(self) -> Connection:
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, parts.hostname or "", parts.port or 80)
        return connection

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()


@dataclass(kw_only=True)
class Round:
    """What one round of requests to one target showed. Times are milliseconds, memory MiB."""

    latency_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    events: int = 0
    body_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    rss_before_mib: float = 0.0
    rss_peak_mib: float = 0.0

    def note(self, connection: Connection, *, stream: bool) -> None:
        if connection.status >= 400:
            self.errors[str(connection.status)] += 1
        elif stream and not connection.ended:
            self.errors["cut"] += 1
        else:
            self.latency_ms.append((connection.end_s - connection.sent_s) * 1000)
            self.first_ms.append((connection.first_s - connection.sent_s) * 1000)
            self.events += connection.events
            self.body_bytes += connection.body_bytes

    def figures(self) -> dict[str, float]:
        """p50 and p99 of an answer and of its first byte, requests and events a second, CPU a request."""
        done = len(self.latency_ms)
        return {
            "p50_ms": percentile(self.latency_ms, 0.5),
            "p99_ms": percentile(self.latency_ms, 0.99),
            "first_p50_ms": percentile(self.first_ms, 0.5),
            "first_p99_ms": percentile(self.first_ms, 0.99),
            "requests_per_s": done / self.wall_s,
            "events_per_s": self.events / self.wall_s,
            "cpu_ms": self.cpu_s * 1000 / done if done else float("nan"),
        }


async def run_round(
    target: Target, payload: bytes, *, at_once: int, seconds: float = 0.0, stream: bool = False
) -> Round:
    """Requests for that long, `at_once` of them under way; 0 seconds: each connection sends one.

    A request under way at the end is waited for, up to 45 s, and counts.
    """
    connections = await target.connected(at_once)
    done = Round()
    watch = asyncio.ensure_future(_watch(target.pid, done)) if target.pid is not None else None
    await asyncio.sleep(0)
    started_s = time.perf_counter()
    workers = [
        asyncio.ensure_future(_work(each, payload, started_s + seconds, stream=stream, done=done))
        for each in connections
    ]
    _, late = await asyncio.wait(workers, timeout=seconds + _PATIENCE_S)
    for worker in late:
        worker.cancel()
        done.errors["timeout"] += 1
    if late:
        target.close()
    done.wall_s = time.perf_counter() - started_s
    if watch is not None:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    return done


async def _work(connection: Connection, payload: bytes, until_s: float, *, stream: bool, done: Round) -> None:
    while True:
        try:
            await connection.exchange(payload, stream=stream)
        except ConnectionError:
            done.errors["closed"] += 1
            return
        done.note(connection, stream=stream)
        if time.perf_counter() >= until_s:
            return


async def _watch(pid: int, done: Round) -> None:
    """Processor time over the round, and the most memory that was seen."""
    before = usage_of(pid)
    done.rss_before_mib = done.rss_peak_mib = before.rss_mib
    try:
        while True:
            await asyncio.sleep(_WATCH_S)
            done.rss_peak_mib = max(done.rss_peak_mib, usage_of(pid).rss_mib)
    finally:
        after = usage_of(pid)
        done.cpu_s = after.cpu_s - before.cpu_s
        done.rss_peak_mib = max(done.rss_peak_mib, after.rss_mib)
