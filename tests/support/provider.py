"""A provider for tests with a wire format of its own, so that they say nothing about any real dialect.

List: `{"models": […], "dropped": […], "next": …}`. Chat: `{"text": …, "usage": {…}}`. Stream: lines, see
`LineReader`. The body `CRASH` makes its code fail as a plugin's can. Errors are by status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from headgate.codec import codec_of
from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import (
    HeadgateError,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)
from headgate.domain.generation import Usage
from headgate.domain.retry import RetryPolicy
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatOutcome,
    ChatStreamReader,
    ModelPage,
    PriceUsage,
    Provider,
    ProviderConfig,
    ProviderSpec,
    StreamEvent,
)
from headgate.testing.transport import Answer, Piece

_MEANINGS: Mapping[int, tuple[type[HeadgateError], str]] = {
    400: (ProviderRejected, "provider_rejected"),
    401: (ProviderRefused, "provider_auth"),
    402: (ProviderRefused, "provider_insufficient_funds"),
    413: (ProviderRejected, "context_too_long"),
    429: (ProviderBusy, "provider_rate_limited"),
    503: (ProviderBusy, "provider_overloaded"),
    504: (ProviderFailed, "provider_timeout"),
}


def listing(*models: ModelInfo, dropped: tuple[str, ...] = (), next_page: str | None = None) -> Answer:
    """A provider's list as it comes over the wire."""
    entries = [codec_of(ModelInfo).encode(model) for model in models]
    return Answer.of_json({"models": entries, "dropped": dropped, "next": next_page})


def said(text: str, *, tokens: tuple[int, int] | None = (10, 5), cost_usd: str | None = None) -> Answer:
    """A whole answer; `tokens` are those of input and output."""
    usage = None if tokens is None else {"in": tokens[0], "out": tokens[1], "cost": cost_usd}
    return Answer.of_json({"text": text, "usage": usage})


def lines(*pieces: Piece | str) -> Answer:
    """A streamed answer: texts are lines, other pieces what the transport makes of them."""
    return Answer.of_stream(*(f"{p}\n".encode() if isinstance(p, str) else p for p in pieces))


CRASH = Answer(body=b"CRASH")


def read_usage(data: Mapping[str, Any] | None) -> Usage | None:
    if data is None:
        return None
    cost = data.get("cost")
    return Usage(
        input_tokens=data["in"], output_tokens=data["out"], cost_usd=None if cost is None else Decimal(cost)
    )


class LineReader(ChatStreamReader):
    """`say X` is content, `think X` is content beside the text, `note X` is an event without any,
    `usage IN OUT` counts, `END` ends properly, `BAD STATUS` fails inside the stream, `CRASH` crashes the
    reader."""

    def __init__(self) -> None:
        self._rest = b""
        self._text = ""
        self._usage: Usage | None = None
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [event for line in whole for event in self._read(line.decode())]

    def _read(self, line: str) -> list[StreamEvent]:
        kind, _, rest = line.partition(" ")
        if kind == "CRASH":
            raise RuntimeError("the reader crashed")
        if kind == "END":
            self._ended = True
        if kind == "usage":
            tokens_in, tokens_out = rest.split()
            self._usage = Usage(input_tokens=int(tokens_in), output_tokens=int(tokens_out))
        if kind == "BAD":
            return [StreamEvent(error=meaning(int(rest), "failed inside the stream"))]
        if kind not in ("say", "think", "note"):
            return []
        self._text += rest if kind == "say" else ""
        return [StreamEvent(data=f"data: {rest}\n\n".encode(), content=kind != "note")]

    def end(self) -> list[StreamEvent]:
        if self._ended:
            return [StreamEvent(data=b"data: [DONE]\n\n")]
        return [StreamEvent(error=ProviderFailed("cut off", code="provider_protocol"))]

    @property
    def finished(self) -> bool:
        return self._ended

    @property
    def outcome(self) -> ChatOutcome:
        return ChatOutcome(text=self._text, finish_reason="stop" if self._ended else None, usage=self._usage)


def meaning(status: int, detail: str, **more: Any) -> HeadgateError:
    cls, code = _MEANINGS.get(status, (ProviderFailed, "provider_unavailable"))
    return cls(detail, code=code, **more)


@dataclass
class FakeProvider(Provider):
    """Its class is made by `fake_provider`, as the registry takes slugs from classes. `seen`: its chats."""

    seen: list[ChatCall] = field(default_factory=list)

    def _request(
        self, method: str, path: str, config: ProviderConfig, body: bytes | None = None
    ) -> WireRequest:
        return WireRequest(
            method=method,
            url=f"{self.base_url(config)}{path}",
            headers=self.headers(config),
            body=body,
            idempotent=method == "GET",
        )

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        path = f"/models?page={page}" if page else "/models"
        return self._request("GET", path, config) if self.spec.models_path else None

    def parse_list_models(self, body: bytes) -> ModelPage:
        if body == b"CRASH":
            raise RuntimeError("the plugin crashed over " + body.decode())
        read = orjson.loads(body)
        models = tuple(codec_of(ModelInfo).decode(entry) for entry in read["models"])
        return ModelPage(models=models, dropped=tuple(read["dropped"]), next_page=read["next"])

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        return self._request("GET", "/key", config) if self.spec.key_check_path else None

    def parse_key_check(self, body: bytes) -> None:
        if body == b"CRASH":
            raise RuntimeError("the plugin crashed")

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        self.seen.append(call)
        return self._request("POST", f"/chat/{call.model}", config, body=orjson.dumps(call.body))

    def parse_chat(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        if body == b"CRASH":
            raise RuntimeError("the plugin crashed")
        read = orjson.loads(body)
        usage = read_usage(read["usage"])
        cost = None if usage is None else price(usage)
        shown = orjson.dumps({"text": read["text"], "cost": None if cost is None else str(cost)})
        outcome = ChatOutcome(text=read["text"], finish_reason="stop", usage=usage)
        return ChatAnswer(body=shown, outcome=outcome)

    def read_chat_stream(self, call: ChatCall, price: PriceUsage) -> ChatStreamReader:
        return LineReader()

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        if self.spec.embeddings_path is None:
            return super().build_embeddings(call, config)
        self.seen.append(call)
        return self._request("POST", self.spec.embeddings_path, config, body=orjson.dumps(call.body))

    def parse_embeddings(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        return self.parse_chat(call, body, price)

    def build_count_tokens(self, call: ChatCall, config: ProviderConfig) -> WireRequest | None:
        counts = "counting" in self.spec.features
        return self._request("POST", "/count", config, body=orjson.dumps(call.body)) if counts else None

    def parse_count_tokens(self, body: bytes) -> int:
        return int(body)

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        wait = headers.get("retry-after")
        return meaning(status, body.decode() or f"HTTP {status}", retry_after_s=float(wait) if wait else None)


def fake_provider(slug: str, **spec: Any) -> FakeProvider:
    """At `https://<slug>.example`; never retried unless its `retry` says so, so that tests count sends."""
    fields: dict[str, Any] = {
        "slug": slug,
        "name": slug.title(),
        "description": "",
        "docs_url": "",
        "base_url": f"https://{slug}.example",
        "key_check_path": "/key",
        "retry": RetryPolicy(max_retries=0),
        "modalities": frozenset({Modality.TEXT}),
    }
    cls = type(slug.title(), (FakeProvider,), {"spec": ProviderSpec(**(fields | spec))})
    made: FakeProvider = cls()
    return made
