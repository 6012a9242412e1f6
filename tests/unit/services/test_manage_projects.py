"""A project is there for whoever is in it; to others it can't be told from one that is not."""

import pytest

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Caller, Scope
from headgate.domain.errors import GatewayFault, InvalidRequest, NotFound
from headgate.services.acts import Act
from headgate.services.manage_projects import ProjectManager
from tests.support.bench import Bench, ann

ROOT = ann(user_id="root", key_id="key_root", scopes=frozenset({Scope.ADMIN}))
OWNER, SETTER, MEMBER, STRANGER = (ann(user_id=name) for name in ("owner", "setter", "member", "stranger"))


class Hall(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.projects = ProjectManager(self.accounts)

    def act(self) -> Act:
        self.clock.advance(1)
        return Act(actor="key_root", at=self.clock.now())

    async def put(self, project_id: str = "film", *, members: tuple[str, ...] = ("member",)) -> bool:
        _, is_new = await self.projects.put(
            project_id, self.act(), owner_user_id="owner", settings_user_id="setter", members=members
        )
        return is_new

    async def told(self) -> list[AuditEvent]:
        return await self.accounts.read_audit(after=None, limit=100)


@pytest.mark.parametrize("caller", [OWNER, SETTER, MEMBER, ROOT])
async def test_whoever_is_in_it_sees_it(caller: Caller) -> None:
    hall = Hall()
    await hall.put()
    found = await hall.projects.find(caller, "film")
    assert (found.owner_user_id, found.settings_user_id, found.members) == ("owner", "setter", ("member",))


async def test_to_others_it_is_as_if_it_were_not() -> None:
    hall = Hall()
    await hall.put()
    refusals = []
    for project_id in ("film", "none"):
        with pytest.raises(NotFound) as refused:
            await hall.projects.find(STRANGER, project_id)
        refusals.append(refused.value.detail.replace(project_id, "…"))
    assert len(set(refusals)) == 1


async def test_put_says_whether_it_is_new_and_keeps_when_it_was_made() -> None:
    hall = Hall()
    assert await hall.put()
    made = await hall.projects.find(ROOT, "film")
    assert not await hall.put(members=("a", "b", "a"))
    now = await hall.projects.find(ROOT, "film")
    assert now.members == ("a", "b")
    assert now.created_at == made.created_at < now.updated_at
    with pytest.raises(NotFound):
        await hall.projects.find(MEMBER, "film")


async def test_a_deleted_project_is_gone_and_deleting_it_again_says_so() -> None:
    hall = Hall()
    await hall.put()
    await hall.projects.delete("film", hall.act())
    for work in (hall.projects.find(ROOT, "film"), hall.projects.delete("film", hall.act())):
        with pytest.raises(NotFound):
            await work
    assert [event.action for event in await hall.told()] == ["project.put", "project.delete"]


@pytest.mark.parametrize("project_id", ["A", "a" * 100, "Film_1.x:y-z"])
async def test_an_id_is_a_hundred_plain_characters(project_id: str) -> None:
    assert await Hall().put(project_id)


@pytest.mark.parametrize("project_id", ["", "a" * 101, "a b", "a/b", "ä", "a\n", "a#b"])
async def test_any_other_id_is_refused(project_id: str) -> None:
    hall = Hall()
    with pytest.raises(InvalidRequest) as refused:
        await hall.put(project_id)
    assert [error.field for error in refused.value.errors] == ["id"]
    assert await hall.told() == []


async def test_a_fault_between_reading_and_writing_changes_nothing() -> None:
    hall = Hall()
    await hall.put()
    before = await hall.projects.find(ROOT, "film")
    for calls in range(2):
        hall.accounts.fault, hall.accounts.faults_after = GatewayFault.unavailable("The table"), calls
        with pytest.raises(GatewayFault):
            await hall.put(members=())
        hall.accounts.fault = None
        assert await hall.projects.find(ROOT, "film") == before
    assert len(await hall.told()) == 1
