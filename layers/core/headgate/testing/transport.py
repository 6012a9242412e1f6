"""A transport that plays a script instead of using the network."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from headgate.domain.errors import HeadgateError
from headgate.ports import WireRequest

Piece = bytes | float | asyncio.Event | HeadgateError
"""A piece of a scripted body: bytes, seconds of silence, an event to wait for, or a failure."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted response: `body` whole, or `pieces` as they arrive. Header names are made lower case."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[Piece] | None = None

    @classmethod
    def of_json(cls, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> "Answer":
        return cls(status, orjson.dumps(value), {"content-type": "application/json", **(headers or {})})

    @classmethod
    def of_stream(cls, *pieces: Piece) -> "Answer":
        """A 200 of server-sent events."""
        return cls(200, headers={"content-type": "text/event-stream"}, pieces=pieces)


Step = Answer | HeadgateError | Callable[[WireRequest], Answer]
"""What a request meets: an answer, a failure to send, or a function of the request."""


class ScriptedResponse:
    """An answer being read. `closed`: its reader gave it up; `finished`: it was read to its end."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._headers = {name.lower(): value for name, value in answer.headers.items()}
        self.closed = False
        self.finished = False

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        pieces = (self._answer.body,) if self._answer.pieces is None else self._answer.pieces
        for piece in pieces:
            if isinstance(piece, HeadgateError):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, bytes):
                if piece:
                    yield piece
            else:
                await asyncio.sleep(piece)
        self.finished = True

    async def close(self) -> None:
        self.closed = True


class ScriptedTransport:
    """Meets each request with the next step of its script, and keeps the requests and responses.

    Steps given here meet any request, in order. Those of `on` meet requests whose URL contains a text: they
    go first, and their last one repeats. Raises AssertionError for a request that nothing is scripted for.
    """

    def __init__(self, *steps: Step) -> None:
        self._steps = deque(steps)
        self._routes: list[tuple[str, deque[Step]]] = []
        self.requests: list[WireRequest] = []
        self.responses: list[ScriptedResponse] = []
        self.closed = False

    def on(self, url_part: str, *steps: Step) -> "ScriptedTransport":
        """Returns itself, so that scripts read as one expression. A later `on` of the same text replaces."""
        self._routes = [(part, left) for part, left in self._routes if part != url_part]
        self._routes.append((url_part, deque(steps)))
        return self

    async def send(self, request: WireRequest) -> ScriptedResponse:
        self.requests.append(request)
        step = self._next(request)
        if callable(step):
            step = step(request)
        if isinstance(step, HeadgateError):
            raise step
        response = ScriptedResponse(step)
        self.responses.append(response)
        return response

    async def close(self) -> None:
        self.closed = True

    def _next(self, request: WireRequest) -> Step:
        for part, steps in self._routes:
            if part in request.url and steps:
                return steps.popleft() if len(steps) > 1 else steps[0]
        if not self._steps:
            raise AssertionError("nothing is scripted for " + request.method + " " + request.url)
        return self._steps.popleft()
