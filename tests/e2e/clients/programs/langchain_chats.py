"""What LangChain's two chat classes make of the gateway: a JSON object of results by name.

Runs in .venv-clients, knows nothing but GATE_URL and GATE_KEY, and imports nothing of ours.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

URL, KEY = os.environ["GATE_URL"], SecretStr(os.environ["GATE_KEY"])
LOOP = asyncio.Runner()  # one for all: the chats share their HTTP client
ASKED = [HumanMessage("Is it open?")]


@tool  # type: ignore[untyped-decorator] # langchain is not where mypy runs
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Gate(BaseModel):
    """Whether the gate is open, and since when."""

    open: bool
    since: int


def openai(model: str, **more: Any) -> Any:
    return ChatOpenAI(model=model, base_url=f"{URL}/v1", api_key=KEY, max_retries=0, **more)


def responses(model: str, **more: Any) -> Any:
    return openai(model, use_responses_api=True, **more)


def anthropic(model: str, **more: Any) -> Any:
    return ChatAnthropic(model=model, base_url=URL, api_key=KEY, max_retries=0, **more)


def calls(message: Any) -> list[Any]:
    return [[call["name"], call["args"]] for call in message.tool_calls]


def run(make: Callable[..., Any], slug: str) -> dict[str, Any]:
    chat = make(f"{slug}/says-text")
    whole = chat.invoke(ASKED)
    pieces = list(chat.stream(ASKED))
    streamed = pieces[0]
    for piece in pieces[1:]:
        streamed += piece
    tooled = make(f"{slug}/says-both").bind_tools([weather])
    first = tooled.invoke(ASKED)
    gathered: Any = None
    for piece in tooled.stream(ASKED):
        gathered = piece if gathered is None else gathered + piece
    results = [
        ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in first.tool_calls
    ]
    second = chat.bind_tools([weather]).invoke([*ASKED, first, *results])
    return {
        "whole": whole.text,
        "usage": [whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]],
        "streamed": streamed.text,
        "streamed_usage": [streamed.usage_metadata["input_tokens"], streamed.usage_metadata["output_tokens"]],
        "asynchronous": LOOP.run(chat.ainvoke(ASKED)).text,
        "calls": calls(first),
        "streamed_calls": calls(gathered),
        "after_tools": second.text,
    }


def failure(chat: Any) -> str:
    try:
        chat.invoke(ASKED)
    except Exception as error:  # noqa: BLE001, whatever it is, its name is the result
        return type(error).__name__
    return "none"


def main() -> None:
    found: dict[str, Any] = {}
    for name, make in (("openai", openai), ("responses", responses), ("anthropic", anthropic)):
        for slug in ("anthropic", "openai", "gemini", "deepseek"):
            found[f"{name} to {slug}"] = run(make, slug)
        found[f"{name} fails"] = failure(make("openai/fails-400"))
    for slug in ("anthropic", "openai", "gemini"):
        asked = openai(f"{slug}/says-json").with_structured_output(Gate, method="json_schema")
        found[f"schema to {slug}"] = asked.invoke(ASKED).model_dump()
    json.dump(found, sys.stdout)


main()
