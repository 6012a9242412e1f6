"""What the mock answers where Anthropic's messages are asked for: the same texts as its chat completions."""

from functools import cache

import orjson

_USAGE = {"input_tokens": 60, "output_tokens": 14}


def _message(model: str, content: list[dict[str, str]], reason: str | None) -> dict[str, object]:
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": _USAGE,
    }


@cache
def whole_message(model: str, text: str) -> bytes:
    """A message, as JSON."""
    return orjson.dumps(_message(model, [{"type": "text", "text": text}], "end_turn"))


@cache
def message_events(model: str, chunks: int) -> tuple[bytes, ...]:
    """The events of a stream, framed; its texts are those of a streamed chat completion."""
    events: list[dict[str, object]] = [{"type": "message_start", "message": _message(model, [], None)}]
    block = {"type": "text", "text": ""}
    events.append({"type": "content_block_start", "index": 0, "content_block": block})
    for number in range(chunks):
        delta = {"type": "text_delta", "text": f" word{number}"}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events.append({"type": "content_block_stop", "index": 0})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {**_USAGE, "output_tokens": chunks}})
    events.append({"type": "message_stop"})
    return tuple(f"event: {event['type']}\n".encode() + _data(event) for event in events)


@cache
def message_models(names: tuple[str, ...]) -> bytes:
    """The model list as Anthropic answers it."""
    made = "2026-01-01T00:00:00Z"
    rows = [{"type": "model", "id": name, "display_name": name, "created_at": made} for name in names]
    ends = {"first_id": names[0], "last_id": names[-1]}
    return orjson.dumps({"data": rows, "has_more": False, **ends})


def _data(event: dict[str, object]) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"
