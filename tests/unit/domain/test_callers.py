"""Keys live until they end, callers may do what their scopes say, and an administrator everything."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.domain.callers import (
    ApiKey,
    KeyLimits,
    Scope,
    caller_of,
    hash_key,
    new_key_text,
    parse_scopes,
)
from headgate.domain.errors import AccessDenied
from headgate.testing.clock import START

SECOND = timedelta(seconds=1)
KEY = ApiKey(
    id="key_1",
    hash="h",
    user_id="ann",
    name="CI",
    scopes=frozenset({Scope.GENERATE}),
    created_at=START,
    hint="abcd",
    project_id="prj_1",
    allowed_models=("openai/gpt-5",),
    limits=KeyLimits(requests_per_minute=3),
)


def test_a_key_lives_until_it_is_revoked_or_expires() -> None:
    assert KEY.is_live(START)
    assert not replace(KEY, revoked_at=START).is_live(START)
    ending = replace(KEY, expires_at=START + SECOND)
    assert ending.is_live(START)
    assert not ending.is_live(START + SECOND)


@pytest.mark.parametrize("scope", Scope)
def test_a_caller_may_do_what_a_scope_of_theirs_says(scope: Scope) -> None:
    caller_of(replace(KEY, scopes=frozenset({scope}))).require(scope)


@pytest.mark.parametrize("scope", sorted(set(Scope) - {Scope.GENERATE}))
def test_a_caller_without_the_scope_is_told_which(scope: Scope) -> None:
    with pytest.raises(AccessDenied, match=scope.value) as denied:
        caller_of(KEY).require(scope)
    assert denied.value.code == "forbidden"


@pytest.mark.parametrize("scope", Scope)
def test_an_administrator_has_every_scope(scope: Scope) -> None:
    admin = caller_of(replace(KEY, scopes=frozenset({Scope.ADMIN})))
    admin.require(scope)
    assert admin.is_admin


def test_a_caller_is_bound_by_what_their_key_is_bound_by() -> None:
    caller = caller_of(KEY)
    assert (caller.user_id, caller.key_id, caller.project_id) == ("ann", "key_1", "prj_1")
    assert caller.allowed_models == ("openai/gpt-5",)
    assert caller.limits == KeyLimits(requests_per_minute=3)
    assert not caller.is_admin


def test_new_keys_are_long_random_and_known_by_their_prefix() -> None:
    made = {new_key_text() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"hg_[A-Za-z0-9_-]{43}", text) for text in made)


def test_a_hash_gives_nothing_of_the_key_away_and_is_always_the_same() -> None:
    text = new_key_text()
    assert hash_key(text) == hash_key(text)
    assert hash_key(text) != hash_key(text + "x")
    assert re.fullmatch(r"[0-9a-f]{64}", hash_key(text))


def test_scopes_are_read_by_name_and_others_refused() -> None:
    assert parse_scopes(["admin", "models:read"]) == {Scope.ADMIN, Scope.MODELS_READ}
    with pytest.raises(ValueError, match="root"):
        parse_scopes(["root"])
