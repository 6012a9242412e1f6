"""Settings name what is there and what their writer may name; a project's are its owners' to change."""

from dataclasses import replace
from typing import Any

import pytest

from headgate.domain.accounts import ProviderSettings
from headgate.domain.audit import audit_event
from headgate.domain.callers import Caller, Scope
from headgate.domain.connections import Connection
from headgate.domain.errors import AccessDenied, InvalidRequest, NotFound
from headgate.services.acts import Act
from tests.support.bench import Bench, ann

ROOT = ann(user_id="root", key_id="key_root", scopes=frozenset({Scope.ADMIN}))
OWNER, SETTER, MEMBER, STRANGER = (ann(user_id=name) for name in ("owner", "setter", "member", "stranger"))


class Desk(Bench):
    """A project `film`, and each user's connection: `con_owner`, `con_setter`, `con_member`."""

    def __init__(self) -> None:
        super().__init__("alpha")
        services = self.process("accounts")
        self.settings, self.projects = services.user_settings, services.projects

    def act(self) -> Act:
        self.clock.advance(1)
        return Act(actor="key_root", at=self.clock.now())

    async def connect(self, user_id: str) -> Connection:
        now = self.clock.now()
        row = Connection(
            id=f"con_{user_id}", user_id=user_id, name="x", type="alpha", created_at=now, updated_at=now
        )
        told = audit_event(at=now, actor="x", action="connection.create", target=row.id)
        await self.connections.create(row, told)
        return row

    async def write(self, caller: Caller, project_id: str | None = None, **members: Any) -> ProviderSettings:
        return await self.settings.write(caller, project_id, ProviderSettings(**members), self.act())

    async def refused(self, caller: Caller, project_id: str | None = None, **members: Any) -> list[str]:
        """The fields that are named."""
        with pytest.raises(InvalidRequest) as refused:
            await self.write(caller, project_id, **members)
        return [error.field for error in refused.value.errors]


async def desk() -> Desk:
    made = Desk()
    await made.projects.put(
        "film", made.act(), owner_user_id="owner", settings_user_id="setter", members=("member",)
    )
    for user_id in ("owner", "setter", "member"):
        await made.connect(user_id)
    return made


async def test_settings_are_empty_until_written_and_each_users_own() -> None:
    made = await desk()
    assert await made.settings.read(OWNER, None) == ProviderSettings()
    wanted: dict[str, Any] = {
        "default_models": {"text": "alpha/m", "image": "preset/pretty"},
        "providers": {"text": "openai"},
        "connections": {"text": "con_owner"},
        "flags": {"beta": True},
    }
    stored = await made.write(OWNER, **wanted)
    assert stored == ProviderSettings(**wanted, connection_owners={"con_owner": "owner"})
    assert await made.settings.read(OWNER, None) == stored
    assert await made.settings.read(MEMBER, None) == ProviderSettings()
    assert await made.settings.read(OWNER, "film") == ProviderSettings()
    await made.write(OWNER)
    assert await made.settings.read(OWNER, None) == ProviderSettings()


async def test_a_provider_is_kept_under_its_own_name() -> None:
    made = await desk()
    stored = await made.write(OWNER, providers={"text": "google", "image": "OpenAI", "tts": "ollama"})
    assert stored.providers == {"text": "gemini", "image": "openai", "tts": "custom"}


async def test_what_can_not_be_is_named_all_of_it_and_nothing_is_kept() -> None:
    made = await desk()
    before = await made.accounts.read_audit(after=None, limit=100)
    fields = await made.refused(
        OWNER,
        default_models={"smell": "alpha/m"},
        providers={"text": "nobody", "touch": "openai"},
        connections={"text": "con_none", "image": "con_owner"},
    )
    assert sorted(fields) == ["connections.text", "default_models.smell", "providers.text", "providers.touch"]
    assert await made.settings.read(OWNER, None) == ProviderSettings()
    assert await made.accounts.read_audit(after=None, limit=100) == before


async def test_anothers_connection_is_as_one_that_is_not_there() -> None:
    made = await desk()
    assert await made.refused(OWNER, connections={"text": "con_member"}) == ["connections.text"]
    assert await made.refused(ROOT, connections={"text": "con_member"}) == ["connections.text"]


async def test_a_deleted_connection_can_not_be_named_anew() -> None:
    made = await desk()
    row = await made.connect("stranger")
    gone = replace(row, is_active=False, revision=2, deactivated_at=made.clock.now())
    told = audit_event(at=made.clock.now(), actor="x", action="connection.delete", target=row.id)
    await made.connections.replace(gone, told)
    assert await made.refused(STRANGER, connections={"text": "con_stranger"}) == ["connections.text"]


@pytest.mark.parametrize("caller", [OWNER, SETTER, ROOT])
async def test_a_projects_settings_are_changed_by_those_in_charge(caller: Caller) -> None:
    made = await desk()
    await made.write(caller, "film", default_models={"text": "alpha/m"})
    for reader in (OWNER, SETTER, MEMBER, ROOT):
        assert (await made.settings.read(reader, "film")).default_models == {"text": "alpha/m"}


async def test_members_read_a_projects_settings_and_strangers_can_not_tell_that_it_is_there() -> None:
    made = await desk()
    with pytest.raises(AccessDenied):
        await made.write(MEMBER, "film")
    refusals = set()
    for project_id in ("film", "none"):
        for work in (made.settings.read(STRANGER, project_id), made.write(STRANGER, project_id)):
            with pytest.raises(NotFound) as refused:
                await work
            refusals.add(refused.value.detail.replace(project_id, "…"))
    assert len(refusals) == 1


async def test_a_projects_settings_keep_a_connection_that_another_put_there() -> None:
    made = await desk()
    await made.write(SETTER, "film", connections={"text": "con_setter"})
    stored = await made.write(OWNER, "film", connections={"text": "con_setter", "image": "con_owner"})
    assert stored.connection_owners == {"con_setter": "setter", "con_owner": "owner"}
    stored = await made.write(OWNER, "film", connections={"image": "con_owner"})
    assert stored.connection_owners == {"con_owner": "owner"}
    assert await made.refused(OWNER, "film", connections={"text": "con_setter"}) == ["connections.text"]


async def test_who_changed_them_is_told() -> None:
    made = await desk()
    await made.write(OWNER)
    await made.write(OWNER, "film")
    events = await made.accounts.read_audit(after=None, limit=100)
    assert [event.target for event in events if event.action == "settings.put"] == [
        "user:owner",
        "project:film",
    ]
