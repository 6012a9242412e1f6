"""Who calls: keys, scopes, limits. Pure."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from headgate.domain.errors import AccessDenied, FieldError

KEY_PREFIX = "hg_"


class Scope(StrEnum):
    MODELS_READ = "models:read"
    GENERATE = "generate"
    CONNECTIONS = "connections"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """Limits of one key; None is unlimited. Spending is counted by calendar day and month, UTC."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    spend_per_day_nanousd: int | None = None
    spend_per_month_nanousd: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored key. `hash` is the SHA-256 of the 256-bit random secret, which needs no slow hash.

    previous_hash, previous_ends_at: of the text that was replaced last, which works until then.
    """

    id: str
    hash: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    hint: str
    project_id: str | None = None
    expires_at: datetime | None = None
    allowed_models: tuple[str, ...] | None = None
    limits: KeyLimits = KeyLimits()
    revoked_at: datetime | None = None
    previous_hash: str | None = None
    previous_ends_at: datetime | None = None

    @property
    def previous(self) -> "ApiKey | None":
        """The key as its replaced text finds it: the same, but ending with that text's grace."""
        if self.previous_hash is None or self.previous_ends_at is None:
            return None
        ends = min(self.previous_ends_at, self.expires_at or self.previous_ends_at)
        return replace(self, hash=self.previous_hash, expires_at=ends)

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The authenticated caller of one request."""

    user_id: str
    key_id: str
    scopes: frozenset[Scope]
    project_id: str | None = None
    allowed_models: tuple[str, ...] | None = None
    limits: KeyLimits = KeyLimits()

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raises AccessDenied (`forbidden`) unless this caller has the scope; `admin` has them all."""
        if scope not in self.scopes and not self.is_admin:
            raise AccessDenied(f"This key lacks the scope {scope.value}.")

    def may_ask_of(self, user_id: str | None) -> None:
        """Raises AccessDenied (`forbidden`), naming `user_id`, unless it is the caller's own, or none, or an
        administrator asks: the same of a user that there is and of one that there isn't."""
        if user_id not in (None, self.user_id) and not self.is_admin:
            told = FieldError("user_id", "is for administrators; others may name themselves only.")
            raise AccessDenied(f"{told.field}: {told.message}", errors=[told])


def caller_of(key: ApiKey) -> Caller:
    return Caller(
        user_id=key.user_id,
        key_id=key.id,
        scopes=key.scopes,
        project_id=key.project_id,
        allowed_models=key.allowed_models,
        limits=key.limits,
    )


def new_key_text(bits: bytes | None = None) -> str:
    """A fresh key: `hg_` and 256 random bits, which are drawn unless given."""
    drawn = secrets.token_bytes(32) if bits is None else bits
    return KEY_PREFIX + base64.urlsafe_b64encode(drawn).decode().rstrip("=")


def hash_key(text: str) -> str:
    """How a key is stored and looked up."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Raises ValueError for a name which is no scope."""
    return frozenset(Scope(name) for name in names)
