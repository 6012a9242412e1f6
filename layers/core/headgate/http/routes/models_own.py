"""The catalogue's routes beside its lists: what this caller can call, fresh lists, overrides."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, Pricing, ProviderStatus, rfc3339
from headgate.domain.errors import InvalidRequest
from headgate.http import model_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.model_json import override_json
from headgate.http.model_views import find_by_id, find_model, lent_of, missing, view_for
from headgate.services.apply_overrides import DISABLED
from headgate.services.catalog_view import CatalogView
from headgate.services.key_models import NOT_FOR_KEY, bound_names, is_bound_to
from headgate.services.offers import is_available
from headgate.services.override_models import OverrideChange

router = APIRouter(tags=["catalogue"])
_HIGHEST = Decimal(1_000_000)
_NO_CACHE = {"cache-control": "private, no-store"}


@router.get("/v2/models/availability", **docs.AVAILABILITIES)
@scoped(Scope.MODELS_READ)
async def list_available(request: Request) -> Response:
    """Ids of all that this caller can call now, by modality."""
    view = await view_for(request)
    bound_to, now = bound_names(caller_of_request(request).allowed_models), services_of(request).clock.now()
    found: dict[str, list[str]] = {modality.value: [] for modality in Modality}
    for model in view.models:
        if is_available(model, view, now) and is_bound_to(bound_to, model):
            found[model.modality.value].append(model.id)
    return _answer(found)


@router.get("/v2/models/{model_id:path}/availability", **docs.AVAILABILITY)
@scoped(Scope.MODELS_READ)
async def get_availability(request: Request, model_id: str) -> Response:
    """Whether this caller can call it now, and why not. By a canonical id: whether any offer can."""
    view = await view_for(request)
    bound_to, now = bound_names(caller_of_request(request).allowed_models), services_of(request).clock.now()
    model = find_model(view, model_id)
    offers = [model] if find_by_id(view, model_id) else view.by_canonical[model.canonical_id]
    against = [(offer, _why_not(offer, view, bound_to, now)) for offer in offers]
    available = any(not reasons for _, reasons in against)
    if len(against) == 1:
        shown = against[0][1]
    else:
        shown = [f"{offer.id}: {reason}" for offer, reasons in against for reason in reasons]
    return _answer({"available": available, "reasons": [] if available else shown})


@router.post("/v2/models/refresh", **docs.REFRESH)
@scoped(Scope.MODELS_READ)
async def refresh_own(request: Request) -> Response:
    """Drops what is kept for this caller, and has the lists of their connections read anew."""
    catalog = services_of(request).caller_catalog
    started = await catalog.refresh(caller_of_request(request), lent_of(request))
    rows = [{"connection_id": each.id, "provider": each.type} for each in started]
    return json_answer({"started": rows}, 202 if rows else 200)


# -- overrides ---------------------------------------------------------------------------------------------


def _price_of(value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('must be US dollars as a decimal text, like "0.15", or null.')
    text = str(value).strip()
    plain = text.replace(".", "", 1)
    if not plain.isascii() or not plain.isdigit() or len(text) > 30 or Decimal(text) > _HIGHEST:
        raise ValueError(f'must be US dollars from "0" to "{_HIGHEST}", without a sign or an exponent.')
    return Decimal(text)


_Price = Annotated[Decimal | None, BeforeValidator(_price_of)]
_Unit = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class PriceRequest(BaseModel):
    """USD per million tokens, and per unit; null is unknown."""

    model_config = ConfigDict(extra="forbid")
    input: _Price = None
    output: _Price = None
    cache_read: _Price = None
    cache_write: _Price = None
    reasoning: _Price = None
    units: Annotated[dict[_Unit, Annotated[Decimal, BeforeValidator(_price_of)]], Field(max_length=20)] = {}

    def pricing(self) -> Pricing:
        """Raises InvalidRequest where nothing is known: that would be no price at all."""
        price = Pricing(**{name: getattr(self, name) for name in type(self).model_fields})
        if not price.known:
            raise InvalidRequest.of_field("price", "needs input, output or a unit; null drops the override.")
        return price


class OverrideRequest(BaseModel):
    """What is absent stays; null goes back to what the provider says."""

    model_config = ConfigDict(extra="forbid")
    enabled: Annotated[bool, Field(strict=True)] | None = None
    modality: Modality | None = None
    price: PriceRequest | None = None
    note: Annotated[str, Field(max_length=1000)] | None = None

    def change(self) -> OverrideChange:
        return OverrideChange(
            said=frozenset(self.model_fields_set),
            enabled=self.enabled,
            modality=self.modality,
            price=None if self.price is None else self.price.pricing(),
            note=self.note,
        )


@router.patch("/v2/models/{model_id:path}/override", **docs.PATCH_OVERRIDE)
@scoped(Scope.ADMIN)
async def patch_override(request: Request, model_id: str) -> Response:
    """Takes a model out of use, puts it elsewhere, or at another price; in force everywhere in a minute."""
    asked = parse(OverrideRequest, await read_json(request)).change()
    if not asked.said:
        raise InvalidRequest("Name at least one of enabled, modality, price and note.")
    services = services_of(request)
    view = await view_for(request)
    model = find_by_id(view, model_id)
    if model is None and await services.overrides.find(model_id) is None:
        raise missing(view, model_id)
    known = model_id if model is None else model.id
    override = await services.overrides.change(act_of(request), known, asked)
    await services.catalog.reload()
    return json_answer(override_json(override))


@router.delete("/v2/models/{model_id:path}/override", **docs.DELETE_OVERRIDE)
@scoped(Scope.ADMIN)
async def delete_override(request: Request, model_id: str) -> Response:
    """What the provider says counts again."""
    services = services_of(request)
    model = find_by_id(await view_for(request), model_id)
    await services.overrides.drop(act_of(request), model_id if model is None else model.id)
    await services.catalog.reload()
    return Response(status_code=204)


def _why_not(
    model: ModelInfo, view: CatalogView, bound_to: frozenset[str] | None, now: datetime
) -> list[str]:
    reasons = []
    if view.is_disabled(model.id):
        reasons.append(DISABLED)
    elif model.status_at(now) is ModelStatus.UNAVAILABLE:
        ended = rfc3339(model.expires_at)
        reasons.append("unavailable: gone from its provider" if ended is None else f"ended on {ended}")
    if view.status_of(model.provider) is ProviderStatus.DOWN:
        reasons.append(f"{model.provider} is down")
    if not is_bound_to(bound_to, model):
        reasons.append(NOT_FOR_KEY)
    return reasons


def _answer(body: Any) -> Response:
    answer = json_answer(body)
    answer.headers.update(_NO_CACHE)
    return answer
