"""From what a caller wrote as `model` to the offers that can serve it, in order. Pure, over a view."""

import difflib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import ModelInfo, ModelStatus, ProviderStatus
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import NoRoute, NotFound
from headgate.services.catalog import CatalogView
from headgate.services.offers import price_sum

_SUFFIXES = {":floor": "price", ":nitro": "latency"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to serve a request. `info` is None for a model that the catalogue does not list.

    credential: whose key its provider is called with.
    """

    provider: str
    native_id: str
    credential: Credential = PLATFORM
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the caller wants to be routed, beside the model's name.

    strategy: `order` (as named, then healthy and cheap first), `cheapest`, `fastest`. order: these providers
    first. only, ignore: providers to keep to, to leave out. max_input_price, max_output_price: USD per
    million tokens; an unknown price is too dear. allow_fallbacks: others may take over from what was named
    first, or from the providers of `order` where there are any, as OpenRouter has it
    (https://openrouter.ai/docs/features/provider-routing, 2026-11-21). parameters: request fields that must
    be supported, where a provider tells what it supports.
    """

    strategy: str = "order"
    order: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    max_input_price: Decimal | None = None
    max_output_price: Decimal | None = None
    allow_fallbacks: bool = True
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A candidate and the verdict on it: why it was rejected, or why it stands where it stands."""

    candidate: Candidate
    kept: bool
    reasons: tuple[str, ...]


def find_candidates(routing: Routing, model: str, wish: Wish | None = None) -> list[Candidate]:
    """Candidates for `model`: an id, a canonical id, a bare name, or several of these with commas between.

    Raises NotFound (`model_not_found`, with close ids) when nothing has that name, NoRoute when what has it
    can't be called.
    """
    return kept(consider(routing, model, wish or Wish()), model)


def kept(considered: list[Considered], model: str | None) -> list[Candidate]:
    """The candidates to try, in order. Raises NoRoute, with every verdict, when there is none."""
    found = [each.candidate for each in considered if each.kept]
    if found:
        return found
    raise NoRoute(
        f"{(model or 'The default model')[:200]} can't be called now, or not as asked.",
        members={"candidates": [considered_json(each) for each in considered]},
    )


def consider(routing: Routing, model: str, wish: Wish) -> list[Considered]:
    """Every candidate with its verdict: first those that are kept, in the order in which they are tried.

    Raises NotFound (`model_not_found`, with close ids) when nothing has that name.
    """
    named: list[Candidate] = []
    for name in [part.strip() for part in model.split(",") if part.strip()]:
        named.extend(each for each in _named(routing, name) if each not in named)
    if not named:
        raise not_found(routing.view, model)
    others = [each for each in _other_offers(routing, named) if each not in named]
    ranked = _ranked(routing, wish, named, others)
    verdicts = [
        Considered(candidate=each, kept=not reasons, reasons=reasons or _why_kept(each, named))
        for each in ranked
        for reasons in [_why_rejected(routing, wish, each)]
    ]
    kept = [each for each in verdicts if each.kept]
    rejected = [each for each in verdicts if not each.kept]
    if wish.allow_fallbacks:
        return [*kept, *rejected]
    first = [each for each in kept if each.candidate.provider in wish.order] if wish.order else kept[:1]
    spare = [
        replace(each, kept=False, reasons=("a fallback, and allow_fallbacks is false",))
        for each in kept
        if each not in first
    ]
    return [*first, *spare, *rejected]


def considered_json(each: Considered) -> dict[str, object]:
    """As in `candidates[]` of a `no_route` problem."""
    return {
        "model": each.candidate.id,
        "provider": each.candidate.provider,
        "kept": each.kept,
        "reasons": list(each.reasons),
    }


def _other_offers(routing: Routing, named: list[Candidate]) -> list[Candidate]:
    """What else offers the very models that were named, best first."""
    canonical = dict.fromkeys(each.info.canonical_id for each in named if each.info is not None)
    found = [
        _offer(model)
        for name in canonical
        for model in routing.view.by_canonical.get(name, ())
        if routing.is_usable(model.provider)
    ]
    return sorted(found, key=lambda each: _order(routing, each, by="health"))


def _ranked(routing: Routing, wish: Wish, named: list[Candidate], others: list[Candidate]) -> list[Candidate]:
    by = {"cheapest": "price", "fastest": "latency"}.get(wish.strategy)
    ranked = [*named, *others]
    if by is not None:
        ranked.sort(key=lambda each: _order(routing, each, by=by))
    if wish.order:
        first = {slug: place for place, slug in enumerate(wish.order)}
        ranked.sort(key=lambda each: first.get(each.provider, len(first)))
    return ranked


def _why_kept(candidate: Candidate, named: list[Candidate]) -> tuple[str, ...]:
    if candidate.info is None:
        return ("named; not in the catalogue",)
    return ("named",) if candidate in named else (f"also offers {candidate.info.canonical_id}",)


def _why_rejected(routing: Routing, wish: Wish, candidate: Candidate) -> tuple[str, ...]:
    reasons = []
    if wish.only and candidate.provider not in wish.only:
        reasons.append("not among the providers to keep to (only)")
    if candidate.provider in wish.ignore:
        reasons.append("a provider to leave out (ignore)")
    info = candidate.info
    if info is not None and not _callable_now(routing, info):
        reasons.append("unavailable: past its end date, or gone from the provider's list")
    reasons.extend(_too_dear(wish, info))
    if info is not None and info.supported_parameters:
        missing = sorted(wish.parameters - set(info.supported_parameters))
        if missing:
            reasons.append(f"does not support {', '.join(missing)}")
    return tuple(reasons)


def _too_dear(wish: Wish, info: ModelInfo | None) -> list[str]:
    price = info.pricing if info is not None else None
    reasons = []
    for what, most, asked in (
        ("input", wish.max_input_price, price.input if price is not None else None),
        ("output", wish.max_output_price, price.output if price is not None else None),
    ):
        if most is not None and asked is None:
            reasons.append(f"its {what} price is unknown, and max_price is set")
        elif most is not None and asked is not None and asked > most:
            reasons.append(f"its {what} price is above max_price")
    return reasons


def _named(routing: Routing, name: str) -> list[Candidate]:
    exact = _exact(routing, name)
    if _any_listed(exact):
        return exact
    for suffix, by in _SUFFIXES.items():
        plain = _exact(routing, name.removesuffix(suffix)) if name.endswith(suffix) else []
        if _any_listed(plain):
            every = [*plain, *(each for each in _other_offers(routing, plain) if each not in plain)]
            return sorted(every, key=lambda c: _order(routing, c, by=by))
    return exact


def _any_listed(candidates: list[Candidate]) -> bool:
    return any(each.info is not None for each in candidates)


def _exact(routing: Routing, name: str) -> list[Candidate]:
    view = routing.view
    prefix, _, rest = name.partition("/")
    slug = routing.canonical_slug(prefix) if rest else None
    if slug is not None and routing.is_usable(slug):
        info = listed(view, slug, rest)
        if info is not None:
            return [Candidate(provider=slug, native_id=rest, info=info)]
    offers = view.by_canonical.get(name, ())
    if not offers and not rest:
        ids = view.by_bare_name.get(name, frozenset())
        offers = view.by_canonical[next(iter(ids))] if len(ids) == 1 else ()
    usable = [_offer(model) for model in offers if routing.is_usable(model.provider)]
    usable.sort(key=lambda c: _order(routing, c, by="health"))
    if slug is not None and routing.is_usable(slug) and routing.allow_unlisted:
        # The provider was named, so it is asked first; it may know more than its list tells.
        return [Candidate(provider=slug, native_id=rest), *usable]
    return usable


def listed(view: CatalogView, slug: str, native_id: str) -> ModelInfo | None:
    """The provider's row of this id; behind one of its suffixes the plain id's, at that suffix's price."""
    found = view.by_id.get(f"{slug}/{native_id}")
    if found is not None:
        return found
    plain, colon, suffix = native_id.rpartition(":")
    found = view.by_id.get(f"{slug}/{plain}") if suffix and f":{suffix}" not in _SUFFIXES else None
    if found is None or not colon or not found.suffixes:
        return None
    price = found.suffixes.get(suffix)
    return replace(found, pricing=price) if price is not None and price.known else found


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
    if said is not None:
        what = said if said.endswith((".", "!", "?", "…")) else f"{said}."
    return NotFound(f"{what}{hint}", code="model_not_found", members={"suggestions": close})


def suggest(view: CatalogView, model: str, *, most: int = 3) -> list[str]:
    """The closest ids. Three-letter runs in common first, so that few ids need the dear comparison."""
    text = model.lower()[:200]
    runs = {text[at : at + 3] for at in range(max(1, len(text) - 2))}
    lowered = {known.lower(): known for known in view.by_id}
    nearest = heapq.nlargest(60, lowered, key=lambda known: sum(run in known for run in runs))
    close = difflib.get_close_matches(text, nearest, n=most, cutoff=0.5)
    close = close or [known for known in nearest[:most] if any(run in known for run in runs)]
    return [lowered[known] for known in close]
