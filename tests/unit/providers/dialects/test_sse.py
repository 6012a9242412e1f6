"""Server-sent events come out the same however their bytes are cut, and each keeps its own bytes."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.dialects.sse import SseEvent, SseOverflow, SseParser

FRAGMENTS = (
    b"data: ", b"data:", b"data", b'{"a":1}', b"[DONE]", "né🌍".encode(), b"\n", b"\n\n", b"\r", b"\r\n",
    b"\r\n\r\n", b": comment", b"event: ping", b"event:error", b"id: 7", b"retry: 10", b"x", b" ",
    b"\xef\xbb\xbf", b"data: a\n\n", b"data: b\r\n\r\n", b"\xff",
)  # fmt: skip
STREAMS = st.lists(st.sampled_from(FRAGMENTS), max_size=24).map(b"".join)


def parse(*reads: bytes) -> list[SseEvent]:
    parser = SseParser()
    events = [event for read in reads for event in parser.feed(read)]
    return events + parser.end()


def as_the_standard_says(stream: bytes) -> list[tuple[str, bytes]]:
    """Names and data by the standard's own algorithm, line by line, with the last event delivered too."""
    events: list[tuple[str, bytes]] = []
    name, data = "", list[bytes]()
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if not line:
            if b"\n".join(data):
                events.append((name, b"\n".join(data)))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return events


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_any_cut_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reads = [stream[start:end] for start, end in itertools.pairwise(places)]
    assert parse(*reads) == parse(stream)


@given(stream=STREAMS)
def test_one_byte_at_a_time_gives_the_same_events(stream: bytes) -> None:
    assert parse(*(bytes([byte]) for byte in stream)) == parse(stream)


@given(stream=STREAMS)
def test_names_and_data_are_what_the_standard_says(stream: bytes) -> None:
    events = parse(stream)
    if not any(event.bare for event in events):
        assert [(event.name, event.data) for event in events] == as_the_standard_says(stream)


@given(stream=STREAMS)
def test_raw_events_parse_to_themselves(stream: bytes) -> None:
    for event in parse(stream):
        # In the middle, since a lone \r at the very end is waited on, and a mark at the start dropped.
        assert parse(b"\n", event.raw, b"data: next\n\n")[0] == event


@given(stream=STREAMS.filter(lambda stream: b": comment" not in stream))
def test_raw_events_are_pieces_of_the_stream_in_order(stream: bytes) -> None:
    place = 0
    for event in SseParser().feed(stream):
        place = stream.index(event.raw, place) + len(event.raw)


def test_events_keep_their_own_bytes() -> None:
    first, second = b"event: a\r\nid: 1\r\ndata: x\r\n\r\n", b"data:y\n\n"
    assert [event.raw for event in parse(first + second)] == [first, second]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": ping\n\n: ping\n\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data\n\ndata:\n\n", []),
        (b"id: 1\nretry: 5\n\n", []),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"", []),
    ],
)
def test_the_forms_of_an_event(stream: bytes, data: list[bytes]) -> None:
    assert [event.data for event in parse(stream)] == data


def test_comments_inside_an_event_are_left_out_of_its_bytes() -> None:
    (event,) = parse(b": hello\nevent: m\n: there\ndata: a\n\n")
    assert event == SseEvent(b"a", b"event: m\ndata: a\n\n", "m")


def test_an_event_without_its_blank_line_is_completed() -> None:
    (event,) = parse(b"data: a\r\n")
    assert event.raw == b"data: a\n\n"


def test_bare_json_is_marked() -> None:
    events = parse(b'data: a\n\n{"error":"out of memory"}\n')
    assert [(event.data, event.bare) for event in events] == [
        (b"a", False),
        (b'{"error":"out of memory"}', True),
    ]


def test_an_event_is_delivered_with_its_own_last_byte() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n") == []
    assert [event.data for event in parser.feed(b"\n")] == [b"a"]
    assert [event.data for event in parser.feed(b"data: b\r\n\r\n")] == [b"b"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_over_the_limit_is_refused_after_those_before_it(size: int) -> None:
    parser = SseParser(max_event_bytes=100)
    stream = b"data: a\n\n" + b"data: " + b"x" * 200 + b"\n\n"
    seen: list[SseEvent] = []

    def read_all() -> None:
        for start in range(0, len(stream), size):
            seen.extend(parser.feed(stream[start : start + size]))
        parser.end()

    with pytest.raises(SseOverflow):
        read_all()
    assert [event.data for event in seen] == [b"a"]


def test_an_event_at_the_limit_is_taken() -> None:
    event = b"data: " + b"x" * 92 + b"\n\n"
    parser = SseParser(max_event_bytes=len(event))
    assert len(parser.feed(event[:50]) + parser.feed(event[50:] + event)) == 2
