"""The composition root builds each thing once, when it is first asked for, and gives back what it holds."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headgate
from headgate.bootstrap import Container, EventFunction, Function, HttpFunction, memory_adapters
from headgate.domain.errors import GatewayFault
from headgate.http.routes import accounts, health, models
from headgate.settings import BUFFERED_BODY_BYTES, from_environ
from headgate.testing.memory import MemoryLog
from tests.support.bench import Bench

Close = Callable[[Function], None]
MEMORY = {"HEADGATE_STORE": "memory"}
SERVICES = (
    "authenticate",
    "catalog",
    "chat",
    "circuits",
    "health",
    "keys",
    "models",
    "platform",
    "prices",
    "providers",
    "reads",
    "refresher",
    "registry",
    "traffic",
)


def modules_after(code: str) -> set[str]:
    """What a fresh Python has imported after this code."""
    core = Path(headgate.__file__).parents[1]
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{core}:{core.parents[1]}"},
    )
    return set(out.stdout.split())


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_is_built_once(name: str) -> None:
    container = Bench("alpha").process()
    assert getattr(container, name) is getattr(container, name)


async def test_an_unused_container_has_built_nothing() -> None:
    container = Bench().process()
    assert not set(SERVICES) & set(vars(container))
    await container.close()


async def test_closing_gives_back_the_transport_and_what_providers_brought_along() -> None:
    bench = Bench("alpha")
    container = bench.process()
    assert container.transport is bench.transport
    await container.close()
    assert bench.transport.closed
    with pytest.raises(GatewayFault):
        await container.registry.find("alpha")


async def test_only_the_models_function_starts_refreshes() -> None:
    bench = Bench("alpha")
    for function in ("generations", "health", "refresh"):
        await bench.process(function).catalog.view()
    assert not bench.starter.started
    await bench.process("models").catalog.view()
    assert list(bench.starter.started) == [(None, False)]


def test_importing_it_loads_neither_the_web_framework_nor_the_aws_sdk() -> None:
    loaded = modules_after("import headgate.bootstrap")
    assert not {"fastapi", "boto3", "botocore", "aiohttp", "pydantic", "mangum"} & loaded


def test_an_event_function_does_without_the_web_framework() -> None:
    loaded = modules_after("from functions.refresh import app")
    assert not {"fastapi", "boto3", "botocore", "pydantic"} & loaded


def test_in_memory_mode_needs_no_aws() -> None:
    adapters = memory_adapters(from_environ("x", MEMORY | {"OPENAI_API_KEY": "sk-0123456789"}))
    container = Container(from_environ("x", MEMORY), adapters)
    assert asyncio.run(container.platform.configured()) == ["openai"]


# -- functions ---------------------------------------------------------------------------------------------


@pytest.fixture
def close() -> Iterator[Close]:
    """Registers a function to be closed after the test."""
    made: list[Function] = []
    yield made.append
    for function in made:
        function.close()


async def echo(services: Container, event: Any) -> Any:
    return {"function": services.settings.function, "event": event}


def test_an_event_function_handles_events(close: Close) -> None:
    function = EventFunction("refresh", echo)
    function.configure(MEMORY)
    close(function)
    assert function.handler({"force": True}, None) == {"function": "refresh", "event": {"force": True}}


def test_the_services_of_an_event_function_outlive_the_event(close: Close) -> None:
    seen: list[Container] = []

    async def remember(services: Container, _event: Any) -> None:
        seen.append(services)

    function = EventFunction("refresh", remember)
    function.configure(MEMORY)
    close(function)
    function.handler({}, None)
    function.handler({}, None)
    assert seen[0] is seen[1]


def test_an_event_that_fails_fails_its_invocation(close: Close) -> None:
    async def fail(_services: Container, _event: Any) -> None:
        raise GatewayFault("no")

    function = EventFunction("refresh", fail)
    function.configure(MEMORY)
    close(function)
    with pytest.raises(GatewayFault):
        function.handler({}, None)


async def test_configuring_anew_forgets_what_was_built() -> None:
    function = Function("models")
    function.configure(MEMORY)
    before = function.services
    function.configure(MEMORY | {"HEADGATE_LIST_TTL_S": "5"})
    assert function.services is not before
    assert function.services.settings.list_ttl_s == 5


async def test_two_loops_have_services_of_their_own() -> None:
    function = Function("models")
    function.configure(MEMORY)
    here = function.services

    def elsewhere() -> Container:
        async def get() -> Container:
            return function.services

        return asyncio.run(get())

    assert await asyncio.to_thread(elsewhere) is not here


def rest_event(path: str, method: str = "GET") -> dict[str, Any]:
    """An API Gateway REST proxy event, as small as Mangum takes it."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "gate.example"},
        "multiValueHeaders": {"Host": ["gate.example"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "httpMethod": method,
            "path": path,
            "stage": "v1",
            "identity": {"sourceIp": "127.0.0.1"},
        },
    }


def test_an_http_function_serves_http_events_on_the_same_code(close: Close) -> None:
    function = HttpFunction("health", [health.router], buffered=True)
    function.configure(MEMORY)
    close(function)
    answer = function.handler(rest_event("/healthz"), None)
    assert answer["statusCode"] == 200
    assert function.handler(rest_event("/v2/providers"), None)["statusCode"] == 401
    assert function.handler(rest_event("/healthz"), None)["statusCode"] == 200


def test_other_events_go_to_its_own_handler_where_it_has_one(close: Close) -> None:
    with_one = HttpFunction("accounts", [accounts.router], buffered=True, on_event=echo)
    with_one.configure(MEMORY)
    close(with_one)
    assert with_one.handler({"action": "x"}, None)["event"] == {"action": "x"}
    without = HttpFunction("models", [models.router], buffered=False)
    without.configure(MEMORY)
    close(without)
    with pytest.raises(GatewayFault, match="models"):
        without.handler({"action": "x"}, None)


@pytest.mark.parametrize(("buffered", "limit"), [(True, BUFFERED_BODY_BYTES), (False, 10_000_000)])
async def test_a_buffered_function_takes_smaller_bodies(buffered: bool, limit: int) -> None:
    function = HttpFunction("models", [models.router], buffered=buffered)
    function.configure(MEMORY)
    assert function.services.settings.max_body_bytes == 10_000_000
    assert function.edge.limit_bytes == limit


async def test_the_edge_follows_when_a_function_is_configured_anew() -> None:
    function = HttpFunction("models", [models.router], buffered=False)
    function.configure(MEMORY)
    assert function.services
    function.configure(
        MEMORY | {"HEADGATE_MAX_BODY_BYTES": "10", "HEADGATE_CORS_ORIGINS": "https://a.example"}
    )
    assert function.services
    assert function.edge.limit_bytes == 10
    assert function.edge.cors_origins == {"https://a.example"}


async def test_under_a_server_it_builds_before_and_gives_back_after() -> None:
    bench = Bench("alpha")
    function = HttpFunction("models", [models.router], buffered=False)
    function.configure({}, bench.adapters)
    async with function.lifespan(None):  # type: ignore[arg-type]
        assert function.services.transport is bench.transport
    assert bench.transport.closed


async def test_a_log_that_is_given_is_used() -> None:
    bench = Bench()
    assert isinstance(bench.process().log, MemoryLog)
    assert bench.process().log is bench.log


def test_closing_a_function_gives_back_what_its_handlers_held() -> None:
    bench = Bench("alpha")

    async def use(services: Container, _event: Any) -> None:
        assert services.transport is bench.transport

    function = EventFunction("refresh", use)
    function.configure({}, bench.adapters)
    function.handler({}, None)
    function.close()
    function.close()
    assert bench.transport.closed
