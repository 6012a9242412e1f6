"""A provider that speaks one or more dialects: what comes in one of them is handed through."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from headgate.domain.answers import Answer, AnswerBuilder, Failed, FinishReason, is_content
from headgate.domain.errors import HeadgateError, ProviderFailed
from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatOutcome,
    ChatStreamReader,
    PriceUsage,
    Provider,
    ProviderConfig,
    StreamEvent,
)
from headgate.providers.dialects.base import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    AnswerContext,
    BackDialect,
    EventReader,
    EventWriter,
    FrontDialect,
)
from headgate.providers.dialects.in_turn import InTurn
from headgate.providers.dialects.openai_answers import AnswerError, read_json, trim, well_formed, write_json

GATEWAY_FIELDS = frozenset({"models", "provider", "routing", "cache"})
"""Fields of a request that Headgate itself consumes; no provider gets them unless it says so."""

_FRONTS = {
    OPENAI_CHAT: ("openai_chat", "OpenAIChat"),
    OPENAI_RESPONSES: ("openai_responses", "OpenAIResponses"),
    ANTHROPIC_MESSAGES: ("anthropic_messages", "AnthropicMessages"),
}


@cache
def front_of(name: str) -> FrontDialect:
    """The front of that name; its module is imported when it is first asked for."""
    module, cls = _FRONTS[name]
    front: FrontDialect = getattr(import_module(f"headgate.providers.dialects.{module}"), cls)()
    return front


class DialectProvider(Provider):
    """Implements chat on `backs`, the dialects its server speaks; the first is translated into.

    What differs from server to server is left to the hooks: `adjust_chat_body`, `read_usage`, `judge_inside`,
    `hands_through`, `chat_headers`.
    gateway_fields: top-level request fields that are not sent on; a provider which understands one of them
    takes it out of the set.
    """

    backs: ClassVar[tuple[BackDialect, ...]]
    gateway_fields: ClassVar[frozenset[str]] = GATEWAY_FIELDS

    def adjust_chat_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as this vendor wants it, last thing before it is sent. `body` may be changed in place."""
        return body

    def hands_through(self, call: ChatCall) -> bool:
        """Whether a call is handed to the server's further dialect in which it came; else it is translated.

        No for what the server would leave out in silence: translation refuses or names it. Asked again when
        the answer is read, so it must go by the call alone.
        """
        del call
        return True

    def chat_headers(self, config: ProviderConfig, back: BackDialect) -> dict[str, str | Secret]:
        """What goes with a request in that dialect, the key as its path takes it."""
        del back
        return self.headers(config)

    def read_usage(self, usage: Mapping[str, Any]) -> Usage | None:
        """The vendor's usage object in our convention; None leaves it to the dialect.

        Not asked where messages are a further dialect: Anthropic's usage is the same with everyone.
        """
        del usage
        return None

    @abstractmethod
    def judge_inside(self, value: Any) -> HeadgateError:
        """What an error inside a 200 means; `value` holds or is the error."""

    def chat_url(self, config: ProviderConfig, path: str) -> str:
        return f"{self.base_url(config)}{path}"

    def _get(self, path: str, config: ProviderConfig) -> WireRequest:
        """A free request, which may be sent again."""
        return WireRequest(
            method="GET",
            url=f"{self.base_url(config)}{path}",
            headers=self.headers(config),
            idempotent=True,
            guarded=config.guarded,
        )

    def _no_list(self) -> ProviderFailed:
        return ProviderFailed(
            f"{self.spec.name} answered with something that is no list of models.",
            code="provider_protocol",
            provider=self.spec.slug,
        )

    def parse_key_check(self, body: bytes) -> None:
        """Raises what an error inside the 200 means."""
        try:
            value = read_json(trim(body))
        except AnswerError:
            return
        if isinstance(value, dict) and value.get("error"):
            raise self.judge_inside(value)

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        """Raises CannotCarry for what this provider's dialect can't say, InvalidRequest for what is wrong."""
        back = self._back(call)
        own = {key: value for key, value in call.body.items() if key not in self.gateway_fields}
        headers = self.chat_headers(config, back)
        headers["content-type"] = "application/json"
        if back.name == call.dialect:
            body = back.hand_request(replace(call, body=own))
            headers |= call.headers
        else:
            body = back.write_request(front_of(call.dialect).read_request(own), call)
        if not self.spec.sends_stream_options:
            body.pop("stream_options", None)
        if call.stream:
            headers["accept"] = back.stream_type
        return WireRequest(
            method="POST",
            url=self.chat_url(config, back.path(call)),
            headers=headers,
            body=write_json(self.adjust_chat_body(body)),
            guarded=config.guarded,
        )

    def parse_chat(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        back, context = self._back(call), self._context(call, price)
        if back.name == call.dialect:
            return back.hand_answer(body, context)
        builder = AnswerBuilder()
        for event in back.read_answer(body, context):
            if isinstance(event, Failed):
                raise event.error
            builder.add(event)
        answer = builder.answer
        written = front_of(call.dialect).write_answer(answer, context)
        return ChatAnswer(body=written, outcome=outcome_of(answer))

    def read_chat_stream(self, call: ChatCall, price: PriceUsage) -> ChatStreamReader:
        back, context = self._back(call), self._context(call, price)
        if back.name == call.dialect:
            return back.hand_stream(context)
        return TranslatedStream(back.read_stream(context), front_of(call.dialect).stream_writer(context))

    def backs_for(self, model: str) -> tuple[BackDialect, ...]:
        """The dialects in which this one model answers, the first of them translated into."""
        del model
        return self.backs

    def _back(self, call: ChatCall) -> BackDialect:
        first, *further = self.backs_for(call.model)
        same = next((back for back in further if back.name == call.dialect), None)
        return same if same is not None and self.hands_through(call) else first

    def _context(self, call: ChatCall, price: PriceUsage) -> AnswerContext:
        further = self._back(call) is not self.backs_for(call.model)[0]
        usual = further and call.dialect == ANTHROPIC_MESSAGES
        read = None if usual else self.read_usage
        return AnswerContext(call=call, price=price, judge=self.judge_inside, read_usage=read)


class TranslatedStream(ChatStreamReader):
    """A provider's events, read in its dialect and written in the client's."""

    def __init__(self, reader: EventReader, writer: EventWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turns = InTurn()
        self._builder = AnswerBuilder()
        self._failed = False

    @property
    def finished(self) -> bool:
        return self._failed or self._reader.finished

    @property
    def outcome(self) -> ChatOutcome:
        return outcome_of(self._builder.answer)

    def feed(self, data: bytes) -> list[StreamEvent]:
        return [] if self._failed else self._written(self._turns.order(self._reader.feed(data)))

    def end(self) -> list[StreamEvent]:
        if self._failed:
            return []
        events = self._written([*self._turns.order(self._reader.end()), *self._turns.end()])
        if not self._failed:
            events.append(StreamEvent(data=self._writer.end()))
        return events

    def _written(self, events: list[Any]) -> list[StreamEvent]:
        written = []
        for event in events:
            if isinstance(event, Failed):
                self._failed = True
                event.error.may_have_run = event.error.may_have_run or self._builder.has_content
                written.append(StreamEvent(error=event.error))
                break
            self._builder.add(event)
            written.append(StreamEvent(data=self._writer.feed(event), content=is_content(event)))
        return written


_OPENAI_REASONS = {
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.PAUSE: "stop",
}


def openai_reason(reason: FinishReason) -> str:
    """A finish reason in the words of chat completions, which the records keep."""
    return _OPENAI_REASONS.get(reason, reason.value)


def outcome_of(answer: Answer) -> ChatOutcome:
    """What is kept of an answer, whatever its dialect: tool calls as OpenAI's objects."""
    calls = tuple(
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.tool_calls
    )
    reason = openai_reason(answer.finish.reason) if answer.finish is not None else None
    text = well_formed(answer.text)
    return ChatOutcome(text=text, tool_calls=calls, finish_reason=reason, usage=answer.usage)
