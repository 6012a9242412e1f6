"""A loopback server that speaks raw bytes, so that it can break HTTP in every way a provider may."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType


class Wire:
    """One accepted connection, in the hands of a script."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "WireServer"
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._server = server

    async def read_request(self) -> bytes:
        """The next request, head and body. Raises IncompleteReadError when the client leaves instead."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request = head + await self._reader.readexactly(length)
        self._server.requests.append(request)
        self._server.asked.set()
        return request

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def until_gone(self) -> None:
        """Returns when the client has closed or reset the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            pass
        self._server.left.set()

    def close(self) -> None:
        """An orderly end (FIN)."""
        self._writer.close()

    def reset(self) -> None:
        """A disorderly one (RST): what is still in flight is lost."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Wire], Awaitable[None]]


def script_of(*steps: bytes | float | str) -> Script:
    """Reads one request, then does each step: bytes are written, a number is waited for (seconds), and
    `close`, `reset` and `hang` (until the client goes) end it. At the end it hangs too.
    """

    async def script(wire: Wire) -> None:
        await wire.read_request()
        for step in steps:
            if isinstance(step, bytes):
                await wire.write(step)
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif step == "close":
                return wire.close()
            elif step == "reset":
                return wire.reset()
        return await wire.until_gone()

    return script


def answer_of(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole response with a right content-length. headers: lines, each ended by a newline."""
    lines = "".join(line + "\r\n" for line in headers.splitlines())
    return f"HTTP/1.1 {status}\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def repeat(answer: bytes) -> Script:
    """Answers every request of a connection alike."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.read_request()
            await wire.write(answer)

    return script


class WireServer:
    """Runs `script` for every connection; keeps requests, counts connections, tells when a client left.

    `async with WireServer(script) as server` listens on a free loopback port. asked: set once a request is
    there. left: set once a client closed its connection while a script was still at it.
    """

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._script = script
        self._tls = tls
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def __aenter__(self) -> "WireServer":
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = Wire(reader, writer, self)
        try:
            await self._script(wire)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
