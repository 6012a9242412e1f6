"""The catalogue's values: models, prices, snapshots, and what changed between two snapshots. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Modality(StrEnum):
    """The main output of a model."""

    TEXT = "text"
    IMAGE = "image"
    TTS = "tts"
    STT = "stt"
    MUSIC = "music"
    VIDEO = "video"
    EMBEDDING = "embedding"
    RERANK = "rerank"


CAPABILITIES = frozenset(
    (
        *("streaming", "tools", "structured_output", "json_mode", "reasoning", "prompt_caching", "logprobs"),
        *("vision", "audio_input", "video_input", "file_input", "pdf_input", "image_output", "audio_output"),
        *("web_search", "code_execution", "computer_use", "citations"),
    )
)
"""By which models are found, whether or not any now has them; providers' lists may name others."""


class ModelStatus(StrEnum):
    AVAILABLE = "available"
    LIMITED = "limited"
    DEPRECATED = "deprecated"
    UNAVAILABLE = "unavailable"


class ProviderStatus(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """Prices in USD per million tokens, and per named unit (`image`, `request`, `second`…).

    None is an unknown price; zero is free. `source` says who told it, `as_of` when.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    units: Mapping[str, Decimal] = field(default_factory=dict)
    source: str = ""
    as_of: datetime | None = None
    disputed: bool = False

    @property
    def known(self) -> bool:
        """Whether anything at all is known of the price."""
        return self.input is not None or self.output is not None or bool(self.units)

    @property
    def above_zero(self) -> bool:
        """Whether a known input, output or unit price is above zero."""
        prices = (self.input, self.output, *self.units.values())
        return any(price is not None and price > 0 for price in prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One provider's offer of one model, as that provider tells it.

    id: `<slug>/<the provider's own id>`. canonical_id: `author/model`, the same at every provider.
    suffixes: what may follow the id behind a colon to say by whom it is to be served, and the price there.
    One without a known price, or which is not among them, has the model's own. Empty where a colon is part of
    an id like any other sign.
    What depends on the moment or the caller (health, key source, overrides) is added when it is shown.
    """

    id: str
    canonical_id: str
    provider: str
    name: str
    description: str = ""
    modality: Modality = Modality.TEXT
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    capabilities: frozenset[str] = frozenset()
    supported_parameters: tuple[str, ...] = ()
    premium: bool = False
    context_window: int | None = None
    max_output_tokens: int | None = None
    api_version: str | None = None
    pricing: Pricing | None = None
    suffixes: Mapping[str, Pricing] = field(default_factory=dict)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    status: ModelStatus = ModelStatus.AVAILABLE
    expires_at: datetime | None = None
    created_at: datetime | None = None

    @property
    def native_id(self) -> str:
        """The provider's own id."""
        return self.id[len(self.provider) + 1 :]

    @property
    def vision(self) -> bool:
        return "image" in self.input_modalities

    def status_at(self, now: datetime) -> ModelStatus:
        """The status with the end date applied: past it unavailable, announced deprecated."""
        if self.expires_at is None:
            return self.status
        if self.expires_at <= now:
            return ModelStatus.UNAVAILABLE
        return self.status if self.status is ModelStatus.UNAVAILABLE else ModelStatus.DEPRECATED


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotHead:
    """What is known of one provider's list: which version, how fresh, what went wrong last.

    version: hash of the content, None while no list was ever read. chunks: how many pieces it is kept in.
    fetched_at: when this content was last confirmed. checked_at: when a refresh was last tried.
    dropped: entries that could not be read; partial: the list is known to be incomplete. base_url: where the
    operator put this provider; None means at its own address.
    """

    provider: str
    version: str | None = None
    model_count: int = 0
    chunks: int = 0
    dropped: int = 0
    partial: bool = False
    warnings: tuple[str, ...] = ()
    fetched_at: datetime | None = None
    checked_at: datetime | None = None
    fresh_until: datetime | None = None
    stale_until: datetime | None = None
    error: str | None = None
    fetch_ms: int | None = None
    base_url: str | None = None

    def is_fresh(self, now: datetime) -> bool:
        return self.fresh_until is not None and now < self.fresh_until

    def is_servable(self, now: datetime) -> bool:
        """Whether the last good list may still be shown."""
        return self.version is not None and self.stale_until is not None and now < self.stale_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A provider's list at one version; `models` sorted by id, no id twice."""

    head: SnapshotHead
    models: tuple[ModelInfo, ...]


class ChangeType(StrEnum):
    MODEL_ADDED = "model.added"
    MODEL_REMOVED = "model.removed"
    MODEL_DEPRECATED = "model.deprecated"
    MODEL_REPRICED = "model.repriced"
    PROVIDER_DOWN = "provider.down"
    PROVIDER_DEGRADED = "provider.degraded"
    PROVIDER_RECOVERED = "provider.recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEvent:
    """Something about the catalogue that differs from before. `before` and `after` are JSON values."""

    id: str
    type: ChangeType
    at: datetime
    provider: str
    model_id: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A difference, before it has an id and a time."""

    type: ChangeType
    model_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def merge_models(models: Iterable[ModelInfo]) -> tuple[ModelInfo, ...]:
    """Sorted by id, each id once: of two entries with one id the first is kept."""
    by_id: dict[str, ModelInfo] = {}
    for model in models:
        by_id.setdefault(model.id, model)
    return tuple(by_id[key] for key in sorted(by_id))


def version_of(content: bytes) -> str:
    """The version of a snapshot: a hash of its canonical bytes, so equal lists have equal versions."""
    return hashlib.sha256(content).hexdigest()[:24]


def diff_models(before: Iterable[ModelInfo], after: Iterable[ModelInfo]) -> list[Change]:
    """What changed for a client: added, removed, newly deprecated, re-priced. In order of ids."""
    old = {model.id: model for model in before}
    new = {model.id: model for model in after}
    changes: list[Change] = []
    for model_id in sorted(old.keys() | new.keys()):
        was, now = old.get(model_id), new.get(model_id)
        if was is None and now is not None:
            changes.append(Change(type=ChangeType.MODEL_ADDED, model_id=model_id, after={"name": now.name}))
        elif now is None and was is not None:
            changes.append(
                Change(type=ChangeType.MODEL_REMOVED, model_id=model_id, before={"name": was.name})
            )
        elif was is not None and now is not None:
            changes.extend(_changes_of_one(was, now))
    return changes


def _changes_of_one(was: ModelInfo, now: ModelInfo) -> list[Change]:
    changes = []
    if _ending(now) and not _ending(was):
        changes.append(
            Change(
                type=ChangeType.MODEL_DEPRECATED,
                model_id=now.id,
                before={"status": was.status.value, "expires_at": None},
                after={"status": now.status.value, "expires_at": rfc3339(now.expires_at)},
            )
        )
    if _prices(was) != _prices(now):
        changes.append(
            Change(
                type=ChangeType.MODEL_REPRICED,
                model_id=now.id,
                before=_prices(was),
                after=_prices(now),
            )
        )
    return changes


def _ending(model: ModelInfo) -> bool:
    return model.expires_at is not None or model.status is ModelStatus.DEPRECATED


def _prices(model: ModelInfo) -> dict[str, Any]:
    price = model.pricing
    if price is None:
        return {}
    named = {
        "input": price.input,
        "output": price.output,
        "cache_read": price.cache_read,
        "cache_write": price.cache_write,
        "reasoning": price.reasoning,
        **{f"units.{unit}": amount for unit, amount in sorted(price.units.items())},
    }
    return {name: format(amount.normalize(), "f") for name, amount in named.items() if amount is not None}


def rfc3339(moment: datetime | None) -> str | None:
    """`2026-11-20T09:00:00Z`; milliseconds only where there are any."""
    if moment is None:
        return None
    utc = moment.astimezone(UTC)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{utc.microsecond // 1000:03d}Z" if utc.microsecond >= 1000 else f"{text}Z"


def with_status(model: ModelInfo, status: ModelStatus) -> ModelInfo:
    return replace(model, status=status)
