"""The local runner as a person starts it, and a provider on loopback for it to call."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
START_S = 30.0
PROVIDER_KEY = "sk-loopback-0123456789"
MODELS = ("gpt-loop", "gpt-other")
WORDS = ("The", " gate", " is", " open.")
OFFLINE = {"HEADGATE_MODELS_DEV_URL": "", "HEADGATE_GENAI_PRICES_URL": ""}
"""Tests talk to this machine only: no public price tables, unless a test brings its own."""
USAGE = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}


class Upstream(ThreadingHTTPServer):
    """A provider that speaks OpenAI's dialect on loopback; counts what it is asked.

    A chat whose model is `gpt-endless` streams without end, a word every 50 ms.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.seen: Counter[str] = Counter()
        self.keys: set[str] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away is no news."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._note()
        entries = [{"id": name, "object": "model", "created": 1, "owned_by": "loop"} for name in MODELS]
        self._answer(json.dumps({"object": "list", "data": entries}).encode())

    def do_POST(self) -> None:
        self._note()
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked.get("stream"):
            self._stream(asked)
            return
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "chatcmpl-loop", "object": "chat.completion", "created": 1, "model": asked["model"]}
        self._answer(json.dumps({**head, "choices": [choice], "usage": USAGE}).encode())

    def _note(self) -> None:
        self.server.seen[f"{self.command} {self.path}"] += 1
        self.server.keys.add(self.headers.get("authorization", ""))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, asked: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        head = {
            "id": "chatcmpl-loop",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": asked["model"],
        }
        while True:
            for word in WORDS:
                self._event({**head, "choices": [{"index": 0, "delta": {"content": word}}]})
            if asked["model"] != "gpt-endless":
                break
            time.sleep(0.05)
        self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: Mapping[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


class Gateway:
    """One `python -m dev`, or another module that runs it. `key` is what it printed, or what it was given."""

    def __init__(self, environ: Mapping[str, str], *, module: str = "dev") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = environ.get("HEADGATE_ADMIN_KEY", "")
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--env-file", os.devnull],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PORT": str(self.port), **OFFLINE, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(output)

    @property
    def output(self) -> str:
        return "".join(list(self.lines))

    def said(self, label: str) -> str:
        """What stands behind `label:` in the banner; empty when it doesn't."""
        return next((line.partition(":")[2].strip() for line in list(self.lines) if f"{label}:" in line), "")

    def wait_until_up(self) -> None:
        wait_for(lambda: self.said("To stop it") or self.process.poll() is not None, START_S, self)
        assert self.process.poll() is None, self.output
        self.key = self.key or self.said("Administrator key")

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = 5.0) -> int:
        """The exit code after a signal to the whole group, as Ctrl-C in a terminal sends it."""
        os.killpg(self.process.pid, number)
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code

    def end(self) -> None:
        """Leaves nothing behind, whatever the test did."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], object], within_s: float, gateway: Gateway | None = None) -> None:
    """Returns once the condition holds. Fails with the gateway's output when it does not in time."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s} s\n{'' if gateway is None else gateway.output}")
        time.sleep(0.05)


type StartGateway = Callable[..., Gateway]
"""Starts one on these variables of the environment."""
