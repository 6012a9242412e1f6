"""Rendered answers are kept for the next who ask the same, within bounds."""

import gzip

import pytest

from headgate.http.rendered import RenderCache, Rendered, accepts_gzip, matches, rendered, weak_etag


def entry(size: int, tag: str = "x") -> Rendered:
    return Rendered(etag=f'W/"{tag}"', plain=b"x" * size)


def test_what_was_put_is_found_again() -> None:
    cache = RenderCache()
    one = entry(10)
    cache.put(("a", 1), one)
    assert cache.get(("a", 1)) is one
    assert cache.get(("a", 2)) is None


def test_the_least_recently_used_goes_when_the_bytes_are_too_many() -> None:
    cache = RenderCache(most_bytes=100)
    for name in "abc":
        cache.put((name,), entry(33))
    cache.get(("a",))
    cache.put(("d",), entry(33))
    assert [name for name in "abcd" if cache.get((name,)) is not None] == ["a", "c", "d"]


def test_replacing_an_entry_counts_its_bytes_once() -> None:
    cache = RenderCache(most_bytes=100)
    for _ in range(50):
        cache.put(("a",), entry(40))
    cache.put(("b",), entry(40))
    assert cache.get(("a",)) is not None
    assert cache.get(("b",)) is not None


def test_one_that_is_too_large_alone_is_kept_until_the_next() -> None:
    cache = RenderCache(most_bytes=100)
    cache.put(("huge",), entry(1_000))
    assert cache.get(("huge",)) is not None
    cache.put(("small",), entry(1))
    assert cache.get(("huge",)) is None
    assert cache.get(("small",)) is not None


def test_both_forms_of_a_body_count_and_the_same_body_is_compressed_alike() -> None:
    one, other = rendered(b"{}" * 100, 'W/"a"'), rendered(b"{}" * 100, 'W/"a"')
    assert one == other
    assert one.gzipped is not None
    assert gzip.decompress(one.gzipped) == one.plain
    assert one.size == len(one.plain) + len(one.gzipped)


def test_a_validator_is_weak_and_the_same_for_the_same_parts_in_order() -> None:
    assert weak_etag("a", "b") == weak_etag("a", "b")
    assert weak_etag("a", "b").startswith('W/"')
    assert len({weak_etag("a", "b"), weak_etag("b", "a"), weak_etag("ab"), weak_etag("a", "b", "")}) == 4


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ('W/"abc"', True),
        ('"abc"', True),
        ('"x", W/"abc" ', True),
        ("*", True),
        (" * ", True),
        ('W/"abcd"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_validators_are_compared_weakly(given: str, same: bool) -> None:
    assert matches(given, 'W/"abc"') is same


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("*;q=0.1", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("notgzip", False),
    ],
)
def test_gzip_is_sent_to_those_who_say_they_take_it(given: str, accepted: bool) -> None:
    assert accepts_gzip(given) is accepted
