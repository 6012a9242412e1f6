"""Users' own connections."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.catalog import rfc3339
from headgate.domain.connections import MASK
from headgate.domain.errors import InvalidRequest
from headgate.domain.secret import Secret
from headgate.http import connection_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, printable, read_json
from headgate.http.context import services_of
from headgate.http.docs import GONE
from headgate.http.once import made_once
from headgate.http.paging import page_of
from headgate.http.params import parameter
from headgate.http.routes import webhooks
from headgate.http.texts import Name
from headgate.providers.registry import canonical_slug
from headgate.services.acts import Act
from headgate.services.manage_connections import ConnectionFields, ConnectionFilter, Shown

router = APIRouter(tags=["connections"])

MAX_METADATA_BYTES = 4_096
_MOST_KEY_CHARS = 4_096
"""What KMS encrypts at once, in bytes; keys are ASCII.
https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html (2026-11-21)"""


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(value))
    except TypeError:
        raise ValueError("is nested too deeply, or has a number of more than 64 bits.") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"may hold {MAX_METADATA_BYTES} bytes of JSON, not {size}.")
    return value


def _trimmed(most: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


Slug = Annotated[str, _trimmed(64), AfterValidator(printable)]
Url = Annotated[str, _trimmed(2_000), AfterValidator(printable)]
Model = Annotated[str, _trimmed(200), AfterValidator(printable)]
Key = Annotated[SecretStr, Field(min_length=1, max_length=_MOST_KEY_CHARS)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=900, allow_inf_nan=False)]
Retries = Annotated[int, Field(strict=True, ge=0, le=10)]
YesOrNo = Annotated[bool, Field(strict=True)]
Metadata = Annotated[dict[str, Any], AfterValidator(_bounded)]


class _Optional(BaseModel):
    """Fields that may be absent from a new connection, and be cleared by null in a change."""

    # Pydantic's own errors would quote all that was given, and it holds a key.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    api_key: Key | None = None
    base_url: Url | None = None
    default_model: Model | None = None
    timeout_s: Seconds | None = None
    max_retries: Retries | None = None
    metadata: Metadata | None = None


class ConnectionRequest(_Optional):
    """A new connection."""

    name: Name
    type: Slug
    is_default: YesOrNo = False


class ConnectionPatch(_Optional):
    """Changes: what is absent stays, null clears."""

    name: Name = ""
    type: Slug = ""
    is_default: YesOrNo = False
    is_active: YesOrNo = True


@router.post("/v2/connections", **docs.NEW_CONNECTION)
@scoped(Scope.CONNECTIONS)
async def create_connection(request: Request) -> Response:
    """A new connection; its key is sealed, and never shown again."""
    body = await read_json(request)
    fields = fields_of(parse(ConnectionRequest, body))
    services = services_of(request)

    async def make(act: Act) -> Response:
        shown = await services.connection_manager.create(caller_of_request(request), fields, act)
        return json_answer(connection_json(shown), 201)

    return await made_once(request, body, store=services.connections, make=make)


@router.get("/v2/connections", **docs.CONNECTIONS)
@scoped(Scope.CONNECTIONS)
async def list_connections(request: Request) -> Response:
    """The caller's own, newest first."""
    limit, cursor = page_of(request)
    shown, next_cursor = await services_of(request).connection_manager.list(
        caller_of_request(request), _filter_of(request), limit=limit, cursor=cursor
    )
    return json_answer({"data": [connection_json(each) for each in shown], "next_cursor": next_cursor})


@router.get("/v2/connections/{connection_id}", **docs.CONNECTION)
@scoped(Scope.CONNECTIONS)
async def get_connection(request: Request, connection_id: str) -> Response:
    """One of the caller's own, a deleted one too."""
    manager = services_of(request).connection_manager
    return json_answer(connection_json(await manager.get(caller_of_request(request), connection_id)))


@router.patch("/v2/connections/{connection_id}", **docs.PATCH_CONNECTION)
@scoped(Scope.CONNECTIONS)
async def change_connection(request: Request, connection_id: str) -> Response:
    """Changes what is named; null clears. Another type or address needs the key again."""
    asked = parse(ConnectionPatch, await read_json(request))
    changes = {name: getattr(asked, name) for name in asked.model_fields_set}
    if "api_key" in changes:
        changes["api_key"] = _secret(changes["api_key"])
    shown = await services_of(request).connection_manager.change(
        caller_of_request(request), connection_id, changes, act_of(request)
    )
    return json_answer(connection_json(shown))


@router.delete("/v2/connections/{connection_id}", **GONE)
@scoped(Scope.CONNECTIONS)
async def delete_connection(request: Request, connection_id: str) -> Response:
    """Stops using it. Its owner can still read it, and restore it."""
    await services_of(request).connection_manager.delete(
        caller_of_request(request), connection_id, act_of(request)
    )
    return Response(status_code=204)


@router.post("/v2/connections/{connection_id}/default", **docs.CONNECTION)
@scoped(Scope.CONNECTIONS)
async def make_default(request: Request, connection_id: str) -> Response:
    """Makes it the caller's default, in place of the one that is."""
    shown = await services_of(request).connection_manager.make_default(
        caller_of_request(request), connection_id, act_of(request)
    )
    return json_answer(connection_json(shown))


@router.post("/v2/connections/{connection_id}/restore", **docs.CONNECTION)
@scoped(Scope.CONNECTIONS)
async def restore_connection(request: Request, connection_id: str) -> Response:
    """Makes a deleted one usable again. It becomes the default only if there is none."""
    shown = await services_of(request).connection_manager.restore(
        caller_of_request(request), connection_id, act_of(request)
    )
    return json_answer(connection_json(shown))


def fields_of(asked: ConnectionRequest) -> ConnectionFields:
    return ConnectionFields(
        name=asked.name,
        type=asked.type,
        api_key=_secret(asked.api_key),
        base_url=asked.base_url,
        default_model=asked.default_model,
        timeout_s=asked.timeout_s,
        max_retries=asked.max_retries,
        metadata=asked.metadata or {},
        is_default=asked.is_default,
    )


def connection_json(shown: Shown) -> dict[str, Any]:
    """As its owner sees it: of the key, that there is one, and how it ends."""
    row = shown.connection
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "api_key": None if row.sealed is None else MASK,
        "key_hint": row.key_hint,
        "base_url": row.base_url,
        "default_model": row.default_model,
        "is_default": shown.is_default,
        "is_active": row.is_active,
        "timeout_s": row.timeout_s,
        "max_retries": row.max_retries,
        "metadata": row.metadata,
        "needs_attention": row.needs_attention,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
        "deactivated_at": rfc3339(row.deactivated_at),
        "deactivated_by": row.deactivated_by,
    }


def _filter_of(request: Request) -> ConnectionFilter:
    shows = parameter(request, "show_inactive")
    if shows is not None and shows.lower() not in ("true", "false", "1", "0"):
        raise InvalidRequest.of_field("show_inactive", "must be true or false.")
    kind = parameter(request, "type") or None
    return ConnectionFilter(
        show_inactive=shows is not None and shows.lower() in ("true", "1"),
        type=None if kind is None else canonical_slug(kind),
        search=parameter(request, "search") or None,
    )


def _secret(given: SecretStr | None) -> Secret | None:
    """Without the blanks around it, which come along when a key is copied."""
    if given is None:
        return None
    text = given.get_secret_value().strip()
    if not text:
        raise InvalidRequest.of_field("api_key", "must not be blank.")
    return Secret(text)


router.routes.extend(webhooks.router.routes)
