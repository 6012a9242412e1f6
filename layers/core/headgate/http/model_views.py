"""The catalogue of the request's caller, and finding a model in it by any of its names."""

from collections.abc import Mapping

from fastapi import Request

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import GatewayFault, NotFound
from headgate.domain.secret import Secret
from headgate.http.access import caller_of_request
from headgate.http.context import services_of
from headgate.http.lent import lent_keys
from headgate.providers.registry import canonical_slug
from headgate.services.catalog_view import CatalogView
from headgate.services.route import listed
from headgate.services.suggest import not_found


def lent_of(request: Request) -> Mapping[str, Secret]:
    """Keys lent with this request, by slug."""
    return lent_keys(request, services_of(request).providers.has)


async def view_for(request: Request) -> CatalogView:
    """What this caller sees now, with the keys lent."""
    catalog = services_of(request).caller_catalog
    return await catalog.view(caller_of_request(request), lent_of(request))


def find_model(view: CatalogView, name: str) -> ModelInfo:
    """A model by its id, an alias of its provider, a canonical id, or a bare name that only one model has.

    Raises NotFound with close ids; GatewayFault while it may be in what can't be read.
    """
    model = find_by_id(view, name)
    if model is not None:
        return model
    named = view.by_bare_name.get(name, frozenset()) if "/" not in name else frozenset()
    offers = view.by_canonical.get(next(iter(named)) if len(named) == 1 else name)
    if offers:
        return offers[0]
    raise missing(view, name)


def find_by_id(view: CatalogView, name: str) -> ModelInfo | None:
    """A model by its id, or an alias of its provider."""
    prefix, _, rest = name.partition("/")
    return view.by_id.get(name) or (listed(view, canonical_slug(prefix), rest) if prefix and rest else None)


def missing(view: CatalogView, name: str) -> NotFound | GatewayFault:
    """Why a model is not found."""
    return GatewayFault.unavailable("The catalogue") if view.unread else not_found(view, name)
