"""Small Responses of our own, the events of their streams, and the ways tests talk to the dialect."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from headgate.domain.answers import Answer, AnswerBuilder, AnswerEvent, Failed
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall, ChatOutcome
from headgate.providers.dialects.base import OPENAI_RESPONSES, AnswerContext, EventReader
from headgate.providers.dialects.openai_responses import OpenAIResponses
from tests.unit.providers.dialects.speaking import PLAIN, a_tenth_of_a_cent

DIALECT = OpenAIResponses()


def asking(body: Mapping[str, Any] | None = None, **members: Any) -> ChatCall:
    """A client's call; members: of `ChatCall`."""
    told = {"model": "native", "stream": False, "dialect": OPENAI_RESPONSES, **members}
    return ChatCall(body=body or {}, **told)


def context(body: Mapping[str, Any] | None = None, *, price: Any = a_tenth_of_a_cent) -> AnswerContext:
    """At a moment that is always the same."""
    return AnswerContext(
        call=asking(body),
        price=price,
        judge=PLAIN.judge_inside,
        read_usage=PLAIN.read_usage,
        created=1_790_000_000,
    )


# -- what a provider says ---------------------------------------------------------------------------------


def usage(given: int = 5, made: int = 2, **members: Any) -> dict[str, Any]:
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + made,
        **members,
    }


def message(*parts: dict[str, Any], item_id: str = "msg_1") -> dict[str, Any]:
    content = list(parts)
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def text(said: str) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": []}


def call(arguments: str = '{"a":1}', *, name: str = "f", call_id: str = "call_1") -> dict[str, Any]:
    return {
        "id": f"fc_{call_id}",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def thought(*summary: str, content: tuple[str, ...] = (), encrypted: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"id": "rs_1", "type": "reasoning"}
    item["summary"] = [{"type": "summary_text", "text": each} for each in summary]
    item["content"] = [{"type": "reasoning_text", "text": each} for each in content]
    return item if encrypted is None else {**item, "encrypted_content": encrypted}


def response(*output: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "m-1",
        "output": list(output),
        "usage": usage(),
        **members,
    }


def event(kind: str, **members: Any) -> bytes:
    """An event of a stream, named and spaced as no encoder of ours would space it."""
    value = {"type": f"response.{kind}", **members}
    return f"event: response.{kind}\ndata: ".encode() + json.dumps(value).encode() + b"\n\n"


def created(**members: Any) -> bytes:
    return event("created", response=response(status="in_progress", usage=None, **members))


def said(delta: str, **members: Any) -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, **members}
    return event("output_text.delta", delta=delta, **place)


def added(item: dict[str, Any], place: int = 0) -> bytes:
    return event("output_item.added", output_index=place, item=item)


def done(item: dict[str, Any], place: int = 0) -> bytes:
    return event("output_item.done", output_index=place, item=item)


def completed(*output: dict[str, Any], **members: Any) -> bytes:
    return event("completed", response=response(*output, **members))


# -- handed through ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Handed:
    """What a stream came to: events with data, those with content, the error, the outcome."""

    events: list[bytes]
    contents: list[bytes]
    error: HeadgateError | None
    outcome: ChatOutcome


def hand(reads: Iterable[bytes], *, price: Any = a_tenth_of_a_cent) -> Handed:
    """Nothing comes after an error."""
    reader = DIALECT.hand_stream(context(price=price))
    events = [each for data in reads for each in reader.feed(data)]
    events += reader.end()
    errors = [each.error for each in events if each.error is not None]
    assert errors == [each.error for each in events[-1:] if each.error is not None]
    return Handed(
        events=[each.data for each in events if each.data],
        contents=[each.data for each in events if each.content],
        error=errors[0] if errors else None,
        outcome=reader.outcome,
    )


# -- translated -------------------------------------------------------------------------------------------


def read_all(reader: EventReader, reads: Iterable[bytes]) -> list[AnswerEvent]:
    events = [each for data in reads for each in reader.feed(data)]
    return [*events, *reader.end()]


def read(*reads: bytes) -> list[AnswerEvent]:
    """A provider's stream as events."""
    return read_all(DIALECT.read_stream(context()), reads)


def read_whole(value: Mapping[str, Any]) -> list[AnswerEvent]:
    """A provider's whole answer as events."""
    return DIALECT.read_answer(json.dumps(value).encode(), context())


def sum_of(events: Iterable[AnswerEvent]) -> Answer:
    builder = AnswerBuilder()
    for each in events:
        assert not isinstance(each, Failed), each.error
        builder.add(each)
    return builder.answer


def write(events: Iterable[AnswerEvent], body: Mapping[str, Any] | None = None) -> bytes:
    """Events as a client's stream."""
    writer = DIALECT.stream_writer(context(body))
    return b"".join([*(writer.feed(each) for each in events), writer.end()])


def values(stream: bytes) -> list[dict[str, Any]]:
    """The JSON of a stream's events, whose names are their types."""
    found = []
    for block in stream.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        value = json.loads(data.removeprefix(b"data: "))
        assert name == f"event: {value['type']}".encode()
        found.append(value)
    return found


def last_response(stream: bytes) -> dict[str, Any]:
    return dict(values(stream)[-1]["response"])


def a_usage() -> Usage:
    return Usage(
        input_tokens=9,
        output_tokens=4,
        cache_read_tokens=3,
        cache_write_tokens=2,
        reasoning_tokens=1,
        total_tokens=13,
        cost_usd=Decimal("0.25"),
    )
