"""Every handler, as built, with every file of events/: the same files that `sam local invoke` takes."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.built.shipped import ROOT, Built

pytestmark = [pytest.mark.built, pytest.mark.xdist_group("built")]

EVENTS = ROOT / "events"

HTTP: dict[str, dict[str, int]] = {
    "models": {
        "v1-list": 200,
        "v1-model": 404,
        "v2-list-filtered": 200,
        "v2-list-conditional": 200,
        "v2-model-unknown": 404,
        "availability": 200,
        "one-availability": 200,
        "refresh": 200,
        "override": 200,
        "delete-override": 204,
        "no-key": 401,
        "preflight": 204,
    },
    "generations": {
        "chat-completion": 200,
        "chat-completion-streamed": 200,
        "generate-text": 200,
        "list": 200,
        "unknown": 404,
        "malformed": 400,
        "messages-count-tokens": 200,
        "v1-generation-unknown": 404,
    },
    "connections": {
        "create": 201,
        "list": 200,
        "unknown": 404,
        "default-unknown": 404,
        "create-webhook": 201,
        "list-webhooks": 200,
    },
    "deliver": {
        "test-unknown": 404,
        "test-wrong-event": 422,
    },
    "accounts": {
        "create-key": 201,
        "list-keys": 200,
        "delete-key-unknown": 404,
        "put-project": 201,
        "project-unknown": 404,
        "put-settings": 200,
        "get-settings": 200,
        "grant-credits": 201,
        "credits": 200,
        "ledger": 200,
        "usage": 200,
        "put-flag": 200,
        "flag": 200,
        "audit": 200,
        "v1-key": 200,
        "v1-credits": 200,
    },
    "health": {
        "healthz": 200,
        "openapi": 200,
        "providers": 200,
        "providers-health": 200,
        "providers-text": 200,
        "connection-test-unknown": 404,
    },
}
"""The status that each HTTP event gets, from a stack that has the mock provider and no other."""

OTHERS = {
    "accounts": {"mint-admin-key"},
    "health": {"schedule"},
    "refresh": {"schedule", "asked-by-models", "forced-for-one", "asked-by-connections"},
    "sweep": {"schedule"},
    "usage": {"finished", "rewritten", "expired", "keys"},
}


def _event(function: str, name: str) -> Any:
    return json.loads((EVENTS / function / f"{name}.json").read_text())


def _answers(built: Built, function: str, names: list[str]) -> dict[str, Any]:
    answers, strangers = built.invoke(function, [_event(function, name) for name in names])
    assert strangers == []
    return dict(zip(names, answers, strict=True))


def _body(answer: dict[str, Any]) -> bytes:
    text: str = answer["body"]
    body = base64.b64decode(text) if answer["isBase64Encoded"] else text.encode()
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


@pytest.fixture(scope="module")
def refreshed(artefacts: Any, account: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scheduled refresh of the built function said; after it there is a catalogue."""
    built = Built(artefacts, account, tmp_path_factory.mktemp("refresh"))
    return _answers(built, "refresh", sorted(OTHERS["refresh"]))


def test_every_file_is_driven_through_its_handler() -> None:
    files = {(path.parent.name, path.stem) for path in EVENTS.glob("*/*.json")}
    driven = {(function, name) for table in (HTTP, OTHERS) for function in table for name in table[function]}
    assert files == driven


@pytest.mark.parametrize("function", HTTP)
def test_http_events_get_answers_that_api_gateway_takes(
    built: Built, refreshed: dict[str, Any], function: str
) -> None:
    answers = _answers(built, function, list(HTTP[function]))
    assert {name: answer.get("statusCode") for name, answer in answers.items()} == HTTP[function]
    for name, answer in answers.items():
        assert isinstance(answer["isBase64Encoded"], bool), name
        headers = {
            key.lower() for key in {**answer.get("headers", {}), **answer.get("multiValueHeaders", {})}
        }
        assert {"x-request-id", "access-control-allow-origin"} <= headers, name
        if answer["statusCode"] >= 400:
            problem = json.loads(_body(answer))
            error = problem.get("error", problem)
            assert error["code"], name
            assert error["request_id"], name


def test_a_refresh_from_a_schedule_fills_the_catalogue(built: Built, refreshed: dict[str, Any]) -> None:
    assert "raised" not in str(refreshed)
    listed = _answers(built, "models", ["v2-list-filtered", "v1-list"])
    models = json.loads(_body(listed["v2-list-filtered"]))["models"]
    assert {model["provider"] for model in models} == {"mock"}
    assert json.loads(_body(listed["v1-list"]))["data"]


def test_a_chat_through_a_buffering_handler_is_whole(built: Built, refreshed: dict[str, Any]) -> None:
    answers = _answers(built, "generations", ["chat-completion", "chat-completion-streamed"])
    whole = json.loads(_body(answers["chat-completion"]))
    assert whole["choices"][0]["message"]["content"]
    assert _body(answers["chat-completion-streamed"]).rstrip().endswith(b"data: [DONE]")


def test_the_scheduled_check_tells_each_provider_status(built: Built, refreshed: dict[str, Any]) -> None:
    answers = _answers(built, "health", ["schedule", "providers-health"])
    assert answers["schedule"]["mock"] == "healthy"
    shown = json.loads(_body(answers["providers-health"]))["data"]
    assert "mock" in {row["provider"] for row in shown}


def test_whoever_may_invoke_accounts_mints_an_administrator_key_that_works(built: Built) -> None:
    minted = _answers(built, "accounts", ["mint-admin-key"])["mint-admin-key"]
    listing = _event("accounts", "list-keys")
    for headers in (listing["headers"], listing["multiValueHeaders"]):
        was_list = isinstance(headers["Authorization"], list)
        headers["Authorization"] = [f"Bearer {minted['key']}"] if was_list else f"Bearer {minted['key']}"
    (answer,), _ = built.invoke("accounts", [listing])
    assert minted["id"] in {key["id"] for key in json.loads(_body(answer))["data"]}
    assert minted["key"].encode() not in _body(answer)


def test_the_stream_counts_each_attempt_once(built: Built) -> None:
    answers = _answers(built, "usage", ["finished", "rewritten", "expired", "keys"])
    counted = {name: answer["attempts"] for name, answer in answers.items()}
    assert counted == {"finished": 3, "rewritten": 0, "expired": 0, "keys": 0}
    told = {name: (answer["key_uses"], answer["decrypts"]) for name, answer in answers.items()}
    assert told == {"finished": (3, 0), "rewritten": (0, 0), "expired": (0, 0), "keys": (1, 1)}


def test_events_are_what_api_gateway_sends() -> None:
    """An authorizer, a body that is not base64, a missing field: then these files would prove nothing."""
    for function, names in HTTP.items():
        for name in names:
            event = _event(function, name)
            assert event["requestContext"]["resourcePath"] == event["resource"]
            assert event["requestContext"]["path"] == f"/live{event['path']}"
            assert event["isBase64Encoded"] is (event["body"] is not None)
            template = event["resource"].replace("+}", "}")
            assert template.format(**event["pathParameters"] or {}) == event["path"]


def test_every_route_in_the_events_is_in_the_template(account: Any) -> None:
    for function, names in HTTP.items():
        routes = {route.path for route in account.stack.function(function).routes}
        for name in names:
            path = Path(EVENTS / function / f"{name}.json")
            assert json.loads(path.read_text())["resource"] in routes, path.name
