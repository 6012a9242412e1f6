"""Keys are shown once, kept as hashes, and seen by their owners and administrators only."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.codec import codec_of
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import ApiKey, KeyLimits, Scope
from headgate.domain.errors import AccessDenied, Conflict, GatewayFault, InvalidRequest, NotFound
from headgate.domain.secret import Secret
from headgate.services.acts import Act, act_by
from headgate.services.authenticate import Authenticator
from headgate.services.manage_keys import KeyManager
from tests.support.bench import Bench, ann

ROOT = ann(user_id="root", key_id="key_root", scopes=frozenset({Scope.ADMIN}))
ANN, BOB = ann(), ann(user_id="bob")
ONE = [Scope.GENERATE]


class Office(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.keys = KeyManager(self.accounts, self.clock, self.log)

    async def mint(self, user_id: str = "ann", name: str = "x") -> ApiKey:
        self.clock.advance(1)
        return (await self.keys.mint(user_id=user_id, name=name, scopes=ONE))[0]

    def act(self) -> Act:
        """Root's, each with a seed of its own."""
        self.clock.advance(0.001)
        return act_by(ROOT, at=self.clock.now(), request_id="req_1")

    async def works(self, text: Secret) -> bool:
        """Whether a process that has just started takes the key."""
        try:
            await Authenticator(self.accounts, self.clock, cache_s=60).caller(text.reveal())
        except AccessDenied:
            return False
        return True

    async def told(self) -> list[AuditEvent]:
        return await self.accounts.read_audit(after=None, limit=100)


async def test_the_text_of_a_key_is_neither_stored_nor_logged() -> None:
    office = Office()
    key, text = await office.keys.mint(user_id="ann", name="CI", scopes=ONE)
    stored = await office.accounts.get_key(key.hash)
    assert stored is not None
    plain = text.reveal()
    assert plain.encode() not in codec_of(ApiKey).dump(stored)
    assert plain not in str([entry.fields for entry in office.log.entries])
    assert stored.hint == plain[-4:]


async def test_a_key_keeps_what_it_was_made_with() -> None:
    office = Office()
    ends = office.clock.now() + timedelta(days=1)
    key, _ = await office.keys.mint(
        user_id="ann",
        name="CI",
        scopes=[Scope.GENERATE, Scope.MODELS_READ],
        project_id="prj_1",
        expires_at=ends,
        allowed_models=("openai/gpt-5",),
        limits=KeyLimits(requests_per_minute=10),
    )
    found = await office.keys.find(ANN, key.id)
    assert found == key
    assert (found.project_id, found.expires_at, found.allowed_models) == ("prj_1", ends, ("openai/gpt-5",))
    assert found.limits.requests_per_minute == 10
    assert found.scopes == {Scope.GENERATE, Scope.MODELS_READ}


async def test_an_end_in_the_past_is_refused_and_nothing_is_made() -> None:
    office = Office()
    with pytest.raises(InvalidRequest) as refused:
        await office.keys.mint(user_id="ann", name="x", scopes=ONE, expires_at=office.clock.now())
    assert refused.value.errors[0].field == "expires_at"
    assert (await office.keys.list(ROOT, user_id=None, limit=10, cursor=None))[0] == []


async def test_the_first_administrators_key_has_every_scope() -> None:
    office = Office()
    key, text = await office.keys.mint_admin(user_id="root", name="first", text=Secret("chosen-by-a-person"))
    assert key.scopes == set(Scope)
    assert text.reveal() == "chosen-by-a-person"


async def test_a_caller_sees_only_their_own_keys_whatever_they_ask_for() -> None:
    office = Office()
    mine, his = await office.mint("ann"), await office.mint("bob")
    for asked in (None, "ann"):
        keys, _ = await office.keys.list(ANN, user_id=asked, limit=10, cursor=None)
        assert keys == [mine]
    for other in ("bob", "nobody", ""):
        with pytest.raises(AccessDenied) as refused:
            await office.keys.list(ANN, user_id=other, limit=10, cursor=None)
        assert [error.field for error in refused.value.errors] == ["user_id"]
    with pytest.raises(NotFound) as hidden:
        await office.keys.find(ANN, his.id)
    with pytest.raises(NotFound) as missing:
        await office.keys.find(ANN, "key_nobodys")
    assert hidden.value.code == missing.value.code == "not_found"


async def test_an_administrator_sees_all_or_one_users() -> None:
    office = Office()
    made = [await office.mint("ann"), await office.mint("bob"), await office.mint("ann")]
    every, _ = await office.keys.list(ROOT, user_id=None, limit=10, cursor=None)
    assert every == made[::-1]
    anns, _ = await office.keys.list(ROOT, user_id="ann", limit=10, cursor=None)
    assert anns == [made[2], made[0]]
    assert await office.keys.find(ROOT, made[1].id) == made[1]


async def test_pages_show_every_key_once_newest_first() -> None:
    office = Office()
    made = [await office.mint() for _ in range(7)]
    seen: list[ApiKey] = []
    cursor = None
    while True:
        page, cursor = await office.keys.list(ANN, user_id=None, limit=3, cursor=cursor)
        seen += page
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_revoking_marks_the_key_and_says_who_did_it() -> None:
    office = Office()
    key = await office.mint()
    await office.keys.revoke(ROOT, key.id, office.act())
    first = (await office.keys.find(ROOT, key.id)).revoked_at
    assert first == office.clock.now()
    office.clock.advance(5)
    await office.keys.revoke(ROOT, key.id, office.act())
    assert (await office.keys.find(ROOT, key.id)).revoked_at == first
    (entry,) = office.log.named("key.revoked")
    assert entry.fields == {"key_id": key.id, "by": "key_root"}


async def test_nobody_revokes_anothers_key() -> None:
    office = Office()
    key = await office.mint("ann")
    with pytest.raises(NotFound):
        await office.keys.revoke(BOB, key.id, office.act())
    assert (await office.keys.find(ANN, key.id)).revoked_at is None


# -- rotation ----------------------------------------------------------------------------------------------


async def test_a_rotated_key_keeps_everything_but_its_text() -> None:
    office = Office()
    key, old = await office.keys.mint(
        user_id="ann", name="CI", scopes=ONE, project_id="p", limits=KeyLimits(spend_per_day_nanousd=5)
    )
    rotated, text = await office.keys.rotate(ROOT, key.id, office.act())
    assert text != old
    assert await office.keys.find(ROOT, key.id) == rotated
    texts = {"hash": key.hash, "hint": key.hint, "previous_hash": None, "previous_ends_at": None}
    assert replace(rotated, **texts) == key  # type: ignore[arg-type]
    assert rotated.hint == text.reveal()[-4:]
    assert [one.id for one in (await office.keys.list(ROOT, user_id=None, limit=9, cursor=None))[0]] == [
        key.id
    ]


async def test_both_texts_work_until_the_grace_ends() -> None:
    office = Office()
    key, old = await office.keys.mint(user_id="ann", name="CI", scopes=ONE)
    _, new = await office.keys.rotate(ROOT, key.id, office.act(), grace_s=90)
    for works in (True, False):
        assert await office.works(new)
        assert await office.works(old) is works
        office.clock.advance(90)


async def test_without_a_grace_the_old_text_is_dead() -> None:
    office = Office()
    key, old = await office.keys.mint(user_id="ann", name="CI", scopes=ONE)
    rotated, new = await office.keys.rotate(ROOT, key.id, office.act(), grace_s=0)
    assert rotated.previous is None
    assert (await office.works(old), await office.works(new)) == (False, True)


async def test_a_second_rotation_ends_the_first_text() -> None:
    office = Office()
    key, first = await office.keys.mint(user_id="ann", name="CI", scopes=ONE)
    _, second = await office.keys.rotate(ROOT, key.id, office.act())
    _, third = await office.keys.rotate(ROOT, key.id, office.act())
    assert [await office.works(text) for text in (first, second, third)] == [False, True, True]


async def test_revoking_kills_a_text_in_its_grace_too() -> None:
    office = Office()
    key, old = await office.keys.mint(user_id="ann", name="CI", scopes=ONE)
    _, new = await office.keys.rotate(ROOT, key.id, office.act())
    await office.keys.revoke(ROOT, key.id, office.act())
    assert [await office.works(text) for text in (old, new)] == [False, False]


@pytest.mark.parametrize("ended", ["revoked", "expired"])
async def test_a_dead_key_is_not_rotated_back_to_life(ended: str) -> None:
    office = Office()
    ends = office.clock.now() + timedelta(seconds=5)
    key, _ = await office.keys.mint(
        user_id="ann", name="CI", scopes=ONE, expires_at=ends if ended == "expired" else None
    )
    if ended == "revoked":
        await office.keys.revoke(ROOT, key.id, office.act())
    office.clock.advance(5)
    before = await office.keys.find(ROOT, key.id)
    with pytest.raises(Conflict):
        await office.keys.rotate(ROOT, key.id, office.act())
    assert await office.keys.find(ROOT, key.id) == before


async def test_whatever_is_done_at_once_a_revoked_key_stays_dead() -> None:
    for _ in range(20):
        office = Office()
        key, old = await office.keys.mint(user_id="ann", name="CI", scopes=ONE)
        done = await asyncio.gather(
            *(office.keys.rotate(ROOT, key.id, office.act()) for _ in range(3)),
            office.keys.revoke(ROOT, key.id, office.act()),
            return_exceptions=True,
        )
        texts = [old, *(one[1] for one in done if isinstance(one, tuple))]
        assert not any([await office.works(text) for text in texts])


async def test_an_act_that_is_repeated_gives_the_same_key_once_more() -> None:
    office = Office()
    act = office.act()
    first = await office.keys.mint(user_id="ann", name="CI", scopes=ONE, act=act)
    assert await office.keys.mint(user_id="ann", name="CI", scopes=ONE, act=act) == first
    turn = office.act()
    rotated = await office.keys.rotate(ROOT, first[0].id, turn)
    office.clock.advance(7)
    assert await office.keys.rotate(ROOT, first[0].id, turn) == rotated
    assert await office.works(rotated[1])
    assert await office.works(first[1])
    assert len(await office.told()) == 2


async def test_a_repeated_mint_does_not_undo_what_came_of_the_key() -> None:
    office = Office()
    act = office.act()
    key, text = await office.keys.mint(user_id="ann", name="CI", scopes=ONE, act=act)
    await office.keys.revoke(ROOT, key.id, office.act())
    await office.keys.mint(user_id="ann", name="CI", scopes=ONE, act=act)
    assert not await office.works(text)


async def test_every_change_is_told_and_no_text_with_it() -> None:
    office = Office()
    key, text = await office.keys.mint(user_id="ann", name="CI", scopes=ONE, act=office.act())
    _, new = await office.keys.rotate(ROOT, key.id, office.act())
    await office.keys.revoke(ROOT, key.id, office.act())
    await office.keys.revoke(ROOT, key.id, office.act())
    events = await office.told()
    assert [event.action for event in events] == ["key.mint", "key.rotate", "key.revoke"]
    assert {(event.actor, event.target, event.user_id) for event in events} == {("key_root", key.id, "root")}
    for secret in (text, new):
        assert secret.reveal() not in str(events) + str([entry.fields for entry in office.log.entries])


async def test_a_fault_leaves_neither_change_nor_event() -> None:
    office = Office()
    key = await office.mint()
    before = await office.told()
    for turn in range(2):
        office.accounts.fault, office.accounts.faults_after = GatewayFault.unavailable("The table"), turn
        with pytest.raises(GatewayFault):
            await office.keys.rotate(ROOT, key.id, office.act())
        office.accounts.fault = None
        assert await office.keys.find(ROOT, key.id) == key
        assert await office.told() == before
