"""Streamed answers: the head held until there is something to say, pings in silence, errors as events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from headgate.domain.errors import HeadgateError
from headgate.http.errors import Header, stream_error
from headgate.http.numbering import EventNumbers

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PING = b": ping\n\n"
STALL_S = 60.0
"""A client that takes nothing for so long has left; well within the time that the sweep gives a stream."""
STREAM_HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class ClientGone(Exception):
    """The client closed its connection before the answer was complete."""


class EventSource(Protocol):
    """What is streamed: opened first, then read chunk by chunk, or abandoned."""

    async def open(self) -> None: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def abandon(self) -> None: ...


@asynccontextmanager
async def cancelled_when_client_leaves(receive: "Receive") -> AsyncIterator[None]:
    """Raises ClientGone inside the block, at its current await, when the client disconnects."""
    task = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if task is not None:
            task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone or task is None:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        watcher.cancel()


class EventStreamResponse(Response):
    """Sends a source as server-sent events.

    The head goes out with the first event, or after `ping_s` seconds of silence, then as 200 with a ping;
    from there on silence is broken by a ping at least every `ping_s` seconds. A source that fails before the
    head is out raises to the edge, so that the status is the real one; afterwards the error is sent as an
    event and nothing that looks like a proper end follows.
    """

    def __init__(
        self,
        source: EventSource,
        *,
        headers: Callable[[], list[Header]],
        ping_s: float,
        path: str,
        request_id: str,
    ) -> None:
        super().__init__()
        self._source = source
        self._run_headers = headers
        self._ping_s = ping_s
        self._path = path
        self._request_id = request_id
        self._numbers = EventNumbers()
        self._started = False
        self._done = False
        self._pings: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        del scope
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time()
        self._timer = self._loop.call_at(self._last_s + self._ping_s, self._on_timer)
        try:
            async with cancelled_when_client_leaves(receive):
                await self._stream()
        except (ClientGone, asyncio.CancelledError) as gone:
            await asyncio.shield(self._source.abandon())
            if isinstance(gone, asyncio.CancelledError):
                raise
        finally:
            self._done = True
            self._timer.cancel()

    async def _stream(self) -> None:
        try:
            await self._source.open()
            await self._start()
            async for data in self._source.chunks():
                self._numbers.sent(data)
                await self._write(data)
        except HeadgateError as error:
            if not self._started:
                raise
            number = self._numbers.next()
            await self._write(
                stream_error(error, path=self._path, request_id=self._request_id, number=number)
            )
        self._done = True
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self) -> None:
        if self._started:
            return
        self._started = True
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *self._run_headers()]}
        )

    async def _write(self, data: bytes) -> None:
        """Raises ClientGone when the client takes nothing any more, though its connection is still there."""
        self._last_s = self._loop.time()
        try:
            async with asyncio.timeout(STALL_S):
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            raise ClientGone from None

    def _on_timer(self) -> None:
        """Silence is measured, not reset at every chunk: one timer for the whole stream."""
        if self._done:
            return
        due_s = self._last_s + self._ping_s
        if self._loop.time() >= due_s:
            task = self._loop.create_task(self._ping())
            self._pings.add(task)
            task.add_done_callback(self._pings.discard)
            due_s = self._loop.time() + self._ping_s
        self._timer = self._loop.call_at(due_s, self._on_timer)

    async def _ping(self) -> None:
        if not self._done:
            await self._start()
        if not self._done:
            with suppress(ClientGone):  # then the stream itself finds out
                await self._write(PING)
