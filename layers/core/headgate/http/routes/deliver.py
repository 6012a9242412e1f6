"""Trying webhooks out. Apart from their other routes, since only this function may open their secrets."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.http import connection_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, read_json
from headgate.http.context import services_of

router = APIRouter(tags=["webhooks"])


class WebhookTestRequest(BaseModel):
    """event: which one to send an example of; by default the first that the webhook asked for."""

    model_config = ConfigDict(extra="forbid")
    event: Annotated[str, Field(max_length=100)] | None = None


@router.post("/v2/webhooks/{webhook_id}/test", **docs.TEST_WEBHOOK)
@scoped(Scope.CONNECTIONS)
async def check_webhook(request: Request, webhook_id: str) -> Response:
    """Whether a webhook works. Always 200 for one that is the caller's: the answer says what is wrong."""
    asked = parse(WebhookTestRequest, await read_json(request, optional=True))
    check = await services_of(request).webhook_checker.check(
        caller_of_request(request), webhook_id, asked.event, act_of(request)
    )
    return json_answer(
        {
            "ok": check.delivery.ok,
            "event": check.event,
            "message_id": check.message_id,
            "status": check.delivery.status,
            "code": check.delivery.code,
            "detail": check.delivery.detail,
            "latency_ms": check.delivery.latency_ms,
        }
    )
