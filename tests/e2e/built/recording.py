"""Stands between a built function and moto, and writes down what is asked for, as IAM would see it."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Call(NamedTuple):
    """An IAM action on a resource: `AccountsTable`, `AccountsTable/index/by_list`, `secret:headgate/openai`.

    about: what conditions of IAM can look at: an item's partition key, the purpose of what is sealed.
    """

    action: str
    resource: str
    about: str = ""


_IN_A_TRANSACTION = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
"""A transaction has no permission of its own: it needs those of its parts."""

_PER_CONNECTION = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})


def _logical(name: str) -> str:
    return name.rsplit("-", 1)[-1]


def _dynamodb(operation: str, body: Mapping[str, Any]) -> list[Call]:
    if operation == "TransactWriteItems":
        parts = [part for action in body["TransactItems"] for part in action.items()]
        return [
            Call(_IN_A_TRANSACTION[kind], _logical(part["TableName"]), _leading(part)) for kind, part in parts
        ]
    action = f"dynamodb:{operation}"
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [
            Call(action, _logical(name), _leading(part))
            for name, asked in body["RequestItems"].items()
            for part in _parts(asked)
        ]
    index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
    return [Call(action, _logical(body["TableName"]) + index, _leading(body))]


def _parts(asked: Any) -> list[Mapping[str, Any]]:
    """What a batch asks of one table, an item each."""
    if isinstance(asked, dict):
        return [{"Key": key} for key in asked["Keys"]]
    return [part for request in asked for part in request.values()]


def _leading(part: Mapping[str, Any]) -> str:
    """The partition key of what is read or written; of a query the one that it begins with (an index has its
    own)."""
    item = part.get("Key") or part.get("Item") or {}
    asked = re.match(r"#\w+ = (:\w+)", part.get("KeyConditionExpression", ""))
    if asked is not None:
        item = {"pk": part["ExpressionAttributeValues"][asked[1]]}
    key: str = item.get("pk", {}).get("S", "")
    return key


def calls_of(path: str, target: str, body: bytes) -> list[Call]:
    """What one request to AWS needs permission for. Raises ValueError for a service not known here."""
    if path.startswith("/2015-03-31/functions/"):
        return [Call("lambda:InvokeFunction", _logical(unquote(path.split("/")[3])))]
    service, _, operation = target.partition(".")
    if service.startswith("DynamoDB_"):
        return _dynamodb(operation, json.loads(body))
    if service == "secretsmanager":
        return [Call(f"secretsmanager:{operation}", "secret:" + json.loads(body)["SecretId"])]
    if service == "TrentService":  # KMS, of which the stack has one key
        return [Call(f"kms:{operation}", "ConnectionsKey", json.loads(body)["EncryptionContext"]["purpose"])]
    raise ValueError(f"{target or path}: teach this file which permission it needs")


@contextmanager
def recording(endpoint_url: str) -> Iterator[tuple[str, set[Call]]]:
    """An address that passes everything on to `endpoint_url`, and the calls that went through it."""
    calls: set[Call] = set()
    host = urlsplit(endpoint_url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            calls.update(calls_of(self.path, self.headers.get("X-Amz-Target", ""), body))
            upstream = HTTPConnection(host, timeout=20)
            try:
                upstream.request("POST", self.path, body, dict(self.headers.items()))
                answer = upstream.getresponse()
                content = answer.read()
            finally:
                upstream.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                ):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest's output is for tests."""

    with serving(Handler) as address:
        yield address, calls


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A function that ended leaves its kept connections behind; that is no fault to print."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a loopback server with this handler."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
