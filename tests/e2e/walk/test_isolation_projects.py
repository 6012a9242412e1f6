"""A member's two keys, one bound to the project and one not, and a neighbour's: each sees what is theirs."""

import pytest

from tests.e2e.walk.neighbours import MISSING, SCOPES, Street, open_street
from tests.e2e.walk.routes import ROUTES, Call, Route, calls_of
from tests.e2e.walk.things import THINGS

BY_NAME = [pytest.param(route, id=f"{route.function}: {route.name}") for route in ROUTES]
OF_CATALOGUE = ("models", "generations")
OWNERS_MODEL = "alpha/anns-own"


async def bound_key(street: Street) -> str:
    """Cat's, bound to Ann's project."""
    return await street.key(*SCOPES, user_id="cat", project_id=street.one.things["project_id"])


def things_of_cat(street: Street) -> dict[str, str]:
    """What Cat may name: nothing that anybody has, but the project."""
    names = {"provider": "alpha", "model": "alpha/m", "embedding_model": "alpha/m"}
    return {**THINGS, **MISSING, **names, "project_id": street.one.things["project_id"]}


def private(street: Street) -> list[str]:
    """What is Ann's own, though Cat is in her project."""
    ids = [street.one.things[name] for name in ("webhook_id", "key_id", "generation_id")]
    return [*ids, *(f"{street.one.mark}{name}" for name in ("hook", "key", "reason", "scene"))]


async def told(street: Street, call: Call, key: str) -> str:
    """All of an answer, but for what was asked."""
    answer = await street.told(call, key)
    text = answer.text + str(answer.headers)
    return text.replace(street.one.things["project_id"], "")


@pytest.mark.parametrize("route", BY_NAME)
async def test_a_project_shows_its_models_to_keys_in_it_alone_and_its_owners_things_to_none(
    route: Route,
) -> None:
    """By turns, so that what was kept in memory for one is there for the others."""
    street = await open_street()
    bound, project = await bound_key(street), street.one.things["project_id"]
    connection = [street.one.things["connection_id"], f"{street.one.mark}connection"]
    for key in (bound, street.cat, street.two.key) * 2:
        for call in calls_of(route, things_of_cat(street)):
            text = await told(street, call, key)
            named = key == street.cat and project in str(call.body)
            inside = key == bound or named
            hidden = private(street)
            if route.function != "generations" or not inside:
                hidden += connection  # a generation names the connection that served it
            if route.function in OF_CATALOGUE and not inside:
                hidden.append(street.one.mark)
            assert [mark for mark in hidden if mark in text] == [], call


@pytest.mark.parametrize(
    "name",
    ["GET /v2/models", "GET /v1/models", "GET /v2/models/availability", "POST /v2/generations/explain"],
)
async def test_the_walk_sees_the_projects_models_where_they_are_shown(name: str) -> None:
    """Or the test above could not fail."""
    street = await open_street()
    (route,) = (each for each in ROUTES if each.name == name)
    things = things_of_cat(street) | {"model": "anns-own"}
    texts = [await told(street, call, await bound_key(street)) for call in calls_of(route, things)]
    assert any(OWNERS_MODEL in text for text in texts)
