"""What services may rely on of any store of API keys."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.domain.callers import ApiKey, KeyLimits, Scope
from headgate.domain.errors import Conflict, InvalidRequest
from headgate.ports import AccountStore
from tests.contract.values import NOON, api_key, audit


async def walk(accounts: AccountStore, user_id: str | None, limit: int) -> list[list[str]]:
    """The ids of each page."""
    pages, cursor = [], None
    while True:
        keys, cursor = await accounts.list_keys(user_id=user_id, limit=limit, cursor=cursor)
        pages.append([key.id for key in keys])
        if cursor is None:
            return pages


async def test_an_unknown_key_is_none(accounts: AccountStore) -> None:
    assert await accounts.get_key("0" * 64) is None
    assert await accounts.get_key_by_id("key_none") is None
    assert await accounts.list_keys(user_id=None, limit=5, cursor=None) == ([], None)


async def test_a_key_is_found_by_hash_and_by_id_as_it_was(accounts: AccountStore) -> None:
    key = api_key(
        1,
        name="Ünïcode",
        scopes=frozenset(Scope),
        project_id="prj_1",
        expires_at=NOON + timedelta(days=1, microseconds=5),
        allowed_models=("openai/*", "gemini/x"),
        limits=KeyLimits(requests_per_minute=10, tokens_per_minute=1000),
    )
    await accounts.put_key(key)
    assert await accounts.get_key(key.hash) == key
    assert await accounts.get_key_by_id(key.id) == key


async def test_no_allowed_models_differs_from_all(accounts: AccountStore) -> None:
    await accounts.put_key(api_key(1, allowed_models=()))
    found = await accounts.get_key_by_id("key_0001")
    assert found is not None
    assert found.allowed_models == ()


async def test_a_revoked_or_expired_key_is_given_as_stored(accounts: AccountStore) -> None:
    key = api_key(1, expires_at=NOON - timedelta(days=400))
    await accounts.put_key(key)
    revoked = replace(key, revoked_at=NOON)
    await accounts.put_key(revoked)
    assert await accounts.get_key(key.hash) == revoked
    assert await accounts.get_key_by_id(key.id) == revoked
    assert (await accounts.list_keys(user_id="ada", limit=5, cursor=None))[0] == [revoked]


async def test_a_key_under_another_hash_leaves_the_old_hash_dead(accounts: AccountStore) -> None:
    key = api_key(1)
    await accounts.put_key(key)
    rotated = replace(key, hash="f" * 64)
    await accounts.put_key(rotated)
    assert await accounts.get_key(key.hash) is None
    assert await accounts.get_key(rotated.hash) == rotated
    assert await accounts.get_key_by_id(key.id) == rotated
    assert await walk(accounts, None, 10) == [[key.id]]
    assert await walk(accounts, "ada", 10) == [[key.id]]


async def test_a_hash_belongs_to_the_key_that_was_put_last(accounts: AccountStore) -> None:
    first = api_key(1)
    second = api_key(2, hash=first.hash)
    await accounts.put_key(first)
    await accounts.put_key(second)
    assert await accounts.get_key(first.hash) == second
    assert await accounts.get_key_by_id(first.id) is None
    assert await walk(accounts, None, 10) == [[second.id]]


async def test_a_key_that_changes_hands_changes_lists(accounts: AccountStore) -> None:
    await accounts.put_key(api_key(1))
    await accounts.put_key(api_key(1, user_id="grace"))
    assert await walk(accounts, "ada", 10) == [[]]
    assert await walk(accounts, "grace", 10) == [["key_0001"]]


async def test_puts_of_one_key_at_once_leave_one_of_them(accounts: AccountStore) -> None:
    versions = [api_key(1, hash=f"{index:064x}", name=f"v{index}") for index in range(4)]
    await asyncio.gather(*(accounts.put_key(version) for version in versions))
    live = [key for version in versions if (key := await accounts.get_key(version.hash)) is not None]
    assert len(live) == 1
    assert await accounts.get_key_by_id("key_0001") == live[0]


async def test_lists_are_newest_first_and_each_users_own(accounts: AccountStore) -> None:
    for number in (2, 5, 1, 4, 3):
        await accounts.put_key(api_key(number, user_id="ada" if number % 2 else "grace"))
    assert await walk(accounts, "ada", 10) == [["key_0005", "key_0003", "key_0001"]]
    assert await walk(accounts, "grace", 10) == [["key_0004", "key_0002"]]
    assert await walk(accounts, None, 10) == [["key_0005", "key_0004", "key_0003", "key_0002", "key_0001"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_pages_hold_limit_keys_each_once(accounts: AccountStore, limit: int) -> None:
    for number in range(6):
        await accounts.put_key(api_key(number, created_at=NOON))  # of one time the ids decide
    pages = await walk(accounts, "ada", limit)
    assert [one for page in pages for one in page] == [f"key_{number:04d}" for number in (5, 4, 3, 2, 1, 0)]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-6 // limit)


async def test_a_key_made_meanwhile_disturbs_no_walk(accounts: AccountStore) -> None:
    for number in range(4):
        await accounts.put_key(api_key(number))
    _, cursor = await accounts.list_keys(user_id=None, limit=2, cursor=None)
    await accounts.put_key(api_key(9))
    rest, end = await accounts.list_keys(user_id=None, limit=2, cursor=cursor)
    assert [key.id for key in rest] == ["key_0001", "key_0000"]
    assert end is None


async def test_a_cursor_of_another_list_is_refused(accounts: AccountStore) -> None:
    keys: list[ApiKey] = [api_key(number) for number in range(3)]
    for key in keys:
        await accounts.put_key(key)
    _, cursor = await accounts.list_keys(user_id="ada", limit=1, cursor=None)
    with pytest.raises(InvalidRequest) as refused:
        await accounts.list_keys(user_id="grace", limit=1, cursor=cursor)
    assert [error.field for error in refused.value.errors] == ["cursor"]


def rotated(number: int, *, texts: int, grace: timedelta = timedelta(hours=1), **fields: Any) -> ApiKey:
    """A key after so many rotations: the hash of each text ends with its number."""
    hashes = [f"{text:032x}{number:032x}" for text in range(texts + 1)]
    return api_key(
        number,
        hash=hashes[-1],
        previous_hash=hashes[-2] if texts else None,
        previous_ends_at=NOON + grace if texts else None,
        **fields,
    )


async def test_a_replaced_text_finds_the_key_until_its_grace_ends(accounts: AccountStore) -> None:
    first, second = rotated(1, texts=0), rotated(1, texts=1)
    await accounts.put_key(first)
    await accounts.put_key(second)
    found = await accounts.get_key(first.hash)
    assert found == second.previous
    assert found is not None
    assert (found.id, found.expires_at) == (first.id, NOON + timedelta(hours=1))
    assert await accounts.get_key(second.hash) == second
    assert await walk(accounts, None, 10) == await walk(accounts, "ada", 10) == [[first.id]]


async def test_a_text_replaced_twice_finds_nothing(accounts: AccountStore) -> None:
    for texts in range(3):
        await accounts.put_key(rotated(1, texts=texts))
    assert await accounts.get_key(rotated(1, texts=0).hash) is None
    assert await accounts.get_key(rotated(1, texts=1).hash) == rotated(1, texts=2).previous
    assert await accounts.get_key(rotated(1, texts=2).hash) == rotated(1, texts=2)


async def test_a_revoked_key_is_revoked_by_each_of_its_texts(accounts: AccountStore) -> None:
    key = rotated(1, texts=1)
    await accounts.put_key(rotated(1, texts=0))
    await accounts.put_key(key)
    await accounts.put_key(replace(key, revoked_at=NOON))
    for text in (rotated(1, texts=0).hash, key.hash):
        found = await accounts.get_key(text)
        assert found is not None
        assert found.revoked_at == NOON


async def test_a_grace_never_outlasts_the_key(accounts: AccountStore) -> None:
    await accounts.put_key(rotated(1, texts=1, expires_at=NOON + timedelta(minutes=5)))
    found = await accounts.get_key(rotated(1, texts=0).hash)
    assert found is not None
    assert found.expires_at == NOON + timedelta(minutes=5)


async def test_a_change_of_what_is_no_longer_so_is_refused(accounts: AccountStore) -> None:
    key = api_key(1)
    await accounts.put_key(key)
    revoked = replace(key, revoked_at=NOON)
    await accounts.put_key(revoked, was=key)
    event = audit(1)
    with pytest.raises(Conflict):
        await accounts.put_key(rotated(1, texts=1), event, was=key)
    assert await accounts.get_key_by_id(key.id) == revoked
    assert await accounts.get_key(rotated(1, texts=1).hash) is None
    assert await accounts.read_audit(after=None, limit=5) == []
    with pytest.raises(Conflict):
        await accounts.put_key(api_key(2), was=api_key(2))


async def test_of_changes_to_one_reading_only_one_is_made(accounts: AccountStore) -> None:
    key = api_key(1)
    await accounts.put_key(key)
    versions = [replace(key, name=f"v{index}") for index in range(4)]
    done = await asyncio.gather(
        *(accounts.put_key(version, was=key) for version in versions), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["Conflict"] * 3 + ["NoneType"]
    assert await accounts.get_key_by_id(key.id) == versions[done.index(None)]


async def test_a_key_that_is_put_again_with_its_event_is_left_as_it_is(accounts: AccountStore) -> None:
    key, event = api_key(1), audit(1)
    await accounts.put_key(key, event)
    revoked = replace(key, revoked_at=NOON)
    await accounts.put_key(revoked, audit(2))
    await accounts.put_key(key, event)
    assert await accounts.get_key(key.hash) == revoked
    assert await accounts.read_audit(after=None, limit=5) == [event, audit(2)]
