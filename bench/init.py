"""How long a function takes to be ready, against the floor of the third-party code it imports.

Each run is a process of its own, timed from its start by the machine's clock, in turn with the others: an
empty Python; per function the function itself; its floor, a process which imports exactly those third-party
modules that the function had imported by then, and nothing of ours; and that with the modules of the standard
library too, which leaves what our own take. On a busy machine the ratio of processor time is steadier.

ready: `app` is imported. served: HTTP functions also answered `GET /healthz` inside the process.
started: made is also what every request needs (the DynamoDB client), as a server's start does on Lambda; the
floor of that makes the same client with boto3 alone.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from bench.figures import Row, difference, paired, ratio
from bench.machine import ROOT, BenchFailed, environment, pinned, processors

STAGES = ("ready", "served", "started")
COLUMNS = {
    "function": "function",
    "ready_ms": "ready ms",
    "ready_floor_ms": "floor ms",
    "ready_ratio": "ratio",
    "own_code_ms": "our code ms",
    "served_ms": "/healthz ms",
    "served_ratio": "ratio",
    "served_cpu_ratio": "CPU ratio",
    "started_ms": "started ms",
    "started_floor_ms": "floor ms",
    "started_ratio": "ratio",
    "started_cpu_ratio": "CPU ratio",
    "packages": "packages",
}
_TIMEOUT_S = 60.0
_REGION = "us-east-1"

_START = """
import sys, time
stages, cpu, modules, foreign = {}, {}, {}, []

def report(stage):
    stages[stage], cpu[stage] = time.monotonic_ns(), time.process_time_ns()
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    modules[stage] = [name for name, file in files.items() if "-packages" in file]
    if stage == "ready":
        foreign.extend(name for name, file in files.items() if not file.startswith("%s"))
""" % (ROOT,)  # noqa: UP031 - braces belong to the program
_END = """
import json, os
sys.stdout.write(json.dumps({"stages": stages, "cpu": cpu, "modules": modules, "foreign": foreign}))
sys.stdout.flush()
os._exit(0)
"""
_FUNCTION = """
import app
report("ready")
import asyncio

async def get_healthz():
    statuses = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        statuses.append(message.get("status"))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/healthz", "raw_path": b"/healthz", "root_path": "",
        "query_string": b"", "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }
    await app.app(scope, receive, send)
    assert statuses[0] == 200, statuses

async def start():
    if hasattr(app, "app"):
        await get_healthz()
        report("served")
    await app.function.services.warm()
    report("started")

asyncio.run(start())
"""
_FLOOR = """
import importlib
for stage, names in MODULES.items():
    for name in names:
        importlib.import_module(name)
    if stage == "started":
        import boto3
        boto3.session.Session().client("dynamodb", region_name="us-east-1")
    report(stage)
"""


@dataclass(frozen=True, slots=True)
class Timed:
    """One process: milliseconds from its start to each stage, and those of them on a processor; third-party
    modules by then; all that are not ours when it was ready."""

    ms: Mapping[str, float]
    cpu_ms: Mapping[str, float]
    modules: Mapping[str, Sequence[str]]
    foreign: Sequence[str]


@dataclass(frozen=True, slots=True)
class Case:
    """A program, and the folder it runs in."""

    code: str
    folder: Path = ROOT / "bench"


def functions() -> list[str]:
    """Names of the functions, sorted."""
    return sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))


def run(*, rounds: int) -> Iterator[Row]:
    """A row for bare Python and one per function."""
    with pinned(processors()[0]):
        names = functions()
        own = {name: Case(_START + _FUNCTION + _END, ROOT / "functions" / name) for name in names}
        seen = {name: run_once(case) for name, case in own.items()}  # writes the byte code, too
        floors = {name: importing(timed.modules) for name, timed in seen.items()}
        foreign = {name: importing({"ready": timed.foreign}) for name, timed in seen.items()}
        bare = Case(_START + "report('ready')" + _END)
        runs: dict[Case, list[Timed]] = {
            case: [] for case in (bare, *own.values(), *floors.values(), *foreign.values())
        }
        for number in range(rounds + 1):
            for case, timed in runs.items():
                once = run_once(case)
                if number:
                    timed.append(once)
        bare_ms = median(timed.ms["ready"] for timed in runs[bare])
        yield {"bench": "init", "function": "(bare Python)", "ready_ms": bare_ms, "packages": 0}
        for name in names:
            yield _row(name, runs[own[name]], runs[floors[name]], runs[foreign[name]])


def importing(modules: Mapping[str, Sequence[str]]) -> Case:
    """A program that imports these by stage, in this order."""
    return Case(f"{_START}\nMODULES = {dict(modules)!r}\n{_FLOOR}{_END}")


def run_once(case: Case) -> Timed:
    """Runs it as a process. Raises BenchFailed with what it said."""
    secrets = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    environ = environment({"HEADGATE_LOG_LEVEL": "ERROR", "AWS_DEFAULT_REGION": _REGION, **secrets})
    command = [sys.executable, "-c", case.code]
    began_ns = time.monotonic_ns()
    try:
        done = subprocess.run(
            command, cwd=case.folder, env=environ, check=False, capture_output=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{case.folder.name} was not ready after {_TIMEOUT_S:g} s") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace")[-1500:]
        raise BenchFailed(f"{case.folder.name} can't be imported: {words}")
    told = orjson.loads(done.stdout)
    ms = {stage: (at_ns - began_ns) / 1e6 for stage, at_ns in told["stages"].items()}
    cpu_ms = {stage: ns / 1e6 for stage, ns in told["cpu"].items()}
    return Timed(ms, cpu_ms, told["modules"], told["foreign"])


def _row(name: str, own: Sequence[Timed], floor: Sequence[Timed], foreign: Sequence[Timed]) -> Row:
    row: dict[str, object] = {"bench": "init", "function": name}
    for stage in STAGES:
        if stage not in own[0].ms:
            continue
        own_ms, floor_ms = _ms(own, stage), _ms(floor, stage)
        row[f"{stage}_ms"] = median(own_ms)
        row[f"{stage}_floor_ms"] = median(floor_ms)
        row[f"{stage}_ratio"] = paired(own_ms, floor_ms, ratio)
        own_cpu, floor_cpu = [each.cpu_ms[stage] for each in own], [each.cpu_ms[stage] for each in floor]
        row[f"{stage}_cpu_ratio"] = paired(own_cpu, floor_cpu, ratio)
    row["own_code_ms"] = paired(_ms(own, "ready"), _ms(foreign, "ready"), difference)
    packages = {module.partition(".")[0] for module in own[0].modules["ready"]}
    return row | {"packages": len(packages), "package_names": sorted(packages)}


def _ms(runs: Sequence[Timed], stage: str) -> list[float]:
    return [timed.ms[stage] for timed in runs]
