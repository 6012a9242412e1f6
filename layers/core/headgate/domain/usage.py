"""Sums over generations by user, dimension and day. Pure."""

from dataclasses import dataclass
from enum import StrEnum


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
