"""Whatever both sides of a translation can say comes back as it went, whole or streamed, cut anywhere."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.domain.answers import Answer, AnswerEvent, ToolCallStarted
from headgate.domain.conversation import Conversation, Message, Role
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, FrontDialect
from headgate.providers.dialects.speaking import TranslatedStream, outcome_of
from tests.unit.providers.dialects.conversations import (
    IN_CHAT,
    IN_MESSAGES,
    Scope,
    answers,
    conversations,
)
from tests.unit.providers.dialects.translating import (
    MESSAGES,
    NEWEST,
    ROUTED,
    added_up,
    call_of,
    chat_body,
    context,
    joined_chunks,
    joined_message,
    pieces,
    streamed,
    written,
)

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SIDES: dict[str, tuple[Scope, Any]] = {
    OPENAI_CHAT: (IN_CHAT, ROUTED),
    ANTHROPIC_MESSAGES: (IN_MESSAGES, MESSAGES),
}
JOINED = {OPENAI_CHAT: joined_chunks, ANTHROPIC_MESSAGES: joined_message}
GIVEN_BACK = {"role", "content", "tool_calls", "refusal", "reasoning_content", "reasoning_details"}
each_dialect = pytest.mark.parametrize("name", SIDES)


def in_one(conversation: Conversation) -> Conversation:
    """With results of tools in one message where several follow each other, as one dialect has them."""
    found: list[Message] = []
    for message in conversation.messages:
        if found and found[-1].role is message.role is Role.TOOL:
            found[-1] = replace(found[-1], parts=(*found[-1].parts, *message.parts))
        else:
            found.append(message)
    return replace(conversation, messages=tuple(found))


@each_dialect
@QUICK
@given(data=st.data())
def test_a_request_comes_back_as_it_went(name: str, data: st.DataObject) -> None:
    scope, dialect = SIDES[name]
    conversation = data.draw(conversations(scope))
    call = call_of(name, model=NEWEST)
    body = json.loads(json.dumps(dialect.write_request(conversation, call)))
    assert call.dropped == []
    assert in_one(dialect.read_request(body)) == conversation


@each_dialect
@QUICK
@given(data=st.data())
def test_a_request_is_the_same_when_it_went_twice(name: str, data: st.DataObject) -> None:
    scope, dialect = SIDES[name]
    call = call_of(name, model=NEWEST)
    body = dialect.write_request(data.draw(conversations(scope)), call)
    assert dialect.write_request(dialect.read_request(body), call) == body


def plain(answer: Answer) -> Answer:
    """Without the provider's own word for the end, which each dialect has of its own."""
    assert answer.finish is not None
    return replace(answer, finish=replace(answer.finish, native=None))


def whole(front: FrontDialect, events: list[AnswerEvent]) -> bytes:
    return front.write_answer(added_up(events), context())


@each_dialect
@QUICK
@given(data=st.data())
def test_an_answer_comes_back_as_it_went_whole(name: str, data: st.DataObject) -> None:
    scope, dialect = SIDES[name]
    events = data.draw(answers(scope))
    read = dialect.read_answer(whole(dialect, events), context())
    assert plain(added_up(read)) == added_up(events)


@each_dialect
@QUICK
@given(data=st.data(), asked=st.booleans())
def test_an_answer_comes_back_as_it_went_streamed_and_cut_anywhere(
    name: str, data: st.DataObject, asked: bool
) -> None:
    scope, dialect = SIDES[name]
    events = data.draw(answers(scope))
    within = context(call_of(name, stream=True, include_usage=asked))
    stream = written(dialect.stream_writer(within), events)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    read = streamed(dialect, pieces(stream, cuts), within)
    assert plain(added_up(read)) == added_up(events)


@each_dialect
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_a_stream_reads_the_same_byte_by_byte(name: str, data: st.DataObject) -> None:
    scope, dialect = SIDES[name]
    stream = written(dialect.stream_writer(context()), data.draw(answers(scope)))
    at_once = streamed(dialect, [stream], context())
    assert streamed(dialect, pieces(stream, range(len(stream))), context()) == at_once


@each_dialect
@QUICK
@given(data=st.data())
def test_a_stream_that_is_cut_short_never_looks_finished(name: str, data: st.DataObject) -> None:
    scope, dialect = SIDES[name]
    stream = written(dialect.stream_writer(context()), data.draw(answers(scope)))
    ending = b'"finish_reason":"' if name == OPENAI_CHAT else b"event: message_stop"
    short = data.draw(st.integers(0, stream.index(ending)))
    reader = TranslatedStream(dialect.read_stream(context()), dialect.stream_writer(context()))
    events = [*reader.feed(stream[:short]), *reader.end()]
    sent = b"".join(event.data for event in events)
    assert events[-1].error is not None
    assert events[-1].error.code == "provider_protocol"
    assert b"[DONE]" not in sent
    assert b"message_stop" not in sent


@pytest.mark.parametrize(
    ("provider", "client", "scope"),
    [
        (ROUTED, ROUTED, IN_CHAT),
        (ROUTED, MESSAGES, IN_MESSAGES),
        (MESSAGES, ROUTED, IN_MESSAGES),
        (MESSAGES, MESSAGES, IN_MESSAGES),
    ],
    ids=["chat-chat", "chat-messages", "messages-chat", "messages-messages"],
)
@QUICK
@given(data=st.data())
def test_whole_and_streamed_answers_agree_from_any_provider_to_any_client(
    provider: Any, client: Any, scope: Scope, data: st.DataObject
) -> None:
    said = data.draw(answers(scope))
    within = context(call_of(client.name, stream=True))
    stream = written(provider.stream_writer(within), said)
    body = whole(provider, said)
    at_once = added_up(provider.read_answer(body, within))
    bit_by_bit = added_up(streamed(provider, [stream], within))
    assert plain(at_once) == plain(bit_by_bit)
    assert outcome_of(at_once) == outcome_of(bit_by_bit)
    shown = json.loads(client.write_answer(at_once, within))
    joined = written(client.stream_writer(within), streamed(provider, [stream], within))
    if client.name == ANTHROPIC_MESSAGES:
        assert joined_message(joined) == shown
    else:
        assert _told(joined_chunks(joined)) == _told(shown["choices"][0]["message"])


def _told(message: dict[str, Any]) -> dict[str, Any]:
    """What a client of chat completions goes by: neither nulls nor how details were cut."""
    told = {name: value for name, value in message.items() if value and name != "reasoning_details"}
    for call in told.get("tool_calls", ()):
        call.pop("index", None)
    return told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", [ROUTED, MESSAGES], ids=["chat", "messages"])
@QUICK
@given(data=st.data(), signature=st.none() | st.just("a-signature"))
def test_what_a_model_must_get_back_comes_back_with_the_next_turn(
    client: Any, stream: bool, data: st.DataObject, signature: str | None
) -> None:
    """Thoughts that anyone signed, and signatures of tool calls, through a client of any dialect."""
    events = [
        replace(event, signature=signature) if isinstance(event, ToolCallStarted) else event
        for event in data.draw(answers(replace(IN_CHAT, refusals=False)))
    ]
    if stream:
        turn = JOINED[client.name](written(client.stream_writer(context()), events))
    else:
        shown = json.loads(whole(client, events))
        turn = shown["choices"][0]["message"] if client.name == OPENAI_CHAT else shown
    asked = {"role": "user", "content": "Hi?"}
    history = {name: turn[name] for name in turn if name in GIVEN_BACK}
    body = chat_body(asked, history, asked, max_tokens=100)
    assert client.read_request(body).messages[1].parts == added_up(events).parts
