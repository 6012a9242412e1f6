"""What litellm makes of the gateway, as OpenAI and as Anthropic: a JSON object of results by name.

Runs in .venv-clients, knows nothing but GATE_URL and GATE_KEY, and imports nothing of ours.
"""

import json
import os
import sys
from typing import Any

import litellm

URL, KEY = os.environ["GATE_URL"], os.environ["GATE_KEY"]
BASES = {"openai": f"{URL}/v1", "anthropic": URL}
ASKED = [{"role": "user", "content": "Is it open?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def call(prefix: str, model: str, **more: Any) -> Any:
    messages = more.pop("messages", ASKED)
    return litellm.completion(
        model=f"{prefix}/{model}",
        messages=messages,
        api_base=BASES[prefix],
        api_key=KEY,
        max_retries=0,
        **more,
    )


def calls(message: Any) -> list[Any]:
    return [[one.function.name, json.loads(one.function.arguments)] for one in message.tool_calls or []]


def run(prefix: str, slug: str) -> dict[str, Any]:
    whole = call(prefix, f"{slug}/says-text")
    chunks = list(call(prefix, f"{slug}/says-text", stream=True))
    first = call(prefix, f"{slug}/says-both", tools=[WEATHER]).choices[0].message
    pieces = list(call(prefix, f"{slug}/says-both", tools=[WEATHER], stream=True))
    streamed: Any = litellm.stream_chunk_builder(pieces)
    results = [
        {"role": "tool", "tool_call_id": one.id, "content": f"sunny, says {one.id}"}
        for one in first.tool_calls or []
    ]
    turns = [*ASKED, first.model_dump(), *results]
    second = call(prefix, f"{slug}/says-text", messages=turns, tools=[WEATHER])
    return {
        "whole": whole.choices[0].message.content,
        "usage": [whole.usage.prompt_tokens, whole.usage.completion_tokens],
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
        "calls": calls(first),
        "streamed_calls": calls(streamed.choices[0].message),
        "after_tools": second.choices[0].message.content,
    }


def failure(prefix: str) -> str:
    try:
        call(prefix, "openai/fails-400")
    except Exception as error:  # noqa: BLE001, whatever it is, its name is the result
        return type(error).__name__
    return "none"


def main() -> None:
    litellm.suppress_debug_info = True
    found: dict[str, Any] = {}
    for prefix in BASES:
        for slug in ("anthropic", "openai", "gemini", "deepseek"):
            found[f"{prefix} to {slug}"] = run(prefix, slug)
        found[f"{prefix} fails"] = failure(prefix)
    rows = litellm.embedding(
        model="openai/openai/embeds", input=["one"], api_base=BASES["openai"], api_key=KEY
    )
    found["embedding"] = rows.data[0]["embedding"]
    json.dump(found, sys.stdout)


main()
