"""Real Responses where the recordings lie beside the checkout, and a plain reading of what they say."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from headgate.domain.generation import Usage
from headgate.providers.base import ChatOutcome
from headgate.providers.deepseek import DeepSeek
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.openai import OpenAI
from headgate.providers.openrouter import OpenRouter

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)
FIXTURES = "vercel-ai-fixtures"

TERMINAL = ("response.completed", "response.incomplete")
PROVIDERS: dict[str, OpenAICompatible] = {
    "openai": OpenAI(),
    "openrouter": OpenRouter(),
    "deepseek": DeepSeek(),
    FIXTURES: OpenAI(),
}

WAITS_FOR_THE_CLIENT = {
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "mcp_approval_request",
}
UNFINISHED = ("queued", "in_progress")


@dataclass(frozen=True)
class Exchange:
    """One exchange; `body` as it came over the wire, but for the spacing of JSON."""

    slug: str
    name: str
    status: int
    headers: dict[str, str]
    request: dict[str, Any]
    body: bytes
    streamed: bool

    @property
    def provider(self) -> OpenAICompatible:
        return PROVIDERS[self.slug]


def recorded() -> Iterator[Exchange]:
    """Every exchange on `POST /responses`."""
    for slug in PROVIDERS:
        for path in sorted((RECORDED / slug / "recorded").glob("**/*.json")):
            told = json.loads(path.read_bytes())
            request, response = told["request"], told["response"]
            if request["method"] != "POST" or not request["url"].split("?")[0].endswith("/responses"):
                continue
            streamed = response["body_kind"] == "sse"
            yield Exchange(
                slug,
                path.name,
                response["status"],
                {name.lower(): value for name, value in response["headers"].items()},
                request["body"],
                response["body"].encode() if streamed else json.dumps(response["body"]).encode(),
                streamed,
            )


def fixtures() -> Iterator[Exchange]:
    """Answers without their requests. `*.chunks.txt` has one event's data a line, of one or more streams."""
    for path in sorted((RECORDED / FIXTURES / "openai" / "responses").glob("*")):
        if path.name.endswith(".chunks.txt"):
            for position, body in enumerate(streams_in(path.read_bytes())):
                yield Exchange(FIXTURES, f"{path.name}#{position}", 200, {}, {}, body, streamed=True)
        else:
            told = json.loads(path.read_bytes())
            code = (told.get("error") or {}).get("code")
            status = (429 if code == "insufficient_quota" else 400) if told.get("error") else 200
            yield Exchange(FIXTURES, path.name, status, {}, {}, json.dumps(told).encode(), streamed=False)


def streams_in(lines: bytes) -> list[bytes]:
    """Framed as OpenAI does: an event's name is its type."""
    streams: list[bytes] = []
    for line in filter(bytes.strip, lines.split(b"\n")):
        try:
            name = json.loads(line)["type"]
        except json.JSONDecodeError:
            name = "broken"
        if name == "response.created" or not streams:
            streams.append(b"")
        streams[-1] += b"event: " + name.encode() + b"\ndata: " + line + b"\n\n"
    return streams


def name_of(exchange: Exchange) -> str:
    return f"{exchange.slug}-{exchange.name.removesuffix('.json')[-70:]}"


def kind_of(exchange: Exchange) -> str:
    if exchange.status != 200:
        return "errors"
    return "streamed" if exchange.streamed else "whole"


def price(_usage: Usage) -> Decimal:
    return Decimal("0.000123")


# -- a plainer reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What a Response comes to, in the words of a chat completion."""

    text: str
    calls: list[dict[str, Any]]
    finish_reason: str | None
    usage: dict[str, Any] | None

    @classmethod
    def of(cls, response: dict[str, Any]) -> "Reading":
        output = response["output"]
        said = [part for item in output if item["type"] == "message" for part in item["content"]]
        calls = [item for item in output if item["type"] == "function_call"]
        return cls(
            "".join(part["text"] for part in said if part["type"] == "output_text"),
            [{"id": c["call_id"], "name": c["name"], "arguments": c["arguments"]} for c in calls],
            finish_reason(response),
            response.get("usage"),
        )


def finish_reason(response: dict[str, Any]) -> str | None:
    if response["status"] in UNFINISHED:
        return None
    if response["status"] == "incomplete":
        return {"max_output_tokens": "length"}[response["incomplete_details"]["reason"]]
    return "tool_calls" if any(waits(item, response["output"]) for item in response["output"]) else "stop"


def waits(item: dict[str, Any], output: list[dict[str, Any]]) -> bool:
    """Whether an item is a call which the client has to answer; some shells are the provider's own."""
    if item["type"] == "tool_search_call":
        return bool(item["execution"] == "client")
    answered = [each for each in output if each["type"] == f"{item['type']}_output"]
    return item["type"] in WAITS_FOR_THE_CLIENT and item.get("call_id") not in [
        each["call_id"] for each in answered
    ]


def events_in(body: bytes) -> Iterator[tuple[bytes, Any]]:
    """The events of a stream as their own bytes and their JSON, but for comments and `[DONE]`."""
    for block in body.split(b"\n\n"):
        lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
        if lines and lines != [b"data: [DONE]"]:
            yield b"\n".join(lines) + b"\n\n", json.loads(lines[-1].removeprefix(b"data:"))


def terminal_of(exchange: Exchange) -> dict[str, Any]:
    (response,) = [told["response"] for _, told in events_in(exchange.body) if told["type"] in TERMINAL]
    return dict(response)


def assert_usage(read: Usage | None, told: dict[str, Any] | None) -> None:
    if told is None:
        assert read is None
        return
    assert read is not None
    assert (read.input_tokens, read.total_tokens) == (told["input_tokens"], told["total_tokens"])
    assert read.output_tokens == told["total_tokens"] - told["input_tokens"]
    assert read.reasoning_tokens == told["output_tokens_details"]["reasoning_tokens"]
    assert read.cache_read_tokens == told["input_tokens_details"]["cached_tokens"]
    assert read.cache_write_tokens == told["input_tokens_details"].get("cache_write_tokens")
    assert read.cost_usd == (None if told.get("cost") is None else Decimal(str(told["cost"])))


def assert_outcome(outcome: ChatOutcome, reading: Reading) -> None:
    assert outcome.text == reading.text
    assert [{"id": call["id"], **call["function"]} for call in outcome.tool_calls] == reading.calls
    assert outcome.finish_reason == reading.finish_reason
    assert_usage(outcome.usage, reading.usage)


def assert_chat_usage(told: dict[str, Any] | None, usage: dict[str, Any] | None) -> None:
    """The usage of a chat completion, beside that of the Response it was made of."""
    if usage is None:
        assert told is None
        return
    assert told is not None
    assert told["prompt_tokens"] == usage["input_tokens"]
    assert told["completion_tokens"] == usage["total_tokens"] - usage["input_tokens"]
    assert told["total_tokens"] == usage["total_tokens"]
    details = usage["input_tokens_details"]
    assert told["prompt_tokens_details"]["cached_tokens"] == details["cached_tokens"]
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    assert told["completion_tokens_details"]["reasoning_tokens"] == reasoning
    assert told["cost"] == usage.get("cost", 0.000123)


def only_responses_know(body: dict[str, Any]) -> bool:
    """Whether a request asks for what no other dialect has a field for."""
    known_items = ("message", "function_call", "function_call_output", "reasoning")
    items = body["input"] if isinstance(body["input"], list) else []
    return (
        any(body.get(name) for name in ("background", "conversation", "previous_response_id"))
        or bool(body.get("context_management"))
        or "message.output_text.logprobs" in body.get("include", [])
        or any(tool["type"] != "function" for tool in body.get("tools", []))
        or any(item.get("type", "message") not in known_items for item in items)
    )
