"""Events written for a client of Responses: the whole object, and the stream that grows into it."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from headgate.domain.answers import (
    AnswerEvent,
    Finished,
    FinishReason,
    Measured,
    MediaProduced,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import Media
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_RESPONSES
from headgate.providers.dialects.openai_responses_sealed import FOREIGN_ID, Seal, is_foreign, unseal
from tests.unit.providers.dialects.responses import (
    DIALECT,
    a_usage,
    context,
    last_response,
    sum_of,
    values,
    write,
)
from tests.unit.providers.dialects.speaking import no_price

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
STARTED = Started(id="chatcmpl-1", model="m-1")
STOPPED = Finished(reason=FinishReason.STOP)


def kinds(events: Iterable[AnswerEvent], body: Mapping[str, Any] | None = None) -> list[str]:
    """The names of a stream's events, without what begins and ends every stream."""
    names = [value["type"].removeprefix("response.") for value in values(write(events, body))]
    assert names[:2] == ["created", "in_progress"]
    assert names[-1] in ("completed", "incomplete")
    return names[2:-1]


def whole(events: Iterable[AnswerEvent], body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return dict(json.loads(DIALECT.write_answer(sum_of(events), context(body))))


def output(*events: AnswerEvent, body: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The items that events come to, which are the same whole and streamed, and none of them open."""
    told = [STARTED, *events, STOPPED]
    streamed: list[dict[str, Any]] = last_response(write(told, body))["output"]
    assert whole(told, body)["output"] == streamed
    assert all(item["status"] == "completed" for item in streamed)
    return streamed


# -- order ------------------------------------------------------------------------------------------------


def test_text_comes_in_the_order_of_the_reference() -> None:
    assert kinds([STARTED, TextDelta(text="Hel"), TextDelta(text="lo"), STOPPED]) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]


def test_a_call_comes_in_the_order_of_the_reference() -> None:
    call: list[AnswerEvent] = [
        ToolCallStarted(index=0, id="c", name="f"),
        ToolCallDelta(index=0, arguments="{}"),
    ]
    assert kinds([STARTED, *call, Finished(reason=FinishReason.TOOL_CALLS)]) == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]


@pytest.mark.parametrize(
    ("body", "part", "name"),
    [
        ({}, "content_part", "reasoning_text"),
        ({"reasoning": {"effort": "low"}}, "content_part", "reasoning_text"),
        ({"reasoning": {"summary": "auto"}}, "reasoning_summary_part", "reasoning_summary_text"),
        ({"reasoning": {"generate_summary": "concise"}}, "reasoning_summary_part", "reasoning_summary_text"),
    ],
)
def test_thoughts_come_as_they_are_or_as_the_summary_that_was_asked_for(
    body: Any, part: str, name: str
) -> None:
    thought: list[AnswerEvent] = [ReasoningDelta(text="Hm"), ReasoningDelta(text=".")]
    assert kinds([STARTED, *thought, TextDelta(text="x"), STOPPED], body)[:7] == [
        "output_item.added",
        f"{part}.added",
        f"{name}.delta",
        f"{name}.delta",
        f"{name}.done",
        f"{part}.done",
        "output_item.done",
    ]


def test_a_refusal_after_text_is_a_part_of_the_same_message() -> None:
    assert kinds([STARTED, TextDelta(text="Well."), RefusalDelta(text="No"), STOPPED])[3:8] == [
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
    ]
    (message,) = output(TextDelta(text="Well."), RefusalDelta(text="No"))
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]


def test_calls_whose_arguments_come_by_turns_stay_whole() -> None:
    first, second = output(
        ToolCallStarted(index=0, id="c1", name="f"),
        ToolCallStarted(index=1, id="c2", name="g"),
        ToolCallDelta(index=1, arguments='{"b"'),
        ToolCallDelta(index=0, arguments='{"a"'),
        ToolCallDelta(index=1, arguments=":2}"),
        ToolCallDelta(index=0, arguments=":1}"),
    )
    assert (first["name"], first["call_id"], first["arguments"]) == ("f", "c1", '{"a":1}')
    assert (second["name"], second["call_id"], second["arguments"]) == ("g", "c2", '{"b":2}')


def test_an_image_comes_as_one_item() -> None:
    image = MediaProduced(media=Media(kind="image", data="AAAA", mime_type="image/webp"))
    assert kinds([STARTED, image, STOPPED]) == [
        "output_item.added",
        "image_generation_call.completed",
        "output_item.done",
    ]
    (item,) = output(image)
    assert (item["type"], item["result"], item["output_format"]) == ("image_generation_call", "AAAA", "webp")


def test_an_image_by_address_is_linked_in_the_text_and_sound_is_left_out_by_name() -> None:
    linked = MediaProduced(media=Media(kind="image", url="https://x.example/a.png"))
    (message,) = output(TextDelta(text="See "), linked)
    assert message["content"][0]["text"] == "See ![image](https://x.example/a.png)"
    told = context()
    writer = DIALECT.stream_writer(told)
    writer.feed(MediaProduced(media=Media(kind="audio", data="AAAA", mime_type="audio/wav")))
    assert told.call.dropped == ["output.audio"]


def test_events_that_say_nothing_make_no_items() -> None:
    assert output(TextDelta(text=""), RefusalDelta(text=""), ReasoningDelta()) == []


EVERYTHING: list[AnswerEvent] = [
    STARTED,
    ReasoningDelta(text="Hm", origin=ANTHROPIC_MESSAGES),
    ReasoningDelta(signature="sig", origin=ANTHROPIC_MESSAGES),
    TextDelta(text="Let me see."),
    ToolCallStarted(index=0, id="c1", name="f", signature="call-sig"),
    ToolCallDelta(index=0, arguments="{}"),
    MediaProduced(media=Media(kind="image", data="AAAA", mime_type="image/png")),
    ReasoningDelta(redacted="opaque", origin=ANTHROPIC_MESSAGES),
    RefusalDelta(text="No"),
    ToolCallStarted(index=1, id="c2", name="g"),
    Measured(usage=a_usage()),
    Finished(reason=FinishReason.TOOL_CALLS),
]


@pytest.mark.parametrize("body", [{}, {"reasoning": {"summary": "auto"}}])
def test_every_event_is_what_the_sdk_takes_it_for_and_belongs_to_its_item(body: Any) -> None:
    told = values(write(EVERYTHING, body))
    assert [value["sequence_number"] for value in told] == list(range(len(told)))
    items: dict[int, str] = {}
    open_items: set[int] = set()
    for value in told:
        EVENTS.validate_python(value, strict=True)
        place = value.get("output_index")
        if value["type"] == "response.output_item.added":
            assert place == len(items)
            items[place] = value["item"]["id"]
            open_items.add(place)
        elif value["type"] == "response.output_item.done":
            assert value["item"]["id"] == items[value["output_index"]]
            open_items.remove(value["output_index"])
        elif place is not None:
            assert value["item_id"] == items[place]
            assert place in open_items
    assert open_items == set()
    assert [item["id"] for item in told[-1]["response"]["output"]] == list(items.values())
    assert len(set(items.values())) == len(items)


def test_a_response_is_what_the_sdk_takes_it_for() -> None:
    body = {
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "max_output_tokens": 64,
        "parallel_tool_calls": False,
        "metadata": {"a": "b"},
        "user": "u",
    }
    for value in (whole(EVERYTHING, body), last_response(write(EVERYTHING, body)), whole([STARTED, STOPPED])):
        Response.model_validate(value, strict=True)
    told = whole(EVERYTHING, body)
    assert {name: told[name] for name in body if name not in ("tools", "reasoning")} == {
        name: value for name, value in body.items() if name not in ("tools", "reasoning")
    }
    assert told["reasoning"] == {"effort": "low", "summary": None}
    assert told["tools"] == [{"type": "function", "name": "f", "parameters": None, "strict": None}]


# -- the object -------------------------------------------------------------------------------------------


def test_whole_and_streamed_are_the_same_response() -> None:
    assert whole(EVERYTHING) == last_response(write(EVERYTHING))


def test_the_response_is_named_after_the_providers_id_and_model() -> None:
    told = whole([STARTED, STOPPED])
    assert (told["id"], told["model"], told["created_at"]) == ("resp_chatcmpl-1", "m-1", 1_790_000_000)
    assert whole([Started(id="resp_abc"), STOPPED])["id"] == "resp_abc"
    assert whole([Started(), STOPPED])["model"] == "native"


def test_a_response_without_a_providers_id_has_one_of_its_own_throughout() -> None:
    told = values(write([TextDelta(text="x")]))
    names = {value["response"]["id"] for value in told if "response" in value}
    assert len(names) == 1
    assert names != {values(write([TextDelta(text="x")]))[0]["response"]["id"]}


@pytest.mark.parametrize("provider_id", ["x" * 200, "a b/c:d", "résumé", "-"])
def test_ids_stay_such_as_openai_takes_back(provider_id: str) -> None:
    told = whole([Started(id=provider_id), TextDelta(text="x"), STOPPED])
    for name in (told["id"], told["output"][0]["id"]):
        assert len(name) <= 64
        assert name.isascii()
        assert name.replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("reason", "status", "details", "last"),
    [
        (FinishReason.STOP, "completed", None, "completed"),
        (FinishReason.STOP_SEQUENCE, "completed", None, "completed"),
        (FinishReason.TOOL_CALLS, "completed", None, "completed"),
        (FinishReason.PAUSE, "completed", None, "completed"),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        (FinishReason.FILTERED, "incomplete", {"reason": "content_filter"}, "incomplete"),
        (FinishReason.REFUSAL, "incomplete", {"reason": "content_filter"}, "incomplete"),
    ],
)
def test_how_it_ended_is_told_by_status_and_details(
    reason: FinishReason, status: str, details: Any, last: str
) -> None:
    events: list[AnswerEvent] = [
        STARTED,
        ReasoningDelta(text="Hm"),
        TextDelta(text="Hel"),
        Finished(reason=reason),
    ]
    for told in (whole(events), last_response(write(events))):
        assert (told["status"], told["incomplete_details"]) == (status, details)
        assert [item["status"] for item in told["output"]] == ["completed", last]
    assert values(write(events))[-1]["type"] == f"response.{status}"


def test_a_refusal_in_words_is_a_complete_answer() -> None:
    told = whole([STARTED, RefusalDelta(text="No"), Finished(reason=FinishReason.REFUSAL)])
    assert (told["status"], told["incomplete_details"]) == ("completed", None)


def test_usage_is_complete_and_has_its_cost() -> None:
    told = whole([STARTED, Measured(usage=a_usage()), STOPPED])["usage"]
    assert told == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 13,
        "cost": 0.25,
    }


def test_what_is_unknown_of_the_usage_is_zero_and_priced_by_the_gateway() -> None:
    bare = Measured(usage=Usage(input_tokens=2, output_tokens=3))
    told = last_response(write([STARTED, bare, STOPPED]))["usage"]
    assert (told["total_tokens"], told["cost"]) == (5, 0.001)
    assert told["output_tokens_details"] == {"reasoning_tokens": 0}


def test_without_usage_or_price_nothing_is_made_up() -> None:
    assert whole([STARTED, STOPPED])["usage"] is None
    writer = DIALECT.stream_writer(context(price=no_price))
    writer.feed(Started(usage=Usage(input_tokens=1, output_tokens=1)))
    assert "cost" not in last_response(b"".join([writer.feed(STARTED), writer.end()]))["usage"]


def test_usage_that_comes_after_the_finish_is_told() -> None:
    usage = Measured(usage=Usage(input_tokens=1, output_tokens=1, cost_usd=Decimal("0.5")))
    assert last_response(write([STARTED, STOPPED, usage]))["usage"]["cost"] == 0.5


def test_no_arguments_are_an_empty_object_for_clients_that_parse_them() -> None:
    (item,) = output(ToolCallStarted(index=0, id="c", name="f"))
    assert item["arguments"] == "{}"


def test_halves_of_an_emoji_are_joined() -> None:
    (message,) = output(TextDelta(text="\ud83d"), TextDelta(text="\ude00"))
    assert message["content"][0]["text"] == "😀"


# -- thoughts ---------------------------------------------------------------------------------------------


def sealed_in(item: Mapping[str, Any]) -> Seal | None:
    assert item["type"] == "reasoning"
    return unseal(item["encrypted_content"])


def test_what_another_dialect_signed_is_sealed_for_it() -> None:
    first, second, _ = output(
        ReasoningDelta(text="Hm", origin=ANTHROPIC_MESSAGES),
        ReasoningDelta(signature="sig", origin=ANTHROPIC_MESSAGES),
        ReasoningDelta(redacted="opaque", origin=ANTHROPIC_MESSAGES),
        TextDelta(text="x"),
    )
    assert sealed_in(first) == Seal(origin=ANTHROPIC_MESSAGES, signature="sig")
    assert first["content"] == [{"type": "reasoning_text", "text": "Hm"}]
    assert sealed_in(second) == Seal(origin=ANTHROPIC_MESSAGES, redacted="opaque")
    assert is_foreign(first)
    assert is_foreign(second)


def test_what_this_dialect_signed_goes_as_it_is_under_its_own_name() -> None:
    (item,) = output(ReasoningDelta(text="Hm", signature="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"))
    assert (item["id"], item["encrypted_content"]) == ("rs_1", "gAAAA")
    assert not is_foreign(item)


def test_a_thought_that_nobody_signed_is_known_for_a_foreign_one() -> None:
    (item,) = output(ReasoningDelta(text="Hm"))
    assert "encrypted_content" not in item
    assert item["id"].startswith(FOREIGN_ID)


def test_thoughts_are_told_apart_by_their_signatures_and_names() -> None:
    names = [
        item["id"]
        for item in output(
            ReasoningDelta(text="a", signature="s", origin=OPENAI_RESPONSES, id="rs_1"),
            ReasoningDelta(text="b", signature="s", origin=OPENAI_RESPONSES, id="rs_1"),
            ReasoningDelta(text="c", origin=OPENAI_RESPONSES, id="rs_2"),
            ReasoningDelta(text="d", origin=OPENAI_RESPONSES, id="rs_3"),
            ReasoningDelta(text="e"),
        )
    ]
    assert len(names) == len(set(names)) == 4
    assert (names[0], names[2], names[3]) == ("rs_1", "rs_2", "rs_3")


def test_the_signature_of_a_call_travels_before_it() -> None:
    carrier, call = output(ToolCallStarted(index=0, id="c1", name="f", signature="sig"))
    assert sealed_in(carrier) == Seal(signature="sig", call_id="c1")
    assert (carrier["summary"], call["call_id"]) == ([], "c1")
