"""What holds on every route: any page may read it, none is without a limit, none tells what broke."""

import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from headgate.domain.callers import Scope
from headgate.domain.errors import CODES, GatewayFault
from headgate.http.access import access_of
from headgate.http.app import routes_of
from tests.support.gate import FUNCTIONS, Gate, api_of, open_gate

SECRET = "sk-live-0123456789 in /var/task/headgate/aws/accounts.py"
ORIGIN = {"origin": "https://app.example"}
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
LIMITED = [
    call
    for call, (_, method, route) in zip(CALLS, ROUTES, strict=True)
    if isinstance(access_of(route.endpoint), Scope)
    and (method == "GET" or access_of(route.endpoint) != Scope.GENERATE)
]


async def call(gate: Gate, name: str, method: str, route: APIRoute, **more: Any) -> httpx.Response:
    """Something asked of this route, which may make no sense to it."""
    path = re.sub(r"\{[^}]*\}", "x", route.path_format)
    if method != "GET":
        more.setdefault("json", {})
    return await gate.ask(method, path, headers=ORIGIN, app=FUNCTIONS[name].app, **({"key": "root"} | more))


def readable(answer: httpx.Response) -> bool:
    """Whether a page of any origin may read it, and never by a cookie."""
    headers = answer.headers
    return (
        headers["access-control-allow-origin"] == "*"
        and "access-control-allow-credentials" not in headers
        and "x-request-id" in headers["access-control-expose-headers"]
    )


@pytest.mark.parametrize(("name", "method", "route"), CALLS)
async def test_any_page_may_ask_it_and_read_its_answers_and_refusals(
    name: str, method: str, route: APIRoute
) -> None:
    gate = await open_gate()
    preflight = await gate.ask(
        "OPTIONS",
        route.path_format,
        key=None,
        headers=ORIGIN | {"access-control-request-method": method},
        app=FUNCTIONS[name].app,
    )
    assert preflight.status_code == 204
    assert method in preflight.headers["access-control-allow-methods"]
    for key in ("root", None, "hg_wrong"):
        assert readable(await call(gate, name, method, route, key=key))


@pytest.mark.parametrize(("name", "method", "route"), LIMITED)
async def test_what_is_not_counted_in_the_store_is_limited_by_key(
    name: str, method: str, route: APIRoute
) -> None:
    """One call at once, and no more until its time."""
    gate = await open_gate(environ={"HEADGATE_READ_REQUESTS_PER_MINUTE": "4"})
    first, second = [await call(gate, name, method, route) for _ in range(2)]
    assert first.status_code != 429
    assert second.status_code == 429
    assert 0 < int(second.headers["retry-after"]) <= 60
    assert "rate_limited" in second.text
    other = await gate.key(*Scope)
    assert (await call(gate, name, method, route, key=other)).status_code != 429
    gate.clock.advance(int(second.headers["retry-after"]))
    assert (await call(gate, name, method, route)).status_code != 429


def break_stores(gate: Gate, fault: Exception) -> None:
    for store in vars(gate).values():
        if hasattr(store, "fault"):
            store.fault = fault


@pytest.mark.parametrize("fault", [RuntimeError(SECRET), GatewayFault.unavailable("The store")])
async def test_nothing_of_what_broke_gets_out(fault: Exception) -> None:
    broken: set[str] = set()
    for name, method, route in ROUTES:
        gate = await open_gate()
        await FUNCTIONS[name].services.authenticate.caller(gate.root)  # who calls is known by then
        break_stores(gate, fault)
        answer = await call(gate, name, method, route)
        assert readable(answer)
        told = answer.text + str(answer.headers) + str(gate.log.entries)
        for word in ("sk-live", "/var/task", "Traceback", "RuntimeError:", "File "):
            assert word not in told, f"{method} {route.path_format}"
        if answer.status_code < 400:
            continue
        body = answer.json()
        error = body.get("error", body)
        assert error["code"] in CODES
        if answer.status_code >= 500:
            broken.add(name)
            assert error["code"] == ("internal" if isinstance(fault, RuntimeError) else "gateway_unavailable")
            assert ("retry-after" in answer.headers) is isinstance(fault, GatewayFault)
    assert broken == set(FUNCTIONS)
