"""The whole gateway in one process: every HTTP function's real app, over one set of fakes."""

from collections.abc import Iterable, Mapping
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.accounts import app as accounts
from functions.connections import app as connections
from functions.deliver import app as deliver
from functions.generations import app as generations
from functions.health import app as health
from functions.models import app as models
from headgate.bootstrap import HttpFunction
from headgate.domain import callers
from headgate.domain.callers import KeyLimits
from headgate.domain.catalog import ModelInfo
from headgate.http.app import routes_of
from headgate.services.manage_keys import ALL_SCOPES, KeyManager
from tests.support.bench import Bench

FUNCTIONS: Mapping[str, HttpFunction] = {
    each.function.name: each.function
    for each in (accounts, connections, deliver, generations, health, models)
}


def api_of(function: HttpFunction) -> FastAPI:
    """The app inside its edge."""
    api = function.app.app
    assert isinstance(api, FastAPI)
    return api


def function_of(path: str) -> HttpFunction:
    """The function that serves a path, by any of its names; `health` for what none serves."""
    plain = "/v2" + path[4:] if path.startswith("/api/models") else path.removeprefix("/api")
    for function in FUNCTIONS.values():
        if any(route.path_regex.match(plain) for route in routes_of(api_of(function))):
            return function
    return FUNCTIONS["health"]


async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    await function_of(scope["path"]).app(scope, receive, send)


class Gate(Bench):
    """Ann's key may read models and generate; root's may do everything. Make one with `open_gate`."""

    ann = root = ""

    def __init__(self, *slugs: str, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(*slugs, environ=environ)
        for function in FUNCTIONS.values():
            function.configure(self.environ, self.adapters)

    async def key(
        self, *scopes: callers.Scope, user_id: str = "ann", limits: KeyLimits = KeyLimits(), **fields: Any
    ) -> str:
        """The text of a new key."""
        manager = KeyManager(self.accounts, self.clock, self.log)
        _, text = await manager.mint(user_id=user_id, name="x", scopes=scopes, limits=limits, **fields)
        return text.reveal()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = "ann",
        headers: Mapping[str, str] | None = None,
        app: ASGIApp = dispatch,
        **more: Any,
    ) -> httpx.Response:
        """One request; `key` is `ann`, `root`, the text of another, or None for a keyless one."""
        text = {"ann": self.ann, "root": self.root}.get(key or "", key)
        given = dict(headers or {})
        if text is not None:
            given.setdefault("authorization", f"Bearer {text}")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gate") as client:
            return await client.request(method, path, headers=given, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        return await self.ask("POST", path, **more)

    async def show(self, *models: ModelInfo) -> None:
        """Publishes these lists, for processes that have read none yet."""
        for slug in {each.provider for each in models}:
            await self.publish(slug, *(each for each in models if each.provider == slug))


async def open_gate(
    *slugs: str, models: Iterable[ModelInfo] = (), environ: Mapping[str, str] | None = None
) -> Gate:
    """A gate over fake providers, with two keys and these models."""
    gate = Gate(*(slugs or ("alpha", "beta")), environ=environ)
    for function in FUNCTIONS.values():
        gate.register(function.services)
    gate.ann = await gate.key(callers.Scope.MODELS_READ, callers.Scope.GENERATE)
    gate.root = await gate.key(*ALL_SCOPES, user_id="root")
    await gate.show(*models)
    return gate
