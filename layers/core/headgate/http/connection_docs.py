"""What `/openapi.json` says of connections and webhooks: arguments of the routes' decorators, and schemas."""

from typing import Any

from headgate.domain.webhooks import EVENTS, GROUPS
from headgate.http.docs import answers, body_of, once
from headgate.http.schemas import (
    BOOLEAN,
    INTEGER,
    NULL_TIME,
    NUMBER,
    OPEN,
    STRING,
    TIME,
    Schema,
    array,
    enum,
    nullable,
    obj,
    ref,
)
from headgate.services.deliver_webhook import DeliveryCode

_OPTIONAL: dict[str, Any] = {
    "api_key": nullable("string", description="Write only; answers show stars."),
    "base_url": nullable("string", description="Only public addresses, unless the operator named the host."),
    "default_model": nullable("string"),
    "timeout_s": nullable("number", exclusiveMinimum=0, maximum=900),
    "max_retries": nullable("integer", minimum=0, maximum=10),
    "metadata": nullable("object", additionalProperties=True),
}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 100}
_TYPE: Schema = {"type": "string", "description": "A provider's slug, or another name of it."}

SCHEMAS: dict[str, Schema] = {
    "Connection": obj(
        {
            "id": STRING,
            "name": _NAME,
            "type": STRING,
            **_OPTIONAL,
            "key_hint": nullable("string", description="The key's last four characters."),
            "metadata": OPEN,
            "is_default": BOOLEAN,
            "is_active": BOOLEAN,
            "needs_attention": nullable("string", description="Why it should be looked at."),
            "created_at": TIME,
            "updated_at": TIME,
            "deactivated_at": NULL_TIME,
            "deactivated_by": nullable("string"),
        }
    ),
    "ConnectionRequest": obj(
        {"name": _NAME, "type": _TYPE, **_OPTIONAL, "is_default": BOOLEAN}, required=["name", "type"]
    ),
    "ConnectionPatch": obj(
        {"name": _NAME, "type": _TYPE, **_OPTIONAL, "is_default": BOOLEAN, "is_active": BOOLEAN}, required=[]
    ),
    "ConnectionTestRequest": obj({"generate": BOOLEAN}, required=[]),
    "ConnectionTest": obj(
        {
            "ok": BOOLEAN,
            "code": nullable("string"),
            "detail": nullable("string"),
            "latency_ms": NUMBER,
            "model_count": nullable("integer"),
        }
    ),
}


_WEBHOOK: dict[str, Any] = {
    "id": STRING,
    "url": STRING,
    "events": array(STRING),
    "created_at": TIME,
    "updated_at": TIME,
}
SCHEMAS |= {
    "Webhook": obj(_WEBHOOK),
    "NewWebhook": obj({**_WEBHOOK, "secret": STRING}),
    "RotatedWebhook": obj({**_WEBHOOK, "secret": STRING, "old_secret_expires_at": TIME}),
    "WebhookRequest": obj({"url": STRING, "events": array(enum([*EVENTS, *GROUPS]))}),
    "WebhookTestRequest": obj({"event": nullable(enum(EVENTS))}, required=[]),
    "WebhookTest": obj(
        {
            "ok": BOOLEAN,
            "event": enum(EVENTS),
            "message_id": {"type": "string", "description": "The receiver finds it in `webhook-id`."},
            "status": nullable("integer", description="The receiver's; null where none came."),
            "code": nullable(enum(DeliveryCode)),
            "detail": nullable("string", description="What is wrong, and what to do."),
            "latency_ms": NUMBER,
        }
    ),
}


def _query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_PAGE = [
    _query("limit", {**INTEGER, "minimum": 1, "maximum": 100}, "Items on a page."),
    _query("cursor", STRING, "From `next_cursor`."),
]

CONNECTION: dict[str, Any] = {"responses": answers(ref("Connection"))}
CONNECTIONS: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("Connection")), "next_cursor": nullable("string")})),
    "openapi_extra": {
        "parameters": [
            _query("show_inactive", BOOLEAN, "Deleted ones too."),
            _query("type", STRING, "Only of this provider."),
            _query("search", STRING, "Part of the name, in any case."),
            *_PAGE,
        ]
    },
}
NEW_CONNECTION: dict[str, Any] = {
    "status_code": 201,
    "responses": answers(ref("Connection"), status=201),
    "openapi_extra": once(body_of("ConnectionRequest")),
}
PATCH_CONNECTION: dict[str, Any] = {**CONNECTION, "openapi_extra": body_of("ConnectionPatch")}
TEST_CONNECTION: dict[str, Any] = {
    "responses": answers(ref("ConnectionTest")),
    "openapi_extra": body_of("ConnectionTestRequest"),
}
WEBHOOK: dict[str, Any] = {"responses": answers(ref("Webhook"))}
WEBHOOKS: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("Webhook")), "next_cursor": nullable("string")})),
    "openapi_extra": {"parameters": _PAGE},
}
NEW_WEBHOOK: dict[str, Any] = {
    "status_code": 201,
    "responses": answers(ref("NewWebhook"), status=201),
    "openapi_extra": once(body_of("WebhookRequest")),
}
ROTATED_WEBHOOK: dict[str, Any] = {
    "responses": answers(ref("RotatedWebhook")),
    "openapi_extra": once({}),
}
TEST_WEBHOOK: dict[str, Any] = {
    "responses": answers(ref("WebhookTest")),
    "openapi_extra": body_of("WebhookTestRequest", required=False),
}
