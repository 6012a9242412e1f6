"""Trying connections out over HTTP: always an answer, never a cost unless it was asked for."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import Scope
from headgate.domain.errors import GatewayFault, ProviderFailed
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from tests.support.gate import Gate, open_gate
from tests.unit.http.test_connection_routes import KEY, Desk

SERVER = "https://llm.example.com/v1"
LIST = Answer.of_json({"object": "list", "data": [{"id": "small"}, {"id": "text-embedding-x"}]})
SAID = Answer.of_json(
    {
        "id": "x",
        "object": "chat.completion",
        "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "OK"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
)


async def open_checks(**fields: Any) -> tuple[Desk, str]:
    gate = await open_gate()
    keys = [await gate.key(Scope.CONNECTIONS, user_id=user_id) for user_id in ("ada", "grace")]
    desk = Desk(gate, *keys)
    made = await desk.make(**{"type": "custom", "base_url": SERVER, **fields})
    return desk, made["id"]


async def check(desk: Desk, connection_id: str, **body: Any) -> dict[str, Any]:
    answer = await desk.ask("POST", f"/{connection_id}/test", json=body or None)
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    result: dict[str, Any] = answer.json()
    assert set(result) == {"ok", "code", "detail", "latency_ms", "model_count"}
    return result


async def attention(desk: Desk, connection_id: str) -> str | None:
    shown: dict[str, Any] = (await desk.ask("GET", f"/{connection_id}")).json()
    return shown["needs_attention"]  # type: ignore[no-any-return]


def sent(gate: Gate) -> list[str]:
    return [f"{request.method} {request.url}" for request in gate.transport.requests]


async def test_a_good_connection_is_tried_for_nothing_and_with_its_own_key() -> None:
    desk, made = await open_checks()
    desk.gate.transport.on("/models", LIST)
    result = await check(desk, made)
    assert result == {"ok": True, "code": None, "detail": None, "latency_ms": 0, "model_count": 2}
    assert set(sent(desk.gate)) == {f"GET {SERVER}/models"}
    for request in desk.gate.transport.requests:
        assert request.guarded
        assert request.headers["authorization"].reveal() == f"Bearer {KEY}"  # type: ignore[union-attr]


@pytest.mark.parametrize(("status", "code"), [(401, "provider_auth"), (402, "provider_insufficient_funds")])
async def test_a_refused_key_is_noted_and_a_good_one_clears_the_note(status: int, code: str) -> None:
    desk, made = await open_checks()
    desk.gate.transport.on("/models", Answer(status=status, body=f"bad key {KEY}".encode()))
    result = await check(desk, made)
    assert (result["ok"], result["code"], result["model_count"]) == (False, code, None)
    assert result["detail"]
    assert await attention(desk, made)
    desk.gate.transport.on("/models", LIST)
    assert (await check(desk, made))["ok"]
    assert await attention(desk, made) is None


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Answer(status=500, body=b"oops"), "provider_unavailable"),
        (ProviderFailed("It can't be reached."), "provider_unavailable"),
        (Answer(status=307, headers={"location": "http://169.254.169.254/"}), None),
        (Answer(body=b"<html>"), "provider_protocol"),
    ],
)
async def test_a_server_that_fails_says_nothing_of_the_key(step: Any, code: str | None) -> None:
    desk, made = await open_checks(max_retries=0)
    desk.gate.transport.on("/models", step)
    result = await check(desk, made)
    assert result["ok"] is False
    assert code is None or result["code"] == code
    assert await attention(desk, made) is None
    assert not any("169.254" in url for url in sent(desk.gate))


async def test_who_left_the_version_out_of_an_address_is_told_where_to_look() -> None:
    desk, made = await open_checks(base_url="https://llm.example.com")
    desk.gate.transport.on("/models", Answer(status=404, body=b"404 page not found"))
    result = await check(desk, made)
    assert (result["ok"], result["code"]) == (False, "model_not_found")
    assert "base_url" in result["detail"]
    assert "/v1" in result["detail"]
    assert "404 page not found" in result["detail"]


async def test_a_generation_is_made_only_when_asked_for_and_is_short() -> None:
    desk, made = await open_checks()
    desk.gate.transport.on("/models", LIST).on("/chat/completions", SAID)
    assert (await check(desk, made, generate=False))["ok"]
    assert not any("/chat" in url for url in sent(desk.gate))
    assert (await check(desk, made, generate=True))["ok"]
    body = orjson.loads(desk.gate.transport.requests[-1].body or b"")
    assert body["model"] == "small"
    assert body["max_tokens"] <= 16
    assert len(body["messages"]) == 1


async def test_the_default_model_is_what_is_tried() -> None:
    desk, made = await open_checks(default_model="custom/large")
    desk.gate.transport.on("/models", LIST).on("/chat/completions", SAID)
    assert (await check(desk, made, generate=True))["ok"]
    assert orjson.loads(desk.gate.transport.requests[-1].body or b"")["model"] == "large"


async def test_a_model_that_knows_the_limit_by_its_other_name_is_asked_by_that() -> None:
    desk, made = await open_checks()
    refused = {"error": {"message": "Unsupported parameter: 'max_tokens'.", "type": "invalid_request_error"}}
    desk.gate.transport.on("/models", LIST)
    desk.gate.transport.on("/chat/completions", Answer.of_json(refused, status=400), SAID)
    assert (await check(desk, made, generate=True))["ok"]
    body = orjson.loads(desk.gate.transport.requests[-1].body or b"")
    assert body["max_completion_tokens"] <= 16
    assert "max_tokens" not in body


async def test_a_generation_that_fails_is_the_result() -> None:
    desk, made = await open_checks()
    refused = {"error": {"message": "no such model", "code": "model_not_found"}}
    desk.gate.transport.on("/models", LIST)
    desk.gate.transport.on("/chat/completions", Answer.of_json(refused, status=404))
    result = await check(desk, made, generate=True)
    assert (result["ok"], result["code"]) == (False, "model_not_found")


async def test_a_server_without_any_model_can_t_be_asked_for_text() -> None:
    desk, made = await open_checks()
    desk.gate.transport.on("/models", Answer.of_json({"object": "list", "data": []}))
    assert (await check(desk, made)) | {"model_count": 0, "ok": True} == await check(desk, made)
    result = await check(desk, made, generate=True)
    assert (result["ok"], result["code"]) == (False, "model_not_found")


async def test_a_server_without_a_key_is_tried_without_one() -> None:
    desk, made = await open_checks(api_key=None)
    desk.gate.transport.on("/models", LIST)
    assert (await check(desk, made))["model_count"] == 2
    assert all("authorization" not in request.headers for request in desk.gate.transport.requests)


async def test_a_deleted_one_is_used_for_nothing() -> None:
    desk, made = await open_checks()
    await desk.ask("DELETE", f"/{made}")
    result = await check(desk, made)
    assert (result["ok"], result["code"]) == (False, "conflict")
    assert desk.gate.transport.requests == []
    assert desk.gate.vault.unsealed == []


async def test_a_row_that_was_moved_is_not_opened() -> None:
    desk, made = await open_checks()
    store = desk.gate.connections
    row = store._rows["ada"][made]
    store._rows["grace"] = {made: replace(row, user_id="grace")}
    answer = await desk.ask("POST", f"/{made}/test", key=desk.grace)
    assert (answer.status_code, answer.json()["code"]) == (200, "provider_auth")
    assert desk.gate.transport.requests == []


async def told(desk: Desk) -> list[AuditEvent]:
    """What the log says of tries and decryptions."""
    events = await desk.gate.accounts.read_audit(after=None, limit=100)
    return [event for event in events if event.action in ("connection.test", "connection.decrypt")]


async def test_every_try_is_in_the_audit_log_with_the_decryption_it_took_before_the_key_is_used() -> None:
    desk, made = await open_checks()
    then: set[str] = set()

    def answer(_request: WireRequest) -> Answer:
        then.update(event.action for event in desk.gate.accounts._events.values())
        return LIST

    desk.gate.transport.on("/models", answer)
    assert (await check(desk, made))["ok"]
    assert {"connection.decrypt", "connection.test"} <= then
    decrypt, test = sorted(await told(desk), key=lambda event: event.action)
    assert dict(decrypt.details) == {"provider": "custom", "outcome": "ok"}
    for event in (decrypt, test):
        assert (event.target, event.user_id) == (made, "ada")
        assert event.actor.startswith("key_")
    assert (decrypt.actor, decrypt.request_id) == (test.actor, test.request_id)
    assert decrypt.request_id
    assert KEY not in repr(await told(desk))


async def test_a_key_still_in_memory_is_not_told_as_decrypted_again() -> None:
    desk, made = await open_checks()
    desk.gate.transport.on("/models", LIST)
    for _ in range(3):
        await check(desk, made)
    actions = sorted(event.action for event in await told(desk))
    assert actions == ["connection.decrypt"] + ["connection.test"] * 3


async def test_a_key_that_can_t_be_opened_is_told_as_such() -> None:
    desk, made = await open_checks()
    desk.gate.vault.fault = GatewayFault.unavailable("The vault")
    assert (await check(desk, made))["code"] == "gateway_unavailable"
    desk.gate.vault.fault = None
    store = desk.gate.connections
    store._rows["ada"][made] = replace(store._rows["ada"][made], base_url="https://elsewhere.example/v1")
    assert (await check(desk, made))["code"] == "provider_auth"
    outcomes = [e.details["outcome"] for e in await told(desk) if e.action == "connection.decrypt"]
    assert sorted(outcomes) == ["refused", "unknown"]
    assert [event.action for event in await told(desk)].count("connection.test") == 2
    assert desk.gate.transport.requests == []


async def test_a_try_that_can_t_be_told_is_none_and_its_decryption_is_in_the_process_s_log() -> None:
    desk, made = await open_checks()
    assert (await desk.ask("POST", "/con_none/test")).status_code == 404  # whose key it is is known now
    desk.gate.accounts.fault = GatewayFault.unavailable("The store")
    answer = await desk.ask("POST", f"/{made}/test")
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
    assert desk.gate.transport.requests == []
    (entry,) = desk.gate.log.named("decrypt.untold")
    assert (entry.fields["connection_id"], entry.fields["outcome"]) == (made, "ok")
    assert KEY not in repr(desk.gate.log.entries)


async def test_a_server_without_a_key_has_nothing_decrypted() -> None:
    desk, made = await open_checks(api_key=None)
    desk.gate.transport.on("/models", LIST)
    await check(desk, made)
    assert [event.action for event in await told(desk)] == ["connection.test"]


async def test_an_unknown_option_is_refused() -> None:
    desk, made = await open_checks()
    answer = await desk.ask("POST", f"/{made}/test", json={"generate": "yes"})
    assert answer.status_code == 422
