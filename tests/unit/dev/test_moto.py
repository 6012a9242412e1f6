"""moto lives as long as whoever holds it, and no longer."""

import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

from dev.moto import ROOT, Moto

HOLDER = """
import asyncio, time
from dev.moto import Moto
moto = Moto.start()
print(asyncio.run(moto.ready()), flush=True)
time.sleep(60)
"""


def answers(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port or 0), 1).close()
    except OSError:
        return False
    return True


async def test_a_stopped_moto_is_gone() -> None:
    moto = Moto.start()
    await moto.ready()
    assert moto.is_alive()
    moto.stop()
    assert not moto.is_alive()


def test_a_holder_that_is_killed_takes_moto_with_it() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'layers' / 'core'}"},
    )
    assert holder.stdout is not None
    url = holder.stdout.readline().strip()
    assert answers(url)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    deadline_s = time.monotonic() + 5
    while answers(url) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not answers(url)
