"""A user's own ways to providers: keys and addresses that are theirs. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

MASK = "••••••••"
"""What stands for a stored key wherever one would be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One stored connection. It holds no plaintext: `sealed` is the key's ciphertext, None if there is none.

    type: a provider's slug. key_hint: the key's last four characters. needs_attention: why it should be
    looked at (its provider refused the key), None while nothing is wrong. revision: raised by every change,
    so that a change made on what was read an instant ago can be told from one made on older facts.
    deactivated_at, deactivated_by: set while it is deleted; it then stays readable, and is used for nothing.
    """

    id: str
    user_id: str
    name: str
    type: str
    created_at: datetime
    updated_at: datetime
    sealed: bytes | None = field(default=None, repr=False)
    key_hint: str | None = None
    base_url: str | None = None
    default_model: str | None = None
    is_active: bool = True
    timeout_s: float | None = None
    max_retries: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    needs_attention: str | None = None
    deactivated_at: datetime | None = None
    deactivated_by: str | None = None
    revision: int = 1

    @property
    def host(self) -> str:
        """Where its key may be sent, as `host` or `host:port`; empty means the provider's own address."""
        return urlsplit(self.base_url).netloc.lower() if self.base_url else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConnections:
    """All connections of one user, newest first, and which is the default; those deleted are among them."""

    rows: tuple[Connection, ...] = ()
    default_id: str | None = None

    @property
    def active(self) -> tuple[Connection, ...]:
        """Those that may be used: the default first, then the newest."""
        live = [row for row in self.rows if row.is_active]
        return tuple(sorted(live, key=lambda row: row.id != self.default_id))

    def find(self, connection_id: str) -> Connection | None:
        return next((row for row in self.rows if row.id == connection_id), None)


def key_context(connection: Connection) -> dict[str, str]:
    """What the key's ciphertext is bound to: a row moved to another user, connection, provider or host, or
    taken for another purpose, can't be decrypted."""
    return {
        "user": connection.user_id,
        "connection": connection.id,
        "purpose": "connection",
        "type": connection.type,
        "host": connection.host or "-",
    }


def newest_first(rows: Iterable[Connection]) -> tuple[Connection, ...]:
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True))


def default_among(rows: Iterable[Connection], default_id: str | None) -> str | None:
    """Which is the default, of these rows, where `default_id` was: that one while it is active, else the
    newest active one; None when none is active."""
    live = [row for row in newest_first(rows) if row.is_active]
    if any(row.id == default_id for row in live):
        return default_id
    return live[0].id if live else None


def access_tag(connection: Connection) -> str:
    """Names the key and address that a connection has now: 24 hex digits, of which nothing can be learnt."""
    parts = (connection.type, connection.base_url or "", (connection.sealed or b"").hex())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def attention_after(before: Connection, after: Connection) -> str | None:
    """What is still wrong after a change: what was before, unless it has another key or address now."""
    return before.needs_attention if access_tag(before) == access_tag(after) else None
