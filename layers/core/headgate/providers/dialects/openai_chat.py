"""OpenAI's chat completions as a dialect: handed through, and translated from and to conversations.

https://platform.openai.com/docs/api-reference/chat (2026-11-20).
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.answers import Answer, AnswerEvent
from headgate.domain.conversation import Conversation
from headgate.providers.base import ChatAnswer, ChatCall, ChatStreamReader
from headgate.providers.dialects import (
    openai_answers,
    openai_chat_answers,
    openai_chat_body,
    openai_chat_events,
    openai_chat_request,
)
from headgate.providers.dialects.base import (
    OPENAI_CHAT,
    AnswerContext,
    BackDialect,
    EventReader,
    EventWriter,
    FrontDialect,
)
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.openai_stream import OpenAIStreamReader, StreamRules


class OpenAIChat(FrontDialect, BackDialect):
    """Chat completions, on both sides. traits: how the server at the back differs from the plainest one."""

    name = OPENAI_CHAT

    def __init__(self, traits: ChatTraits | None = None) -> None:
        self.traits = traits or ChatTraits()

    def path(self, call: ChatCall) -> str:
        del call
        return "/chat/completions"

    # -- handed through -----------------------------------------------------------------------------------

    def hand_request(self, call: ChatCall) -> dict[str, Any]:
        """The caller's body with the provider's own model id; unknown fields stay."""
        body = dict(call.body)
        body["model"] = call.model
        if call.stream or "stream" in body:
            body["stream"] = call.stream
        if call.stream:
            options = body.get("stream_options")
            others = options if isinstance(options, Mapping) else {}
            body["stream_options"] = {**others, "include_usage": True}
        return body

    def hand_answer(self, body: bytes, context: AnswerContext) -> ChatAnswer:
        """The body as it came, but for `usage.cost`, which is added where it is known and not there yet."""
        body = openai_answers.trim(body)
        answer = openai_answers.read_answer(body)
        choices = openai_chat_events.choices_of(answer, context)
        usage, reported = None, answer.get("usage")
        if isinstance(reported, Mapping):
            usage = context.usage_of(openai_answers.exact_usage(body, reported), openai_answers.read_usage)
            cost_usd = context.price(usage) if reported.get("cost") is None else None
            if cost_usd is not None:
                body = openai_answers.add_cost(body, reported, cost_usd)
        return ChatAnswer(body=body, outcome=openai_answers.read_outcome(choices[0], usage))

    def hand_stream(self, context: AnswerContext) -> ChatStreamReader:
        """See OpenAIStreamReader for what is handed on and how."""
        return OpenAIStreamReader(
            StreamRules(
                price=context.price,
                judge=context.judge,
                read_usage=lambda usage: context.usage_of(usage, openai_answers.read_usage),
                include_usage=context.call.include_usage,
            )
        )

    # -- translated ---------------------------------------------------------------------------------------

    def read_request(self, body: Mapping[str, Any]) -> Conversation:
        return openai_chat_request.read_request(body)

    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        return openai_chat_body.write_request(conversation, call, self.traits)

    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        return openai_chat_events.read_answer(body, context)

    def read_stream(self, context: AnswerContext) -> EventReader:
        return openai_chat_events.ChunkReader(context)

    def write_answer(self, answer: Answer, context: AnswerContext) -> bytes:
        return openai_chat_answers.write_answer(answer, context)

    def stream_writer(self, context: AnswerContext) -> EventWriter:
        return openai_chat_answers.ChunkWriter(context)
