"""The functions that stream, as the adapter starts them: their run.sh, and HTTP over loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.built.shipped import EXAMPLE_KEY, Account, Artefacts, Built

pytestmark = [pytest.mark.built, pytest.mark.xdist_group("built")]

STREAMED = ("models", "generations")


@dataclass(frozen=True, slots=True)
class Server:
    """A function's own server."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def connect(self) -> closing[HTTPConnection]:
        return closing(HTTPConnection("127.0.0.1", self.port, timeout=20))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _bare_python(folder: Path) -> Path:
    """A folder for PATH whose `python` sees the standard library and PYTHONPATH, as Lambda's does."""
    folder.mkdir(parents=True)
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec "{getattr(sys, "_base_executable", sys.executable)}" -S -B "$@"\n')
    script.chmod(0o755)
    return folder


@contextmanager
def _running(artefacts: Artefacts, account: Account, function: str, scratch: Path) -> Iterator[Server]:
    port = _free_port()
    _, *layers = artefacts.paths(function)
    environment = {
        **account.environment(function),
        "AWS_LWA_PORT": str(port),
        "PATH": f"{_bare_python(scratch / 'bin')}:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(layers),
    }
    script, log = artefacts.folder(function) / "run.sh", scratch / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen([script], env=environment, cwd="/", stdout=file, stderr=file) as process,
    ):
        try:
            yield Server(port, process, log)
        finally:
            process.kill()


def _wait_until_ready(server: Server, path: str) -> int:
    """What the adapter does: asks every 10 ms until something answers."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        with server.connect() as connection, suppress(ConnectionError):
            connection.request("GET", path)
            return connection.getresponse().status
        time.sleep(0.01)
    raise AssertionError("the server is not ready after 20 s")


@pytest.mark.parametrize("function", STREAMED)
def test_it_is_ready_at_the_path_that_the_adapter_asks(
    artefacts: Artefacts, account: Account, tmp_path: Path, function: str
) -> None:
    path = account.environment(function)["AWS_LWA_READINESS_CHECK_PATH"]
    with _running(artefacts, account, function, tmp_path) as server:
        assert _wait_until_ready(server, path) == 200


def test_the_catalogue_is_served_and_the_connection_kept(
    built: Built, artefacts: Artefacts, account: Account, tmp_path: Path
) -> None:
    built.invoke("refresh", [{"task": "refresh"}])
    with _running(artefacts, account, "models", tmp_path) as server:
        _wait_until_ready(server, "/healthz")
        with server.connect() as connection:
            for _ in range(2):
                connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {EXAMPLE_KEY}"})
                response = connection.getresponse()
                assert response.status == 200
                assert json.loads(response.read())["data"]
                assert not response.will_close


def test_a_chat_arrives_piece_by_piece(
    built: Built, artefacts: Artefacts, account: Account, tmp_path: Path
) -> None:
    built.invoke("refresh", [{"task": "refresh"}])
    body = {
        "model": "mock/echo",
        "stream": True,
        "messages": [{"role": "user", "content": "Count slowly to ten, a word at a time."}],
    }
    with _running(artefacts, account, "generations", tmp_path) as server:
        _wait_until_ready(server, "/healthz")
        headers = {"Authorization": f"Bearer {EXAMPLE_KEY}", "Content-Type": "application/json"}
        with server.connect() as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            assert (response.getheader("content-type") or "").startswith("text/event-stream")
            assert response.getheader("content-length") is None
            pieces = []
            while piece := response.read1(65_536):
                pieces.append(piece)
    assert len(pieces) > 1, "one piece: something on the way collects the stream"
    assert b"".join(pieces).rstrip().endswith(b"data: [DONE]")


def test_it_stops_when_lambda_says_so(artefacts: Artefacts, account: Account, tmp_path: Path) -> None:
    """An environment that is shut down gets SIGTERM, and two seconds."""
    with _running(artefacts, account, "generations", tmp_path) as server:
        _wait_until_ready(server, "/healthz")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=5)
        assert server.process.poll() is not None


def test_no_request_is_written_where_lambda_would_log_it(
    artefacts: Artefacts, account: Account, tmp_path: Path
) -> None:
    """uvicorn's access log would hold the address and its query, and cost a line each time."""
    with _running(artefacts, account, "models", tmp_path) as server:
        _wait_until_ready(server, "/healthz?secret=in-the-query")
        assert "in-the-query" not in server.log.read_text()
