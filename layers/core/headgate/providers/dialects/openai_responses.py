"""OpenAI's Responses as a dialect: handed through, and translated from and to conversations.

https://platform.openai.com/docs/api-reference/responses (2026-11-20).
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Answer, AnswerEvent, Conversation
from headgate.providers.base import ChatAnswer, ChatCall, ChatStreamReader
from headgate.providers.dialects.base import (
    OPENAI_RESPONSES,
    AnswerContext,
    BackDialect,
    EventReader,
    EventWriter,
    FrontDialect,
)


class OpenAIResponses(FrontDialect, BackDialect):
    """Responses, on both sides."""

    name = OPENAI_RESPONSES

    def path(self, call: ChatCall) -> str:
        del call
        return "/responses"

    def hand_request(self, call: ChatCall) -> dict[str, Any]:
        """The caller's body with the provider's own model id; unknown fields stay."""
        body = dict(call.body)
        body["model"] = call.model
        if call.stream or "stream" in body:
            body["stream"] = call.stream
        return body

    def hand_answer(self, body: bytes, context: AnswerContext) -> ChatAnswer:
        raise NotImplementedError

    def hand_stream(self, context: AnswerContext) -> ChatStreamReader:
        raise NotImplementedError

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
