"""What the mock provider's models say: chat completions in OpenAI's dialect, made up from the request. Pure.

No model runs; everything else is as a real server does it: tokens are counted, limits and stop sequences cut,
tools are called with arguments that satisfy their schema, and structured output satisfies its own.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from headgate.providers._json_sample import SampleError, sample
from headgate.providers.dialects.openai_answers import text_of

IMAGE_TOKENS = 85
MESSAGE_TOKENS = 3
MAX_CHOICES = 8
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_TOKEN = re.compile(r"\s*(?:\w{1,8}|[^\w\s])|\s+")


class MockRefusal(Exception):
    """The server's answer is an error: `status`, and OpenAI's error object."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.status = status
        self.error: Mapping[str, Any] = {"message": message, "type": kind, "param": param, "code": code}


@dataclass(frozen=True, slots=True)
class MockChoice:
    """One choice, in tokens. call: the name of the function that is called, `content` being its arguments."""

    reasoning: tuple[str, ...]
    content: tuple[str, ...]
    call: str | None
    finish_reason: str

    @property
    def text(self) -> str:
        return "".join(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class MockAnswer:
    """A whole answer, which can be told at once or in chunks. created: Unix seconds."""

    id: str
    created: int
    model: str
    choices: tuple[MockChoice, ...]
    prompt_tokens: int

    @property
    def usage(self) -> dict[str, Any]:
        reasoning = sum(len(choice.reasoning) for choice in self.choices)
        completion = reasoning + sum(len(choice.content) for choice in self.choices)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }

    def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        choices = [
            {"index": index, "message": _message(choice, self.id), "finish_reason": choice.finish_reason}
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage}

    def chunks(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The chunks of a streamed answer, a token each; the last one with usage, where it was asked for."""
        head = self._head("chat.completion.chunk")
        for index, choice in enumerate(self.choices):
            for delta in _deltas(choice, self.id):
                yield {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
            finish = {"index": index, "delta": {}, "finish_reason": choice.finish_reason}
            yield {**head, "choices": [finish]}
        if include_usage:
            yield {**head, "choices": [], "usage": self.usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def answer_to(
    body: Mapping[str, Any], *, answer_id: str, created: int, reasons: bool, echoes: bool
) -> MockAnswer:
    """The answer to a request. reasons: it thinks first. echoes: it says the user's words again.

    Raises MockRefusal for what a real server would refuse too.
    """
    messages = _read_messages(body)
    tool = _tool_to_call(body, messages)
    if tool is not None:
        text = _made_up(tool.get("parameters") or {"type": "object"}, "tools[0].function.parameters")
    else:
        text = _stopped(_text(body, messages, echoes=echoes), body)
    choices = _whole_number(body, "n", 1)
    if choices > MAX_CHOICES:
        raise MockRefusal(400, f"n is at most {MAX_CHOICES}.", param="n")
    reasoning = _reasoning(messages) if reasons else ""
    name = str(tool["name"]) if tool is not None else None
    choice = _limited(_tokens(reasoning), _tokens(text), name, _token_limit(body))
    return MockAnswer(
        id=answer_id,
        created=created,
        model=str(body["model"]),
        choices=(choice,) * choices,
        prompt_tokens=_prompt_tokens(messages, body.get("tools")),
    )


def _message(choice: MockChoice, answer_id: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.call is not None:
        message["content"] = None
        message["tool_calls"] = [_tool_call(choice.call, choice.text, answer_id)]
    return message


def _deltas(choice: MockChoice, answer_id: str) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if choice.call is None else None}
    for token in choice.reasoning:
        yield {"reasoning_content": token}
    if choice.call is None:
        for token in choice.content:
            yield {"content": token}
        return
    yield {"tool_calls": [{"index": 0, **_tool_call(choice.call, "", answer_id)}]}
    for token in choice.content:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": token}}]}


def _tool_call(name: str, arguments: str, answer_id: str) -> dict[str, Any]:
    call_id = f"call_{answer_id.rpartition('-')[2]}"
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# -- reading the request ----------------------------------------------------------------------------------


def _read_messages(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise MockRefusal(400, "messages must be a list of at least one message.", param="messages")
    for at, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            known = ", ".join(sorted(_ROLES))
            raise MockRefusal(400, f"The role is none of {known}.", param=f"messages[{at}].role")
    return messages


def _whole_number(body: Mapping[str, Any], key: str, default: int) -> int:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise MockRefusal(400, f"{key} must be a whole number above zero.", param=key)
    return value


def _token_limit(body: Mapping[str, Any]) -> int:
    default = _whole_number(body, "max_tokens", 4096)
    return _whole_number(body, "max_completion_tokens", default)


def _tool_to_call(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The forced function, else the first one; none once its result is there, or where none is wanted."""
    tools = body.get("tools")
    functions: list[Mapping[str, Any]] = [
        tool["function"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping)
    ]
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        wanted = choice.get("function")
        name = wanted.get("name") if isinstance(wanted, Mapping) else None
        forced = next((one for one in functions if one.get("name") == name), None)
        if forced is None:
            raise MockRefusal(400, f"There is no tool {name!r}.", param="tool_choice")
        return forced
    if not functions or choice == "none":
        return None
    if choice != "required" and messages[-1].get("role") == "tool":
        return None
    if not isinstance(functions[0].get("name"), str):
        raise MockRefusal(400, "A function needs a name.", param="tools[0].function.name")
    return functions[0]


# -- making the answer ------------------------------------------------------------------------------------


def _text(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], *, echoes: bool) -> str:
    text = _plain_text(str(body["model"]), messages, echoes=echoes)
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if isinstance(wanted, Mapping) and kind == "json_schema":
        described = wanted.get("json_schema")
        schema = described.get("schema") if isinstance(described, Mapping) else None
        return _made_up(schema if schema is not None else {}, "response_format.json_schema.schema")
    return json.dumps({"answer": text}, ensure_ascii=False) if kind == "json_object" else text


def _plain_text(model: str, messages: Sequence[Mapping[str, Any]], *, echoes: bool) -> str:
    last = messages[-1]
    said = text_of(last.get("content"))
    if last.get("role") == "tool":
        return f"The tool answered: {said}"
    seen = _seen(last.get("content"))
    if echoes:
        return " ".join(filter(None, (said, seen)))
    question = said if len(said) <= 200 else said[:199] + "…"
    answer = f"This is {model}, a mock: no model runs behind it. You wrote: “{question}”"
    return f"{answer} {seen}" if seen else answer


def _reasoning(messages: Sequence[Mapping[str, Any]]) -> str:
    words = len(text_of(messages[-1].get("content")).split())
    return f"The last message has {words} words, of {len(messages)} messages in all. A short answer will do."


def _made_up(schema: Any, param: str) -> str:
    try:
        return json.dumps(sample(schema), ensure_ascii=False)
    except SampleError as error:
        raise MockRefusal(400, f"The schema can't be satisfied: {error}.", param=param) from error


def _stopped(text: str, body: Mapping[str, Any]) -> str:
    stop = body.get("stop")
    words = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    places = [text.find(word) for word in words if isinstance(word, str) and word]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def _limited(
    reasoning: tuple[str, ...], content: tuple[str, ...], call: str | None, limit: int
) -> MockChoice:
    """Within the limit of tokens, reasoning first."""
    if len(reasoning) + len(content) <= limit:
        return MockChoice(reasoning, content, call, "stop" if call is None else "tool_calls")
    left = max(0, limit - len(reasoning))
    return MockChoice(reasoning[:limit], content[:left], call if left else None, "length")


def _tokens(text: str) -> tuple[str, ...]:
    """Pieces of up to eight letters, with the space before them; together they are the text."""
    return tuple(_TOKEN.findall(text))


def _prompt_tokens(messages: Sequence[Mapping[str, Any]], tools: Any) -> int:
    total = len(_tokens(json.dumps(tools))) if tools else 0
    for message in messages:
        content = message.get("content")
        images = sum(_kind(part) == "image_url" for part in content) if isinstance(content, list) else 0
        total += MESSAGE_TOKENS + len(_tokens(text_of(content))) + IMAGE_TOKENS * images
    return total


def _kind(part: Any) -> str:
    return str(part.get("type")) if isinstance(part, Mapping) else ""


def _seen(content: Any) -> str:
    """What came beside text: `I see an image (image/png, 68 bytes).`"""
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    seen = [_described(part) for part in parts if part.get("type") not in ("text", None)]
    return f"I see {', '.join(seen)}." if seen else ""


def _described(part: Mapping[str, Any]) -> str:
    if part.get("type") != "image_url":
        return f"a part of type {part.get('type')}"
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or not url.startswith(("data:", "https://", "http://")):
        raise MockRefusal(400, "An image is a data: or an http(s) URL.", param="messages")
    if not url.startswith("data:"):
        return f"an image (at {urlsplit(url).hostname})"
    kind, _, data = url.removeprefix("data:").partition(",")
    try:
        size = len(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise MockRefusal(400, "The image's base64 can't be decoded.", param="messages") from None
    return f"an image ({kind.partition(';')[0] or 'of unknown type'}, {size} bytes)"
