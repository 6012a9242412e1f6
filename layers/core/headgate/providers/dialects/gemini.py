"""Gemini's `generateContent` as a provider speaks it; no client of ours does, so all of it is translated.

https://ai.google.dev/api/generate-content (2026-11-20). Requests are written by `gemini_request`, answers
read by `gemini_answers`, where it is said what is left out.
"""

from typing import Any
from urllib.parse import quote

from headgate.domain.answers import AnswerEvent, Failed
from headgate.domain.conversation import Conversation
from headgate.domain.errors import NotFound
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import GEMINI, AnswerContext, BackDialect, EventReader
from headgate.providers.dialects.gemini_answers import ChunkReader, GeminiEventReader
from headgate.providers.dialects.gemini_request import write_body
from headgate.providers.dialects.openai_answers import AnswerError, malformed, read_json, trim

_COLLECTIONS = ("models/", "tunedModels/")


def model_name(model: str) -> str:
    """A model's resource name: `models/gemini-2.5-flash`, `tunedModels/mine`."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def model_path(model: str, method: str) -> str:
    """`/models/<model>:<method>`, with nothing in the name that could lead elsewhere.

    Raises NotFound (`model_not_found`) for a name whose parts are empty or dots.
    """
    name = model_name(model)
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise NotFound("No model has such a name.", code="model_not_found")
    return f"/{quote(name, safe='/:@')}:{method}"


class GeminiGenerate(BackDialect):
    """`generateContent` and `streamGenerateContent`."""

    name = GEMINI

    def path(self, call: ChatCall) -> str:
        if call.stream:
            return model_path(call.model, "streamGenerateContent?alt=sse")
        return model_path(call.model, "generateContent")

    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        return write_body(conversation, call)

    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        """One chunk, or several where the answer came as a list of them."""
        try:
            value = read_json(trim(body))
        except AnswerError:
            raise malformed("is not JSON") from None
        reader = ChunkReader(context)
        chunks = value if isinstance(value, list) else [value]
        events = [event for chunk in chunks for event in reader.read(chunk)] + reader.end()
        if isinstance(events[-1], Failed):
            raise events[-1].error
        return events

    def read_stream(self, context: AnswerContext) -> EventReader:
        return GeminiEventReader(context)
