"""Starting a refresh without another function to start."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from headgate.testing.faults import Faulty

RunRefresh = Callable[[tuple[str, ...] | None, bool], Awaitable[object]]
RunConnections = Callable[[tuple[tuple[str, str], ...]], Awaitable[object]]


class MemoryRefreshStarter(Faulty):
    """Remembers what was started (`started`, the last 1,000), and runs it as a task where `run` is given.

    `run(providers, force)` reports its own failures; what it raises is seen by `drain`, or by the loop's
    handler of unretrieved exceptions.
    """

    def __init__(self, run: RunRefresh | None = None, run_connections: RunConnections | None = None) -> None:
        super().__init__()
        self._run = run
        self._run_connections = run_connections
        self._tasks: set[asyncio.Future[object]] = set()
        self.started: deque[tuple[tuple[str, ...] | None, bool]] = deque(maxlen=1_000)
        self.connections_started: deque[tuple[tuple[str, str], ...]] = deque(maxlen=1_000)

    async def start(self, providers: Iterable[str] | None, *, force: bool) -> None:
        self.check_fault()
        named = None if providers is None else tuple(providers)
        self.started.append((named, force))
        if self._run is not None:
            self._spawn(self._run(named, force))

    async def start_connections(self, connections: Iterable[tuple[str, str]]) -> None:
        self.check_fault()
        asked = tuple(connections)
        self.connections_started.append(asked)
        if self._run_connections is not None:
            self._spawn(self._run_connections(asked))

    def _spawn(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Waits until every started run is over. Raises the first failure."""
        await asyncio.gather(*self._tasks)
