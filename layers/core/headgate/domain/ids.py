"""Prefixed ids: `gen_`, `key_`, `evt_`… followed by 26 characters that sort by time."""

import base64
import re
import secrets
import time
from datetime import UTC, datetime
from typing import Literal

Prefix = Literal["gen", "bat", "con", "key", "prj", "evt", "whk", "req"]

_CHARACTERS = 26
_ID = re.compile(rf"[a-z]{{3}}_[0-9a-v]{{{_CHARACTERS}}}")


def new_id(prefix: Prefix, *, at_ms: int | None = None) -> str:
    """A fresh id: 48 bits of milliseconds, then 80 random bits, in lower-case base32hex (which sorts)."""
    ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return id_of(prefix, at_ms=ms, tail=secrets.token_bytes(10))


def id_of(prefix: Prefix, *, at_ms: int, tail: bytes) -> str:
    """The id of this time that ends with these ten bytes."""
    raw = (at_ms & (2**48 - 1)).to_bytes(6) + tail
    return f"{prefix}_{base64.b32hexencode(raw)[:_CHARACTERS].decode().lower()}"


def first_id(prefix: Prefix, at: datetime) -> str:
    """The least id of this millisecond: none that is drawn at that time or later is below it."""
    return id_of(prefix, at_ms=max(0, int(at.timestamp() * 1000)), tail=bytes(10))


def time_of(made_id: str) -> datetime:
    """When an id was made, to the millisecond, UTC. Raises ValueError for text that is no such id."""
    if not _ID.fullmatch(made_id):
        raise ValueError("no id of ours")
    raw = base64.b32hexdecode(made_id[4:20].upper())
    try:
        return datetime.fromtimestamp(int.from_bytes(raw[:6]) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise ValueError("no id of ours") from exc
