"""The catalogue in a project: of all whose keys serve it, to those who call in it, and to nobody else."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from headgate.domain.callers import Scope
from headgate.domain.catalog import Modality
from headgate.domain.errors import NotFound, ProviderFailed
from headgate.testing.memory import Answer
from tests.support.gate import Gate, open_gate
from tests.support.keys import change, connect, found, key_of, keys_sent, say
from tests.support.lists import sees
from tests.support.models import model, priced
from tests.support.provider import listing, said

SHARED = model("alpha/maker/m", pricing=priced("1", "2"))
OTHER = model("beta/maker/n")
OLGAS = model("alpha/maker/olgas", pricing=priced("3", "4"))
STANS = model("beta/maker/stans")
MINE = model("alpha/maker/mine")
PRIVATE = (OLGAS.id, STANS.id)
NAMES = ["maker/olgas", "olgas", OLGAS.id, "maker/olgas:floor", "nobody/x, olgas", "olgas:nitro"]
PATHS = (
    "/v2/models",
    "/v2/models?available=true",
    "/v2/models?provider=alpha",
    "/v1/models",
    "/v2/models/availability",
)
ANTHROPICS = {"anthropic-version": "2023-06-01"}


@dataclass(frozen=True, slots=True)
class Keys:
    """bound: Ann's, bound to the project. eve: Eve's. stray: hers too, bound to it by an administrator."""

    bound: str
    eve: str
    stray: str


async def open_office() -> tuple[Gate, Keys]:
    """Ann is a member of Olga's project, whose settings are Stan's; Eve is not."""
    gate = await open_gate("alpha", "beta", models=[SHARED, OTHER])
    await found(gate, "p", owner="olga", settings_user_id="stan", members=("ann", "mia"))
    await sees(gate, await connect(gate, "alpha", "olgas-key", user="olga"), SHARED, OLGAS)
    await sees(gate, await connect(gate, "beta", "stans-key", user="stan"), OTHER, STANS)
    scopes = (Scope.MODELS_READ, Scope.GENERATE)
    for slug in ("alpha", "beta"):
        gate.transport.on(f"https://{slug}.example/chat", said(f"{slug} says"))
    return gate, Keys(
        bound=await gate.key(*scopes, project_id="p"),
        eve=await gate.key(*scopes, user_id="eve"),
        stray=await gate.key(*scopes, user_id="eve", project_id="p"),
    )


async def shown(gate: Gate, path: str, key: str, **headers: str) -> httpx.Response:
    answer = await gate.get(path, key=key, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def metadata(gate: Gate, key: str) -> dict[str, Any]:
    found: dict[str, Any] = (await shown(gate, "/v2/models", key)).json()["metadata"]
    return found


async def generate(gate: Gate, key: str, name: str | None, project: str | None = None) -> httpx.Response:
    ask: dict[str, Any] = {"type": "text", "config": {"prompt": "hi"}, "model": name}
    if project is not None:
        ask["metadata"] = {"project_id": project}
    return await gate.post("/v2/generations", key=key, json=ask)


async def chat(gate: Gate, key: str, name: str, **more: Any) -> httpx.Response:
    ask = {"model": name, "messages": [{"role": "user", "content": "hi"}], **more}
    return await gate.post("/v1/chat/completions", key=key, json=ask)


# -- what is seen ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_a_key_of_the_project_lists_what_the_projects_people_can_call(path: str) -> None:
    gate, keys = await open_office()
    text = (await shown(gate, path, keys.bound)).text
    assert OLGAS.id in text
    assert (STANS.id in text) is (path != "/v2/models?provider=alpha")
    assert PRIVATE[0] in (await shown(gate, path, keys.stray)).text
    for key in ("ann", keys.eve, "root"):
        assert not [name for name in PRIVATE if name in (await shown(gate, path, key)).text]


async def test_each_of_its_models_is_there_by_all_of_its_names() -> None:
    gate, keys = await open_office()
    for name in ("alpha/maker/olgas", "maker/olgas", "olgas"):
        for path in (f"/v2/models/{name}", f"/v1/models/{name}", f"/v1/models/{name}/endpoints"):
            assert (await gate.get(path, key=keys.bound)).status_code == 200
            assert (await gate.get(path)).status_code == 404
        told = (await gate.get(f"/v2/models/{name}/availability", key=keys.bound)).json()
        assert told == {"available": True, "reasons": []}
        assert (await gate.get(f"/v2/models/{name}/availability")).status_code == 404
    assert OLGAS.id in (await shown(gate, "/v1/models", keys.bound, **ANTHROPICS)).text
    assert OLGAS.id not in (await shown(gate, "/v1/models", "ann", **ANTHROPICS)).text


async def test_of_others_keys_nothing_is_told_but_their_models() -> None:
    gate, keys = await open_office()
    row = await connect(gate, "alpha", "olgas-second", user="olga")
    await sees(gate, row, error="provider_auth: her account is closed")
    told = await shown(gate, "/v2/models", keys.bound)
    assert told.json()["metadata"]["user_provided_keys"] == []
    assert {each["key_source"] for each in told.json()["models"] if each["id"] in PRIVATE} == {"connection"}
    one = await shown(gate, f"/v2/models/{OLGAS.id}", keys.bound)
    for secret in ("olgas-key", "stans-key", "con_", "closed", "olgas-second", key_of("olgas-key")[-4:]):
        assert secret not in told.text + one.text
    assert "error" not in told.json()["metadata"]["providers"]["alpha"]
    await connect(gate, "alpha", "anns-key")
    gate.clock.advance(61)
    await gate.show(SHARED, OTHER)
    assert (await metadata(gate, keys.bound))["user_provided_keys"] == ["alpha"]
    olga = await gate.key(Scope.MODELS_READ, user_id="olga")
    told = await shown(gate, "/v2/models", olga)
    assert "her account is closed" in told.json()["metadata"]["providers"]["alpha"]["error"]


async def test_ones_own_models_are_there_beside_the_projects() -> None:
    gate, keys = await open_office()
    await sees(gate, await connect(gate, "alpha", "anns-key"), MINE)
    assert {MINE.id, *PRIVATE} <= {
        each["id"] for each in (await shown(gate, "/v2/models", keys.bound)).json()["models"]
    }
    olgas = await gate.key(Scope.MODELS_READ, user_id="olga", project_id="p")
    assert MINE.id not in (await shown(gate, "/v2/models", olgas)).text


async def test_a_members_connection_that_the_project_names_shows_what_it_is_named_for() -> None:
    gate, keys = await open_office()
    vectors = model("alpha/maker/vectors", modality=Modality.EMBEDDING)
    await sees(gate, await connect(gate, "alpha", "mias-key", user="mia"), vectors, model("alpha/maker/mias"))
    named: dict[str, Any] = {
        "connections": {"text": "con_mias-key"},
        "connection_owners": {"con_mias-key": "mia"},
    }
    await say(gate, "project:p", **named)
    text = (await shown(gate, "/v2/models", keys.bound)).text
    assert ("alpha/maker/mias" in text, "alpha/maker/vectors" in text) == (True, False)
    assert (await chat(gate, keys.bound, "mias")).status_code == 200
    assert keys_sent(gate) == [key_of("mias-key")]
    named["connections"] = {"text": "con_mias-key", "embedding": "con_mias-key"}
    await say(gate, "project:p", **named)
    gate.clock.advance(61)
    assert "alpha/maker/vectors" in (await shown(gate, "/v2/models", keys.bound)).text


async def test_what_a_members_connection_is_not_named_for_is_neither_suggested_nor_called() -> None:
    gate, keys = await open_office()
    vectors = model("alpha/maker/mias-vectors", modality=Modality.EMBEDDING)
    await sees(gate, await connect(gate, "alpha", "mias-key", user="mia"), vectors)
    owners = {"con_mias-key": "mia"}
    await say(gate, "project:p", connections={"text": "con_mias-key"}, connection_owners=owners)
    for name in ("mias-vectors", "mias-vector"):
        refused = await chat(gate, keys.bound, name)
        assert (refused.status_code, vectors.id in refused.text) == (404, False)
    both = {"text": "con_mias-key", "embedding": "con_mias-key"}
    await say(gate, "project:p", connections=both, connection_owners=owners)
    gate.clock.advance(61)
    assert vectors.id in (await chat(gate, keys.bound, "mias-vector")).text


# -- what is called ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
async def test_in_the_project_a_model_of_its_people_is_called_by_any_of_its_names(name: str) -> None:
    gate, keys = await open_office()
    assert (await chat(gate, keys.bound, name)).status_code == 200
    assert (await generate(gate, "ann", name, "p")).status_code == 200
    assert keys_sent(gate) == [key_of("olgas-key")] * 2


async def test_a_list_of_models_may_name_the_projects() -> None:
    gate, keys = await open_office()
    answer = await chat(gate, keys.bound, "nobody/x", models=["stans", "maker/m"])
    assert answer.headers["x-headgate-model-served"] == STANS.id


@pytest.mark.parametrize("name", [*NAMES, "maker/olgs"])
async def test_outside_the_project_they_are_not_there_and_nobody_is_told_of_them(name: str) -> None:
    gate, keys = await open_office()
    assert (
        await generate(gate, keys.bound, name.replace("olgs", "olgas"))
    ).status_code == 200  # remembered now
    for key, project in (("ann", None), (keys.eve, "p"), (keys.eve, None), ("root", "p")):
        answer = await generate(gate, key, name, project)
        assert answer.status_code == 404, answer.text
        detail = answer.text.replace(name, "")
        assert not [each for each in (*PRIVATE, "maker/olgas") if each in detail]
    assert len(gate.transport.requests) == 1


async def test_close_names_are_the_projects_own_in_it() -> None:
    gate, keys = await open_office()
    told = await chat(gate, keys.bound, "maker/olgs")
    assert OLGAS.id in told.text
    gate.transport.on("https://alpha.example/chat", NotFound("No such model.", code="model_not_found"))
    refused = await generate(gate, keys.bound, "alpha/maker/olgas-new")
    assert (refused.status_code, OLGAS.id in refused.json()["suggestions"]) == (404, True)
    await connect(gate, "alpha", "anns-key")
    gate.clock.advance(61)
    outside = await generate(gate, "ann", "alpha/maker/olgas-new")
    assert (outside.status_code, OLGAS.id in outside.text) == (404, False)


async def test_a_server_without_a_default_model_is_asked_for_what_its_own_list_has() -> None:
    gate, keys = await open_office()
    places = ("https://olga.example", "https://ann.example")
    for name, place in zip(("olga", "ann"), places, strict=True):
        row = await connect(gate, "alpha", f"{name}s-server", user=name, base_url=place)
        await sees(gate, row, model(f"alpha/of-{name}"))
    for place in ("https://alpha.example/chat", "https://beta.example/chat", *places):
        gate.transport.on(place, Answer(status=503))
    await say(gate, "user:olga", connections={"text": "con_olgas-server"})
    await generate(gate, keys.bound, None)
    servers = [each.url for each in gate.transport.requests if each.url.startswith(places)]
    assert servers == ["https://olga.example/chat/of-olga", "https://ann.example/chat/of-ann"]


# -- memory ------------------------------------------------------------------------------------------------


async def test_two_keys_of_one_user_are_told_apart_however_they_take_turns() -> None:
    gate, keys = await open_office()
    tags: dict[str, set[str]] = {}
    for _ in range(3):
        for path in (*PATHS, f"/v2/models/{SHARED.id}"):
            for key in (keys.bound, "ann", keys.stray, keys.eve):
                answer = await shown(gate, path, key)
                inside = key in (keys.bound, keys.stray)
                assert (OLGAS.id in answer.text) is (inside and SHARED.id not in path), (path, key)
                tags.setdefault(f"{path} {inside}", set()).add(answer.headers.get("etag", ""))
        for key, project, status in (
            (keys.bound, None, 200),
            ("ann", None, 404),
            ("ann", "p", 200),
            (keys.stray, None, 200),
            (keys.eve, "p", 404),
        ):
            assert (await generate(gate, key, "olgas", project)).status_code == status
        gate.clock.advance(0.4)
    for path in PATHS[:-1]:
        assert not tags[f"{path} True"] & tags[f"{path} False"]
        for tag in tags[f"{path} True"]:
            for key in ("ann", keys.eve):
                assert (await gate.get(path, key=key, headers={"if-none-match": tag})).status_code == 200


async def test_cursors_go_with_the_view_that_they_began_in() -> None:
    gate, keys = await open_office()
    seen, cursor = [], ""
    while cursor is not None:
        page = (await shown(gate, f"/v2/models?limit=1{cursor and f'&cursor={cursor}'}", keys.bound)).json()
        seen += [each["id"] for each in page["models"]]
        cursor = page["next_cursor"]
        if cursor is not None:
            for key in ("ann", keys.eve, keys.stray):
                refused = await gate.get(f"/v2/models?limit=1&cursor={cursor}", key=key)
                assert (refused.status_code, OLGAS.id in refused.text) == (422, False)
        await gate.publish("alpha", SHARED, model(f"alpha/a-new-{len(seen)}"))
        gate.clock.advance(61)
    assert seen == sorted([SHARED.id, OTHER.id, *PRIVATE])
    outside = (await shown(gate, "/v2/models?limit=1", "ann")).json()["next_cursor"]
    assert (await gate.get(f"/v2/models?limit=1&cursor={outside}", key=keys.bound)).status_code == 422


async def test_who_leaves_a_project_sees_nothing_of_it_within_a_minute() -> None:
    gate, _ = await open_office()
    assert (await generate(gate, "ann", "olgas", "p")).status_code == 200
    await found(gate, "p", owner="olga", settings_user_id="stan", members=("mia",))
    gate.clock.advance(60)
    assert (await generate(gate, "ann", "olgas", "p")).status_code == 404


@pytest.mark.parametrize("how", ["its owner", "the connection", "its settings user"])
async def test_what_serves_a_project_no_more_is_out_of_its_catalogue_within_a_minute(how: str) -> None:
    gate, keys = await open_office()
    gone = STANS if how == "its settings user" else OLGAS
    assert gone.id in (await shown(gate, "/v2/models", keys.bound)).text
    assert (await chat(gate, keys.bound, gone.canonical_id)).status_code == 200
    if how == "the connection":
        (row,) = (await gate.connections.load("olga")).rows
        await change(gate, row, is_active=False)
    else:
        owner = "mia" if how == "its owner" else "olga"
        await found(gate, "p", owner=owner, settings_user_id=None if owner == "olga" else "stan")
    gate.clock.advance(60)
    for path in (*PATHS, "/v1/models"):
        assert gone.id not in (await shown(gate, path, keys.bound)).text
    assert (await chat(gate, keys.bound, gone.canonical_id)).status_code == 404


async def test_in_a_project_too_each_has_their_own_lists_read_anew_and_no_others() -> None:
    gate, keys = await open_office()
    mine = await connect(gate, "alpha", "anns-key")
    await sees(gate, mine, MINE)
    await shown(gate, "/v2/models", keys.bound)
    started = await gate.post("/v2/models/refresh", key=keys.bound)
    assert started.json() == {"started": [{"connection_id": mine.id, "provider": "alpha"}]}
    assert list(gate.starter.connections_started) == [(("ann", mine.id),)]
    nothing = await gate.post("/v2/models/refresh", key=keys.stray)
    assert (nothing.status_code, nothing.json()) == (200, {"started": []})


async def test_lists_of_the_projects_people_are_kept_fresh_by_those_who_look() -> None:
    gate, keys = await open_office()
    gate.clock.advance(700)
    await gate.show(SHARED, OTHER)
    await shown(gate, "/v2/models", "ann")
    assert not gate.starter.connections_started
    await shown(gate, "/v2/models", keys.bound)
    (started,) = gate.starter.connections_started
    assert sorted(started) == [("olga", "con_olgas-key"), ("stan", "con_stans-key")]


@pytest.mark.parametrize("status", [401, 402])
async def test_what_a_provider_says_of_someone_elses_key_is_told_to_nobody_in_the_project(
    status: int,
) -> None:
    gate, keys = await open_office()
    gate.transport.on("https://alpha.example/chat", Answer(status=status, body=b"sk-ol..6789 of org-olga"))
    wanted = {"type": "text", "config": {"prompt": "hi"}, "model": OLGAS.id, "connection_id": "con_olgas-key"}
    answer = await gate.post("/v2/generations", key=keys.bound, json=wanted)
    assert (answer.status_code, answer.json()["connection_id"]) == (424, "con_olgas-key")
    assert answer.json()["detail"].startswith("The connection 'olgas-key' (con_olgas-key) was refused")
    olgas = await gate.key(Scope.GENERATE, user_id="olga")
    hers = await gate.post("/v2/generations", key=olgas, json=wanted)
    kept = await gate.get("/v2/generations", key=keys.bound)
    assert ["org-olga" in each.text for each in (answer, kept, hers)] == [False, False, True]


async def test_where_someone_elses_server_is_is_told_to_nobody_in_the_project() -> None:
    gate, keys = await open_office()
    home = await connect(gate, "custom", "home", user="olga", base_url="https://olgas.example:8443/inner")
    await sees(gate, home, model("custom/llama"))
    gate.clock.advance(61)
    gone = ProviderFailed("No connection to olgas.example could be made.", code="provider_unavailable")
    gate.transport.on("https://olgas.example", gone)
    answer = await generate(gate, keys.bound, "custom/llama")
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    olgas = await gate.key(Scope.GENERATE, user_id="olga")
    hers = await generate(gate, olgas, "custom/llama")
    kept = await gate.get("/v2/generations", key=keys.bound)
    assert ["olgas.example" in each.text for each in (answer, kept, hers)] == [False, False, True]


async def test_a_lent_key_is_the_only_one_for_its_provider_in_a_project_too() -> None:
    gate, keys = await open_office()
    gate.transport.on("https://alpha.example/models", listing(MINE))
    gate.transport.on("https://alpha.example/key", Answer())
    told = await shown(gate, "/v2/models", keys.bound, **{"x-provider-key": "alpha=sk-lent-0123456789"})
    assert [each["id"] for each in told.json()["models"]] == [MINE.id, OTHER.id, STANS.id]
    assert told.json()["metadata"]["user_provided_keys"] == ["alpha"]
    assert OLGAS.id in (await shown(gate, "/v2/models", keys.bound)).text
