"""Who did what, when, in which request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headgate.domain.errors import InvalidRequest
from headgate.domain.generation import KeyOpening
from headgate.domain.ids import new_id, time_of

CONNECTION_DECRYPTED = "connection.decrypt"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One act, never altered. Its id sorts by time: that of the act, or for what is told only at the end of
    a generation, that of the end. `docs/audit.md` lists all actions.

    actor: `key_…` of an API key, `oidc:<sub>`, or the function that acted by itself (`sweep`). user_id: whom
    that key belongs to. action: `key.mint`, `connection.use`, `provider_key.use`… target: the thing's id.
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

    @property
    def day(self) -> str:
        """The day that it is filed under, UTC: `2026-11-21`. By the id: readers go on from that."""
        try:
            return time_of(self.id).date().isoformat()
        except ValueError:
            return self.at.astimezone(UTC).date().isoformat()


def day_after(event_id: str) -> str:
    """The day that readers who go on after this event begin with. Raises InvalidRequest naming `after`."""
    try:
        if event_id.startswith("evt_"):
            return time_of(event_id).date().isoformat()
    except ValueError:
        pass
    raise InvalidRequest.of_field("after", "This is no event's id, and no time (2026-11-21T09:00:00Z).")


def audit_event(
    *,
    at: datetime,
    actor: str,
    action: str,
    target: str,
    user_id: str | None = None,
    request_id: str | None = None,
    details: Mapping[str, str] | None = None,
) -> AuditEvent:
    """An event with a fresh id of its own time."""
    return AuditEvent(
        id=new_id("evt", at_ms=int(at.timestamp() * 1000)),
        at=at,
        actor=actor,
        action=action,
        target=target,
        user_id=user_id,
        request_id=request_id,
        details=details or {},
    )


def decrypt_event(opening: KeyOpening, act: AuditEvent) -> AuditEvent:
    """That a connection's key was decrypted, or was asked for in vain, for this act and by whoever did it."""
    return audit_event(
        at=opening.at,
        actor=act.actor,
        action=CONNECTION_DECRYPTED,
        target=opening.connection_id,
        user_id=act.user_id,
        request_id=act.request_id,
        details={"provider": opening.provider, "outcome": opening.outcome},
    )
