"""Server-sent events from bytes, however they are cut, with each event's own bytes kept.

After https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (2026-11-20), but
for three things: an event that the closing stream left without its blank line is delivered; so is a block of
bare JSON without a `data:` field, marked (Ollama reports a failure in mid-stream so); and no event may be too
large.
"""

import re
from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""A generated image comes as one event of several megabytes; more than this is no event."""

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"\r\r|(?>\r\n|\n)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class SseEvent(NamedTuple):
    """One event that carries data.

    data: the `data:` lines, joined by a line feed. raw: the event as it came, blank line included, comments
    left out. name: of a named event, else empty. bare: `data` is JSON that stood there without a field name.
    """

    data: bytes
    raw: bytes
    name: str = ""
    bare: bool = False


class SseOverflow(ValueError):
    """One event is larger than the limit."""


class SseParser:
    """Feed it reads in order; what is cut anywhere, inside a character or a line end, comes out the same."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._pending = bytearray()
        self._searched = 0
        self._started = False
        self._carriage_returns = False
        self._overflowed = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """Events completed by these bytes.

        Raises SseOverflow, once the events before the one that is too large have been returned.
        """
        if self._overflowed:
            raise SseOverflow
        self._carriage_returns = self._carriage_returns or b"\r" in data
        source: bytes | bytearray = data
        if self._pending or not self._started:
            self._pending += data
            source = self._pending
        if not self._started and not self._start():
            return []
        events: list[SseEvent] = []
        consumed = self._take(source, events)
        if source is self._pending:
            del self._pending[:consumed]
        elif consumed < len(source):
            self._pending += source[consumed:]
        # Three back, so that a blank line is seen whose line ends lie on both sides of the cut.
        self._searched = max(0, len(self._pending) - 3)
        if len(self._pending) > self._limit:
            self._overflowed = True
        if self._overflowed:
            self._pending.clear()
            if not events:
                raise SseOverflow
        return events

    def end(self) -> list[SseEvent]:
        """The stream closed: the event that was left without its blank line. Raises like `feed`."""
        if self._overflowed:
            raise SseOverflow
        block = bytes(self._pending).strip(b"\r\n")
        self._pending.clear()
        event = _read_block(block, block + b"\n\n") if block else None
        return [event] if event is not None else []

    def _start(self) -> bool:
        """Drops a byte order mark; false while it can't be told yet whether there is one."""
        if len(self._pending) < len(_BOM) and _BOM.startswith(bytes(self._pending)):
            return False
        self._started = True
        if self._pending.startswith(_BOM):
            del self._pending[: len(_BOM)]
        return True

    def _take(self, source: bytes | bytearray, events: list[SseEvent]) -> int:
        """Appends every complete event of `source`; returns how many of its bytes are done with."""
        start, size, searched = 0, len(source), self._searched
        while start < size:
            if source[start] in b"\r\n":
                start += 1  # a blank line between events, or the second half of a line end
                continue
            found = self._end_of_event(source, max(start, searched))
            if found is None:
                break
            end, next_start = found
            if end - start > self._limit:
                self._overflowed = True
                return size
            raw = bytes(source[start:end])
            event = _read_block(raw, raw)
            if event is not None:
                events.append(event)
            start = next_start
        return start

    def _end_of_event(self, source: bytes | bytearray, start: int) -> tuple[int, int] | None:
        """Where the event at `start` ends, its blank line included, and where the next may begin."""
        if not self._carriage_returns:
            at = source.find(b"\n\n", start)
            return None if at < 0 else (at + 2, at + 2)
        match = _BLANK_LINE.search(source, start)
        if match is None:
            return None
        end = match.end()
        if end == len(source) and source[end - 1] == 0x0D and match.group() != b"\r\r":
            return None  # after \n, a lone \r may be the first half of \r\n
        return end, end


def _read_block(block: bytes, raw: bytes) -> SseEvent | None:
    """The event in a block of lines; None where it carries no data."""
    if block.startswith(b"data:") and b"\r" not in block:
        line = block.rstrip(b"\n")
        if b"\n" not in line:
            data = line[6:] if line[5:6] == b" " else line[5:]
            return SseEvent(data, raw) if data else None
    return _read_lines(block, raw)


def _read_lines(block: bytes, raw: bytes) -> SseEvent | None:
    if block.lstrip(b" \t")[:1] in (b"{", b"["):
        return SseEvent(block.strip(), raw, bare=True)
    data: list[bytes] = []
    name, comments = "", False
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif not field and line:
            comments = True
    joined = b"\n".join(data)
    if not joined:
        return None
    return SseEvent(joined, _without_comments(raw) if comments else raw, name)


def _without_comments(raw: bytes) -> bytes:
    """With a blank line of its own at the end: the old one may have been half a line end of a comment's."""
    kept = b"".join(line for line in _lines_with_ends(raw) if not line.startswith(b":"))
    return kept.rstrip(b"\r\n") + b"\n\n"


def _lines_with_ends(raw: bytes) -> list[bytes]:
    lines, start = [], 0
    for match in _LINE_END.finditer(raw):
        lines.append(raw[start : match.end()])
        start = match.end()
    return [*lines, raw[start:]]
