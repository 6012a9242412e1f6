"""A provider that adds nothing to OpenAI's dialect, and the ways its tests talk to it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall, ChatOutcome, ProviderSpec
from headgate.providers.dialects.openai import OpenAICompatible


class Plain(OpenAICompatible):
    spec = ProviderSpec(
        slug="plain",
        name="Plain",
        description="",
        docs_url="https://plain.example",
        base_url="https://plain.example/v1",
        key_check_path="/models",
    )


PLAIN = Plain()
DONE = b"data: [DONE]\n\n"


def a_tenth_of_a_cent(_usage: Usage) -> Decimal | None:
    return Decimal("0.001")


def no_price(_usage: Usage) -> Decimal | None:
    return None


def frame(value: Any) -> bytes:
    """A provider's event, spaced as no encoder of ours would space it."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(
    delta: Mapping[str, Any] | None = None, finish: str | None = None, **members: Any
) -> dict[str, Any]:
    """A chunk of one choice. members: `usage`, `error`, …; `index` is the choice's."""
    index = members.pop("index", 0)
    choice = {"index": index, "delta": {} if delta is None else dict(delta), "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **members}


def said(text: str, **members: Any) -> dict[str, Any]:
    return chunk({"content": text}, **members)


def usage(prompt: int = 5, completion: int = 2, **members: Any) -> dict[str, Any]:
    total = members.pop("total", prompt + completion)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **members}


def usage_only(**members: Any) -> dict[str, Any]:
    told = members.pop("usage", None) or usage()
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [],
        "usage": told,
        **members,
    }


@dataclass(frozen=True)
class Read:
    """What a stream came to: events with data, the error, the outcome; `contents` are those with content."""

    events: list[bytes]
    contents: list[bytes]
    error: HeadgateError | None
    outcome: ChatOutcome

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(event.removeprefix(b"data: ")) for event in self.events if event != DONE]


def read(
    reads: Iterable[bytes],
    *,
    include_usage: bool = False,
    price: Any = no_price,
    provider: OpenAICompatible = PLAIN,
) -> Read:
    call = ChatCall(body={}, model="m", stream=True, include_usage=include_usage)
    reader = provider.read_chat_stream(call, price)
    events = [event for data in reads for event in reader.feed(data)]
    events += reader.end()
    errors = [event.error for event in events if event.error is not None]
    assert len(errors) <= 1
    assert not errors or events[-1].error is errors[0]
    return Read(
        [event.data for event in events if event.data],
        [event.data for event in events if event.content],
        errors[0] if errors else None,
        reader.outcome,
    )
