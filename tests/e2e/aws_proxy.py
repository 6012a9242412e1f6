"""Stands between a gateway and moto, and fails as AWS does when a test says so."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """One call to AWS. operation: `DynamoDB.PutItem`, without the version."""

    operation: str
    body: Mapping[str, Any]

    @property
    def is_dynamodb(self) -> bool:
        return self.operation.startswith("DynamoDB.")

    @property
    def table(self) -> str:
        return str(self.body.get("TableName", ""))


@dataclass(frozen=True)
class Failure:
    """How a call fails: an error as AWS answers it; without a code a connection that breaks."""

    status: int = 0
    code: str = ""


type Fault = Callable[[Asked], Failure | None]
THROTTLED = Failure(400, "ThrottlingException")
BROKEN = Failure(500, "InternalServerError")
GONE = Failure()
SILENT = Failure(status=-1)
"""No answer at all, as long as the fault lasts."""


_FRAMING = ("connection", "content-length", "date", "server", "transfer-encoding")


class AwsProxy(ThreadingHTTPServer):
    """Hands calls on to moto, but for those that `failing` is told of."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.moto = ""
        self.fault: Fault = lambda _asked: None
        self.mended = threading.Event()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """While this lasts, calls fail as `fault` says."""
        self.mended.clear()
        self.fault = fault
        try:
            yield
        finally:
            self.fault = lambda _asked: None
            self.mended.set()

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AwsProxy

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_PUT(self) -> None:
        self.server.moto = self._read().decode()
        self._answer(204, {}, b"")

    def do_POST(self) -> None:
        body = self._read()
        name = self.headers.get("x-amz-target", "").replace("DynamoDB_20120810", "DynamoDB")
        failure = self.server.fault(Asked(name, json.loads(body or b"{}")))
        if failure is None:
            self._hand_on(body)
            return
        if failure is SILENT:
            self.server.mended.wait(30)
        if not failure.code:
            self.close_connection = True
            return
        told = json.dumps({"__type": f"com.amazonaws#{failure.code}", "message": "as told"}).encode()
        self._answer(failure.status, {"content-type": "application/x-amz-json-1.0"}, told)

    def _hand_on(self, body: bytes) -> None:
        target = urlsplit(self.server.moto)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
        try:
            connection.request("POST", self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _FRAMING]
        self._answer(answer.status, dict(kept), content)

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
