"""OpenAI's chat completions as a dialect: handed through, and translated from and to conversations.

https://platform.openai.com/docs/api-reference/chat (2026-11-20).
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Answer, AnswerEvent, Conversation
from headgate.providers.base import ChatAnswer, ChatCall, ChatStreamReader
from headgate.providers.dialects import openai_answers
from headgate.providers.dialects.base import (
    OPENAI_CHAT,
    AnswerContext,
    BackDialect,
    EventReader,
    EventWriter,
    FrontDialect,
)
from headgate.providers.dialects.openai_stream import OpenAIStreamReader, StreamRules


class OpenAIChat(FrontDialect, BackDialect):
    """Chat completions, on both sides."""

    name = OPENAI_CHAT

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
        if answer.get("error"):
            raise context.judge(answer)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not all(isinstance(c, dict) for c in choices):
            raise openai_answers.malformed("has no choices")
        for choice in choices:
            if choice.get("error") or choice.get("finish_reason") == "error":
                raise context.judge(choice)
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
        raise NotImplementedError

    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        raise NotImplementedError

    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        raise NotImplementedError

    def read_stream(self, context: AnswerContext) -> EventReader:
        raise NotImplementedError

    def write_answer(self, answer: Answer, context: AnswerContext) -> bytes:
        raise NotImplementedError

    def stream_writer(self, context: AnswerContext) -> EventWriter:
        raise NotImplementedError
