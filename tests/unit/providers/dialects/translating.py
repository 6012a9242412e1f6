"""The ways tests have a request or an answer translated, and what they say themselves."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from headgate.domain.answers import Answer, AnswerBuilder, AnswerEvent, Failed
from headgate.domain.catalog import ModelInfo
from headgate.domain.conversation import Conversation, Message, Role, Text
from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.domain.generation import Usage
from headgate.providers.anthropic import Anthropic
from headgate.providers.base import ChatCall
from headgate.providers.dialects.anthropic_messages import AnthropicMessages
from headgate.providers.dialects.base import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    AnswerContext,
    BackDialect,
    EventWriter,
)
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from tests.unit.providers.dialects.speaking import PLAIN

CHAT = OpenAIChat()
ROUTED = OpenAIChat(
    ChatTraits(
        thinking="reasoning",
        history="reasoning_details",
        sampling=frozenset({"top_k"}),
        cache_control=True,
        tool_media=True,
        any_media=True,
    )
)
"""A server that understands all that OpenRouter does."""

MESSAGES = AnthropicMessages()
ANTHROPIC = Anthropic()

NEWEST = "claude-opus-5"
BOTH = "claude-sonnet-4-6"
BUDGETED = "claude-haiku-4-5"
THOUGHTLESS = "claude-3-5-haiku-latest"


def no_price(_usage: Usage) -> Decimal | None:
    return None


def a_tenth_of_a_cent(_usage: Usage) -> Decimal | None:
    return Decimal("0.001")


def call_of(dialect: str = OPENAI_CHAT, *, model: str = "some-model", **fields: Any) -> ChatCall:
    members: dict[str, Any] = {"body": {}, "stream": False, **fields}
    return ChatCall(model=model, dialect=dialect, **members)


def context(call: ChatCall | None = None, price: Any = no_price) -> AnswerContext:
    judge = ANTHROPIC.judge_inside if call is not None and call.dialect == ANTHROPIC_MESSAGES else None
    return AnswerContext(
        call=call or call_of(), price=price, judge=judge or PLAIN.judge_inside, created=1_770_000_000
    )


def claude_context(price: Any = no_price, *, include_usage: bool = False) -> AnswerContext:
    """Of a call that Anthropic serves."""
    call = call_of(model=NEWEST, stream=True, include_usage=include_usage)
    return AnswerContext(call=call, price=price, judge=ANTHROPIC.judge_inside, created=1_770_000_000)


def info(**members: Any) -> ModelInfo:
    return ModelInfo(
        id="some/model", canonical_id="some/model", provider="some", name="Some model", **members
    )


# -- requests ---------------------------------------------------------------------------------------------


def asking(*messages: Message, **fields: Any) -> Conversation:
    """A conversation of these messages, or of one question."""
    return Conversation(messages=messages or (user("Hi?"),), **fields)


def user(*parts: Any) -> Message:
    return Message(role=Role.USER, parts=_parts(parts))


def assistant(*parts: Any) -> Message:
    return Message(role=Role.ASSISTANT, parts=_parts(parts))


def system(*parts: Any) -> Message:
    return Message(role=Role.SYSTEM, parts=_parts(parts))


def tool(*parts: Any) -> Message:
    return Message(role=Role.TOOL, parts=parts)


def _parts(parts: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(Text(text=part) if isinstance(part, str) else part for part in parts)


def chat_body(*messages: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A chat completion as a client sends it."""
    listed = list(messages) or [{"role": "user", "content": "Hi?"}]
    return {"model": "a/b", "messages": listed, **fields}


def message_body(*messages: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A request for a message as a client sends it."""
    listed = list(messages) or [{"role": "user", "content": "Hi?"}]
    return {"model": "a/b", "max_tokens": 100, "messages": listed, **fields}


def to_claude(body: Mapping[str, Any], call: ChatCall | None = None) -> dict[str, Any]:
    """A chat completion as Anthropic gets it."""
    return MESSAGES.write_request(CHAT.read_request(body), call or call_of(model=NEWEST))


def to_chat(
    body: Mapping[str, Any], call: ChatCall | None = None, back: BackDialect = CHAT
) -> dict[str, Any]:
    """A request for a message as a server of chat completions gets it."""
    return back.write_request(MESSAGES.read_request(body), call or call_of(ANTHROPIC_MESSAGES))


def faults(raised: InvalidRequest) -> list[str]:
    """The paths of the fields that are wrong."""
    return [error.field for error in raised.errors]


# -- answers ----------------------------------------------------------------------------------------------


def added_up(events: Iterable[AnswerEvent]) -> Answer:
    builder = AnswerBuilder()
    for event in events:
        builder.add(event)
    return builder.answer


def streamed(back: BackDialect, reads: Iterable[bytes], within: AnswerContext) -> list[AnswerEvent]:
    reader = back.read_stream(within)
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end()


def written(writer: EventWriter, events: Iterable[AnswerEvent]) -> bytes:
    return b"".join(writer.feed(event) for event in events) + writer.end()


def failure(events: list[AnswerEvent]) -> HeadgateError:
    """The error that the events end in; there is one at most."""
    assert [isinstance(event, Failed) for event in events].count(True) == 1
    assert isinstance(events[-1], Failed)
    return events[-1].error


def sse(*events: Mapping[str, Any], padding: str = "") -> bytes:
    """Anthropic's events, with the spaces before the last brace that the service sends."""
    frames = []
    for event in events:
        text = json.dumps(event, separators=(",", ":"))
        frames.append(f"event: {event['type']}\ndata: {text[:-1]}{padding}}}\n\n")
    return "".join(frames).encode()


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The JSON of each event of a stream, `[DONE]` left out."""
    found = []
    for frame in stream.split(b"\n\n"):
        lines = [line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")]
        if lines and lines != [b"[DONE]"]:
            found.append(json.loads(b"".join(lines)))
    return found


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


def joined_message(stream: bytes) -> dict[str, Any]:
    """The message that a client of Anthropic's puts together from a stream, the plainest way."""
    message: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    for event in events_of(stream):
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
        elif kind == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            if delta["type"] == "input_json_delta":
                arguments[event["index"]] = arguments.get(event["index"], "") + delta["partial_json"]
            elif delta["type"] == "signature_delta":
                block["signature"] = delta["signature"]
            else:
                name = delta["type"].removesuffix("_delta")
                block[name] += delta[name]
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for index, text in arguments.items():
        message["content"][index]["input"] = json.loads(text)
    return message


def joined_chunks(stream: bytes) -> dict[str, Any]:
    """The message that a client of OpenAI's puts together from chunks, the plainest way."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in events_of(stream):
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for name in ("content", "refusal", "reasoning_content"):
                if delta.get(name):
                    message[name] = (message.get(name) or "") + delta[name]
            for name in ("reasoning_details", "images"):
                if delta.get(name):
                    message.setdefault(name, []).extend(delta[name])
            for piece in delta.get("tool_calls", ()):
                if piece["index"] not in calls:
                    calls[piece["index"]] = piece
                else:
                    calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message
