"""What Converse answers, as events and as a client of another dialect gets it."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from headgate.domain.answers import AnswerBuilder, AnswerEvent, Failed, FinishReason
from headgate.domain.conversation import Reasoning, Text, ToolCall
from headgate.domain.errors import HeadgateError, ProviderFailed
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall
from headgate.providers.bedrock import Bedrock
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, AnswerContext
from headgate.providers.dialects.bedrock_converse import BedrockConverse
from tests.unit.providers.framing import answer, event, exception, frame

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def no_price(_usage: Usage) -> Decimal | None:
    return None


def context(model: str = CLAUDE, *, stream: bool = True) -> AnswerContext:
    call = ChatCall(body={}, model=model, stream=stream)
    return AnswerContext(call=call, price=no_price, judge=Bedrock().judge_inside)


def streamed(data: bytes, model: str = CLAUDE) -> list[AnswerEvent]:
    reader = BedrockConverse().read_stream(context(model))
    events = reader.feed(data)
    return events + reader.end()


def whole(content: list[Any], stop: str = "end_turn", **members: Any) -> list[AnswerEvent]:
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop, **members}
    return BedrockConverse().read_answer(orjson.dumps(body), context(stream=False))


def sum_of(events: list[AnswerEvent]) -> Any:
    builder = AnswerBuilder()
    for each in events:
        assert not isinstance(each, Failed), each.error
        builder.add(each)
    return builder.answer


def failure(data: bytes) -> HeadgateError:
    last = streamed(data)[-1]
    assert isinstance(last, Failed)
    return last.error


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("stop_sequence", FinishReason.STOP_SEQUENCE),
        ("guardrail_intervened", FinishReason.FILTERED),
        ("content_filtered", FinishReason.FILTERED),
        ("something_new", FinishReason.STOP),
    ],
)
def test_why_it_ended_is_said_in_our_words_and_theirs(native: str, reason: FinishReason) -> None:
    for read in (streamed(answer({"text": "Hi"}, stop=native)), whole([{"text": "Hi"}], native)):
        found = sum_of(read)
        assert found.text == "Hi"
        assert (found.finish.reason, found.finish.native) == (reason, native)


@pytest.mark.parametrize("native", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_the_model_broke_off_is_none(native: str) -> None:
    assert failure(answer({"text": "Hi"}, stop=native)).code == "provider_protocol"
    with pytest.raises(ProviderFailed):
        whole([{"text": "Hi"}], native)


def test_tokens_of_the_cache_are_counted_into_the_input() -> None:
    told = {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 115,
        "cacheReadInputTokens": 80,
        "cacheWriteInputTokens": 20,
    }
    expected = Usage(
        input_tokens=110, output_tokens=5, cache_read_tokens=80, cache_write_tokens=20, total_tokens=115
    )
    assert sum_of(whole([], usage=told)).usage == expected
    data = event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": told})
    assert sum_of(streamed(data)).usage == expected


def test_thoughts_are_kept_with_their_signature_and_who_can_read_it() -> None:
    data = answer(
        {"reasoningContent": {"text": "H"}},
        {"reasoningContent": {"text": "m."}},
        {"reasoningContent": {"signature": "sig"}},
        {"text": "Ho"},
    )
    thought = Reasoning(text="Hm.", signature="sig", origin=ANTHROPIC_MESSAGES)
    assert sum_of(streamed(data)).parts == (thought, Text(text="Ho"))
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AAAA"}},
        {"text": "Ho"},
    ]
    redacted = Reasoning(redacted="AAAA", origin=BEDROCK_CONVERSE)
    assert sum_of(whole(blocks)).parts == (thought, redacted, Text(text="Ho"))
    foreign = sum_of(streamed(data, "openai.gpt-oss-120b-1:0")).parts[0]
    assert foreign.origin == BEDROCK_CONVERSE


def call_of(block: int, call_id: str, *pieces: str) -> bytes:
    start = {"toolUse": {"toolUseId": call_id, "name": "f"}}
    return b"".join(
        [
            event("contentBlockStart", {"contentBlockIndex": block, "start": start}),
            *(
                event(
                    "contentBlockDelta", {"contentBlockIndex": block, "delta": {"toolUse": {"input": piece}}}
                )
                for piece in pieces
            ),
            event("contentBlockStop", {"contentBlockIndex": block}),
        ]
    )


def test_calls_are_told_apart_and_one_without_arguments_has_an_empty_object() -> None:
    end = event("messageStop", {"stopReason": "tool_use"})
    data = call_of(1, "a", '{"x"', ":1}") + call_of(2, "b", "") + end
    expected = (ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="f", arguments="{}"))
    assert sum_of(streamed(data)).tool_calls == expected
    blocks = [
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1}}},
        {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}},
    ]
    assert sum_of(whole(blocks, "tool_use")).tool_calls == expected


def test_tools_that_bedrock_called_itself_are_left_out() -> None:
    own = {"toolUseId": "a", "name": "f", "type": "server_tool_use"}
    data = event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": own}})
    data += event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}})
    assert sum_of(streamed(data + event("messageStop", {"stopReason": "end_turn"}))).parts == ()
    assert sum_of(whole([{"toolUse": {**own, "input": {}}}])).parts == ()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttlingException", "provider_rate_limited"),
        ("modelStreamErrorException", "provider_unavailable"),
        ("internalServerException", "provider_unavailable"),
        ("serviceUnavailableException", "provider_overloaded"),
        ("validationException", "provider_rejected"),
        ("modelTimeoutException", "provider_timeout"),
        ("somethingNewException", "provider_unavailable"),
    ],
)
def test_an_exception_within_a_stream_means_what_it_is_called(kind: str, code: str) -> None:
    data = event("messageStart", {"role": "assistant"}) + exception(kind, "No more.")
    error = failure(data)
    assert error.code == code
    assert "No more." in error.detail
    assert error.provider == "bedrock"


def test_a_prompt_that_is_too_long_is_told_within_a_stream_too() -> None:
    assert failure(exception("validationException", "Input is too long.")).code == "context_too_long"


def test_an_unmodelled_error_within_a_stream_is_an_error() -> None:
    told = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Oops."}
    error = failure(frame(told, b""))
    assert (error.code, "Oops." in error.detail) == ("provider_unavailable", True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"data: {}\n\n" * 3,
        answer({"text": "Hi"})[:-1],
        answer({"text": "Hi"})[:60] + b"\xff" + answer({"text": "Hi"})[61:],
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
        frame({":message-type": "event", ":event-type": "messageStop"}, b"{"),
        frame({":message-type": "event", ":event-type": "messageStop"}, b"[]"),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"name": "f"}}}),
    ],
)
def test_a_stream_that_is_broken_or_cut_off_is_a_protocol_error(data: bytes) -> None:
    assert failure(data).code == "provider_protocol"


def test_a_stream_is_over_with_its_usage_and_nothing_after_it_counts() -> None:
    reader = BedrockConverse().read_stream(context())
    reader.feed(answer({"text": "Hi"}))
    assert reader.finished
    assert reader.feed(exception("throttlingException", "x")) == []
    assert reader.end() == []


def test_events_that_are_new_are_passed_over() -> None:
    data = event("somethingNew", {"a": 1}) + answer({"text": "Hi"}, {"somethingNew": {}})
    assert sum_of(streamed(data)).text == "Hi"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output":{}}', b'{"output":{"message":{"content":[]}}}']
)
def test_a_whole_answer_without_message_or_reason_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        BedrockConverse().read_answer(body, context(stream=False))
    assert caught.value.code == "provider_protocol"
