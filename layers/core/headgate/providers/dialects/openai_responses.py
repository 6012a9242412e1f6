"""OpenAI's Responses as a dialect: handed through, and translated from and to conversations.

https://platform.openai.com/docs/api-reference/responses (2026-11-20).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from headgate.domain.answers import Answer, AnswerBuilder, AnswerEvent
from headgate.domain.conversation import Conversation
from headgate.providers.base import ChatAnswer, ChatCall, ChatStreamReader
from headgate.providers.dialects import openai_answers
from headgate.providers.dialects.base import (
    OPENAI_RESPONSES,
    AnswerContext,
    BackDialect,
    EventReader,
    EventWriter,
    FrontDialect,
)
from headgate.providers.dialects.carrying import drop, drop_output
from headgate.providers.dialects.openai_responses_answers import failure_in, price_of
from headgate.providers.dialects.openai_responses_body import write_request
from headgate.providers.dialects.openai_responses_reading import ResponseEvents
from headgate.providers.dialects.openai_responses_request import read_request
from headgate.providers.dialects.openai_responses_sealed import is_foreign
from headgate.providers.dialects.openai_responses_stream import (
    ResponsesEventReader,
    ResponsesStreamReader,
    well_formed_outcome,
)
from headgate.providers.dialects.openai_responses_writer import ResponsesWriter, write_answer
from headgate.providers.dialects.speaking import outcome_of


class OpenAIResponses(FrontDialect, BackDialect):
    """Responses, on both sides."""

    name = OPENAI_RESPONSES

    def path(self, call: ChatCall) -> str:
        del call
        return "/responses"

    # -- handed through -----------------------------------------------------------------------------------

    def hand_request(self, call: ChatCall) -> dict[str, Any]:
        """The caller's body with the provider's own model id; unknown fields stay.

        Thoughts that another dialect's provider had in an earlier turn are left out: the provider would look
        for them among its own, and refuse the request.
        """
        body = dict(call.body)
        body["model"] = call.model
        if call.stream or "stream" in body:
            body["stream"] = call.stream
        told = body.get("input")
        if isinstance(told, list) and any(is_foreign(item) for item in told):
            body["input"] = [item for item in told if not is_foreign(item)]
            drop(call, "input[].encrypted_content")
        return body

    def hand_answer(self, body: bytes, context: AnswerContext) -> ChatAnswer:
        """The body as it came, but for `usage.cost`, which is added where it is known and not there yet."""
        body, response = _read(body, context)
        builder = AnswerBuilder()
        for event in ResponseEvents(context).read_whole(response, body):
            builder.add(event)
        usage = response.get("usage")
        cost_usd = price_of(usage, body, context) if isinstance(usage, Mapping) else None
        if cost_usd is not None:
            body = openai_answers.add_cost(body, usage or {}, cost_usd)
        return ChatAnswer(body=body, outcome=well_formed_outcome(outcome_of(builder.answer)))

    def hand_stream(self, context: AnswerContext) -> ChatStreamReader:
        """See ResponsesStreamReader for what is handed on and how."""
        return ResponsesStreamReader(context)

    # -- translated: as a client speaks it ----------------------------------------------------------------

    def read_request(self, body: Mapping[str, Any]) -> Conversation:
        """Raises InvalidRequest naming each field that is wrong, else CannotCarry naming each tool and item
        that only Responses know."""
        return read_request(body)

    def write_answer(self, answer: Answer, context: AnswerContext) -> bytes:
        """A Response with everything that was asked for repeated in it."""
        return write_answer(answer, context)

    def stream_writer(self, context: AnswerContext) -> EventWriter:
        return ResponsesWriter(context)

    # -- translated: as a provider speaks it --------------------------------------------------------------

    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        """Raises CannotCarry for what Responses have no field for."""
        return write_request(conversation, call)

    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        body, response = _read(body, context)
        events = ResponseEvents(context, partial(drop_output, context.call))
        return events.read_whole(response, body)

    def read_stream(self, context: AnswerContext) -> EventReader:
        return ResponsesEventReader(context)


def _read(body: bytes, context: AnswerContext) -> tuple[bytes, dict[str, Any]]:
    """A whole answer's bytes and value. Raises what an error in it means, or ProviderFailed."""
    body = openai_answers.trim(body)
    response = openai_answers.read_answer(body)
    failure = failure_in(response)
    if failure is not None:
        raise context.judge(failure)
    output = response.get("output")
    if not isinstance(output, list):
        raise openai_answers.malformed("has no output")
    return body, response
