"""One request that changes something: who acts, when, and what is drawn at random for it."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Caller
from headgate.domain.ids import Prefix, id_of
from headgate.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an administrative change is made with.

    seed: whatever is drawn for the change (ids, secrets) follows from it, so an act that is repeated with the
    same seed and `at`, after a crash or under one idempotency key, makes the same thing once more, and its
    audit event is the same event. actor, user_id, request_id: as in AuditEvent.
    """

    actor: str
    at: datetime
    user_id: str | None = None
    request_id: str | None = None
    seed: Secret = field(default_factory=lambda: Secret(secrets.token_hex(32)))

    def new_id(self, prefix: Prefix, what: str = "") -> str:
        """An id of this act's time; another for each `what`."""
        return id_of(
            prefix, at_ms=int(self.at.timestamp() * 1000), tail=self.draw(f"id {prefix} {what}")[:10]
        )

    def draw(self, what: str) -> bytes:
        """32 bytes that only the seed's holder can tell; others for each `what`."""
        return hmac.digest(self.seed.reveal().encode(), what.encode(), hashlib.sha256)

    def event(self, action: str, target: str, **details: str) -> AuditEvent:
        """The event that tells of the change; the same one each time for the same action and target."""
        return AuditEvent(
            id=self.new_id("evt", f"{action} {target}"),
            at=self.at,
            actor=self.actor,
            action=action,
            target=target,
            user_id=self.user_id,
            request_id=self.request_id,
            details=details,
        )


def act_by(caller: Caller, *, at: datetime, request_id: str | None = None, seed: Secret | None = None) -> Act:
    """An act of this caller; with a seed, one that may be repeated."""
    act = Act(actor=caller.key_id, at=at, user_id=caller.user_id, request_id=request_id)
    return act if seed is None else replace(act, seed=seed)
