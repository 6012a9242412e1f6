"""Idempotency keys of requests that create something, in memory."""

from headgate.ports import Begun, Clock


class OnceItems:
    """The idempotency keys of one store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: dict[str, Begun] = {}

    def begin(self, name: str, begun: Begun) -> Begun:
        now = self._clock.now()
        self._items = {one: kept for one, kept in self._items.items() if kept.expires_at > now}
        return self._items.setdefault(name, begun)

    def finish(self, name: str, begun: Begun) -> None:
        kept = self._items.get(name)
        if kept is not None and kept.seed == begun.seed:
            self._items[name] = begun
