"""What was used, in sums; part of the accounts function."""

import re
from contextlib import suppress
from datetime import date
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.errors import InvalidRequest
from headgate.domain.money import money_json
from headgate.domain.usage import Dimension
from headgate.http import usage_docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.context import services_of
from headgate.http.paging import page_of
from headgate.http.params import parameter, time_in
from headgate.services.show_usage import UsageRow

router = APIRouter(tags=["accounts"])
_DEFAULT_DAYS = 30
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@router.get("/v2/usage", **usage_docs.USAGE)
@scoped(Scope.MODELS_READ)
async def show_usage(request: Request) -> Response:
    """Requests, tokens, cost, errors and mean latency by group; the caller's own, an administrator's all."""
    limit, cursor = page_of(request, most=usage_docs.MOST_ROWS, default=usage_docs.MOST_ROWS)
    services = services_of(request)
    rows, next_cursor = await services.usage.report(
        caller_of_request(request),
        _dimension(request),
        days=_days(request, services.clock.now().date()),
        user_id=parameter(request, "user_id") or None,
        limit=limit,
        cursor=cursor,
    )
    body = {"data": [usage_row_json(row) for row in rows], "next_cursor": next_cursor}
    return Response(orjson.dumps(body), media_type="application/json")


def usage_row_json(row: UsageRow) -> dict[str, Any]:
    return {
        "group": row.group,
        "requests": row.sums.requests,
        "input_tokens": row.sums.input_tokens,
        "output_tokens": row.sums.output_tokens,
        "cost": money_json(row.sums.cost_nanousd),
        "errors": row.sums.errors,
        "latency_ms": row.latency_ms,
    }


def _dimension(request: Request) -> Dimension:
    try:
        asked = parameter(request, "group_by")
        return Dimension.MODEL if asked is None else Dimension(asked)
    except ValueError:
        raise InvalidRequest.of_field("group_by", f"must be one of {', '.join(Dimension)}.") from None


def _days(request: Request, today: date) -> tuple[date, date]:
    """Up to today, and 30 in all, where the caller says nothing else."""
    last = _day(request, "to") or today
    first = _day(request, "from") or date.fromordinal(max(1, last.toordinal() - _DEFAULT_DAYS + 1))
    return first, last


def _day(request: Request, name: str) -> date | None:
    """The day of a date or of a time, in UTC, which sums are kept by."""
    text = request.query_params.get(name)
    if not text:
        return None
    if (moment := time_in(text)) is not None:
        return moment.date()
    with suppress(ValueError):
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    raise InvalidRequest.of_field(name, "must be a date (2026-11-21) or a time (2026-11-21T09:00:00Z).")
