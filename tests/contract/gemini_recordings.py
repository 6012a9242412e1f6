"""Recorded exchanges with Gemini, and a plainer reading of them than the dialect's."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.dialects.base import AnswerContext
from headgate.providers.dialects.gemini import GeminiGenerate
from headgate.providers.gemini import Gemini

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)

PROVIDER = Gemini()
BACK = GeminiGenerate()
CONFIG = ProviderConfig(api_key=Secret("AIza-recorded"))
GENERATES = ("generateContent", "streamGenerateContent")
CODES = {400: "provider_auth", 404: "model_not_found", 429: "provider_rate_limited"}
"""What the recorded errors of each status are; of 400 there is only the bad key."""

NOT_OURS = {
    "batchGenerateContent": "the asynchronous batch API, which the gateway does not use",
    "batches": "the same",
    "cachedContents": "explicit caches: made and deleted by their owners",
    "fileSearchStores": "stores of files: made and filled by their owners",
    "files": "uploads: made by their owners",
    "chat/completions": "Google's compatible API, which the gateway does not use",
}
"""Recorded exchanges that are left out, by what their path ends in, and why."""


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange. chunks: the answer's JSON values in order, one where it is no stream."""

    name: str
    model: str
    kind: str
    status: int
    headers: dict[str, str]
    request: Any
    body: bytes
    chunks: list[Any]

    @property
    def is_sse(self) -> bool:
        return self.body.startswith(b"data:")

    @property
    def call(self) -> ChatCall:
        return ChatCall(body={}, model=self.model, stream=self.kind.startswith("stream"))


def kind_of(path: str) -> str:
    """The method, or for what is no method the collection."""
    method = re.search(r":(\w+)$", path)
    if method and "/models/" in path:
        return method[1]
    return next((kind for kind in NOT_OURS if kind in path), "models" if path.endswith("/models") else "?")


def chunks_of(body: Any, kind: str) -> list[Any]:
    if kind == "sse":
        return [json.loads(block.removeprefix("data:")) for block in body.split("\r\n\r\n") if block.strip()]
    return body if isinstance(body, list) else [body]


def exchanges() -> list[Exchange]:
    found = []
    for path in sorted((RECORDED / "gemini" / "recorded").glob("**/*.json")):
        recorded = json.loads(path.read_bytes())
        request, response = recorded["request"], recorded["response"]
        address = request["url"].partition("?")[0]
        model = re.search(r"/models/([^:/]+)", address)
        body, kind = response["body"], response["body_kind"]
        found.append(
            Exchange(
                name=path.name.removesuffix(".json"),
                model=model[1] if model else "",
                kind=kind_of(address),
                status=response["status"],
                headers={name.lower(): value for name, value in response["headers"].items()},
                request=request["body"],
                body=body.encode() if kind == "sse" else json.dumps(body).encode(),
                chunks=chunks_of(body, kind),
            )
        )
    return found


EXCHANGES = exchanges()
ANSWERED = [each for each in EXCHANGES if each.kind in GENERATES and each.status == 200]
WHOLE = [each for each in ANSWERED if each.kind == "generateContent"]
STREAMED = [each for each in ANSWERED if each.is_sse]
LISTED = [each for each in ANSWERED if each not in WHOLE and not each.is_sse]
FAILED = [each for each in EXCHANGES if each.status != 200]
EMBEDDED = [each for each in EXCHANGES if each.kind == "batchEmbedContents" and each.status == 200]
COUNTED = [each for each in EXCHANGES if each.kind == "countTokens" and each.status == 200]
LEFT_OUT = [each for each in EXCHANGES if each.kind in NOT_OURS]
CALLING = [each for each in ANSWERED if "functionCall" in each.body.decode()]


def name_of(exchange: Exchange) -> str:
    return exchange.name[-70:]


def price(_usage: Usage) -> Decimal:
    return Decimal("0.000123")


def context_of(exchange: Exchange) -> AnswerContext:
    return AnswerContext(call=exchange.call, price=price, judge=PROVIDER.judge_inside)


# -- a plainer reading ------------------------------------------------------------------------------------


def parts_of(exchange: Exchange) -> Iterator[dict[str, Any]]:
    for chunk in exchange.chunks:
        yield from chunk["candidates"][0]["content"].get("parts", [])


def told_text(exchange: Exchange, *, thought: bool = False) -> str:
    return "".join(
        part.get("text", "") for part in parts_of(exchange) if part.get("thought", False) is thought
    )


def told_calls(exchange: Exchange) -> list[tuple[str, Any]]:
    calls = (part["functionCall"] for part in parts_of(exchange) if "functionCall" in part)
    return [(call["name"], call["args"]) for call in calls]


def told_reason(exchange: Exchange) -> str:
    candidates = [chunk["candidates"][0] for chunk in exchange.chunks]
    (reason,) = [each["finishReason"] for each in candidates if "finishReason" in each]
    assert isinstance(reason, str)
    return reason


def told_signatures(exchange: Exchange) -> list[str]:
    """But for those of tools that were called on Google's side, which we don't tell of."""
    ours = (part for part in parts_of(exchange) if "text" in part or "functionCall" in part)
    return [part["thoughtSignature"] for part in ours if "thoughtSignature" in part]


def assert_usage(read: Usage | None, exchange: Exchange) -> None:
    """What goes in is the prompt and that of Google's tools; the rest of the total comes out."""
    told = exchange.chunks[-1]["usageMetadata"]
    given = told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    assert read is not None
    assert read.input_tokens == given
    assert read.output_tokens == told["totalTokenCount"] - given
    assert read.total_tokens == told["totalTokenCount"]
    assert read.reasoning_tokens == told.get("thoughtsTokenCount")
    assert read.cache_read_tokens == told.get("cachedContentTokenCount")


def as_whole(exchange: Exchange) -> bytes:
    """A stream's chunks as a list, which is read as one answer."""
    return json.dumps(exchange.chunks).encode()
