"""Where an error stands among the events of a Responses stream, each of which carries its number."""

from typing import Any

import orjson

from headgate.providers.dialects.sse import SseParser


class EventNumbers:
    """Told of everything that was sent, it tells the number of the event that comes next.

    That is one more than the last number sent, whoever gave it; where events came without numbers, it is
    counted. Nothing is parsed before it is asked, as most streams never do.
    """

    def __init__(self) -> None:
        self._latest = b""
        self._events = 0

    def sent(self, data: bytes) -> None:
        """Framed events, whole ones."""
        self._latest = data
        self._events += data.count(b"\n\n") + data.count(b"\n\r\n")

    def next(self) -> int:
        for event in reversed(SseParser().feed(self._latest)):
            number = _number_in(event.data)
            if number is not None:
                return number + 1
        return self._events


def _number_in(data: bytes) -> int | None:
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    number = value.get("sequence_number") if isinstance(value, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None
