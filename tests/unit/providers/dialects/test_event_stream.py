"""AWS's event streams, whole, cut and broken."""

import itertools
import struct
import zlib
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.dialects.event_stream import (
    MAX_MESSAGE_BYTES,
    EventStreamMessage,
    EventStreamParser,
)
from tests.unit.providers.framing import frame, raw_frame

# The smallest message there is, and one with a header and a payload: written out byte by byte.
EMPTY = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
HEADERS = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=30), max_size=4)


def parse(*pieces: bytes) -> tuple[list[EventStreamMessage], EventStreamParser]:
    parser = EventStreamParser()
    return [message for piece in pieces for message in parser.feed(piece)], parser


def test_a_message_of_nothing_is_read() -> None:
    messages, parser = parse(EMPTY)
    assert messages == [EventStreamMessage({}, b"")]
    assert parser.fault is None
    assert not parser.pending


def test_the_writer_of_these_tests_writes_what_the_sdk_reads() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(frame({":event-type": "chunk", "é": "ü"}, b'{"a":1}'))
    messages: list[Any] = list(buffer)
    assert [each.headers for each in messages] == [{":event-type": "chunk", "é": "ü"}]
    assert [each.payload for each in messages] == [b'{"a":1}']


@given(
    told=st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=4),
    cuts=st.lists(st.integers(0, 600), max_size=8),
)
def test_messages_are_the_same_wherever_they_are_cut(
    told: list[tuple[dict[str, str], bytes]], cuts: list[int]
) -> None:
    data = b"".join(frame(headers, payload) for headers, payload in told)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    messages, parser = parse(*pieces)
    assert messages == [EventStreamMessage(headers, payload) for headers, payload in told]
    assert parser.fault is None
    assert not parser.pending


def test_headers_that_are_no_texts_are_passed_over() -> None:
    head = b"".join(
        [
            b"\x01a\x00",
            b"\x01b\x01",
            b"\x01c\x02\x05",
            b"\x01d\x03\x00\x05",
            b"\x01e\x04\x00\x00\x00\x05",
            b"\x01f\x05" + bytes(8),
            b"\x01g\x06\x00\x03abc",
            b"\x01h\x08" + bytes(8),
            b"\x01i\x09" + bytes(16),
            b"\x01j\x07\x00\x02ok",
        ]
    )
    messages, _ = parse(raw_frame(head, b"x"))
    assert messages == [EventStreamMessage({"j": "ok"}, b"x")]


@pytest.mark.parametrize("at", range(len(frame({"a": "b"}, b"payload"))))
def test_any_byte_that_is_changed_is_noticed(at: int) -> None:
    good = frame({"a": "b"}, b"payload")
    broken = bytearray(good)
    broken[at] ^= 0x40
    messages, parser = parse(good, bytes(broken), good)
    assert messages == [EventStreamMessage({"a": "b"}, b"payload")]
    assert parser.fault is not None


def prelude(total: int, headers: int) -> bytes:
    told = struct.pack(">II", total, headers)
    return told + struct.pack(">I", zlib.crc32(told))


@pytest.mark.parametrize(
    ("total", "headers"),
    [(0, 0), (15, 0), (MAX_MESSAGE_BYTES + 1, 0), (2**32 - 1, 0), (20, 5), (10**6, 200_000)],
)
def test_a_length_that_can_not_be_is_noticed_before_its_bytes_are_waited_for(
    total: int, headers: int
) -> None:
    messages, parser = parse(prelude(total, headers))
    assert messages == []
    assert parser.fault is not None


@pytest.mark.parametrize(
    "head", [b"\x05a", b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00", b"\x01a\x07\x00\x09x", b"\x01\xff\x00"]
)
def test_headers_that_can_not_be_read_are_noticed(head: bytes) -> None:
    messages, parser = parse(raw_frame(head, b""))
    assert messages == []
    assert parser.fault is not None


def test_a_message_that_has_not_ended_is_pending() -> None:
    data = frame({"a": "b"}, b"payload")
    for length in range(1, len(data)):
        messages, parser = parse(data[:length])
        assert messages == []
        assert parser.pending
        assert parser.fault is None
