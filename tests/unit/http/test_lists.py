"""What holds for every list: the same envelope, pages, and refusals of what no list has."""

import itertools
from typing import Any

import orjson
import pytest

from headgate.domain.callers import Scope
from headgate.http.openapi import whole_api
from tests.support.gate import Gate, open_gate

DOCUMENT: dict[str, Any] = orjson.loads(whole_api())
WHOLE = ("/v2/webhooks", "/v2/providers", "/v2/providers/health")


def schema_of(answer: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name] if name else schema
    return found


PARAMETERS: dict[str, dict[str, Any]] = {
    path: {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method == "get"
}
LISTS = [
    path
    for path in PARAMETERS
    if "200" in (responses := DOCUMENT["paths"][path]["get"]["responses"])
    and "application/json" in responses["200"].get("content", {})
    and "next_cursor" in schema_of(responses["200"]).get("properties", {})
]
CHOICES = [
    (path, name)
    for path, parameters in PARAMETERS.items()
    for name, schema in parameters.items()
    if path.startswith("/v2/") and "enum" in {**schema, **schema.get("items", {})}
]


async def wrong_fields(gate: Gate, url: str) -> set[str]:
    answer = await gate.get(url.replace("{modality}", "text"), key="root")
    assert answer.status_code == 422, answer.text
    return {error["field"] for error in answer.json()["errors"]}


def test_lists_were_found() -> None:
    assert len(LISTS) >= 11
    assert len(CHOICES) >= 4


@pytest.mark.parametrize("path", LISTS)
async def test_every_list_has_pages(path: str) -> None:
    assert {"limit", "cursor"} <= set(PARAMETERS[path])
    gate = await open_gate()
    for limit in ("0", "-1", "x", "100000", "000099999999"):
        assert await wrong_fields(gate, f"{path}?limit={limit}") == {"limit"}
    assert await wrong_fields(gate, f"{path}?cursor=nowhere") == {"cursor"}


@pytest.mark.parametrize(("path", "name"), CHOICES)
async def test_what_is_none_of_the_choices_is_refused(path: str, name: str) -> None:
    assert await wrong_fields(await open_gate(), f"{path}?{name}=nowhere") == {name}


@pytest.mark.parametrize("path", WHOLE)
async def test_pages_are_the_whole_list_in_its_order(path: str) -> None:
    gate = await open_gate()
    for number in range(3):
        gate.clock.advance(1)
        webhook = {"url": f"https://hooks.example.com/{number}", "events": ["model.*"]}
        assert (await gate.post("/v2/webhooks", key="root", json=webhook)).status_code == 201
    whole = (await gate.get(path, key="root")).json()
    assert whole["next_cursor"] is None
    assert len(whole["data"]) > 1
    for limit in (1, 2, len(whole["data"])):
        pages, cursor = [], ""
        for _ in itertools.count():
            page = (await gate.get(f"{path}?limit={limit}{cursor}", key="root")).json()
            pages.append(page["data"])
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert all(len(each) == limit for each in pages[:-1])
        assert 0 < len(pages[-1]) <= limit
        assert list(itertools.chain(*pages)) == whole["data"]


async def test_pages_of_webhooks_bear_that_some_come_and_go() -> None:
    gate = await open_gate()
    ids = []
    for _ in range(4):
        gate.clock.advance(1)
        webhook = {"url": "https://hooks.example.com/", "events": ["model.*"]}
        ids.append((await gate.post("/v2/webhooks", key="root", json=webhook)).json()["id"])
        page = (await gate.get("/v2/webhooks?limit=2", key="root")).json()
    assert [row["id"] for row in page["data"]] == [ids[3], ids[2]]
    await gate.ask("DELETE", f"/v2/webhooks/{ids[2]}", key="root")
    gate.clock.advance(1)
    await gate.post("/v2/webhooks", key="root", json=webhook)
    rest = (await gate.get(f"/v2/webhooks?cursor={page['next_cursor']}", key="root")).json()
    assert [row["id"] for row in rest["data"]] == [ids[1], ids[0]]
    other = await gate.key(Scope.CONNECTIONS, user_id="ann")
    answer = await gate.get(f"/v2/webhooks?cursor={page['next_cursor']}", key=other)
    assert answer.status_code == 422


async def test_who_keeps_saying_where_to_begin_reads_on_in_the_audit_log() -> None:
    gate = await open_gate()
    for number in range(5):
        gate.clock.advance(1)
        project = {"owner_user_id": "ann"}
        assert (await gate.ask("PUT", f"/v2/projects/p{number}", key="root", json=project)).is_success
    first = (await gate.get("/v2/audit?limit=1", key="root")).json()["data"][0]
    whole = (await gate.get(f"/v2/audit?after={first['id']}", key="root")).json()["data"]
    assert len(whole) >= 4
    told: list[Any] = []
    cursor = ""
    for _ in whole:
        url = f"/v2/audit?after={first['id']}&limit=1{cursor}"
        page = (await gate.get(url, key="root")).json()
        told += page["data"]
        cursor = f"&cursor={page['next_cursor']}"
    assert told == whole


@pytest.mark.parametrize("path", LISTS)
async def test_no_page_is_longer_than_described(path: str) -> None:
    most = PARAMETERS[path]["limit"]["maximum"]
    gate = await open_gate()
    assert (await gate.get(f"{path}?limit={most}".replace("{modality}", "text"), key="root")).is_success
    assert await wrong_fields(gate, f"{path}?limit={most + 1}") == {"limit"}
