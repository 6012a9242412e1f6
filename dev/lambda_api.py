"""Lambda's Invoke call over loopback, for functions (and, through boto3, anything else) that start functions.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html (2026-11-20).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dev.invocation import FunctionFailed
from dev.servers import HOST

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PREFIX = "/2015-03-31/functions/"
_SUFFIX = "/invocations"

type Invoke = Callable[[str, bytes], Awaitable[bytes]]
"""(function's name or ARN, payload) → answer. Raises KeyError for an unknown name, FunctionFailed."""


class LambdaApi:
    """An ASGI app. An `Event` invocation is answered at once; its failure is given to `report`."""

    def __init__(
        self, invoke: Invoke, knows: Callable[[str], bool], report: Callable[[str, str], None]
    ) -> None:
        self._invoke = invoke
        self._knows = knows
        self._report = report
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        raw = scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        name = unquote(raw.removeprefix(_PREFIX).removesuffix(_SUFFIX))
        headers = dict(scope["headers"])
        if not _is_from_here(headers):
            await _answer(send, 403, _error("AccessDeniedException", "Only signed calls of this machine."))
        elif scope["method"] != "POST" or not (raw.startswith(_PREFIX) and raw.endswith(_SUFFIX)):
            await _answer(send, 404, _error("ResourceNotFoundException", "Only Invoke is served here."))
        elif not self._knows(name):
            await _answer(send, 404, _error("ResourceNotFoundException", f"Function not found: {name}"))
        else:
            payload = await _read(receive)
            kind = headers.get(b"x-amz-invocation-type", b"RequestResponse")
            await self._run(name, payload, kind, send)

    async def _run(self, name: str, payload: bytes, kind: bytes, send: "Send") -> None:
        if kind == b"DryRun":
            await _answer(send, 204, b"")
        elif kind == b"Event":
            task = asyncio.create_task(self._later(name, payload))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await _answer(send, 202, b"")
        else:
            try:
                await _answer(send, 200, await self._invoke(name, payload))
            except FunctionFailed as error:
                body = json.dumps({"errorType": error.error_type, "errorMessage": error.message}).encode()
                await _answer(send, 200, body, failed=True)

    async def _later(self, name: str, payload: bytes) -> None:
        try:
            await self._invoke(name, payload)
        except FunctionFailed as error:
            self._report(name, str(error))


def _is_from_here(headers: Mapping[bytes, bytes]) -> bool:
    """Whether an AWS SDK on this machine is calling, rather than a page in its browser.

    A page can't set `Authorization` without being asked first, nor give `Host` another name than its own.
    """
    host = headers.get(b"host", b"").rpartition(b":")[0]
    return host == HOST.encode() and headers.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256 ")


async def _read(receive: "Receive") -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"Type": "User", "Message": message, "__type": kind}).encode()


async def _answer(send: "Send", status: int, body: bytes, *, failed: bool = False) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 404:
        headers.append((b"x-amzn-errortype", b"ResourceNotFoundException"))
    if failed:
        headers.append((b"x-amz-function-error", b"Unhandled"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
