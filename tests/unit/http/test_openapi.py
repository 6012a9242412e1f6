"""The description is valid OpenAPI 3.1, complete, and true: real answers validate against it."""

import re
from typing import Any

import httpx
import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from headgate.domain.callers import Scope
from headgate.domain.catalog import ProviderStatus
from headgate.domain.health import ProviderHealth
from headgate.http.access import PUBLIC, access_of
from headgate.http.app import routes_of
from headgate.http.openapi import whole_api
from headgate.testing.clock import START
from headgate.testing.memory import Answer
from tests.support.gate import FUNCTIONS, Gate, api_of, open_gate
from tests.support.models import model, priced
from tests.support.provider import listing, said

DOCUMENT: dict[str, Any] = orjson.loads(whole_api())
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
ROUTES = {
    (method, route.path_format): route
    for function in FUNCTIONS.values()
    for route in routes_of(api_of(function))
    for method in route.methods or ()
}
TEXT = {"type": "text", "model": "alpha/m", "config": {"prompt": "hi"}, "metadata": {"scene_id": "7"}}
CHAT = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}]}
CONNECTION = {"name": "mine", "type": "openai", "api_key": "sk-hers-0123456789", "metadata": {"a": 1}}
WEBHOOK = {"url": "https://hooks.example.com/", "events": ["generation.*"]}
GRANT = {"user_id": "root", "amount": "5", "reason": "to start with"}
PUTS: list[tuple[str, dict[str, Any]]] = [
    ("/v2/projects/film", {"owner_user_id": "root", "settings_user_id": "ann", "members": ["bob"]}),
    ("/v2/settings?project_id=film", {"default_models": {"text": "alpha/m"}, "flags": {"x": True}}),
    ("/v2/flags/new", {"enabled": True}),
]


WITHOUT_BODY = ("/default", "/restore", "/webhooks/{webhook_id}/rotate", "/models/refresh")


def schema_of(answer: httpx.Response, method: str, path: str) -> dict[str, Any] | None:
    """What the description promises of this answer; None where it promises nothing."""
    responses = OPERATIONS[method, path]["responses"]
    status = str(answer.status_code)
    promised = responses.get(status) or responses[f"{status[0]}XX"]
    kind = answer.headers.get("content-type", "").split(";")[0]
    found: dict[str, Any] | None = promised.get("content", {}).get(kind, {}).get("schema")
    return found


def check(answer: httpx.Response, method: str, path: str) -> None:
    schema = schema_of(answer, method, path)
    assert schema is not None, f"{answer.status_code} of {method} {path} is not described"
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = [
        f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
        for error in Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(answer.json())
    ]
    assert errors == []


async def busy_gate() -> Gate:
    """A gate that has something to show everywhere."""
    gate = await open_gate(
        models=[
            model("alpha/m", canonical_id="maker/m", pricing=priced("1", "10"), premium=True),
            model("alpha/bare", expires_at=START),
            model("beta/m", pricing=priced(None, None)),
        ]
    )
    gate.transport.on("https://alpha.example/models", listing())
    gate.transport.on("https://beta.example/models", Answer(status=500))
    for slug in gate.providers:
        gate.transport.on(f"https://{slug}.example/key", Answer(status=401))
    gate.transport.on("https://alpha.example/chat", said("hello", cost_usd="0.01"))
    await gate.catalog_store.write_health(
        ProviderHealth(
            provider="alpha",
            status=ProviderStatus.DEGRADED,
            last_checked=START,
            success_rate=0.5,
            latency_p50_ms=100,
            latency_p95_ms=900,
        )
    )
    for path, body in PUTS:
        assert (await gate.ask("PUT", path, key="root", json=body)).is_success
    for path, body in (("credits/grants", GRANT), ("connections", CONNECTION), ("webhooks", WEBHOOK)):
        assert (await gate.post(f"/v2/{path}", key="root", json=body)).is_success
    return gate


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_it_describes_every_route_of_every_function_and_no_other() -> None:
    assert set(OPERATIONS) == set(ROUTES)


def test_it_says_who_may_call_each_route() -> None:
    for call, operation in OPERATIONS.items():
        access = access_of(ROUTES[call].endpoint)
        assert operation.get("x-scope") == (access.value if isinstance(access, Scope) else None)
        assert (operation.get("security") == []) is (access == PUBLIC)
    assert DOCUMENT["security"]
    assert {name for each in DOCUMENT["security"] for name in each} == set(
        DOCUMENT["components"]["securitySchemes"]
    )


def test_every_operation_has_a_name_of_its_own_a_summary_and_its_failures() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    for (_, path), operation in OPERATIONS.items():
        assert operation["summary"]
        if path not in ("/healthz", "/openapi.json"):
            assert {"4XX", "5XX"} <= set(operation["responses"])


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(rb'"\$ref":"#/components/schemas/(\w+)"', whole_api()))
    assert {name.decode() for name in named} <= set(schemas)


def test_every_body_that_is_needed_is_described() -> None:
    for (method, path), operation in OPERATIONS.items():
        needed = method in ("POST", "PUT", "PATCH") and not path.endswith(WITHOUT_BODY)
        assert ("requestBody" in operation) is needed, path


async def test_it_is_served_to_anyone() -> None:
    gate = await open_gate()
    answer = await gate.get("/openapi.json", key=None)
    assert answer.json() == DOCUMENT
    assert answer.headers["content-type"] == "application/json"
    assert "public" in answer.headers["cache-control"]


GETS = {
    "/healthz": "/healthz",
    "/openapi.json": "/openapi.json",
    "/v1/models": "/v1/models",
    "/v1/models/{model_id}": "/v1/models/alpha/m",
    "/v1/models/{model_id}/endpoints": "/v1/models/alpha/m/endpoints",
    "/v2/models": "/v2/models?limit=1",
    "/v2/models/{model_id}": "/v2/models/alpha/m",
    "/v2/models/availability": "/v2/models/availability",
    "/v2/models/{model_id}/availability": "/v2/models/alpha/m/availability",
    "/v2/providers": "/v2/providers",
    "/v2/providers/health": "/v2/providers/health",
    "/v2/providers/{modality}": "/v2/providers/text",
    "/v2/generations": "/v2/generations",
    "/v2/generations/{generation_id}": "/v2/generations/{id}",
    "/v1/generation": "/v1/generation?id={id}",
    "/v2/usage": "/v2/usage",
    "/v2/connections": "/v2/connections?show_inactive=true",
    "/v2/connections/{connection_id}": "/v2/connections/{id}",
    "/v2/webhooks": "/v2/webhooks",
    "/v2/webhooks/{webhook_id}": "/v2/webhooks/{id}",
    "/v2/keys": "/v2/keys",
    "/v2/keys/{key_id}": "/v2/keys/{id}",
    "/v2/projects/{project_id}": "/v2/projects/film",
    "/v2/settings": "/v2/settings?project_id=film",
    "/v2/credits": "/v2/credits",
    "/v2/credits/ledger": "/v2/credits/ledger",
    "/v1/key": "/v1/key",
    "/v1/credits": "/v1/credits",
    "/v2/flags/{name}": "/v2/flags/new",
    "/v2/audit": "/v2/audit",
}


def test_every_get_is_tried_here() -> None:
    assert set(GETS) == {path for method, path in OPERATIONS if method == "GET"}


@pytest.mark.parametrize(("path", "url"), GETS.items())
async def test_a_real_answer_is_as_described(path: str, url: str) -> None:
    gate = await busy_gate()
    made = await gate.post("/v2/generations", json=TEXT)
    assert made.status_code == 200
    listed = (await gate.get("/v2/keys", key="root")).json()["data"]
    kind = path.removeprefix("/v2/").partition("/")[0]
    thing = made.json()["id"] if "generation" in path else listed[0]["id"]
    if kind in ("connections", "webhooks"):
        thing = (await gate.get(f"/v2/{kind}", key="root")).json()["data"][0]["id"]
    answer = await gate.get(url.format(id=thing), key="root")
    assert answer.status_code == 200
    if path not in ("/healthz", "/openapi.json"):
        check(answer, "GET", path)


@pytest.mark.parametrize(("path", "url"), GETS.items())
async def test_a_refusal_is_as_described(path: str, url: str) -> None:
    gate = await busy_gate()
    answer = await gate.get(url, key="hg_wrong")
    if answer.status_code != 200:
        check(answer, "GET", path)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/generations", TEXT, 200),
        ("/v2/generations", TEXT | {"model": "none"}, 404),
        ("/v2/generations", {}, 422),
        ("/v2/generations", TEXT | {"model": "beta/m"}, 502),
        ("/v2/generations/explain", TEXT, 200),
        ("/v1/chat/completions", CHAT, 200),
        ("/v1/chat/completions", {}, 400),
        ("/v1/chat/completions", CHAT | {"model": "beta/m"}, 502),
        ("/v1/messages", {}, 400),
        ("/v1/responses", {}, 400),
        ("/v1/embeddings", {}, 400),
        ("/v2/keys", {"user_id": "u", "name": "n", "scopes": ["generate"]}, 201),
        ("/v2/keys", {"user_id": "u"}, 422),
        ("/v2/connections", CONNECTION, 201),
        ("/v2/connections", {"name": "x"}, 422),
        ("/v2/webhooks", WEBHOOK, 201),
        ("/v2/webhooks", {"url": "http://10.0.0.1/", "events": ["model.*"]}, 422),
        ("/v2/credits/grants", GRANT, 201),
        ("/v2/credits/grants", {"user_id": "u"}, 422),
    ],
)
async def test_what_is_made_or_refused_is_as_described(path: str, body: Any, status: int) -> None:
    gate = await busy_gate()
    gate.transport.on("https://beta.example/chat", Answer(status=500))
    answer = await gate.post(path, key="root", json=body)
    assert answer.status_code == status
    check(answer, "POST", path)


@pytest.mark.parametrize(("url", "body"), PUTS)
async def test_what_is_put_or_refused_is_as_described(url: str, body: Any) -> None:
    gate = await busy_gate()
    path = {"film": "/v2/projects/{project_id}", "new": "/v2/flags/{name}"}.get(url.rpartition("/")[2])
    for wrong, sent in ((False, body), (True, {"nonsense": 1})):
        answer = await gate.ask("PUT", url, key="root", json=sent)
        assert answer.status_code == (422 if wrong else 200)
        check(answer, "PUT", path or "/v2/settings")


async def test_what_is_said_of_a_model_is_as_described() -> None:
    gate = await busy_gate()
    template = "/v2/models/{model_id}/override"
    said_of = {"enabled": False, "modality": "image", "price": {"input": "1"}, "note": "why"}
    for method, body, status in (
        ("PATCH", said_of, 200),
        ("PATCH", {"price": {}}, 422),
        ("DELETE", None, 204),
        ("DELETE", None, 404),
    ):
        answer = await gate.ask(method, "/v2/models/alpha/m/override", key="root", json=body)
        assert answer.status_code == status
        if method == "PATCH" and status == 200:
            check(await gate.get("/v2/models/alpha/m", key="root"), "GET", "/v2/models/{model_id}")
        if status != 204:
            check(answer, method, template)


async def test_lists_that_are_read_anew_are_as_described() -> None:
    gate = await busy_gate()
    for key, status in (("root", 202), ("ann", 200)):
        answer = await gate.post("/v2/models/refresh", key=key)
        assert answer.status_code == status
        check(answer, "POST", "/v2/models/refresh")


async def test_a_rotated_key_is_as_described() -> None:
    gate = await busy_gate()
    key = (await gate.get("/v2/keys", key="root")).json()["data"][0]["id"]
    for body in ({"grace_s": 0}, {}):
        answer = await gate.post(f"/v2/keys/{key}/rotate", key="root", json=body)
        assert answer.status_code == 200
        check(answer, "POST", "/v2/keys/{key_id}/rotate")


async def test_what_becomes_of_a_connection_and_a_webhook_is_as_described() -> None:
    gate = await busy_gate()
    gate.transport.on("https://api.openai.com/v1/models", Answer(status=401))
    gate.transport.on("https://hooks.example.com", Answer(status=204), Answer(status=500))
    ids = {
        kind: (await gate.get(f"/v2/{kind}", key="root")).json()["data"][0]["id"]
        for kind in ("connections", "webhooks")
    }
    connection, webhook = "/v2/connections/{connection_id}", "/v2/webhooks/{webhook_id}"
    for method, path, body, status in (
        ("PATCH", connection, {"default_model": "x"}, 200),
        ("PATCH", connection, {"type": "gemini"}, 422),
        ("POST", f"{connection}/default", None, 200),
        ("POST", f"{connection}/test", {"generate": False}, 200),
        ("POST", f"{connection}/test", {"generate": "x"}, 422),
        ("POST", f"{webhook}/rotate", None, 200),
        ("POST", f"{webhook}/test", None, 200),
        ("POST", f"{webhook}/test", {"event": "model.repriced"}, 200),
        ("POST", f"{webhook}/test", {"event": "model.*"}, 422),
        ("DELETE", connection, None, 204),
        ("DELETE", webhook, None, 204),
        ("POST", f"{connection}/default", None, 409),
        ("POST", f"{connection}/restore", None, 200),
        ("POST", f"{webhook}/rotate", None, 404),
        ("POST", f"{webhook}/test", None, 404),
    ):
        url = path.format(connection_id=ids["connections"], webhook_id=ids["webhooks"])
        answer = await gate.ask(method, url, key="root", json=body)
        assert answer.status_code == status, (method, url, answer.text)
        if status != 204:
            check(answer, method, path)


async def test_a_failed_generation_is_as_described() -> None:
    gate = await busy_gate()
    gate.transport.on("https://beta.example/chat", Answer(status=500))
    failed = await gate.post("/v2/generations", json=TEXT | {"model": "beta/m"})
    answer = await gate.get(f"/v2/generations/{failed.headers['x-headgate-generation-id']}")
    assert answer.json()["status"] == "failed"
    check(answer, "GET", "/v2/generations/{generation_id}")
    check(await gate.get("/v2/generations"), "GET", "/v2/generations")


async def test_what_is_not_modified_or_gone_is_described() -> None:
    gate = await busy_gate()
    for path, url in (("/v2/models", "/v2/models"), ("/v1/models", "/v1/models")):
        etag = (await gate.get(url)).headers["etag"]
        answer = await gate.get(url, headers={"if-none-match": etag})
        assert str(answer.status_code) in OPERATIONS["GET", path]["responses"]
    assert "204" in OPERATIONS["DELETE", "/v2/keys/{key_id}"]["responses"]
