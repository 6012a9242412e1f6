"""Request bodies that come compressed, made plain as they arrive, and never further than the limit."""

from headgate.domain.errors import MalformedRequest, UnsupportedEncoding
from headgate.http.errors import too_large
from headgate.net.inflate import ACCEPTED, BrokenEncoding, Inflater

_SLICE_BYTES = 65_536
"""Fed at a time, so that a body of many tiny members is not copied whole for each of them."""


class BodyDecoder:
    """encoding: the content-encoding header. limit_bytes: of the plain body.

    Raises UnsupportedEncoding (415), which names what is taken, for any other.
    """

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        try:
            self._inflater = Inflater(encoding.strip().lower())
        except BrokenEncoding:
            raise UnsupportedEncoding(
                f"A body may come plain, or encoded as one of {ACCEPTED}; not as {encoding[:50]}."
            ) from None
        self._limit_bytes = limit_bytes
        self._size = 0

    def decode(self, data: bytes, *, last: bool) -> bytes:
        """What these bytes of the body hold.

        Raises InvalidRequest (`payload_too_large`) past the limit, MalformedRequest for what is broken.
        """
        pieces = []
        try:
            for at in range(0, len(data), _SLICE_BYTES):
                for piece in self._inflater.feed(data[at : at + _SLICE_BYTES]):
                    self._size += len(piece)
                    if self._size > self._limit_bytes:
                        raise too_large(self._limit_bytes)
                    pieces.append(piece)
            if last:
                self._inflater.finish()
        except BrokenEncoding as error:
            raise MalformedRequest(f"The body is not what its content-encoding says: {error}.") from error
        return b"".join(pieces)
