"""What administrators say of single models, and of the registry: listed, served and charged accordingly."""

from typing import Any

import httpx
import pytest

from headgate.domain.accounts import Flag
from headgate.domain.audit import audit_event
from headgate.domain.callers import Scope
from headgate.domain.errors import GatewayFault
from headgate.testing.memory import Answer
from tests.support.gate import FUNCTIONS, Gate, open_gate
from tests.support.keys import connect
from tests.support.keys import say as put_settings
from tests.support.lists import sees
from tests.support.models import model, priced
from tests.support.provider import fake_provider, listing, said

M = model("alpha/maker/m", pricing=priced("1", "10", source="alpha"), premium=True)
TWIN = model("beta/maker/m", pricing=priced("2", "20"))
N = model("beta/n")
ASK: dict[str, Any] = {"model": M.id, "messages": [{"role": "user", "content": "hi"}]}
PATH = f"/v2/models/{M.id}/override"


async def open_shop() -> Gate:
    gate = await open_gate("alpha", "beta", models=[M, TWIN, N])
    for slug in ("alpha", "beta"):
        gate.transport.on(f"https://{slug}.example/chat", said("hello", tokens=(1_000_000, 100_000)))
    return gate


async def say(gate: Gate, path: str = PATH, **fields: Any) -> httpx.Response:
    return await gate.ask("PATCH", path, key="root", json=fields)


async def row(gate: Gate, name: str = M.id, **more: Any) -> dict[str, Any]:
    answer = await gate.get(f"/v2/models/{name}", **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def turn(gate: Gate, name: str, *, on: bool) -> None:
    now = gate.clock.now()
    event = audit_event(at=now, actor="key_x", action="flag.set", target=name)
    flag = Flag(name=name, schema={"default": on}, updated_at=now, updated_by="key_x")
    await gate.accounts.put_flag(flag, event)
    gate.clock.advance(61)


# -- out of use --------------------------------------------------------------------------------------------


async def test_a_disabled_model_is_shown_so_and_serves_nobody() -> None:
    gate = await open_shop()
    assert (await gate.post("/v1/chat/completions", json=ASK)).status_code == 200
    assert (await say(gate, enabled=False)).status_code == 200
    shown = await row(gate)
    assert (shown["enabled"], shown["status"]) == (False, "unavailable")
    assert shown["error_message"] == "Disabled by an administrator."
    assert M.id not in [each["id"] for each in (await gate.get("/v1/models")).json()["data"]]
    available = (await gate.get(f"/v2/models/{M.id}/availability")).json()
    assert available == {"available": False, "reasons": ["disabled by an administrator"]}
    gate.clock.advance(61)
    told = await gate.post(
        "/v2/generations/explain", json={"type": "text", "model": M.id, "config": {"prompt": "hi"}}
    )
    (mine,) = (each for each in told.json()["candidates"] if each["model"] == M.id)
    assert (mine["kept"], mine["reasons"]) == (False, ["disabled by an administrator"])
    served = await gate.post("/v1/chat/completions", json=ASK)
    assert served.headers["x-headgate-provider"] == "beta"


async def test_no_key_of_the_callers_own_brings_a_disabled_model_back() -> None:
    gate = await open_shop()
    await sees(gate, await connect(gate, "beta"), N)
    await say(gate, f"/v2/models/{N.id}/override", enabled=False)
    gate.clock.advance(61)
    assert (await row(gate, N.id))["enabled"] is False
    refused = await gate.post("/v1/chat/completions", json=ASK | {"model": N.id})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_route")
    assert not gate.transport.requests


async def test_what_is_disabled_stays_so_while_its_list_does_not_have_it() -> None:
    gate = await open_shop()
    await sees(gate, await connect(gate, "beta"), N)
    await say(gate, f"/v2/models/{N.id}/override", enabled=False)
    await gate.publish("beta", TWIN)
    gate.clock.advance(61)
    refused = await gate.post("/v1/chat/completions", json=ASK | {"model": N.id})
    assert refused.status_code == 422
    assert not gate.transport.requests


async def test_a_default_model_that_is_disabled_is_no_default() -> None:
    gate = await open_shop()
    assert (await gate.get("/v2/models")).json()["metadata"]["default_models"]["text"] == M.id
    await say(gate, enabled=False)
    assert (await gate.get("/v2/models")).json()["metadata"]["default_models"]["text"] == TWIN.id


# -- modality, price, note ---------------------------------------------------------------------------------


async def test_a_model_is_found_where_the_override_puts_it() -> None:
    gate = await open_shop()
    await say(gate, modality="image")
    found = (await gate.get("/v2/models?modality=image")).json()["models"]
    assert [each["id"] for each in found] == [M.id]


async def test_a_price_is_shown_as_the_operators_and_charged() -> None:
    gate = await open_shop()
    await say(gate, price={"input": "3", "output": "30.50", "units": {"image": "0.04"}})
    price = (await row(gate))["pricing"]
    assert (price["input"], price["output"], price["cache_read"]) == ("3", "30.5", None)
    assert (price["units"], price["source"], price["as_of"]) == (
        {"image": "0.04"},
        "override",
        "2026-11-20T09:00:00Z",
    )
    gate.clock.advance(61)
    answer = await gate.post("/v1/chat/completions", json=ASK)
    assert answer.json()["cost"] == "6.05"


async def test_free_is_not_premium_any_more() -> None:
    gate = await open_shop()
    await say(gate, price={"input": "0", "output": "0"})
    assert (await row(gate))["premium"] is False


async def test_a_note_is_shown_to_administrators_alone() -> None:
    gate = await open_shop()
    plain = await gate.get(f"/v2/models/{M.id}")
    await say(gate, note="under review")
    assert (await row(gate, key="root"))["override"]["note"] == "under review"
    hers = await gate.get(f"/v2/models/{M.id}")
    assert "override" not in hers.json()
    assert "under review" not in hers.text
    roots = await gate.get(f"/v2/models/{M.id}", key="root")
    again = await gate.get(f"/v2/models/{M.id}", headers={"if-none-match": roots.headers["etag"]})
    assert (again.status_code, plain.status_code) == (200, 200)


# -- saying it ---------------------------------------------------------------------------------------------


async def test_what_is_not_said_stays_and_null_goes_back_to_the_providers_word() -> None:
    gate = await open_shop()
    await say(gate, enabled=False, note="why", price={"input": "5"})
    later = (await say(gate, enabled=None)).json()
    assert (later["enabled"], later["note"], later["price"]["input"]) == (None, "why", "5")
    assert (await row(gate))["enabled"] is True
    assert (await say(gate, price=None)).json()["price"] is None
    assert (await row(gate))["pricing"]["input"] == "1"


async def test_without_its_override_a_model_is_as_before() -> None:
    gate = await open_shop()
    before = await gate.get("/v2/models")
    await say(gate, enabled=False, modality="image", price={"input": "5"})
    assert (await gate.get("/v2/models")).headers["etag"] != before.headers["etag"]
    assert (await gate.ask("DELETE", PATH, key="root")).status_code == 204
    after = await gate.get("/v2/models")
    assert (after.headers["etag"], after.json()["models"]) == (
        before.headers["etag"],
        before.json()["models"],
    )
    assert (await gate.ask("DELETE", PATH, key="root")).status_code == 404


async def test_every_change_is_in_the_audit_log() -> None:
    gate = await open_shop()
    await say(gate, enabled=False, price={"input": "5"})
    gate.clock.advance(1)
    await gate.ask("DELETE", PATH, key="root")
    events = await gate.accounts.read_audit(after=None, limit=100)
    told = [(each.action, each.target, each.user_id) for each in events if "override" in each.action]
    assert told == [("override.set", M.id, "root"), ("override.delete", M.id, "root")]
    (made,) = (each for each in events if each.action == "override.set")
    assert made.details == {"enabled": "false", "price": "input 5"}


async def test_only_administrators_say_anything() -> None:
    gate = await open_shop()
    for method in ("PATCH", "DELETE"):
        assert (await gate.ask(method, PATH, json={"enabled": False})).status_code == 403
    assert await gate.accounts.read_overrides() == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"enabled": "no"}, "enabled"),
        ({"modality": "smell"}, "modality"),
        ({"price": {"input": "-1"}}, "price.input"),
        ({"price": {"input": "1e3"}}, "price.input"),
        ({"price": {"input": "NaN"}}, "price.input"),
        ({"price": {"input": True}}, "price.input"),
        ({"price": {"input": "1000001"}}, "price.input"),
        ({"price": {"inputs": "1"}}, "price.inputs"),
        ({"price": {"units": {"image": "x"}}}, "price.units.image"),
        ({"price": {"units": {"image": None}}}, "price.units.image"),
        ({"price": {}}, "price"),
        ({"price": {"cache_read": "1"}}, "price"),
        ({"note": "x" * 1001}, "note"),
        ({"enabld": False}, "enabld"),
        ({}, None),
    ],
)
async def test_what_makes_no_sense_is_named_and_changes_nothing(body: Any, field: str | None) -> None:
    gate = await open_shop()
    answer = await gate.ask("PATCH", PATH, key="root", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json().get("errors", [])] == ([] if field is None else [field])
    assert await gate.accounts.read_overrides() == {}


async def test_a_model_that_nobody_lists_is_404_with_those_that_come_close() -> None:
    gate = await open_shop()
    answer = await say(gate, "/v2/models/alpha/maker/mm/override", enabled=False)
    assert (answer.status_code, answer.json()["suggestions"][0]) == (404, M.id)
    assert (await say(gate, "/v2/models/maker/m/override", enabled=False)).status_code == 404


async def test_an_override_can_be_changed_though_its_model_is_gone() -> None:
    gate = await open_shop()
    await say(gate, enabled=False)
    await gate.publish("alpha")
    gate.clock.advance(61)
    assert (await say(gate, note="gone")).json()["enabled"] is False
    assert (await gate.ask("DELETE", PATH, key="root")).status_code == 204


async def test_overrides_hold_while_they_cant_be_read_again() -> None:
    gate = await open_shop()
    await say(gate, enabled=False)
    assert (await row(gate))["enabled"] is False
    assert (await gate.get("/v2/models", key="root")).status_code == 200
    gate.accounts.fault = GatewayFault.unavailable("The table")
    gate.clock.advance(30)
    catalog = FUNCTIONS["models"].services.catalog
    assert (await catalog.reload()).is_disabled(M.id)


# -- the registry switched off, or out of reach -------------------------------------------------------------


async def with_defaults(*slugs: str) -> Gate:
    gate = await open_gate(
        "alpha", "beta", models=[M, TWIN, N], environ={"HEADGATE_DEFAULT_PROVIDERS": ",".join(slugs)}
    )
    gate.transport.on("https://alpha.example/chat", said("hello"))
    return gate


async def test_with_the_registry_off_the_default_providers_are_listed_and_serve_and_no_other() -> None:
    gate = await with_defaults("alpha")
    assert len((await gate.get("/v2/models")).json()["models"]) == 3
    await turn(gate, "use_provider_registry", on=False)
    body = (await gate.get("/v2/models")).json()
    assert [each["id"] for each in body["models"]] == [M.id]
    assert (body["metadata"]["stale"], set(body["metadata"]["providers"])) == (True, {"alpha"})
    assert len((await gate.get("/v1/models")).json()["data"]) == 1
    assert (await gate.post("/v1/chat/completions", json=ASK)).status_code == 200
    for name in (TWIN.id, N.id):
        assert not (await gate.post("/v1/chat/completions", json=ASK | {"model": name})).is_success
    assert {request.url.split("/")[2] for request in gate.transport.requests} == {"alpha.example"}
    await turn(gate, "use_provider_registry", on=True)
    body = (await gate.get("/v2/models")).json()
    assert (len(body["models"]), body["metadata"]["stale"]) == (3, False)


async def test_a_switch_for_one_user_is_for_that_user_alone() -> None:
    gate = await with_defaults("alpha")
    now = gate.clock.now()
    rule = {"when_match": False, "conditions": [{"action": "EQUALS", "key": "user_id", "value": "ann"}]}
    flag = Flag(
        name="use_provider_registry",
        schema={"default": True, "rules": {"ann": rule}},
        updated_at=now,
        updated_by="x",
    )
    await gate.accounts.put_flag(flag, audit_event(at=now, actor="x", action="flag.set", target="x"))
    bob = await gate.key(Scope.MODELS_READ, user_id="bob")
    for key, count in (("ann", 1), (bob, 3), ("ann", 1)):
        assert len((await gate.get("/v2/models", key=key)).json()["models"]) == count


async def test_while_the_registry_is_off_keys_of_the_callers_reach_the_default_providers_alone() -> None:
    gate = await with_defaults("alpha")
    await sees(gate, await connect(gate, "alpha", "a"), model("alpha/mine"))
    await sees(gate, await connect(gate, "beta", "b"), model("beta/mine"))
    await turn(gate, "use_provider_registry", on=False)
    body = (await gate.get("/v2/models")).json()
    assert [each["id"] for each in body["models"]] == [M.id, "alpha/mine"]


async def test_while_the_registry_is_off_no_default_of_a_connection_leads_elsewhere() -> None:
    gate = await with_defaults("alpha")
    await connect(gate, "beta", "b", default_model="mine")
    gate.transport.on("https://beta.example/chat", said("hello"))
    await turn(gate, "use_provider_registry", on=False)
    ask = {"type": "text", "config": {"prompt": "hi"}}
    for _ in range(2):
        answer = await gate.post("/v2/generations", json=ask)
        assert (answer.status_code, answer.json()["model"]) == (200, M.id)
        await put_settings(gate, "user:ann", connections={"text": "con_b"})
        gate.clock.advance(61)
    assert {request.url.split("/")[2] for request in gate.transport.requests} == {"alpha.example"}


async def test_with_no_store_the_default_providers_public_lists_are_fetched_and_kept() -> None:
    gate = await with_defaults("alpha", "beta")
    registry = FUNCTIONS["models"].services.registry
    registry.register(fake_provider("alpha", public_list=True), replace=True)
    gate.transport.on("https://alpha.example/models", listing(M))
    gate.catalog_store.fault = GatewayFault.unavailable("The table")
    for _ in range(3):
        body = (await gate.get("/v2/models")).json()
        assert [each["id"] for each in body["models"]] == [M.id]
        assert body["metadata"]["stale"] is True
        assert body["metadata"]["providers"]["beta"]["error"].startswith("gateway_unavailable")
    assert len((await gate.get("/v1/models")).json()["data"]) == 1
    assert len(gate.transport.requests) == 1
    assert all("authorization" not in request.headers for request in gate.transport.requests)
    gate.catalog_store.fault = None
    gate.clock.advance(3)
    body = (await gate.get("/v2/models")).json()
    assert (len(body["models"]), body["metadata"]["stale"]) == (3, False)


async def test_with_no_store_and_no_public_list_there_is_an_empty_list_and_no_failure() -> None:
    gate = await with_defaults("alpha")
    registry = FUNCTIONS["models"].services.registry
    registry.register(fake_provider("alpha", public_list=True), replace=True)
    gate.transport.on("https://alpha.example/models", Answer(status=503))
    gate.catalog_store.fault = GatewayFault.unavailable("The table")
    body = (await gate.get("/v2/models")).json()
    assert (body["models"], body["metadata"]["stale"]) == ([], True)
    assert body["metadata"]["providers"]["alpha"]["status"] == "down"
