"""What a user, or a project, wants used where a request names nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from headgate.domain.accounts import Project, ProviderSettings
from headgate.domain.callers import Caller
from headgate.domain.catalog import Modality
from headgate.domain.errors import AccessDenied, FieldError, InvalidRequest
from headgate.ports import AccountStore, ConnectionStore
from headgate.services.acts import Act
from headgate.services.manage_projects import ProjectManager

MODALITIES = frozenset(modality.value for modality in Modality)


class SettingsManager:
    """Users' settings are their own. A project's are read by whoever is in it, and written by its owner, its
    settings user and administrators.

    canonical: a provider's slug of any of its names, None for a name that is none.
    """

    def __init__(
        self,
        accounts: AccountStore,
        connections: ConnectionStore,
        canonical: Callable[[str], str | None],
    ) -> None:
        self._accounts = accounts
        self._connections = connections
        self._canonical = canonical
        self._projects = ProjectManager(accounts)

    async def read(self, caller: Caller, project_id: str | None) -> ProviderSettings:
        """Empty where nothing was set. Raises NotFound for a project that the caller is not in."""
        if project_id is not None:
            await self._projects.find(caller, project_id)
        return await self._stored(_owner(caller, project_id))

    async def write(
        self, caller: Caller, project_id: str | None, wanted: ProviderSettings, act: Act
    ) -> ProviderSettings:
        """Replaces all of them; gives what is stored.

        Raises NotFound for a project that the caller is not in, AccessDenied for one they are only a member
        of, InvalidRequest naming each setting that can't be.
        """
        if project_id is not None:
            _may_write(caller, await self._projects.find(caller, project_id))
        owner = _owner(caller, project_id)
        wanted, wrong = self._checked(wanted)
        owners, unknown = await self._owners(caller, wanted.connections, await self._stored(owner))
        if wrong or unknown:
            fields = [*wrong, *unknown]
            detail = "; ".join(f"{field.field}: {field.message}" for field in fields[:5])
            raise InvalidRequest(detail, errors=fields)
        settings = replace(wanted, connection_owners=owners)
        await self._accounts.put_settings(owner, settings, act.event("settings.put", owner))
        return settings

    async def _stored(self, owner: str) -> ProviderSettings:
        return await self._accounts.get_settings(owner) or ProviderSettings()

    def _checked(self, wanted: ProviderSettings) -> tuple[ProviderSettings, list[FieldError]]:
        """With providers by their slugs; and what is wrong with it."""
        wrong = [
            FieldError(f"{name}.{key[:40]}", "There is no such modality.")
            for name in ("default_models", "providers", "connections")
            for key in getattr(wanted, name)
            if key not in MODALITIES
        ]
        slugs: dict[str, str] = {}
        for modality, name in wanted.providers.items():
            slug = self._canonical(name)
            if slug is None:
                wrong.append(FieldError(f"providers.{modality[:40]}", "There is no such provider."))
            else:
                slugs[modality] = slug
        return replace(wanted, providers=slugs), wrong

    async def _owners(
        self, caller: Caller, connections: Mapping[str, str], before: ProviderSettings
    ) -> tuple[dict[str, str], list[FieldError]]:
        """Whose each connection is: the caller's own and active, or named by these settings already."""
        asked = set(connections.values())
        owners = {one: user for one, user in before.connection_owners.items() if one in asked}
        if asked - owners.keys():
            mine = await self._connections.load(caller.user_id)
            owners |= {row.id: row.user_id for row in mine.active if row.id in asked - owners.keys()}
        unknown = [
            FieldError(f"connections.{modality[:40]}", "You have no such connection.")
            for modality, one in connections.items()
            if one not in owners
        ]
        return owners, unknown


def _owner(caller: Caller, project_id: str | None) -> str:
    return f"user:{caller.user_id}" if project_id is None else f"project:{project_id}"


def _may_write(caller: Caller, project: Project) -> None:
    if not (caller.is_admin or caller.user_id in (project.owner_user_id, project.settings_user_id)):
        raise AccessDenied("Only the project's owner, its settings user and administrators change these.")
