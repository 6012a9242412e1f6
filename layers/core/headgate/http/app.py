"""The app factory: every function's FastAPI app is made here, closed by default."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response

from headgate.domain.errors import MalformedRequest, NotFound
from headgate.http.access import public, require_access
from headgate.http.context import Services
from headgate.http.edge import Edge, EdgeConfig

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send


class Runtime(Protocol):
    """Where an app finds its services; made by the composition root, filled on first use."""

    @property
    def services(self) -> Services: ...

    @property
    def edge(self) -> EdgeConfig: ...

    def lifespan(self, app: FastAPI) -> "AbstractAsyncContextManager[None]": ...


class _App(FastAPI):
    """FastAPI without the layer that turns crashes into plain text: the edge does that, in our shape."""

    def build_middleware_stack(self) -> "ASGIApp":
        return ExceptionMiddleware(self.router, handlers=self.exception_handlers)


async def healthz(_request: Request) -> Response:
    """Answers 200 once the function can serve."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def create_api(routers: Iterable[APIRouter], runtime: Runtime | None) -> FastAPI:
    """The FastAPI app of these routers. Without a runtime it can only describe itself."""
    app = _App(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=runtime.lifespan if runtime is not None else None,
    )
    app.state.runtime = runtime
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_api_route("/healthz", public(healthz), methods=["GET"], tags=["operations"])
    for router in routers:
        app.router.routes.extend(router.routes)
    for route in app.router.routes:
        if not isinstance(route, APIRoute):
            raise TypeError(f"{route!r} is no route of an endpoint, so it can't be closed.")
        route.app = _closed(route.endpoint)
    return app


def routes_of(api: FastAPI) -> Iterator[APIRoute]:
    """All that an app serves, routers included in it too."""
    for context in iter_route_contexts(api.routes):
        if isinstance(context.original_route, APIRoute):
            yield context.original_route


def _closed(endpoint: "Callable[..., Awaitable[Response]]") -> "ASGIApp":
    """The endpoint behind its access check, called with the request and the path's parameters as texts.

    FastAPI would solve dependencies and parse bodies for each request, a third of what a list costs; our
    endpoints read both themselves. Its description of the route is untouched.
    """

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        request = Request(scope, receive, send)
        await require_access(request)
        response = await endpoint(request, **scope["path_params"])
        await response(scope, receive, send)

    return app


def allowed_methods(api: FastAPI, path: str) -> str:
    """For `Allow`, which RFC 9110 §15.5.6 wants with a 405: of all routes of this path together."""
    served = {
        method for route in routes_of(api) if route.path_regex.match(path) for method in route.methods or ()
    }
    return ", ".join(sorted(served | {"OPTIONS"} | ({"HEAD"} if "GET" in served else set())))


def create_app(routers: Iterable[APIRouter], runtime: Runtime) -> Edge:
    """What a function serves: the app inside its edge."""
    return Edge(create_api(routers, runtime), config=runtime.edge, prepare=lambda: runtime.services)


async def _on_http_exception(request: Request, error: Any) -> NoReturn:
    path, method = request.url.path, request.method
    if error.status_code == 405:
        request.state.error_headers = lambda: [(b"allow", allowed_methods(request.app, path).encode())]
        raise NotFound(f"{path} does not take {method}.", code="method_not_allowed") from error
    if error.status_code == 404:
        raise NotFound(f"There is nothing at {path}.") from error
    raise MalformedRequest(str(error.detail)) from error
