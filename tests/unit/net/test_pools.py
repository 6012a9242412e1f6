"""Connections belong to one loop, and don't outlive a frozen process."""

import asyncio
import time

import aiohttp

from headgate.net.guard import AddressGuard, Reach
from headgate.net.pools import Pools, PoolSettings


class WallClock:
    """Seconds that a test moves on its own."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


def pools_of(clock: WallClock) -> Pools:
    return Pools(
        PoolSettings(
            guard=AddressGuard(),
            request_class=aiohttp.ClientRequest,
            keepalive_s=4.0,
            ssl_context=None,
            make_resolver=aiohttp.DefaultResolver,
            wall_clock=clock,
        )
    )


async def test_a_loop_has_one_session_for_each_reach() -> None:
    pools = pools_of(WallClock())
    public = await pools.get(Reach.PUBLIC)
    assert await pools.get(Reach.PUBLIC) is public
    assert await pools.get(Reach.ANYWHERE) is not public
    assert await pools.get(Reach.NAMED) is not public
    await pools.close()
    assert public.session.closed


async def test_a_process_that_slept_connects_anew() -> None:
    clock = WallClock()
    pools = pools_of(clock)
    before = await pools.get(Reach.PUBLIC)
    clock.ahead_s += 60
    after = await pools.get(Reach.PUBLIC)
    assert after is not before
    assert before.session.closed
    assert await pools.get(Reach.PUBLIC) is after
    await pools.close()


async def test_a_clock_that_is_set_while_requests_run_disturbs_none() -> None:
    clock = WallClock()
    pools = pools_of(clock)
    pool = await pools.get(Reach.PUBLIC)
    pool.lent += 1
    clock.ahead_s += 60
    assert await pools.get(Reach.PUBLIC) is pool
    assert not pool.session.closed
    pool.release()
    assert await pools.get(Reach.PUBLIC) is not pool
    await pools.close()


async def test_a_clock_that_is_set_back_disturbs_nothing() -> None:
    clock = WallClock()
    pools = pools_of(clock)
    pool = await pools.get(Reach.PUBLIC)
    clock.ahead_s -= 60
    assert await pools.get(Reach.PUBLIC) is pool
    await pools.close()


def test_the_session_of_a_closed_loop_is_let_go_of() -> None:
    pools = pools_of(WallClock())
    first = asyncio.run(pools.get(Reach.PUBLIC))
    assert not first.session.closed

    async def again() -> None:
        assert await pools.get(Reach.PUBLIC) is not first
        assert first.session.closed
        await pools.close()

    asyncio.run(again())
