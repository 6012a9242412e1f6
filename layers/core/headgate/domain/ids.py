"""Prefixed ids: `gen_`, `key_`, `evt_`… followed by 26 characters that sort by time."""

import secrets
import time
from typing import Literal

Prefix = Literal["gen", "bat", "con", "key", "prj", "evt", "whk", "req"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(number: int, length: int) -> str:
    out = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        out.append(_ALPHABET[digit])
    return "".join(reversed(out))


def new_id(prefix: Prefix, *, at_ms: int | None = None) -> str:
    """A fresh id: 48 bits of milliseconds, then 80 random bits (a ULID in lower case)."""
    ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return f"{prefix}_{_base32(ms & (2**48 - 1), 10)}{_base32(secrets.randbits(80), 16)}"
