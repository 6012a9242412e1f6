"""Projects: whose connections and settings serve the requests of several users."""

import re

from headgate.domain.accounts import Project
from headgate.domain.callers import Caller
from headgate.domain.errors import InvalidRequest, NotFound
from headgate.ports import ProjectStore
from headgate.services.acts import Act

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


class ProjectManager:
    """Administrators make projects; whoever is in one sees it, and nobody else can tell that it is there."""

    def __init__(self, projects: ProjectStore) -> None:
        self._projects = projects

    async def find(self, caller: Caller, project_id: str) -> Project:
        """Raises NotFound for one that the caller is not in, unless they are an administrator."""
        project = await self._projects.get_project(project_id)
        if project is None or not (caller.is_admin or project.has(caller.user_id)):
            raise NotFound(f"There is no project {project_id[:100]}.")
        return project

    async def put(
        self,
        project_id: str,
        act: Act,
        *,
        owner_user_id: str,
        settings_user_id: str | None,
        members: tuple[str, ...],
    ) -> tuple[Project, bool]:
        """The project as it now is, and whether it is new. Raises InvalidRequest for an unfit id."""
        if not _ID.fullmatch(project_id):
            raise InvalidRequest.of_field("id", "must be 1 to 100 letters, digits, or any of _.:- in it.")
        before = await self._projects.get_project(project_id)
        project = Project(
            id=project_id,
            owner_user_id=owner_user_id,
            settings_user_id=settings_user_id,
            members=tuple(dict.fromkeys(members)),
            created_at=act.at if before is None else before.created_at,
            updated_at=act.at,
        )
        told = act.event("project.put", project_id, owner_user_id=owner_user_id, members=str(len(members)))
        await self._projects.put_project(project, told)
        return project, before is None

    async def delete(self, project_id: str, act: Act) -> None:
        """Raises NotFound when there is none."""
        if not await self._projects.delete_project(project_id, act.event("project.delete", project_id)):
            raise NotFound(f"There is no project {project_id[:100]}.")
