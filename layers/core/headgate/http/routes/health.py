"""Providers and how they do; the description of the whole API."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.catalog import Modality, SnapshotHead, rfc3339
from headgate.domain.errors import InvalidRequest
from headgate.domain.health import ProviderHealth
from headgate.domain.money import decimal_text
from headgate.http import connection_docs, docs
from headgate.http.access import caller_of_request, public, scoped
from headgate.http.acting import act_of
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.paging import MAX_LIMIT, page_of
from headgate.paging import page_among
from headgate.services.show_providers import ProviderCard

router = APIRouter(tags=["providers"])


class CheckRequest(BaseModel):
    """How a connection is tried out. generate: also with a line of text, which may cost a little."""

    model_config = ConfigDict(extra="forbid")
    generate: Annotated[bool, Field(strict=True)] = False


@router.get("/openapi.json", tags=["operations"])
@public
async def openapi(_request: Request) -> Response:
    """The whole gateway, as OpenAPI 3.1."""
    from headgate.http.openapi import whole_api  # noqa: PLC0415 - imports every function's routes

    return Response(
        whole_api(), media_type="application/json", headers={"cache-control": "public, max-age=300"}
    )


@router.get("/v2/providers/health", **docs.HEALTH)
@scoped(Scope.MODELS_READ)
async def get_health(request: Request) -> Response:
    """Every configured provider, as last checked; the checks cost nothing."""
    rows = await services_of(request).health.report()
    return _page(request, "health", {health.provider: health_json(health, head) for health, head in rows})


@router.get("/v2/providers", **docs.PROVIDERS)
@scoped(Scope.MODELS_READ)
async def list_providers(request: Request) -> Response:
    """All providers this gateway knows."""
    return await _providers(request, None)


@router.get("/v2/providers/{modality}", **docs.PROVIDERS)
@scoped(Scope.MODELS_READ)
async def list_providers_of(request: Request, modality: str) -> Response:
    """The providers that can make one modality."""
    try:
        wanted = Modality(modality)
    except ValueError:
        raise InvalidRequest.of_field("modality", f"must be one of {', '.join(Modality)}.") from None
    return await _providers(request, wanted)


@router.post("/v2/connections/{connection_id}/test", tags=["connections"], **connection_docs.TEST_CONNECTION)
@scoped(Scope.CONNECTIONS)
async def check_connection(request: Request, connection_id: str) -> Response:
    """Whether a connection works. Always 200 for one that is the caller's: the answer says what is wrong."""
    asked = parse(CheckRequest, await read_json(request, optional=True))
    result = await services_of(request).connection_checker.check(
        caller_of_request(request), connection_id, act_of(request), generate=asked.generate
    )
    return _json(
        {
            "ok": result.ok,
            "code": result.code,
            "detail": result.detail,
            "latency_ms": result.latency_ms,
            "model_count": result.model_count,
        }
    )


async def _providers(request: Request, modality: Modality | None) -> Response:
    services = services_of(request)
    cards = await services.providers.cards(await services.catalog.view(), modality)
    return _page(request, "providers", {card.spec.slug: card_json(card) for card in cards})


def _page(request: Request, name: str, shown: Mapping[str, dict[str, Any]]) -> Response:
    """By slug: all, where the caller asks for no fewer. Raises InvalidRequest naming `limit` or `cursor`."""
    limit, cursor = page_of(request, default=MAX_LIMIT)
    placed = sorted(shown.items())
    page, next_cursor = page_among(name, placed, limit=limit, cursor=cursor, rising=True)
    return _json({"data": page, "next_cursor": next_cursor})


def card_json(card: ProviderCard) -> dict[str, Any]:
    spec, cost = card.spec, card.cost_per_unit
    return {
        "slug": spec.slug,
        "name": spec.name,
        "description": spec.description,
        "modalities": card.modalities,
        "features": spec.features,
        "async": spec.asynchronous,
        "cost_per_unit": None
        if cost is None
        else {"amount": decimal_text(cost[0]), "currency": "USD", "unit": cost[1]},
        "key_name": spec.key_name if spec.auth != "none" else None,
        "configured": card.configured,
        "docs_url": spec.docs_url,
    }


def health_json(health: ProviderHealth, head: SnapshotHead | None) -> dict[str, Any]:
    return {
        "provider": health.provider,
        "status": health.status.value,
        "last_checked": rfc3339(health.last_checked),
        "model_count": head.model_count if head is not None else 0,
        "error": health.error,
        "success_rate": health.success_rate,
        "latency_ms": {"p50": health.latency_p50_ms, "p95": health.latency_p95_ms},
        "checks": {
            name: {
                "outcome": check.outcome,
                "code": check.code,
                "detail": check.detail,
                "latency_ms": check.latency_ms,
            }
            for name, check in health.checks.items()
        },
    }


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
