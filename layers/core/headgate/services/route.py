"""From what a caller wrote as `model` to the offers that can serve it, in order. Pure, over a view."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, ProviderStatus
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import NoRoute
from headgate.services.apply_overrides import DISABLED, ELSEWHERE
from headgate.services.catalog import CatalogView
from headgate.services.offers import SORTING, price_sum, too_dear
from headgate.services.suggest import not_found


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


def _platform_only(_slug: str, _native_id: str) -> tuple[Credential, ...]:
    return (PLATFORM,)


def _plain(credential: Credential) -> str:
    return "the platform's key" if credential == PLATFORM else "a key of the caller's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What the router may use, for one caller.

    is_usable: whether this caller can use a provider at all. credentials: what to call a provider's model
    (slug, its own id) with, in the order in which they are tried. words: what a credential is called.
    prefers: the provider that comes first where several offer what was named. modality: what is asked for;
    what an administrator put elsewhere gives none of it. allow_unlisted: whether the platform pays for models
    that no list has; whoever pays with a key of their own may always ask for them.
    """

    view: CatalogView
    now: datetime
    is_usable: Callable[[str], bool]
    canonical_slug: Callable[[str], str | None]
    allow_unlisted: bool
    credentials: Callable[[str, str], tuple[Credential, ...]] = _platform_only
    words: Callable[[Credential], str] = _plain
    prefers: str | None = None
    modality: Modality = Modality.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One name to look for. only: the one credential that it is meant for. why: who named it."""

    name: str
    only: Credential | None = None
    why: str = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """A model of a provider, for any of the caller's credentials, or for the `only` one. why: it is here."""

    candidate: Candidate
    why: str
    only: Credential | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        return self.candidate.id, None if self.only is None else self.only.name


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
    why = f": {', '.join(considered[0].reasons)}" if considered else ""
    raise NoRoute(
        f"{(model or 'The default model')[:200]} can't be called now, or not as asked{why[:500]}.",
        members={"candidates": [considered_json(each) for each in considered]},
    )


def picks_of(model: str) -> list[Pick]:
    """The names in a list with commas."""
    return [Pick(name=part.strip()) for part in model.split(",") if part.strip()]


def consider(routing: Routing, model: str | Sequence[Pick], wish: Wish) -> list[Considered]:
    """Every candidate with its verdict: first those that are kept, in the order in which they are tried. An
    offer is one candidate per credential.

    Raises NotFound (`model_not_found`, with close ids) when nothing has that name.
    """
    picks = picks_of(model) if isinstance(model, str) else model
    named = _each_once(offer for pick in picks for offer in _picked(routing, pick))
    if not named:
        names = model if isinstance(model, str) else ",".join(pick.name for pick in picks)
        raise not_found(routing.view, names, keyless=_keyless(routing, picks))
    ranked = _ranked(routing, wish, _each_once([*named, *_other_offers(routing, named)]))
    verdicts = _verdicts(routing, wish, ranked)
    kept = [each for each in verdicts if each.kept]
    rejected = [each for each in verdicts if not each.kept]
    if wish.allow_fallbacks:
        return [*kept, *rejected]
    return [*_without_fallbacks(kept, wish), *rejected]


def _keyless(routing: Routing, picks: Sequence[Pick]) -> str | None:
    """The first provider that is named and that nobody has a key for."""
    slugs = (routing.canonical_slug(pick.name.partition("/")[0]) for pick in picks if "/" in pick.name)
    return next((slug for slug in slugs if slug is not None and not routing.is_usable(slug)), None)


def considered_json(each: Considered) -> dict[str, object]:
    """As in `candidates[]` of a `no_route` problem."""
    return {
        "model": each.candidate.id,
        "provider": each.candidate.provider,
        "connection_id": each.candidate.credential.connection_id,
        "kept": each.kept,
        "reasons": list(each.reasons),
    }


def _without_fallbacks(kept: list[Considered], wish: Wish) -> list[Considered]:
    """Another key for the same model is a fallback too: it may be paid by someone else."""
    first: list[Considered] = []
    for each in kept:
        wanted = each.candidate.provider in wish.order if wish.order else not first
        if wanted and all(each.candidate.id != other.candidate.id for other in first):
            first.append(each)
    spare = ("a fallback, and allow_fallbacks is false",)
    return [*first, *(replace(each, kept=False, reasons=spare) for each in kept if each not in first)]


def _each_once(offers: Iterable[_Offer]) -> list[_Offer]:
    """In their order; the first of each."""
    found: dict[tuple[str, str | None], _Offer] = {}
    for offer in offers:
        found.setdefault(offer.key, offer)
    return list(found.values())


def _verdicts(routing: Routing, wish: Wish, ranked: list[_Offer]) -> list[Considered]:
    """One for each offer and credential, the first of each."""
    found: dict[tuple[str, str], Considered] = {}
    for offer in ranked:
        for key in _credentials(routing, offer):
            candidate = _called_with(routing, offer.candidate, key)
            against = _why_rejected(routing, wish, candidate)
            found.setdefault(
                (candidate.id, key.name),
                Considered(
                    candidate=candidate,
                    kept=not against,
                    reasons=against or (offer.why, f"with {routing.words(key)}"),
                ),
            )
    return list(found.values())


def _called_with(routing: Routing, candidate: Candidate, key: Credential) -> Candidate:
    """What is paid for a call with the platform's key is what the platform's list says of the model."""
    platform, info = routing.view.shared, candidate.info
    if key == PLATFORM and platform is not None:
        info = listed(platform, candidate.provider, candidate.native_id)
    return replace(candidate, credential=key, info=info)


def _credentials(routing: Routing, offer: _Offer) -> tuple[Credential, ...]:
    if offer.only is not None:
        return (offer.only,)
    candidate = offer.candidate
    found = routing.credentials(candidate.provider, candidate.native_id)
    if candidate.info is not None or routing.allow_unlisted:
        return found
    return tuple(each for each in found if each.caller_pays)


def _other_offers(routing: Routing, named: list[_Offer]) -> list[_Offer]:
    """What else offers the very models that were named, best first."""
    canonical = dict.fromkeys(o.candidate.info.canonical_id for o in named if o.candidate.info is not None)
    found = [
        _Offer(candidate=candidate, why=f"also offers {name}")
        for name in canonical
        for candidate in _offers(routing, routing.view.by_canonical.get(name, ()))
    ]
    return sorted(found, key=lambda each: _order(routing, each.candidate, by="health"))


def _ranked(routing: Routing, wish: Wish, offers: list[_Offer]) -> list[_Offer]:
    by = {"cheapest": "price", "fastest": "latency"}.get(wish.strategy)
    ranked = list(offers)
    if by is not None:
        ranked.sort(key=lambda each: _order(routing, each.candidate, by=by))
    if wish.order:
        first = {slug: place for place, slug in enumerate(wish.order)}
        ranked.sort(key=lambda each: first.get(each.candidate.provider, len(first)))
    return ranked


def _why_rejected(routing: Routing, wish: Wish, candidate: Candidate) -> tuple[str, ...]:
    reasons = []
    if wish.only and candidate.provider not in wish.only:
        reasons.append("not among the providers to keep to (only)")
    if candidate.provider in wish.ignore:
        reasons.append("a provider to leave out (ignore)")
    info = candidate.info
    model_id = _judged_id(routing.view, candidate)
    moved = routing.view.moved_to(model_id, routing.modality)
    if moved is not None:
        reasons.append(f"{ELSEWHERE} {moved.value} models")
    if routing.view.is_disabled(model_id):
        reasons.append(DISABLED)
    elif info is not None and info.status_at(routing.now) is ModelStatus.UNAVAILABLE:
        reasons.append("unavailable: past its end date, or gone from the provider's list")
    reasons.extend(too_dear(info, wish.max_input_price, wish.max_output_price))
    if info is not None and info.supported_parameters:
        missing = sorted(wish.parameters - set(info.supported_parameters))
        if missing:
            reasons.append(f"does not support {', '.join(missing)}")
    return tuple(reasons)


def _judged_id(view: CatalogView, candidate: Candidate) -> str:
    """The id under which administrators speak of it. Behind suffixes that no list has, or in other letters,
    it is still the same model: none is let through by how its name is written."""
    if candidate.info is not None:
        return candidate.info.id
    spoken_of = {name.lower(): name for name in view.overrides} if view.overrides else {}
    plain = candidate.id
    while plain not in view.overrides and plain.lower() not in spoken_of and ":" in plain:
        plain = plain.rpartition(":")[0]
    return plain if plain in view.overrides else spoken_of.get(plain.lower(), candidate.id)


def _picked(routing: Routing, pick: Pick) -> list[_Offer]:
    """What has this name; for the `only` credential, its provider's model whether it is listed or not."""
    if pick.only is None:
        return [_named_offer(candidate, pick) for candidate in _named(routing, pick.name)]
    prefix, _, rest = pick.name.partition("/")
    slug = routing.canonical_slug(prefix)
    if slug is None or not rest:
        return []
    info = listed(routing.view, slug, rest)
    return [_named_offer(Candidate(provider=slug, native_id=rest, info=info), pick)]


def _named_offer(candidate: Candidate, pick: Pick) -> _Offer:
    why = pick.why if candidate.info is not None else f"{pick.why}; not in the catalogue"
    return _Offer(candidate=candidate, why=why, only=pick.only)


def _named(routing: Routing, name: str) -> list[Candidate]:
    exact = _exact(routing, name)
    if _any_listed(exact):
        return exact
    for suffix, by in SORTING.items():
        plain = _exact(routing, name.removesuffix(suffix)) if name.endswith(suffix) else []
        if _any_listed(plain):
            others = _other_offers(routing, [_Offer(candidate=each, why="") for each in plain])
            every = [*plain, *(each.candidate for each in others if each.candidate not in plain)]
            return sorted(every, key=lambda c: _order(routing, c, by=by))
    return exact


def _any_listed(candidates: list[Candidate]) -> bool:
    return any(each.info is not None for each in candidates)


def _exact(routing: Routing, name: str) -> list[Candidate]:
    view = routing.view
    prefix, _, rest = name.partition("/")
    slug = routing.canonical_slug(prefix) if rest else None
    if slug is not None and not routing.is_usable(slug):
        slug = None
    if slug is not None:
        info = listed(view, slug, rest)
        if info is not None and routing.credentials(slug, rest):
            return [Candidate(provider=slug, native_id=rest, info=info)]
    models = view.by_canonical.get(name, ())
    if not models and not rest:
        ids = view.by_bare_name.get(name, frozenset())
        models = view.by_canonical[next(iter(ids))] if len(ids) == 1 else ()
    offers = _offers(routing, models)
    offers.sort(key=lambda c: (c.provider != slug, _order(routing, c, by="health")))
    if slug is not None and not any(each.provider == slug for each in offers):
        # The provider was named, so it is asked first; it may know more than its list tells.
        passed = Candidate(provider=slug, native_id=rest)
        if _credentials(routing, _Offer(candidate=passed, why="")):
            return [passed, *offers]
    return offers


def listed(view: CatalogView, slug: str, native_id: str) -> ModelInfo | None:
    """The provider's row of this id; behind one of its suffixes the plain id's, at that suffix's price."""
    found = view.by_id.get(f"{slug}/{native_id}")
    if found is not None:
        return found
    plain, colon, suffix = native_id.rpartition(":")
    found = view.by_id.get(f"{slug}/{plain}") if suffix and f":{suffix}" not in SORTING else None
    if found is None or not colon or not found.suffixes:
        return None
    price = found.suffixes.get(suffix)
    return replace(found, pricing=price) if price is not None and price.known else found


def _offers(routing: Routing, models: Iterable[ModelInfo]) -> list[Candidate]:
    """Those that this caller has a key for."""
    return [
        Candidate(provider=model.provider, native_id=model.native_id, info=model)
        for model in models
        if routing.is_usable(model.provider) and routing.credentials(model.provider, model.native_id)
    ]


def _order(routing: Routing, candidate: Candidate, *, by: str) -> tuple[object, ...]:
    """Healthy before degraded before down, then known prices before unknown, cheap before dear.

    Where price and speed were not asked for, the provider that the caller prefers comes before others that
    are not down, and what the caller's own key pays before what the platform's does.
    """
    keys = routing.credentials(candidate.provider, candidate.native_id)
    own = bool(keys) and keys[0].caller_pays
    health = _health_rank(routing.view, candidate.provider, own=own)
    price = price_sum(candidate.info) if candidate.info is not None else None
    cheap = (price is None, price if price is not None else Decimal(0))
    if by == "price":
        return (health == 2, *cheap, health, candidate.id)
    if by == "latency":
        judged = routing.view.health.get(candidate.provider)
        p50_ms = judged.latency_p50_ms if judged is not None else None
        return (health == 2, p50_ms is None, p50_ms or 0, *cheap, candidate.id)
    return (health == 2, candidate.provider != routing.prefers, health, not own, *cheap, candidate.id)


def _health_rank(view: CatalogView, provider: str, *, own: bool) -> int:
    """Nobody checks a provider that the platform has no key for, so nothing speaks against it."""
    if own and provider not in view.health and provider not in view.heads:
        return 0
    return {ProviderStatus.HEALTHY: 0, ProviderStatus.DEGRADED: 1}.get(view.status_of(provider), 2)
