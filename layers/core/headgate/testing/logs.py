"""Logs that keep what they are told, or nothing."""

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event; level is `info`, `warning` or `error`."""

    level: str
    event: str
    fields: dict[str, Any]


class MemoryLog:
    """Keeps the last `limit` events."""

    def __init__(self, limit: int = 10_000) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=limit)

    @property
    def entries(self) -> list[LogEntry]:
        """Oldest first."""
        return list(self._entries)

    def named(self, event: str) -> list[LogEntry]:
        return [entry for entry in self._entries if entry.event == event]

    def info(self, event: str, **fields: Any) -> None:
        self._entries.append(LogEntry("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self._entries.append(LogEntry("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self._entries.append(LogEntry("error", event, fields))


class NullLog:
    """Keeps nothing."""

    def info(self, event: str, **fields: Any) -> None:
        pass

    def warning(self, event: str, **fields: Any) -> None:
        pass

    def error(self, event: str, **fields: Any) -> None:
        pass
