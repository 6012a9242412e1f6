"""Keys are shown once, kept as hashes, and seen by their owners and administrators only."""

from datetime import timedelta

import pytest

from headgate.codec import codec_of
from headgate.domain.callers import ApiKey, KeyLimits, Scope
from headgate.domain.errors import InvalidRequest, NotFound
from headgate.domain.secret import Secret
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
    for asked in (None, "ann", "bob"):
        keys, _ = await office.keys.list(ANN, user_id=asked, limit=10, cursor=None)
        assert keys == [mine]
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
    await office.keys.revoke(ROOT, key.id)
    first = (await office.keys.find(ROOT, key.id)).revoked_at
    assert first == office.clock.now()
    office.clock.advance(5)
    await office.keys.revoke(ROOT, key.id)
    assert (await office.keys.find(ROOT, key.id)).revoked_at == first
    (entry,) = office.log.named("key.revoked")
    assert entry.fields == {"key_id": key.id, "by": "key_root"}


async def test_nobody_revokes_anothers_key() -> None:
    office = Office()
    key = await office.mint("ann")
    with pytest.raises(NotFound):
        await office.keys.revoke(BOB, key.id)
    assert (await office.keys.find(ANN, key.id)).revoked_at is None
