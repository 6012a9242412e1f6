"""Striking keys out of what a provider said: whole, encoded, or in part, as vendors quote them back.

OpenAI's refusal shows a key's first eight characters and its last four: "Incorrect API key provided:
sk-abcde********wxyz." https://github.com/openai/openai-python/issues/1078 (2026-11-21). Four at the end are
what our own hints show; what is longer goes.
"""

import base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

STARS = "••••••••"

_PART = 8
"""Characters of a key, at either end of it, that are too many to be shown."""

_DIVISIBLE = 16
"""Keys shorter than this have no parts: eight characters of them may be a common word."""


def struck(text: str, keys: Iterable[str]) -> str:
    """The text with stars in place of each key, in whatever form it stands there."""
    for key in keys:
        for form in _forms(key):
            text = text.replace(form, STARS)
        if len(key) >= _DIVISIBLE:
            text = _without_beginning(text, key)
            text = _without_beginning(text[::-1], key[::-1])[::-1]
    return text


def struck_bytes(data: bytes, keys: Iterable[str]) -> bytes:
    """As `struck`, for bytes of which nothing else is known; what is no UTF-8 stays as it is."""
    return struck(data.decode(errors="surrogateescape"), keys).encode(errors="surrogateescape")


def struck_all(value: Any, keys: Iterable[str]) -> Any:
    """As `struck`, in every text within: mappings, lists and tuples are made anew, all else is let be."""
    if isinstance(value, str):
        return struck(value, keys)
    if isinstance(value, bytes):
        return struck_bytes(value, keys)
    if isinstance(value, Mapping):
        return {struck_all(name, keys): struck_all(each, keys) for name, each in value.items()}
    if isinstance(value, list):
        return [struck_all(each, keys) for each in value]
    return tuple(struck_all(each, keys) for each in value) if isinstance(value, tuple) else value


def cut_chain(error: BaseException, keys: Iterable[str]) -> None:
    """Lets go of what led to the error, where that tells a key: a decoder's error holds all it was given.

    A chain may lead back into itself: an error that is raised again from itself, or while it is handled.
    """
    link, keys, seen = error, tuple(keys), {id(error)}
    while (cause := _led_to(link, seen)) is not None:
        seen.add(id(cause))
        told = f"{cause}{cause!r}"
        if struck(told, keys) != told:
            link.__cause__ = link.__context__ = None
            return
        link = cause


def _led_to(error: BaseException, seen: set[int]) -> BaseException | None:
    led = (error.__cause__, error.__context__)
    return next((each for each in led if each is not None and id(each) not in seen), None)


@lru_cache(maxsize=64)
def _in_base64(key: str) -> tuple[str, ...]:
    """What every base64 text has in it that holds the key: it may begin at each of three places."""
    plain, found = key.encode(), []
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * offset + plain).decode()
            # The characters at both ends also hold bits of what stands beside the key.
            found.append(whole.rstrip("=")[(0, 2, 3)[offset] : -1])
    return tuple(found)


def _forms(key: str) -> tuple[str, ...]:
    encoded = (quote(key, safe=""), quote(key), quote_plus(key))
    return tuple(dict.fromkeys((key, *encoded, *(_in_base64(key) if len(key) >= _PART else ()))))


def _without_beginning(text: str, key: str) -> str:
    """Without all that begins as the key does and goes on so for eight characters or more."""
    at = text.find(key[:_PART])
    while at >= 0:
        end = at + _PART
        while end < len(text) and text[end : end + 1] == key[end - at : end - at + 1]:
            end += 1
        text = text[:at] + STARS + text[end:]
        at = text.find(key[:_PART], at + len(STARS))
    return text
