"""The composition of the local runner: everything up, everything running, everything down."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial

from dev import resources
from dev.backing import Backing, MemoryBacking, MotoBacking, Work, connections_payload, refresh_payload
from dev.banner import Started, banner
from dev.clockwork import keep_schedule
from dev.environment import LocalConfig, provider_secrets
from dev.filters import Filters
from dev.functions import Functions
from dev.invocation import FunctionFailed
from dev.lambda_api import LambdaApi
from dev.router import Router
from dev.servers import RunningServer, bind
from dev.template import Stack
from dev.timetable import parse_schedule
from headgate.bootstrap import Container, memory_adapters
from headgate.domain.secret import Secret
from headgate.observability import PowertoolsLog
from headgate.settings import from_environ

_ACCOUNTS, _REFRESH = "accounts", "refresh"
_WATCH_S = 0.5
_BEGIN_AGAIN_S = 1.0
_FILL_S = 4.0
_STOP_S = 4.5


def report(who: str, what: str) -> None:
    """Tells the person at the terminal of a failure which nobody else is waiting for."""
    print(f"{who} failed: {what}", file=sys.stderr, flush=True)


async def run_stack(stack: Stack, config: LocalConfig, listener: socket.socket, *, began_s: float) -> int:
    """Serves until a signal says stop; the exit code. began_s: when the process began, `time.monotonic()`.

    Raises TemplateError, CannotServe, FunctionFailed, HeadgateError.
    """
    check_events(stack)
    resources.isolate_environment()
    runner = Runner(stack, config)
    try:
        key = await runner.start(listener)
        started = Started(
            url=runner.url,
            key=None if config.admin_key is not None else key.reveal(),
            providers=runner.providers,
            backing=runner.backing.name,
            after_s=time.monotonic() - began_s,
        )
        print(banner(started), flush=True)
        return await runner.wait()
    finally:
        await runner.stop()


class Runner:
    """One run of one stack."""

    def __init__(self, stack: Stack, config: LocalConfig) -> None:
        self._stack = stack
        self._config = config
        self._functions: Functions | None = None
        self._servers: list[RunningServer] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._told = asyncio.Event()
        self.providers: tuple[str, ...] = ()
        self.url = ""
        self.backing: Backing = (
            MotoBacking()
            if config.store == "aws"
            else MemoryBacking(config.provider_environ, self._start_refresh, self._start_connections)
        )

    async def start(self, listener: socket.socket) -> Secret:
        """Everything up; returns the administrator's key. Raises CannotServe, FunctionFailed."""
        slugs, self.providers = await find_providers(self._config)
        secrets = await provider_secrets(self._config.provider_environ, slugs)
        functions, _ = await asyncio.gather(
            asyncio.to_thread(Functions, self._stack), self.backing.open(self._stack, secrets)
        )
        self._functions = functions
        lambda_api = RunningServer(
            LambdaApi(functions.invoke, functions.knows, report), bind(0), lifespan=False
        )
        await self._serve(lambda_api)
        aws = {**self.backing.environment(), "AWS_ENDPOINT_URL_LAMBDA": lambda_api.url}
        functions.configure(self._config, aws, self.backing.adapters)
        key = await self._mint_key()
        await self._fill_catalogue()
        router = Router(
            functions.routes(),
            functions.apps(),
            PowertoolsLog("local"),
            on_change=functions.forget_callers,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._told.set)
        await self._serve(front := RunningServer(router, listener, lifespan=True))
        self.url = front.url
        self._begin(self._schedules())
        self._begin(self.backing.followers(self._stack, functions.invoke, report))
        return key

    async def wait(self) -> int:
        """Until SIGINT or SIGTERM (0), or until what stands in for AWS is gone (1)."""
        while not self._told.is_set():
            if not self.backing.is_alive():
                report(self.backing.name, "its process is gone, and with it everything that was stored")
                return 1
            try:
                await asyncio.wait_for(self._told.wait(), _WATCH_S)
            except TimeoutError:
                continue
        _end_at_the_latest(_STOP_S)
        return 0

    async def stop(self) -> None:
        """Everything down: schedules first, then requests, then what they stand on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self._servers))
        self.backing.close()

    async def _serve(self, server: RunningServer) -> None:
        self._servers.append(server)
        await server.start()

    def _begin(self, works: Mapping[str, Work]) -> None:
        for name, work in works.items():
            self._tasks.append(asyncio.create_task(_supervise(name, work)))

    def _schedules(self) -> dict[str, Work]:
        assert self._functions is not None
        return {
            spec.name: partial(
                keep_schedule, spec, partial(self._functions.invoke, function.logical_id), report
            )
            for function in self._stack.functions
            for spec in function.schedules
        }

    async def _mint_key(self) -> Secret:
        assert self._functions is not None
        chosen = self._config.admin_key
        event = {"action": "mint_admin_key", "name": "Local runner"}
        if chosen is not None:
            event["key"] = chosen.reveal()
        answer = await self._functions.invoke(_ACCOUNTS, json.dumps(event).encode())
        return Secret(json.loads(answer)["key"])

    async def _fill_catalogue(self) -> None:
        """The first lists, waited for a moment: whoever asks as soon as this answers finds models. A provider
        that hangs keeps nobody out."""
        first = asyncio.create_task(self._start_refresh(None, force=False))
        self._tasks.append(first)
        await asyncio.wait({first}, timeout=_FILL_S)

    async def _start_refresh(self, providers: Iterable[str] | None, force: bool) -> None:
        await self._refresh(refresh_payload(providers, force=force))

    async def _start_connections(self, connections: Iterable[tuple[str, str]]) -> None:
        await self._refresh(connections_payload(connections))

    async def _refresh(self, payload: bytes) -> None:
        assert self._functions is not None
        try:
            await self._functions.invoke(_REFRESH, payload)
        except FunctionFailed as error:
            report(_REFRESH, str(error))


def check_events(stack: Stack) -> None:
    """Raises TemplateError for a schedule or a filter that can't be run here."""
    for function in stack.functions:
        for schedule in function.schedules:
            parse_schedule(schedule.expression, schedule.timezone)
        for stream in function.streams:
            Filters(stream.filters)


async def find_providers(config: LocalConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Every slug there is, plugins included; and those which are configured, as the gateway itself judges."""
    environ = {"HEADGATE_MOCK": "auto", **config.settings, **config.provider_environ}
    settings = from_environ("local", environ)
    container = Container(settings, memory_adapters(settings))
    try:
        configured = await container.platform.configured()
        return tuple(container.registry.known_slugs()), tuple(configured)
    finally:
        await container.close()


def _end_at_the_latest(after_s: float) -> None:
    """A bound on stopping, whatever still hangs: what stands in for AWS notices by itself."""
    timer = threading.Timer(after_s, os._exit, (0,))
    timer.daemon = True
    timer.start()


async def _supervise(name: str, work: Work) -> None:
    """Begins the work again whenever it breaks, so that one broken schedule or stream ends nothing else."""
    while True:
        try:
            await work()
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge of a background task
            report(name, f"{type(error).__name__}: {error}")
            await asyncio.sleep(_BEGIN_AGAIN_S)
