"""Each caller's own catalogue over HTTP: the platform's, and what their own keys see, to them alone."""

from typing import Any

import pytest

from headgate.domain.callers import Scope
from headgate.domain.errors import GatewayFault
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from tests.support.gate import FUNCTIONS, Gate, open_gate
from tests.support.keys import change, connect, delete, key_sent
from tests.support.lists import sees
from tests.support.models import model, priced
from tests.support.provider import fake_provider, listing, said

SHARED = model("alpha/maker/m", pricing=priced("1", "2"), context_window=8_000)
OWN = model("alpha/maker/private")
SERVER = {"base_url": "https://own.example"}
LENT = {"x-provider-key": "alpha=sk-lent-0123456789"}


async def two_users(**environ: str) -> tuple[Gate, str]:
    """A gate, and Bob's key beside Ann's."""
    gate = await open_gate("alpha", "beta", models=[SHARED, model("beta/n")], environ=environ)
    return gate, await gate.key(Scope.MODELS_READ, Scope.GENERATE, user_id="bob")


async def body_of(gate: Gate, key: str = "ann", query: str = "", **more: Any) -> dict[str, Any]:
    answer = await gate.get(f"/v2/models{query}", key=key, **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(gate: Gate, key: str = "ann", query: str = "", **more: Any) -> list[str]:
    return [each["id"] for each in (await body_of(gate, key, query, **more))["models"]]


def scripted(gate: Gate, *models: Any, key: Answer | None = None) -> None:
    """What alpha answers to keys that are asked about."""
    gate.transport.on("https://alpha.example/models", listing(*models))
    gate.transport.on("https://alpha.example/key", key or Answer())


# -- connections -------------------------------------------------------------------------------------------


async def test_what_a_connection_sees_is_listed_to_its_owner_alone() -> None:
    gate, bob = await two_users()
    await sees(gate, await connect(gate, "alpha"), SHARED, OWN)
    assert await ids(gate) == [SHARED.id, OWN.id, "beta/n"]
    assert await ids(gate, bob) == [SHARED.id, "beta/n"]
    for path in (f"/v2/models/{OWN.id}", f"/v1/models/{OWN.id}", f"/v1/models/{OWN.id}/endpoints"):
        assert (await gate.get(path)).status_code == 200
        assert (await gate.get(path, key=bob)).status_code == 404
    for key, count in (("ann", 3), (bob, 2)):
        assert len((await gate.get("/v1/models", key=key)).json()["data"]) == count


async def test_each_row_tells_whose_key_it_is_called_with() -> None:
    gate, bob = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN)
    await gate.publish("alpha", SHARED, model("alpha/maker/platforms"))
    body = await body_of(gate)
    assert {each["id"]: each["key_source"] for each in body["models"]} == {
        SHARED.id: "platform",
        "alpha/maker/platforms": "platform",
        OWN.id: "connection",
        "beta/n": "platform",
    }
    assert body["metadata"]["user_provided_keys"] == ["alpha"]
    assert (await body_of(gate, bob))["metadata"]["user_provided_keys"] == []


async def test_a_list_that_nobody_has_read_yet_is_started_and_seen_soon() -> None:
    gate, _ = await two_users()
    made = await connect(gate, "alpha")
    body = await body_of(gate)
    assert body["models"][0]["key_source"] == "connection"
    assert body["metadata"]["stale"] is True
    assert list(gate.starter.connections_started) == [(("ann", made.id),)]
    await ids(gate)
    assert len(gate.starter.connections_started) == 1
    await sees(gate, made, OWN)
    gate.clock.advance(5)
    assert OWN.id in await ids(gate)


async def test_a_list_that_is_old_is_served_and_started_anew() -> None:
    gate, _ = await two_users()
    made = await connect(gate, "alpha")
    await sees(gate, made, OWN)
    await ids(gate)
    assert not gate.starter.connections_started
    gate.clock.advance(700)
    await gate.show(SHARED, model("beta/n"))
    assert OWN.id in await ids(gate)
    assert list(gate.starter.connections_started) == [(("ann", made.id),)]


async def test_a_row_is_filled_up_from_the_platforms_and_its_own_word_comes_first() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha"), model(SHARED.id, context_window=4_000))
    (row, _) = (await body_of(gate))["models"]
    assert (row["context_window"], row["pricing"]["input"]) == (4_000, "1")


async def test_a_server_of_the_users_own_is_no_copy_of_the_platforms() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha", **SERVER), model(SHARED.id))
    (row, _) = (await body_of(gate))["models"]
    assert (row["pricing"], row["key_source"]) == (None, "connection")


async def test_a_provider_that_only_the_caller_has_is_told_like_any_other() -> None:
    gate, bob = await two_users()
    gate.providers["gamma"] = fake_provider("gamma")
    FUNCTIONS["models"].services.registry.register(gate.providers["gamma"])
    await sees(gate, await connect(gate, "gamma"), model("gamma/x"))
    metadata = (await body_of(gate, query="?provider=gamma"))["metadata"]
    assert metadata["providers"]["gamma"] == {
        "status": "healthy",
        "last_checked": "2026-11-20T09:00:00.001Z",
        "model_count": 1,
    }
    assert "gamma" not in (await body_of(gate, bob))["metadata"]["providers"]


async def test_a_list_that_could_not_be_read_is_told_to_its_owner() -> None:
    gate, bob = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN, error="provider_auth: no such key")
    told = (await body_of(gate))["metadata"]
    assert told["providers"]["alpha"]["error"] == "connection 'work': provider_auth: no such key"
    assert told["providers"]["alpha"]["status"] == "degraded"
    assert "error" not in (await body_of(gate, bob))["metadata"]["providers"]["alpha"]


async def test_what_is_wrong_with_a_connection_is_told_under_the_name_that_it_has_now() -> None:
    gate, _ = await two_users()
    row = await connect(gate, "alpha")
    await sees(gate, row, OWN, error="provider_auth: no such key")
    before = (await gate.get("/v2/models")).headers["etag"]
    await change(gate, row, name="home")
    gate.clock.advance(61)
    answer = await gate.get("/v2/models", headers={"if-none-match": before})
    told = answer.json()["metadata"]["providers"]["alpha"]["error"]
    assert told == "connection 'home': provider_auth: no such key"


async def test_a_connection_that_is_gone_takes_its_list_along() -> None:
    gate, _ = await two_users()
    made = await connect(gate, "alpha")
    await sees(gate, made, OWN)
    assert OWN.id in await ids(gate)
    await delete(gate, made)
    gate.clock.advance(61)
    body = await body_of(gate)
    assert OWN.id not in [each["id"] for each in body["models"]]
    assert body["metadata"]["user_provided_keys"] == []


async def test_a_changed_key_is_another_list() -> None:
    gate, _ = await two_users()
    made = await connect(gate, "alpha")
    await sees(gate, made, OWN)
    assert OWN.id in await ids(gate)
    await change(gate, made, sealed=b"another")
    gate.clock.advance(61)
    assert OWN.id not in await ids(gate)


async def test_no_validator_of_one_caller_answers_another() -> None:
    gate, bob = await two_users()
    both = [SHARED, OWN]
    await sees(gate, await connect(gate, "alpha"), *both)
    await sees(gate, await connect(gate, "alpha", user="bob"), *both)
    for path in ("/v2/models", "/v1/models", f"/v2/models/{SHARED.id}"):
        mine = await gate.get(path)
        theirs = await gate.get(path, key=bob, headers={"if-none-match": mine.headers["etag"]})
        assert theirs.status_code == 200
        again = await gate.get(path, headers={"if-none-match": mine.headers["etag"]})
        assert again.status_code == 304


async def test_who_has_no_keys_of_their_own_shares_one_answer() -> None:
    gate, bob = await two_users()
    first = await gate.get("/v2/models")
    assert (await gate.get("/v2/models", key=bob)).headers["etag"] == first.headers["etag"]


async def test_pages_of_an_own_list_follow_their_cursor_and_no_others() -> None:
    gate, bob = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN)
    seen, cursor = [], ""
    while cursor is not None:
        page = await body_of(gate, query=f"?limit=1{cursor and f'&cursor={cursor}'}")
        seen += [each["id"] for each in page["models"]]
        cursor = page["next_cursor"]
        await gate.publish("alpha", SHARED, model(f"alpha/a-new-{len(seen)}"))
        gate.clock.advance(61)
    assert seen == [SHARED.id, OWN.id, "beta/n"]
    cursor = (await body_of(gate, query="?limit=1"))["next_cursor"]
    refused = await gate.get(f"/v2/models?limit=1&cursor={cursor}", key=bob)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")


async def test_while_connections_cant_be_read_the_platforms_list_is_there_and_said_to_be_stale() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN)
    gate.connections.fault = GatewayFault.unavailable("The table")
    body = await body_of(gate)
    assert [each["id"] for each in body["models"]] == [SHARED.id, "beta/n"]
    assert body["metadata"]["stale"] is True
    assert (await gate.get(f"/v2/models/{OWN.id}")).status_code == 503


async def test_a_default_model_is_one_that_everyone_has_where_there_is_one() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha"), model("alpha/cheap", pricing=priced("0.01", "0.01")))
    assert (await body_of(gate))["metadata"]["default_models"] == {"text": SHARED.id}


# -- lent keys ---------------------------------------------------------------------------------------------


async def test_a_lent_key_shows_what_it_sees_for_one_request() -> None:
    gate, bob = await two_users()
    scripted(gate, OWN)
    body = await body_of(gate, headers=LENT)
    assert {each["id"]: each["key_source"] for each in body["models"]} == {
        OWN.id: "lent",
        "beta/n": "platform",
    }
    assert body["metadata"]["user_provided_keys"] == ["alpha"]
    assert {key_sent(each) for each in gate.transport.requests} == {"sk-lent-0123456789"}
    for key in ("ann", bob):
        assert await ids(gate, key) == [SHARED.id, "beta/n"]


async def test_a_lent_keys_list_is_read_once_and_anew_when_it_is_old() -> None:
    gate, _ = await two_users()
    scripted(gate, OWN)
    for _ in range(3):
        await ids(gate, headers=LENT)
    assert len(gate.transport.requests) == 2  # the list, and whether the key is good
    gate.clock.advance(601)
    await ids(gate, headers=LENT)
    assert len(gate.transport.requests) == 4


async def test_another_lent_key_is_another_list() -> None:
    gate, _ = await two_users()

    def by_key(request: WireRequest) -> Answer:
        return listing(model(f"alpha/of-{key_sent(request)[-3:]}"))

    gate.transport.on("https://alpha.example/models", by_key)
    gate.transport.on("https://alpha.example/key", Answer())
    for name in ("one", "two"):
        found = await ids(gate, headers={"x-provider-key": f"alpha=sk-{name}"})
        assert found == [f"alpha/of-{name}", "beta/n"]


@pytest.mark.parametrize("refusal", ["key", "list"])
async def test_a_lent_key_that_fails_is_told_and_never_an_error_of_ours(refusal: str) -> None:
    gate, _ = await two_users()
    bad = Answer(status=401, body=b"no such key sk-lent-0123456789")
    scripted(gate, OWN, key=bad)
    if refusal == "list":
        gate.transport.on("https://alpha.example/models", Answer(status=500))
        gate.transport.on("https://alpha.example/key", Answer())
    body = await body_of(gate, headers=LENT)
    told = body["metadata"]["providers"]["alpha"]
    assert told["error"].startswith(
        "the key lent: " + ("provider_auth" if refusal == "key" else "provider_unavailable")
    )
    assert SHARED.id in [each["id"] for each in body["models"]]
    shown = (await gate.get("/v2/models", headers=LENT)).text + repr(gate.log.entries)
    assert "sk-lent" not in shown


async def test_a_lent_key_comes_before_the_callers_connection_to_the_same_provider() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha"), model("alpha/connected"))
    scripted(gate, OWN)
    assert await ids(gate, headers=LENT) == [OWN.id, "beta/n"]
    assert "alpha/connected" in await ids(gate)


async def test_pages_of_a_lent_keys_list_go_on_in_another_process() -> None:
    gate, _ = await two_users()
    scripted(gate, OWN, model("alpha/z"))
    first = await body_of(gate, query="?limit=2", headers=LENT)
    FUNCTIONS["models"].configure({}, gate.adapters)
    gate.register(FUNCTIONS["models"].services)
    rest = await body_of(gate, query=f"?limit=2&cursor={first['next_cursor']}", headers=LENT)
    found = [each["id"] for page in (first, rest) for each in page["models"]]
    assert found == [OWN.id, "alpha/z", "beta/n"]


# -- refreshing, availability ------------------------------------------------------------------------------


async def test_whoever_may_read_may_have_their_own_lists_read_anew() -> None:
    gate, bob = await two_users()
    made = await connect(gate, "alpha")
    await sees(gate, made, OWN)
    await ids(gate)
    started = await gate.post("/v2/models/refresh")
    assert (started.status_code, started.json()) == (
        202,
        {"started": [{"connection_id": made.id, "provider": "alpha"}]},
    )
    assert list(gate.starter.connections_started) == [(("ann", made.id),)]
    await sees(gate, made, OWN, model("alpha/newest"))
    assert "alpha/newest" in await ids(gate)
    nothing = await gate.post("/v2/models/refresh", key=bob)
    assert (nothing.status_code, nothing.json()) == (200, {"started": []})
    assert not gate.starter.started


async def test_what_can_be_called_now_is_told_by_modality() -> None:
    gate, bob = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN)
    found = (await gate.get("/v2/models/availability")).json()
    assert found["text"] == [SHARED.id, OWN.id, "beta/n"]
    assert (found["image"], len(found)) == ([], 8)
    assert (await gate.get("/v2/models/availability", key=bob)).json()["text"] == [SHARED.id, "beta/n"]
    bound = await gate.key(Scope.MODELS_READ, allowed_models=("beta/n",))
    assert (await gate.get("/v2/models/availability", key=bound)).json()["text"] == ["beta/n"]


@pytest.mark.parametrize("name", ["beta/n", "n", "BETA/n", "maker/n"])
async def test_a_keys_models_are_the_same_in_lists_and_in_calls_by_any_of_their_names(
    name: str,
) -> None:
    gate, _ = await two_users()
    await gate.publish("beta", model("beta/n", canonical_id="maker/n"))
    gate.transport.on("https://beta.example/chat", said("hello"))
    key = await gate.key(Scope.MODELS_READ, Scope.GENERATE, allowed_models=(name,))
    assert (await gate.get("/v2/models/availability", key=key)).json()["text"] == ["beta/n"]
    assert await ids(gate, key, "?available=true") == ["beta/n"]
    for wanted, fine in (("beta/n", True), (SHARED.id, False)):
        told = (await gate.get(f"/v2/models/{wanted}/availability", key=key)).json()["available"]
        ask = {"model": wanted, "messages": [{"role": "user", "content": "hi"}]}
        called = await gate.post("/v1/chat/completions", key=key, json=ask)
        assert (told, called.status_code) == (fine, 200 if fine else 403), called.text
    assert f"It may use {name}." in called.json()["error"]["message"]


async def test_why_a_model_cant_be_called_is_told() -> None:
    gate, _ = await two_users()
    path = f"/v2/models/{SHARED.id}/availability"
    assert (await gate.get(path)).json() == {"available": True, "reasons": []}
    assert (await gate.get("/v2/models/maker/m/availability")).json()["available"] is True
    bound = await gate.key(Scope.MODELS_READ, allowed_models=("beta/n",))
    assert (await gate.get(path, key=bound)).json() == {
        "available": False,
        "reasons": ["this key is for other models"],
    }
    await gate.publish("alpha", model(SHARED.id, expires_at=gate.clock.now()))
    gate.clock.advance(61)
    assert (await gate.get(path)).json()["reasons"] == ["ended on 2026-11-20T09:00:00Z"]
    assert (await gate.get("/v2/models/alpha/none/availability")).status_code == 404


# -- what is served is what is listed ----------------------------------------------------------------------


async def test_a_chat_finds_what_its_callers_own_key_sees_and_nobody_elses() -> None:
    gate, bob = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN)
    gate.transport.on("https://alpha.example/chat", said("hello"))
    ask = {"model": "maker/private", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gate.post("/v1/chat/completions", json=ask)).status_code == 200
    assert key_sent(gate.transport.requests[-1]) == "sk-work-0123456789"
    assert (await gate.post("/v1/chat/completions", key=bob, json=ask)).status_code == 404


async def test_the_platforms_key_is_charged_by_the_platforms_list() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha", **SERVER), model(SHARED.id))
    ask = {"type": "text", "model": SHARED.id, "config": {"prompt": "hi", "max_tokens": 1000}}
    rows = (await gate.post("/v2/generations/explain", json=ask)).json()["candidates"]
    own, platforms = (each for each in rows if each["model"] == SHARED.id)
    assert (own["connection_id"], platforms["connection_id"]) == ("con_work", None)
    assert float(platforms["estimated_cost"]["amount"]) > 0
    dear = ask | {"routing": {"max_price": {"input": "0.5"}}}
    refused = (await gate.post("/v2/generations/explain", json=dear)).json()["candidates"]
    reasons = {each["connection_id"]: each["reasons"] for each in refused if each["model"] == SHARED.id}
    assert reasons[None] == ["its input price is above max_price"]
    assert reasons["con_work"] == ["its input price is unknown, and max_price is set"]


async def test_the_platform_pays_for_nothing_that_its_own_list_does_not_have() -> None:
    gate, _ = await two_users()
    await sees(gate, await connect(gate, "alpha"), OWN)
    gate.transport.on("https://alpha.example/chat", Answer(status=401))
    ask = {"model": OWN.id, "messages": [{"role": "user", "content": "hi"}]}
    assert (await gate.post("/v1/chat/completions", json=ask)).status_code == 424
    assert [key_sent(each) for each in gate.transport.requests] == ["sk-work-0123456789"]
