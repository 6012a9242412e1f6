"""Where users want to be told what happened."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.catalog import rfc3339
from headgate.domain.webhooks import Webhook
from headgate.http import connection_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, printable, read_json
from headgate.http.context import services_of
from headgate.http.docs import GONE
from headgate.http.once import made_once
from headgate.http.paging import MAX_LIMIT, page_of
from headgate.services.acts import Act
from headgate.services.manage_webhooks import webhook_secret_of

router = APIRouter(tags=["webhooks"])

Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000),
    AfterValidator(printable),
]
EventName = Annotated[str, Field(min_length=1, max_length=100)]


class WebhookRequest(BaseModel):
    """A new webhook."""

    model_config = ConfigDict(extra="forbid")
    url: Url
    events: Annotated[list[EventName], Field(min_length=1, max_length=50)]


@router.post("/v2/webhooks", **docs.NEW_WEBHOOK)
@scoped(Scope.CONNECTIONS)
async def create_webhook(request: Request) -> Response:
    """A new webhook; its secret is shown this once."""
    body = await read_json(request)
    asked = parse(WebhookRequest, body)
    services = services_of(request)

    async def make(act: Act) -> Response:
        webhook, secret = await services.webhooks.create(
            caller_of_request(request), asked.url, asked.events, act
        )
        return json_answer({**webhook_json(webhook), "secret": secret.reveal()}, 201)

    return await made_once(request, body, store=services.connections, make=make, secret=webhook_secret_of)


@router.get("/v2/webhooks", **docs.WEBHOOKS)
@scoped(Scope.CONNECTIONS)
async def list_webhooks(request: Request) -> Response:
    """The caller's own, newest first."""
    limit, cursor = page_of(request, default=MAX_LIMIT)
    rows, next_cursor = await services_of(request).webhooks.list(
        caller_of_request(request), limit=limit, cursor=cursor
    )
    return json_answer({"data": [webhook_json(row) for row in rows], "next_cursor": next_cursor})


@router.get("/v2/webhooks/{webhook_id}", **docs.WEBHOOK)
@scoped(Scope.CONNECTIONS)
async def get_webhook(request: Request, webhook_id: str) -> Response:
    """One of the caller's own, without its secret."""
    row = await services_of(request).webhooks.get(caller_of_request(request), webhook_id)
    return json_answer(webhook_json(row))


@router.post("/v2/webhooks/{webhook_id}/rotate", **docs.ROTATED_WEBHOOK)
@scoped(Scope.CONNECTIONS)
async def rotate_webhook(request: Request, webhook_id: str) -> Response:
    """A new secret, shown this once. Until `old_secret_expires_at` deliveries are signed by both."""
    services = services_of(request)

    async def make(act: Act) -> Response:
        webhook, secret = await services.webhooks.rotate(caller_of_request(request), webhook_id, act)
        shown = {"secret": secret.reveal(), "old_secret_expires_at": rfc3339(webhook.previous_until)}
        return json_answer({**webhook_json(webhook), **shown})

    return await made_once(request, {}, store=services.connections, make=make, secret=webhook_secret_of)


@router.delete("/v2/webhooks/{webhook_id}", **GONE)
@scoped(Scope.CONNECTIONS)
async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Nothing is sent there any more."""
    await services_of(request).webhooks.delete(caller_of_request(request), webhook_id, act_of(request))
    return Response(status_code=204)


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "created_at": rfc3339(webhook.created_at),
        "updated_at": rfc3339(webhook.updated_at),
    }
