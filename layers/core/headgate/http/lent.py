"""Keys that come with one request, for that request alone: `X-Provider-Key: openrouter=sk-or-…`."""

from collections.abc import Callable, Mapping

from fastapi import Request

from headgate.domain.errors import InvalidRequest
from headgate.domain.secret import Secret
from headgate.providers.registry import canonical_slug

HEADER = "X-Provider-Key"
MOST_KEYS = 20
LONGEST_KEY = 4_096
"""Characters; what a stored key may have too."""


def lent_keys(request: Request, has: Callable[[str], bool]) -> Mapping[str, Secret]:
    """The keys lent with this request, by slug. has: whether there is a provider of that slug.

    The header may be repeated, or hold several with commas between, as proxies join them.

    Raises InvalidRequest naming the header, and of what is in it no more than its place: it may all be key.
    """
    given = [part.strip() for value in request.headers.getlist(HEADER) for part in value.split(",")]
    entries = [entry for entry in given if entry]
    if len(entries) > MOST_KEYS:
        raise InvalidRequest.of_field(HEADER, f"may hold {MOST_KEYS} keys, not {len(entries)}.")
    keys: dict[str, Secret] = {}
    for place, entry in enumerate(entries, start=1):
        name, equals, text = (part.strip() for part in entry.partition("="))
        slug = canonical_slug(name)
        if not equals or not has(slug):
            raise InvalidRequest.of_field(
                HEADER, f"entry {place} is no <provider>=<key> of a provider that GET /v2/providers lists."
            )
        if not text or len(text) > LONGEST_KEY or not (text.isascii() and text.isprintable()):
            raise InvalidRequest.of_field(
                HEADER, f"entry {place} needs a key of 1 to {LONGEST_KEY} printable ASCII characters."
            )
        key = Secret(text)
        if keys.setdefault(slug, key) != key:
            raise InvalidRequest.of_field(HEADER, f"there are two keys for {slug}; lend one.")
    return keys
