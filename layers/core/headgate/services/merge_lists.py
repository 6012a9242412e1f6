"""One caller's view: the platform's, and what the keys see that serve the caller's requests. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta

from headgate.domain.catalog import ModelInfo, SnapshotHead
from headgate.services.apply_overrides import overridden
from headgate.services.catalog_view import CatalogView, Shelf, shelf_with, view_of
from headgate.services.key_lists import KeyList

_UNSAID: tuple[object, ...] = (None, "", (), frozenset(), {})
_NOT_FILLED = frozenset({"id", "canonical_id", "provider", "status", "suffixes", "premium", "modality"})


def merged(
    shared: CatalogView,
    lists: Sequence[KeyList],
    *,
    whose: str,
    now: datetime,
    ttl_s: float,
    before: CatalogView | None = None,
) -> CatalogView:
    """A row per provider and id. What a key in `lists` sees comes before what the platform's does, and is
    filled up from that. With a lent key, its provider has what that key sees, and nothing else.

    whose: the user who sees it, for the mark. now, ttl_s: which lists are old. before: what was made last for
    the same keys; its models are taken over where they can't differ.
    """
    own = list(_of_served(lists, shared))
    mark = f"{shared.mark}|own:{_mark_of(own, whose)}"
    if before is not None and (before.versions, before.mark) == (shared.versions, mark):
        shelf = Shelf(before.models, before.by_id, before.by_canonical, before.by_bare_name)
        sources, known = before.sources, before.lists
    else:
        rows, sources, gone = _rows(shared, own)
        shelf = shelf_with(shared, {row.id: row for row in overridden(rows.values(), shared.overrides)}, gone)
        known = {
            each.id: frozenset(model.native_id for model in each.models)
            for each in own
            if each.source == "connection" and each.version is not None
        }
    counts = Counter(model.provider for model in shelf.models)
    return CatalogView(
        heads=_heads(shared.heads, own, counts, ttl_s),
        health=shared.health,
        models=shelf.models,
        versions=shared.versions,
        stale=shared.stale | {each.slug for each in own if _is_old(each, now, ttl_s)},
        hour=shared.hour,
        by_id=shelf.by_id,
        by_canonical=shelf.by_canonical,
        by_bare_name=shelf.by_bare_name,
        overrides=shared.overrides,
        mark=mark,
        only=shared.only,
        unread=shared.unread,
        shared=shared,
        sources=sources,
        provided=tuple(sorted({each.slug for each in own if each.mine})),
        trouble={
            each.slug: f"{each.name}: {each.error}" for each in own if each.mine and each.error is not None
        },
        lists=known,
    )


def _mark_of(lists: Iterable[KeyList], whose: str) -> str:
    """The same in every process, so of a lent key only what it sees is in it."""
    told = [(each.content, each.id if each.source == "connection" else "") for each in lists]
    return hashlib.sha256(repr([whose, *told]).encode()).hexdigest()[:24]


def limited_to(view: CatalogView, slugs: frozenset[str]) -> CatalogView:
    """These providers alone, and said to be stale: what a switched-off registry leaves."""
    limited = view_of(
        (model for model in view.models if model.provider in slugs),
        versions=",".join(part for part in view.versions.split(",") if part.partition("=")[0] in slugs),
        heads={slug: head for slug, head in view.heads.items() if slug in slugs},
        health={slug: health for slug, health in view.health.items() if slug in slugs},
        stale=slugs,
        hour=view.hour,
        overrides=view.overrides,
        mark=f"{view.mark}|only:{','.join(sorted(slugs))}",
    )
    return replace(limited, only=slugs)


def _of_served(lists: Sequence[KeyList], shared: CatalogView) -> Iterable[KeyList]:
    """A lent key is the only one for its provider."""
    lent = {each.slug for each in lists if each.source == "lent"}
    for each in lists:
        if shared.may_serve(each.slug) and (each.source == "lent" or each.slug not in lent):
            yield each


def _rows(
    shared: CatalogView, lists: Sequence[KeyList]
) -> tuple[dict[str, ModelInfo], dict[str, str], set[str]]:
    """What is to be put over the platform's rows, whose key each is called with, and what goes."""
    rows: dict[str, ModelInfo] = {}
    sources: dict[str, str] = {}
    for each in lists:
        for model in each.models:
            platforms = None if each.own_server else shared.by_id.get(model.id)
            known = rows.get(model.id)
            rows[model.id] = filled(model, platforms) if known is None else known
            sources.setdefault(model.id, each.source)
    gone: set[str] = set()
    for slug in {each.slug for each in lists}:
        theirs = [each for each in lists if each.slug == slug]
        others = [model.id for model in shared.models if model.provider == slug and model.id not in rows]
        if theirs[0].source == "lent" and theirs[0].version is not None:
            gone.update(others)
        elif any(each.version is None and not each.own_server for each in theirs):
            sources.update(dict.fromkeys(others, theirs[0].source))  # nobody knows yet; it is asked first
    return rows, sources, gone


def filled(model: ModelInfo, other: ModelInfo | None) -> ModelInfo:
    """The model, with what `other` says where it says nothing itself."""
    if other is None or other == model:
        return model
    more = {
        name: getattr(other, name)
        for name in (each.name for each in fields(ModelInfo))
        if name not in _NOT_FILLED and getattr(model, name) in _UNSAID
    }
    if model.pricing is None or not model.pricing.known:
        more["pricing"], more["premium"] = other.pricing, model.premium or other.premium
        more["suffixes"] = model.suffixes or other.suffixes
    return replace(model, **more)


def _heads(
    shared: Mapping[str, SnapshotHead], lists: Sequence[KeyList], counts: Mapping[str, int], ttl_s: float
) -> dict[str, SnapshotHead]:
    heads = dict(shared)
    for each in lists:
        head = heads.get(each.slug)
        if head is None:
            head = heads[each.slug] = SnapshotHead(provider=each.slug, version=each.version)
        if each.slug not in shared and each.checked_at is not None:
            head = replace(
                head,
                version=head.version or each.version,
                fetched_at=each.checked_at if each.error is None else head.fetched_at,
                checked_at=max(each.checked_at, head.checked_at or each.checked_at),
                fresh_until=each.checked_at + timedelta(seconds=ttl_s),
            )
        heads[each.slug] = replace(head, model_count=counts[each.slug])
    return heads


def _is_old(each: KeyList, now: datetime, ttl_s: float) -> bool:
    return (
        each.error is not None or each.checked_at is None or each.checked_at + timedelta(seconds=ttl_s) <= now
    )
