"""Processes and processors: who runs where, and what it used. Linux only, because of /proc and affinity."""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOP_S = 8.0


class BenchFailed(Exception):
    """Something that is to be measured does not work; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children hold and have used so far."""

    rss_mib: float
    cpu_s: float


def processors() -> tuple[int, int]:
    """(for what is measured, for mock and driver); the same one twice where there is no second."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def describe() -> dict[str, object]:
    """The machine, for a reader of the figures."""
    names = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    return {
        "bench": "machine",
        "cpu": names[0] if names else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "load_average": round(os.getloadavg()[0], 2),
    }


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """This thread on one processor meanwhile; what it starts inherits that."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    arguments: Sequence[str], *, cpu: int, environ: Mapping[str, str] | None = None
) -> Iterator["Process"]:
    """A process on one processor, from the checkout's root; ended with the block, killed if it won't."""
    with tempfile.TemporaryFile() as errors:
        with pinned(cpu):
            popen = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env=environment(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        try:
            yield Process(popen, errors)
        finally:
            popen.terminate()
            try:
                popen.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


class Process:
    """A started process."""

    def __init__(self, popen: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
        self._popen = popen
        self._errors = errors

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_for_port(self, port: int, *, timeout_s: float = 30.0) -> None:
        """Returns once something listens there. Raises BenchFailed with the process's last words."""
        give_up_s = time.monotonic() + timeout_s
        while time.monotonic() < give_up_s:
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise BenchFailed(f"nothing listens on port {port} after {timeout_s:g} s: {self.last_words()}")

    def check(self) -> None:
        """Raises BenchFailed when the process has ended."""
        if self._popen.poll() is not None:
            raise BenchFailed(f"a process ended with {self._popen.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:] or "it said nothing"


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules on this Python."""
    return [sys.executable, "-m", name, *arguments]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """A small environment, so that no key or setting of the person's own gets into the figures."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(ROOT / "layers" / "core"), str(ROOT)])
    return {**kept, "PYTHONPATH": path, **extra}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def usage_of(pid: int) -> Usage:
    """Resident memory and processor time, children included; what has ended meanwhile counts nothing."""
    rss_bytes, cpu_s = 0, 0.0
    for each in _family(pid):
        try:
            rss_bytes += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * _PAGE_BYTES
            cpu_s += _cpu_s(each)
        except (OSError, IndexError, ValueError):
            continue
    return Usage(rss_mib=rss_bytes / 2**20, cpu_s=cpu_s)


def _cpu_s(pid: int) -> float:
    """From the scheduler, in nanoseconds, thread by thread; in ticks where the kernel keeps no such count."""
    try:
        ran_ns = sum(
            int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
        )
    except (OSError, IndexError, ValueError):
        ran_ns = 0
    if ran_ns:
        return ran_ns / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _family(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        yield each
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            waiting += [int(child) for line in _lines(str(path)) for child in line.split()]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
