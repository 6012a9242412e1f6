"""Keys that must never show, every form in which one could, and the search for them."""

import base64
import gzip
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

SHOWN = 4
"""Characters at a key's end that may be shown, as its hint."""

_PART = 8
_GZIP = b"\x1f\x8b"


def forms_of(secret: str) -> dict[str, bytes]:
    """What would tell the secret, or enough of it to be worth having, by what it is."""
    plain = secret.encode()
    forms = {
        "plain": plain,
        "reversed": plain[::-1],
        "hex": plain.hex().encode(),
        "quoted": quote(secret, safe="").encode(),
        "quoted for forms": quote_plus(secret).encode(),
        "its beginning": plain[:_PART],
        "its end": plain[-_PART:],
    }
    for encode, name in ((base64.b64encode, "base64"), (base64.urlsafe_b64encode, "base64url")):
        for offset in range(3):  # wherever it stands in what was encoded
            whole = encode(b"\0" * offset + plain)
            forms[f"{name} at {offset}"] = whole[(0, 2, 3)[offset] : -4].rstrip(b"=")
    return forms


class Canaries:
    """Secrets by name, looked for in all that comes out."""

    def __init__(self, **secrets: str) -> None:
        self.secrets: dict[str, str] = {}
        self.finds: list[str] = []
        self._forms: list[tuple[str, bytes]] = []
        for name, secret in secrets.items():
            self.add(name, secret)

    def add(self, name: str, secret: str) -> None:
        """From here on it must not show."""
        self.secrets[name] = secret
        self._forms += [(f"{name}, {form}", text) for form, text in forms_of(secret).items()]

    def shown_in(self, data: bytes) -> list[str]:
        """Which secrets are in it, and how; what is packed is looked into."""
        found = [name for name, text in self._forms if text in data]
        at = data.find(_GZIP)
        if at >= 0:
            with suppress(OSError, EOFError, zlib.error):
                found += self.shown_in(gzip.decompress(data[at:]))
        return found

    def look(self, where: str, *things: Any) -> None:
        """Keeps what shows in texts, bytes, and in mappings and lists of them, under `where`."""
        for data in _bytes_of(things):
            found = self.shown_in(data)
            if found:
                self.finds.append(f"{where}: {'; '.join(dict.fromkeys(found))}")

    def check(self) -> None:
        """Fails when anything was found since the beginning."""
        assert not self.finds, "\n".join(dict.fromkeys(self.finds))


def _bytes_of(value: Any) -> Iterable[bytes]:
    """All of it, down to the leaves."""
    match value:
        case bytes() | bytearray():
            yield bytes(value)
        case str():
            yield value.encode(errors="surrogateescape")
        case Mapping():
            for name, item in value.items():
                yield from _bytes_of(name)
                yield from _bytes_of(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _bytes_of(item)
        case None:
            pass
        case _ if isinstance(getattr(value, "value", None), bytes):  # boto3's Binary
            yield value.value
        case _:
            yield repr(value).encode(errors="replace")
