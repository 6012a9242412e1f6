"""Rendered answers of the catalogue, kept in memory: the same question gets the same bytes."""

import gzip
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from starlette.responses import Response

_MOST_BYTES = 64_000_000
CACHE_CONTROL = "private, max-age=60, stale-while-revalidate=600"
NOT_YET_FETCHED = "private, no-cache"
"""Of a catalogue that nothing was fetched for yet: in a minute an empty list would be wrong."""
VARY = "Authorization, X-Api-Key, X-Provider-Key, Accept-Encoding"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body, its weak validator, and its compressed form where it is kept for more than one answer."""

    etag: str
    plain: bytes
    gzipped: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.gzipped or b"")

    def response(
        self,
        *,
        if_none_match: str | None,
        gzip_ok: bool,
        vary: str = VARY,
        cache_control: str = CACHE_CONTROL,
    ) -> Response:
        """304 when the client has it, else the bytes as it takes them."""
        headers = {"cache-control": cache_control, "vary": vary, "etag": self.etag}
        if if_none_match is not None and matches(if_none_match, self.etag):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = "application/json"
        if not gzip_ok:
            return Response(self.plain, headers=headers)
        headers["content-encoding"] = "gzip"
        return Response(self.gzipped or _gzip(self.plain), headers=headers)


def rendered(body: bytes, etag: str) -> Rendered:
    """To be kept: compressed once, for everyone who asks."""
    return Rendered(etag=etag, plain=body, gzipped=_gzip(body))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=5, mtime=0)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header allows it; `gzip;q=0` does not (RFC 9110 §12.5.3)."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def weak_etag(*parts: str) -> str:
    """A weak validator over what decides the content."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f'W/"{digest[:24]}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison, as RFC 9110 §13.1.2 has it for If-None-Match."""
    if if_none_match.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(part.strip().removeprefix("W/") == opaque for part in if_none_match.split(","))


class RenderCache:
    """Least recently used, bounded by bytes."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._entries: OrderedDict[tuple[object, ...], Rendered] = OrderedDict()
        self._bytes = 0
        self._most_bytes = most_bytes

    def get(self, key: tuple[object, ...]) -> Rendered | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: tuple[object, ...], entry: Rendered) -> None:
        old = self._entries.pop(key, None)
        self._bytes += entry.size - (old.size if old is not None else 0)
        self._entries[key] = entry
        while self._bytes > self._most_bytes and len(self._entries) > 1:
            _, gone = self._entries.popitem(last=False)
            self._bytes -= gone.size
