"""What each kind of key may ask of every route: its scope's and no more; nothing once it has ended."""

from collections.abc import Mapping

import pytest

from headgate.domain.callers import Scope
from tests.e2e.walk.neighbours import Street, open_street
from tests.e2e.walk.routes import ROUTES, Call, whole_walk
from tests.e2e.walk.things import THINGS

CLOSED = [call for call in whole_walk(THINGS) if call.route.scope is not None]


async def statuses(street: Street, key: str | None, **headers: str) -> Mapping[str, set[int]]:
    """By route, what it answers to all that can be asked of it."""
    found: dict[str, set[int]] = {}
    for call in CLOSED:
        answer = await street.told(call, key, **headers)
        assert not [mark for mark in street.one.marks + street.two.marks if mark in answer.text], call
        found.setdefault(call.route.name, set()).add(answer.status_code)
    return found


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.ADMIN])
async def test_a_key_gets_no_further_than_its_scope(scope: Scope) -> None:
    """Its user has nothing, so of all that it asks it is shown nothing of anybody's either."""
    street = await open_street()
    found = await statuses(street, await street.key(scope, user_id="somebody"))
    for route in {call.route for call in CLOSED}:
        if route.scope is scope:
            assert not found[route.name] & {401}, route.name
            assert found[route.name] != {403}, route.name
        else:
            assert found[route.name] == {403}, route.name


async def test_a_key_without_a_scope_opens_nothing() -> None:
    street = await open_street()
    found = await statuses(street, await street.key(user_id="somebody"))
    assert set().union(*found.values()) == {403}


async def ended(street: Street, how: str) -> str | None:
    """A key of Ann's that is none any more."""
    key, key_id = street.one.spare, street.one.things["key_id"]
    if how == "revoked":
        await street.ask("DELETE", f"/v2/keys/{key_id}", key="root")
    if how == "rotated at once":
        await street.post(f"/v2/keys/{key_id}/rotate", key="root", json={"grace_s": 0})
    if how == "rotated long ago":
        await street.post(f"/v2/keys/{key_id}/rotate", key="root", json={"grace_s": 60})
        street.clock.advance(61)
    if how == "expired":
        soon = {
            "user_id": street.one.name,
            "name": "x",
            "scopes": ["admin"],
            "expires_at": "2026-11-20T09:10:00Z",
        }
        key = (await street.post("/v2/keys", key="root", json=soon)).json()["key"]
        assert (await street.get("/v2/keys", key=key)).status_code == 200
        street.clock.advance(600)
    street.clock.advance(61)
    return {"none": None, "unknown": "hg_" + "A" * 43, "a token": "eyJh.eyJz.c2ln"}.get(how, key)


@pytest.mark.parametrize(
    "how",
    ["revoked", "rotated at once", "rotated long ago", "expired", "none", "unknown", "a token"],
)
async def test_what_is_no_key_opens_nothing(how: str) -> None:
    street = await open_street()
    for known in (street.one.spare, street.one.key):  # to every process already
        for call in CLOSED[:10]:
            await street.told(call, known)
    found = await statuses(street, await ended(street, how))
    assert set().union(*found.values()) == {401}


async def test_a_rotated_key_is_the_same_by_both_of_its_texts() -> None:
    street = await open_street()
    made = await street.post(
        f"/v2/keys/{street.one.things['key_id']}/rotate", key="root", json={"grace_s": 600}
    )
    street.clock.advance(61)
    texts = [street.one.spare, made.json()["key"]]
    calls = [call for call in whole_walk(street.one.things) if _reads_same(call)]
    for call in calls:
        old, new = [await street.told(call, text) for text in texts]
        assert (old.status_code, old.content) == (new.status_code, new.content), call


def _reads_same(call: Call) -> bool:
    """Reads what doesn't differ from one time to the next."""
    reads = call.route.method == "GET" and call.route.scope in (Scope.GENERATE, Scope.MODELS_READ)
    return reads and call.route.name != "GET /v2/models" and "force" not in call.path


def test_the_walk_has_routes_of_every_scope() -> None:
    assert {route.scope for route in ROUTES} == {None, *Scope}
