"""One gateway with four providers on loopback, and what a program of another environment made of it."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.e2e.clients.polyglot import PROVIDERS, Polyglot
from tests.integration.local_gateway import ROOT, Gateway, StartGateway


@pytest.fixture(scope="module")
def provider() -> Iterator[Polyglot]:
    server = Polyglot()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(provider: Polyglot, start_gateway: StartGateway) -> Gateway:
    return start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_HEAD_CHECK_S="0.2",
        HEADGATE_MOCK="1",
        **provider.environ(*PROVIDERS),
    )


def run_program(command: Sequence[str], gateway: Gateway, **environ: str) -> dict[str, Any]:
    """The JSON object that a client's program printed last: what each of its calls came to, by name.

    It knows the gateway's address and key, and reaches nothing else but through a proxy that isn't there.
    """
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        command,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "GATE_URL": gateway.url,
            "GATE_KEY": gateway.key,
            "NO_PROXY": "127.0.0.1",
            **nowhere,
            **environ,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + gateway.output[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
