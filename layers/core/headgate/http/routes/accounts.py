"""Accounts: API keys."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.callers import ApiKey, KeyLimits, Scope
from headgate.domain.catalog import rfc3339
from headgate.http import docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.paging import page_of

router = APIRouter(tags=["accounts"])
Count = Annotated[int, Field(ge=1, le=10**9)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class LimitsRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None


class KeyRequest(BaseModel):
    """A new key."""

    model_config = ConfigDict(extra="forbid")
    user_id: Label
    project_id: Label | None = None
    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    expires_at: AwareDatetime | None = None
    allowed_models: Annotated[list[Label], Field(max_length=100)] | None = None
    limits: LimitsRequest = Field(default_factory=LimitsRequest)


@router.post("/v2/keys", **docs.NEW_KEY)
@scoped(Scope.ADMIN)
async def create_key(request: Request) -> Response:
    """A new key; its text is shown this once."""
    asked = parse(KeyRequest, await read_json(request))
    key, text = await services_of(request).keys.mint(
        user_id=asked.user_id,
        name=asked.name,
        scopes=asked.scopes,
        project_id=asked.project_id,
        expires_at=asked.expires_at,
        allowed_models=None if asked.allowed_models is None else tuple(asked.allowed_models),
        limits=KeyLimits(**asked.limits.model_dump()),
    )
    return _json({**key_json(key), "key": text.reveal()}, 201)


@router.get("/v2/keys", **docs.KEYS)
@scoped(Scope.MODELS_READ)
async def list_keys(request: Request) -> Response:
    """The caller's keys; an administrator's view is of all, or of one user."""
    limit, cursor = page_of(request)
    keys, next_cursor = await services_of(request).keys.list(
        caller_of_request(request),
        user_id=request.query_params.get("user_id"),
        limit=limit,
        cursor=cursor,
    )
    return _json({"data": [key_json(key) for key in keys], "next_cursor": next_cursor})


@router.get("/v2/keys/{key_id}", **docs.KEY)
@scoped(Scope.MODELS_READ)
async def get_key(request: Request, key_id: str) -> Response:
    """One key, without its text."""
    return _json(key_json(await services_of(request).keys.find(caller_of_request(request), key_id)))


@router.delete("/v2/keys/{key_id}", **docs.GONE)
@scoped(Scope.ADMIN)
async def revoke_key(request: Request, key_id: str) -> Response:
    """Dead everywhere within 60 seconds."""
    await services_of(request).keys.revoke(caller_of_request(request), key_id)
    return Response(status_code=204)


def key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "user_id": key.user_id,
        "project_id": key.project_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "hint": key.hint,
        "expires_at": _time(key.expires_at),
        "allowed_models": key.allowed_models,
        "limits": {
            "requests_per_minute": key.limits.requests_per_minute,
            "tokens_per_minute": key.limits.tokens_per_minute,
        },
        "created_at": _time(key.created_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
