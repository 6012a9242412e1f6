"""A response whose body is still arriving: its clocks, its byte limit, its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp

from headgate.domain.errors import HeadgateError
from headgate.net import failures
from headgate.net.inflate import BrokenEncoding, Inflater
from headgate.ports import WireRequest


class AioResponse:
    """One answer of a provider, over aiohttp. See `headgate.ports.WireResponse`.

    host: for messages. total_at: loop time at which `request.total_timeout_s` is over. max_bytes: of the
    body, decompressed. on_end: called once, when the body is complete or given up.

    One timer per response measures silence: a clock started and stopped for every chunk would cost more than
    all else that a chunk takes.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: WireRequest,
        *,
        host: str,
        total_at: float,
        max_bytes: int,
        on_end: Callable[[], None],
    ) -> None:
        self._response = response
        self._content = response.content
        self._request = request
        self._host = host
        self._total_at = total_at
        self._max_bytes = max_bytes
        self._on_end = on_end
        self._headers: dict[str, str] | None = None
        self._body: bytes | None = None
        self._failure: HeadgateError | None = None
        self._silent_since: float | None = None
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[None] | None = None
        if not self._content.is_eof():
            self._check()
            self._watch_connection()

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        if self._headers is None:
            self._headers = {}
            for name, value in self._response.headers.items():
                known = self._headers.get(name.lower())
                self._headers[name.lower()] = value if known is None else f"{known}, {value}"
        return self._headers

    async def read(self) -> bytes:
        if self._body is None:
            self._body = b"".join([piece async for piece in self.chunks()])
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        received = 0
        try:
            inflater = self._inflater()
            while data := await self._pull():
                for piece in (data,) if inflater is None else inflater.feed(data):
                    received += len(piece)
                    if received > self._max_bytes:
                        raise failures.too_large(self._host, self._max_bytes)
                    yield piece
            if inflater is not None:
                inflater.finish()
            self._check_end()
        except BrokenEncoding:
            raise failures.cut_off(self._host) from None
        finally:
            self._give_up()

    async def close(self) -> None:
        self._give_up()

    async def _pull(self) -> bytes:
        """What has arrived; waits for some. Empty at the end."""
        self._silent_since = self._loop.time()
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise self._failure or self._translate(error) from None
        except RuntimeError:
            # aiohttp's word for a connection that ended without a word to the body, heard before `_on_lost`.
            if self._lost is None or not self._lost.done():
                raise
            raise self._failure or self._lost_failure(self._lost) from None
        finally:
            self._silent_since = None

    def _inflater(self) -> Inflater | None:
        encoding = self._response.headers.get("content-encoding", "identity").strip().lower()
        return None if encoding in ("identity", "") else Inflater(encoding)

    # -- the end ------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        """Frees timer and connection. A body that is not complete costs the connection, at once."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._lost is not None:
            self._lost.remove_done_callback(self._on_lost)
        if not self._content.is_eof():
            self._drop_connection()
        self._on_end()

    def _drop_connection(self) -> None:
        """Aborts: an orderly end would first wait for what is unsent, and over TLS for the peer's goodbye."""
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        self._response.close()
        if transport is not None:
            transport.abort()

    def _fail(self, failure: HeadgateError) -> None:
        """Ends the body from outside; closing wakes a waiting reader, who finds the failure."""
        self._failure = failure
        self._give_up()

    def _check(self) -> None:
        """The timer: is the silence too long, or everything? Comes back when either next could be."""
        now = self._loop.time()
        since = now if self._silent_since is None else self._silent_since
        idle_at = since + self._request.idle_timeout_s
        if self._content.is_eof():
            return
        if now >= self._total_at:
            self._fail(self._timed_out("whole answer", self._request.total_timeout_s))
        elif now >= idle_at:
            self._fail(self._timed_out("next part of the answer", self._request.idle_timeout_s))
        else:
            self._timer = self._loop.call_at(min(idle_at, self._total_at), self._check)

    def _timed_out(self, waited_for: str, seconds: float) -> HeadgateError:
        return failures.timed_out(self._host, waited_for, seconds, may_have_run=True)

    # -- the connection -----------------------------------------------------------------------------------

    def _watch_connection(self) -> None:
        """Listens to how the connection ends, which aiohttp does not always pass on to the body.

        A reset looks like a short body, or like the end of one that the end of the connection delimits; a
        body with a chunk that can't be parsed never ends (3.14.5; tests/unit/net/test_aiohttp.py).
        """
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        self._lost = None if protocol is None else protocol.closed
        if self._lost is None:
            if self._content.exception() is None:
                self._fail(failures.cut_off(self._host))
            return
        # Retrieved even when the connection ends in the pool, or asyncio would log it.
        self._lost.remove_done_callback(_retrieve)
        self._lost.add_done_callback(_retrieve)
        self._lost.add_done_callback(self._on_lost)

    def _on_lost(self, lost: "asyncio.Future[None]") -> None:
        if not self._ended and not self._content.is_eof() and self._content.exception() is None:
            self._fail(self._lost_failure(lost))

    def _lost_failure(self, lost: "asyncio.Future[None]") -> HeadgateError:
        return failures.broken_off(self._host) if _is_reset(lost) else failures.cut_off(self._host)

    def _check_end(self) -> None:
        """Raises when what looked like the end of the body was a reset."""
        headers = self._response.headers
        delimited = "content-length" in headers or "transfer-encoding" in headers
        if not delimited and self._lost is not None and _is_reset(self._lost):
            raise failures.broken_off(self._host)

    def _translate(self, error: BaseException) -> HeadgateError:
        if self._lost is not None and _is_reset(self._lost):
            return failures.broken_off(self._host)
        return failures.translate(error, host=self._host, may_have_run=True)


def _is_reset(lost: "asyncio.Future[None]") -> bool:
    return lost.done() and not lost.cancelled() and lost.exception() is not None


def _retrieve(lost: "asyncio.Future[None]") -> None:
    if not lost.cancelled():
        lost.exception()
