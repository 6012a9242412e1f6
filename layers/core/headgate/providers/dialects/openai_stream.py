"""Streams of OpenAI's dialect: each event handed on as it came, but for the usage at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.base import ChatOutcome, ChatStreamReader, PriceUsage, StreamEvent
from headgate.providers.dialects.openai_answers import (
    AnswerError,
    add_cost,
    exact_usage,
    malformed,
    read_json,
    read_json_exact,
    text_of,
    well_formed,
    write_json,
)
from headgate.providers.dialects.sse import SseEvent, SseOverflow, SseParser

TERMINATOR = b"data: [DONE]\n\n"

JudgeInside = Callable[[Any], HeadgateError]
"""What an error inside a 200 means; takes the JSON value that holds or is the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """How one provider's stream is read. include_usage: the caller asked for a usage chunk of its own."""

    price: PriceUsage
    judge: JudgeInside
    read_usage: Callable[[Mapping[str, Any]], Usage]
    include_usage: bool


@dataclass(slots=True)
class _Held:
    """A chunk kept back until the event after it: its bytes as framed, its JSON, and its value."""

    raw: bytes
    data: bytes
    chunk: dict[str, Any]
    content: bool


class OpenAIStreamReader(ChatStreamReader):
    """Hands on every provider event byte for byte, with these exceptions.

    - Comments are dropped: the gateway sends its own pings.
    - The last usage gains `cost`. To know the last, a chunk with usage is kept back, once the answer has
      finished, until the next event. Earlier (Requesty counts up on every chunk) it passes as it is.
    - Where the caller did not ask for usage, no chunk has empty `choices`: a chunk with a finish reason is
      kept back, and what a chunk without choices says (usage, but also OpenAI's moderation or Azure's filter
      results) is added to it. Without a finish chunk at hand it is given one choice with an empty delta.

    After `[DONE]` nothing is read. One chunk before it is the least that counts as an answer.
    """

    def __init__(self, rules: StreamRules) -> None:
        self._rules = rules
        self._sse = SseParser()
        self._answer = AnswerText()
        self._usage: tuple[bytes, Mapping[str, Any]] | None = None
        self._held: _Held | None = None
        self._content = False
        self._done = False
        self._failed = False

    @property
    def finished(self) -> bool:
        """Whether `[DONE]` was read, or an error: there is no need to wait for the end of the body."""
        return self._done or self._failed

    @property
    def outcome(self) -> ChatOutcome:
        usage = None
        if self._usage is not None:
            usage = self._rules.read_usage(exact_usage(*self._usage))
        return self._answer.outcome(usage)

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._done or self._failed:
            return []
        try:
            return self._read(self._sse.feed(data))
        except SseOverflow:
            return self._fail(malformed("has an event that is too large"))

    def end(self) -> list[StreamEvent]:
        if self._failed:
            return []
        try:
            events = [] if self._done else self._read(self._sse.end())
        except SseOverflow:
            return self._fail(malformed("has an event that is too large"))
        if self._failed:
            return events
        if not (self._done or self._answer.finished):
            return events + self._fail(malformed("was cut off before its end"))
        if not self._answer.chunks:
            return events + self._fail(malformed("is empty"))
        self._done = True
        return [*events, *self._release(), StreamEvent(data=TERMINATOR)]

    # -- events -------------------------------------------------------------------------------------------

    def _read(self, sse_events: list[SseEvent]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for sse in sse_events:
            if sse.data == b"[DONE]" or sse.data.strip() == b"[DONE]":
                events += self._release()
                self._done = True
                break
            try:
                chunk = read_json(sse.data)
            except AnswerError:
                chunk = None
            error = self._error_in(sse, chunk)
            if error is not None:
                events += self._fail(error)
                break
            events += self._chunk(sse, chunk)
        return events

    def _error_in(self, sse: SseEvent, chunk: Any) -> HeadgateError | None:
        if sse.bare:
            return self._judge_bare(chunk if chunk is not None else _read_first_line(sse.data))
        if sse.name == "error":
            return self._judge(chunk if chunk is not None else sse.data.decode("utf-8", "replace"))
        if not isinstance(chunk, dict):
            return malformed("has an event that is not a JSON object")
        failed = chunk if chunk.get("error") else _failed_choice(chunk)
        if failed is None:
            return None
        self._note_usage(sse, chunk)
        return self._judge(failed)

    def _judge_bare(self, value: Any) -> HeadgateError:
        """JSON in place of an event: an error as a rule, or a whole answer where a stream was asked for."""
        if isinstance(value, dict) and value.get("choices") and not value.get("error"):
            return malformed("is whole, though a stream was asked for")
        return self._judge(value) if value else malformed("is not a stream of events")

    def _judge(self, value: Any) -> HeadgateError:
        error = self._rules.judge(value)
        error.may_have_run = error.may_have_run or self._content
        return error

    def _fail(self, error: HeadgateError) -> list[StreamEvent]:
        released = self._release()
        self._failed = True
        return [*released, StreamEvent(error=error)]

    def _chunk(self, sse: SseEvent, chunk: dict[str, Any]) -> list[StreamEvent]:
        has_usage = self._note_usage(sse, chunk)
        choices = chunk.get("choices")
        if not choices and ("choices" in chunk or has_usage):
            return self._chunk_without_choices(sse, chunk, has_usage=has_usage)
        content, finishes = self._answer.read(choices)
        self._content = self._content or content
        events = self._release(usage_follows=has_usage)
        if (has_usage and self._answer.any_finished) or (finishes and not self._rules.include_usage):
            self._held = _Held(sse.raw, sse.data, chunk, content)
        else:
            events.append(StreamEvent(data=sse.raw, content=content))
        return events

    def _chunk_without_choices(
        self, sse: SseEvent, chunk: dict[str, Any], *, has_usage: bool
    ) -> list[StreamEvent]:
        if self._rules.include_usage:
            events = self._release(usage_follows=has_usage)
            if has_usage:
                self._held = _Held(sse.raw, sse.data, chunk, content=False)
            else:
                events.append(StreamEvent(data=sse.raw))
            return events
        held, addition = self._held, read_json_exact(sse.data)
        if held is not None:
            merged = read_json_exact(held.data)
            merged |= {key: value for key, value in addition.items() if merged.get(key) is None}
            if has_usage:
                merged["usage"] = addition["usage"]
            self._held = _reframed(merged, content=held.content)
            return []
        addition["choices"] = [{"index": 0, "delta": {}, "finish_reason": self._answer.finish_reason}]
        self._held = _reframed(addition, content=False)
        return [] if has_usage else self._release()

    def _note_usage(self, sse: SseEvent, chunk: Mapping[str, Any]) -> bool:
        usage = chunk.get("usage")
        if not isinstance(usage, Mapping):
            return False
        self._usage = (sse.data, usage)
        return True

    def _release(self, *, usage_follows: bool = False) -> list[StreamEvent]:
        """What was kept back, with its cost unless a later usage replaces it."""
        held, self._held = self._held, None
        if held is None:
            return []
        usage = held.chunk.get("usage")
        raw = held.raw
        if isinstance(usage, Mapping) and usage.get("cost") is None and not usage_follows:
            cost_usd = self._rules.price(self._rules.read_usage(usage))
            if cost_usd is not None:
                raw = _framed(add_cost(held.data, usage, cost_usd))
        return [StreamEvent(data=raw, content=held.content)]


class AnswerText:
    """What the chunks add up to: the first choice's text and tool calls, and who has finished."""

    def __init__(self) -> None:
        self.chunks = 0
        self.finish_reason: str | None = None
        self._text: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._call_of: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._closed: set[int] = set()

    @property
    def any_finished(self) -> bool:
        return bool(self._closed)

    @property
    def finished(self) -> bool:
        """Whether every choice that began has its finish reason."""
        return bool(self._closed) and not self._open

    def read(self, choices: Any) -> tuple[bool, bool]:
        """Takes a chunk's choices in. Returns whether they carry content, and whether one finishes."""
        content = finishes = False
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            self.chunks += 1
            index = _integer(choice.get("index")) or 0
            delta = choice.get("delta")
            if isinstance(delta, dict):
                content = self._read_delta(delta, first=index == 0) or content
            reason = choice.get("finish_reason")
            if reason:
                finishes = True
                self._closed.add(index)
                self._open.discard(index)
                if index == 0 or self.finish_reason is None:
                    self.finish_reason = str(reason)
            elif index not in self._closed:
                self._open.add(index)
        return content, finishes

    def outcome(self, usage: Usage | None) -> ChatOutcome:
        outcome = ChatOutcome(
            text=well_formed("".join(self._text)), finish_reason=self.finish_reason, usage=usage
        )
        calls = tuple(_joined_call(call) for call in self._calls)
        return replace(outcome, tool_calls=calls) if calls else outcome

    def _read_delta(self, delta: dict[str, Any], *, first: bool) -> bool:
        content = False
        for key, value in delta.items():
            if not value or key == "role":
                continue
            content = True
            if not first:
                continue
            if key == "content":
                self._text.append(text_of(value))
            elif key == "tool_calls" and isinstance(value, list):
                for part in value:
                    self._read_call(part)
            elif key == "function_call" and isinstance(value, dict):
                self._read_call({"index": 0, "function": value})
        return content

    def _read_call(self, part: Any) -> None:
        """Adds a piece to its call: by index; by id where a server numbers every call 0, or none."""
        if not isinstance(part, dict):
            return
        index, call_id = _integer(part.get("index")), part.get("id")
        if index is not None:
            call = self._call_of.get(index)
        else:
            call = self._calls[-1] if self._calls and not call_id else None
        if call is None or (call_id and call.get("id", call_id) != call_id):
            call = {"function": {"name": "", "arguments": []}}
            self._calls.append(call)
            if index is not None:
                self._call_of[index] = call
        for key, value in part.items():
            if key not in ("index", "function") and value and key not in call:
                call[key] = value
        function = part.get("function")
        if isinstance(function, dict):
            name, arguments = function.get("name"), function.get("arguments")
            if isinstance(name, str) and not call["function"]["name"]:
                call["function"]["name"] = name
            if isinstance(arguments, str):
                call["function"]["arguments"].append(arguments)


def _joined_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    rest = {key: value for key, value in call.items() if key != "function"}
    arguments = well_formed("".join(function["arguments"]))
    return {"type": "function", **rest, "function": {"name": function["name"], "arguments": arguments}}


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _failed_choice(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The choice that failed, as OpenRouter reports it: https://openrouter.ai/docs/api-reference/errors."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (choice.get("error") or choice.get("finish_reason") == "error"):
            return choice
    return None


def _reframed(chunk: dict[str, Any], *, content: bool) -> _Held:
    data = write_json(chunk)
    return _Held(_framed(data), data, chunk, content)


def _framed(data: bytes) -> bytes:
    """One event of one line; line breaks between tokens, the only ones JSON can hold, become spaces."""
    return b"data: " + data.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\n"


def _read_first_line(body: bytes) -> Any:
    line = body.strip().split(b"\n", 1)[0]
    try:
        return read_json(line)
    except AnswerError:
        return None
