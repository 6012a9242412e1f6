"""The two kinds of function that are made of services, and how Lambda and the local runner run them.

Nothing happens at import: Lambda may snapshot a process before its first request.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from headgate.container import Adapters, Container, memory_adapters
from headgate.domain.errors import GatewayFault
from headgate.observability import PowertoolsLog
from headgate.settings import BUFFERED_BODY_BYTES, Settings, from_environ

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from headgate.aws.clients import OnCall
    from headgate.http.edge import Edge

__all__ = ["Adapters", "Container", "EventFunction", "Function", "HttpFunction", "memory_adapters"]

type OnEvent = Callable[[Container, Any], Awaitable[Any]]


class Function:
    """What one Lambda function is made of. `configure` is called by the local runner and tests, before use;
    on Lambda the environment is the process's own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._environ: Mapping[str, str] | None = None
        self._adapters: Adapters | None = None
        self._on_aws_call: OnCall | None = None
        self._settings: Settings | None = None
        self._containers: WeakKeyDictionary[asyncio.AbstractEventLoop, Container] = WeakKeyDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy = threading.Lock()

    def configure(
        self,
        environ: Mapping[str, str] | None = None,
        adapters: Adapters | None = None,
        *,
        on_aws_call: "OnCall | None" = None,
    ) -> None:
        """Sets the environment and the stores this function works on; forgets what was built before."""
        self._environ = environ
        self._adapters = adapters
        self._on_aws_call = on_aws_call
        self._settings = None
        self._containers.clear()

    @property
    def settings(self) -> Settings:
        """Read once. Raises GatewayFault for a variable that can't be read."""
        if self._settings is None:
            self._settings = from_environ(self.name, self._environ)
        return self._settings

    @property
    def services(self) -> Container:
        """The services of the running event loop."""
        loop = asyncio.get_running_loop()
        container = self._containers.get(loop)
        if container is None:
            adapters = self._adapters
            if adapters is None and self.settings.store == "memory":
                adapters = self._adapters = memory_adapters(self.settings)
            container = Container(self.settings, adapters, on_aws_call=self._on_aws_call)
            self._containers[loop] = container
        return container

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Runs to the end on this function's own loop, which outlives the call: so do its connections."""
        with self._busy:
            loop = self._own_loop()
            return loop.run_until_complete(_as_coroutine(work))

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        return self._loop

    def close(self) -> None:
        """Gives back what this function's own loop holds. Lambda never asks for it: it stops the process."""
        loop, self._loop = self._loop, None
        if loop is None or loop.is_closed():
            return
        container = self._containers.pop(loop, None)
        if container is not None:
            loop.run_until_complete(container.close())
        loop.close()


async def _as_coroutine(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


class EventFunction(Function):
    """A function that is invoked with an event: by a schedule, a stream, or another function."""

    def __init__(self, name: str, on_event: OnEvent) -> None:
        super().__init__(name)
        self._on_event = on_event

    def handler(self, event: Any, context: Any) -> Any:
        """The Lambda handler."""
        del context
        return self.run(lambda: self._on_event(self.services, event))


class HttpFunction(Function):
    """A function that serves routes, and may take other events beside."""

    def __init__(
        self, name: str, routers: "Iterable[APIRouter]", *, buffered: bool, on_event: OnEvent | None = None
    ) -> None:
        super().__init__(name)
        from headgate.http.app import create_app  # noqa: PLC0415 - event functions do without FastAPI
        from headgate.http.edge import EdgeConfig  # noqa: PLC0415

        self._on_event = on_event
        self._buffered = buffered
        self.edge: EdgeConfig = EdgeConfig(PowertoolsLog(name))
        self.app: Edge = create_app(routers, self)
        self._mangum: Callable[[Any, Any], Any] | None = None

    @property
    def services(self) -> Container:
        container = super().services
        if not self.edge.ready:
            self._configure_edge(container)
        return container

    def configure(
        self,
        environ: Mapping[str, str] | None = None,
        adapters: Adapters | None = None,
        *,
        on_aws_call: "OnCall | None" = None,
    ) -> None:
        super().configure(environ, adapters, on_aws_call=on_aws_call)
        self.edge.ready = False

    def _configure_edge(self, container: Container) -> None:
        settings = container.settings
        limit = (
            min(settings.max_body_bytes, BUFFERED_BODY_BYTES) if self._buffered else settings.max_body_bytes
        )
        self.edge.configure(log=container.log, cors_origins=settings.cors_origins, limit_bytes=limit)

    @asynccontextmanager
    async def lifespan(self, _app: "FastAPI") -> AsyncIterator[None]:
        """Under a server: builds before the first request, gives connections up after the last."""
        services = self.services
        await services.warm()
        try:
            yield
        finally:
            await services.close()

    def handler(self, event: Any, context: Any) -> Any:
        """The Lambda handler: HTTP events by Mangum, buffered; others by `on_event`."""
        if "httpMethod" in event or "requestContext" in event:
            return self._serve(event, context)
        if self._on_event is None:
            raise GatewayFault(f"{self.name} takes no such event.")
        on_event = self._on_event
        return self.run(lambda: on_event(self.services, event))

    def _serve(self, event: Any, context: Any) -> Any:
        with self._busy:
            asyncio.set_event_loop(self._own_loop())
            if self._mangum is None:
                logging.getLogger("mangum").setLevel(logging.WARNING)  # it would log every path
                from mangum import Mangum  # noqa: PLC0415 - only where there is no server in front

                self._mangum = Mangum(self.app, lifespan="off")
            return self._mangum(event, context)
