"""Bedrock's Converse as a provider speaks it; no client of ours does, so all of it is translated.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11-20). Requests are
written by `bedrock_request`, answers read by `bedrock_answers`, where it is said what is left out.
"""

from typing import Any
from urllib.parse import quote

from headgate.domain.answers import AnswerEvent
from headgate.domain.conversation import Conversation
from headgate.domain.errors import NotFound
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import BEDROCK_CONVERSE, AnswerContext, BackDialect, EventReader
from headgate.providers.dialects.bedrock_answers import ConverseEventReader, read_whole
from headgate.providers.dialects.bedrock_request import write_body
from headgate.providers.dialects.openai_answers import AnswerError, malformed, read_json, trim


class BedrockConverse(BackDialect):
    """`Converse` and `ConverseStream`."""

    name = BEDROCK_CONVERSE
    stream_type = "application/vnd.amazon.eventstream"

    def path(self, call: ChatCall) -> str:
        """The id is one segment, whatever is in it, encoded as AWS's own SDKs do: the path is signed.

        Raises NotFound (`model_not_found`) for a name that would lead elsewhere.
        """
        if call.model in ("", ".", ".."):
            raise NotFound("No model has such a name.", code="model_not_found")
        operation = "converse-stream" if call.stream else "converse"
        return f"/model/{quote(call.model, safe='')}/{operation}"

    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        return write_body(conversation, call)

    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        try:
            value = read_json(trim(body))
        except AnswerError:
            raise malformed("is not JSON") from None
        return read_whole(value, context)

    def read_stream(self, context: AnswerContext) -> EventReader:
        return ConverseEventReader(context)
