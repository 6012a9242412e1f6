"""Requests go where the template's Api events send them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dev.router import Router, Routes
from dev.template import Route
from headgate.testing.logs import NullLog

type App = Callable[[Any, Any, Any], Awaitable[None]]


class NamedApp:
    """Answers with its name; remembers its lifespan."""

    def __init__(self, name: str, *, starts: bool = True) -> None:
        self.name = name
        self.starts = starts
        self.life: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": self.name.encode()})
            return
        assert (await receive())["type"] == "lifespan.startup"
        self.life.append("up")
        if not self.starts:
            await send({"type": "lifespan.startup.failed", "message": f"{self.name} is broken"})
            return
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.life.append("down")
        await send({"type": "lifespan.shutdown.complete"})


def routes_of(*paths: tuple[str, str, str]) -> Routes:
    """Of (method, path, name of the app)."""
    routes = Routes()
    for method, path, name in paths:
        routes.add(Route(method=method, path=path), NamedApp(name))
    return routes


def served_by(routes: Routes, method: str, path: str) -> str | None:
    app = routes.find(method, path)
    assert app is None or isinstance(app, NamedApp)
    return None if app is None else app.name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "root"),
        ("/healthz", "health"),
        ("/v2/models", "models"),
        ("/v2/models/openai/gpt-4o", "models-each"),
        ("/v2/models/a/b/c:d@e", "models-each"),
        ("/v1/models", "models-v1"),
        ("/v1/chat/completions", "chat"),
        ("/v1/chat/completions/more", "chat-each"),
        ("/v1/chat/other", "chat-each"),
        ("/v2/projects/42", "project"),
        ("/v2/projects/mine", "my-project"),
        ("/v2/projects/42/members", "members"),
        ("/v2/projects/42/other", "v2-each"),
        ("/v2/anything", "v2-each"),
        ("/v1/chat", None),
        ("/v2", None),
        ("/nothing", None),
        ("/healthz/more", None),
    ],
)
def test_the_most_specific_event_serves_a_path(path: str, name: str | None) -> None:
    routes = routes_of(
        ("ANY", "/", "root"),
        ("ANY", "/healthz", "health"),
        ("ANY", "/v2/models", "models"),
        ("ANY", "/v2/models/{proxy+}", "models-each"),
        ("ANY", "/v2/{proxy+}", "v2-each"),
        ("ANY", "/v2/projects/{id}", "project"),
        ("ANY", "/v2/projects/mine", "my-project"),
        ("ANY", "/v2/projects/{id}/members", "members"),
        ("ANY", "/v1/models", "models-v1"),
        ("ANY", "/v1/chat/completions", "chat"),
        ("ANY", "/v1/chat/{proxy+}", "chat-each"),
    )
    assert served_by(routes, "GET", path) == name


def test_methods_of_one_path_may_have_different_apps() -> None:
    routes = routes_of(("GET", "/a", "reader"), ("POST", "/a", "writer"), ("GET", "/b/{proxy+}", "b"))
    assert served_by(routes, "GET", "/a") == "reader"
    assert served_by(routes, "POST", "/a") == "writer"
    assert served_by(routes, "DELETE", "/a") is None
    assert served_by(routes, "POST", "/b/c") is None


def test_a_browsers_preflight_reaches_whoever_has_the_path() -> None:
    routes = routes_of(("POST", "/a", "writer"))
    assert served_by(routes, "OPTIONS", "/a") == "writer"
    assert served_by(routes, "OPTIONS", "/b") is None


async def ask(app: App, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


async def test_a_path_that_nobody_serves_is_a_problem_document_with_our_headers() -> None:
    router = Router(routes_of(("ANY", "/a", "a")), [], NullLog())
    status, headers, body = await ask(router, "/v2/nothing")
    problem = json.loads(body)
    assert status == problem["status"] == 404
    assert problem["code"] == "not_found"
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"access-control-allow-origin"] == b"*"
    assert headers[b"x-request-id"].decode() == problem["request_id"]


async def test_a_path_that_nobody_serves_under_v1_answers_in_openais_shape() -> None:
    _, _, body = await ask(Router(Routes(), [], NullLog()), "/v1/nothing")
    assert json.loads(body)["error"]["code"] == "not_found"


async def live(router: Router) -> list[Any]:
    """The router's whole life; what it says of it."""
    said: list[Any] = []
    steps = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Any:
        return {"type": next(steps)}

    async def send(message: Any) -> None:
        said.append(message)

    await router({"type": "lifespan"}, receive, send)
    return said


async def test_every_app_lives_as_long_as_the_router() -> None:
    apps = [NamedApp("a"), NamedApp("b")]
    said = await live(Router(Routes(), apps, NullLog()))
    assert [message["type"] for message in said] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert [app.life for app in apps] == [["up", "down"], ["up", "down"]]


async def test_an_app_that_can_not_start_stops_the_router_from_starting() -> None:
    said = await live(Router(Routes(), [NamedApp("a"), NamedApp("b", starts=False)], NullLog()))
    assert [message["type"] for message in said] == ["lifespan.startup.failed"]
    assert "b is broken" in said[0]["message"]


class Status:
    """Answers with this status."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("method", "path", "status", "tells"),
    [
        ("POST", "/v2/connections", 201, True),
        ("DELETE", "/api/v2/connections/con_1", 204, True),
        ("PUT", "/v2/settings", 200, True),
        ("PUT", "/v2/projects/prj_1", 201, True),
        ("PUT", "/v2/flags/use_provider_registry", 200, True),
        ("PATCH", "/api/v2/models/openai/gpt-5/override", 200, True),
        ("GET", "/v2/connections", 200, False),
        ("POST", "/v2/connections", 422, False),
        ("POST", "/v2/generations", 200, False),
        ("POST", "/v1/connections", 200, False),
        ("POST", "/", 200, False),
    ],
)
async def test_what_functions_remember_is_told_when_it_is_written_before_the_writer_is(
    method: str, path: str, status: int, tells: bool
) -> None:
    routes = Routes()
    routes.add(Route(method="ANY", path="/{proxy+}"), Status(status))
    routes.add(Route(method="ANY", path="/"), Status(status))
    order: list[str] = []
    router = Router(routes, [], NullLog(), on_change=lambda: order.append("told"))

    async def send(message: Any) -> None:
        order.append(message["type"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    await router({"type": "http", "method": method, "path": path, "headers": []}, receive, send)
    assert order == [*(["told"] if tells else []), "http.response.start", "http.response.body"]
