"""What every request gets, whatever it asks: an id, our time, CORS, other names of paths, a last resort."""

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.bootstrap import HttpFunction
from headgate.http.access import public
from headgate.http.routes import generations
from headgate.testing.memory import Answer
from tests.support.asgi import Exchange
from tests.support.gate import FUNCTIONS, dispatch, open_gate
from tests.support.models import model
from tests.support.provider import said

HEADERS_OF_A_RUN = {
    name.decode() for name in re.findall(rb'b"(x-headgate-[a-z-]+)"', Path(generations.__file__).read_bytes())
}
ANYTHING = ["/healthz", "/v2/models", "/v1/chat/completions", "/nowhere", "/v2/keys/x", "/api/v2/models"]


# -- ids and times -----------------------------------------------------------------------------------------


async def test_every_answer_has_an_id_of_its_own() -> None:
    gate = await open_gate()
    answers = [
        await gate.get("/v2/models"),
        await gate.get("/v2/models", key=None),
        await gate.get("/nowhere"),
        await gate.post("/v1/chat/completions", content=b"{"),
        await gate.ask("OPTIONS", "/v2/models", key=None),
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)
    assert all(re.fullmatch(r"req_[0-9a-v]{26}", each) for each in ids)


async def test_the_id_of_an_error_is_in_its_body_and_in_the_log() -> None:
    gate = await open_gate()
    answer = await gate.get("/v2/models/alpha/none")
    request_id = answer.headers["x-request-id"]
    assert answer.json()["request_id"] == request_id
    (entry,) = gate.log.named("request.failed")
    assert entry.fields["request_id"] == request_id
    assert (entry.fields["status"], entry.fields["code"]) == (404, "model_not_found")


async def test_a_prompt_that_a_provider_quotes_in_its_refusal_is_told_to_the_caller_alone() -> None:
    gate = await open_gate(models=[model("alpha/m")])
    refusal = b'{"error": {"message": "I do not like: my prompt"}}'
    gate.transport.on("/chat", Answer(status=400, body=refusal))
    body = {"model": "alpha/m", "messages": [{"role": "user", "content": "my prompt"}]}
    answer = await gate.post("/v1/chat/completions", json=body)
    assert "my prompt" in answer.json()["error"]["message"]
    (entry,) = gate.log.named("request.failed")
    assert (entry.fields["code"], entry.fields["provider"]) == ("provider_rejected", "alpha")
    assert not [each for each in gate.log.entries if "my prompt" in str(each.fields)]


async def test_a_callers_own_request_id_is_not_taken_for_ours() -> None:
    answer = await (await open_gate()).get("/healthz", headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] != "mine"


def stages(answer: httpx.Response) -> dict[str, float]:
    return {
        part.split(";")[0].strip(): float(part.split("dur=")[1])
        for part in answer.headers["server-timing"].split(",")
    }


async def test_our_own_time_is_told_by_stage_and_without_the_providers() -> None:
    gate = await open_gate(models=[model("alpha/m")])
    assert set(stages(await gate.get("/v2/models"))) == {"auth", "gateway"}
    gate.transport.on("/chat", said("x"))

    body = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}]}
    told = stages(await gate.post("/v1/chat/completions", json=body))
    assert list(told) == ["auth", "route", "record", "provider", "settle", "gateway"]
    assert all(duration_ms >= 0 for duration_ms in told.values())


# -- CORS --------------------------------------------------------------------------------------------------


def no_credentials(headers: Mapping[str, str]) -> bool:
    return "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("path", ANYTHING)
async def test_options_is_answered_on_anything_without_a_key(path: str) -> None:
    gate = await open_gate()
    answer = await gate.ask(
        "OPTIONS",
        path,
        key=None,
        headers={
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, x-provider-key",
        },
    )
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization, x-provider-key"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert method in answer.headers["access-control-allow-methods"]
    assert no_credentials(answer.headers)


@pytest.mark.parametrize(("path", "key"), [("/v2/models", "ann"), ("/v2/models", None), ("/nowhere", "ann")])
async def test_answers_and_errors_alike_may_be_read_by_any_origin_by_default(
    path: str, key: str | None
) -> None:
    gate = await open_gate()
    answer = await gate.get(path, key=key, headers={"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert no_credentials(answer.headers)
    exposed = answer.headers["access-control-expose-headers"]
    for name in ("x-request-id", "retry-after", "etag", "server-timing", *HEADERS_OF_A_RUN):
        assert name in exposed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", "https://app.example"),
        ("https://evil.example", None),
        ("https://app.example.evil.example", None),
        ("null", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_where_origins_are_named_only_those_are_let_in(
    method: str, origin: str, allowed: str | None
) -> None:
    gate = await open_gate(environ={"HEADGATE_CORS_ORIGINS": "https://app.example,https://b.example"})
    answer = await gate.ask(method, "/v2/models", headers={"origin": origin})
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert "origin" in answer.headers["vary"].lower()
    assert no_credentials(answer.headers)


# -- other names of paths ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/v2/models", "/api/v2/models"),
        ("/v2/models", "/api/models"),
        ("/v2/models/alpha/m", "/api/models/alpha/m"),
        ("/v1/models", "/api/v1/models"),
        ("/v1/models/alpha/m", "/api/v1/models/alpha/m"),
        ("/v2/providers", "/api/v2/providers"),
        ("/v2/generations", "/api/v2/generations"),
        ("/v2/keys", "/api/v2/keys"),
    ],
)
async def test_a_path_has_its_names_under_api(path: str, other: str) -> None:
    gate = await open_gate(models=[model("alpha/m")])
    one, two = await gate.get(path), await gate.get(other)
    assert one.status_code == two.status_code == 200
    hit = b'"cache_hit":true', b'"cache_hit":false'
    assert one.content.replace(*hit) == two.content.replace(*hit)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v3/models", "/api/healthz", "/apiv2/models", "/v3"])
async def test_nothing_else_is_under_api(path: str) -> None:
    assert (await (await open_gate()).get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/api/v2/models", "/api/models"])
async def test_there_query_and_body_may_be_in_camel_case(path: str) -> None:
    gate = await open_gate(
        models=[model("alpha/small", context_window=8), model("alpha/large", context_window=80)]
    )
    for query in ("minContext=80", "min_context=80"):
        answer = await gate.get(f"{path}?{query}")
        assert [each["id"] for each in answer.json()["models"]] == ["alpha/large"]


async def test_elsewhere_a_name_is_what_it_is() -> None:
    answer = await (await open_gate()).get("/v2/models?minContext=80")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "minContext"


async def test_an_error_under_api_has_the_shape_of_the_path_it_stands_for() -> None:
    gate = await open_gate()
    assert (await gate.get("/api/v2/models/none")).headers["content-type"] == "application/problem+json"
    assert "error" in (await gate.get("/api/v1/models/none")).json()


# -- the size of bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v2/generations", "/v2/keys"])
async def test_a_body_that_announces_twenty_megabytes_is_refused_before_a_byte_is_read(path: str) -> None:
    gate = await open_gate()
    exchange = Exchange(
        dispatch,
        "POST",
        path,
        headers={"content-length": "20000000", "authorization": f"Bearer {gate.root}"},
        body=[b"x" * 1000] * 20_000,
    )
    status, _ = await exchange.head()
    assert status == 413
    assert exchange.read_bytes == 0
    assert b"payload_too_large" in await exchange.rest()


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/v1/chat/completions", 10_000_000), ("/v2/generations", 10_000_000), ("/v2/keys", 4_500_000)],
)
async def test_a_body_that_does_not_is_cut_off_where_it_outgrows_the_limit(path: str, limit: int) -> None:
    gate = await open_gate()
    piece = b"x" * 100_000
    exchange = Exchange(
        dispatch, "POST", path, headers={"authorization": f"Bearer {gate.root}"}, body=[piece] * 200
    )
    status, _ = await exchange.head()
    assert status == 413
    assert limit < exchange.read_bytes <= limit + len(piece)


async def test_the_refusal_names_the_limit_and_the_way_around_it() -> None:
    gate = await open_gate(environ={"HEADGATE_MAX_BODY_BYTES": "100"})
    plain = (await gate.post("/v2/generations", content=b"x" * 101)).json()
    assert (plain["status"], plain["code"], plain["retryable"]) == (413, "payload_too_large", False)
    assert plain["limit_bytes"] == 100
    assert "/v2/uploads" in plain["upload"]
    shaped = (await gate.post("/v1/chat/completions", content=b"x" * 101)).json()["error"]
    assert (shaped["code"], shaped["limit_bytes"]) == ("payload_too_large", 100)


async def test_a_body_of_just_the_limit_is_read() -> None:
    gate = await open_gate(environ={"HEADGATE_MAX_BODY_BYTES": "100"})
    assert (await gate.post("/v2/generations", content=b" " * 98 + b"{}")).status_code == 422


# -- the last resort ---------------------------------------------------------------------------------------


async def crash(_request: Request) -> Response:
    raise RuntimeError("sk-secret in the middle of a stack")


async def crash_late(_request: Request) -> Response:
    class Late(Response):
        async def __call__(self, scope: object, receive: object, send: object) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
            raise RuntimeError("too late")

    return Late()


def crashing(path: str = "/v2/crash") -> HttpFunction:
    router = APIRouter()
    router.add_api_route(path, public(crash), methods=["GET"])
    router.add_api_route("/late", public(crash_late), methods=["GET"])
    return HttpFunction("models", [router], buffered=False)


async def test_a_crash_is_an_internal_error_without_a_word_of_what_happened() -> None:
    gate = await open_gate()
    function = crashing()
    function.configure({}, gate.adapters)
    answer = await gate.get("/v2/crash", app=function.app)
    assert answer.status_code == 500
    problem = answer.json()
    assert (problem["code"], problem["origin"], problem["retryable"]) == ("internal", "gateway", False)
    assert answer.headers["x-should-retry"] == "false"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" not in answer.text
    (entry,) = gate.log.named("request.crashed")
    assert entry.fields == {"request_id": problem["request_id"], "error": "RuntimeError"}


async def test_a_crash_under_v1_has_the_shape_of_that_dialect() -> None:
    gate = await open_gate()
    function = crashing("/v1/crash")
    function.configure({}, gate.adapters)
    answer = await gate.get("/v1/crash", app=function.app)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"


async def test_a_crash_after_the_head_cuts_the_connection_instead_of_ending_it_cleanly() -> None:
    gate = await open_gate()
    function = crashing()
    function.configure({}, gate.adapters)
    exchange = Exchange(function.app, "GET", "/late")
    assert (await exchange.head())[0] == 200
    with pytest.raises(ConnectionAbortedError):
        await exchange.rest()


async def test_a_setting_that_can_not_be_read_is_an_error_like_any_other() -> None:
    gate = await open_gate()
    function = crashing()
    function.configure({"HEADGATE_PING_S": "often"}, gate.adapters)
    answer = await gate.get("/v2/crash", app=function.app)
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
async def test_every_function_says_that_it_can_serve(function: HttpFunction) -> None:
    answer = await (await open_gate()).get("/healthz", key=None, app=function.app)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v2/nowhere", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/v2/models/", 404, "model_not_found"),
        ("DELETE", "/v2/models", 405, "method_not_allowed"),
        ("PATCH", "/v2/generations", 405, "method_not_allowed"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
    ],
)
async def test_what_there_is_not_is_said_in_our_shape(method: str, path: str, status: int, code: str) -> None:
    answer = await (await open_gate()).ask(method, path)
    assert answer.status_code == status
    body = answer.json()
    assert body.get("error", body)["code"] == code
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v2/models", "GET, HEAD, OPTIONS"),
        ("PATCH", "/v2/generations", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/v1/chat/completions", "OPTIONS, POST"),
        ("POST", "/v2/keys/key_1", "DELETE, GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str) -> None:
    answer = await (await open_gate()).ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/healthz", "/v2/models", "/v2/models/none", "/openapi.json"])
async def test_head_is_get_without_the_body(path: str) -> None:
    gate = await open_gate(models=[model("alpha/m")])
    whole = await gate.get(path)
    bare = await gate.ask("HEAD", path)
    assert bare.status_code == whole.status_code
    assert bare.content == b""
    for name in ("content-type", "etag", "cache-control", "x-should-retry"):
        assert bare.headers.get(name) == whole.headers.get(name)


async def test_head_needs_a_key_where_get_does() -> None:
    assert (await (await open_gate()).ask("HEAD", "/v2/models", key=None)).status_code == 401


async def test_the_server_still_sees_that_it_was_a_head() -> None:
    await open_gate()
    exchange = Exchange(dispatch, "HEAD", "/healthz")
    await exchange.head()
    assert await exchange.rest() == b""
    assert exchange.scope["method"] == "HEAD"
