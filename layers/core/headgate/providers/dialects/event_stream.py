"""AWS's binary event streams, read at any cut and checked. Pure.

A message is a prelude (its length, its headers' length, a checksum of the two), headers, a payload and a
checksum of all before it, every number big-endian and every checksum a CRC-32:
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html and
https://smithy.io/2.0/aws/amazon-eventstream.html (2026-11-20).
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

MAX_MESSAGE_BYTES = 24 * 1024 * 1024
"""16 MB of payload is the most that AWS sends in one, and 128 KiB of headers."""
MAX_HEADERS_BYTES = 128 * 1024

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size

_FLAGS = frozenset({0, 1})
_SIZES: Mapping[int, int] = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type: integers of four sizes, a moment, a UUID."""
_BYTES, _TEXT = 6, 7


@dataclass(frozen=True, slots=True)
class EventStreamMessage:
    """One message. headers: those whose value is a text, which are all that AWS's services send."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamParser:
    """Cuts the bytes of a stream into messages. One per stream; feed it in order.

    fault: why nothing more can be read, once a message was broken; messages before it are still given.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.fault: str | None = None

    @property
    def pending(self) -> bool:
        """Whether a message has begun that has not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[EventStreamMessage]:
        """Messages completed by these bytes."""
        if self.fault is not None:
            return []
        self._buffer += data
        messages: list[EventStreamMessage] = []
        at = 0
        try:
            while (length := _length_at(self._buffer, at)) is not None:
                if len(self._buffer) - at < length:
                    break
                messages.append(_read_message(bytes(self._buffer[at : at + length])))
                at += length
        except _BrokenMessage as error:
            self.fault = str(error)
        del self._buffer[:at]
        return messages


class _BrokenMessage(ValueError):
    """The bytes are no message."""


def _length_at(buffer: bytearray, at: int) -> int | None:
    """Bytes of the message that begins there; None while its prelude is not there."""
    if len(buffer) - at < _PRELUDE.size:
        return None
    total, headers, checksum = _PRELUDE.unpack_from(buffer, at)
    if zlib.crc32(buffer[at : at + 8]) != checksum:
        raise _BrokenMessage("has a message whose prelude fails its checksum")
    if not _OVERHEAD <= total <= MAX_MESSAGE_BYTES:
        raise _BrokenMessage("has a message of an impossible length")
    if headers > min(MAX_HEADERS_BYTES, total - _OVERHEAD):
        raise _BrokenMessage("has a message whose headers are longer than it is")
    return int(total)


def _read_message(raw: bytes) -> EventStreamMessage:
    (checksum,) = _CRC.unpack_from(raw, len(raw) - _CRC.size)
    if zlib.crc32(raw[: -_CRC.size]) != checksum:
        raise _BrokenMessage("has a message that fails its checksum")
    headers_end = _PRELUDE.size + _PRELUDE.unpack_from(raw)[1]
    headers = _read_headers(raw[_PRELUDE.size : headers_end])
    return EventStreamMessage(headers, raw[headers_end : -_CRC.size])


def _read_headers(raw: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(raw):
            name_end = at + 1 + raw[at]
            name, kind = raw[at + 1 : name_end].decode(), raw[name_end]
            at = name_end + 1
            if kind in (_BYTES, _TEXT):
                (size,) = struct.unpack_from(">H", raw, at)
                at += 2
            elif kind in _FLAGS or kind in _SIZES:
                size = _SIZES.get(kind, 0)
            else:
                raise _BrokenMessage("has a message with a header of an unknown type")
            if at + size > len(raw):
                raise _BrokenMessage("has a message with a header that is cut short")
            if kind == _TEXT:
                headers[name] = raw[at : at + size].decode()
            at += size
    except (IndexError, struct.error, UnicodeDecodeError):
        raise _BrokenMessage("has a message with a header that can't be read") from None
    return headers
