"""A stand-in for an endpoint of AWS that answers what a test says, and clients that talk to it."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from headgate.aws.clients import AwsClients, AwsTuning

QUICK = AwsTuning(connect_timeout_s=0.5, read_timeout_s=0.5, max_attempts=1, base_pause_s=0.0)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None

    @classmethod
    def of_error(cls, code: str, status: int = 400, **members: Any) -> "Reply":
        body = {"__type": f"com.amazonaws#{code}", "message": LEAKY, **members}
        return cls(status, body, {"x-amzn-errortype": code})


LEAKY = "User: arn:aws:iam::123456789012:role/gate is not authorized on table/secret-name"
"""What AWS tells about itself in messages, and nobody outside should read."""


@dataclass(frozen=True, slots=True)
class Received:
    operation: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Endpoint(ThreadingHTTPServer):
    """Answers with the next reply, or what it makes of the request; the last one repeats."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: deque[Reply | Callable[[Received], Reply]] = deque()
        self.received: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answers(self, *replies: "Reply | Callable[[Received], Reply]") -> None:
        self.replies = deque(replies)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        operation = (self.headers.get("x-amz-target") or "").rpartition(".")[2]
        self.server.received.append(
            Received(operation, self.path, dict(self.headers), orjson.loads(content or b"null"))
        )
        replies = self.server.replies
        step = replies.popleft() if len(replies) > 1 else replies[0]
        reply = step if isinstance(step, Reply) else step(self.server.received[-1])
        if reply.hang is not None:
            reply.hang.wait(10)
            return
        body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


MakeClients = Callable[..., AwsClients]


@pytest.fixture
def make_clients() -> Iterator[MakeClients]:
    made: list[AwsClients] = []

    def make(endpoint_url: str, **options: Any) -> AwsClients:
        made.append(
            AwsClients(**{"region": "eu-west-1", "endpoint_url": endpoint_url, "tuning": QUICK, **options})
        )
        return made[-1]

    yield make
    for clients in made:
        clients.close()


@pytest.fixture
def clients(endpoint: Endpoint, make_clients: MakeClients) -> AwsClients:
    return make_clients(endpoint.url)
