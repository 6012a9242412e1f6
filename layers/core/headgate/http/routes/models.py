"""The catalogue's routes: OpenAI's and OpenRouter's lists under /v1, Headgate's own under /v2."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.catalog import CAPABILITIES, ModelInfo, ProviderStatus, rfc3339
from headgate.domain.errors import AccessDenied, FieldError, InvalidRequest
from headgate.http import docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.anthropic_models import VERSION_HEADER, anthropic_model_json, page_json, read_page
from headgate.http.context import Services, services_of
from headgate.http.model_json import endpoint_json, model_json, openai_model_json, override_json
from headgate.http.model_query import read_query
from headgate.http.model_views import find_model, lent_of, view_for
from headgate.http.rendered import (
    CACHE_CONTROL,
    NOT_YET_FETCHED,
    VARY,
    RenderCache,
    Rendered,
    accepts_gzip,
    rendered,
    weak_etag,
)
from headgate.http.routes import models_own
from headgate.providers.registry import canonical_slug
from headgate.services.catalog_view import CatalogView
from headgate.services.key_models import bound_names
from headgate.services.list_models import ModelList, ModelQuery
from headgate.services.offers import is_available, price_sum

router = APIRouter(tags=["catalogue"])
FORCE_WAIT_S = 20.0
V1_VARY = f"{VARY}, Anthropic-Version"


@router.get("/v1/models", **docs.V1_MODELS)
@scoped(Scope.MODELS_READ)
async def list_openai_models(request: Request) -> Response:
    """Every model, as OpenAI's clients and OpenRouter's read them, or page by page as Anthropic's do."""
    view = await view_for(request)
    if VERSION_HEADER in request.headers:
        return _respond(request, _anthropic_page(request, view), view, vary=V1_VARY)
    key = ("v1", view.versions, view.mark, view.hour)
    entry = _cache(request).get(key)
    if entry is None:
        # This list has no word for a model that is out of use.
        models = (model for model in view.models if not view.is_disabled(model.id))
        body = {"object": "list", "data": [openai_model_json(model) for model in models]}
        entry = rendered(orjson.dumps(body), weak_etag("v1", view.versions, view.mark, str(view.hour)))
        _cache(request).put(key, entry)
    return _respond(request, entry, view, vary=V1_VARY)


def _anthropic_page(request: Request, view: CatalogView) -> Rendered:
    page = read_page(request.query_params)
    key = ("v1-anthropic", view.versions, view.mark, view.hour, page)
    entry = _cache(request).get(key)
    if entry is None:
        body = page_json(view.models, page, services_of(request).clock.now())
        etag = weak_etag("v1-anthropic", view.versions, view.mark, str(view.hour), page.text())
        entry = rendered(orjson.dumps(body), etag)
        _cache(request).put(key, entry)
    return entry


@router.get("/v1/models/{model_id:path}/endpoints", **docs.V1_ENDPOINTS)
@scoped(Scope.MODELS_READ)
async def list_endpoints(request: Request, model_id: str) -> Response:
    """All offers of one model, in OpenRouter's shape."""
    services = services_of(request)
    view = await view_for(request)
    model = find_model(view, model_id)
    names = services.providers.names()
    offers = view.by_canonical[model.canonical_id]
    data = {
        **openai_model_json(model),
        "id": model.canonical_id,
        "endpoints": [endpoint_json(o, view, names.get(o.provider, o.provider)) for o in offers],
    }
    return _json({"data": data})


@router.get("/v1/models/{model_id:path}", **docs.V1_MODEL)
@scoped(Scope.MODELS_READ)
async def get_openai_model(request: Request, model_id: str) -> Response:
    """One model, as OpenAI's clients read it, or Anthropic's."""
    model = find_model(await view_for(request), model_id)
    if VERSION_HEADER in request.headers:
        return _json(anthropic_model_json(model, services_of(request).clock.now()), vary=V1_VARY)
    return _json(openai_model_json(model), vary=V1_VARY)


@router.get("/v2/models", **docs.V2_MODELS)
@scoped(Scope.MODELS_READ)
async def list_models(request: Request) -> Response:
    """The catalogue, filtered, sorted and paged; with what each provider's list is worth."""
    services, caller, lent = services_of(request), caller_of_request(request), lent_of(request)
    query_string: bytes = request.scope["query_string"]
    camel = bool(request.scope["state"].get("camel"))
    catalog = services.caller_catalog
    # A key that is bound to some models sees others as unavailable, so what is kept for it is its own.
    cache_key = (query_string, camel, caller.allowed_models)
    seen = await catalog.view(caller, lent) if catalog.in_memory else None
    entry = _cache(request).get(("v2", seen.serial, *cache_key)) if seen is not None else None
    if seen is not None and entry is not None:
        return _respond(request, entry, seen)
    query, force = read_query(query_string, camel=camel)
    if force and not caller.is_admin:
        raise AccessDenied("Only administrators may force a refresh.")
    query = _with_slugs(services, query)
    if force:
        view = await catalog.force(caller, lent, act_of(request), wait_s=FORCE_WAIT_S)
    else:
        view = seen or await catalog.view(caller, lent)
    _check_capabilities(query, view)
    if query.available and caller.allowed_models is not None:
        query = replace(query, allowed=bound_names(caller.allowed_models))
    page = await services.models.page(query, view=view, again=partial(catalog.pinned, caller, lent))
    body = _list_body(services, page, query)
    if not force and query.cursor is None:
        entry = rendered(orjson.dumps(body), _list_etag(page, query))
        _cache(request).put(("v2", view.serial, *cache_key), entry)
    if entry is None or seen is None:
        body["metadata"]["cache_hit"] = seen is not None and not force
        entry = Rendered(_list_etag(page, query), orjson.dumps(body))
    return _respond(request, entry, view)


def _with_slugs(services: Services, query: ModelQuery) -> ModelQuery:
    """Providers by their aliases' real names. Raises InvalidRequest for a name that no provider has."""
    for name in sorted(query.providers):
        if not services.providers.has(name):
            close = services.providers.close_to(name)
            hint = f"Did you mean {', '.join(close)}?" if close else "GET /v2/providers lists them."
            wrong = FieldError("provider", f"{name[:50]} is no provider this gateway knows. {hint}")
            raise InvalidRequest(
                f"{wrong.field}: {wrong.message}", errors=(wrong,), members={"suggestions": close}
            )
    return replace(query, providers=frozenset(map(canonical_slug, query.providers)))


def _check_capabilities(query: ModelQuery, view: CatalogView) -> None:
    """Raises InvalidRequest for one that neither our code nor any list knows."""
    unknown = query.capabilities - CAPABILITIES
    if unknown:
        listed = frozenset[str]().union(*(model.capabilities for model in view.models))
        for name in sorted(unknown - listed):
            known = ", ".join(sorted(CAPABILITIES | listed))
            raise InvalidRequest.of_field("capability", f"{name[:50]} is none of {known[:2000]}.")


# After the lists, which are asked for most, and before the path of one model, which takes all that is left.
router.routes.extend(models_own.router.routes)


@router.get("/v2/models/{model_id:path}", **docs.V2_MODEL)
@scoped(Scope.MODELS_READ)
async def get_model(request: Request, model_id: str) -> Response:
    """One model, with every other offer of it and cheaper ones that can do the same."""
    services = services_of(request)
    view = await view_for(request)
    model = find_model(view, model_id)
    now, names = services.clock.now(), services.providers.names()
    offers = []
    for offer in view.by_canonical[model.canonical_id]:
        health = view.health.get(offer.provider)
        latency_ms = health.latency_p50_ms if health is not None else None
        offers.append({**model_json(offer, view, now, names), "latency_ms": latency_ms})
    body = {
        **model_json(model, view, now, names),
        "offers": offers,
        "alternatives": [m.id for m in cheaper_alternatives(model, view, now)],
    }
    admin = caller_of_request(request).is_admin
    if admin:
        body["override"] = override_json(view.overrides.get(model.id))
    latencies = ",".join(str(offer["latency_ms"]) for offer in offers)
    etag = weak_etag(
        *("v2-model", model.id, view.versions, view.mark, _statuses(view), latencies),
        *(str(admin), str(view.hour)),
    )
    return _respond(request, Rendered(etag, orjson.dumps(body)), view)


def cheaper_alternatives(model: ModelInfo, view: CatalogView, now: datetime) -> list[ModelInfo]:
    """Up to five cheaper models of the same modality that can do all it can, cheapest first."""
    price = price_sum(model)
    if price is None:
        return []
    found = [
        (other_price, other)
        for other in view.models
        if other.modality is model.modality
        and other.canonical_id != model.canonical_id
        and model.capabilities <= other.capabilities
        and set(model.input_modalities) <= set(other.input_modalities)
        and (other.context_window or 0) >= (model.context_window or 0)
        and (other_price := price_sum(other)) is not None
        and other_price < price
        and is_available(other, view, now)
    ]
    found.sort(key=lambda item: (item[0], item[1].id))
    return [other for _, other in found[:5]]


def _list_body(services: Services, page: ModelList, query: ModelQuery) -> dict[str, Any]:
    """The answer as it is served from memory: `cache_hit` says so."""
    view, now = page.view, services.clock.now()
    names = services.providers.names()
    return {
        "models": [model_json(model, view, now, names) for model in page.models],
        "metadata": _metadata(services, page, query),
        "next_cursor": page.next_cursor,
    }


def _metadata(services: Services, page: ModelList, query: ModelQuery) -> dict[str, Any]:
    view = page.view
    covered = {s: h for s, h in view.heads.items() if not query.providers or s in query.providers}
    fetched = [head.fetched_at for head in covered.values() if head.fetched_at is not None]
    providers = {}
    for slug, head in sorted(covered.items()):
        status, trouble = view.status_of(slug), view.trouble.get(slug)
        if trouble is not None and status is ProviderStatus.HEALTHY:
            status = ProviderStatus.DEGRADED
        row: dict[str, Any] = {
            "status": status.value,
            "last_checked": rfc3339(head.checked_at),
            "model_count": head.model_count,
        }
        if (error := trouble or head.error) is not None:
            row["error"] = error
        if head.dropped:
            row["dropped"] = head.dropped
        providers[slug] = row
    return {
        "last_updated": rfc3339(max(fetched, default=None)),
        "total_models": page.total,
        "cache_hit": True,
        "stale": _is_stale(view, query),
        "user_provided_keys": view.provided,
        "default_models": services.models.defaults(view),
        "providers": providers,
    }


def _list_etag(page: ModelList, query: ModelQuery) -> str:
    view = page.view
    place = f"{query.limit}/{query.cursor}"
    return weak_etag(
        *("v2", view.versions, view.mark, query.fingerprint(), place, _statuses(view)),
        *(str(_is_stale(view, query)), str(view.hour)),
    )


def _is_stale(view: CatalogView, query: ModelQuery) -> bool:
    """Of the providers that the query covers; all of it is where others are left out, can't be read, or
    nothing was fetched yet."""
    covered = view.heads.keys() & query.providers if query.providers else view.heads.keys()
    return not view.heads or view.unread or view.only is not None or bool(view.stale & covered)


def _statuses(view: CatalogView) -> str:
    """What a client sees of the providers' state, without the times of the checks. Of all of them: which
    models are the defaults depends on providers that the query does not cover."""
    return "\n".join(
        f"{s}:{view.status_of(s).value}:{h.error}:{h.dropped}:{view.trouble.get(s)}"
        for s, h in sorted(view.heads.items())
    )


def _cache(request: Request) -> RenderCache:
    state = request.app.state
    cache: RenderCache | None = getattr(state, "render_cache", None)
    if cache is None:
        cache = state.render_cache = RenderCache()
    return cache


def _respond(request: Request, entry: Rendered, view: CatalogView, *, vary: str = VARY) -> Response:
    headers = request.headers
    return entry.response(
        if_none_match=headers.get("if-none-match"),
        gzip_ok=accepts_gzip(headers.get("accept-encoding", "")),
        vary=vary,
        cache_control=CACHE_CONTROL if view.heads else NOT_YET_FETCHED,
    )


def _json(body: Any, *, vary: str = VARY) -> Response:
    headers = {"cache-control": CACHE_CONTROL, "vary": vary}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)
