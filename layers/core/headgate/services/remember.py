"""What was read from a store, remembered in the process for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from headgate.domain.errors import HeadgateError
from headgate.ports import Clock, Log

_KEEP_S = 60.0
_FORGIVE_S = 300.0
_RETRY_S = 2.0
_MOST = 10_000


@dataclass(slots=True)
class _Kept[T]:
    """read_s: when it was read. until_s: until when nobody looks again."""

    value: T
    read_s: float
    until_s: float


class Memory[T]:
    """Values by name, each good for `keep_s` seconds; of any number who miss one at once, one reads.

    While the store can't be read, an older value does for `forgive_s` more seconds, and the store is asked
    again every two. For one event loop. most: names beyond that are forgotten, the longest unused first.
    """

    def __init__(
        self,
        clock: Clock,
        log: Log,
        *,
        keep_s: float = _KEEP_S,
        forgive_s: float = _FORGIVE_S,
        most: int = _MOST,
    ) -> None:
        self._clock = clock
        self._log = log
        self._keep_s = keep_s
        self._forgive_s = forgive_s
        self._most = most
        self._kept: OrderedDict[str, _Kept[T]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[T]] = {}

    def has(self, names: Iterable[str]) -> bool:
        """Whether `all` of these would wait for nothing."""
        now_s = self._clock.monotonic()
        return all((kept := self._kept.get(name)) is not None and now_s < kept.until_s for name in names)

    async def all(self, names: Sequence[str], read: Callable[[str], Awaitable[T]]) -> dict[str, T]:
        """The values of all these names, in their order, read at once where they are not in memory.

        Raises as `get`.
        """
        if self.has(names):  # most requests find everything, and are spared the tasks
            for name in names:
                self._kept.move_to_end(name)
            return {name: self._kept[name].value for name in names}
        values = await asyncio.gather(*(self.get(name, read) for name in names))
        return dict(zip(names, values, strict=True))

    async def get(self, name: str, read: Callable[[str], Awaitable[T]]) -> T:
        """What is in memory, else what `read` gives. Raises what it raises when nothing recent is there."""
        kept = self._kept.get(name)
        if kept is not None and self._clock.monotonic() < kept.until_s:
            self._kept.move_to_end(name)
            return kept.value
        task = self._reading.get(name)
        if task is None:
            task = self._reading[name] = asyncio.create_task(self._read(name, kept, read))
            task.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(task)  # whoever leaves first must not take the others' answer along

    def forget(self, name: str) -> None:
        """The next `get` reads, and what is being read now will not be kept."""
        self._kept.pop(name, None)
        self._reading.pop(name, None)

    def forget_all(self) -> None:
        """As `forget`, for every name."""
        self._kept.clear()
        self._reading.clear()

    async def _read(self, name: str, old: _Kept[T] | None, read: Callable[[str], Awaitable[T]]) -> T:
        asked_s = self._clock.monotonic()
        try:
            value = await read(name)
        except HeadgateError as fault:
            now_s = self._clock.monotonic()
            if old is None or now_s >= old.read_s + self._keep_s + self._forgive_s:
                raise
            self._log.warning("memory.unreadable", code=fault.code)
            old.until_s = now_s + _RETRY_S
            return old.value
        if self._reading.get(name) is asyncio.current_task():
            self._keep(name, _Kept(value, asked_s, asked_s + self._keep_s))
        return value

    def _keep(self, name: str, kept: _Kept[T]) -> None:
        self._kept[name] = kept
        self._kept.move_to_end(name)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def _end(self, name: str, task: asyncio.Task[T]) -> None:
        if self._reading.get(name) is task:
            del self._reading[name]
        if not task.cancelled():
            task.exception()  # whoever asked has it; where all have left, nobody misses it
