"""What Gemini says in tests, and the ways to have it read."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from headgate.domain.answers import Answer, AnswerBuilder, AnswerEvent, Failed
from headgate.domain.conversation import Conversation, Message, Role, Text
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import AnswerContext
from headgate.providers.dialects.gemini import GeminiGenerate
from headgate.providers.gemini import Gemini

BACK = GeminiGenerate()
NEWEST = "gemini-3.5-flash"


def no_price(_usage: Usage) -> Decimal | None:
    return None


def call_of(model: str = NEWEST, *, stream: bool = False, **fields: Any) -> ChatCall:
    return ChatCall(body={}, model=model, stream=stream, **fields)


def context() -> AnswerContext:
    return AnswerContext(call=call_of(), price=no_price, judge=Gemini().judge_inside)


# -- answers ----------------------------------------------------------------------------------------------


def chunk(*parts: Mapping[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    """A chunk of one candidate; `members` of the chunk beside it."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r-1", **members}


def text(said: str, **members: Any) -> dict[str, Any]:
    return {"text": said, **members}


def function(name: str, args: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A part that calls a function whole; `members` of the part beside it, `id` of the call."""
    called: dict[str, Any] = {"name": name} if args is None else {"name": name, "args": args}
    if "id" in members:
        called["id"] = members.pop("id")
    return {"functionCall": called, **members}


def counted(prompt: int = 5, candidates: int = 2, **members: int) -> dict[str, Any]:
    """Members of a chunk: `usageMetadata` whose total is right unless one is given."""
    total = (
        prompt
        + candidates
        + sum(members.get(name, 0) for name in ("thoughtsTokenCount", "toolUsePromptTokenCount"))
    )
    told = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": total}
    return {"usageMetadata": {**told, **members}}


def framed(*chunks: Any, end: bytes = b"\r\n") -> bytes:
    """A stream, with the line ends that Google sends."""
    return b"".join(b"data: " + json.dumps(each).encode() + end + end for each in chunks)


def read(*chunks: Any) -> list[AnswerEvent]:
    """A whole answer; several chunks as a list of them."""
    body = chunks[0] if len(chunks) == 1 else list(chunks)
    return BACK.read_answer(json.dumps(body).encode(), context())


def stream(reads: Iterable[bytes]) -> list[AnswerEvent]:
    reader = BACK.read_stream(context())
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end()


def streamed(*chunks: Any) -> list[AnswerEvent]:
    return stream([framed(*chunks)])


def added_up(events: Iterable[AnswerEvent]) -> Answer:
    builder = AnswerBuilder()
    for event in events:
        builder.add(event)
    return builder.answer


def failure(events: list[AnswerEvent]) -> HeadgateError:
    """The error that the events end in; there is one at most."""
    assert [isinstance(event, Failed) for event in events].count(True) == 1
    assert isinstance(events[-1], Failed)
    return events[-1].error


# -- requests ---------------------------------------------------------------------------------------------


def asking(*messages: Message, **fields: Any) -> Conversation:
    """A conversation of these messages, or of one question."""
    return Conversation(messages=messages or (user("Hi?"),), **fields)


def user(*parts: Any) -> Message:
    return Message(role=Role.USER, parts=_parts(parts))


def assistant(*parts: Any) -> Message:
    return Message(role=Role.ASSISTANT, parts=_parts(parts))


def system(said: str) -> Message:
    return Message(role=Role.SYSTEM, parts=(Text(text=said),))


def tool(*parts: Any) -> Message:
    return Message(role=Role.TOOL, parts=parts)


def _parts(parts: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(Text(text=part) if isinstance(part, str) else part for part in parts)


def write(conversation: Conversation, call: ChatCall | None = None) -> dict[str, Any]:
    return BACK.write_request(conversation, call or call_of())
