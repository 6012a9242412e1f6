"""One answer, written as each provider's server writes it: whole, and as the bytes of a stream.

By hand after the vendors' pages, read 2026-11-20: https://platform.claude.com/docs/en/api/messages-streaming,
https://ai.google.dev/api/generate-content, https://platform.openai.com/docs/api-reference.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.upstream import chunk, completion

INPUT_TOKENS, OUTPUT_TOKENS = 9, 5
_CREATED = 1_790_000_000

type Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a model answers. calls: (id, name, arguments) of each tool call, all in one turn."""

    text: str = ""
    thought: str = ""
    signature: str = ""
    calls: Sequence[tuple[str, str, Mapping[str, Any]]] = ()


def halves(text: str) -> tuple[str, str]:
    """A text as two deltas carry it."""
    return text[: len(text) // 2], text[len(text) // 2 :]


def named(value: Mapping[str, Any]) -> bytes:
    """An event with its type as its name."""
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def unnamed(value: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


# -- Anthropic's messages -----------------------------------------------------------------------------------


def anthropic_blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.thought:
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": said.signature})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    for call, name, arguments in said.calls:
        blocks.append({"type": "tool_use", "id": call, "name": name, "input": dict(arguments)})
    return blocks


def anthropic_message(said: Said, model: str) -> Json:
    return {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": anthropic_blocks(said),
        "stop_reason": "tool_use" if said.calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }


def anthropic_events(said: Said, model: str) -> list[Json]:
    message = anthropic_message(said, model)
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
    start = message | {"content": [], "stop_reason": None, "usage": usage}
    events: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        empty, deltas = _anthropic_deltas(block)
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": message["usage"]})
    return [*events, {"type": "message_stop"}]


def _anthropic_deltas(block: Json) -> tuple[Json, list[Json]]:
    """The block as it starts, and what fills it."""
    if block["type"] == "text":
        return block | {"text": ""}, [{"type": "text_delta", "text": half} for half in halves(block["text"])]
    if block["type"] == "thinking":
        deltas: list[Json] = [
            {"type": "thinking_delta", "thinking": half} for half in halves(block["thinking"])
        ]
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return block | {"thinking": "", "signature": ""}, [*deltas, signed]
    parts = halves(json.dumps(block["input"]))
    return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def anthropic_bytes(said: Said, model: str) -> bytes:
    return b"".join(named(event) for event in anthropic_events(said, model))


# -- OpenAI's chat completions ------------------------------------------------------------------------------


def chat_completion(said: Said, model: str) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.thought:
        message["reasoning_content"] = said.thought
    if said.calls:
        message["tool_calls"] = [
            {"id": call, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for call, name, arguments in said.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if said.calls else "stop"}
    return completion(model=model, choices=[choice], usage=_chat_usage())


def chat_bytes(said: Said, model: str) -> bytes:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": half} for half in halves(said.thought) if half]
    deltas += [{"content": half} for half in halves(said.text) if half]
    for index, (call, name, arguments) in enumerate(said.calls):
        first, second = halves(json.dumps(arguments))
        function = {"name": name, "arguments": first}
        begun = {"index": index, "id": call, "type": "function", "function": function}
        deltas.append({"tool_calls": [begun]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": second}}]})
    chunks = [chunk(delta, model=model) for delta in deltas]
    chunks.append(chunk({}, "tool_calls" if said.calls else "stop", model=model))
    chunks.append(chunk(usage=_chat_usage(), model=model))
    return b"".join(unnamed(each) for each in chunks) + b"data: [DONE]\n\n"


def _chat_usage() -> Json:
    total = INPUT_TOKENS + OUTPUT_TOKENS
    return {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": total}


# -- OpenAI's responses -------------------------------------------------------------------------------------


def response(said: Said, model: str) -> Json:
    return _response(model, "completed", _output_items(said))


def _output_items(said: Said) -> list[Json]:
    items: list[Json] = []
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": []}
        message = {"id": "msg_loopback", "type": "message", "role": "assistant", "status": "completed"}
        items.append({**message, "content": [part]})
    for call, name, arguments in said.calls:
        text = json.dumps(arguments)
        item = {"id": f"fc_{call}", "type": "function_call", "status": "completed", "call_id": call}
        items.append({**item, "name": name, "arguments": text})
    return items


def _response(model: str, status: str, output: list[Json]) -> Json:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    return {
        "id": "resp_loopback",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "model": model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if status == "completed" else None,
    }


def response_bytes(said: Said, model: str) -> bytes:
    items = _output_items(said)
    events: list[Json] = [{"type": "response.created", "response": _response(model, "in_progress", [])}]
    for index, item in enumerate(items):
        events += _item_events(index, item)
    events.append({"type": "response.completed", "response": _response(model, "completed", items)})
    return b"".join(named(event | {"sequence_number": n}) for n, event in enumerate(events))


def _item_events(index: int, item: Json) -> Iterable[Json]:
    place = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "function_call":
        begun = item | {"status": "in_progress", "arguments": ""}
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        for half in halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **place, "delta": half}
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield {"type": "response.function_call_arguments.done", **place, **done}
    else:
        begun = item | {"status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        place["content_index"] = 0
        part = item["content"][0]
        yield {"type": "response.content_part.added", **place, "part": part | {"text": ""}}
        for half in halves(part["text"]):
            yield {"type": "response.output_text.delta", **place, "delta": half, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


# -- Gemini -------------------------------------------------------------------------------------------------


def gemini_answer(said: Said, model: str) -> Json:
    return _gemini(_gemini_parts(said), model, finish="STOP")


def gemini_bytes(said: Said, model: str) -> bytes:
    answers = [_gemini([part], model) for part in _gemini_parts(said)]
    answers.append(_gemini([{"text": ""}], model, finish="STOP"))
    return b"".join(f"data: {json.dumps(answer)}\r\n\r\n".encode() for answer in answers)


def _gemini_parts(said: Said) -> list[Json]:
    parts: list[Json] = []
    if said.thought:
        parts.append({"text": said.thought, "thought": True})
    if said.text:
        signed = {"thoughtSignature": said.signature} if said.signature else {}
        parts.append({"text": said.text, **signed})
    for _, name, arguments in said.calls:
        parts.append({"functionCall": {"name": name, "args": dict(arguments)}})
    return parts


def _gemini(parts: list[Json], model: str, *, finish: str | None = None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS}
    usage["totalTokenCount"] = INPUT_TOKENS + OUTPUT_TOKENS
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": "resp-loopback",
    }
