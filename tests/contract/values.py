"""Values for the contract suites."""

import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from headgate.codec import snapshot_version
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import ApiKey, Scope
from headgate.domain.catalog import ModelInfo, Pricing, Snapshot, SnapshotHead
from headgate.domain.generation import GenerationRecord, GenerationStatus

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def model(name: str, **fields: Any) -> ModelInfo:
    return ModelInfo(
        **{
            "id": f"openai/{name}",
            "canonical_id": f"openai/{name}",
            "provider": "openai",
            "name": name,
            "pricing": Pricing(input=Decimal("0.150"), source="openai"),
            "capabilities": frozenset({"tools", "vision"}),
            **fields,
        }
    )


def snapshot(*names: str, provider: str = "openai", **head: Any) -> Snapshot:
    models = tuple(model(name) for name in sorted(names))
    return Snapshot(
        head=SnapshotHead(
            provider=provider,
            version=snapshot_version(models),
            model_count=len(models),
            fetched_at=NOON,
            **head,
        ),
        models=models,
    )


def api_key(number: int, **fields: Any) -> ApiKey:
    return ApiKey(
        **{
            "id": f"key_{number:04d}",
            "hash": f"{number:064x}",
            "user_id": "ada",
            "name": f"key {number}",
            "scopes": frozenset({Scope.GENERATE, Scope.MODELS_READ}),
            "created_at": NOON + timedelta(seconds=number),
            "hint": "abcd",
            **fields,
        }
    )


def generation(number: int, **fields: Any) -> GenerationRecord:
    return GenerationRecord(
        **{
            "id": f"gen_{number:04d}",
            "owner": "ada",
            "key_id": "key_1",
            "type": "text",
            "status": GenerationStatus.RUNNING,
            "created_at": NOON + timedelta(seconds=number),
            **fields,
        }
    )


def audit(number: int, *, at: datetime = NOON, **fields: Any) -> AuditEvent:
    """Events of one time sort by their number."""
    ms = int(at.timestamp() * 1000)
    text = base64.b32hexencode(ms.to_bytes(6) + number.to_bytes(10))[:26].decode().lower()
    return AuditEvent(
        **{
            "id": f"evt_{text}",
            "at": at,
            "actor": "key_root",
            "action": "thing.change",
            "target": f"thing {number}",
            **fields,
        }
    )
