"""Projects, settings, overrides and flags in DynamoDB: one item each, written with its audit event."""

from collections.abc import Mapping

from headgate.aws.account_table import AccountTable
from headgate.aws.codec import body_of, from_body
from headgate.aws.dynamodb import Value, When
from headgate.aws.faults import reading
from headgate.domain.accounts import Flag, ModelOverride, Project, ProviderSettings
from headgate.domain.audit import AuditEvent
from headgate.domain.errors import Conflict

_PROJECT, _SETTINGS, _OVERRIDES, _FLAGS = "PRJ", "SET", "OVERRIDES", "FLAGS"
_THERE = When("attribute_exists(#pk)")


class DynamoProjects(AccountTable):
    async def get_project(self, project_id: str) -> Project | None:
        item = await self._table.get(f"{_PROJECT}#{project_id}", _PROJECT)
        with reading("A project"):
            return None if item is None else from_body(Project, item)

    async def put_project(self, project: Project, audit: AuditEvent) -> None:
        item = {"pk": f"{_PROJECT}#{project.id}", "sk": _PROJECT, "body": body_of(project)}
        await self._change("a project", audit, self._table.putting(item))

    async def delete_project(self, project_id: str, audit: AuditEvent) -> bool:
        action = self._table.deleting(f"{_PROJECT}#{project_id}", _PROJECT, when=_THERE)
        settings = self._table.putting(_settings_item(f"project:{project_id}", ProviderSettings()))
        return await self._change("what is left of a project", audit, action, settings)


class DynamoSettings(AccountTable):
    async def get_settings(self, owner: str) -> ProviderSettings | None:
        item = await self._table.get(f"{_SETTINGS}#{owner}", _SETTINGS)
        with reading("The settings"):
            return None if item is None else from_body(ProviderSettings, item)

    async def put_settings(self, owner: str, settings: ProviderSettings, audit: AuditEvent) -> None:
        await self._change("settings", audit, self._table.putting(_settings_item(owner, settings)))


class DynamoOverrides(AccountTable):
    async def read_overrides(self) -> Mapping[str, ModelOverride]:
        with reading("The overrides"):
            query = self._table.query(_all_of(_OVERRIDES), ConsistentRead=True)
            return {str(item["sk"]): from_body(ModelOverride, item) async for item in query}

    async def put_override(
        self, override: ModelOverride, audit: AuditEvent, *, was: ModelOverride | None
    ) -> None:
        item = {"pk": _OVERRIDES, "sk": override.model_id, "body": body_of(override)}
        action = self._table.putting(item, when=await self._still(override.model_id, was))
        if not await self._change("an override", audit, action):
            raise Conflict("This override was changed at the same time. Read it again.")

    async def delete_override(self, model_id: str, audit: AuditEvent) -> bool:
        action = self._table.deleting(_OVERRIDES, model_id, when=_THERE)
        return await self._change("what is left of an override", audit, action)

    async def _still(self, model_id: str, was: ModelOverride | None) -> When:
        """That this is what is stored, in the very words: another version of the code may choose others."""
        if was is None:
            return When("attribute_not_exists(#pk)")
        item = await self._table.get(_OVERRIDES, model_id)
        with reading("The overrides"):
            is_that = item is not None and from_body(ModelOverride, item) == was
        return When("#body = :was", {"was": item["body"] if item and is_that else body_of(was)})


class DynamoFlags(AccountTable):
    async def read_flags(self) -> Mapping[str, Flag]:
        with reading("The flags"):
            query = self._table.query(_all_of(_FLAGS), ConsistentRead=True)
            return {str(item["sk"]): from_body(Flag, item) async for item in query}

    async def put_flag(self, flag: Flag, audit: AuditEvent) -> None:
        item = {"pk": _FLAGS, "sk": flag.name, "body": body_of(flag)}
        await self._change("a flag", audit, self._table.putting(item))


def _settings_item(owner: str, settings: ProviderSettings) -> dict[str, Value]:
    return {"pk": f"{_SETTINGS}#{owner}", "sk": _SETTINGS, "body": body_of(settings)}


def _all_of(kind: str) -> When:
    return When("#pk = :pk", {"pk": kind})
