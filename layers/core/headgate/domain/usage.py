"""Sums over generations by user, dimension and day. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum

from headgate.domain.generation import GenerationRecord, GenerationStatus

_LONGEST_GROUP = 200
_ERRORS = frozenset({GenerationStatus.FAILED, GenerationStatus.EXPIRED})


class Dimension(StrEnum):
    MODEL = "model"
    PROVIDER = "provider"
    PROJECT = "project"
    KEY = "key"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSums:
    """latency_ms sums over the `timed` requests that tell one; cost_nanousd is what was charged."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanousd: int = 0
    errors: int = 0
    latency_ms: int = 0
    timed: int = 0

    def __add__(self, other: "UsageSums") -> "UsageSums":
        return UsageSums(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCell:
    """Where a sum stands. user_id None: over all users. day: `2026-11-21`, UTC, of completion.
    group: the model's id, the provider's slug, the project's or key's id; the day for Dimension.DAY."""

    user_id: str | None
    dimension: Dimension
    day: str
    group: str


def sums_of(record: GenerationRecord) -> UsageSums:
    """What one finished generation adds wherever it is counted; what is unknown of it adds nothing.

    One that failed or never ended is an error, one that its caller left is none.
    """
    usage = record.usage
    latency_ms = latency_ms_of(record)
    return UsageSums(
        requests=1,
        input_tokens=(usage.input_tokens or 0) if usage is not None else 0,
        output_tokens=(usage.output_tokens or 0) if usage is not None else 0,
        cost_nanousd=record.cost_charged_nanousd or 0,
        errors=int(record.status in _ERRORS),
        latency_ms=latency_ms or 0,
        timed=int(latency_ms is not None),
    )


def cells_of(record: GenerationRecord) -> tuple[UsageCell, ...]:
    """Where one finished generation is counted: for its owner and over all, once in each dimension in which
    it has a group. One that reached no provider has none in `model` and `provider`."""
    return _cells(_whereabouts(record))


def added(records: Iterable[GenerationRecord]) -> Mapping[UsageCell, UsageSums]:
    """What these finished generations add to each cell."""
    alike: dict[_Whereabouts, UsageSums] = {}
    for record in records:
        where, sums = _whereabouts(record), sums_of(record)
        alike[where] = alike[where] + sums if where in alike else sums
    cells: dict[UsageCell, UsageSums] = {}
    for where, sums in alike.items():
        for cell in _cells(where):
            cells[cell] = cells[cell] + sums if cell in cells else sums
    return cells


type _Whereabouts = tuple[str, str, tuple[str | None, ...]]
"""Owner, day, and the group in each dimension, in their order: the same for most of a batch."""


def _whereabouts(record: GenerationRecord) -> _Whereabouts:
    day = (record.completed_at or record.created_at).astimezone(UTC).date().isoformat()
    return record.owner, day, (record.model, record.provider, record.project_id, record.key_id, day)


def _cells(where: _Whereabouts) -> tuple[UsageCell, ...]:
    owner, day, groups = where
    return tuple(
        UsageCell(user_id=user_id, dimension=dimension, day=day, group=_bounded(group))
        for user_id in (owner, None)
        for dimension, group in zip(Dimension, groups, strict=True)
        if group
    )


def latency_ms_of(record: GenerationRecord) -> int | None:
    """From its start to its end; None for one that has not ended, or that the sweep had to end."""
    if record.completed_at is None or record.status is GenerationStatus.EXPIRED:
        return None
    began_at = record.started_at or record.created_at
    return max(0, round((record.completed_at - began_at).total_seconds() * 1000))


def _bounded(group: str) -> str:
    """Callers choose names of projects and unlisted models, and a table's key has no room for any length."""
    if len(group) <= _LONGEST_GROUP:
        return group
    digest = hashlib.sha256(group.encode()).hexdigest()[:12]
    return f"{group[: _LONGEST_GROUP - 13]}…{digest}"
