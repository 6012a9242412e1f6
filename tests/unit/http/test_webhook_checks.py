"""Trying webhooks out over HTTP: always an answer, which says what is wrong."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook as Receiver

from headgate.domain.errors import GatewayFault, ProviderFailed
from headgate.domain.webhooks import EVENTS, GROUPS
from headgate.testing.memory import Answer
from tests.unit.http.test_webhook_routes import Desk, open_desk, wrong_fields

HOST = "hooks.example.com"
MEMBERS = {"ok", "event", "message_id", "status", "code", "detail", "latency_ms"}


async def opened(*steps: Any, **fields: Any) -> tuple[Desk, dict[str, Any]]:
    """A desk, and a webhook of ada's whose receiver does this."""
    desk = await open_desk()
    desk.gate.transport.on(HOST, *(steps or (Answer(204),)))
    return desk, await desk.make(**fields)


async def tried(desk: Desk, made: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await desk.ask("POST", f"/{made['id']}/test", **more)
    assert answer.status_code == 200, answer.text
    assert made["secret"] not in answer.text
    assert "to=ada" not in answer.text
    result: dict[str, Any] = answer.json()
    assert set(result) == MEMBERS
    return result


def sent(desk: Desk) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(desk.gate.transport.requests[-1].body or b"")
    return body


async def test_a_webhook_that_works_gets_an_example_and_says_so() -> None:
    desk, made = await opened()
    result = await tried(desk, made)
    request = desk.gate.transport.requests[-1]
    assert result == {
        "ok": True,
        "event": "generation.succeeded",
        "message_id": request.headers["webhook-id"],
        "status": 204,
        "code": None,
        "detail": None,
        "latency_ms": 0,
    }
    assert (request.method, request.url, request.guarded) == ("POST", made["url"], True)
    assert (sent(desk)["type"], sent(desk)["data"]["test"]) == ("generation.succeeded", True)
    text, at = (request.body or b"").decode(), desk.gate.clock.now()
    expected = Receiver(made["secret"]).sign(result["message_id"], at, text)
    assert request.headers["webhook-signature"] == expected


async def test_no_two_tests_are_one_message() -> None:
    desk, made = await opened()
    assert len({(await tried(desk, made))["message_id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("event", EVENTS)
async def test_any_event_can_be_asked_for(event: str) -> None:
    desk, made = await opened(events=["batch.*"])
    assert (await tried(desk, made, json={"event": event}))["event"] == event
    assert sent(desk)["type"] == event


@pytest.mark.parametrize("asked", [*EVENTS, *GROUPS])
@pytest.mark.parametrize("body", [{}, {"json": {}}, {"json": {"event": None}}])
async def test_by_default_it_is_the_first_that_the_webhook_asked_for(asked: str, body: Any) -> None:
    desk, made = await opened(events=[asked, "model.added", "generation.failed"])
    first = next(event for event in EVENTS if event == asked or event.startswith(asked.removesuffix("*")))
    assert (await tried(desk, made, **body))["event"] == first


@pytest.mark.parametrize("event", ["generation.*", "generation.begun", "", "x" * 101, 7, ["model.added"]])
async def test_an_event_that_there_is_not_is_named_and_nothing_is_sent(event: Any) -> None:
    desk, made = await opened()
    answer = await desk.ask("POST", f"/{made['id']}/test", json={"event": event})
    assert wrong_fields(answer) == {"event"}
    assert wrong_fields(await desk.ask("POST", f"/{made['id']}/test", json={"url": "x"})) == {"url"}
    assert desk.gate.transport.requests == []
    assert desk.gate.vault.unsealed == []


@pytest.mark.parametrize("content", [b"[]", b"{", b"7", b"null"])
async def test_a_body_that_is_no_object_is_refused(content: bytes) -> None:
    desk, made = await opened()
    answer = await desk.ask("POST", f"/{made['id']}/test", content=content)
    assert answer.status_code == 400
    assert desk.gate.transport.requests == []


async def test_of_another_user_s_there_is_nothing_to_be_tried() -> None:
    desk, made = await opened()
    for key in (desk.grace, "root"):
        assert (await desk.ask("POST", f"/{made['id']}/test", key=key)).status_code == 404
    assert (await desk.ask("POST", f"/{made['id']}/test", key="ann")).status_code == 403
    await desk.ask("DELETE", f"/{made['id']}")
    assert (await desk.ask("POST", f"/{made['id']}/test")).status_code == 404
    assert (desk.gate.transport.requests, desk.gate.vault.unsealed) == ([], [])


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (Answer(500, body=b"Sc3ret"), 500, "not_accepted"),
        (Answer(307, headers={"location": "https://else.example/Sc3ret"}), 307, "redirected"),
        (ProviderFailed("hooks.example.com: no name.", may_have_run=False), None, "unreachable"),
        (ProviderFailed("hooks.example.com broke.", may_have_run=True), None, "broken_off"),
        (ProviderFailed("hooks.example.com was slow.", code="provider_timeout"), None, "timed_out"),
        (ProviderFailed("hooks.example.com: nonsense.", code="provider_protocol"), None, "bad_answer"),
    ],
)
async def test_what_goes_wrong_there_is_the_answer(step: Any, status: int | None, code: str) -> None:
    desk, made = await opened(step)
    result = await tried(desk, made)
    assert (result["ok"], result["status"], result["code"]) == (False, status, code)
    assert HOST in result["detail"]
    assert "Sc3ret" not in result["detail"]


async def test_one_that_was_rotated_is_signed_by_both_and_then_by_the_new_one() -> None:
    desk, made = await opened()
    new = (await desk.ask("POST", f"/{made['id']}/rotate")).json()["secret"]
    for hours, secrets in ((0, [new, made["secret"]]), (25, [new])):
        desk.gate.clock.advance(hours * 3600)
        result = await tried(desk, made)
        request = desk.gate.transport.requests[-1]
        text, at = (request.body or b"").decode(), desk.gate.clock.now()
        expected = [Receiver(secret).sign(result["message_id"], at, text) for secret in secrets]
        assert request.headers["webhook-signature"] == " ".join(expected)


async def test_a_row_that_was_moved_is_not_opened_and_says_to_rotate() -> None:
    desk, made = await opened()
    rows = desk.gate.webhooks._rows
    rows["grace", made["id"]] = replace(rows["ada", made["id"]], user_id="grace")
    result = await tried(desk, made, key=desk.grace)
    assert (result["ok"], result["code"], result["status"]) == (False, "secret_unusable", None)
    assert "otate" in result["detail"]
    assert desk.gate.transport.requests == []
    assert (await desk.ask("POST", f"/{made['id']}/rotate", key=desk.grace)).status_code == 200
    assert (await tried(desk, made, key=desk.grace))["ok"]


async def test_a_vault_that_is_away_is_the_answer_too() -> None:
    desk, made = await opened()
    desk.gate.vault.fault = GatewayFault.unavailable("The vault")
    result = await tried(desk, made)
    assert (result["ok"], result["code"]) == (False, "gateway_unavailable")


@pytest.mark.parametrize(("step", "outcome"), [(Answer(200), "delivered"), (Answer(502), "not_accepted")])
async def test_the_audit_log_has_who_tried_what_and_how_it_went(step: Answer, outcome: str) -> None:
    desk, made = await opened(step)
    result = await tried(desk, made, headers={"x-request-id": "mine-7"})
    events = await desk.gate.accounts.read_audit(after=None, limit=100)
    opening, test = sorted(
        (event for event in events if event.action in ("webhook.decrypt", "webhook.test")),
        key=lambda event: event.action,
    )
    for event in (opening, test):
        assert (event.target, event.user_id) == (made["id"], "ada")
        assert event.actor.startswith("key_")
        assert event.request_id
    assert opening.details == {"host": HOST, "outcome": "ok"}
    assert test.details == {
        "host": HOST,
        "event": result["event"],
        "message_id": result["message_id"],
        "outcome": outcome,
        "status": str(step.status),
    }
    for trace in (events, desk.gate.log.entries):
        assert "to=ada" not in repr(trace)
        assert "/in" not in repr(trace)
        assert made["secret"] not in repr(trace)


async def test_a_test_that_can_not_be_told_is_no_success() -> None:
    desk, made = await opened()
    await tried(desk, made)  # who calls is known from here on
    desk.gate.accounts.fault = GatewayFault.unavailable("The audit log")
    answer = await desk.ask("POST", f"/{made['id']}/test")
    assert answer.status_code == 503
    assert len(desk.gate.transport.requests) == 1
