"""Accounts: projects."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.domain.accounts import Project
from headgate.domain.callers import Scope
from headgate.domain.catalog import rfc3339
from headgate.http import account_docs as docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.acting import act_of
from headgate.http.answering import json_answer
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.texts import UserId

router = APIRouter(tags=["accounts"])


class ProjectRequest(BaseModel):
    """Who is in a project."""

    model_config = ConfigDict(extra="forbid")
    owner_user_id: UserId
    settings_user_id: UserId | None = None
    members: Annotated[list[UserId], Field(max_length=1000)] = Field(default_factory=list)


@router.put("/v2/projects/{project_id}", **docs.PUT_PROJECT)
@scoped(Scope.ADMIN)
async def put_project(request: Request, project_id: str) -> Response:
    """Creates the project (201) or replaces it (200)."""
    asked = parse(ProjectRequest, await read_json(request))
    project, is_new = await services_of(request).projects.put(
        project_id,
        act_of(request),
        owner_user_id=asked.owner_user_id,
        settings_user_id=asked.settings_user_id,
        members=tuple(asked.members),
    )
    return json_answer(project_json(project), 201 if is_new else 200)


@router.get("/v2/projects/{project_id}", **docs.PROJECT)
@scoped(Scope.MODELS_READ)
async def get_project(request: Request, project_id: str) -> Response:
    """For whoever is in it, and administrators."""
    project = await services_of(request).projects.find(caller_of_request(request), project_id)
    return json_answer(project_json(project))


@router.delete("/v2/projects/{project_id}", **docs.GONE)
@scoped(Scope.ADMIN)
async def delete_project(request: Request, project_id: str) -> Response:
    """What it served is then served as for its callers alone."""
    await services_of(request).projects.delete(project_id, act_of(request))
    return Response(status_code=204)


def project_json(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "owner_user_id": project.owner_user_id,
        "settings_user_id": project.settings_user_id,
        "members": project.members,
        "created_at": rfc3339(project.created_at),
        "updated_at": rfc3339(project.updated_at),
    }
