"""Decompression of a response body, step by step, in bounded pieces, and with its end checked.

Ours because aiohttp's takes a gzip body that stops early for a whole one, and inflates a whole read without a
bound (3.14.5; tests/unit/net/test_aiohttp.py tells when that changes).
"""

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
"""What requests offer. Brotli and zstd would need a package for a few percent."""

_PIECE_BYTES = 1 << 20
_MOST_MEMBERS = 1_000
"""Of a gzip body: thousands of empty ones would cost time without ever reaching a limit of bytes."""
_GZIP_BITS = 16 + zlib.MAX_WBITS
_GZIP_START = b"\x1f\x8b"


class BrokenEncoding(ValueError):
    """Bytes which don't decompress, end too early, or are in an encoding that was not offered."""


class Inflater:
    """Feed it the wire bytes in order, then `finish`. encoding: the content-encoding header.

    Raises BrokenEncoding for one that is not known.
    """

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding in ("gzip", "x-gzip")
        if not self._gzip and encoding != "deflate":
            raise BrokenEncoding("unknown content encoding")
        self._stream: zlib._Decompress | None = None
        self._complete = False
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompressed pieces of at most 1 MiB, none of them empty. Raises BrokenEncoding."""
        full = False
        while data or full:
            stream = self._stream or self._open(data)
            if stream is None:
                return
            try:
                piece = stream.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise BrokenEncoding("broken compressed data") from None
            if piece:
                yield piece
            full = len(piece) == _PIECE_BYTES  # zlib may hold back what its limit left no room for
            data = stream.unconsumed_tail
            if stream.eof:
                self._stream, self._complete = None, True
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    raise BrokenEncoding("too many members")
                data, full = stream.unused_data, False

    def finish(self) -> None:
        """Raises BrokenEncoding when the data stopped before its own end."""
        if self._stream is not None:
            raise BrokenEncoding("compressed data ends too early")

    def _open(self, data: bytes) -> "zlib._Decompress | None":
        """A decompressor for what starts here; None when the body is complete and this is padding.

        A gzip body may have several members, and gzip itself ignores what follows them. RFC 9110 8.4.1.2 says
        that deflate is zlib's format; some servers send it bare, which the first byte tells.
        """
        if self._complete and not (self._gzip and data.startswith(_GZIP_START[: len(data)])):
            return None
        bare = not self._gzip and data[0] & 0x0F != 8
        bits = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS
        self._stream = zlib.decompressobj(_GZIP_BITS if self._gzip else bits)
        return self._stream
