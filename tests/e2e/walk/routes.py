"""Every route of every function, and what to ask of it: the list that all walks go along.

Routes join by themselves. One that reads needs nothing said here, as long as its path names things that
`Things` has; one that takes a body needs an example of it in `BODIES`, or `test_routes.py` fails.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute

from headgate.domain.callers import Scope
from headgate.domain.usage import Dimension
from headgate.http.access import access_of
from headgate.http.app import routes_of
from tests.support.gate import FUNCTIONS, api_of

Things = Mapping[str, str]
"""What a call may name, by the name of the path's parameter: `connection_id`, `key_id`, `model_id`, …; and
`user_id`, `model` (for generating)."""

Body = Callable[[Things], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route: `name` is `POST /v2/keys`; scope None for a public one."""

    function: str
    method: str
    path: str
    scope: Scope | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        """What its path names."""
        return re.findall(r"\{(\w+)\}", self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of a route, in one of the ways that it can be asked."""

    route: Route
    path: str
    body: dict[str, Any] | None = None

    @property
    def streams(self) -> bool:
        return bool((self.body or {}).get("stream"))


def _routes() -> Iterator[Route]:
    for function, made in FUNCTIONS.items():
        for route in routes_of(api_of(made)):
            for method in sorted(route.methods or ()):
                yield Route(function, method, route.path_format, _scope_of(route))


def _scope_of(route: APIRoute) -> Scope | None:
    access = access_of(route.endpoint)
    return access if isinstance(access, Scope) else None


ROUTES = tuple(_routes())

_HI = [{"role": "user", "content": "hi"}]


def _chat(t: Things) -> dict[str, Any]:
    return {"model": t["model"], "messages": _HI, "max_tokens": 9}


def _response(t: Things) -> dict[str, Any]:
    return {"model": t["model"], "input": "hi"}


def _text(t: Things) -> dict[str, Any]:
    return {"type": "text", "model": t["model"], "config": {"prompt": "hi"}}


def _new_connection(t: Things) -> dict[str, Any]:
    return {"name": "walked", "type": t["provider"], "api_key": t["api_key"]}


def _always(**body: Any) -> Body:
    return lambda _things: dict(body)


def _with(make: Body, **more: Any) -> Body:
    return lambda things: make(things) | more


def _naming(make: Body, *names: str) -> Body:
    return lambda things: make(things) | {name: things[name] for name in names}


def _in_project(make: Body) -> Body:
    return lambda things: make(things) | {"metadata": {"project_id": things["project_id"]}}


_GENERATING: Mapping[str, Body] = {
    "POST /v1/chat/completions": _chat,
    "POST /v1/responses": _response,
    "POST /v1/messages": _chat,
    "POST /v2/generations": _text,
}
STREAMING = frozenset(_GENERATING) - {"POST /v2/generations"}

BODIES: Mapping[str, tuple[Body, ...]] = {
    **{name: (make, _with(make, stream=True)) for name, make in _GENERATING.items() if name in STREAMING},
    "POST /v1/messages/count_tokens": (_chat,),
    "POST /v1/embeddings": (lambda t: {"model": t["embedding_model"], "input": "hi"},),
    "POST /v2/generations": (_text, _naming(_text, "connection_id"), _in_project(_text)),
    "POST /v2/generations/explain": (_text, _naming(_text, "connection_id"), _in_project(_text)),
    "POST /v2/connections": (
        _new_connection,
        _with(_new_connection, is_default=True),
        _with(_new_connection, type="nobody"),
        _with(_new_connection, name=7),
        lambda t: {"api_key": t["api_key"]},
        _with(_new_connection, base_url="http://10.0.0.1/v1"),
    ),
    "PATCH /v2/connections/{connection_id}": (
        _always(name="walked again"),
        lambda t: {"api_key": t["api_key"]},
        lambda t: {"api_key": t["api_key"], "unknown": True},
        _always(is_default=True),
    ),
    "POST /v2/connections/{connection_id}/default": (_always(),),
    "POST /v2/connections/{connection_id}/restore": (_always(),),
    "POST /v2/connections/{connection_id}/test": (_always(), _always(generate=True)),
    "POST /v2/webhooks": (_always(url="https://hooks.example.com/walk", events=["generation.succeeded"]),),
    "POST /v2/webhooks/{webhook_id}/rotate": (_always(),),
    "POST /v2/webhooks/{webhook_id}/test": (_always(), _always(event="model.repriced"), _always(event="x")),
    "POST /v2/keys": (
        lambda t: {"user_id": t["user_id"], "name": "walked", "scopes": ["models:read"]},
        lambda t: {
            "user_id": t["user_id"],
            "project_id": t["project_id"],
            "name": "walked",
            "scopes": ["generate"],
        },
    ),
    "POST /v2/keys/{key_id}/rotate": (_always(grace_s=60),),
    "PUT /v2/projects/{project_id}": (lambda t: {"owner_user_id": t["user_id"]},),
    "PUT /v2/settings": (
        lambda t: {"default_models": {"text": t["model"]}},
        lambda t: {"connections": {"text": t["connection_id"]}},
    ),
    "POST /v2/credits/grants": (
        lambda t: {"user_id": t["user_id"], "amount": {"amount": "1", "currency": "USD"}, "reason": "walk"},
    ),
    "PUT /v2/flags/{name}": (_always(enabled=True),),
    "POST /v2/models/refresh": (_always(),),
    "PATCH /v2/models/{model_id}/override": (_always(note="walked"),),
}
"""By the route's name, each way to ask it."""

_OF_USER = ("", "?user_id={user_id}")
QUERIES: Mapping[str, tuple[str, ...]] = {
    "GET /v1/generation": ("?id={generation_id}",),
    "GET /v2/generations": ("", "?project_id={project_id}", "?status=succeeded"),
    "GET /v2/connections": ("", "?show_inactive=true", "?search=-", "?type={provider}"),
    "GET /v2/settings": ("", "?project_id={project_id}"),
    "PUT /v2/settings": ("", "?project_id={project_id}"),
    "GET /v2/credits": _OF_USER,
    "GET /v2/credits/ledger": _OF_USER,
    "GET /v2/keys": _OF_USER,
    "GET /v2/usage": (*(f"?group_by={each}" for each in Dimension), "?user_id={user_id}"),
    "GET /v2/models": ("", "?available=true", "?limit=1", "?q=own", "?provider={provider}", "?force=true"),
}
"""By the route's name, what may follow its path."""

_RANK = {"GET": 0, "PUT": 1, "POST": 2, "PATCH": 3, "DELETE": 4}
_NEEDS_BODY = frozenset({"POST", "PUT", "PATCH"})


def calls_of(route: Route, things: Things) -> list[Call]:
    """Every way to ask it, naming these things. Raises KeyError for a route that nothing is known of."""
    path = route.path.format_map(things)
    bodies: tuple[Body | None, ...] = BODIES[route.name] if route.method in _NEEDS_BODY else (None,)
    return [
        Call(
            route=route,
            path=path + query.format_map(things),
            body=None if make is None else make(things),
        )
        for query in QUERIES.get(route.name, ("",))
        for make in bodies
    ]


def whole_walk(things: Things) -> list[Call]:
    """All ways of all routes: what reads first, what removes last."""
    routes = sorted(ROUTES, key=lambda route: _RANK[route.method])
    return [call for route in routes for call in calls_of(route, things)]


def unexampled(things: Things) -> list[str]:
    """Routes that a walk can't go: no example of their body, or something named that it doesn't have."""
    return [
        route.name
        for route in ROUTES
        if (route.method in _NEEDS_BODY and route.name not in BODIES) or set(route.names) - things.keys()
    ]
