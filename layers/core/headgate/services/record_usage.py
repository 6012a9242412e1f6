"""From finished generations to what is told of them: sums of usage, providers' traffic, uses of keys."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from headgate.domain.audit import AuditEvent
from headgate.domain.generation import Attempt, GenerationRecord
from headgate.domain.ids import id_of
from headgate.ports import AuditLog, UsageStore
from headgate.services.record_traffic import TrafficRecorder

PLATFORM_KEY_USED = "provider_key.use"
CONNECTION_USED = "connection.use"
_PLATFORM, _LENT = "platform", "lent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """counted: generations that were new; attempts: of those, added to the providers' traffic; key_uses:
    events of all that was delivered, those that were told before included."""

    counted: int = 0
    attempts: int = 0
    key_uses: int = 0


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

        Raises GatewayFault when something could not be written: the batch must be delivered again.
        """
        new = await self._usage.count_usage(records)
        attempts = await self._traffic.record(new)
        events = [event for record in records for event in key_uses(record)]
        if events:
            await self._audit.append_audit(events)
        return Recorded(counted=len(new), attempts=attempts, key_uses=len(events))


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
    return [_event(record, *used, attempts) for used, attempts in calls.items()]


def _event(record: GenerationRecord, action: str, target: str, attempts: Sequence[Attempt]) -> AuditEvent:
    at = record.completed_at or record.created_at
    tail = hashlib.sha256(f"{record.id}\n{action}\n{target}".encode()).digest()[:10]
    return AuditEvent(
        id=id_of("evt", at_ms=int(at.timestamp() * 1000), tail=tail),
        at=at,
        actor=record.key_id,
        action=action,
        target=target,
        user_id=record.owner,
        request_id=record.request_id,
        details={
            "generation_id": record.id,
            "provider": attempts[-1].provider,
            "calls": str(len(attempts)),
            "outcome": attempts[-1].outcome,
        },
    )
