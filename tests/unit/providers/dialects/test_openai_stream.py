"""A stream is handed on event by event as it came; only the usage at its end is ours to change."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall
from tests.unit.providers.dialects.speaking import (
    DONE,
    PLAIN,
    a_tenth_of_a_cent,
    chunk,
    frame,
    no_price,
    read,
    said,
    usage,
    usage_only,
)

ROLE = frame(chunk({"role": "assistant", "content": ""}))
HI = frame(said("Hi"))
STOP = frame(chunk(finish="stop"))
COUNTED = frame(usage_only())


# -- handing on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include_usage", [True, False])
def test_events_are_the_providers_own_bytes(include_usage: bool) -> None:
    odd = b'event: message\r\nid: 4\r\ndata:  {"choices" : [{"delta":{"content":"x"}}], "n":1e-7}\r\n\r\n'
    stream = [ROLE, b": OPENROUTER PROCESSING\n\n", HI, odd, STOP, DONE]
    assert read(stream, include_usage=include_usage).events == [ROLE, HI, odd, STOP, DONE]


def test_events_are_handed_on_as_soon_as_they_are_there() -> None:
    reader = PLAIN.read_chat_stream(ChatCall(body={}, model="m", stream=True), no_price)
    assert [event.data for event in reader.feed(ROLE + HI[:9])] == [ROLE]
    assert [event.data for event in reader.feed(HI[9:])] == [HI]


@pytest.mark.parametrize("include_usage", [True, False])
def test_the_terminator_comes_last_and_once(include_usage: bool) -> None:
    for stream in ([HI, STOP, DONE], [HI, STOP], [HI, STOP, b"data: [DONE]"], [HI, STOP, DONE, DONE, HI]):
        events = read(stream, include_usage=include_usage).events
        assert (events[-1], events.count(DONE), events.count(HI)) == (DONE, 1, 1)


def test_the_reader_says_when_nothing_follows() -> None:
    reader = PLAIN.read_chat_stream(ChatCall(body={}, model="m", stream=True), no_price)
    reader.feed(HI + STOP)
    assert not reader.finished
    reader.feed(DONE)
    assert reader.finished


# -- usage ------------------------------------------------------------------------------------------------


def test_unasked_usage_is_merged_into_the_finish_chunk() -> None:
    result = read([ROLE, HI, STOP, COUNTED, DONE], price=a_tenth_of_a_cent)
    assert result.events[:2] == [ROLE, HI]
    assert result.chunks[2:] == [chunk(finish="stop", usage=usage(cost=0.001))]
    assert result.outcome.usage == Usage(input_tokens=5, output_tokens=2, total_tokens=7)


def test_a_usage_of_null_is_filled_in_where_usage_is_merged() -> None:
    result = read([HI, frame(chunk(finish="stop", usage=None)), COUNTED, DONE])
    assert result.chunks[-1] == chunk(finish="stop", usage=usage())


def test_asked_usage_comes_in_a_chunk_of_its_own_with_the_cost() -> None:
    result = read([HI, STOP, COUNTED, DONE], include_usage=True, price=a_tenth_of_a_cent)
    assert result.events[:2] == [HI, STOP]
    assert result.chunks[2:] == [usage_only(usage=usage(cost=0.001))]


def test_without_a_price_the_asked_usage_is_the_providers_own_bytes() -> None:
    assert read([HI, STOP, COUNTED, DONE], include_usage=True).events == [HI, STOP, COUNTED, DONE]


def test_usage_without_a_finish_chunk_at_hand_gets_one() -> None:
    result = read([HI, STOP, frame(said("")), COUNTED, DONE])
    assert result.chunks[-1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert result.chunks[-1]["usage"] == usage()


def test_usage_before_any_finish_is_not_lost() -> None:
    result = read([COUNTED, HI, STOP, DONE], price=a_tenth_of_a_cent)
    assert [piece["choices"][0]["finish_reason"] for piece in result.chunks] == [None, None, "stop"]
    assert result.outcome.usage is not None


@given(
    asked=st.booleans(),
    pieces=st.lists(
        st.sampled_from(
            [
                HI,
                STOP,
                COUNTED,
                ROLE,
                frame({"choices": [], "prompt_filter_results": []}),
                frame(chunk({}, "stop", usage=usage())),
                frame(chunk({"content": "x"}, usage=usage())),
                frame(chunk(finish="length", index=1)),
                b": ping\n\n",
            ]
        ),
        max_size=10,
    ),
)
def test_no_chunk_has_empty_choices_unless_usage_was_asked_for(asked: bool, pieces: list[bytes]) -> None:
    result = read([HI, *pieces, STOP, DONE], include_usage=asked, price=a_tenth_of_a_cent)
    assert result.error is None
    assert asked or all(piece["choices"] for piece in result.chunks)
    assert "".join(c["delta"].get("content", "") for p in result.chunks for c in p["choices"]) == (
        "Hi" + "".join("Hi" if p == HI else "x" for p in pieces if b'"Hi"' in p or b'"x"' in p)
    )


@given(st.lists(st.integers(1, 60), max_size=20), st.booleans())
def test_a_stream_cut_anywhere_reads_the_same(lengths: list[int], asked: bool) -> None:
    stream = b": a\n\n" + ROLE + frame(said("né🌍")) + STOP + COUNTED + DONE
    reads, place = [], 0
    for length in lengths:
        reads.append(stream[place : place + length])
        place += length
    cut = read([*reads, stream[place:]], include_usage=asked, price=a_tenth_of_a_cent)
    assert cut == read([stream], include_usage=asked, price=a_tenth_of_a_cent)


@pytest.mark.parametrize("asked", [True, False])
def test_cumulative_usage_is_taken_from_the_last_chunk_alone(asked: bool) -> None:
    first = frame(said("Ni", usage=usage(11, 6, total=1250)))
    last = frame(chunk({"content": "gel"}, "stop", usage=usage(11, 7, total=1251)))
    result = read([first, last, DONE], include_usage=asked, price=a_tenth_of_a_cent)
    assert result.events[0] == first
    assert result.chunks[1]["usage"] == usage(11, 7, total=1251, cost=0.001)
    assert result.outcome.usage == Usage(input_tokens=11, output_tokens=1240, total_tokens=1251)
    assert result.outcome.text == "Nigel"


def test_only_the_last_of_several_usages_gets_the_cost() -> None:
    counted = frame(chunk(finish="stop", usage=usage(5, 1)))
    result = read([HI, counted, COUNTED, DONE], include_usage=True, price=a_tenth_of_a_cent)
    assert result.events[1] == counted
    assert result.chunks[2]["usage"]["cost"] == 0.001


def test_a_repeated_finish_with_usage_and_a_cost_of_its_own_passes() -> None:
    again = frame(chunk({"content": ""}, "stop", usage=usage(cost=0.00333825)))
    result = read([HI, STOP, again, DONE], price=a_tenth_of_a_cent)
    assert result.events == [HI, STOP, again, DONE]
    assert result.outcome.usage is not None
    assert result.outcome.usage.cost_usd == Decimal("0.00333825")


@pytest.mark.parametrize("asked", [True, False])
def test_usage_on_the_finish_chunk_gets_its_cost_there(asked: bool) -> None:
    finish = (
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":12345678901234567890123 }}\n\n'
    )
    events = read([HI, finish, DONE], include_usage=asked, price=a_tenth_of_a_cent).events
    assert events == [HI, finish.replace(b" }}", b',"cost":0.001}}'), DONE]


def test_the_cost_is_that_of_the_usage_with_hidden_reasoning() -> None:
    asked: list[Usage] = []

    def price(used: Usage) -> Decimal:
        asked.append(used)
        return Decimal(used.output_tokens or 0)

    result = read([frame(chunk({"content": "a"}, "stop", usage=usage(11, 7, total=1251))), DONE], price=price)
    assert result.chunks[0]["usage"]["cost"] == 1240


def test_what_vendors_say_without_choices_is_not_lost() -> None:
    filtered = {"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    judged: dict[str, Any] = {"id": "c1", "choices": [], "moderation": {"flagged": False}, "usage": None}
    result = read([frame(filtered), HI, STOP, COUNTED, frame(judged), DONE])
    assert result.chunks[0] == {**filtered, "choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    assert result.chunks[2] == chunk(finish="stop", usage=usage(), moderation={"flagged": False})
    asked = read([frame(filtered), HI, STOP, COUNTED, frame(judged), DONE], include_usage=True)
    assert asked.events == [frame(filtered), HI, STOP, COUNTED, frame(judged), DONE]


def test_what_is_no_chunk_and_no_error_passes() -> None:
    event = b'event: ping\ndata: {"type":"ping"}\n\n'
    assert read([event, HI, STOP, DONE]).events == [event, HI, STOP, DONE]


def test_numbers_and_halves_of_emoji_survive_a_merge() -> None:
    finish = (
        b'data: {"choices":[{"delta":{"content":"\\ud83d"},"finish_reason":"stop"}],'
        b'"n":123456789012345678901234567890,"x":1e-7}\n\n'
    )
    result = read([frame(said("\ud83d")), frame(said("\ude00")), finish, COUNTED, DONE])
    merged = result.chunks[2]
    assert (merged["n"], merged["x"], merged["usage"]) == (123456789012345678901234567890, 1e-7, usage())
    assert merged["choices"][0]["delta"]["content"] == "\ud83d"
    assert result.outcome.text == "😀\ufffd"


def test_a_chunk_of_several_lines_is_reframed_when_it_changes() -> None:
    lines = (
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],\ndata:  "usage":{"prompt_tokens":1}}\n\n'
    )
    result = read([HI, lines, DONE], price=a_tenth_of_a_cent)
    assert result.chunks[1]["usage"] == {"prompt_tokens": 1, "cost": 0.001}
    assert read([HI, lines, DONE]).events[1] == lines
