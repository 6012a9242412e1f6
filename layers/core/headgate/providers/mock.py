"""A provider that is always there: no key, no network, no cost; real answers to everything but the question.

Its models (`mock/echo`, `mock/chat`, `mock/reasoner`, `mock/agent`, `mock/retiring`) stream, call tools, fill
JSON schemas, say what images they got and stop at `max_tokens`; `mock/embed` makes embeddings. They run in
the process, behind a transport of their own, and speak OpenAI's dialect, so whatever is above the dialect
can't tell them from real ones.

Pace: a model's id may end in `@<n>ms`, milliseconds a token (`mock/echo@50ms`), or the request may hold
`"mock": {"first_ms": 800, "token_ms": 50}`.

Faults, as models that are not in the list:
- `mock/fault-<status>`, 400 to 599: that status; 429 and 503 with `Retry-After: 1`.
- `mock/fault-quota`: 429 `insufficient_quota`; `mock/fault-context`: 400 `context_length_exceeded`;
  `mock/fault-filter`: 400 `content_policy_violation`.
- `mock/fault-html`: a 200 of HTML; `mock/fault-empty`: a 200 without choices; `mock/fault-inside`: a 200 that
  holds an error (503).
- `mock/fault-truncate`: half an answer, then an orderly end; `mock/fault-reset`: then a broken connection;
  `mock/fault-stall`: then silence; `mock/fault-midstream`: then an error in the stream.
- `mock/fault-hang`: no answer at all; `mock/fault-connect`: no connection.
- `mock/fault-flaky`: every other request meets a 503, the first one too.
"""

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from headgate.domain.catalog import Modality, ModelInfo, Pricing
from headgate.domain.errors import ProviderFailed
from headgate.ports import HttpTransport, WireRequest, WireResponse
from headgate.providers._mock_answers import MockAnswer, MockRefusal, answer_to
from headgate.providers._mock_embeddings import embeddings_to
from headgate.providers._mock_models import MODELS, MockModel
from headgate.providers.base import ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.openai import OpenAICompatible

_FIRST_MS, _TOKEN_MS, _LONGEST_MS = 20.0, 2.0, 60_000.0
_PACE = re.compile(r"(?P<model>.+)@(?P<ms>\d{1,5})ms")


_BY_ID = {model.id: model for model in MODELS}


@provider
class Mock(OpenAICompatible):
    """Needs no key and no configuration; its address exists nowhere, so nothing can leave the process."""

    spec = ProviderSpec(
        slug="mock",
        name="Mock",
        description="Models that run in the gateway itself, for development and trying out failures.",
        docs_url="https://platform.openai.com/docs/api-reference/chat",
        base_url="http://mock.invalid/v1",
        auth="none",
        embeddings_path="/embeddings",
        modalities=frozenset({Modality.TEXT, Modality.EMBEDDING}),
        key_required=False,
        features=("streaming", "tools", "vision", "reasoning", "structured_output", "faults"),
    )

    def transport(self) -> HttpTransport:
        return MockTransport()

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        prices = listing.read_object(entry.get("pricing"))
        pricing = Pricing(
            input=listing.read_mtok(prices.get("input")),
            output=listing.read_mtok(prices.get("output")),
            source="mock",
        )
        modality = Modality(entry.get("modality", "text"))
        return ModelInfo(
            id=f"mock/{native_id}",
            canonical_id=f"mock/{native_id}",
            provider="mock",
            name=listing.read_text(entry.get("name")) or native_id,
            description=listing.read_text(entry.get("description")),
            modality=modality,
            output_modalities=listing.OUTPUTS[modality],
            input_modalities=listing.read_modalities(entry.get("input_modalities")),
            capabilities=frozenset(listing.read_words(entry.get("capabilities"))),
            premium=listing.is_premium(pricing),
            context_window=listing.read_tokens(entry.get("context_length")),
            max_output_tokens=listing.read_tokens(entry.get("max_output_tokens")),
            pricing=pricing,
            expires_at=listing.read_last_day(entry.get("expires_at")),
            created_at=listing.read_moment(entry.get("created")),
        )


# -- the server -------------------------------------------------------------------------------------------

Sleep = Callable[[float], Awaitable[None]]
Piece = bytes | float | ProviderFailed
"""A piece of a body: bytes, seconds of silence, or how it breaks off."""

_RETRY_SOON = {"retry-after": "1"}
_STATUS_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_NAMED_FAULTS: Mapping[str, tuple[int, str, str]] = {
    "quota": (429, "insufficient_quota", "You exceeded your current quota."),
    "context": (400, "context_length_exceeded", "The messages are longer than the model's context."),
    "filter": (400, "content_policy_violation", "The request was refused by the content filter."),
}
_BODY_FAULTS = frozenset({"html", "empty", "inside", "truncate", "reset", "midstream", "stall", "flaky"})
_INSIDE = {"error": {"message": "The model is overloaded.", "type": "server_error", "code": 503}}
_MIDSTREAM = {"error": {"message": "The model stopped.", "type": "server_error", "code": "server_error"}}


@dataclass(frozen=True, slots=True)
class _Order:
    """What a request's model and `mock` field ask for. Times are seconds."""

    model: MockModel
    fault: str
    first_s: float
    token_s: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "_Order":
        """Raises MockRefusal for a model there isn't."""
        name = str(body.get("model", ""))
        first_ms, token_ms = _FIRST_MS, _TOKEN_MS
        if paced := _PACE.fullmatch(name):
            name, first_ms = paced["model"], float(paced["ms"])
            token_ms = first_ms
        told = listing.read_object(body.get("mock"))
        fault = name.removeprefix("fault-") if name.startswith("fault-") else ""
        known = fault in _BODY_FAULTS or fault in _NAMED_FAULTS or fault in ("hang", "connect")
        if not (known or _status_of(fault) or name in _BY_ID):
            raise MockRefusal(
                404, f"The model {name!r} does not exist.", code="model_not_found", param="model"
            )
        return cls(
            _BY_ID.get(name, _BY_ID["chat"]),
            fault,
            _milliseconds(told.get("first_ms"), first_ms) / 1000,
            _milliseconds(told.get("token_ms"), token_ms) / 1000,
        )


class MockTransport:
    """Answers in the process what is sent to the mock's address, within the request's timeouts."""

    def __init__(self, *, sleep: Sleep = asyncio.sleep, now: Callable[[], float] = time.time) -> None:
        self._sleep = sleep
        self._now = now
        self._sends = itertools.count()

    async def send(self, request: WireRequest) -> WireResponse:
        path = urlsplit(request.url).path
        try:
            if request.method == "GET" and path.endswith("/models"):
                listed = {"object": "list", "data": [model.entry() for model in MODELS]}
                return self._response(request, [orjson.dumps(listed)])
            if request.method == "POST" and path.endswith("/chat/completions"):
                return await self._chat(request)
            if request.method == "POST" and path.endswith("/embeddings"):
                return self._embeddings(request)
            raise MockRefusal(404, f"There is no {path}.")
        except MockRefusal as refusal:
            headers = _RETRY_SOON if refusal.status in (429, 503) else {}
            body = orjson.dumps({"error": refusal.error})
            return self._response(request, [body], status=refusal.status, headers=headers)

    async def close(self) -> None:
        """Nothing is held."""

    def _embeddings(self, request: WireRequest) -> "MockResponse":
        body = _read_object(request.body or b"")
        model = _Order.of(body).model
        if model.modality is not Modality.EMBEDDING:
            raise MockRefusal(400, f"{model.id} makes no embeddings; embed does.", param="model")
        return self._response(request, [orjson.dumps(embeddings_to(body))])

    async def _chat(self, request: WireRequest) -> "MockResponse":
        body = _read_object(request.body or b"")
        order = _Order.of(body)
        self._refuse(order.fault)
        answer = answer_to(
            body,
            answer_id=f"chatcmpl-{secrets.token_hex(8)}",
            created=int(self._now()),
            reasons="reasoning" in order.model.capabilities,
            echoes=order.model.id == "echo",
        )
        wait_s = float("inf") if order.fault == "hang" else order.first_s
        await self._sleep(min(wait_s, request.first_byte_timeout_s))
        if wait_s > request.first_byte_timeout_s:
            raise _timed_out(request.first_byte_timeout_s)
        if body.get("stream"):
            options = listing.read_object(body.get("stream_options"))
            return self._stream(request, order, answer, include_usage=options.get("include_usage") is True)
        return self._whole(request, order, answer)

    def _refuse(self, fault: str) -> None:
        """Raises what the faults are that need no answer."""
        if fault == "connect":
            raise ProviderFailed("mock.invalid can't be reached.", code="provider_unavailable")
        if fault == "flaky" and next(self._sends) % 2 == 0:
            raise MockRefusal(503, "Every other request fails, and this is one of those.")
        if fault in _NAMED_FAULTS:
            status, code, message = _NAMED_FAULTS[fault]
            raise MockRefusal(status, message, code=code)
        if (asked := _status_of(fault)) is not None:
            raise MockRefusal(asked, f"This is the {asked} you asked for.", code=_STATUS_CODES.get(asked))

    def _whole(self, request: WireRequest, order: _Order, answer: MockAnswer) -> "MockResponse":
        if order.fault in ("html", "empty", "inside", "midstream"):
            return self._no_answer(request, order.fault, answer)
        data = orjson.dumps(answer.whole())
        pieces: list[Piece] = [order.token_s * answer.usage["completion_tokens"], data]
        if order.fault in ("truncate", "reset", "stall"):
            pieces = [pieces[0], data[: len(data) // 2], *_broken_off(order.fault)]
        return self._response(request, pieces)

    def _stream(
        self, request: WireRequest, order: _Order, answer: MockAnswer, *, include_usage: bool
    ) -> "MockResponse":
        if order.fault in ("html", "empty", "inside"):
            return self._no_answer(request, order.fault, answer)
        frames = [_frame(chunk) for chunk in answer.chunks(include_usage=include_usage)]
        if order.fault in ("truncate", "reset", "stall", "midstream"):
            # At least the first content, and never the finish.
            pieces = [*_paced(frames[: max(2, len(frames) // 2)], order.token_s), *_broken_off(order.fault)]
        else:
            pieces = [*_paced(frames, order.token_s), b"data: [DONE]\n\n"]
        return self._response(request, pieces, kind="text/event-stream; charset=utf-8")

    def _no_answer(self, request: WireRequest, fault: str, answer: MockAnswer) -> "MockResponse":
        if fault == "html":
            page = b"<html><head><title>Welcome</title></head><body>Not the page you want.</body></html>"
            return self._response(request, [page], kind="text/html")
        body = {**answer.whole(), "choices": []} if fault == "empty" else _INSIDE
        return self._response(request, [orjson.dumps(body)])

    def _response(
        self,
        request: WireRequest,
        pieces: list[Piece],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> "MockResponse":
        named = {"content-type": kind, "x-request-id": f"mock-{secrets.token_hex(6)}", **(headers or {})}
        return MockResponse(status, named, pieces, request, self._sleep)


@dataclass(slots=True)
class MockResponse:
    """A response whose pieces arrive as they are read."""

    status: int
    headers: Mapping[str, str]
    _pieces: list[Piece]
    _request: WireRequest
    _sleep: Sleep
    _closed: bool = field(default=False, init=False)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        left_s = self._request.total_timeout_s
        for piece in self._pieces:
            if self._closed:
                return
            if isinstance(piece, ProviderFailed):
                raise piece
            if isinstance(piece, bytes):
                yield piece
                continue
            limit_s = min(self._request.idle_timeout_s, left_s)
            await self._sleep(min(piece, limit_s))
            if piece > limit_s:
                raise _timed_out(limit_s)
            left_s -= piece

    async def close(self) -> None:
        self._closed = True


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MockRefusal(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise MockRefusal(400, "The body is not a JSON object.")
    return value


def _status_of(fault: str) -> int | None:
    """The status that a fault is, 400 to 599."""
    status = int(fault) if fault.isascii() and fault.isdigit() and len(fault) == 3 else 0
    return status if 400 <= status <= 599 else None


def _milliseconds(value: Any, default: float) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return min(float(value), _LONGEST_MS) if usable else default


def _timed_out(seconds: float) -> ProviderFailed:
    return ProviderFailed(
        f"mock.invalid was silent for {seconds:g} s.", code="provider_timeout", may_have_run=True
    )


def _broken_off(fault: str) -> list[Piece]:
    """How a half answer ends."""
    broke = ProviderFailed("The connection broke.", code="provider_unavailable", may_have_run=True)
    ends: Mapping[str, Piece] = {"reset": broke, "stall": float("inf"), "midstream": _frame(_MIDSTREAM)}
    return [ends[fault]] if fault in ends else []


def _frame(value: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _paced(frames: list[bytes], token_s: float) -> Iterator[Piece]:
    for frame in frames:
        yield frame
        yield token_s
