"""API keys over HTTP, and the administrator's first key without it."""

import asyncio
from typing import Any

import pytest

from functions.accounts import app as accounts
from headgate.domain.callers import Scope
from headgate.domain.errors import InvalidRequest
from tests.support.gate import Gate, open_gate

ASK: dict[str, Any] = {"user_id": "bob", "name": "CI", "scopes": ["models:read", "generate"]}


async def make(gate: Gate, **more: Any) -> dict[str, Any]:
    gate.clock.advance(1)
    answer = await gate.post("/v2/keys", key="root", json=ASK | more)
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


async def test_a_new_key_is_shown_once_and_works() -> None:
    gate = await open_gate()
    made = await make(gate)
    text = made.pop("key")
    assert text.startswith("hg_")
    assert made["hint"] == text[-4:]
    assert (await gate.get("/v2/models", key=text)).status_code == 200
    shown = (await gate.get(f"/v2/keys/{made['id']}", key="root")).json()
    assert shown == made
    assert text not in str((await gate.get("/v2/keys", key="root")).json())


async def test_a_key_is_told_with_everything_it_was_made_with() -> None:
    gate = await open_gate()
    made = await make(
        gate,
        project_id="prj_1",
        expires_at="2027-01-01T00:00:00+01:00",
        allowed_models=["alpha/m"],
        limits={"requests_per_minute": 5, "credits_per_day": "1.5", "credits_per_month": 20},
    )
    del made["key"], made["id"], made["hint"]
    assert made == {
        "user_id": "bob",
        "project_id": "prj_1",
        "name": "CI",
        "scopes": ["generate", "models:read"],
        "expires_at": "2026-12-31T23:00:00Z",
        "allowed_models": ["alpha/m"],
        "limits": {
            "requests_per_minute": 5,
            "tokens_per_minute": None,
            "credits_per_day": {"amount": "1.5", "currency": "USD"},
            "credits_per_month": {"amount": "20", "currency": "USD"},
        },
        "created_at": "2026-11-20T09:00:01Z",
        "revoked_at": None,
    }


async def test_a_revoked_key_is_dead_within_a_minute() -> None:
    gate = await open_gate()
    made = await make(gate)
    assert (await gate.get("/v2/models", key=made["key"])).status_code == 200
    gone = await gate.ask("DELETE", f"/v2/keys/{made['id']}", key="root")
    assert (gone.status_code, gone.content) == (204, b"")
    gate.clock.advance(60)
    assert (await gate.get("/v2/models", key=made["key"])).status_code == 401
    assert (await gate.get(f"/v2/keys/{made['id']}", key="root")).json()["revoked_at"] is not None
    assert (await gate.ask("DELETE", f"/v2/keys/{made['id']}", key="root")).status_code == 204


async def test_a_caller_sees_only_their_own_and_an_administrator_all() -> None:
    gate = await open_gate()
    bobs, anns = await make(gate), await make(gate, user_id="ann")
    for query in ("", "?user_id=ann", "?user_id="):
        own = (await gate.get(f"/v2/keys{query}")).json()["data"]
        assert {each["user_id"] for each in own} == {"ann"}
        assert anns["id"] in {each["id"] for each in own}
    hidden = await gate.get(f"/v2/keys/{bobs['id']}")
    missing = await gate.get("/v2/keys/key_none")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["code"] == missing.json()["code"] == "not_found"
    every = (await gate.get("/v2/keys", key="root")).json()["data"]
    assert {each["user_id"] for each in every} == {"ann", "bob", "root"}
    theirs = (await gate.get("/v2/keys?user_id=bob", key="root")).json()["data"]
    assert [each["id"] for each in theirs] == [bobs["id"]]


OF_SOMEONE = ["/v2/keys", "/v2/credits", "/v2/credits/ledger", "/v2/usage"]


@pytest.mark.parametrize("path", OF_SOMEONE)
@pytest.mark.parametrize("name", ["user_id", "userId"])
async def test_of_others_only_administrators_ask_and_who_there_is_nobody_learns(path: str, name: str) -> None:
    gate = await open_gate()
    await make(gate)
    base = "/api" if name == "userId" else ""

    async def ask(user_id: str, key: str) -> Any:
        answer = await gate.ask("GET", f"{base}{path}", key=key, params={name: user_id})
        return answer.status_code, {
            part: told for part, told in answer.json().items() if part != "request_id"
        }

    status, refused = await ask("bob", "ann")
    assert (status, refused["code"]) == (403, "forbidden")
    assert [error["field"] for error in refused["errors"]] == ["user_id"]
    for other in ("nobody", "root", "*", " ann", "ANN"):
        assert await ask(other, "ann") == (403, refused)
    for user_id, key in (("ann", "ann"), ("bob", "root"), ("nobody", "root"), ("root", "root")):
        assert (await ask(user_id, key))[0] == 200


async def test_lists_come_in_pages_newest_first() -> None:
    gate = await open_gate()
    made = [(await make(gate))["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await gate.get(f"/v2/keys?user_id=bob&limit=2{cursor}", key="root")).json()
        assert len(page["data"]) <= 2
        seen += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]


@pytest.mark.parametrize("path", ["/v2/keys", "/v2/generations"])
@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=-1", "limit")],
)
async def test_a_page_that_makes_no_sense_is_named(path: str, query: str, field: str) -> None:
    answer = await (await open_gate()).get(f"{path}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("path", ["/v2/keys", "/v2/generations"])
async def test_a_cursor_that_is_none_of_ours_is_named(path: str) -> None:
    answer = await (await open_gate()).get(f"{path}?cursor=nonsense")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


# -- the first key -----------------------------------------------------------------------------------------


async def mint(event: dict[str, Any], **environ: str) -> tuple[Gate, dict[str, Any]]:
    gate = await open_gate(environ=environ)
    return gate, await accounts.on_event(accounts.function.services, event)


async def test_whoever_may_invoke_the_function_gets_an_administrators_key() -> None:
    gate, made = await mint({"action": "mint_admin_key"})
    assert made["user_id"] == "admin"
    answer = await gate.get("/v2/models?force=false", key=made["key"])
    assert answer.status_code == 200
    shown = (await gate.get(f"/v2/keys/{made['id']}", key=made["key"])).json()
    assert set(shown["scopes"]) == set(Scope)


async def test_its_text_may_be_chosen_in_the_local_runner_only() -> None:
    event = {"action": "mint_admin_key", "key": "hg_chosen", "user_id": "me"}
    _, made = await mint(event, HEADGATE_LOCAL="1")
    assert (made["key"], made["user_id"]) == ("hg_chosen", "me")
    _, made = await mint(event)
    assert made["key"] != "hg_chosen"


@pytest.mark.parametrize("event", [{}, {"action": "x"}, {"action": None}])
async def test_no_other_event_makes_a_key(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await mint(event)


def test_an_http_request_can_not_look_like_that_event() -> None:
    async def run() -> Gate:
        return await open_gate()

    gate = asyncio.run(run())
    event = {
        "action": "mint_admin_key",
        "httpMethod": "POST",
        "path": "/v2/keys",
        "resource": "/{proxy+}",
        "headers": {"Host": "gate"},
        "multiValueHeaders": {"Host": ["gate"]},
        "queryStringParameters": {"action": "mint_admin_key"},
        "multiValueQueryStringParameters": {"action": ["mint_admin_key"]},
        "body": '{"action": "mint_admin_key"}',
        "isBase64Encoded": False,
        "requestContext": {"httpMethod": "POST", "identity": {"sourceIp": "127.0.0.1"}},
    }
    answer = accounts.function.handler(event, None)
    accounts.function.close()
    assert answer["statusCode"] == 401
    assert not gate.log.named("key.minted")[2:]
