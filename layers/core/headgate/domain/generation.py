"""Values of one generation: usage, attempts, the record that is kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from headgate.domain.admission import Correction
from headgate.domain.catalog import Pricing
from headgate.domain.money import nanousd

PaidBy = Literal["platform", "connection", "lent"]
Opened = Literal["ok", "refused", "unknown"]

COUNTING = "count_tokens"
"""The type of what is told of a request that only counts tokens: it makes nothing and leaves no record."""

MOST_TOKENS = 10**12
MOST_USD = 10**6


class GenerationStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


UNFINISHED = frozenset({GenerationStatus.QUEUED, GenerationStatus.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them; None is unknown.

    input_tokens includes cached ones, output_tokens includes reasoning ones (the field's convention).
    cost_usd: what the provider itself says this cost. estimated: by rule of thumb, as nobody counted.
    What no generation can have used or cost is unknown, so that whatever a provider says can be summed,
    priced and stored.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: Decimal | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            most = MOST_USD if name == "cost_usd" else MOST_TOKENS
            if value is not None and not 0 <= value <= most:
                object.__setattr__(self, name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to a provider. outcome: `succeeded`, `failed`, `cancelled`; code: of the error, if any.

    key: whose it was made with: `platform`, `lent`, or the id of a connection.
    """

    provider: str
    model: str
    outcome: str
    code: str | None = None
    latency_ms: int | None = None
    key: str = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOpening:
    """One time that the vault was asked to open a connection's key. at: when it was asked.

    outcome: `ok`; `refused`, as the key was sealed for something else; `unknown`, where no answer came, so
    that nothing was got here, and whether the vault opened it is for its own log to say.
    """

    connection_id: str
    provider: str
    at: datetime
    outcome: Opened = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRecord:
    """What is kept of a generation. Costs are nano-dollars; None is unknown.

    requested_model: as the caller wrote it; model, provider: what served it, once known.
    output: only of /v2 generations; chat answers are not kept.
    paid_by: whose key the provider is paid with. held_nanousd: what was set aside for it, None where credits
    are off or nobody is charged. raised: the counters of tokens and spending that it raised, to be put right
    at its end. due_at: when it must be over; after that the sweep ends it. opened: the keys that had to be
    decrypted for it, in order; those found in a process's memory are not among them. keys_only: no record of
    a generation, it only tells of the keys that were used where no record can.
    """

    id: str
    owner: str
    key_id: str
    type: str
    status: GenerationStatus
    created_at: datetime
    requested_model: str | None = None
    model: str | None = None
    provider: str | None = None
    connection_id: str | None = None
    project_id: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    output: Mapping[str, Any] | None = None
    usage: Usage | None = None
    cost_estimated_nanousd: int | None = None
    cost_charged_nanousd: int | None = None
    cost_provider_nanousd: int | None = None
    attempts: tuple[Attempt, ...] = ()
    opened: tuple[KeyOpening, ...] = ()
    error: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    request_id: str | None = None
    paid_by: PaidBy = "platform"
    held_nanousd: int | None = None
    raised: tuple[Correction, ...] = ()
    due_at: datetime | None = None
    keys_only: bool = False


def keys_of(record: GenerationRecord) -> GenerationRecord:
    """What is told of the keys that this one used: no answer, no figures."""
    return GenerationRecord(
        id=record.id,
        owner=record.owner,
        key_id=record.key_id,
        type=record.type,
        status=record.status,
        created_at=record.created_at,
        completed_at=record.completed_at,
        request_id=record.request_id,
        attempts=record.attempts,
        opened=record.opened,
        keys_only=True,
    )


def cost_of(usage: Usage, pricing: Pricing | None) -> int | None:
    """What this usage costs at these prices, in nano-dollars; None where a price it needs is unknown.

    Cached tokens are priced apart where a cache price is known, else as input; reasoning likewise.
    """
    if pricing is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    if pricing.input is None or (pricing.output is None and usage.output_tokens):
        return None
    output = pricing.output if pricing.output is not None else Decimal(0)
    read = min(usage.cache_read_tokens or 0, usage.input_tokens)
    written = min(usage.cache_write_tokens or 0, usage.input_tokens - read)
    thought = min(usage.reasoning_tokens or 0, usage.output_tokens)
    per_mtok = (
        (usage.input_tokens - read - written) * pricing.input
        + read * (pricing.input if pricing.cache_read is None else pricing.cache_read)
        + written * (pricing.input if pricing.cache_write is None else pricing.cache_write)
        + (usage.output_tokens - thought) * output
        + thought * (output if pricing.reasoning is None else pricing.reasoning)
    )
    per_request = pricing.units.get("request", Decimal(0))
    return nanousd(per_mtok / 1_000_000 + per_request)


def cost_of_units(used: Mapping[str, Decimal], pricing: Pricing | None) -> int | None:
    """What these units (`image`, `second`, `character`…) cost, in nano-dollars; None where that is unknown.

    A request's own price is added once; what is used none of needs no price.
    """
    if pricing is None:
        return None
    needed = {unit: amount for unit, amount in used.items() if amount}
    if not needed.keys() <= pricing.units.keys():
        return None
    cost = sum((amount * pricing.units[unit] for unit, amount in needed.items()), Decimal(0))
    return nanousd(cost if "request" in needed else cost + pricing.units.get("request", Decimal(0)))
