"""From what a caller wrote as `model` to the offers that can serve it, in order. Pure, over a view."""

import difflib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import ModelInfo, ModelStatus, ProviderStatus
from headgate.domain.errors import NoRoute, NotFound
from headgate.services.catalog import CatalogView
from headgate.services.offers import price_sum

_SUFFIXES = {":floor": "price", ":nitro": "latency"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to serve a request. `info` is None for a model that the catalogue does not list."""

    provider: str
    native_id: str
    info: ModelInfo | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.native_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What the router may use. `is_usable`: whether this caller can use a provider at all."""

    view: CatalogView
    now: datetime
    is_usable: Callable[[str], bool]
    canonical_slug: Callable[[str], str | None]
    allow_unlisted: bool


def find_candidates(routing: Routing, model: str) -> list[Candidate]:
    """Candidates for `model`: an id, a canonical id, a bare name, or several of these with commas between.

    Raises NotFound (`model_not_found`, with close ids) when nothing has that name, NoRoute when what has it
    can't be called.
    """
    found: list[Candidate] = []
    for name in [part.strip() for part in model.split(",") if part.strip()]:
        found.extend(c for c in _named(routing, name) if c not in found)
    if not found:
        raise not_found(routing.view, model)
    usable = [c for c in found if c.info is None or _callable_now(routing, c.info)]
    if not usable:
        raise NoRoute(
            f"{model} can't be called now.",
            members={"candidates": [_rejected(routing, c) for c in found]},
        )
    return usable


def _named(routing: Routing, name: str) -> list[Candidate]:
    exact = _exact(routing, name)
    if exact:
        return exact
    for suffix, by in _SUFFIXES.items():
        if name.endswith(suffix):
            plain = _exact(routing, name.removesuffix(suffix))
            return sorted(plain, key=lambda c: _order(routing, c, by=by))
    return []


def _exact(routing: Routing, name: str) -> list[Candidate]:
    view = routing.view
    prefix, _, rest = name.partition("/")
    slug = routing.canonical_slug(prefix) if rest else None
    if slug is not None and routing.is_usable(slug):
        listed = view.by_id.get(f"{slug}/{rest}")
        if listed is not None:
            return [_offer(listed)]
    offers = view.by_canonical.get(name, ())
    if not offers and not rest:
        ids = view.by_bare_name.get(name, frozenset())
        offers = view.by_canonical[next(iter(ids))] if len(ids) == 1 else ()
    usable = [_offer(model) for model in offers if routing.is_usable(model.provider)]
    if usable:
        return sorted(usable, key=lambda c: _order(routing, c, by="health"))
    if slug is not None and routing.is_usable(slug) and routing.allow_unlisted:
        return [Candidate(provider=slug, native_id=rest)]
    return []


def _offer(model: ModelInfo) -> Candidate:
    return Candidate(provider=model.provider, native_id=model.native_id, info=model)


def _order(routing: Routing, candidate: Candidate, *, by: str) -> tuple[object, ...]:
    """Healthy before degraded before down, then known prices before unknown, cheap before dear."""
    rank = {ProviderStatus.HEALTHY: 0, ProviderStatus.DEGRADED: 1, ProviderStatus.DOWN: 2}
    health = rank[routing.view.status_of(candidate.provider)]
    price = price_sum(candidate.info) if candidate.info is not None else None
    cheap = (price is None, price if price is not None else Decimal(0))
    if by == "price":
        return (health == 2, *cheap, health, candidate.id)
    if by == "latency":
        judged = routing.view.health.get(candidate.provider)
        p50_ms = judged.latency_p50_ms if judged is not None else None
        return (health == 2, p50_ms is None, p50_ms or 0, *cheap, candidate.id)
    return (health, *cheap, candidate.id)


def _callable_now(routing: Routing, model: ModelInfo) -> bool:
    return model.status_at(routing.now) is not ModelStatus.UNAVAILABLE


def _rejected(routing: Routing, candidate: Candidate) -> dict[str, object]:
    expired = candidate.info is not None and not _callable_now(routing, candidate.info)
    return {
        "model": candidate.id,
        "provider": candidate.provider,
        "kept": False,
        "reasons": ["unavailable: past its end date, or gone from the provider's list"] if expired else [],
    }


def not_found(view: CatalogView, model: str, *, said: str | None = None) -> NotFound:
    """`model_not_found`, with the ids that come closest; `said`: what a provider answered, if asked."""
    several = sorted(view.by_bare_name.get(model, ()))
    shown = model if len(model) <= 200 else model[:200] + "…"
    if len(several) > 1:
        close = several[:10]
        what, hint = f"{shown} could be any of several models.", f" Name one: {', '.join(close)}."
    else:
        close = suggest(view, model)
        what = f"There is no model {shown}."
        hint = f" Did you mean {', '.join(close)}?" if close else " GET /v2/models lists what there is."
    return NotFound(f"{said or what}{hint}", code="model_not_found", members={"suggestions": close})


def suggest(view: CatalogView, model: str, *, most: int = 3) -> list[str]:
    """The closest ids. Three-letter runs in common first, so that few ids need the dear comparison."""
    text = model.lower()[:200]
    runs = {text[at : at + 3] for at in range(max(1, len(text) - 2))}
    lowered = {known.lower(): known for known in view.by_id}
    nearest = heapq.nlargest(60, lowered, key=lambda known: sum(run in known for run in runs))
    close = difflib.get_close_matches(text, nearest, n=most, cutoff=0.5)
    close = close or [known for known in nearest[:most] if any(run in known for run in runs)]
    return [lowered[known] for known in close]
