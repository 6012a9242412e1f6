"""A provider on loopback that repeats the key it was called with, in every way a provider may fail."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "modal-key", "modal-secret")
_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the key that came with it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """As it came: with `Bearer` before it where it had that."""
        return " ".join(self.headers[name] for name in _KEY_HEADERS if name in self.headers)

    @property
    def asked(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body or b"{}")
        return value


@dataclass(frozen=True, slots=True)
class Said:
    """What it answers. cut: hangs up before the end."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)
    body: bytes = b""
    cut: bool = False


class Parrot:
    """Serves in this loop. `mood` is a name of `MOODS`, `fine`, or of none: then it hangs up at once."""

    def __init__(self) -> None:
        self.mood = "fine"
        self.keys: set[str] = set()
        self.asked: list[Asked] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> "Parrot":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _read(reader)
            self.keys.add(asked.key.removeprefix("Bearer "))
            self.asked.append(asked)
            if self.mood == "fine" or self.mood in MOODS:
                said = fine(asked) if self.mood == "fine" else MOODS[self.mood](asked)
                length = len(said.body) + (100 if said.cut else 0)
                given = {**said.headers, "content-length": str(length), "connection": "close"}
                lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
                writer.write(f"HTTP/1.1 {said.status} Said\r\n{lines}\r\n".encode() + said.body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    method, path, _ = first.split(" ", 2)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


def _error(status: int, text: str, **headers: str) -> Said:
    """In the shapes of all dialects at once."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
    error = {"message": text, "type": kind, "code": text, "param": text, "status": text, "details": [text]}
    body = {"type": "error", "error": error, "message": text, "detail": text, "request_id": text, "code": 9}
    return Said(status, {**_JSON, **headers}, json.dumps(body).encode())


def _echo(asked: Asked) -> str:
    return f"the key {asked.key} is no good"


def _encoded(asked: Asked) -> str:
    key = asked.key.removeprefix("Bearer ")
    packed = base64.b64encode(asked.key.encode()).decode()
    return f"bad: key={quote(key, safe='')}&again={quote(asked.key)} Basic {packed}"


def _halves(asked: Asked) -> str:
    key = asked.key.removeprefix("Bearer ")
    return f"Incorrect API key provided: {key[:8]}{'*' * 20}{key[-4:]}."


def _id_headers(asked: Asked) -> dict[str, str]:
    names = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray", "www-authenticate", "retry-after")
    return dict.fromkeys(names, asked.key)


def _stream(*events: Any, then: bytes = b"") -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + then


def _breaking(asked: Asked) -> Said:
    """A stream that begins well, and then tells of an error with the key in it."""
    text = _echo(asked)
    begun = _chunk({"role": "assistant", "content": "Hel"})
    error = {"type": "error", "error": {"message": text, "type": text, "code": text}}
    return Said(200, _EVENTS, _stream(begun, error, then=f"event: error\ndata: {text}\n\n".encode()))


MOODS: Mapping[str, Callable[[Asked], Said]] = {
    "400": lambda asked: _error(400, _echo(asked)),
    "401": lambda asked: _error(401, _echo(asked), **_id_headers(asked)),
    "402": lambda asked: _error(402, _echo(asked)),
    "403, encoded": lambda asked: _error(403, _encoded(asked)),
    "401, in part": lambda asked: _error(401, _halves(asked)),
    "404": lambda asked: _error(404, _echo(asked)),
    "413": lambda asked: _error(413, _echo(asked)),
    "429": lambda asked: _error(429, _echo(asked), **_id_headers(asked)),
    "500 in plain text": lambda asked: Said(500, {"content-type": "text/plain"}, _echo(asked).encode()),
    "503 in HTML": lambda asked: Said(
        503, {"content-type": "text/html"}, f"<html>{_echo(asked)}</html>".encode()
    ),
    "504": lambda asked: _error(504, _echo(asked)),
    "redirects": lambda asked: Said(
        302, {"location": f"https://{asked.key.split(' ')[-1][:30]}.example/?key={quote(asked.key)}"}
    ),
    "no JSON": lambda asked: Said(200, _JSON, f'{{"oops": "{asked.key}'.encode()),
    "no text": lambda asked: Said(200, _JSON, b"\xff\xfe" + asked.key.encode()),
    "other JSON": lambda asked: Said(200, _JSON, json.dumps({asked.key: [asked.key], "data": 7}).encode()),
    "an error in a 200": lambda asked: Said(200, _JSON, _error(401, _echo(asked)).body),
    "a list that tells it": lambda asked: Said(
        200, _JSON, json.dumps({"object": "list", "data": [{"id": asked.key, "object": "model"}]}).encode()
    ),
    "no usage": lambda asked: Said(
        200, _JSON, json.dumps({"choices": [{"message": 7}], "content": 7, "usage": asked.key}).encode()
    ),
    "cut off": lambda asked: Said(200, _JSON, f'{{"id": "{asked.key}"'.encode(), cut=True),
    "a stream that breaks": _breaking,
    "an encoding that is none": lambda asked: Said(200, {"content-encoding": "gzip"}, _echo(asked).encode()),
}
"""Each way to fail, by name; all of them repeat the key."""


def _chunk(delta: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "own",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        **more,
    }


def fine(asked: Asked) -> Said:
    """What an OpenAI-compatible server answers that works."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    if asked.method == "GET":
        entries = [
            {"id": each, "object": "model", "created": 1, "owned_by": "p"}
            for each in ("own", "text-embedding-own")
        ]
        return Said(body=json.dumps({"object": "list", "data": entries}).encode())
    wanted = asked.asked
    if asked.path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        vectors = {"object": "list", "model": "own", "data": data, "usage": usage}
        return Said(body=json.dumps(vectors).encode())
    if wanted.get("stream"):
        end = _chunk({}, usage=usage)
        end["choices"][0]["finish_reason"] = "stop"
        events = _stream(_chunk({"role": "assistant", "content": "Hello"}), end, then=b"data: [DONE]\n\n")
        return Said(200, _EVENTS, events)
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    body: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "own"}
    return Said(body=json.dumps({**body, "choices": [choice], "usage": usage}).encode())
