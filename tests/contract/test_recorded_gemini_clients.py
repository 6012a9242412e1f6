"""Gemini's real answers as clients of the other dialects get them, and what comes back from those clients.

Where the recordings lie beside the checkout; else no tests.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from tests.contract.gemini_recordings import (
    CALLING,
    CONFIG,
    EXCHANGES,
    LISTED,
    PROVIDER,
    STREAMED,
    WHOLE,
    Exchange,
    as_whole,
    assert_usage,
    name_of,
    parts_of,
    price,
    told_calls,
    told_reason,
    told_text,
)

pytestmark = pytest.mark.recorded

COST = 0.000123


@dataclass(frozen=True)
class Got:
    """What a client reads of an answer. reason: of its dialect."""

    text: str
    calls: list[tuple[str, Any]]
    reason: str
    cost: float


class Client(ABC):
    """One dialect, read as its clients do. reasons: by Gemini's, and for an answer that calls."""

    dialect: ClassVar[str]
    reasons: ClassVar[Mapping[str, str]]

    @abstractmethod
    def read(self, body: Any) -> Got: ...

    @abstractmethod
    def read_stream(self, frames: list[tuple[str, Any]]) -> Got:
        """Each frame: the event's name, and its JSON or the text that stands in its place."""

    @abstractmethod
    def go_on(self, body: Any) -> dict[str, Any]:
        """The next request: a question, the answer as it came, and a result for each call."""


class ChatClient(Client):
    dialect = OPENAI_CHAT
    reasons: ClassVar = {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "content_filter",
        "calls": "tool_calls",
    }

    def read(self, body: Any) -> Got:
        (choice,) = body["choices"]
        message = choice["message"]
        calls = [call["function"] for call in message.get("tool_calls", [])]
        return Got(
            message["content"] or "",
            [(call["name"], json.loads(call["arguments"])) for call in calls],
            choice["finish_reason"],
            body["usage"]["cost"],
        )

    def read_stream(self, frames: list[tuple[str, Any]]) -> Got:
        assert frames[-1] == ("", "[DONE]")
        chunks = [chunk for _, chunk in frames[:-1]]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        calls: dict[int, list[str]] = {}
        for part in (each for delta in deltas for each in delta.get("tool_calls", [])):
            call = calls.setdefault(part["index"], ["", ""])
            call[0] += part["function"].get("name", "")
            call[1] += part["function"].get("arguments", "")
        return Got(
            "".join(delta.get("content") or "" for delta in deltas),
            [(name, json.loads(arguments)) for name, arguments in calls.values()],
            chunks[-1]["choices"][0]["finish_reason"],
            chunks[-1]["usage"]["cost"],
        )

    def go_on(self, body: Any) -> dict[str, Any]:
        message = body["choices"][0]["message"]
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in message["tool_calls"]
        ]
        return {"messages": [{"role": "user", "content": "Go on."}, message, *results]}


class MessagesClient(Client):
    dialect = ANTHROPIC_MESSAGES
    reasons: ClassVar = {
        "STOP": "end_turn",
        "MAX_TOKENS": "max_tokens",
        "SAFETY": "refusal",
        "calls": "tool_use",
    }

    def read(self, body: Any) -> Got:
        blocks = body["content"]
        return Got(
            "".join(block["text"] for block in blocks if block["type"] == "text"),
            [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
            body["stop_reason"],
            body["usage"]["cost"],
        )

    def read_stream(self, frames: list[tuple[str, Any]]) -> Got:
        assert [name for name, _ in frames] == [event["type"] for _, event in frames]
        assert frames[-1][0] == "message_stop"
        blocks: dict[int, dict[str, Any]] = {}
        for name, event in frames:
            if name == "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            elif name == "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                for field in ("text", "partial_json"):
                    block[field] = block.get(field, "") + delta.get(field, "")
        for block in blocks.values():
            if block["type"] == "tool_use":
                block["input"] = json.loads(block["partial_json"] or "{}")
        last = next(event for name, event in frames if name == "message_delta")
        whole = {"content": list(blocks.values()), **last["delta"], "usage": last["usage"]}
        return self.read(whole)

    def go_on(self, body: Any) -> dict[str, Any]:
        calls = [block["id"] for block in body["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call, "content": "done"} for call in calls]
        return {
            "max_tokens": 100,
            "messages": [
                {"role": "user", "content": "Go on."},
                {"role": "assistant", "content": body["content"]},
                {"role": "user", "content": results},
            ],
        }


class ResponsesClient(Client):
    dialect = OPENAI_RESPONSES
    reasons: ClassVar = {
        "STOP": "completed",
        "MAX_TOKENS": "max_output_tokens",
        "SAFETY": "content_filter",
        "calls": "completed",
    }

    def read(self, body: Any) -> Got:
        output = body["output"]
        texts = [part for item in output if item["type"] == "message" for part in item["content"]]
        calls = [item for item in output if item["type"] == "function_call"]
        incomplete = body.get("incomplete_details") or {}
        return Got(
            "".join(part["text"] for part in texts if part["type"] == "output_text"),
            [(call["name"], json.loads(call["arguments"])) for call in calls],
            incomplete.get("reason") or body["status"],
            body["usage"]["cost"],
        )

    def read_stream(self, frames: list[tuple[str, Any]]) -> Got:
        assert [name for name, _ in frames] == [event["type"] for _, event in frames]
        assert [event["sequence_number"] for _, event in frames] == list(range(len(frames)))
        deltas = [event["delta"] for name, event in frames if name == "response.output_text.delta"]
        got = self.read(frames[-1][1]["response"])
        assert "".join(deltas) == got.text
        return got

    def go_on(self, body: Any) -> dict[str, Any]:
        calls = [item["call_id"] for item in body["output"] if item["type"] == "function_call"]
        results = [{"type": "function_call_output", "call_id": call, "output": "done"} for call in calls]
        return {"input": [{"role": "user", "content": "Go on."}, *body["output"], *results]}


CLIENTS = [ChatClient(), MessagesClient(), ResponsesClient()]
every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.dialect)


def call_of(exchange: Exchange, client: Client, body: dict[str, Any] | None = None) -> ChatCall:
    stream = exchange.is_sse and body is None
    return ChatCall(body=body or {}, model=exchange.model, stream=stream, dialect=client.dialect)


def expected(exchange: Exchange, client: Client) -> Got:
    calls, reason = told_calls(exchange), told_reason(exchange)
    word = client.reasons["calls" if calls and reason == "STOP" else reason]
    return Got(told_text(exchange), calls, word, COST)


def frames_of(body: bytes) -> list[tuple[str, Any]]:
    frames = []
    for block in body.split(b"\n\n"):
        fields = dict(line.split(": ", 1) for line in block.decode().splitlines())
        if fields:
            data = fields["data"]
            frames.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return frames


if EXCHANGES:

    @every_client
    @pytest.mark.parametrize("exchange", WHOLE + LISTED, ids=name_of)
    def test_a_client_gets_an_answer_whole(exchange: Exchange, client: Client) -> None:
        answer = PROVIDER.parse_chat(call_of(exchange, client), exchange.body, price)
        assert client.read(json.loads(answer.body)) == expected(exchange, client)
        assert answer.outcome.text == told_text(exchange)
        assert answer.outcome.finish_reason == expected(exchange, CLIENTS[0]).reason
        assert_usage(answer.outcome.usage, exchange)

    @every_client
    @pytest.mark.parametrize("exchange", STREAMED, ids=name_of)
    def test_a_client_gets_an_answer_streamed(exchange: Exchange, client: Client) -> None:
        reader = PROVIDER.read_chat_stream(call_of(exchange, client), price)
        events = reader.feed(exchange.body) + reader.end()
        assert [event.error for event in events if event.error] == []
        frames = frames_of(b"".join(event.data for event in events))
        assert client.read_stream(frames) == expected(exchange, client)
        assert_usage(reader.outcome.usage, exchange)

    @every_client
    @pytest.mark.parametrize("exchange", CALLING, ids=name_of)
    def test_a_call_goes_back_with_the_signature_it_came_with(exchange: Exchange, client: Client) -> None:
        """By way of a client that keeps the answer as it got it."""
        answer = PROVIDER.parse_chat(call_of(exchange, client), as_whole(exchange), price)
        following = call_of(exchange, client, client.go_on(json.loads(answer.body)))
        written = json.loads(PROVIDER.build_chat(following, CONFIG).body or b"")
        asked, said, answered = written["contents"]
        assert (asked["role"], said["role"], answered["role"]) == ("user", "model", "user")
        told = [part for part in parts_of(exchange) if "functionCall" in part]
        sent = [part for part in said["parts"] if "functionCall" in part]
        for mine, theirs in zip(sent, told, strict=True):
            assert mine["functionCall"]["name"] == theirs["functionCall"]["name"]
            assert mine["functionCall"]["args"] == theirs["functionCall"]["args"]
            if "thoughtSignature" in theirs:
                assert mine["thoughtSignature"] == theirs["thoughtSignature"]
        responses = [part["functionResponse"] for part in answered["parts"]]
        assert [(each["id"], each["name"]) for each in responses] == [
            (part["functionCall"]["id"], part["functionCall"]["name"]) for part in sent
        ]
