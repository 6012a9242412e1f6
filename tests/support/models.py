"""Models, prices and lists for tests, with as little said as the test needs."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from headgate.codec import snapshot_version
from headgate.domain.catalog import ModelInfo, Pricing, Snapshot, SnapshotHead
from headgate.testing.clock import START


def priced(price_in: str | None, price_out: str | None = "0", **more: Any) -> Pricing:
    """USD per million tokens, as text."""
    return Pricing(
        input=None if price_in is None else Decimal(price_in),
        output=None if price_out is None else Decimal(price_out),
        **more,
    )


def model(model_id: str, **fields: Any) -> ModelInfo:
    """`<slug>/<native id>`; its canonical id is the native one where that has an author, else the whole."""
    slug, _, native = model_id.partition("/")
    fields.setdefault("canonical_id", native if "/" in native else model_id)
    fields.setdefault("name", native)
    return ModelInfo(id=model_id, provider=slug, **fields)


def snapshot(
    slug: str, *models: ModelInfo, now: datetime = START, fresh_s: float = 600, stale_s: float = 86_400
) -> Snapshot:
    """A list that was read at `now`."""
    ordered = tuple(sorted(models, key=lambda each: each.id))
    head = SnapshotHead(
        provider=slug,
        version=snapshot_version(ordered),
        model_count=len(ordered),
        chunks=1,
        fetched_at=now,
        checked_at=now,
        fresh_until=now + timedelta(seconds=fresh_s),
        stale_until=now + timedelta(seconds=stale_s),
    )
    return Snapshot(head=head, models=ordered)
