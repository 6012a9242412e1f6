"""The stack's functions, imported into this process, each on its own environment."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dev.environment import LocalConfig, function_environment
from dev.invocation import Handler, context_of, invoke
from dev.router import Routes
from dev.template import FunctionSpec, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from headgate.bootstrap import Adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFunction:
    """One function, imported. app None: it serves no routes."""

    spec: FunctionSpec
    configure: Callable[..., None]
    handler: Handler
    forget: Callable[[], None]
    app: "ASGIApp | None" = None


def import_function(spec: FunctionSpec) -> LoadedFunction:
    """`functions/<name>/app.py`, whatever the template's Handler starts on Lambda."""
    module: Any = importlib.import_module(spec.folder.strip("/").replace("/", ".") + ".app")

    def forget() -> None:
        module.function.services.forget()

    return LoadedFunction(
        spec=spec,
        configure=module.function.configure,
        handler=module.handler,
        app=getattr(module, "app", None),
        forget=forget,
    )


class Functions:
    """All functions of the stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._loaded = {spec.logical_id: import_function(spec) for spec in stack.functions}

    def configure(self, config: LocalConfig, aws: "Mapping[str, str]", adapters: "Adapters | None") -> None:
        """Gives each function its environment, and the stores that stand in for AWS, if any."""
        for function in self._loaded.values():
            function.configure(function_environment(function.spec, config, aws), adapters)

    def knows(self, name: str) -> bool:
        try:
            self._stack.function(name)
        except KeyError:
            return False
        return True

    async def invoke(self, name: str, payload: bytes) -> bytes:
        """Raises KeyError for an unknown name or ARN, FunctionFailed for what the handler raised."""
        spec = self._stack.function(name)
        return await invoke(self._loaded[spec.logical_id].handler, payload, context_of(spec))

    def forget_callers(self) -> None:
        """Functions that serve routes read anew what callers have, which they remember for a minute on AWS.
        For the event loop that serves."""
        for function in self._loaded.values():
            if function.app is not None:
                function.forget()

    def routes(self) -> Routes:
        """Every Api event. Raises ValueError for a function with routes but no app."""
        routes = Routes()
        for function in self._loaded.values():
            for route in function.spec.routes:
                if function.app is None:
                    raise ValueError(f"{function.spec.folder} has routes, but its app.py has no app")
                routes.add(route, function.app)
        return routes

    def apps(self) -> "list[ASGIApp]":
        return [function.app for function in self._loaded.values() if function.app is not None]
