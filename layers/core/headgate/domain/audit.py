"""Who did what, when, in which request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One act, never altered. Its id sorts by time.

    actor: `key_…` of an API key, `oidc:<sub>`, or the function that acted by itself (`sweep`). user_id: whom
    that key belongs to. action: `key.mint`, `connection.decrypt`, `provider_key.use`… target: the thing's id.
    details: what changed, in words and numbers; never a key, a prompt or an answer.
    """

    id: str
    at: datetime
    actor: str
    action: str
    target: str
    user_id: str | None = None
    request_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
