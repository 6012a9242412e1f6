"""Accounts: feature flags and the audit log, for administrators."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.domain.accounts import Flag
from headgate.domain.audit import AuditEvent, day_after
from headgate.domain.callers import Scope
from headgate.domain.catalog import rfc3339
from headgate.domain.errors import InvalidRequest
from headgate.domain.ids import first_id
from headgate.http import account_docs as docs
from headgate.http.access import scoped
from headgate.http.account_docs import MOST_EVENTS
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import read_json
from headgate.http.context import services_of
from headgate.http.paging import page_of
from headgate.http.params import time_in

router = APIRouter(tags=["accounts"])
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@router.get("/v2/flags/{name}", **docs.FLAG)
@scoped(Scope.ADMIN)
async def get_flag(request: Request, name: str) -> Response:
    """A flag's rules, as they were set."""
    return json_answer(flag_json(await services_of(request).flag_manager.find(name)))


@router.put("/v2/flags/{name}", **docs.PUT_FLAG)
@scoped(Scope.ADMIN)
async def put_flag(request: Request, name: str) -> Response:
    """Sets it for all (`enabled`) or by rules; in force everywhere within 60 seconds."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest.of_field("name", "must be 1 to 100 letters, digits, or any of _.- in it.")
    schema = _schema_of(await read_json(request))
    return json_answer(flag_json(await services_of(request).flag_manager.set(act_of(request), name, schema)))


@router.get("/v2/audit", **docs.AUDIT)
@scoped(Scope.ADMIN)
async def read_audit(request: Request) -> Response:
    """Events oldest first; `next_cursor` is the id to ask on after, while there may be more."""
    limit, cursor = page_of(request, most=MOST_EVENTS)
    after = request.query_params.get("after")
    moment = time_in(after or "")
    if cursor:  # who follows `next_cursor` goes on saying where the first page began
        after, moment = _event_id(cursor), None
    events = await services_of(request).accounts.read_audit(
        after=after if moment is None else first_id("evt", moment), limit=limit
    )
    next_cursor = events[-1].id if len(events) == limit else None
    return json_answer({"data": [event_json(event) for event in events], "next_cursor": next_cursor})


def _event_id(cursor: str) -> str:
    """Raises InvalidRequest naming `cursor`."""
    try:
        day_after(cursor)
    except InvalidRequest:
        raise InvalidRequest.of_field("cursor", "This is no cursor of this list. Begin anew.") from None
    return cursor


def flag_json(flag: Flag) -> dict[str, Any]:
    """`enabled` is null for a flag that has rules: it then depends on who asks."""
    rules = flag.schema.get("rules") or {}
    return {
        "name": flag.name,
        "enabled": None if rules else flag.schema.get("default"),
        "default": flag.schema.get("default"),
        "rules": rules,
        "updated_at": rfc3339(flag.updated_at) if flag.updated_at is not None else None,
        "updated_by": flag.updated_by,
    }


def event_json(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": rfc3339(event.at),
        "actor": event.actor,
        "user_id": event.user_id,
        "action": event.action,
        "target": event.target,
        "request_id": event.request_id,
        "details": event.details,
    }


def _schema_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """`{"enabled": bool}`, or a schema of Powertools' feature flags: `{"default": bool, "rules": {…}}`."""
    if "enabled" in body:
        if len(body) > 1 or not isinstance(body["enabled"], bool):
            raise InvalidRequest.of_field("enabled", "must be true or false, and stand alone.")
        return {"default": body["enabled"]}
    unknown = sorted(body.keys() - {"default", "rules", "boolean_type"})
    if unknown:
        raise InvalidRequest.of_field(unknown[0][:100], "There is no such field.")
    return dict(body)
