"""From finished generations to what is told of them: sums of usage, providers' traffic, and in the audit log
the uses and decryptions of keys."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headgate.domain.audit import CONNECTION_DECRYPTED, AuditEvent, decrypt_event
from headgate.domain.generation import COUNTING, Attempt, GenerationRecord
from headgate.domain.ids import id_of
from headgate.ports import AuditLog, UsageStore
from headgate.services.record_traffic import TrafficRecorder

PLATFORM_KEY_USED = "provider_key.use"
CONNECTION_USED = "connection.use"
_PLATFORM, _LENT = "platform", "lent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """counted: generations that were new; attempts: of those, added to the providers' traffic; key_uses,
    decrypts: events of all that was delivered, those that were told before included."""

    counted: int = 0
    attempts: int = 0
    key_uses: int = 0
    decrypts: int = 0


class UsageRecorder:
    """Takes batches that may come again, out of order and in part, as a stream gives them."""

    def __init__(self, usage: UsageStore, traffic: TrafficRecorder, audit: AuditLog) -> None:
        self._usage = usage
        self._traffic = traffic
        self._audit = audit

    async def record(self, records: Sequence[GenerationRecord]) -> Recorded:
        """Sums first, each generation exactly once, so that traffic is never counted twice: after a fault in
        between, some calls are missing from it instead, which its rates and percentiles hardly show. Uses of
        keys are told for all that is delivered, under ids that follow from the generation, so none is missed.
        What only tells of keys (`keys_only`) is no generation, and counts nowhere else.

        Raises GatewayFault when something could not be written: the batch must be delivered again.
        """
        new = await self._usage.count_usage([record for record in records if not record.keys_only])
        attempts = await self._traffic.record(new)
        uses = [event for record in records for event in key_uses(record)]
        opened = [event for record in records for event in decrypts(record)]
        if uses or opened:
            await self._audit.append_audit([*opened, *uses])
        return Recorded(counted=len(new), attempts=attempts, key_uses=len(uses), decrypts=len(opened))


def key_uses(record: GenerationRecord) -> list[AuditEvent]:
    """One event per key that this finished generation called providers with; the same whenever it is asked.

    Lent keys are not among them: they were never ours to keep.
    """
    calls: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in record.attempts:
        if attempt.key == _PLATFORM:
            calls.setdefault((PLATFORM_KEY_USED, attempt.provider), []).append(attempt)
        elif attempt.key != _LENT:
            calls.setdefault((CONNECTION_USED, attempt.key), []).append(attempt)
    return [_use(record, action, target, attempts) for (action, target), attempts in calls.items()]


def decrypts(record: GenerationRecord) -> list[AuditEvent]:
    """One event per time that the vault was asked for a key of a connection's; the same whenever it is asked.

    Each says when that was, and is filed under the generation's end, as readers of the log would miss what
    came to stand minutes before the newest event.
    """
    events = []
    for number, opening in enumerate(record.opened):
        act = _event(record, CONNECTION_DECRYPTED, opening.connection_id, number=number)
        made = decrypt_event(opening, act)
        events.append(replace(made, id=act.id, details={**act.details, **made.details}))
    return events


def _use(record: GenerationRecord, action: str, target: str, attempts: Sequence[Attempt]) -> AuditEvent:
    event, last = _event(record, action, target), attempts[-1]
    details = {"provider": last.provider, "calls": str(len(attempts)), "outcome": last.outcome}
    return replace(event, details={**event.details, **details})


def _event(record: GenerationRecord, action: str, target: str, *, number: int = 0) -> AuditEvent:
    """Its id follows from the generation and these. number: tells those of one target apart."""
    at = record.completed_at or record.created_at
    named = [record.id, action, target, *([str(number)] if number else [])]
    tail = hashlib.sha256("\n".join(named).encode()).digest()[:10]
    return AuditEvent(
        id=id_of("evt", at_ms=int(at.timestamp() * 1000), tail=tail),
        at=at,
        actor=record.key_id,
        action=action,
        target=target,
        user_id=record.owner,
        request_id=record.request_id,
        details={"operation": COUNTING} if record.type == COUNTING else {"generation_id": record.id},
    )
