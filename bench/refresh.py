"""Refreshing the catalogue of 12 providers with 400 models each, inside a process of its own.

Over the in-memory store and a mock on the loopback, so it is the gateway's own work: fetching, reading,
comparing, storing. The floor is the same 12 answers, fetched with the same client and read by `json`.
"""

import subprocess
from collections.abc import Iterator

import orjson

from bench.figures import Row
from bench.gateway import running_upstream
from bench.machine import ROOT, BenchFailed, environment, module, pinned, processors

COLUMNS = {
    "what": "12 providers × 400 models",
    "wall_ms": "wall ms",
    "cpu_ms": "CPU ms",
    "cpu_us_per_model": "CPU µs/model",
    "cpu_ratio": "CPU of floor",
}
_TIMEOUT_S = 90.0


def run(*, rounds: int) -> Iterator[Row]:
    """A row for the floor, for a first refresh, and for one which finds nothing new."""
    with running_upstream() as upstream, pinned(processors()[0]):
        command = module("bench.refresh_process", upstream.url, str(rounds))
        try:
            done = subprocess.run(
                command, check=False, cwd=ROOT, env=environment({}), capture_output=True, timeout=_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise BenchFailed(f"the refresh took longer than {_TIMEOUT_S:g} s") from None
        if done.returncode:
            raise BenchFailed(f"the refresh failed: {done.stderr.decode(errors='replace')[-1500:]}")
        yield from orjson.loads(done.stdout)
