"""The app factory: every function's FastAPI app is made here, closed by default."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response

from headgate.domain.errors import FieldError, InvalidRequest, MalformedRequest, NotFound
from headgate.http.access import public, require_access
from headgate.http.body import field_path
from headgate.http.context import Services
from headgate.http.edge import Edge, EdgeConfig

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp


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
        inner = AsyncExitStackMiddleware(self.router)
        return ExceptionMiddleware(inner, handlers=self.exception_handlers)


async def healthz() -> Response:
    """Answers 200 once the function can serve."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def create_api(routers: Iterable[APIRouter], runtime: Runtime | None) -> FastAPI:
    """The FastAPI app of these routers. Without a runtime it can only describe itself."""
    app = _App(
        dependencies=[Depends(require_access)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=runtime.lifespan if runtime is not None else None,
    )
    app.state.runtime = runtime
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_api_route("/healthz", public(healthz), methods=["GET"], tags=["operations"])
    for router in routers:
        app.include_router(router)
    return app


def routes_of(api: FastAPI) -> Iterator[APIRoute]:
    """All that an app serves, routers included in it too."""
    for context in iter_route_contexts(api.routes):
        if isinstance(context.original_route, APIRoute):
            yield context.original_route


def create_app(routers: Iterable[APIRouter], runtime: Runtime) -> Edge:
    """What a function serves: the app inside its edge."""
    return Edge(create_api(routers, runtime), config=runtime.edge, prepare=lambda: runtime.services)


async def _on_http_exception(request: Request, error: Any) -> NoReturn:
    path, method = request.url.path, request.method
    if error.status_code == 405:
        raise NotFound(f"{path} does not take {method}.", code="method_not_allowed") from error
    if error.status_code == 404:
        raise NotFound(f"There is nothing at {path}.") from error
    raise MalformedRequest(str(error.detail)) from error


async def _on_invalid_parameters(_request: Request, error: Any) -> NoReturn:
    fields = [
        FieldError(field_path(tuple(item["loc"][1:]) or ("query",)), item["msg"]) for item in error.errors()
    ]
    detail = "; ".join(f"{field.field}: {field.message}" for field in fields[:5])
    raise InvalidRequest(detail, errors=fields) from error
