"""What services may rely on of any store of API keys."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.domain.callers import ApiKey, KeyLimits, Scope
from headgate.domain.errors import InvalidRequest
from headgate.ports import AccountStore
from tests.contract.values import NOON, api_key


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
