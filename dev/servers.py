"""uvicorn, as the runner uses it: on sockets that are bound already, without its signal handling."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
_GRACE_S = 1
_BACKLOG = 2048


class CannotServe(Exception):
    """Something that is needed for serving did not start; the message says what."""


def bind(port: int) -> socket.socket:
    """A loopback socket; port 0 takes a free one. Raises CannotServe when it is in use."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotServe(f"port {port} is in use; stop what listens there, or set PORT") from None
        raise
    return bound


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes none: the runner stops all its servers together."""
        yield


class _NotOurCuts(logging.Filter):
    """Drops what uvicorn says of responses that were cut on purpose: a broken stream, a stop."""

    def filter(self, record: logging.LogRecord) -> bool:
        cause = record.exc_info[1] if record.exc_info else None
        if isinstance(cause, (ConnectionAbortedError, asyncio.CancelledError)):
            return False
        return not str(record.msg).startswith("Cancel %s running task")


_QUIET = _NotOurCuts()


class RunningServer:
    """One app on one socket."""

    def __init__(self, app: "ASGIApp", listener: socket.socket, *, lifespan: bool) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on" if lifespan else "off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=_GRACE_S,
                backlog=_BACKLOG,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_QUIET)
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Returns once requests are answered. Raises CannotServe when the app can't start."""
        self._task = asyncio.create_task(self._serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
            if self._task.done():
                raise CannotServe("a server could not start; its own message stands above")

    async def _serve(self) -> None:
        # When the app's lifespan fails, uvicorn leaves by SystemExit, which would end the whole loop.
        with contextlib.suppress(SystemExit):
            await self._server.serve(sockets=[self._listener])

    async def stop(self) -> None:
        """Requests that are still running after a second are cut. Safe for one that did not start."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()
