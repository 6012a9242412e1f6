"""The outermost layer of every function: request ids, CORS, path aliases, body limit, last error boundary.

Plain ASGI, because it runs on every request and must not buffer a stream.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.domain.errors import GatewayFault, HeadgateError
from headgate.domain.ids import new_id
from headgate.http.encoded import BodyDecoder
from headgate.http.errors import Header, render, too_large
from headgate.settings import BUFFERED_BODY_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from headgate.ports import Log

EXPOSED = (
    b"x-request-id, request-id, x-headgate-generation-id, x-headgate-provider, x-headgate-model-served, "
    b"x-headgate-attempts, x-headgate-model-requested, x-headgate-dropped-fields, x-headgate-estimated, "
    b"retry-after, x-should-retry, idempotency-replayed, etag, location, "
    b"deprecation, sunset, server-timing"
)
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@dataclass(slots=True)
class Timing:
    """Our own time by stage, for `Server-Timing`; milliseconds."""

    started_s: float = field(default_factory=time.perf_counter)
    stages: list[tuple[str, float]] = field(default_factory=list)

    def add(self, stage: str, duration_s: float) -> None:
        self.stages.append((stage, duration_s * 1000))

    def header(self) -> bytes:
        total_ms = (time.perf_counter() - self.started_s) * 1000
        away_ms = sum(ms for stage, ms in self.stages if stage == "provider")
        parts = [f"{stage};dur={ms:.2f}" for stage, ms in self.stages]
        parts.append(f"gateway;dur={total_ms - away_ms:.2f}")
        return ", ".join(parts).encode()


class BodyTooLarge(Exception):
    """The body outgrew the limit while it was being read."""


class Edge:
    """Wraps a function's app. `prepare` reads the settings, at the first request at the latest."""

    def __init__(self, app: "ASGIApp", *, config: "EdgeConfig", prepare: Callable[[], object]) -> None:
        self.app = app
        self._config = config
        self._prepare = prepare

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._config)
        try:
            if not self._config.ready:
                self._prepare()
            if scope["method"] == "OPTIONS":
                await exchange.preflight()
                return
            exchange.read_headers()
            await self.app(exchange.scope, exchange.receive, exchange.send)
        except BodyTooLarge:
            await exchange.fail(too_large(self._config.limit_bytes))
        except HeadgateError as error:
            await exchange.fail(error)
        except Exception as error:  # noqa: BLE001 - the outermost edge: nothing of it may reach the caller
            self._config.log.error(
                "request.crashed", request_id=exchange.request_id, error=type(error).__name__
            )
            await exchange.fail(GatewayFault("Something went wrong inside the gateway.", code="internal"))


class EdgeConfig:
    """What the edge needs to know, once the settings were read; before that, safe defaults."""

    def __init__(self, log: "Log") -> None:
        self.log = log
        self.cors_origins: frozenset[str] = frozenset()
        self.limit_bytes = BUFFERED_BODY_BYTES
        self.ready = False

    def configure(self, *, log: "Log", cors_origins: Iterable[str], limit_bytes: int) -> None:
        self.log = log
        self.cors_origins = frozenset(cors_origins)
        self.limit_bytes = limit_bytes
        self.ready = True


class _Exchange:
    """One request at the edge."""

    __slots__ = (
        "_bodiless",
        "_config",
        "_decoder",
        "_encoding",
        "_receive",
        "_received",
        "_send",
        "_started",
        "_timing",
        "path",
        "request_id",
        "scope",
    )

    def __init__(self, scope: "Scope", receive: "Receive", send: "Send", config: EdgeConfig) -> None:
        # A copy for HEAD, which is answered as GET without the body: the server looks at the original.
        self._bodiless = scope["method"] == "HEAD"
        self.scope = {**scope, "method": "GET"} if self._bodiless else scope
        self._receive = receive
        self._send = send
        self._config = config
        self._started = False
        self._received = 0
        self._encoding = ""
        self._decoder: BodyDecoder | None = None
        self._timing = Timing()
        self.request_id = new_id("req")
        state = self.scope.setdefault("state", {})
        self.path = self.scope["path"] = canonical_path(self.scope)
        state["request_id"] = self.request_id
        state["timing"] = self._timing

    def read_headers(self) -> None:
        """Refuses a body that announces itself as too large before a byte of it is read."""
        for name, value in self.scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._config.limit_bytes:
                raise BodyTooLarge
            if name == b"content-encoding":
                self._encoding = f"{self._encoding}, {value.decode('latin-1')}".strip(", ").lower()

    async def receive(self) -> "Message":
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._config.limit_bytes:
                raise BodyTooLarge
            if self._encoding not in ("", "identity"):
                self._make_plain(message)
        return message

    def _make_plain(self, message: "Message") -> None:
        """An encoding is judged once there is a body, so by then the caller is known."""
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._decoder is None and body:
            self._decoder = BodyDecoder(self._encoding, self._config.limit_bytes)
        if self._decoder is not None:
            message["body"] = self._decoder.decode(body, last=not more)

    async def send(self, message: "Message") -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers: list[Header] = list(message["headers"])
            headers.append((b"x-request-id", self.request_id.encode()))
            if self.path.startswith("/v1/messages"):  # the name by which Anthropic's SDKs look for it
                headers.append((b"request-id", self.request_id.encode()))
            headers.append((b"server-timing", self._timing.header()))
            headers.extend(self._cors())
            message["headers"] = headers
        elif self._bodiless:
            message["body"] = b""
        await self._send(message)

    async def fail(self, error: HeadgateError) -> None:
        """Answers with the error; a response already under way is cut off instead of ended cleanly."""
        if self._started:
            raise ConnectionAbortedError(error.code)
        status, headers, body = render(error, path=self.path, request_id=self.request_id)
        headers.extend(self._told())
        tell = self._config.log.warning if status >= 500 else self._config.log.info
        tell(
            "request.failed",
            request_id=self.request_id,
            method=self.scope["method"],
            path=self.path[:200],
            status=status,
            code=error.code,
            provider=error.provider,
            provider_request_id=error.provider_request_id,
            # A provider's words may quote the prompt; they are for the caller, who wrote it.
            detail=None if error.spec.origin == "provider" else error.detail[:500],
        )
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _told(self) -> list[Header]:
        """What the route wants said with an error too, once it has got that far: `state.error_headers`."""
        tell: Callable[[], list[Header]] | None = self.scope["state"].get("error_headers")
        return tell() if tell is not None else []

    async def preflight(self) -> None:
        asked = dict(self.scope["headers"]).get(b"access-control-request-headers", b"*")
        headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", asked),
            (b"access-control-max-age", b"600"),
            (b"allow", _METHODS),
        ]
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def _cors(self) -> list[Header]:
        origins = self._config.cors_origins
        exposed = (b"access-control-expose-headers", EXPOSED)
        if "*" in origins:
            return [(b"access-control-allow-origin", b"*"), exposed]
        origin = next((value for name, value in self.scope["headers"] if name == b"origin"), b"")
        if origin.decode("latin-1") in origins:
            return [(b"access-control-allow-origin", origin), exposed, (b"vary", b"origin")]
        return [(b"vary", b"origin")]


def canonical_path(scope: "Scope") -> str:
    """`/api/v1/…`, `/api/v2/…` and `/api/models` are other names of `/v1/…`, `/v2/…` and `/v2/models`.

    On `/api/v2` and `/api/models`, camelCase request keys are taken too; `state.camel` says so.
    """
    path: str = scope["path"]
    if not path.startswith("/api/"):
        return path
    state: dict[str, Any] = scope.setdefault("state", {})
    rest = path[4:]
    if rest == "/models" or rest.startswith("/models/"):
        state["camel"] = True
        return "/v2" + rest
    if rest == "/v2" or rest.startswith("/v2/"):
        state["camel"] = True
        return rest
    return rest if rest.startswith("/v1/") else path
