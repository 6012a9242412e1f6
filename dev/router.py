"""One ASGI app over all functions: requests go where template.yaml's Api events send them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headgate.domain.errors import NotFound
from headgate.http.edge import Edge, EdgeConfig
from headgate.settings import BUFFERED_BODY_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dev.template import Route
    from headgate.ports import Log

_ANY = "ANY"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_REMEMBERED = frozenset({"connections", "flags", "models", "projects", "settings"})
"""What is under these in `/v2` is remembered by functions other than the one that writes it."""


class _Node:
    """One segment of a path: what may follow it, and who serves it."""

    __slots__ = ("apps", "children", "greedy", "parameter")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.greedy: dict[str, ASGIApp] | None = None
        self.apps: dict[str, ASGIApp] | None = None


class Routes:
    """Paths as API Gateway knows them: fixed segments win over `{id}`, which wins over `{proxy+}`."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, route: "Route", app: "ASGIApp") -> None:
        node = self._root
        segments = route.path.strip("/").split("/") if route.path != "/" else []
        for segment in segments:
            if segment.startswith("{") and segment.endswith("+}"):
                node.greedy = {**(node.greedy or {}), route.method: app}
                return
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        node.apps = {**(node.apps or {}), route.method: app}

    def find(self, method: str, path: str) -> "ASGIApp | None":
        """Who serves this request. OPTIONS goes to whoever has the path, since the edge answers it."""
        node, best = self._root, None
        for segment in path[1:].split("/") if path != "/" else ():
            best = node.greedy or best
            following = node.children.get(segment) or node.parameter
            if following is None:
                return _pick(best, method)
            node = following
        return _pick(node.apps or best, method)


def _pick(apps: "Mapping[str, ASGIApp] | None", method: str) -> "ASGIApp | None":
    if apps is None:
        return None
    app = apps.get(_ANY) or apps.get(method)
    if app is None and method == "OPTIONS":
        return next(iter(apps.values()))
    return app


class Router:
    """Serves every function's routes, and runs the lifespan of each function's app within its own.

    on_change: told when something was written that functions remember, before the writer is.
    """

    def __init__(
        self,
        routes: Routes,
        apps: Iterable["ASGIApp"],
        log: "Log",
        *,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._find = routes.find
        self._on_change = on_change
        self._apps = tuple(apps)
        config = EdgeConfig(log)
        config.configure(log=log, cors_origins=["*"], limit_bytes=BUFFERED_BODY_BYTES)
        self._unknown = Edge(_refuse, config=config, prepare=lambda: None)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            app = self._find(scope["method"], scope["path"]) or self._unknown
            await app(scope, receive, self._telling(send) if _writes(scope) else send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close"})

    def _telling(self, send: "Send") -> "Send":
        async def told(message: "Message") -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._on_change()
            await send(message)

        return told

    async def _live(self, receive: "Receive", send: "Send") -> None:
        lives = [_Life(app) for app in self._apps]
        await receive()
        try:
            await asyncio.gather(*(life.start() for life in lives))
        except RuntimeError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.gather(*(life.stop() for life in lives))
        await send({"type": "lifespan.shutdown.complete"})


def _writes(scope: "Scope") -> bool:
    """Whether the request may change what functions remember."""
    segments = scope["path"].removeprefix("/api").split("/")
    return (
        scope["method"] not in _READS
        and segments[1:2] == ["v2"]
        and not _REMEMBERED.isdisjoint(segments[2:3])
    )


async def _refuse(scope: "Scope", _receive: "Receive", _send: "Send") -> None:
    raise NotFound(f"There is nothing at {scope['path']}.")


class _Life:
    """One app's lifespan."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises RuntimeError with what the app says when it can't start."""
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("startup")
        if answer["type"] != "lifespan.startup.complete":
            raise RuntimeError(answer.get("message") or "a function could not start")

    async def stop(self) -> None:
        await self._ask("shutdown")
        if self._task is not None:
            await self._task

    async def _ask(self, step: str) -> Mapping[str, Any]:
        await self._to_app.put({"type": f"lifespan.{step}"})
        return await self._from_app.get()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        finally:
            await self._from_app.put({"type": "lifespan.ended"})
