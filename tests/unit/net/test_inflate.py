"""Compressed bodies come out whole, in bounded pieces, or not at all."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.net.inflate import BrokenEncoding, Inflater

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


def _bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def _inflate(encoding: str, wire: bytes, step: int) -> bytes:
    inflater = Inflater(encoding)
    out = [
        piece for start in range(0, len(wire), step) for piece in inflater.feed(wire[start : start + step])
    ]
    inflater.finish()
    assert all(out)
    return b"".join(out)


@given(st.binary(max_size=4096), st.sampled_from(sorted(ENCODINGS)), st.integers(1, 4096))
def test_a_body_survives_however_it_is_cut(data: bytes, encoding: str, step: int) -> None:
    assert _inflate(encoding, ENCODINGS[encoding](data), step) == data


@given(st.binary(min_size=1, max_size=512), st.integers(1, 64))
def test_deflate_without_its_wrapping_is_understood(data: bytes, step: int) -> None:
    assert _inflate("deflate", _bare_deflate(data), step) == data


@given(st.lists(st.binary(max_size=64), min_size=2, max_size=4), st.integers(1, 64))
def test_members_of_a_gzip_body_are_joined(parts: list[bytes], step: int) -> None:
    assert _inflate("gzip", b"".join(gzip.compress(part) for part in parts), step) == b"".join(parts)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_padding_after_the_end_is_ignored(encoding: str, step: int) -> None:
    assert _inflate(encoding, ENCODINGS[encoding](b"hello") + b"\0" * 50, step) == b"hello"


@given(st.binary(min_size=1, max_size=512), st.sampled_from(sorted(ENCODINGS)), st.data())
def test_a_body_that_stops_early_is_noticed(data: bytes, encoding: str, draw: st.DataObject) -> None:
    wire = ENCODINGS[encoding](data)
    stop = draw.draw(st.integers(1, len(wire) - 1))
    with pytest.raises(BrokenEncoding):
        _inflate(encoding, wire[:stop], 4096)


@pytest.mark.parametrize(
    "wire",
    [b"not compressed at all", gzip.compress(b"hello" * 100, mtime=0)[:-8] + b"12345678"],
    ids=["plain", "bad checksum"],
)
def test_what_does_not_decompress_is_noticed(wire: bytes) -> None:
    with pytest.raises(BrokenEncoding):
        _inflate("gzip", wire, 4096)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "utf-8"])
def test_an_encoding_that_was_not_offered_is_refused(encoding: str) -> None:
    with pytest.raises(BrokenEncoding):
        Inflater(encoding)


def test_an_empty_body_needs_no_compression() -> None:
    Inflater("gzip").finish()


def test_a_bomb_comes_out_in_pieces_that_can_be_counted() -> None:
    stream = zlib.compressobj(wbits=31)
    bomb = b"".join(stream.compress(b"\0" * (1 << 20)) for _ in range(256)) + stream.flush()
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in Inflater("gzip").feed(bomb)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 256 << 20
    assert max(sizes) <= 1 << 20
    assert peak < 8 << 20
