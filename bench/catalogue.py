"""The model list at 400 and 10,000 models, against the same bytes from a bare uvicorn.

Identity, gzip and 304; and `new query`, a list which nobody asked for before and which has to be made.
Gateways and static server share a processor, mock and driver have the other; one of them has load at a time.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench.figures import Row, paired, ratio
from bench.gateway import Answer, call, mint_key, running_gateway, running_upstream, wait_for_models
from bench.load import Round, Target, run_round
from bench.machine import BenchFailed, free_port, module, pinned, processors, running

SIZES = (400, 10_000)
PATHS = ("/v2/models", "/v1/models")
KINDS = ("identity", "gzip", "304")
COLUMNS = {
    "path": "route",
    "models": "models",
    "kind": "answer",
    "kib": "KiB",
    "at_once": "at once",
    "p50_ms": "p50 ms",
    "static_p50_ms": "static p50",
    "p50_ratio": "ratio",
    "cpu_ms": "CPU ms/req",
    "static_cpu_ms": "static CPU",
    "cpu_ratio": "ratio",
    "requests_per_s": "req/s",
    "errors": "errors",
}
_WARM_UP_S = 0.1
_NEW_QUERIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of answer at one route. headers: what asks for it. kib: its body."""

    path: str
    kind: str
    headers: Mapping[str, str]
    kib: float


def run(*, seconds: float, rounds: int, at_once: Sequence[int] = (1, 8)) -> Iterator[Row]:
    """A row per size, route, kind of answer and number of requests at once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(running_upstream())
        gateways = [_start(stack, size, upstream.url) for size in SIZES]
        cases = {target.name: _fetch(target, folder) for target in gateways}
        for target in gateways:
            yield from (_new_query(target, path) for path in PATHS[:1])
        port = free_port()
        command = module("bench.static", str(port), str(folder))
        static = stack.enter_context(running(command, cpu=processors()[0]))
        static.wait_for_port(port)
        stack.enter_context(pinned(processors()[1]))
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        for ours in gateways:
            theirs = Target(name="static", url=f"http://127.0.0.1:{port}/{ours.name}", pid=static.pid)
            for case in cases[ours.name]:
                for count in at_once:
                    pair = runner.run(_measure((ours, theirs), case, seconds, rounds, count))
                    yield _row(ours, case, count, *pair)
            ours.close()
            theirs.close()


def _start(stack: ExitStack, size: int, upstream_url: str) -> Target:
    """A gateway whose catalogue holds that many models; its name is their number."""
    environ = {"OPENROUTER_API_KEY": "sk-bench", "OPENROUTER_BASE_URL": f"{upstream_url}/{size}/api/v1"}
    gateway = stack.enter_context(running_gateway(environ))
    key = mint_key(gateway)
    wait_for_models(gateway, key, size)
    headers = {"authorization": f"Bearer {key}"}
    return Target(name=str(size), url=gateway.url, headers=headers, pid=gateway.process.pid)


def _fetch(target: Target, folder: Path) -> list[Case]:
    """Both forms of each route's answer, written down for the static server; the cases made of them."""
    listed = folder / "answers.json"
    known = json.loads(listed.read_text()) if listed.is_file() else {}
    cases: list[Case] = []
    for number, path in enumerate(PATHS):
        _get(target, path)
        plain, packed = _get(target, path), _get(target, path, {"accept-encoding": "gzip"})
        row: dict[str, object] = {"etag": plain.headers["etag"]}
        row["headers"] = [
            [name, plain.headers[name]] for name in ("content-type", "etag", "cache-control", "vary")
        ]
        for form, answer in (("plain", plain), ("gzip", packed)):
            row[form] = f"{target.name}-{number}.{form}"
            (folder / str(row[form])).write_bytes(answer.body)
        known[f"/{target.name}{path}"] = row
        asked = {
            "identity": ({}, len(plain.body)),
            "gzip": ({"accept-encoding": "gzip"}, len(packed.body)),
            "304": ({"if-none-match": plain.headers["etag"]}, 0),
        }
        for kind in KINDS:
            headers, size = asked[kind]
            cases.append(Case(path=path, kind=kind, headers=headers, kib=size / 1024))
    listed.write_text(json.dumps(known))
    return cases


def _get(target: Target, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    answer = call("GET", target.url + path, headers={**target.headers, **(headers or {})})
    if answer.status != 200:
        raise BenchFailed(f"GET {path} answered {answer.status}: {answer.body[:300]!r}")
    return answer


def _new_query(target: Target, path: str) -> Row:
    """Lists of everything, each asked for in words that are new to the gateway."""
    took_ms = []
    for number in range(1, _NEW_QUERIES + 1):
        began_s = time.perf_counter()
        _get(target, f"{path}?min_context={number}")
        took_ms.append((time.perf_counter() - began_s) * 1000)
    row = {"bench": "catalogue", "path": path, "models": int(target.name), "kind": "new query"}
    return {**row, "at_once": 1, "p50_ms": median(took_ms)}


async def _measure(
    pair: tuple[Target, Target], case: Case, seconds: float, rounds: int, at_once: int
) -> tuple[list[Round], list[Round]]:
    """Both in turn, round by round: (ours, theirs)."""
    found: tuple[list[Round], list[Round]] = ([], [])
    for number in range(rounds + 1):
        for target, results in zip(pair, found, strict=True):
            asking = Target(name=target.name, url=target.url, headers={**target.headers, **case.headers})
            payload = asking.request("GET", path=case.path)
            length_s = seconds if number else _WARM_UP_S
            done = await run_round(target, payload, at_once=at_once, seconds=length_s)
            if number:
                results.append(done)
    return found


def _row(target: Target, case: Case, at_once: int, ours: list[Round], theirs: list[Round]) -> Row:
    row: dict[str, object] = {"bench": "catalogue", "path": case.path, "models": int(target.name)}
    row |= {"kind": case.kind, "kib": case.kib, "at_once": at_once}
    mine, static = [done.figures() for done in ours], [done.figures() for done in theirs]
    for name in ("p50_ms", "p99_ms", "cpu_ms", "requests_per_s"):
        own, other = [each[name] for each in mine], [each[name] for each in static]
        row |= {name: median(own), f"static_{name}": median(other)}
        row[f"{name.removesuffix('_ms')}_ratio"] = paired(own, other, ratio)
    return row | {"errors": sum(done.errors.total() for done in [*ours, *theirs])}
