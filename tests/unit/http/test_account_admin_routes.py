"""Projects, settings, credits, flags and the audit log over HTTP; keys that rotate; repetitions."""

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from headgate.domain.callers import Scope
from headgate.domain.errors import GatewayFault
from tests.support.gate import Gate, open_gate

KEY: dict[str, Any] = {"user_id": "bob", "name": "CI", "scopes": ["models:read", "generate", "connections"]}
GRANT: dict[str, Any] = {"user_id": "ann", "amount": "5.25", "reason": "to start with"}


async def put(gate: Gate, path: str, body: Any, key: str = "root") -> httpx.Response:
    return await gate.ask("PUT", path, key=key, json=body)


async def balance(gate: Gate, key: str = "ann") -> dict[str, str]:
    shown = (await gate.get("/v2/credits", key=key)).json()
    return {name: money["amount"] for name, money in shown.items()}


def fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422
    return [error["field"] for error in answer.json()["errors"]]


# -- keys --------------------------------------------------------------------------------------------------


async def test_a_rotated_key_has_a_new_text_and_the_old_one_until_it_says() -> None:
    gate = await open_gate()
    made = (await gate.post("/v2/keys", key="root", json=KEY)).json()
    turned = await gate.post(f"/v2/keys/{made['id']}/rotate", key="root", json={"grace_s": 120})
    assert turned.status_code == 200
    new = turned.json()
    assert (new["id"], new["old_key_expires_at"]) == (made["id"], "2026-11-20T09:02:00Z")
    assert new["hint"] == new["key"][-4:] != made["hint"]
    for status in (200, 401):
        assert (await gate.get("/v2/keys", key=made["key"])).status_code == status
        assert (await gate.get("/v2/keys", key=new["key"])).status_code == 200
        gate.clock.advance(120)


async def test_without_a_body_the_grace_is_an_hour_and_without_a_grace_the_old_text_is_dead_in_a_minute() -> (
    None
):
    gate = await open_gate()
    made = (await gate.post("/v2/keys", key="root", json=KEY)).json()
    assert (await gate.get("/v2/keys", key=made["key"])).status_code == 200
    turned = (await gate.post(f"/v2/keys/{made['id']}/rotate", key="root")).json()
    assert turned["old_key_expires_at"] == "2026-11-20T10:00:00Z"
    last = (await gate.post(f"/v2/keys/{made['id']}/rotate", key="root", json={"grace_s": 0})).json()
    assert last["old_key_expires_at"] is None
    gate.clock.advance(60)
    for text, status in ((made["key"], 401), (turned["key"], 401), (last["key"], 200)):
        assert (await gate.get("/v2/keys", key=text)).status_code == status


@pytest.mark.parametrize("grace", [-1, 604_801, "5", 1.5, True, None])
async def test_a_grace_that_can_not_be_is_named(grace: Any) -> None:
    gate = await open_gate()
    made = (await gate.post("/v2/keys", key="root", json=KEY)).json()
    answer = await gate.post(f"/v2/keys/{made['id']}/rotate", key="root", json={"grace_s": grace})
    assert fields(answer) == ["grace_s"]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"user_id": " "}, ["user_id"]),
        ({"user_id": "bob\u202e"}, ["user_id"]),
        ({"project_id": "a\x00"}, ["project_id"]),
        ({"name": "\t"}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ({"allowed_models": ["a/b", " "]}, ["allowed_models[1]"]),
        ({"expires_at": "9999-12-31T23:59:59-10:00"}, ["expires_at"]),
        ({"expires_at": "0001-01-01T00:00:00+10:00"}, ["expires_at"]),
        ({"expires_at": "2030-01-01T00:00:00"}, ["expires_at"]),
        ({"expires_at": 1_900_000_000}, ["expires_at"]),
        ({"limits": {"requests_per_minute": True}}, ["limits.requests_per_minute"]),
        ({"limits": {"tokens_per_minute": "5"}}, ["limits.tokens_per_minute"]),
    ],
)
async def test_a_key_that_can_not_be_is_named(more: Any, named: list[str]) -> None:
    gate = await open_gate()
    assert fields(await gate.post("/v2/keys", key="root", json=KEY | more)) == named
    assert (await gate.get("/v2/keys?user_id=bob", key="root")).json()["data"] == []


async def test_blanks_around_a_users_id_are_no_part_of_it() -> None:
    gate = await open_gate()
    made = (await gate.post("/v2/keys", key="root", json=KEY | {"user_id": " bob "})).json()
    assert made["user_id"] == "bob"


async def test_only_administrators_rotate_and_a_dead_key_is_a_conflict() -> None:
    gate = await open_gate()
    made = (await gate.post("/v2/keys", key="root", json=KEY | {"user_id": "ann"})).json()
    path = f"/v2/keys/{made['id']}/rotate"
    assert (await gate.post(path, key="ann")).status_code == 403
    assert (await gate.post("/v2/keys/key_none/rotate", key="root")).status_code == 404
    await gate.ask("DELETE", f"/v2/keys/{made['id']}", key="root")
    dead = await gate.post(path, key="root")
    assert (dead.status_code, dead.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("1.50", "1.5"),
        (2, "2"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        ({"amount": "0.000000001", "currency": "USD"}, "0.000000001"),
        ({"amount": 3}, "3"),
        ("0", "0"),
    ],
)
async def test_credits_of_a_key_are_taken_in_any_form_and_told_as_money(given: Any, shown: str) -> None:
    gate = await open_gate()
    limits = {"credits_per_day": given, "credits_per_month": None}
    made = (await gate.post("/v2/keys", key="root", json=KEY | {"limits": limits})).json()
    assert made["limits"]["credits_per_day"] == {"amount": shown, "currency": "USD"}
    assert made["limits"]["credits_per_month"] is None
    assert (await gate.get(f"/v2/keys/{made['id']}", key="root")).json()["limits"] == made["limits"]


WRONG_MONEY = [
    "",
    "x",
    "1,5",
    "1e3",
    "-1",
    "NaN",
    "0.0000000001",
    True,
    [],
    {"amount": "1", "currency": "EUR"},
]


@pytest.mark.parametrize("given", [*WRONG_MONEY, {}, {"amount": {"amount": 1}}, "9" * 13, "１"])
async def test_what_is_no_amount_of_dollars_is_named(given: Any) -> None:
    gate = await open_gate()
    body = KEY | {"limits": {"credits_per_month": given}}
    assert fields(await gate.post("/v2/keys", key="root", json=body)) == ["limits.credits_per_month"]


async def test_a_key_that_is_asked_for_twice_under_one_idempotency_key_is_made_once() -> None:
    gate = await open_gate()
    headers = {"idempotency-key": "one"}
    first = await gate.post("/v2/keys", key="root", json=KEY, headers=headers)
    gate.clock.advance(30)
    again = await gate.post("/v2/keys", key="root", json=KEY, headers=headers)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again.headers["idempotency-replayed"] == "true"
    turns = [
        await gate.post(
            f"/v2/keys/{first.json()['id']}/rotate", key="root", headers={"idempotency-key": "two"}
        )
        for _ in range(2)
    ]
    assert turns[0].json() == turns[1].json()
    assert len((await gate.get("/v2/keys?user_id=bob", key="root")).json()["data"]) == 1
    for text in (first.json()["key"], turns[0].json()["key"]):
        assert (await gate.get("/v2/keys", key=text)).status_code == 200
    assert first.json()["key"] not in str(vars(gate.accounts))


async def test_a_key_whose_making_broke_off_anywhere_is_the_same_when_it_is_asked_for_again() -> None:
    for calls in range(4):
        gate = await open_gate()
        await gate.get(
            "/v2/keys", key="root"
        )  # the caller is known: the store is asked for what follows alone
        gate.accounts.fault, gate.accounts.faults_after = GatewayFault.unavailable("The table"), calls
        first = await gate.post("/v2/keys", key="root", json=KEY, headers={"idempotency-key": "one"})
        gate.accounts.fault = None
        gate.clock.advance(5)
        again = await gate.post("/v2/keys", key="root", json=KEY, headers={"idempotency-key": "one"})
        assert again.status_code == 201
        if first.status_code == 201:
            assert first.content == again.content
        mints = [
            event
            for event in (await gate.get("/v2/audit?limit=100", key="root")).json()["data"]
            if event["action"] == "key.mint" and event["target"] == again.json()["id"]
        ]
        assert len(mints) == 1
        assert len((await gate.get("/v2/keys?user_id=bob", key="root")).json()["data"]) == 1


# -- projects and settings ---------------------------------------------------------------------------------


async def test_a_project_is_made_replaced_shown_and_deleted() -> None:
    gate = await open_gate()
    body = {"owner_user_id": "ann", "members": ["bob"]}
    made = await put(gate, "/v2/projects/film", body)
    assert made.status_code == 201
    assert made.json() == body | {
        "id": "film",
        "settings_user_id": None,
        "created_at": "2026-11-20T09:00:00Z",
        "updated_at": "2026-11-20T09:00:00Z",
    }
    assert (await put(gate, "/v2/projects/film", body | {"settings_user_id": "eve"})).status_code == 200
    shown = (await gate.get("/v2/projects/film", key="ann")).json()
    assert (shown["settings_user_id"], shown["members"]) == ("eve", ["bob"])
    assert (await gate.ask("DELETE", "/v2/projects/film", key="root")).status_code == 204
    for key in ("ann", "root"):
        assert (await gate.get("/v2/projects/film", key=key)).status_code == 404
    assert (await gate.ask("DELETE", "/v2/projects/film", key="root")).status_code == 404


async def test_a_stranger_can_not_tell_a_project_and_a_member_can_not_change_it() -> None:
    gate = await open_gate()
    await put(gate, "/v2/projects/film", {"owner_user_id": "bob"})
    bodies = [(await gate.get(f"/v2/projects/{one}", key="ann")).json() for one in ("film", "none")]
    for body in bodies:
        body.pop("request_id")
        body["detail"] = body["detail"].replace("film", "none")
    assert bodies[0] == bodies[1]
    assert (await put(gate, "/v2/projects/film", {"owner_user_id": "ann"}, key="ann")).status_code == 403
    assert (await gate.ask("DELETE", "/v2/projects/film", key="ann")).status_code == 403


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["owner_user_id"]),
        ({"owner_user_id": ""}, ["owner_user_id"]),
        ({"owner_user_id": "  "}, ["owner_user_id"]),
        ({"owner_user_id": "a\x00b"}, ["owner_user_id"]),
        ({"owner_user_id": "a", "settings_user_id": "b\nc"}, ["settings_user_id"]),
        ({"owner_user_id": "a", "members": "bob"}, ["members"]),
        ({"owner_user_id": "a", "members": [""]}, ["members[0]"]),
        ({"owner_user_id": "a", "extra": 1}, ["extra"]),
    ],
)
async def test_a_project_that_can_not_be_is_named(body: Any, named: list[str]) -> None:
    assert fields(await put(await open_gate(), "/v2/projects/film", body)) == named


async def test_settings_are_written_and_read_back_by_their_owner() -> None:
    gate = await open_gate()
    bob = (await gate.post("/v2/keys", key="root", json=KEY)).json()["key"]
    body = {
        "default_models": {"text": "alpha/m"},
        "providers": {"image": "google"},
        "connections": {},
        "flags": {"newStudio": True},
    }
    stored = await put(gate, "/api/v2/settings", body, key=bob)
    assert stored.status_code == 200
    assert stored.json() == body | {"providers": {"image": "gemini"}}
    assert (await gate.get("/v2/settings", key=bob)).json() == stored.json()
    assert (await gate.get("/v2/settings", key="ann")).json() == {name: {} for name in body}
    camel = await put(gate, "/api/v2/settings", {"defaultModels": {"text": "beta/m"}}, key=bob)
    assert camel.json() == {name: {} for name in body} | {"default_models": {"text": "beta/m"}}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"default_models": {"smell": "a/b"}}, ["default_models.smell"]),
        ({"default_models": {"text": ""}}, ["default_models.text"]),
        ({"default_models": {"text": "a\nb"}}, ["default_models.text"]),
        ({"default_models": {"text": 5}}, ["default_models.text"]),
        ({"default_models": []}, ["default_models"]),
        ({"providers": {"text": "nobody"}}, ["providers.text"]),
        ({"connections": {"text": "con_none"}}, ["connections.text"]),
        ({"flags": {"x": "yes"}}, ["flags.x"]),
        ({"theme": "dark"}, ["theme"]),
    ],
)
async def test_a_setting_that_can_not_be_is_named(body: Any, named: list[str]) -> None:
    gate = await open_gate()
    assert fields(await put(gate, "/v2/settings", body)) == named
    assert (await gate.get("/v2/settings", key="root")).json()["default_models"] == {}


async def test_a_key_that_may_not_touch_connections_changes_no_settings() -> None:
    gate = await open_gate()
    assert (await put(gate, "/v2/settings", {}, key="ann")).status_code == 403


async def test_a_projects_settings_are_apart_from_their_writers() -> None:
    gate = await open_gate()
    bob = (await gate.post("/v2/keys", key="root", json=KEY)).json()["key"]
    await put(gate, "/v2/projects/film", {"owner_user_id": "bob", "members": ["ann"]})
    path = "/v2/settings?project_id=film"
    assert (await put(gate, path, {"default_models": {"text": "alpha/m"}}, key=bob)).status_code == 200
    assert (await gate.get(path, key="ann")).json()["default_models"] == {"text": "alpha/m"}
    assert (await gate.get("/v2/settings", key=bob)).json()["default_models"] == {}
    ann = await gate.key(Scope.CONNECTIONS, Scope.MODELS_READ)
    assert (await put(gate, path, {}, key=ann)).status_code == 403
    eve = await gate.key(Scope.CONNECTIONS, Scope.MODELS_READ, user_id="eve")
    for answer in (await gate.get(path, key=eve), await put(gate, path, {}, key=eve)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# -- credits -----------------------------------------------------------------------------------------------


async def test_credits_begin_at_nothing_and_grow_by_what_is_granted() -> None:
    gate = await open_gate()
    assert await balance(gate) == dict.fromkeys(("balance", "reserved", "available"), "0")
    made = await gate.post("/v2/credits/grants", key="root", json=GRANT)
    assert made.status_code == 201
    entry = made.json()
    assert (entry.pop("user_id"), entry["kind"], entry["reason"]) == ("ann", "grant", "to start with")
    assert entry["amount"] == {"amount": "5.25", "currency": "USD"}
    gate.clock.advance(1)
    taken = await gate.post("/v2/credits/grants", key="root", json=GRANT | {"amount": {"amount": "-6"}})
    assert taken.json()["kind"] == "adjust"
    assert await balance(gate) == {"balance": "-0.75", "reserved": "0", "available": "-0.75"}
    listed = (await gate.get("/v2/credits/ledger")).json()
    assert [each["amount"]["amount"] for each in listed["data"]] == ["-6", "5.25"]
    assert listed["data"][1] == entry
    assert (await gate.get("/v2/credits?user_id=ann", key="root")).json()["balance"]["amount"] == "-0.75"
    assert (await gate.get("/v2/credits?user_id=root")).status_code == 403
    assert (await gate.get("/v2/credits/ledger?user_id=root")).status_code == 403
    assert (await gate.post("/v2/credits/grants", json=GRANT)).status_code == 403


async def test_the_ledger_comes_in_pages_and_its_amounts_sum_to_the_balance() -> None:
    gate = await open_gate()
    for cents in range(1, 8):
        gate.clock.advance(1)
        await gate.post("/v2/credits/grants", key="root", json=GRANT | {"amount": f"0.0{cents}"})
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await gate.get(f"/v2/credits/ledger?limit=3{cursor}")).json()
        seen += [each["amount"]["amount"] for each in page["data"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == [f"0.0{cents}" for cents in range(7, 0, -1)]
    assert (await balance(gate))["balance"] == "0.28"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"amount": 0}, ["amount"]),
        ({"amount": "1000000000.01"}, ["amount"]),
        ({"amount": "much"}, ["amount"]),
        ({"amount": None}, ["amount"]),
        ({"reason": ""}, ["reason"]),
        ({"user_id": ""}, ["user_id"]),
        ({"user_id": " "}, ["user_id"]),
        ({"user_id": "a\nb"}, ["user_id"]),
        ({"note": "x"}, ["note"]),
    ],
)
async def test_a_grant_that_can_not_be_is_named(more: Any, named: list[str]) -> None:
    gate = await open_gate()
    assert fields(await gate.post("/v2/credits/grants", key="root", json=GRANT | more)) == named
    assert (await balance(gate))["balance"] == "0"


async def test_a_grant_that_is_sent_twice_under_one_idempotency_key_is_made_once() -> None:
    gate = await open_gate()
    sent = [
        await gate.post("/v2/credits/grants", key="root", json=GRANT, headers={"idempotency-key": "g"})
        for _ in range(3)
    ]
    assert len({answer.content for answer in sent}) == 1
    assert (await balance(gate))["balance"] == "5.25"
    other = await gate.post(
        "/v2/credits/grants", key="root", json=GRANT | {"amount": 1}, headers={"idempotency-key": "g"}
    )
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


# -- flags and the audit log -------------------------------------------------------------------------------


async def test_a_flag_is_set_for_all_or_by_rules() -> None:
    gate = await open_gate()
    assert (await gate.get("/v2/flags/new", key="root")).status_code == 404
    on = (await put(gate, "/v2/flags/new", {"enabled": True})).json()
    assert (on["name"], on["enabled"], on["default"], on["rules"]) == ("new", True, True, {})
    conditions = [{"action": "EQUALS", "key": "userId", "value": "bob"}]
    ruled = {"default": False, "rules": {"Only Bob": {"when_match": True, "conditions": conditions}}}
    for path in ("/v2/flags/new", "/api/v2/flags/new"):
        shown = (await put(gate, path, ruled)).json()
        assert (shown["enabled"], shown["default"], shown["rules"]) == (None, False, ruled["rules"])
    assert (await gate.get("/v2/flags/new", key="root")).json() == shown
    assert (await gate.get("/v2/flags/new", key="ann")).status_code == 403


async def test_a_flag_that_the_gateway_asks_for_is_there_before_anybody_sets_it() -> None:
    gate = await open_gate()
    shown = (await gate.get("/v2/flags/use_provider_registry", key="root")).json()
    assert (shown["enabled"], shown["default"], shown["rules"]) == (True, True, {})
    assert (shown["updated_at"], shown["updated_by"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "body", "named"),
    [
        ("new", {}, ["default"]),
        ("new", {"enabled": "yes"}, ["enabled"]),
        ("new", {"enabled": True, "default": True}, ["enabled"]),
        ("new", {"default": True, "note": "x"}, ["note"]),
        ("new", {"default": True, "rules": {"a": {}}}, ["rules"]),
        ("a b", {"enabled": True}, ["name"]),
        ("a" * 101, {"enabled": True}, ["name"]),
    ],
)
async def test_a_flag_that_can_not_be_is_named(name: str, body: Any, named: list[str]) -> None:
    assert fields(await put(await open_gate(), f"/v2/flags/{name}", body)) == named


async def test_every_change_is_in_the_audit_log_with_its_request() -> None:
    gate = await open_gate()
    start = (await gate.get("/v2/audit", key="root")).json()["data"][-1]["id"]
    gate.clock.advance(1)  # events of one millisecond come in any order
    changes = [
        await gate.post("/v2/keys", key="root", json=KEY),
        await put(gate, "/v2/projects/film", {"owner_user_id": "bob"}),
        await put(gate, "/v2/settings", {}),
        await gate.post("/v2/credits/grants", key="root", json=GRANT),
        await put(gate, "/v2/flags/new", {"enabled": True}),
    ]
    told: list[dict[str, Any]] = []
    after: str | None = start
    while after is not None:
        page = (await gate.get(f"/v2/audit?after={after}&limit=2", key="root")).json()
        told += page["data"]
        after = page["next_cursor"]
    assert sorted(event["action"] for event in told) == sorted(
        ["key.mint", "project.put", "settings.put", "credits.grant", "flag.set"]
    )
    assert {event["request_id"] for event in told} == {answer.headers["x-request-id"] for answer in changes}
    assert {event["user_id"] for event in told} == {"root"}
    assert [event["id"] for event in told] == sorted(event["id"] for event in told)
    made = changes[0].json()
    assert next(event["target"] for event in told if event["action"] == "key.mint") == made["id"]
    assert made["key"] not in str(told)


async def test_the_audit_log_is_for_administrators_and_names_what_is_no_event() -> None:
    gate = await open_gate()
    assert (await gate.get("/v2/audit", key="ann")).status_code == 403
    for after in ("yesterday", "2026-11-21", "2026-11-21T09:00:00", "key_" + "0" * 26, "x" * 2_000):
        assert fields(await gate.get(f"/v2/audit?after={after}", key="root")) == ["after"]
        assert fields(await gate.get(f"/v2/audit?cursor={after}", key="root")) == ["cursor"]


async def test_the_audit_log_is_read_from_a_time_on_too() -> None:
    gate = await open_gate()
    gate.clock.advance(60)
    moment = gate.clock.now()
    await gate.post("/v2/keys", key="root", json=KEY)
    gate.clock.advance(60)
    await put(gate, "/v2/flags/new", {"enabled": True})

    async def actions(after: datetime | str) -> list[str]:
        text = after if isinstance(after, str) else after.isoformat()
        page = (await gate.get(f"/v2/audit?after={text}", key="root")).json()
        return [event["action"] for event in page["data"]]

    assert await actions(moment) == ["key.mint", "flag.set"]
    assert await actions(moment.astimezone(timezone(timedelta(hours=5, minutes=30)))) == [
        "key.mint",
        "flag.set",
    ]
    assert await actions(moment + timedelta(milliseconds=1)) == ["flag.set"]
    assert await actions(moment + timedelta(seconds=61)) == []
    assert (await actions("1960-01-01T00:00:00z"))[-2:] == ["key.mint", "flag.set"]
    assert await actions("9999-12-31T23:59:59Z") == []


# -- what OpenRouter's clients ask -------------------------------------------------------------------------


async def test_the_calling_key_is_told_as_openrouter_tells_of_one() -> None:
    gate = await open_gate()
    limits = {"credits_per_month": 20, "credits_per_day": 5, "requests_per_minute": 60}
    made = (await gate.post("/v2/keys", key="root", json=KEY | {"limits": limits})).json()
    data = (await gate.get("/api/v1/key", key=made["key"])).json()["data"]
    assert (data["label"], data["creator_user_id"]) == ("CI", "bob")
    assert (data["limit"], data["limit_remaining"], data["limit_reset"]) == (20.0, 20.0, "monthly")
    assert (data["usage"], data["usage_daily"], data["usage_weekly"], data["usage_monthly"]) == (0, 0, 0, 0)
    assert (data["is_management_key"], data["is_free_tier"], data["expires_at"]) == (False, False, None)
    assert data["rate_limit"]["requests"] == 60
    free = (await gate.get("/v1/key", key="root")).json()["data"]
    assert (free["limit"], free["limit_remaining"], free["limit_reset"]) == (None, None, None)
    assert free["is_management_key"] is True


async def test_openrouters_credits_are_what_was_granted_and_what_was_used() -> None:
    gate = await open_gate()
    await gate.post("/v2/credits/grants", key="root", json=GRANT)
    assert (await gate.get("/v1/credits")).json() == {"data": {"total_credits": 5.25, "total_usage": 0.0}}
