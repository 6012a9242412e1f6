"""HTTP to providers, over aiohttp. Why aiohttp, and what the guard relies on: docs/adr/0002."""

import asyncio
import io
import re
import ssl
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import Connection
from yarl import URL

from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.domain.secret import Secret
from headgate.net import failures
from headgate.net.guard import AddressGuard, Reach, read_url
from headgate.net.inflate import ACCEPTED
from headgate.net.pools import KEEPALIVE_S, Pool, Pools, PoolSettings
from headgate.net.response import AioResponse
from headgate.ports import WireRequest

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
_LARGE_BODY_BYTES = 1 << 20
_NOT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


class Attempt:
    """One request on its way: which clock runs, and whether the provider may have got any of it."""

    def __init__(self, request: WireRequest, host: str) -> None:
        self.host = host
        self.connected = False
        self._request = request
        self._wire: asyncio.Transport | None = None
        self._started = asyncio.get_running_loop().time()
        self._deadline = asyncio.timeout_at(min(self._started + request.connect_timeout_s, self.total_at))

    @property
    def total_at(self) -> float:
        """Loop time at which everything must be over."""
        return self._started + self._request.total_timeout_s

    def connection_stands(self, connection: Connection) -> None:
        """From here the request is written, and the wait for an answer runs. Raises TimeoutError."""
        if self._deadline.expired():  # and the cancellation by which it says so got lost below
            raise TimeoutError
        self.connected = True
        self._wire = connection.transport
        answer_at = asyncio.get_running_loop().time() + self._request.first_byte_timeout_s
        self._deadline.reschedule(min(answer_at, self.total_at))

    async def send(self, pool: Pool, url: URL) -> aiohttp.ClientResponse:
        """Returns at the response's head. Raises as HttpTransport.send does."""
        request = self._request
        headers = _reveal(request)
        try:
            async with self._deadline:
                response = await pool.session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=_wrap(request.body),
                    allow_redirects=False,
                    middlewares=(self._once,),
                )
        except TimeoutError:
            raise self._timed_out() from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._translate(error) from None
        except RuntimeError as error:
            if self.connected:
                raise
            raise self._translate(error) from None
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:  # never asked for, and no answer to anything
            response.close()
            raise failures.garbled(self.host)
        return response

    async def _once(self, request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        """A middleware, so that ours is the exception aiohttp sees.

        On its own it would send an idempotent method again when a kept connection was dead; retries are
        decided in one place, above.
        """
        assert isinstance(request, WatchedRequest)
        request.attempt = self
        try:
            return await send(request)
        except (aiohttp.ClientError, OSError) as error:
            raise self._translate(error) from None
        except BaseException:
            # aiohttp closes the connection, in good order: what is unsent would still be sent.
            if self._wire is not None:
                self._wire.abort()
            raise

    def _translate(self, error: BaseException) -> HeadgateError:
        return failures.translate(error, host=self.host, may_have_run=self.connected)

    def _timed_out(self) -> HeadgateError:
        request = self._request
        waited_for, seconds = ("connection", request.connect_timeout_s)
        if self.connected:
            waited_for, seconds = ("answer", request.first_byte_timeout_s)
        if asyncio.get_running_loop().time() >= self.total_at:
            seconds = request.total_timeout_s
        return failures.timed_out(self.host, waited_for, seconds, may_have_run=self.connected)


class WatchedRequest(aiohttp.ClientRequest):
    """aiohttp's request, telling its attempt that a connection stands. Nothing has been written before."""

    attempt: Attempt | None = None

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if self.attempt is not None:
            self.attempt.connection_stands(conn)
        return await super().send(conn)


class AioTransport:
    """Sends requests to providers; see `headgate.ports.HttpTransport`. Has no socket before the first `send`.

    guard: judges requests marked `guarded`; by default only public addresses pass. max_response_bytes: of one
    body, decompressed. ssl_context: authorities other than the system's. make_resolver: called once per
    session, in its loop.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        keepalive_s: float = KEEPALIVE_S,
        ssl_context: ssl.SSLContext | None = None,
        make_resolver: Callable[[], AbstractResolver] = aiohttp.DefaultResolver,
    ) -> None:
        self._guard = guard or AddressGuard()
        self._max_response_bytes = max_response_bytes
        self._pools = Pools(
            PoolSettings(
                guard=self._guard,
                request_class=WatchedRequest,
                keepalive_s=keepalive_s,
                ssl_context=ssl_context,
                make_resolver=make_resolver,
            )
        )

    async def send(self, request: WireRequest) -> AioResponse:
        url = read_url(request.url)
        reach = self._guard.admit(url) if request.guarded else Reach.ANYWHERE
        pool = await self._pools.get(reach)
        attempt = Attempt(request, url.raw_host or "")
        pool.lent += 1
        try:
            response = await attempt.send(pool, url)
        except BaseException:
            pool.release()
            raise
        return AioResponse(
            response,
            request,
            host=attempt.host,
            total_at=attempt.total_at,
            max_bytes=self._max_response_bytes,
            on_end=pool.release,
        )

    async def close(self) -> None:
        """Closes the connections of the running loop. A later `send` opens new ones."""
        await self._pools.close()


def _reveal(request: WireRequest) -> dict[str, str]:
    """Header values as they go on the wire; only here do secrets become text. Raises InvalidRequest."""
    headers = {"user-agent": "headgate", "accept-encoding": ACCEPTED}
    for name, value in request.headers.items():
        text = value.reveal() if isinstance(value, Secret) else value
        if _NOT_IN_HEADERS.search(text):
            raise InvalidRequest.of_field("headers", f"The value of {name} has control characters.")
        headers[name.lower()] = text
    return headers


def _wrap(body: bytes | None) -> bytes | io.BytesIO | None:
    """aiohttp writes large bytes in one piece, and warns that this may hold up the loop."""
    if body is None or len(body) <= _LARGE_BODY_BYTES:
        return body
    return io.BytesIO(body)
