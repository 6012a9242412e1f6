"""What Gemini answers, as events: texts and thoughts, calls, pictures, tokens, and why it ended."""

import json
from dataclasses import replace
from typing import Any

import pytest

from headgate.domain.answers import (
    Finished,
    FinishReason,
    Measured,
    MediaProduced,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media, Reasoning, Text, ToolCall
from headgate.domain.errors import HeadgateError, ProviderFailed
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import GEMINI
from headgate.providers.dialects.gemini_answers import read_usage
from tests.unit.providers.dialects.gemini_saying import (
    BACK,
    added_up,
    chunk,
    context,
    counted,
    function,
    read,
    streamed,
    text,
)


def refusal(*chunks: Any) -> HeadgateError:
    """The same, whole and streamed."""
    with pytest.raises(HeadgateError) as caught:
        read(*chunks)
    last = streamed(*chunks)[-1]
    assert last.error.code == caught.value.code  # type: ignore[union-attr]
    return caught.value


def reason(*parts: Any, finish: str) -> Finished:
    finished = read(chunk(*parts, finish=finish))[-1]
    assert isinstance(finished, Finished)
    return finished


# -- texts and thoughts -----------------------------------------------------------------------------------


def test_an_answer_begins_with_its_names_and_ends_with_its_reason() -> None:
    events = read(chunk(text("Hi."), finish="STOP", **counted(5, 2)))
    assert events == [
        Started(id="r-1", model="gemini-x"),
        Measured(usage=Usage(input_tokens=5, output_tokens=2, total_tokens=7)),
        TextDelta(text="Hi."),
        Finished(reason=FinishReason.STOP, native="STOP"),
    ]


def test_a_thought_is_told_apart_and_signed_by_the_part_that_follows() -> None:
    answer = added_up(
        read(chunk(text("Hm.", thought=True), text("Hi.", thoughtSignature="c2ln"), finish="STOP"))
    )
    assert answer.parts == (Reasoning(text="Hm.", signature="c2ln", origin=GEMINI), Text(text="Hi."))
    assert answer.text == "Hi."


def test_a_signature_on_an_empty_text_at_the_end_is_kept() -> None:
    events = streamed(chunk(text("Hi.")), chunk(text("", thoughtSignature="c2ln"), finish="STOP"))
    assert [e for e in events if isinstance(e, TextDelta | ReasoningDelta)] == [
        TextDelta(text="Hi."),
        ReasoningDelta(signature="c2ln", origin=GEMINI),
    ]


def test_a_thought_with_its_own_signature_keeps_it() -> None:
    answer = added_up(read(chunk(text("Hm.", thought=True, thoughtSignature="c2ln"), finish="STOP")))
    assert answer.parts == (Reasoning(text="Hm.", signature="c2ln", origin=GEMINI),)


def test_empty_texts_say_nothing() -> None:
    events = read(chunk(text(""), text("", thought=True), finish="STOP"))
    assert [type(event) for event in events] == [Started, Finished]


def test_what_was_done_on_googles_side_is_left_out_and_the_text_about_it_stays() -> None:
    parts = (
        {"toolCall": {"toolType": "GOOGLE_SEARCH", "id": "t"}, "thoughtSignature": "c2ln"},
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        text("It is 1."),
    )
    assert added_up(read(chunk(*parts, finish="STOP"))).parts == (Text(text="It is 1."),)


def test_a_second_candidate_is_not_mixed_into_the_first() -> None:
    both = chunk(text("One."), finish="STOP")
    both["candidates"].append({"content": {"parts": [text("Two.")]}, "index": 1, "finishReason": "SAFETY"})
    answer = added_up(read(both))
    assert answer.text == "One."
    assert answer.finish == Finished(reason=FinishReason.STOP, native="STOP")


# -- pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}},
            Media(kind="image", mime_type="image/png", data="aGVsbG8="),
        ),
        (
            {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAA="}},
            Media(kind="audio", mime_type="audio/L16;codec=pcm;rate=24000", data="AAA="),
        ),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x.example/v"}},
            Media(kind="video", mime_type="video/mp4", url="https://x.example/v"),
        ),
        ({"inlineData": {"data": "AAA="}}, Media(kind="file", data="AAA=")),
    ],
)
def test_a_picture_or_sound_comes_whole(part: Any, media: Media) -> None:
    events = read(chunk(text("Look:"), part, finish="STOP"))
    assert MediaProduced(media=media) in events


def test_the_draft_of_a_picture_is_a_thought() -> None:
    draft = {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}, "thought": True}
    assert added_up(read(chunk(draft, finish="STOP"))).parts == ()


# -- calls ------------------------------------------------------------------------------------------------


def test_calls_have_their_arguments_as_json_and_end_the_turn() -> None:
    answer = added_up(
        read(
            chunk(
                text("Let me see."),
                function("look", {"at": "é", "n": 1.5}, thoughtSignature="c2ln"),
                function("rest"),
                finish="STOP",
            )
        )
    )
    assert answer.parts == (
        Text(text="Let me see."),
        ToolCall(id="call_r-1_0", name="look", arguments='{"at":"é","n":1.5}', signature="c2ln"),
        ToolCall(id="call_r-1_1", name="rest", arguments="{}"),
    )
    assert answer.finish == Finished(reason=FinishReason.TOOL_CALLS, native="STOP")


def test_an_id_that_gemini_gave_is_kept_unless_it_gave_it_twice() -> None:
    calls = [function("look", {}, id="call_7"), function("look", {}, id="call_7"), function("look", {})]
    ids = [call.id for call in added_up(read(chunk(*calls, finish="STOP"))).tool_calls]
    assert ids == ["call_7", "call_r-1_1", "call_r-1_2"]


def started(events: Any) -> list[str]:
    return [event.id for event in events if isinstance(event, ToolCallStarted)]


def test_ids_of_different_answers_differ_and_those_of_one_do_not() -> None:
    def ids(answer_id: str | None, name: str) -> list[str]:
        said = chunk(function(name, {}), finish="STOP") | {"responseId": answer_id}
        return started(read(said))

    assert ids("a", "look") != ids("b", "look")
    assert ids(None, "look") != ids(None, "hear")
    assert ids(None, "look") == ids(None, "look")
    (odd,) = ids("an id/with\nspaces" + "x" * 90, "look")
    assert len(odd) <= 40
    assert odd.replace("_", "").replace("-", "").isalnum()


def test_calls_in_several_chunks_are_counted_on() -> None:
    events = streamed(
        chunk(function("look", {"n": 1})), chunk(function("look", {"n": 2})), chunk(text(""), finish="STOP")
    )
    assert started(events) == ["call_r-1_0", "call_r-1_1"]
    assert [json.loads(call.arguments) for call in added_up(events).tool_calls] == [{"n": 1}, {"n": 2}]


def test_a_turn_that_ran_out_of_tokens_over_a_call_says_that() -> None:
    assert reason(function("look", {}), finish="MAX_TOKENS").reason is FinishReason.LENGTH


# -- why it ended -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", ["SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT"])
@pytest.mark.parametrize("said", [(), (text("Well,"),)])
def test_a_filter_is_told_as_such_whether_or_not_something_was_said(native: str, said: Any) -> None:
    assert reason(*said, finish=native) == Finished(reason=FinishReason.FILTERED, native=native)


@pytest.mark.parametrize("native", ["SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"])
def test_so_are_the_rarer_filters(native: str) -> None:
    assert reason(finish=native).reason is FinishReason.FILTERED


@pytest.mark.parametrize(
    "native",
    ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"],
)
def test_a_model_that_broke_off_is_a_failure_that_another_may_not_have(native: str) -> None:
    error = refusal(chunk(text("print("), finish=native))
    assert (error.code, error.failover) == ("provider_protocol", True)
    assert native in error.detail
    assert error.may_have_run


@pytest.mark.parametrize("native", ["OTHER", "NO_IMAGE", "FINISH_REASON_UNSPECIFIED", "BRAND_NEW"])
def test_an_unknown_reason_is_an_end_after_words_and_a_failure_without(native: str) -> None:
    assert reason(text("Hi."), finish=native) == Finished(reason=FinishReason.STOP, native=native)
    error = refusal(chunk(finish=native))
    assert error.code == "provider_unavailable"
    assert native in error.detail


def test_a_missing_signature_is_the_requests_fault() -> None:
    assert refusal(chunk(finish="MISSING_THOUGHT_SIGNATURE")).code == "provider_rejected"


def test_the_last_reason_counts_as_older_models_tell_one_in_every_chunk() -> None:
    events = streamed(chunk(text("Hi"), finish="STOP"), chunk(text(" you"), finish="MAX_TOKENS"))
    assert [event for event in events if isinstance(event, Finished)] == [
        Finished(reason=FinishReason.LENGTH, native="MAX_TOKENS")
    ]
    assert added_up(events).text == "Hi you"


@pytest.mark.parametrize("native", ["SAFETY", "OTHER", "PROHIBITED_CONTENT", "IMAGE_SAFETY"])
def test_a_blocked_prompt_is_filtered(native: str) -> None:
    told = {"promptFeedback": {"blockReason": native}, **counted(5, 0), "responseId": "r-1"}
    error = refusal(told)
    assert (error.code, error.failover) == ("content_filtered", False)
    assert native in error.detail


def test_words_of_the_provider_that_are_no_constant_are_not_repeated() -> None:
    assert "secret" not in refusal({"promptFeedback": {"blockReason": "a secret prompt"}}).detail
    assert reason(text("Hi."), finish="a secret prompt").native == "UNKNOWN"


# -- what is no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b"[]",
        b"{}",
        b"[7]",
        b"<html>",
        b'{"candidates": []}',
        b'{"candidates": 7}',
        b'{"candidates": [{"content": {"role": "model"}}]}',
        b'{"promptFeedback": {}}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": 7}]}, "finishReason": "STOP"}]}',
    ],
)
def test_what_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        BACK.read_answer(body, context())
    assert caught.value.code == "provider_protocol"
    assert caught.value.may_have_run


ODD: list[Any] = [None, True, 7, "x", [], [7], {}]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "field", ["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionResponse"]
)
def test_a_part_with_a_field_of_another_kind_costs_itself_alone(field: str, odd: Any) -> None:
    events = read(chunk({field: odd}, text("Hi."), finish="STOP", **counted()))
    assert added_up(events).text.endswith("Hi.")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["responseId", "modelVersion", "usageMetadata", "promptFeedback"])
def test_a_field_of_another_kind_is_as_good_as_none(field: str, odd: Any) -> None:
    events = read(chunk(text("Hi."), finish="STOP") | {field: odd})
    assert added_up(events).text == "Hi."


def test_an_error_inside_a_200_means_what_it_says() -> None:
    error = refusal({"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}})
    assert error.code == "provider_overloaded"
    assert error.provider == "gemini"


# -- tokens -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 7,
                "thoughtsTokenCount": 33,
                "totalTokenCount": 49,
            },
            Usage(input_tokens=9, output_tokens=40, reasoning_tokens=33, total_tokens=49),
        ),
        (
            {
                "promptTokenCount": 10,
                "toolUsePromptTokenCount": 200,
                "candidatesTokenCount": 5,
                "totalTokenCount": 215,
            },
            Usage(input_tokens=210, output_tokens=5, total_tokens=215),
        ),
        (
            {"promptTokenCount": 100, "cachedContentTokenCount": 90, "totalTokenCount": 100},
            Usage(input_tokens=100, output_tokens=0, cache_read_tokens=90, total_tokens=100),
        ),
        (
            {"promptTokenCount": 15, "thoughtsTokenCount": 2, "totalTokenCount": 17},
            Usage(input_tokens=15, output_tokens=2, reasoning_tokens=2, total_tokens=17),
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 25},
            Usage(input_tokens=10, output_tokens=15, total_tokens=25),
        ),
        ({"promptTokenCount": 10}, Usage(input_tokens=10)),
        ({"promptTokenCount": 10.0, "totalTokenCount": True}, Usage(input_tokens=10)),
        ({"promptTokenCount": -1, "candidatesTokenCount": "5"}, None),
        ({"trafficType": "ON_DEMAND"}, None),
        ({}, None),
    ],
)
def test_thoughts_are_output_and_what_tools_read_is_input(told: Any, usage: Usage | None) -> None:
    assert read_usage(told) == usage


def test_each_count_replaces_the_one_before_it_and_the_same_is_not_told_again() -> None:
    events = streamed(
        chunk(text("Hi"), **counted(5, 1)),
        chunk(text(" you"), **counted(5, 2)),
        chunk(text(""), **counted(5, 2)),
        chunk(text(""), finish="STOP", usageMetadata={"trafficType": "ON_DEMAND"}),
    )
    counts = [event.usage.output_tokens for event in events if isinstance(event, Measured)]
    assert counts == [1, 2]


def test_a_provider_that_counts_in_its_own_way_is_asked_first() -> None:
    own = replace(context(), read_usage=lambda _told: Usage(input_tokens=1))
    events = BACK.read_answer(json.dumps(chunk(text("Hi."), finish="STOP", **counted())).encode(), own)
    assert Measured(usage=Usage(input_tokens=1)) in events
