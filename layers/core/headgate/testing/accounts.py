"""The accounts table in memory."""

from collections.abc import Mapping

from headgate.domain.accounts import Flag, ModelOverride, Project, ProviderSettings
from headgate.domain.audit import AuditEvent
from headgate.domain.errors import Conflict
from headgate.ports import Begun, Clock
from headgate.testing.account_keys import MemoryKeys
from headgate.testing.once import OnceItems


class MemoryAccountStore(MemoryKeys):
    """Keys, projects, settings, overrides, flags, idempotency keys; and the log of who changed them."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._projects: dict[str, Project] = {}
        self._settings: dict[str, ProviderSettings] = {}
        self._overrides: dict[str, ModelOverride] = {}
        self._flags: dict[str, Flag] = {}
        self._once = OnceItems(self._clock)

    async def get_project(self, project_id: str) -> Project | None:
        self.check_fault()
        return self._projects.get(project_id)

    async def put_project(self, project: Project, audit: AuditEvent) -> None:
        self.check_fault()
        if self.note(audit):
            self._projects[project.id] = project

    async def delete_project(self, project_id: str, audit: AuditEvent) -> bool:
        self.check_fault()
        is_new = audit.id not in self._events
        found = self._deleted(self._projects, project_id, audit)
        if found and is_new:
            self._settings[f"project:{project_id}"] = ProviderSettings()
        return found

    async def get_settings(self, owner: str) -> ProviderSettings | None:
        self.check_fault()
        return self._settings.get(owner)

    async def put_settings(self, owner: str, settings: ProviderSettings, audit: AuditEvent) -> None:
        self.check_fault()
        if self.note(audit):
            self._settings[owner] = settings

    async def read_overrides(self) -> Mapping[str, ModelOverride]:
        self.check_fault()
        return dict(self._overrides)

    async def put_override(
        self, override: ModelOverride, audit: AuditEvent, *, was: ModelOverride | None
    ) -> None:
        self.check_fault()
        if audit.id not in self._events and self._overrides.get(override.model_id) != was:
            raise Conflict("This override was changed at the same time. Read it again.")
        if self.note(audit):
            self._overrides[override.model_id] = override

    async def delete_override(self, model_id: str, audit: AuditEvent) -> bool:
        self.check_fault()
        return self._deleted(self._overrides, model_id, audit)

    async def read_flags(self) -> Mapping[str, Flag]:
        self.check_fault()
        return dict(self._flags)

    async def put_flag(self, flag: Flag, audit: AuditEvent) -> None:
        self.check_fault()
        if self.note(audit):
            self._flags[flag.name] = flag

    async def begin_once(self, name: str, begun: Begun) -> Begun:
        self.check_fault()
        return self._once.begin(name, begun)

    async def finish_once(self, name: str, begun: Begun) -> None:
        self.check_fault()
        self._once.finish(name, begun)

    def _deleted[T](self, things: dict[str, T], name: str, audit: AuditEvent) -> bool:
        if audit.id not in self._events and name not in things:
            return False
        if self.note(audit):
            del things[name]
        return True
