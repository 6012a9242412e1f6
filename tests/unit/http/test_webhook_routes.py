"""Users' webhooks over HTTP."""

import base64
from typing import Any

import httpx
import pytest

from headgate.domain.callers import Scope
from headgate.domain.errors import GatewayFault
from headgate.domain.secret import Secret
from headgate.domain.webhooks import EVENTS, webhook_context
from tests.support.gate import Gate, open_gate
from tests.unit.http.test_connection_addresses import CORPUS

ASK: dict[str, Any] = {"url": "https://hooks.example.com/in?to=ada", "events": ["generation.succeeded"]}


class Desk:
    def __init__(self, gate: Gate, ada: str, grace: str) -> None:
        self.gate = gate
        self.ada = ada
        self.grace = grace

    async def ask(
        self, method: str, path: str = "", *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        return await self.gate.ask(method, f"/v2/webhooks{path}", key=key or self.ada, **more)

    async def make(self, **fields: Any) -> dict[str, Any]:
        self.gate.clock.advance(1)
        answer = await self.ask("POST", json=ASK | fields)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def secrets(self, webhook_id: str) -> list[Secret]:
        """What a delivery is signed by: the newest first."""
        (row,) = [row for row in await self.gate.webhooks.list_webhooks("ada") if row.id == webhook_id]
        sealed = [row.sealed, *([] if row.previous is None else [row.previous])]
        return [await self.gate.vault.unseal(each, webhook_context(row)) for each in sealed]


async def open_desk() -> Desk:
    gate = await open_gate()
    keys = [await gate.key(Scope.CONNECTIONS, user_id=user_id) for user_id in ("ada", "grace")]
    return Desk(gate, *keys)


def wrong_fields(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    return {error["field"] for error in answer.json()["errors"]}


async def test_a_secret_is_shown_once_and_signs() -> None:
    desk = await open_desk()
    made = await desk.make()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert made.pop("id").startswith("whk_")
    at = "2026-11-20T09:00:01Z"
    assert made == {**ASK, "created_at": at, "updated_at": at}
    listed = await desk.ask("GET")
    (row,) = listed.json()["data"]
    shown = await desk.ask("GET", f"/{row['id']}")
    assert shown.json() == row
    assert "whsec_" not in listed.text + shown.text
    assert await desk.secrets(row["id"]) == [Secret(secret)]
    for trace in (desk.gate.log.entries, await desk.gate.accounts.read_audit(after=None, limit=50)):
        assert secret not in repr(trace)
        assert "to=ada" not in repr(trace)
    assert secret not in repr(await desk.gate.webhooks.list_webhooks("ada"))


async def test_no_two_secrets_are_alike() -> None:
    desk = await open_desk()
    assert len({(await desk.make())["secret"] for _ in range(5)}) == 5


@pytest.mark.parametrize("name", [*EVENTS, "generation.*", "batch.*", "model.*", "provider.*"])
async def test_every_event_can_be_asked_for(name: str) -> None:
    desk = await open_desk()
    assert (await desk.make(events=[name, name]))["events"] == [name]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"events": []}, "events"),
        ({"events": ["generation.begun"]}, "events"),
        ({"events": ["*"]}, "events"),
        ({"events": ["gener*"]}, "events"),
        ({"events": "generation.*"}, "events"),
        ({"events": None}, "events"),
        ({"url": None}, "url"),
        ({"secret": "whsec_x"}, "secret"),
    ],
)
async def test_a_wrong_field_is_named(fields: dict[str, Any], wrong: str) -> None:
    desk = await open_desk()
    assert wrong_fields(await desk.ask("POST", json=ASK | fields)) == {wrong}
    assert (await desk.ask("GET")).json()["data"] == []


@pytest.mark.parametrize("url", CORPUS)
async def test_no_webhook_leads_to_an_address_out_of_reach(url: str) -> None:
    desk = await open_desk()
    answer = await desk.ask("POST", json=ASK | {"url": url})
    assert wrong_fields(answer) == {"url"}
    assert "base_url" not in answer.text


async def test_a_new_secret_leaves_a_day_to_change_over() -> None:
    desk = await open_desk()
    made = await desk.make()
    answer = (await desk.ask("POST", f"/{made['id']}/rotate")).json()
    assert answer["secret"] != made["secret"]
    assert answer["old_secret_expires_at"] == "2026-11-21T09:00:01Z"
    assert await desk.secrets(made["id"]) == [Secret(answer["secret"]), Secret(made["secret"])]
    again = (await desk.ask("POST", f"/{made['id']}/rotate")).json()
    assert await desk.secrets(made["id"]) == [Secret(again["secret"]), Secret(answer["secret"])]


async def test_one_that_was_removed_is_gone() -> None:
    desk = await open_desk()
    made = await desk.make()
    assert (await desk.ask("DELETE", f"/{made['id']}")).status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert (await desk.ask(method, f"/{made['id']}{path}")).status_code == 404


async def test_of_another_user_s_there_is_nothing_to_be_found() -> None:
    desk = await open_desk()
    made = await desk.make()
    for key in (desk.grace, "root"):
        assert (await desk.ask("GET", key=key)).json()["data"] == []
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
            assert (await desk.ask(method, f"/{made['id']}{path}", key=key)).status_code == 404
    assert await desk.secrets(made["id"]) == [Secret(made["secret"])]


async def test_the_scope_is_needed() -> None:
    desk = await open_desk()
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/whk_1"), ("POST", "/whk_1/rotate")):
        assert (await desk.ask(method, path, key="ann", json={})).status_code == 403


async def test_every_change_is_in_the_audit_log() -> None:
    desk = await open_desk()
    made = await desk.make()
    await desk.ask("POST", f"/{made['id']}/rotate")
    await desk.ask("DELETE", f"/{made['id']}")
    events = await desk.gate.accounts.read_audit(after=None, limit=50)
    acts = sorted(event.action for event in events if event.target == made["id"])
    assert acts == ["webhook.create", "webhook.delete", "webhook.rotate"]


async def test_a_vault_that_is_away_leaves_nothing_behind() -> None:
    desk = await open_desk()
    desk.gate.vault.fault = GatewayFault.unavailable("The vault")
    assert (await desk.ask("POST", json=ASK)).status_code == 503
    assert (await desk.ask("GET")).json()["data"] == []
