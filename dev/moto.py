"""Starting and stopping the process that stands in for AWS."""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

from dev.servers import CannotServe

ROOT = Path(__file__).resolve().parent.parent

_START_S = 20.0
_STOP_S = 1.5


class Moto:
    """The moto process. It dies with this one, since it reads a pipe whose other end only we hold."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.endpoint_url = ""

    @classmethod
    def start(cls) -> "Moto":
        """Returns at once; `ready` waits."""
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "dev.moto_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                process_group=0,  # Ctrl-C in the terminal is for us, who then end it
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def ready(self) -> str:
        """The endpoint's URL, once it answers. Raises CannotServe when the process ends or says nothing."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                line = await asyncio.to_thread(self._process.stdout.readline)
        except TimeoutError:
            raise CannotServe(f"moto did not start within {_START_S:.0f} s") from None
        if not line.strip().isdigit():
            raise CannotServe("moto could not start; its own message stands above")
        self.endpoint_url = f"http://127.0.0.1:{line.strip()}"
        return self.endpoint_url

    def forget_read(self, table_name: str, sequence_number: int) -> None:
        """Tells it how far a table's stream has been read, so that it can drop those records."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(f"{table_name} {sequence_number}\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """Ends the process; killed if it does not end by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
