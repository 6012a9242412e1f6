"""A route is closed unless it says otherwise, and docs/routes.md says what each one needs."""

import re
from pathlib import Path

import pytest
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from headgate.bootstrap import HttpFunction
from headgate.domain.callers import Scope
from headgate.domain.errors import GatewayFault
from headgate.http.access import PUBLIC, access_of, public, scoped
from headgate.http.app import routes_of
from headgate.http.openapi import ROUTERS
from tests.support.gate import FUNCTIONS, Gate, api_of, open_gate

ROOT = Path(__file__).parents[3]
PUBLIC_ROUTES = {("GET", "/healthz"), ("GET", "/openapi.json")}


ROUTES = [
    (name, method, route)
    for name, function in FUNCTIONS.items()
    for route in routes_of(api_of(function))
    for method in sorted(route.methods or ())
]
CALLS = [
    pytest.param(name, method, route, id=f"{name}: {method} {route.path_format}")
    for name, method, route in ROUTES
]


def example(route: APIRoute) -> str:
    """A path of this route."""
    return re.sub(r"\{[^}]*\}", "x", route.path_format)


def table() -> set[tuple[str, str, str, str]]:
    """The rows of docs/routes.md."""
    rows = re.findall(
        r"^\| ([A-Z]+) \| `([^`]+)` \| (\S+) \| (\w+) \|$", (ROOT / "docs/routes.md").read_text(), re.M
    )
    return set(rows)


def test_every_function_that_serves_http_is_looked_at_here() -> None:
    serving = {
        path.parent.name for path in ROOT.glob("functions/*/app.py") if "HttpFunction(" in path.read_text()
    }
    assert serving == set(FUNCTIONS) == set(ROUTERS)


def test_the_table_in_the_docs_is_what_the_apps_do() -> None:
    served = {
        (
            method,
            route.path_format,
            str(access_of(route.endpoint)),
            "every" if route.path_format == "/healthz" else name,
        )
        for name, method, route in ROUTES
    }
    assert served == table()


def test_exactly_these_routes_are_public() -> None:
    open_ = {
        (method, route.path_format) for _, method, route in ROUTES if access_of(route.endpoint) == PUBLIC
    }
    assert open_ == PUBLIC_ROUTES


@pytest.mark.parametrize(("name", "method", "route"), CALLS)
async def test_without_a_key_only_public_routes_answer(name: str, method: str, route: APIRoute) -> None:
    gate = await open_gate()
    answer = await gate.ask(method, example(route), key=None, app=FUNCTIONS[name].app)
    if (method, route.path_format) in PUBLIC_ROUTES:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("application/")
        assert "unauthenticated" in answer.text


@pytest.mark.parametrize(("name", "method", "route"), CALLS)
async def test_a_key_without_the_scope_is_refused(name: str, method: str, route: APIRoute) -> None:
    needed = access_of(route.endpoint)
    gate = await open_gate()
    others = set(Scope) - {Scope.ADMIN, needed}
    answer = await gate.ask(method, example(route), key=await gate.key(*others), app=FUNCTIONS[name].app)
    if needed == PUBLIC:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 403
        assert "forbidden" in answer.text
        assert str(needed) in answer.text


@pytest.mark.parametrize(("name", "method", "route"), CALLS)
async def test_the_scope_or_an_administrators_key_opens_it(name: str, method: str, route: APIRoute) -> None:
    needed = access_of(route.endpoint)
    gate = await open_gate()
    key = await gate.key(needed) if isinstance(needed, Scope) else None
    for each in (key, gate.root):
        answer = await gate.ask(method, example(route), key=each, app=FUNCTIONS[name].app)
        assert answer.status_code not in (401, 403)
        assert answer.status_code < 500


# -- a route that forgot, and other mistakes ---------------------------------------------------------------


def function_with(*marks: object) -> HttpFunction:
    """A function of its own, whose routes are `/0`, `/1`… with these marks."""
    router = APIRouter()
    for at, mark in enumerate(marks):

        async def endpoint(_request: Request) -> Response:
            return Response(b"{}")

        router.add_api_route(f"/{at}", mark(endpoint) if callable(mark) else endpoint, methods=["GET"])
    return HttpFunction("models", [router], buffered=False)


async def test_a_route_that_forgot_its_mark_is_closed_to_everybody() -> None:
    function = function_with(None, public, scoped(Scope.MODELS_READ))
    gate = await open_gate()
    function.configure({}, gate.adapters)

    async def status(path: str, key: str | None) -> int:
        return (await gate.ask("GET", path, key=key, app=function.app)).status_code

    assert [await status("/0", key) for key in (None, "ann", "root")] == [401, 403, 403]
    assert [await status("/1", key) for key in (None, "ann", "root")] == [200, 200, 200]
    assert [await status("/2", key) for key in (None, "ann", "root")] == [401, 200, 200]


# -- keys --------------------------------------------------------------------------------------------------


async def keyed(gate: Gate, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await gate.get("/v2/models", key=None, headers=named)).status_code


async def test_a_key_comes_as_openais_clients_send_it_or_as_anthropics_do() -> None:
    gate = await open_gate()
    assert await keyed(gate, authorization=f"Bearer {gate.ann}") == 200
    assert await keyed(gate, authorization=f"bearer   {gate.ann} ") == 200
    assert await keyed(gate, x_api_key=gate.ann) == 200
    assert await keyed(gate, authorization="Basic abc", x_api_key=gate.ann) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Bearer hg_wrong"},
        {"authorization": "hg_wrong"},
        {"x_api_key": ""},
        {"x_api_key": "hg_wrong"},
    ],
)
async def test_a_wrong_key_is_401_however_it_comes(headers: dict[str, str]) -> None:
    assert await keyed(await open_gate(), **headers) == 401


async def test_a_key_in_the_query_is_no_key() -> None:
    gate = await open_gate()
    answer = await gate.get(f"/v1/models?key={gate.ann}&api_key={gate.ann}", key=None)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/v1/models", "/v2/models", "/api/v2/connections"])
async def test_who_is_not_known_is_told_how_to_say_who_he_is(path: str) -> None:
    answer = await (await open_gate()).get(path, key=None)
    assert answer.headers["www-authenticate"] == 'Bearer realm="headgate"'


async def test_a_fault_while_looking_a_key_up_is_503_with_when_to_come_back_and_never_401() -> None:
    gate = await open_gate()
    gate.accounts.fault = GatewayFault.unavailable("The table")
    answer = await gate.get("/v2/models")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["code"] == "gateway_unavailable"


async def test_reads_are_limited_by_key_and_generating_is_not_counted_with_them() -> None:
    gate = await open_gate(environ={"HEADGATE_READ_REQUESTS_PER_MINUTE": "8"})
    statuses = [(await gate.get("/v2/models")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    limited = await gate.get("/v2/models")
    assert limited.json()["code"] == "rate_limited"
    assert int(limited.headers["retry-after"]) > 0
    assert "x-should-retry" not in limited.headers
    assert (await gate.get("/v2/models", key="root")).status_code == 200
    for _ in range(5):
        answer = await gate.post("/v1/chat/completions", json={})
        assert answer.status_code == 400
