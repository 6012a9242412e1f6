"""Accounts: API keys; and, in modules beside, what else belongs to users and administrators."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.callers import ApiKey, KeyLimits, Scope
from headgate.domain.catalog import rfc3339
from headgate.domain.money import money_json
from headgate.http import account_docs, docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.money import Allowance
from headgate.http.once import made_once
from headgate.http.paging import page_of
from headgate.http.params import parameter
from headgate.http.routes import accounts_admin, accounts_credits, accounts_projects, accounts_settings, usage
from headgate.http.texts import Moment, Name, UserId
from headgate.services.acts import Act
from headgate.services.manage_keys import DEFAULT_GRACE_S, MAX_GRACE_S, key_text_of

router = APIRouter(tags=["accounts"])
Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]


class LimitsRequest(BaseModel):
    """Credits in dollars."""

    model_config = ConfigDict(extra="forbid")
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    credits_per_day: Allowance = None
    credits_per_month: Allowance = None

    def limits(self) -> KeyLimits:
        return KeyLimits(
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            spend_per_day_nanousd=self.credits_per_day,
            spend_per_month_nanousd=self.credits_per_month,
        )


class KeyRequest(BaseModel):
    """A new key."""

    model_config = ConfigDict(extra="forbid")
    user_id: UserId
    project_id: UserId | None = None
    name: Name
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    expires_at: Moment | None = None
    allowed_models: Annotated[list[UserId], Field(max_length=100)] | None = None
    limits: LimitsRequest = Field(default_factory=LimitsRequest)


class RotateRequest(BaseModel):
    """How long the replaced text goes on working."""

    model_config = ConfigDict(extra="forbid")
    grace_s: Annotated[int, Field(strict=True, ge=0, le=MAX_GRACE_S)] = DEFAULT_GRACE_S


@router.post("/v2/keys", **docs.NEW_KEY)
@scoped(Scope.ADMIN)
async def create_key(request: Request) -> Response:
    """A new key; its text is shown this once."""
    body = await read_json(request)
    asked = parse(KeyRequest, body)
    services = services_of(request)

    async def make(act: Act) -> Response:
        key, text = await services.keys.mint(
            user_id=asked.user_id,
            name=asked.name,
            scopes=asked.scopes,
            project_id=asked.project_id,
            expires_at=asked.expires_at,
            allowed_models=None if asked.allowed_models is None else tuple(asked.allowed_models),
            limits=asked.limits.limits(),
            act=act,
        )
        return json_answer({**key_json(key), "key": text.reveal()}, 201)

    return await made_once(request, body, store=services.accounts, make=make, secret=key_text_of)


@router.get("/v2/keys", **docs.KEYS)
@scoped(Scope.MODELS_READ)
async def list_keys(request: Request) -> Response:
    """The caller's keys; for an administrator all, or with `user_id` one user's."""
    limit, cursor = page_of(request)
    keys, next_cursor = await services_of(request).keys.list(
        caller_of_request(request),
        user_id=parameter(request, "user_id") or None,
        limit=limit,
        cursor=cursor,
    )
    return json_answer({"data": [key_json(key) for key in keys], "next_cursor": next_cursor})


@router.get("/v2/keys/{key_id}", **docs.KEY)
@scoped(Scope.MODELS_READ)
async def get_key(request: Request, key_id: str) -> Response:
    """One key, without its text."""
    return json_answer(key_json(await services_of(request).keys.find(caller_of_request(request), key_id)))


@router.post("/v2/keys/{key_id}/rotate", **account_docs.ROTATED_KEY)
@scoped(Scope.ADMIN)
async def rotate_key(request: Request, key_id: str) -> Response:
    """A new text for the key, shown this once; the old one works until `old_key_expires_at`."""
    body = await read_json(request, optional=True)
    asked = parse(RotateRequest, body)
    caller, services = caller_of_request(request), services_of(request)

    async def make(act: Act) -> Response:
        key, text = await services.keys.rotate(caller, key_id, act, grace_s=asked.grace_s)
        previous = key.previous
        ends_at = None if previous is None else previous.expires_at
        return json_answer({**key_json(key), "key": text.reveal(), "old_key_expires_at": _time(ends_at)})

    return await made_once(request, body, store=services.accounts, make=make, secret=key_text_of)


@router.delete("/v2/keys/{key_id}", **docs.GONE)
@scoped(Scope.ADMIN)
async def revoke_key(request: Request, key_id: str) -> Response:
    """Dead everywhere within 60 seconds."""
    await services_of(request).keys.revoke(caller_of_request(request), key_id, act_of(request))
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
            "credits_per_day": _money(key.limits.spend_per_day_nanousd),
            "credits_per_month": _money(key.limits.spend_per_month_nanousd),
        },
        "created_at": _time(key.created_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment)


def _money(amount_nanousd: int | None) -> dict[str, Any] | None:
    return None if amount_nanousd is None else money_json(amount_nanousd)


for part in (accounts_projects, accounts_settings, accounts_credits, accounts_admin, usage):
    router.routes.extend(part.router.routes)
