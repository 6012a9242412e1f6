"""The gateway and its upstream as processes of their own, for the measurements that go over HTTP."""

import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from bench.machine import BenchFailed, Process, free_port, module, processors, running

ADMIN_KEY = "hg_bench_administrator_0123456789abcdef"
NO_LIMIT_PER_MINUTE = 1_000_000_000
"""Counted like any limit, and never reached."""
_SETUP_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Upstream:
    """The mock provider. url: without a path."""

    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway. start_s: from its process's start to the first 200."""

    url: str
    process: Process
    start_s: float


def call(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: object = None) -> Answer:
    """One request, for setting up; not for measuring. Raises OSError when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_SETUP_S)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    sent = None if body is None else orjson.dumps(body)
    try:
        connection.request(method, path, sent, {"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(type(error).__name__) from error
    finally:
        connection.close()


@contextmanager
def running_upstream(port: int = 0) -> Iterator[Upstream]:
    """The mock on the driver's processor."""
    port = port or free_port()
    with running(module("bench.upstream", str(port)), cpu=processors()[1]) as process:
        process.wait_for_port(port)
        yield Upstream(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def running_gateway(environ: Mapping[str, str]) -> Iterator[Gateway]:
    """`python -m dev` over memory stores, alone on its processor, logging as it does by default."""
    port = free_port()
    settings = {
        "PORT": str(port),
        "HEADGATE_STORE": "memory",
        "HEADGATE_ADMIN_KEY": ADMIN_KEY,
        "HEADGATE_READ_REQUESTS_PER_MINUTE": str(NO_LIMIT_PER_MINUTE),
        **environ,
    }
    command = module("dev", "--env-file", os.devnull)
    started_s = time.perf_counter()
    with running(command, cpu=processors()[0], environ=settings) as process:
        process.wait_for_port(port)
        url = f"http://127.0.0.1:{port}"
        _until(process, "it never was healthy", lambda: call("GET", f"{url}/healthz").status == 200)
        yield Gateway(url, process, time.perf_counter() - started_s)


def grant_credits(gateway: Gateway) -> None:
    """As much as no run uses up. Raises BenchFailed."""
    answer = call(
        "POST",
        f"{gateway.url}/v2/credits/grants",
        headers={"authorization": f"Bearer {ADMIN_KEY}"},
        body={"user_id": "bench", "amount": {"amount": "1000000", "currency": "USD"}, "reason": "bench"},
    )
    if answer.status != 201:
        raise BenchFailed(f"POST /v2/credits/grants answered {answer.status}: {answer.body[:300]!r}")


def mint_key(gateway: Gateway) -> str:
    """A caller's key with a limit that is counted at every request."""
    answer = call(
        "POST",
        f"{gateway.url}/v2/keys",
        headers={"authorization": f"Bearer {ADMIN_KEY}"},
        body={
            "user_id": "bench",
            "name": "bench",
            "scopes": ["generate", "models:read"],
            "limits": {"requests_per_minute": NO_LIMIT_PER_MINUTE},
        },
    )
    if answer.status != 201:
        raise BenchFailed(f"POST /v2/keys answered {answer.status}: {answer.body[:300]!r}")
    key: str = orjson.loads(answer.body)["key"]
    return key


def wait_for_models(gateway: Gateway, key: str, least: int) -> None:
    """Returns once the catalogue has that many. Raises BenchFailed."""

    def are_there() -> bool:
        answer = call("GET", f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"})
        return answer.status == 200 and len(orjson.loads(answer.body)["data"]) >= least

    _until(gateway.process, f"its catalogue never had {least} models", are_there)


def _until(process: Process, complaint: str, condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _SETUP_S
    while time.monotonic() < give_up_s:
        process.check()
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise BenchFailed(f"the gateway: {complaint}; {process.last_words()}")
