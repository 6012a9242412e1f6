"""What is known of all models at one moment, with its indexes. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from headgate.domain.accounts import ModelOverride
from headgate.domain.catalog import Modality, ModelInfo, ProviderStatus, SnapshotHead
from headgate.domain.health import ProviderHealth


@dataclass(frozen=True)
class CatalogView:
    """What is known at one moment. Built once per change, shared by all requests; never altered.

    models: sorted by id, of all providers whose list may be served. versions: one text for all versions.
    stale: providers whose list is older than it should be, or could not be read when last asked for.
    hour: unix hours, so that end dates take effect.
    overrides: what administrators say of models, by id; applied already. mark: whatever else decides what is
    shown, beside versions: overrides, keys of the caller's, providers left out; empty for nothing.
    only: the providers that may serve at all; None for all. unread: what should be here could not be read.
    serial: no two views of a process have the same, so what was rendered from one is never taken for another.

    One caller's view has `shared`, the platform's that it was made of. sources: by model id, with what key it
    is called (`connection`, `lent`); with the platform's where it is missing. lists: providers' own ids of
    what connections are known to have, by connection id. provided: slugs that the caller has keys for.
    trouble: by slug, why the list of a caller's key could not be read. Of someone else's keys, which serve
    the caller in a project, these two say nothing.
    """

    heads: Mapping[str, SnapshotHead]
    health: Mapping[str, ProviderHealth]
    models: tuple[ModelInfo, ...]
    versions: str
    stale: frozenset[str]
    hour: int
    by_id: Mapping[str, ModelInfo] = field(repr=False)
    by_canonical: Mapping[str, tuple[ModelInfo, ...]] = field(repr=False)
    by_bare_name: Mapping[str, frozenset[str]] = field(repr=False)
    overrides: Mapping[str, ModelOverride] = field(default_factory=dict, repr=False)
    mark: str = ""
    only: frozenset[str] | None = None
    unread: bool = False
    shared: "CatalogView | None" = field(default=None, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    provided: tuple[str, ...] = ()
    trouble: Mapping[str, str] = field(default_factory=dict)
    serial: int = field(default_factory=count().__next__, init=False, compare=False)

    @property
    def platform(self) -> "CatalogView":
        """What the platform's own keys see: itself, but for a caller's."""
        return self if self.shared is None else self.shared

    def status_of(self, provider: str) -> ProviderStatus:
        """Health as judged last, but for a list that could not be read since; before any check, by that."""
        health = self.health.get(provider)
        head = self.heads.get(provider)
        if health is not None:
            unread = head is not None and head.error is not None
            return ProviderStatus.DEGRADED if unread and health.status == "healthy" else health.status
        if head is None or head.error is None:
            return ProviderStatus.HEALTHY if head is not None else ProviderStatus.DOWN
        return ProviderStatus.DEGRADED if head.version is not None else ProviderStatus.DOWN

    def may_serve(self, provider: str) -> bool:
        """Whether this provider is not left out, whoever's key it would be called with."""
        return self.only is None or provider in self.only

    def is_disabled(self, model_id: str) -> bool:
        """Whether an administrator took this model out of use, listed or not."""
        override = self.overrides.get(model_id)
        return override is not None and override.enabled is False

    def moved_to(self, model_id: str, modality: Modality) -> Modality | None:
        """Where an administrator put this model, if that is not this modality; None where nobody said so:
        what its provider says decides nothing."""
        override = self.overrides.get(model_id)
        moved = None if override is None else override.modality
        return None if moved is modality else moved


def pins_of(view: CatalogView) -> dict[str, str]:
    """What a cursor must remember to see this view's models again: versions by slug."""
    return dict(part.split("=", 1) for part in view.versions.split(",") if part)


def versions_text(pins: Mapping[str, str]) -> str:
    return ",".join(f"{slug}={version}" for slug, version in sorted(pins.items()))


def view_of(
    models: Iterable[ModelInfo],
    *,
    versions: str,
    heads: Mapping[str, SnapshotHead],
    health: Mapping[str, ProviderHealth],
    stale: frozenset[str],
    hour: int,
    overrides: Mapping[str, ModelOverride] | None = None,
    mark: str = "",
) -> CatalogView:
    """A view over these models, with its indexes."""
    ordered = tuple(sorted(models, key=_id_of))
    return CatalogView(
        heads=heads,
        health=health,
        models=ordered,
        versions=versions,
        stale=stale,
        hour=hour,
        by_id={model.id: model for model in ordered},
        by_canonical=_by_canonical(ordered),
        by_bare_name=_by_bare_name(ordered),
        overrides=overrides or {},
        mark=mark,
    )


def _id_of(model: ModelInfo) -> str:
    return model.id


def _by_canonical(models: Iterable[ModelInfo]) -> dict[str, tuple[ModelInfo, ...]]:
    groups: dict[str, list[ModelInfo]] = {}
    for model in models:
        groups.setdefault(model.canonical_id, []).append(model)
    return {canonical: tuple(group) for canonical, group in groups.items()}


def _by_bare_name(models: Iterable[ModelInfo]) -> dict[str, frozenset[str]]:
    """Canonical ids by the last part of the id, so that a bare name is known to be ambiguous."""
    names: dict[str, set[str]] = {}
    for model in models:
        for name in _bare_names(model):
            names.setdefault(name, set()).add(model.canonical_id)
    return {name: frozenset(ids) for name, ids in names.items()}


def _bare_names(model: ModelInfo) -> tuple[str, str]:
    return model.canonical_id.rpartition("/")[2], model.native_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The models of a view and their indexes, by the names of its fields."""

    models: tuple[ModelInfo, ...]
    by_id: Mapping[str, ModelInfo]
    by_canonical: Mapping[str, tuple[ModelInfo, ...]]
    by_bare_name: Mapping[str, frozenset[str]]


def shelf_with(base: CatalogView, rows: Mapping[str, ModelInfo], gone: Collection[str] = ()) -> Shelf:
    """The models of `base` with these rows, by id, in place of theirs or beside them, and without `gone`.

    As if all were built anew, for the price of what differs: a caller's few among the platform's thousands.
    """
    leave = rows.keys() | set(gone)
    by_id = {name: model for name, model in base.by_id.items() if name not in leave}
    kept = list(by_id.values())
    by_id.update(rows)
    models = tuple(sorted([*kept, *rows.values()], key=_id_of))
    touched = [*rows.values(), *(base.by_id[name] for name in leave if name in base.by_id)]
    by_canonical = dict(base.by_canonical)
    added = _by_canonical(rows.values())
    for canonical in {model.canonical_id for model in touched}:
        stay = [model for model in base.by_canonical.get(canonical, ()) if model.id not in leave]
        group = tuple(sorted([*stay, *added.get(canonical, ())], key=_id_of))
        if group:
            by_canonical[canonical] = group
        else:
            by_canonical.pop(canonical, None)
    by_bare_name = dict(base.by_bare_name)
    named = _by_bare_name(rows.values())
    for name in {name for model in touched for name in _bare_names(model)}:
        maybe = base.by_bare_name.get(name, frozenset()) | named.get(name, frozenset())
        ids = frozenset(
            canonical
            for canonical in maybe
            if any(name in _bare_names(model) for model in by_canonical.get(canonical, ()))
        )
        if ids:
            by_bare_name[name] = ids
        else:
            by_bare_name.pop(name, None)
    return Shelf(models, by_id, by_canonical, by_bare_name)
