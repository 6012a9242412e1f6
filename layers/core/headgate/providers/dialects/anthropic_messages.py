"""Anthropic's messages as a dialect: handed through, and translated from and to conversations.

https://docs.claude.com/en/api/messages and …/messages-streaming (2026-11-20).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from headgate.domain.answers import Answer, AnswerBuilder, AnswerEvent
from headgate.domain.conversation import Conversation
from headgate.providers.base import ChatAnswer, ChatCall, ChatStreamReader
from headgate.providers.dialects import (
    anthropic_answers,
    anthropic_body,
    anthropic_events,
    anthropic_request,
    openai_answers,
)
from headgate.providers.dialects.anthropic_stream import AnthropicStreamReader
from headgate.providers.dialects.anthropic_thoughts import without_foreign
from headgate.providers.dialects.anthropic_usage import read_usage
from headgate.providers.dialects.base import (
    ANTHROPIC_MESSAGES,
    AnswerContext,
    BackDialect,
    EventReader,
    EventWriter,
    FrontDialect,
)
from headgate.providers.dialects.carrying import drop, drop_output
from headgate.providers.dialects.speaking import outcome_of


class AnthropicMessages(FrontDialect, BackDialect):
    """Messages, on both sides.

    path: below the provider's base URL; Anthropic's own is without `/v1`, those of others may be with it.
    """

    name = ANTHROPIC_MESSAGES

    def __init__(self, path: str = "/v1/messages") -> None:
        self._path = path

    def path(self, call: ChatCall) -> str:
        del call
        return self._path

    # -- handed through -----------------------------------------------------------------------------------

    def hand_request(self, call: ChatCall) -> dict[str, Any]:
        """The caller's body with the provider's own model id; unknown fields stay.

        Thoughts that another provider had in an earlier turn, which this one would refuse, are left out and
        named.
        """
        body = dict(call.body)
        body["model"] = call.model
        if call.stream or "stream" in body:
            body["stream"] = call.stream
        if "messages" in body:
            body["messages"] = without_foreign(body["messages"])
            if body["messages"] is not call.body["messages"]:
                drop(call, "messages[].reasoning")
        return body

    def hand_answer(self, body: bytes, context: AnswerContext) -> ChatAnswer:
        """The body as it came, but for `usage.cost`, which is added where it is known and not there yet."""
        body = openai_answers.trim(body)
        message = anthropic_events.read_message(body, context)
        usage, reported = None, message.get("usage")
        if isinstance(reported, Mapping):
            usage = context.usage_of(openai_answers.exact_usage(body, reported), read_usage)
            cost_usd = context.price(usage) if reported.get("cost") is None else None
            if cost_usd is not None:
                body = openai_answers.add_cost(body, reported, cost_usd)
        builder = AnswerBuilder()
        for event in anthropic_events.message_events(message, usage):
            builder.add(event)
        return ChatAnswer(body=body, outcome=outcome_of(builder.answer))

    def hand_stream(self, context: AnswerContext) -> ChatStreamReader:
        """See AnthropicStreamReader for what is handed on and how."""
        return AnthropicStreamReader(context)

    # -- translated ---------------------------------------------------------------------------------------

    def read_request(self, body: Mapping[str, Any]) -> Conversation:
        return anthropic_request.read_request(body)

    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        return anthropic_body.write_request(conversation, call)

    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        body = openai_answers.trim(body)
        message = anthropic_events.read_message(body, context)
        reported, usage = message.get("usage"), None
        if isinstance(reported, Mapping):
            usage = context.usage_of(openai_answers.exact_usage(body, reported), read_usage)
        return anthropic_events.message_events(message, usage, partial(drop_output, context.call))

    def read_stream(self, context: AnswerContext) -> EventReader:
        return anthropic_events.MessageReader(context)

    def write_answer(self, answer: Answer, context: AnswerContext) -> bytes:
        return anthropic_answers.write_answer(answer, context)

    def stream_writer(self, context: AnswerContext) -> EventWriter:
        return anthropic_answers.MessageWriter(context)
