"""What is written is what the vendors' own SDKs take: by their types, and read by their clients."""

import json
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import ConfigDict, TypeAdapter, with_config

from tests.unit.providers.dialects.conversations import IN_CHAT, IN_MESSAGES, answers, conversations
from tests.unit.providers.dialects.translating import (
    CHAT,
    MESSAGES,
    NEWEST,
    added_up,
    call_of,
    context,
    events_of,
    written,
)

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MESSAGE_EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
MESSAGE_REQUESTS: TypeAdapter[Any] = TypeAdapter(
    with_config(ConfigDict(extra="forbid"))(MessageCreateParamsNonStreaming)
)
CHAT_REQUESTS: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsNonStreaming)


@QUICK
@given(data=st.data())
def test_a_request_to_anthropic_is_one_by_its_sdk(data: st.DataObject) -> None:
    body = MESSAGES.write_request(data.draw(conversations(IN_MESSAGES)), call_of(model=NEWEST))
    exhausted(MESSAGE_REQUESTS.validate_python(json.loads(json.dumps(body))))


@QUICK
@given(data=st.data())
def test_a_request_to_openai_is_one_by_its_sdk(data: st.DataObject) -> None:
    scope = replace(IN_MESSAGES, linked=False, file_ids="file-")
    body = CHAT.write_request(data.draw(conversations(scope)), call_of("anthropic-messages"))
    exhausted(CHAT_REQUESTS.validate_python(json.loads(json.dumps(body))))


@pytest.mark.parametrize("scope", [IN_CHAT, IN_MESSAGES], ids=["of chat", "of messages"])
@QUICK
@given(data=st.data())
def test_an_answer_is_one_by_both_sdks(scope: Any, data: st.DataObject) -> None:
    answer = added_up(data.draw(answers(scope)))
    message = AnthropicMessage.model_validate_json(MESSAGES.write_answer(answer, context()), strict=True)
    completion = ChatCompletion.model_validate_json(CHAT.write_answer(answer, context()), strict=True)
    assert message.type == "message"
    assert completion.object == "chat.completion"


@pytest.mark.parametrize("scope", [IN_CHAT, IN_MESSAGES], ids=["of chat", "of messages"])
@QUICK
@given(data=st.data(), asked=st.booleans())
def test_a_stream_is_one_by_both_sdks(scope: Any, data: st.DataObject, asked: bool) -> None:
    events = data.draw(answers(scope))
    within = context(call_of(stream=True, include_usage=asked))
    for event in events_of(written(MESSAGES.stream_writer(within), events)):
        MESSAGE_EVENTS.validate_python(event)
    for chunk in events_of(written(CHAT.stream_writer(within), events)):
        ChatCompletionChunk.model_validate(chunk, strict=True)


def exhausted(value: Any) -> None:
    """Reads the lists that the SDKs' types leave to be read later, where their items are checked."""
    if isinstance(value, dict):
        for each in value.values():
            exhausted(each)
    elif not isinstance(value, str | int | float | bool | None):
        for each in value:
            exhausted(each)
