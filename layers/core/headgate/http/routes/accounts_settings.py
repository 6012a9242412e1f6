"""Accounts: which models, providers and connections serve where a request names none."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.accounts import ProviderSettings
from headgate.domain.callers import Scope
from headgate.http import account_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, printable, read_json
from headgate.http.context import services_of
from headgate.http.params import parameter

router = APIRouter(tags=["accounts"])
Name = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(printable)]
ByModality = Annotated[dict[str, Name], Field(max_length=20)]


class SettingsRequest(BaseModel):
    """All settings: what is left out is unset."""

    model_config = ConfigDict(extra="forbid")
    default_models: ByModality = Field(default_factory=dict)
    providers: ByModality = Field(default_factory=dict)
    connections: ByModality = Field(default_factory=dict)
    flags: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[bool, Field(strict=True)]],
        Field(max_length=100),
    ] = Field(default_factory=dict)


@router.get("/v2/settings", **docs.SETTINGS)
@scoped(Scope.MODELS_READ)
async def get_settings(request: Request) -> Response:
    """The caller's own, or with `project_id` those of a project that the caller is in."""
    found = await services_of(request).user_settings.read(caller_of_request(request), _project(request))
    return json_answer(settings_json(found))


@router.put("/v2/settings", **docs.PUT_SETTINGS)
@scoped(Scope.CONNECTIONS)
async def put_settings(request: Request) -> Response:
    """Replaces all of them."""
    asked = parse(SettingsRequest, await read_json(request))
    wanted = ProviderSettings(
        default_models=asked.default_models,
        providers=asked.providers,
        connections=asked.connections,
        flags=asked.flags,
    )
    stored = await services_of(request).user_settings.write(
        caller_of_request(request), _project(request), wanted, act_of(request)
    )
    return json_answer(settings_json(stored))


def settings_json(settings: ProviderSettings) -> dict[str, Any]:
    return {
        "default_models": settings.default_models,
        "providers": settings.providers,
        "connections": settings.connections,
        "flags": settings.flags,
    }


def _project(request: Request) -> str | None:
    return parameter(request, "project_id")
