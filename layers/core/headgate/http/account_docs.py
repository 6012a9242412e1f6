"""What `/openapi.json` says of accounts: arguments of the routes' decorators, and schemas."""

from typing import Any

from headgate.domain.catalog import Modality
from headgate.domain.credits import EntryKind
from headgate.http.docs import GONE, PAGE_PARAMETERS, answers, body_of, once, query
from headgate.http.schemas import (
    BOOLEAN,
    INTEGER,
    NULL_TIME,
    NUMBER,
    OPEN,
    STRING,
    STRINGS,
    TIME,
    Schema,
    array,
    enum,
    nullable,
    obj,
    ref,
)

__all__ = ["GONE"]

MOST_EVENTS = 1000
"""Of the audit log on a page."""

_USER = query("user_id", STRING, "Administrators: whose. Others: 403 for another's.")
_PROJECT = [query("project_id", STRING, "A project that the caller is in.")]

ROTATED_KEY: dict[str, Any] = {
    "responses": answers(ref("RotatedKey")),
    "openapi_extra": once(body_of("RotateRequest", required=False)),
}
PROJECT: dict[str, Any] = {"responses": answers(ref("Project"))}
PUT_PROJECT: dict[str, Any] = {
    "responses": {**answers(ref("Project")), **answers(ref("Project"), status=201)},
    "openapi_extra": body_of("ProjectRequest"),
}
SETTINGS: dict[str, Any] = {
    "responses": answers(ref("Settings")),
    "openapi_extra": {"parameters": _PROJECT},
}
PUT_SETTINGS: dict[str, Any] = {
    "responses": answers(ref("Settings")),
    "openapi_extra": {**body_of("SettingsRequest"), "parameters": _PROJECT},
}
CREDITS: dict[str, Any] = {"responses": answers(ref("Credits")), "openapi_extra": {"parameters": [_USER]}}
LEDGER: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("LedgerEntry")), "next_cursor": nullable("string")})),
    "openapi_extra": {"parameters": [_USER, *PAGE_PARAMETERS]},
}
GRANT: dict[str, Any] = {
    "status_code": 201,
    "responses": answers(ref("Grant"), status=201),
    "openapi_extra": once(body_of("GrantRequest")),
}
OPENROUTER_KEY: dict[str, Any] = {
    "responses": answers(obj({"data": ref("OpenRouterKey")}), error="OpenAIError")
}
OPENROUTER_CREDITS: dict[str, Any] = {
    "responses": answers(obj({"data": ref("OpenRouterCredits")}), error="OpenAIError")
}
FLAG: dict[str, Any] = {"responses": answers(ref("Flag"))}
PUT_FLAG: dict[str, Any] = {"responses": answers(ref("Flag")), "openapi_extra": body_of("FlagRequest")}
AUDIT: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("AuditEvent")), "next_cursor": nullable("string")})),
    "openapi_extra": {
        "parameters": [
            query(
                "after",
                STRING,
                "The id of an event, or a time (2026-11-21T09:00:00Z); later events are told.",
            ),
            query("limit", {**INTEGER, "minimum": 1, "maximum": MOST_EVENTS}, "Events on a page."),
            query("cursor", STRING, "From `next_cursor`; it counts, not `after`, where both are given."),
        ]
    },
}

_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
_AMOUNT: Schema = {
    "anyOf": [STRING, NUMBER, ref("Money")],
    "description": "Dollars, with at most nine decimals.",
}
_BY_MODALITY: Schema = {
    "type": "object",
    "propertyNames": enum(Modality),
    "additionalProperties": STRING,
}
_SETTINGS: dict[str, Schema] = {
    "default_models": _BY_MODALITY,
    "providers": _BY_MODALITY,
    "connections": _BY_MODALITY,
    "flags": {"type": "object", "additionalProperties": BOOLEAN},
}
_MEMBERS: dict[str, Schema] = {
    "owner_user_id": _ID,
    "settings_user_id": nullable("string"),
    "members": STRINGS,
}
_ENTRY: dict[str, Schema] = {
    "id": STRING,
    "at": TIME,
    "kind": enum(EntryKind),
    "amount": ref("Money"),
    "generation_id": nullable("string"),
    "reason": nullable("string"),
}

_KEY_FIELDS: dict[str, Any] = {
    "id": STRING,
    "user_id": STRING,
    "project_id": nullable("string"),
    "name": STRING,
    "scopes": STRINGS,
    "hint": STRING,
    "expires_at": NULL_TIME,
    "allowed_models": nullable("array", items=STRING),
    "limits": ref("KeyLimits"),
    "created_at": TIME,
    "revoked_at": NULL_TIME,
}

SCHEMAS: dict[str, Schema] = {
    "Key": obj(_KEY_FIELDS),
    "NewKey": obj({**_KEY_FIELDS, "key": STRING}),
    "KeyRequest": obj(
        {
            "user_id": STRING,
            "project_id": nullable("string"),
            "name": STRING,
            "scopes": array(enum(["models:read", "generate", "connections", "admin"])),
            "expires_at": NULL_TIME,
            "allowed_models": nullable("array", items=STRING),
            "limits": ref("KeyLimitsRequest"),
        },
        required=["user_id", "name", "scopes"],
    ),
    "KeyLimits": obj(
        {
            "requests_per_minute": nullable("integer"),
            "tokens_per_minute": nullable("integer"),
            "credits_per_day": nullable(ref("Money")),
            "credits_per_month": nullable(ref("Money")),
        }
    ),
    "KeyLimitsRequest": obj(
        {
            "requests_per_minute": nullable("integer", minimum=1),
            "tokens_per_minute": nullable("integer", minimum=1),
            "credits_per_day": nullable(_AMOUNT),
            "credits_per_month": nullable(_AMOUNT),
        },
        required=[],
    ),
    "RotateRequest": obj(
        {"grace_s": {"type": "integer", "minimum": 0, "maximum": 604_800, "default": 3600}}, required=[]
    ),
    "RotatedKey": {
        "allOf": [
            ref("NewKey"),
            obj({"old_key_expires_at": {**NULL_TIME, "description": "Null where it ended at once."}}),
        ]
    },
    "Project": obj({"id": STRING, **_MEMBERS, "created_at": TIME, "updated_at": TIME}),
    "ProjectRequest": obj(_MEMBERS, required=["owner_user_id"]),
    "Settings": obj(_SETTINGS),
    "SettingsRequest": obj(_SETTINGS, required=[]),
    "Credits": obj({"balance": ref("Money"), "reserved": ref("Money"), "available": ref("Money")}),
    "LedgerEntry": obj(_ENTRY),
    "Grant": obj({**_ENTRY, "user_id": STRING}),
    "GrantRequest": obj({"user_id": _ID, "amount": _AMOUNT, "reason": {"type": "string", "minLength": 1}}),
    "OpenRouterKey": obj(
        {
            "label": STRING,
            "limit": nullable("number"),
            "limit_remaining": nullable("number"),
            "limit_reset": nullable("string"),
            "usage": NUMBER,
            "usage_daily": NUMBER,
            "usage_weekly": NUMBER,
            "usage_monthly": NUMBER,
            "byok_usage": NUMBER,
            "byok_usage_daily": NUMBER,
            "byok_usage_weekly": NUMBER,
            "byok_usage_monthly": NUMBER,
            "include_byok_in_limit": BOOLEAN,
            "is_free_tier": BOOLEAN,
            "is_management_key": BOOLEAN,
            "is_provisioning_key": BOOLEAN,
            "creator_user_id": nullable("string"),
            "expires_at": NULL_TIME,
            "rate_limit": obj({"requests": INTEGER, "interval": STRING, "note": STRING}),
        }
    ),
    "OpenRouterCredits": obj({"total_credits": NUMBER, "total_usage": NUMBER}),
    "Flag": obj(
        {
            "name": STRING,
            "enabled": nullable("boolean", description="Null where rules decide."),
            "default": BOOLEAN,
            "rules": OPEN,
            "updated_at": nullable("string", format="date-time", description="Null while nobody has set it"),
            "updated_by": nullable("string"),
        }
    ),
    "FlagRequest": obj({"enabled": BOOLEAN, "default": BOOLEAN, "rules": OPEN}, required=[]),
    "AuditEvent": obj(
        {
            "id": STRING,
            "at": TIME,
            "actor": STRING,
            "user_id": nullable("string"),
            "action": STRING,
            "target": STRING,
            "request_id": nullable("string"),
            "details": {"type": "object", "additionalProperties": STRING},
        }
    ),
}
