"""Two users on one gateway: whatever one asks, the other's things are as if they were not there."""

from typing import Any

import pytest

from tests.e2e.walk.neighbours import MISSING, Street, open_street, plain
from tests.e2e.walk.routes import ROUTES, Call, Route, calls_of, whole_walk

BY_NAME = [pytest.param(route, id=f"{route.function}: {route.name}") for route in ROUTES]
LISTS_OF_OWN = (
    "/v2/connections",
    "/v2/generations",
    "/v2/keys",
    "/v2/credits/ledger",
    "/v2/usage?group_by=provider",
)


@pytest.mark.parametrize("route", BY_NAME)
async def test_what_is_anothers_is_answered_as_what_is_not_there(route: Route) -> None:
    street = await open_street()
    ann, bob = street.one, street.two
    foreign = {**bob.things, **{name: ann.things[name] for name in MISSING}}
    missing = {**bob.things, **MISSING}
    for theirs, nobodys in zip(calls_of(route, foreign), calls_of(route, missing), strict=True):
        answers = [await street.told(call, bob.key) for call in (theirs, nobodys)]
        assert plain(answers[0], foreign) == plain(answers[1], missing), theirs
        hidden = [mark for mark in ann.marks if mark not in f"{theirs.path}{theirs.body}"]
        assert [mark for mark in hidden if mark in answers[0].text] == []


@pytest.mark.parametrize("route", BY_NAME)
async def test_nobody_is_told_of_what_is_anothers(route: Route) -> None:
    """Each asks of their own, by turns, so that what was kept in memory for one is there for the other."""
    street = await open_street()
    ann, bob = street.one, street.two
    tags: set[str] = set()
    for one, other in ((ann, bob), (bob, ann), (ann, bob)):
        for call in calls_of(route, one.things):
            answer = await street.told(call, one.key)
            told = answer.text + str(answer.headers)
            assert [mark for mark in other.marks if mark in told] == [], call
            if route.method == "GET" and (tag := answer.headers.get("etag")) is not None:
                tags.add(tag)
                await _not_by_tag(street, call, tag)


async def _not_by_tag(street: Street, call: Call, tag: str) -> None:
    """Who has another answer is never told that this one still holds."""
    for other in (street.one, street.two):
        whole = await street.told(call, other.key)
        short = await street.told(call, other.key, **{"if-none-match": tag})
        assert (short.status_code == 304) == (whole.headers.get("etag") == tag)
        assert whole.status_code in (200, short.status_code)


async def everything(street: Street, key: str, things: dict[str, str]) -> dict[str, Any]:
    """All that somebody can read of their own."""
    calls = [call for call in whole_walk(things) if call.route.method == "GET"]
    return {call.path: plain(await street.told(call, key), things) for call in calls}


async def test_nothing_that_one_does_changes_anything_of_the_others() -> None:
    street = await open_street()
    ann, bob = street.one, street.two
    before = await everything(street, ann.key, ann.things)
    foreign = {**bob.things, **{name: ann.things[name] for name in MISSING}}
    for call in whole_walk(foreign):
        if call.route.method != "GET":
            answer = await street.told(call, bob.key, **{"idempotency-key": "the very same"})
            assert "idempotency-replayed" not in answer.headers or answer.status_code == 200
    assert await everything(street, ann.key, ann.things) == before


async def test_an_idempotency_key_is_its_users_alone() -> None:
    street = await open_street()
    body = {
        "type": "text",
        "model": "alpha/m",
        "config": {"prompt": "hi"},
        "metadata": {"scene_id": "anns-scene"},
    }
    headers = {"idempotency-key": "the very same"}
    again = await street.post("/v2/generations", key=street.one.key, json=body, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert "anns-scene" in again.text
    other = await street.post("/v2/generations", key=street.two.key, json=body, headers=headers)
    assert other.json()["code"] == "idempotency_conflict"  # with their own request under it
    assert "anns" not in other.text
    fresh = await street.post("/v2/generations", key=street.cat, json=body, headers=headers)
    assert "idempotency-replayed" not in fresh.headers


@pytest.mark.parametrize("path", LISTS_OF_OWN)
async def test_a_cursor_of_ones_list_is_refused_for_anothers(path: str) -> None:
    street = await open_street()
    joint = "&" if "?" in path else "?"
    for _ in range(2):
        await street.post(
            "/v2/connections", key=street.one.key, json={"name": "x", "type": "beta", "api_key": "k" * 20}
        )
        street.clock.advance(1)
        await street.usage.count_usage(
            (await street.generations.list_by_owner(street.one.name, filters={}, limit=9, cursor=None))[0]
        )
    page = (await street.get(f"{path}{joint}limit=1", key=street.one.key)).json()
    if page["next_cursor"] is None:
        pytest.fail(f"{path} has one page only")
    mine = await street.get(f"{path}{joint}limit=1&cursor={page['next_cursor']}", key=street.one.key)
    assert mine.status_code == 200
    theirs = await street.get(f"{path}{joint}limit=1&cursor={page['next_cursor']}", key=street.two.key)
    assert theirs.status_code == 422, theirs.text
    assert theirs.json()["errors"][0]["field"] == "cursor"


async def asked_naming(street: Street, name: str, value: str) -> list[Any]:
    """What Cat is told on all routes whose paths name such a thing."""
    things = {**street.two.things, **MISSING, name: value}
    calls = [call for call in whole_walk(things) if name in call.route.names]
    assert calls
    return [plain(await street.told(call, street.cat), things) for call in calls]


async def test_a_member_sees_the_project_and_nothing_else_of_its_owner() -> None:
    street = await open_street()
    ann = street.one
    project = f"/v2/projects/{ann.things['project_id']}"
    assert (await street.get(project, key=street.cat)).status_code == 200
    settings = f"/v2/settings?project_id={ann.things['project_id']}"
    assert (await street.get(settings, key=street.cat)).json()["default_models"] == {"text": "alpha/anns-own"}
    assert (await street.ask("PUT", settings, key=street.cat, json={})).status_code == 403
    assert (
        await street.get(f"/v2/projects/{street.two.things['project_id']}", key=street.cat)
    ).status_code == 404
    for name in ("connection_id", "webhook_id", "key_id", "generation_id"):
        assert await asked_naming(street, name, ann.things[name]) == await asked_naming(
            street, name, MISSING[name]
        )
    of_project = await street.get(f"/v2/generations?project_id={ann.things['project_id']}", key=street.cat)
    assert of_project.json()["data"] == []


async def test_an_administrator_sees_keys_and_generations_of_all_but_nobodys_connections() -> None:
    street = await open_street()
    ann = street.one.things
    for path in (f"/v2/generations/{ann['generation_id']}", f"/v2/keys/{ann['key_id']}"):
        assert (await street.get(path, key="root")).status_code == 200
    for path in (f"/v2/connections/{ann['connection_id']}", f"/v2/webhooks/{ann['webhook_id']}"):
        assert (await street.get(path, key="root")).status_code == 404
