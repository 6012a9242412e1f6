"""Which model a chat is about, before anyone looks for who offers it. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from headgate.domain.catalog import Modality
from headgate.domain.errors import InvalidRequest, NoRoute
from headgate.providers.registry import canonical_slug
from headgate.services.catalog import CatalogView
from headgate.services.chat_records import ChatAsk
from headgate.services.circuits import circuit_name
from headgate.services.default_models import default_model
from headgate.services.reach import Level, Owned, Reach
from headgate.services.route import Candidate, Pick
from headgate.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What names are looked up in. slug_of: the provider that a name stands for, None for one that stands
    for none."""

    view: CatalogView
    settings: Settings
    now: datetime
    slug_of: Callable[[str], str | None]
    modality: Modality = Modality.TEXT

    def usual(self, slug: str | None, among: frozenset[str] | None = None) -> str | None:
        """The platform's default model, or what it picks among a provider's, or among these of its models."""
        return default_model(self.view, self.modality, self.settings, self.now, provider=slug, among=among)


def modality_of(ask: ChatAsk) -> Modality:
    return Modality.EMBEDDING if ask.operation == "embeddings" else Modality.TEXT


def circuit_of(candidate: Candidate, ask: ChatAsk) -> str:
    """One per provider, modality and key: embeddings may work while chats fail, one key while another."""
    return circuit_name(candidate.provider, modality=modality_of(ask).value, key=candidate.credential.name)


def picked(ask: ChatAsk, reach: Reach, market: Market) -> list[Pick]:
    """What the router looks for: the names given, within the provider or connection given; where no model was
    named, what the levels' settings say and their connections have for a default, then the platform's.

    Raises InvalidRequest for a connection to another provider than the one named, NoRoute where there is no
    default.
    """
    slug = provider_wanted(ask, reach)
    only = reach.named.credential if reach.named is not None else None
    if ask.model is not None:
        names = [name.strip() for name in ask.model.split(",") if name.strip()]
        return [Pick(name=_within(slug, name), only=only) for name in names]
    found = list(_defaults(reach, slug, market))
    if not found:
        whose = f" of {slug}" if slug else ""
        raise NoRoute(
            f"There is no default {market.modality.value} model{whose}; name one.", members={"candidates": []}
        )
    return found


def provider_wanted(ask: ChatAsk, reach: Reach) -> str | None:
    """The provider that must serve, where one was named, by itself or by a connection."""
    named = canonical_slug(ask.provider) if ask.provider is not None else None
    if reach.named is None:
        return named
    slug = reach.named.connection.type
    if named not in (None, slug):
        raise InvalidRequest.of_field("connection_id", f"is a connection to {slug}, not to {named}.")
    return slug


def _within(slug: str | None, name: str) -> str:
    prefix, _, rest = name.partition("/")
    return name if slug is None or (rest and canonical_slug(prefix) == slug) else f"{slug}/{name}"


# -- where no model was named -----------------------------------------------------------------------------


def _defaults(reach: Reach, slug: str | None, market: Market) -> Iterator[Pick]:
    """Level by level: what its settings say, then its connections, each with its own default model."""
    if reach.named is not None:
        yield from _of_connection(reach.named, reach, market, why=f"the default of {reach.named.words}")
        return
    for level in reach.levels:
        yield from _said(level, reach, slug, market)
        for owned in level.owned:
            if slug in (None, owned.connection.type):
                yield from _of_connection(owned, reach, market, why=f"the default of {owned.words}")
    usual = market.usual(slug)
    if usual is not None:
        yield Pick(name=usual, why="the platform's default")


def _said(level: Level, reach: Reach, slug: str | None, market: Market) -> Iterator[Pick]:
    """What one level's settings say: a connection, else a model, else a provider."""
    why = f"{level.whose} settings"
    if level.connection is not None:
        if slug in (None, level.connection.connection.type):
            yield from _of_connection(level.connection, reach, market, why=why)
    elif level.model is not None:
        name = _listed_within(slug or level.provider, level.model, market)
        if slug is None or _slug_in(name, market) == slug:
            yield Pick(name=name, why=why)
    elif level.provider is not None and slug in (None, level.provider):
        found = _said_model(reach, level.provider, market) or market.usual(level.provider)
        if found is not None:
            yield Pick(name=found, why=why)


def _of_connection(owned: Owned, reach: Reach, market: Market, *, why: str) -> Iterator[Pick]:
    """Its default model, else what settings say for its provider, else the platform's pick: of what its own
    list has, where that is known to have any. Nothing where its provider may serve nobody."""
    connection = owned.connection
    slug, listed = connection.type, reach.lists.get(connection.id)
    if not market.view.may_serve(slug):
        return
    name = connection.default_model or _said_model(reach, slug, market)
    if name is None and listed is not None:
        name = market.usual(slug, listed)
    name = name or market.usual(slug)
    if name is not None:
        yield Pick(name=_within(slug, name), only=owned.credential, why=why)


def _said_model(reach: Reach, slug: str, market: Market) -> str | None:
    """The nearest level's default model that is this provider's."""
    names = (_listed_within(slug, each.model, market) for each in reach.levels if each.model is not None)
    return next((name for name in names if _slug_in(name, market) == slug), None)


def _listed_within(slug: str | None, name: str, market: Market) -> str:
    """The name within the provider if that has it, else as it stands."""
    wanted = _within(slug, name)
    return wanted if wanted in market.view.by_id else name


def _slug_in(name: str, market: Market) -> str | None:
    prefix, _, rest = name.partition("/")
    return market.slug_of(prefix) if rest else None


def not_configured(slug: str, names: str) -> NoRoute:
    """The provider named is known, but there is no key for it."""
    rejected = {
        "model": names,
        "provider": slug,
        "connection_id": None,
        "kept": False,
        "reasons": ["not configured: the platform has no key for it, and none of yours is for it"],
    }
    return NoRoute(f"There is no key for {slug}.", members={"candidates": [rejected]})
