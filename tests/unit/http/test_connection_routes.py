"""Users' own connections over HTTP."""

from typing import Any

import httpx
import pytest

from headgate.domain.callers import Scope
from headgate.domain.connections import MASK
from headgate.domain.errors import GatewayFault
from tests.support.gate import Gate, open_gate

KEY = "sk-open-sesame-0123456789"
ASK: dict[str, Any] = {"name": "Work", "type": "openai", "api_key": KEY}
SERVER: dict[str, Any] = {"name": "vLLM", "type": "custom", "base_url": "https://llm.example.com/v1"}


class Desk:
    """Ada's and Grace's keys, each for connections alone."""

    def __init__(self, gate: Gate, ada: str, grace: str) -> None:
        self.gate = gate
        self.ada = ada
        self.grace = grace

    async def ask(
        self, method: str, path: str = "", *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        return await self.gate.ask(method, f"/v2/connections{path}", key=key or self.ada, **more)

    async def make(self, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
        self.gate.clock.advance(1)
        answer = await self.ask("POST", key=key, json=ASK | fields)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def change(self, connection_id: str, **changes: Any) -> httpx.Response:
        self.gate.clock.advance(1)
        return await self.ask("PATCH", f"/{connection_id}", json=changes)

    async def ids(self, query: str = "", *, key: str | None = None) -> list[str]:
        answer = await self.ask("GET", query, key=key)
        assert answer.status_code == 200
        return [row["id"] for row in answer.json()["data"]]

    async def default(self) -> str | None:
        rows = (await self.ask("GET", "?limit=100&show_inactive=true")).json()["data"]
        defaults = [row["id"] for row in rows if row["is_default"]]
        assert len(defaults) <= 1
        return defaults[0] if defaults else None

    async def plaintext(self, connection_id: str, user_id: str = "ada") -> str | None:
        """What a function that may open keys gets."""
        row = (await self.gate.connections.load(user_id)).find(connection_id)
        assert row is not None
        key = (await self.gate.process().connection_keys.config(row, lambda _: None)).api_key
        return None if key is None else key.reveal()


async def open_desk(**environ: str) -> Desk:
    gate = await open_gate(environ=environ)
    keys = [await gate.key(Scope.CONNECTIONS, user_id=user_id) for user_id in ("ada", "grace")]
    return Desk(gate, *keys)


def wrong_fields(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_request"
    return {error["field"] for error in answer.json()["errors"]}


# -- making and reading -------------------------------------------------------------------------------------


async def test_a_connection_is_shown_with_stars_for_its_key() -> None:
    desk = await open_desk()
    made = await desk.make(default_model="gpt-5", timeout_s=30, max_retries=2, metadata={"team": "red"})
    assert made.pop("id").startswith("con_")
    assert made == {
        "name": "Work",
        "type": "openai",
        "api_key": MASK,
        "key_hint": "6789",
        "base_url": None,
        "default_model": "gpt-5",
        "is_default": True,
        "is_active": True,
        "timeout_s": 30.0,
        "max_retries": 2,
        "metadata": {"team": "red"},
        "needs_attention": None,
        "created_at": "2026-11-20T09:00:01Z",
        "updated_at": "2026-11-20T09:00:01Z",
        "deactivated_at": None,
        "deactivated_by": None,
    }


async def test_the_key_works_and_is_shown_nowhere() -> None:
    desk = await open_desk()
    made = await desk.make()
    answers = [
        await desk.ask("GET", f"/{made['id']}"),
        await desk.ask("GET"),
        await desk.change(made["id"], name="New"),
        await desk.change(made["id"], api_key=KEY + "2"),
        await desk.ask("POST", f"/{made['id']}/default"),
        await desk.ask("POST", f"/{made['id']}/restore"),
        await desk.ask("POST", json=ASK | {"type": "nowhere"}),
        await desk.ask("POST", json=ASK | {"timeout_s": "long"}),
        await desk.ask("POST", json=ASK | {"api_key": KEY * 500}),
    ]
    assert all(KEY not in answer.text and KEY not in str(answer.headers) for answer in answers)
    assert await desk.plaintext(made["id"]) == KEY + "2"
    stored = await desk.gate.connections.load("ada")
    assert KEY not in repr(stored)
    assert KEY.encode() not in (stored.rows[0].sealed or b"")
    assert KEY not in repr(desk.gate.log.entries)
    assert KEY not in repr(await desk.gate.accounts.read_audit(after=None, limit=100))


async def test_a_short_key_gives_no_hint() -> None:
    desk = await open_desk()
    assert (await desk.make(api_key="short-key"))["key_hint"] == "••••"


@pytest.mark.parametrize(
    ("name", "slug"), [("google", "gemini"), ("Gemini", "gemini"), ("OPENAI", "openai"), ("ollama", "custom")]
)
async def test_a_provider_goes_by_any_of_its_names(name: str, slug: str) -> None:
    desk = await open_desk()
    made = await desk.make(type=name, base_url="https://llm.example.com/v1")
    assert made["type"] == slug


async def test_a_server_of_one_s_own_may_need_no_key() -> None:
    desk = await open_desk()
    made = (await desk.ask("POST", json=SERVER)).json()
    assert (made["api_key"], made["key_hint"], made["base_url"]) == (None, None, SERVER["base_url"])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": None}, "name"),
        ({"type": "nowhere"}, "type"),
        ({"type": "base"}, "type"),
        ({"type": "../openai"}, "type"),
        ({"type": None}, "type"),
        ({"api_key": None}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "  "}, "api_key"),
        ({"api_key": MASK}, "api_key"),
        ({"api_key": "sk-\r\nHost: evil"}, "api_key"),
        ({"api_key": "sk-ключ"}, "api_key"),
        ({"api_key": "x" * 4_097}, "api_key"),
        ({"type": "custom"}, "base_url"),
        ({"base_url": "http://10.0.0.1/v1"}, "base_url"),
        ({"base_url": "https://llm.example.com/v1?x=1"}, "base_url"),
        ({"base_url": "https://llm.example.com/v1#x"}, "base_url"),
        ({"base_url": "https://llm.example.com/" + "x" * 2_000}, "base_url"),
        ({"default_model": ""}, "default_model"),
        ({"default_model": "x" * 201}, "default_model"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"timeout_s": 901}, "timeout_s"),
        ({"timeout_s": True}, "timeout_s"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 11}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"max_retries": True}, "max_retries"),
        ({"is_default": "yes"}, "is_default"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": "y" * 4_096}}, "metadata"),
        ({"is_active": False}, "is_active"),
        ({"key_hint": "6789"}, "key_hint"),
        ({"user_id": "grace"}, "user_id"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(fields: dict[str, Any], wrong: str) -> None:
    desk = await open_desk()
    answer = await desk.ask("POST", json=ASK | fields)
    assert wrong_fields(answer) == {wrong}
    assert await desk.ids("?show_inactive=true") == []


async def test_a_connection_never_stands_on_the_gateway_s_own_role() -> None:
    desk = await open_desk(HEADGATE_BEDROCK="1")
    for fields in ({}, {"base_url": "https://llm.example.com"}):
        answer = await desk.ask("POST", json={"name": "x", "type": "bedrock", **fields})
        assert wrong_fields(answer) == {"api_key"}
    assert (await desk.ask("POST", json=ASK | {"type": "bedrock"})).status_code == 201


async def test_blanks_around_what_was_pasted_are_left_out() -> None:
    desk = await open_desk()
    made = await desk.make(name="  Work ", api_key=f" {KEY}\n")
    assert made["name"] == "Work"
    assert await desk.plaintext(made["id"]) == KEY


async def test_camel_case_is_taken_where_it_is_spoken() -> None:
    desk = await open_desk()
    answer = await desk.gate.ask(
        "POST",
        "/api/v2/connections",
        key=desk.ada,
        json={
            "name": "x",
            "type": "custom",
            "apiKey": KEY,
            "baseUrl": "https://llm.example.com/v1",
            "timeoutS": 5,
            "metadata": {"camelCase": 1},
        },
    )
    assert answer.status_code == 201
    row = (await desk.gate.connections.load("ada")).rows[0]
    assert (row.base_url, row.timeout_s, row.metadata) == ("https://llm.example.com/v1", 5, {"camelCase": 1})


# -- lists --------------------------------------------------------------------------------------------------


async def test_the_list_is_newest_first_and_filtered() -> None:
    desk = await open_desk()
    one = (await desk.make(name="Straße nach Rom"))["id"]
    two = (await desk.make(name="Work", type="gemini"))["id"]
    three = (await desk.make(name="HOMEWORK"))["id"]
    await desk.ask("DELETE", f"/{three}")
    assert await desk.ids() == [two, one]
    assert await desk.ids("?show_inactive=true") == [three, two, one]
    assert await desk.ids("?show_inactive=true&search=wOrK") == [three, two]
    assert await desk.ids("?search=STRASSE") == [one]
    assert await desk.ids("?type=google") == [two]
    assert await desk.ids("?type=openai&search=work&show_inactive=1") == [three]
    assert await desk.ids("?type=nowhere") == []
    assert wrong_fields(await desk.ask("GET", "?show_inactive=perhaps")) == {"show_inactive"}
    assert wrong_fields(await desk.ask("GET", "?limit=0")) == {"limit"}


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_pages_show_each_connection_once_whatever_comes_and_goes(limit: int) -> None:
    desk = await open_desk()
    made = [(await desk.make(name=f"c{number}"))["id"] for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await desk.ask("GET", f"?limit={limit}{cursor}")).json()
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        assert len(page["data"]) == limit
        cursor = f"&cursor={page['next_cursor']}"
        await desk.make(name="meanwhile")
    assert seen == made[::-1]


async def test_a_cursor_of_someone_else_s_list_is_refused() -> None:
    desk = await open_desk()
    for _ in range(2):
        await desk.make()
    cursor = (await desk.ask("GET", "?limit=1")).json()["next_cursor"]
    assert wrong_fields(await desk.ask("GET", f"?cursor={cursor}", key=desk.grace)) == {"cursor"}


# -- whose they are -----------------------------------------------------------------------------------------


async def test_of_another_user_s_there_is_nothing_to_be_found() -> None:
    desk = await open_desk()
    made = await desk.make()
    for key in (desk.grace, "root"):
        asked = [
            await desk.ask("GET", f"/{made['id']}", key=key),
            await desk.ask("PATCH", f"/{made['id']}", key=key, json={"name": "mine"}),
            await desk.ask("DELETE", f"/{made['id']}", key=key),
            await desk.ask("POST", f"/{made['id']}/default", key=key),
            await desk.ask("POST", f"/{made['id']}/restore", key=key),
            await desk.ask("POST", f"/{made['id']}/test", key=key),
        ]
        nowhere = await desk.ask("GET", "/con_nowhere", key=key)
        assert {(answer.status_code, answer.json()["code"]) for answer in asked} == {(404, "not_found")}
        assert nowhere.json()["detail"] == asked[0].json()["detail"].replace(made["id"], "con_nowhere")
        assert await desk.ids("?show_inactive=true", key=key) == []
    assert (await desk.ask("GET", f"/{made['id']}")).json() == made


async def test_the_scope_is_needed() -> None:
    desk = await open_desk()
    made = await desk.make()
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("PATCH", f"/{made['id']}"),
        ("POST", f"/{made['id']}/test"),
    ):
        assert (await desk.ask(method, path, key="ann", json={})).status_code == 403


# -- changing -----------------------------------------------------------------------------------------------


async def test_a_change_changes_what_it_names_and_null_clears() -> None:
    desk = await open_desk()
    made = await desk.make(default_model="gpt-5", timeout_s=30, max_retries=2, metadata={"a": 1})
    renamed = (await desk.change(made["id"], name="New")).json()
    assert renamed == made | {"name": "New", "updated_at": "2026-11-20T09:00:02Z"}
    cleared = await desk.change(
        made["id"], default_model=None, timeout_s=None, max_retries=None, metadata=None
    )
    changes: dict[str, Any] = {"default_model": None, "timeout_s": None, "max_retries": None, "metadata": {}}
    assert cleared.json() == renamed | changes | {"updated_at": "2026-11-20T09:00:03Z"}
    assert await desk.plaintext(made["id"]) == KEY


async def test_a_change_of_nothing_changes_nothing() -> None:
    desk = await open_desk()
    made = await desk.make()
    before = (await desk.gate.connections.load("ada")).rows
    assert (await desk.change(made["id"])).json() == made
    assert (await desk.change(made["id"], name="Work", type="openai")).json() == made
    assert (await desk.gate.connections.load("ada")).rows == before


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"name": None}, "name"),
        ({"type": None}, "type"),
        ({"api_key": None}, "api_key"),
        ({"is_active": None}, "is_active"),
        ({"is_active": "off"}, "is_active"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"id": "con_2"}, "id"),
        ({"is_default": False}, "is_default"),
    ],
)
async def test_a_wrong_change_is_named_and_not_made(changes: dict[str, Any], wrong: str) -> None:
    desk = await open_desk()
    made = await desk.make()
    assert wrong_fields(await desk.change(made["id"], **changes)) == {wrong}
    assert (await desk.ask("GET", f"/{made['id']}")).json() == made


@pytest.mark.parametrize(
    "changes", [{"type": "anthropic"}, {"base_url": "https://evil.example.com/v1"}, {"base_url": None}]
)
async def test_another_type_or_address_wants_the_key_again(changes: dict[str, Any]) -> None:
    desk = await open_desk()
    first = {} if changes.get("base_url") else {"base_url": "https://llm.example.com/v1"}
    made = await desk.make(**first)
    assert wrong_fields(await desk.change(made["id"], **changes)) == {"api_key"}
    assert wrong_fields(await desk.change(made["id"], **changes, api_key=MASK)) == {"api_key"}
    assert await desk.plaintext(made["id"]) == KEY
    changed = await desk.change(made["id"], **changes, api_key="sk-another-0123456789")
    assert changed.status_code == 200
    assert await desk.plaintext(made["id"]) == "sk-another-0123456789"


async def test_stars_that_come_back_leave_the_key_as_it_is() -> None:
    desk = await open_desk()
    made = await desk.make()
    answer = await desk.change(made["id"], api_key=MASK, name="New")
    assert (answer.status_code, answer.json()["name"]) == (200, "New")
    assert await desk.plaintext(made["id"]) == KEY


async def test_a_server_s_key_can_be_taken_away_and_its_address_changed_without_one() -> None:
    desk = await open_desk()
    made = (await desk.ask("POST", json=SERVER | {"api_key": KEY})).json()
    moved = {"base_url": "https://other.example.com/v1"}
    assert wrong_fields(await desk.change(made["id"], **moved)) == {"api_key"}
    assert (await desk.change(made["id"], **moved, api_key=None)).json()["api_key"] is None
    again = await desk.change(made["id"], base_url="https://third.example.com/v1")
    assert again.json()["base_url"] == "https://third.example.com/v1"
    assert await desk.plaintext(made["id"]) is None
    assert wrong_fields(await desk.change(made["id"], base_url=None)) == {"base_url"}
    assert wrong_fields(await desk.change(made["id"], base_url="http://127.0.0.1/")) == {"base_url"}


async def test_a_change_made_while_another_is_under_way_is_not_lost() -> None:
    desk = await open_desk()
    made = await desk.make()
    manager_store = desk.gate.connections
    load, raced = manager_store.load, False

    async def load_and_lose(user_id: str) -> Any:
        nonlocal raced
        found = await load(user_id)
        if not raced:
            raced = True
            assert (await desk.change(made["id"], default_model="gpt-5")).status_code == 200
        return found

    manager_store.load = load_and_lose  # type: ignore[method-assign]
    answer = await desk.change(made["id"], name="New")
    assert (answer.json()["name"], answer.json()["default_model"]) == ("New", "gpt-5")


# -- deleting, restoring, the default -----------------------------------------------------------------------


async def test_a_deleted_one_is_readable_and_hidden_and_comes_back() -> None:
    desk = await open_desk()
    made = await desk.make()
    desk.gate.clock.advance(1)
    assert (await desk.ask("DELETE", f"/{made['id']}")).status_code == 204
    shown = (await desk.ask("GET", f"/{made['id']}")).json()
    assert shown == made | {
        "is_active": False,
        "is_default": False,
        "deactivated_at": "2026-11-20T09:00:02Z",
        "deactivated_by": "ada",
        "updated_at": "2026-11-20T09:00:02Z",
    }
    desk.gate.clock.advance(1)
    assert (await desk.ask("DELETE", f"/{made['id']}")).status_code == 204
    assert (await desk.ask("GET", f"/{made['id']}")).json() == shown
    restored = (await desk.ask("POST", f"/{made['id']}/restore")).json()
    assert restored == made | {"updated_at": "2026-11-20T09:00:03Z"}
    assert (await desk.ask("POST", f"/{made['id']}/restore")).json() == restored
    assert await desk.plaintext(made["id"]) == KEY


async def test_is_active_deletes_and_restores() -> None:
    desk = await open_desk()
    made = await desk.make()
    gone = (await desk.change(made["id"], is_active=False)).json()
    assert (gone["is_active"], gone["deactivated_by"]) == (False, "ada")
    back = (await desk.change(made["id"], is_active=True)).json()
    assert (back["is_active"], back["deactivated_at"], back["deactivated_by"]) == (True, None, None)


async def test_there_is_at_most_one_default_and_it_goes_by_the_rules() -> None:
    desk = await open_desk()
    one, two, three = [(await desk.make(name=f"c{number}"))["id"] for number in range(3)]
    assert await desk.default() == one
    assert (await desk.ask("POST", f"/{two}/default")).json()["is_default"] is True
    assert await desk.default() == two
    await desk.ask("DELETE", f"/{two}")
    assert await desk.default() == three
    await desk.ask("POST", f"/{two}/restore")
    assert await desk.default() == three
    assert (await desk.change(one, is_default=True, name="first")).json()["is_default"] is True
    assert await desk.default() == one
    made = await desk.make(is_default=True)
    assert made["is_default"] is True
    assert await desk.default() == made["id"]
    await desk.ask("DELETE", f"/{two}")
    refused = await desk.ask("POST", f"/{two}/default")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


# -- what follows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_change_is_made_as_a_whole_or_not_at_all(deleted: bool) -> None:
    desk = await open_desk()
    first, made = await desk.make(), await desk.make(name="Other")
    if deleted:
        await desk.ask("DELETE", f"/{made['id']}")
    before = (await desk.ask("GET", f"/{made['id']}")).json()
    more = {} if deleted else {"is_active": False}
    refused = await desk.change(made["id"], name="New", is_default=True, **more)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await desk.ask("GET", f"/{made['id']}")).json() == before
    assert (await desk.change(made["id"], name="New", is_active=True, is_default=True)).status_code == 200
    assert await desk.default() == made["id"]
    assert (await desk.change(made["id"], is_active=False, is_default=False)).status_code == 200
    assert await desk.default() == first["id"]


async def test_the_audit_log_tells_all_that_a_change_changed_and_no_value() -> None:
    desk = await open_desk()
    made = await desk.make()
    await desk.ask("DELETE", f"/{made['id']}")
    await desk.change(made["id"], is_active=True, api_key="sk-another-0123456789", name="Else")
    events = await desk.gate.accounts.read_audit(after=None, limit=100)
    (event,) = [each for each in events if each.action == "connection.restore"]
    assert event.details["changed"] == "name is_active api_key"
    assert "another" not in repr(event)
    assert "Else" not in repr(event)


async def test_a_new_key_or_address_and_a_return_start_a_look_and_nothing_else_does() -> None:
    desk = await open_desk()
    started = desk.gate.starter.connections_started
    made = await desk.make()
    pair = (("ada", made["id"]),)
    assert list(started) == [pair]
    await desk.change(made["id"], name="New")
    await desk.ask("POST", f"/{made['id']}/default")
    assert len(started) == 1
    await desk.change(made["id"], api_key="sk-another-0123456789")
    await desk.ask("DELETE", f"/{made['id']}")
    assert len(started) == 2
    await desk.ask("POST", f"/{made['id']}/restore")
    assert list(started) == [pair] * 3


async def test_a_look_that_can_t_be_started_takes_nothing_back() -> None:
    desk = await open_desk()
    desk.gate.starter.fault = GatewayFault.unavailable("The refresh function")
    made = await desk.make()
    assert await desk.ids() == [made["id"]]


async def test_every_change_is_in_the_audit_log() -> None:
    desk = await open_desk()
    made = await desk.make()
    await desk.change(made["id"], name="New")
    await desk.change(made["id"], api_key="sk-another-0123456789")
    await desk.ask("DELETE", f"/{made['id']}")
    await desk.ask("POST", f"/{made['id']}/restore")
    other = await desk.make(name="Other")
    answer = await desk.ask("POST", f"/{other['id']}/default")
    events = [
        event
        for event in await desk.gate.accounts.read_audit(after=None, limit=100)
        if event.action.startswith("connection.")
    ]
    assert sorted((event.action, event.target) for event in events) == sorted(
        [
            *(
                (f"connection.{act}", made["id"])
                for act in ("create", "change", "rekey", "delete", "restore")
            ),
            *((f"connection.{act}", other["id"]) for act in ("create", "default")),
        ]
    )
    assert {event.user_id for event in events} == {"ada"}
    assert all(event.actor.startswith("key_") for event in events)
    assert answer.headers["x-request-id"] in {event.request_id for event in events}


@pytest.mark.parametrize("vault", [True, False])
async def test_an_outage_is_told_and_leaves_nothing_behind(vault: bool) -> None:
    desk = await open_desk()
    failing = desk.gate.vault if vault else desk.gate.connections
    failing.fault = GatewayFault.unavailable("It")
    answer = await desk.ask("POST", json=ASK)
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
    failing.fault = None
    assert await desk.ids() == []
