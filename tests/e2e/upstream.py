"""A provider on loopback which does what a test scripted, down to single bytes and resets.

One port serves every provider, each under its own path: `base_url("openai")`. A chat is answered by the
script of its model, so that tests which run at once don't meet. What was asked is kept: `calls(model)`.
"""

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

CHATS = "/chat/completions"
_NO_LINGER = struct.pack("ii", 1, 0)
_REASONS = {200: "OK", 302: "Found", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class End(Enum):
    """How a script ends, when not with a connection that can serve the next request."""

    CLOSE = "an orderly end of the connection"
    RESET = "a reset"
    HANG = "silence until the peer goes away"


@dataclass(frozen=True)
class Pause:
    """Seconds of silence."""

    seconds: float


@dataclass(frozen=True)
class Endless:
    """The same bytes over and over, until the peer goes away."""

    data: bytes
    every_s: float = 0.02


type Step = bytes | Pause | Endless | End


@dataclass(eq=False)
class Call:
    """One request as it arrived. `gone`: the peer gave the connection up before the script's end."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float = field(default_factory=time.monotonic)
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


type Script = Sequence[Step] | Callable[[Call], Sequence[Step]]


# -- what providers say -------------------------------------------------------------------------------------


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(body: Any, status: int = 200, **headers: str) -> tuple[bytes]:
    """A complete answer; `body` is bytes, or becomes JSON. `content_type` and the like by keyword."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {"content-type": "application/json", **named, "content-length": str(len(data))}
    return (head(status, fields) + data,)


STREAM_HEAD = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
LAST_PIECE = b"0\r\n\r\n"


def piece(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def event(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


DONE = event(b"[DONE]")


def stream(*steps: bytes | Pause | Endless | End) -> tuple[Step, ...]:
    """A streamed answer whose bytes are given as they are; ends properly unless the last step is an `End`."""
    framed = [piece(step) if isinstance(step, bytes) else step for step in steps]
    if framed and isinstance(framed[-1], End):
        return (STREAM_HEAD, *framed)
    return (STREAM_HEAD, *framed, LAST_PIECE)


def completion(text: str = "The gate is open.", **more: Any) -> dict[str, Any]:
    """A chat completion as OpenAI answers it."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-told",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        **more,
    }


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a streamed completion; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": dict(delta), "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-told",
        "choices": choices,
        **more,
    }


def words(*texts: str) -> bytes:
    """Content, an event a text."""
    return b"".join(event(chunk({"content": text})) for text in texts)


USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
FIRST = event(chunk({"role": "assistant", "content": ""}))
FINISH = event(chunk({}, "stop"))
USAGE_CHUNK = event(chunk(usage=USAGE))
ENDING = FINISH + USAGE_CHUNK + DONE
STREAMED = stream(FIRST + words("The", " gate", " is", " open.") + ENDING)


def listed(*names: str) -> tuple[bytes]:
    """A model list as OpenAI answers it."""
    entries = [{"id": name, "object": "model", "created": 1, "owned_by": "loopback"} for name in names]
    return whole({"object": "list", "data": entries})


def _usual(call: Call) -> Sequence[Step]:
    return STREAMED if call.json.get("stream") else whole(completion())


# -- the server ---------------------------------------------------------------------------------------------


class Upstream:
    """Runs in a thread of its own. `scripts`: by model as the provider knows it; `lists`: by slug."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.lists: dict[str, Script] = {}
        self.asked: list[Call] = []
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def base_url(self, slug: str) -> str:
        return f"http://127.0.0.1:{self.port}/{slug}"

    def environ(self, *slugs: str) -> dict[str, str]:
        """The variables that make these providers configured."""
        urls = {f"{slug.upper()}_BASE_URL": self.base_url(slug) for slug in slugs}
        return urls | {f"{slug.upper()}_API_KEY": f"sk-{slug}-loopback-0123456789" for slug in slugs}

    def calls(self, model: str) -> list[Call]:
        """The chats that asked for this model, in order."""
        chats = [call for call in self.asked if call.path.endswith(CHATS)]
        return [call for call in chats if call.json.get("model") == model]

    def close(self) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(self._serve), "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (call := await _read(reader)) is not None:
                self.asked.append(call)
                if not await _Performance(call, writer, gone).perform(self._script(call)):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def _script(self, call: Call) -> Sequence[Step]:
        script: Script = whole({"error": {"message": "no such path"}}, 404)
        if call.path.endswith(CHATS):
            script = self.scripts.get(call.json["model"], _usual)
        elif call.path.partition("?")[0].endswith("/models"):
            script = self.lists.get(call.path.split("/")[1], listed("gpt-listed"))
        elif call.path.endswith(("/key", "/auth/check", "/user/balance")):
            script = whole({"data": {}, "is_available": True})
        return script(call) if callable(script) else script


async def _read(reader: asyncio.StreamReader) -> Call | None:
    """The next request on this connection; None when there is none."""
    start = await reader.readline()
    if not start:
        return None
    method, path, _ = start.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := (await reader.readline()).decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, path, headers, body)


class _Connection(asyncio.StreamReaderProtocol):
    """One connection; notes when its peer gives it up."""

    def __init__(self, serve: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self.gone = asyncio.Event()
        super().__init__(asyncio.StreamReader(), lambda reader, writer: serve(reader, writer, self.gone))

    def eof_received(self) -> bool:
        self.gone.set()
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


class _Performance:
    """One script on one connection."""

    def __init__(self, call: Call, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self._call = call
        self._writer = writer
        self._gone = gone

    async def perform(self, script: Sequence[Step]) -> bool:
        """Whether the connection can serve another request."""
        try:
            for step in script:
                if not await self._step(step):
                    return False
        except OSError:
            self._call.gone.set()
            return False
        return True

    async def _step(self, step: Step) -> bool:
        match step:
            case bytes():
                self._writer.write(step)
                await self._writer.drain()
            case Pause():
                return not await self._is_gone(step.seconds)
            case Endless():
                while not await self._is_gone(step.every_s):
                    self._writer.write(piece(step.data))
                    await self._writer.drain()
                return False
            case End.HANG:
                await self._is_gone(None)
                return False
            case End.RESET:
                connection = self._writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self._writer.transport.abort()
                return False
            case End.CLOSE:
                return False
        return True

    async def _is_gone(self, within_s: float | None) -> bool:
        """Waits; whether the peer gave the connection up meanwhile."""
        try:
            async with asyncio.timeout(within_s):
                await self._gone.wait()
        except TimeoutError:
            return False
        self._call.gone.set()
        return True
