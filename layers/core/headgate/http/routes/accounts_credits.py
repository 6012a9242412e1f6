"""Accounts: credits; and what OpenRouter's clients ask of a key and its credits."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.callers import Caller, KeyLimits, Scope
from headgate.domain.catalog import rfc3339
from headgate.domain.credits import LedgerEntry
from headgate.domain.money import money_json, usd
from headgate.http import account_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.answering import json_answer
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.money import Amount
from headgate.http.once import made_once
from headgate.http.paging import page_of
from headgate.http.params import parameter
from headgate.http.texts import UserId
from headgate.services.acts import Act
from headgate.services.show_account import KeySpending

router = APIRouter(tags=["accounts"])


class GrantRequest(BaseModel):
    """Dollars for a user; negative ones take away."""

    model_config = ConfigDict(extra="forbid")
    user_id: UserId
    amount: Amount
    reason: Annotated[str, Field(min_length=1, max_length=500)]


@router.get("/v2/credits", **docs.CREDITS)
@scoped(Scope.MODELS_READ)
async def get_credits(request: Request) -> Response:
    """The caller's; with `user_id`, for an administrator, another's."""
    balance = await services_of(request).credits.balance(caller_of_request(request), _user(request))
    return json_answer(
        {
            "balance": money_json(balance.balance_nanousd),
            "reserved": money_json(balance.reserved_nanousd),
            "available": money_json(balance.available_nanousd),
        }
    )


@router.get("/v2/credits/ledger", **docs.LEDGER)
@scoped(Scope.MODELS_READ)
async def list_entries(request: Request) -> Response:
    """Every movement, newest first."""
    limit, cursor = page_of(request)
    entries, next_cursor = await services_of(request).credits.entries(
        caller_of_request(request), _user(request), limit=limit, cursor=cursor
    )
    return json_answer({"data": [entry_json(entry) for entry in entries], "next_cursor": next_cursor})


@router.post("/v2/credits/grants", **docs.GRANT)
@scoped(Scope.ADMIN)
async def grant_credits(request: Request) -> Response:
    """Adds to a user's credits, or takes from them."""
    body = await read_json(request)
    asked = parse(GrantRequest, body)
    services = services_of(request)

    async def make(act: Act) -> Response:
        entry = await services.credits.grant(
            act, user_id=asked.user_id, amount_nanousd=asked.amount, reason=asked.reason
        )
        return json_answer({**entry_json(entry), "user_id": entry.user_id}, 201)

    return await made_once(request, body, store=services.accounts, make=make)


@router.get("/v1/key", **docs.OPENROUTER_KEY)
@scoped(Scope.MODELS_READ)
async def get_own_key(request: Request) -> Response:
    """The calling key, as OpenRouter tells of one."""
    caller = caller_of_request(request)
    spending = await services_of(request).account.of_key(caller)
    return json_answer({"data": openrouter_key_json(caller, spending)})


@router.get("/v1/credits", **docs.OPENROUTER_CREDITS)
@scoped(Scope.MODELS_READ)
async def get_total_credits(request: Request) -> Response:
    """All credits granted and used, as OpenRouter tells of them."""
    granted, used = await services_of(request).account.credits(caller_of_request(request))
    return json_answer({"data": {"total_credits": float(usd(granted)), "total_usage": float(usd(used))}})


def entry_json(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": rfc3339(entry.at),
        "kind": entry.kind.value,
        "amount": money_json(entry.amount_nanousd),
        "generation_id": entry.generation_id,
        "reason": entry.reason,
    }


def openrouter_key_json(caller: Caller, spending: KeySpending) -> dict[str, Any]:
    """Dollars as numbers. `limit` is the month's where there is one, else the day's.

    What callers' own keys spent at their providers is not known here, so nothing is counted as such.
    https://openrouter.ai/docs/api/api-reference/api-keys/get-current-key (2026-11-21)
    """
    key = spending.key
    limit, used, reset = _limit(caller.limits, spending)
    per_minute = caller.limits.requests_per_minute
    return {
        "label": caller.key_id if key is None else key.name,
        "limit": None if limit is None else float(usd(limit)),
        "limit_remaining": None if limit is None else float(usd(max(0, limit - used))),
        "limit_reset": reset,
        "usage": float(usd(spending.total_nanousd)),
        "usage_daily": float(usd(spending.day_nanousd)),
        "usage_weekly": float(usd(spending.week_nanousd)),
        "usage_monthly": float(usd(spending.month_nanousd)),
        **dict.fromkeys(("byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"), 0),
        "include_byok_in_limit": False,
        "is_free_tier": False,
        "is_management_key": caller.is_admin,
        "is_provisioning_key": caller.is_admin,
        "creator_user_id": caller.user_id,
        "expires_at": None if key is None else rfc3339(key.expires_at),
        "rate_limit": {"requests": -1 if per_minute is None else per_minute, "interval": "1m", "note": ""},
    }


def _limit(limits: KeyLimits, spending: KeySpending) -> tuple[int | None, int, str | None]:
    """The limit, what of it is used (nano-dollars), and when it begins anew."""
    if limits.spend_per_month_nanousd is not None:
        return limits.spend_per_month_nanousd, spending.month_nanousd, "monthly"
    if limits.spend_per_day_nanousd is not None:
        return limits.spend_per_day_nanousd, spending.day_nanousd, "daily"
    return None, 0, None


def _user(request: Request) -> str | None:
    return parameter(request, "user_id") or None
