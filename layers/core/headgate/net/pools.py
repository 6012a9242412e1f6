"""aiohttp sessions: one per event loop and reach, made when first needed."""

import asyncio
import functools
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from headgate.net.guard import AddressGuard, Reach

KEEPALIVE_S = 4.0
"""How long an unused connection is kept. Shorter than what servers keep: uvicorn (and so vLLM) 5 s, Node 5 s.

A request that meets a connection the server has just closed can't be sent again, as it may have run.
"""

_SLEEP_S = 1.0
_HEADER_BYTES = 32_768


class JudgingResolver(AbstractResolver):
    """Resolves names, and refuses one that has any address out of reach, even among others that are not.

    This only makes the answer depend on the name instead of on which address is tried first; what protects is
    the judgement of each address when its socket is made, which IP literals in URLs meet too.
    """

    def __init__(self, inner: AbstractResolver, guard: AddressGuard, reach: Reach) -> None:
        self._inner = inner
        self._guard = guard
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises RefusedAddress, or what the inner resolver does."""
        results = await self._inner.resolve(host, port, family)
        for result in results:
            self._guard.require(result["host"], self._reach)
        return results

    async def close(self) -> None:
        await self._inner.close()


@dataclass(slots=True)
class Pool:
    """The connections of one reach in one loop.

    lent: requests under way. clock_gap_s: wall time minus monotonic time, when it was made.
    """

    session: aiohttp.ClientSession
    clock_gap_s: float
    lent: int = 0

    def release(self) -> None:
        self.lent -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """What every session has in common.

    ssl_context None: aiohttp's, the system's authorities. wall_clock: seconds, any epoch.
    """

    guard: AddressGuard
    request_class: type[aiohttp.ClientRequest]
    keepalive_s: float
    ssl_context: ssl.SSLContext | None
    make_resolver: Callable[[], AbstractResolver]
    wall_clock: Callable[[], float] = time.time


class Pools:
    """Finds the session for the running loop."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._by_loop: dict[asyncio.AbstractEventLoop, dict[Reach, Pool]] = {}

    async def get(self, reach: Reach) -> Pool:
        """The pool of the running loop; a new one when there is none, or when the process slept.

        A frozen process (Lambda, a laptop) finds its connections dead when it wakes, and the monotonic clock
        by which they age may have stood still meanwhile; reports from Lambda disagree. With nothing under
        way, a wall clock that ran ahead of it is reason enough to connect anew.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            await self._forget_closed_loops()
        pools = self._by_loop.setdefault(loop, {})
        pool = pools.get(reach)
        gap = self._settings.wall_clock() - time.monotonic()
        if pool is not None and (pool.lent or gap - pool.clock_gap_s < _SLEEP_S):
            return pool
        pools[reach] = fresh = Pool(self._make_session(reach), gap)
        if pool is not None:
            await pool.session.close()
        return fresh

    async def close(self) -> None:
        """Closes the running loop's connections; those of loops that are gone went with them."""
        pools = self._by_loop.pop(asyncio.get_running_loop(), {})
        for pool in pools.values():
            await pool.session.close()

    async def _forget_closed_loops(self) -> None:
        """Drops the sessions of loops that can't run again; one which only stopped may (Mangum's does)."""
        for loop in [loop for loop in self._by_loop if loop.is_closed()]:
            for pool in self._by_loop.pop(loop).values():
                await pool.session.close()

    def _make_session(self, reach: Reach) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._make_connector(reach),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            request_class=self._settings.request_class,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )

    def _make_connector(self, reach: Reach) -> aiohttp.TCPConnector:
        settings = self._settings
        resolver = settings.make_resolver()
        guarded = reach is not Reach.ANYWHERE
        return aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=settings.keepalive_s,
            ssl=settings.ssl_context or True,
            resolver=JudgingResolver(resolver, settings.guard, reach) if guarded else resolver,
            socket_factory=functools.partial(settings.guard.open_socket, reach=reach) if guarded else None,
        )
