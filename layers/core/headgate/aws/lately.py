"""What a process saw lately, and goes by for a while."""

from collections import OrderedDict

from headgate.ports import Clock

_MOST = 10_000


class Lately:
    """Names that were noted within the last `for_s` seconds; the newest 10,000 of them."""

    def __init__(self, clock: Clock, *, for_s: float) -> None:
        self._clock = clock
        self._for_s = for_s
        self._until: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return self._until.get(name, 0.0) > self._clock.monotonic()

    def note(self, name: str) -> None:
        self._until[name] = self._clock.monotonic() + self._for_s
        self._until.move_to_end(name)
        while len(self._until) > _MOST:
            self._until.popitem(last=False)

    def forget(self, name: str) -> None:
        self._until.pop(name, None)
