"""One request to an ASGI app, step by step: what httpx waits for the end of is seen here as it happens."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message


class Exchange:
    """A client that sends a body in pieces, reads the answer piece by piece, and may leave."""

    def __init__(
        self,
        app: ASGIApp,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] = (),
    ) -> None:
        pieces = list(body) or [b""]
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": at < len(pieces) - 1}
            for at, piece in enumerate(pieces)
        ]
        self._gone = asyncio.Event()
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._complete = False
        self.read_bytes = 0
        self.scope = self._scope(method, path, headers or {})
        self.task: asyncio.Future[None] = asyncio.ensure_future(app(self.scope, self._receive, self._send))

    @staticmethod
    def _scope(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("gate", 80),
            "state": {},
        }

    async def _receive(self) -> Message:
        if self._messages:
            message = self._messages.pop(0)
            self.read_bytes += len(message["body"])
            return message
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._sent.put_nowait(message)

    @property
    def silent(self) -> bool:
        """Whether nothing has come that was not read yet."""
        return self._sent.empty()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers, once they are there."""
        message = await self._next()
        assert message["type"] == "http.response.start"
        return message["status"], {name.decode(): value.decode() for name, value in message["headers"]}

    async def piece(self) -> bytes | None:
        """The next piece of the body; None at its proper end."""
        if self._complete:
            return None
        message = await self._next()
        assert message["type"] == "http.response.body"
        self._complete = not message.get("more_body")
        return None if self._complete and not message["body"] else message["body"]

    async def rest(self) -> bytes:
        """The body to its proper end."""
        data = b""
        while (piece := await self.piece()) is not None:
            data += piece
        return data

    async def leave(self) -> None:
        """Closes the connection; returns when the app is done with it."""
        self._gone.set()
        await asyncio.wait([self.task], timeout=5)
        assert self.task.done()

    async def _next(self) -> Message:
        getting = asyncio.create_task(self._sent.get())
        waited: set[asyncio.Future[Any]] = {getting, self.task}
        await asyncio.wait(waited, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        if getting.done() or not self._sent.empty():
            return await getting
        getting.cancel()
        assert self.task.done(), "nothing came"
        self.task.result()
        raise AssertionError("the answer is over")
