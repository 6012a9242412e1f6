"""Prefixed ids: `gen_`, `key_`, `evt_`… followed by 26 characters that sort by time."""

import base64
import secrets
import time
from typing import Literal

Prefix = Literal["gen", "bat", "con", "key", "prj", "evt", "whk", "req"]


def new_id(prefix: Prefix, *, at_ms: int | None = None) -> str:
    """A fresh id: 48 bits of milliseconds, then 80 random bits, in lower-case base32hex (which sorts)."""
    ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    raw = (ms & (2**48 - 1)).to_bytes(6) + secrets.token_bytes(10)
    return f"{prefix}_{base64.b32hexencode(raw)[:26].decode().lower()}"
