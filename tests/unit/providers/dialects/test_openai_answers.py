"""A whole answer is handed on as it came, but for the cost; what it says is read for the record."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.errors import HeadgateError, ProviderBusy, ProviderFailed
from headgate.domain.generation import Usage
from headgate.providers.base import ChatAnswer, ChatCall
from headgate.providers.dialects.openai_answers import read_usage
from tests.unit.providers.dialects.speaking import PLAIN, Plain, a_tenth_of_a_cent, no_price, usage

CALL = ChatCall(body={}, model="m", stream=False)

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": usage(),
}


def answer(**members: Any) -> bytes:
    return json.dumps({**ANSWER, **members}).encode()


def parse(body: bytes, price: Any = a_tenth_of_a_cent) -> ChatAnswer:
    return PLAIN.parse_chat(CALL, body, price)


def failure(body: bytes) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        parse(body)
    return caught.value


# -- handing on -------------------------------------------------------------------------------------------


def test_only_the_cost_is_added() -> None:
    body = answer()
    changed = json.loads(parse(body).body)
    assert changed["usage"].pop("cost") == 0.001
    assert changed == json.loads(body)


@pytest.mark.parametrize("price", [no_price])
def test_without_a_price_the_bytes_are_the_providers(price: Any) -> None:
    assert parse(answer(), price).body == answer()


def test_without_usage_nothing_is_added() -> None:
    for body in (answer(usage=None), json.dumps({"choices": ANSWER["choices"]}).encode()):
        assert parse(body).body == body
        assert parse(body).outcome.usage is None


@pytest.mark.parametrize("cost", [0, 0.5, 1e-9, {"total_cost": 0.006, "request_cost": 0.005}])
def test_the_providers_own_cost_stays(cost: Any) -> None:
    body = answer(usage=usage(cost=cost))
    assert parse(body).body == body


def test_a_cost_of_null_is_filled_in() -> None:
    text = parse(answer(usage=usage(cost=None))).body
    assert json.loads(text)["usage"]["cost"] == 0.001
    assert text.count(b'"cost"') == 1


@pytest.mark.parametrize(
    "numbers",
    [
        b'{"a":123456789012345678901234567890,"b":-9223372036854775809,"c":18446744073709551616}',
        b'{"a":1e-7,"b":-0.0,"c":1.0,"d":0.1234567890123456789,"e":5E+3,"f":9007199254740993}',
        b'{"twice":1,"twice":2}',
        b'{"emoji":"\\ud83d\\ude00","half":"\\ud83d","escaped":"\\u00e9\\/"}',
    ],
)
def test_every_other_byte_is_the_providers_own(numbers: bytes) -> None:
    head = b' {"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"vendor":' + numbers
    body = head + b', "usage" : { "prompt_tokens":1 } , "z":1e2}'
    assert parse(body).body == (head + b', "usage" : { "prompt_tokens":1,"cost":0.001} , "z":1e2}').strip()


@pytest.mark.parametrize(
    "body",
    [
        b'{"usage":{},"choices":[{"message":{"content":"x"}}]}',
        b'{"usage":{"prompt_tokens":1},"choices":[{"message":{"content":"x"}}],"x_groq":{"usage":{"prompt_tokens":1}}}',
        b'{"x":{"usage":{"prompt_tokens":1}},"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1}}',
        b'{"usage":{"prompt_tokens":9},"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1}}',
        b'{"choices":[{"message":{"content":"\\"usage\\":{\\"prompt_tokens\\":1}"}}],"us\\u0061ge":{"prompt_tokens":1}}',
        b'{"choices":[{"message":{"content":"x"}}],"us\\u0061ge":{"prompt_tokens":123456789012345678901234}}',
    ],
)
def test_the_cost_goes_into_the_top_level_usage(body: bytes) -> None:
    changed = json.loads(parse(body).body)
    assert changed["usage"].pop("cost") == 0.001
    assert changed == json.loads(body)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5) | st.just("usage"), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_vendor_field_survives(value: Any) -> None:
    body = json.dumps({"a": value, **ANSWER, "z": value}).encode()
    changed = json.loads(parse(body).body)
    assert changed["usage"].pop("cost") == 0.001
    assert changed == json.loads(body)


@pytest.mark.parametrize(
    ("cost", "digits"),
    [("0.00000001", b"0.00000001"), ("12", b"12"), ("1E-9", b"0.000000001"), ("1E+2", b"100")],
)
def test_a_cost_is_written_without_an_exponent(cost: str, digits: bytes) -> None:
    assert b'"cost":' + digits + b"}" in parse(answer(), lambda _: Decimal(cost)).body


def test_empty_lines_before_the_answer_are_dropped() -> None:
    assert parse(b"\n\n \r\n" + answer() + b"\n", no_price).body == answer()
    assert parse(b"\xef\xbb\xbf" + answer(), no_price).body == answer()


def test_the_price_is_asked_for_the_usage_that_is_recorded() -> None:
    asked: list[Usage] = []

    def price(used: Usage) -> None:
        asked.append(used)

    outcome = parse(answer(usage=usage(11, 7, total=1251)), price).outcome
    assert asked == [outcome.usage]


# -- what it says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text", "calls"),
    [
        ({"content": "Hi"}, "Hi", []),
        ({"content": None}, "", []),
        ({}, "", []),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"text": "b"}, 7]}, "ab", []),
        ({"content": None, "tool_calls": [{"id": "c", "function": {"name": "f"}}]}, "", ["f"]),
        ({"content": "", "tool_calls": None}, "", []),
        ({"function_call": {"name": "old", "arguments": "{}"}}, "", ["old"]),
        ({"content": 7, "tool_calls": [None, "x"]}, "", []),
    ],
)
def test_text_and_calls_are_read_from_the_first_choice(message: Any, text: str, calls: list[str]) -> None:
    other = {"message": {"content": "other"}, "finish_reason": "length"}
    outcome = parse(answer(choices=[{"message": message, "finish_reason": "stop"}, other])).outcome
    assert (outcome.text, outcome.finish_reason) == (text, "stop")
    assert [call["function"]["name"] for call in outcome.tool_calls] == calls


def test_half_an_emoji_is_no_obstacle() -> None:
    outcome = parse(b'{"choices":[{"message":{"content":"a\\ud83d"}}],"usage":{"prompt_tokens":1}}').outcome
    assert outcome.text == "a\ufffd"


@pytest.mark.parametrize("message", [None, "text"])
def test_a_choice_without_a_message_says_nothing(message: Any) -> None:
    assert parse(answer(choices=[{"message": message, "finish_reason": None}])).outcome.text == ""


# -- usage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (usage(5, 2), Usage(input_tokens=5, output_tokens=2, total_tokens=7)),
        ({}, Usage()),
        (
            usage(
                100,
                20,
                prompt_tokens_details={"cached_tokens": 64},
                completion_tokens_details={"reasoning_tokens": 12},
            ),
            Usage(
                input_tokens=100,
                output_tokens=20,
                total_tokens=120,
                cache_read_tokens=64,
                reasoning_tokens=12,
            ),
        ),
        (
            usage(5, 2, prompt_tokens_details=None, completion_tokens_details=None),
            Usage(input_tokens=5, output_tokens=2, total_tokens=7),
        ),
        (  # DeepSeek
            usage(100, 2, prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36),
            Usage(input_tokens=100, output_tokens=2, total_tokens=102, cache_read_tokens=64),
        ),
        (  # OpenRouter
            usage(5, 2, cost=0.00014, prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 3}),
            Usage(
                input_tokens=5,
                output_tokens=2,
                total_tokens=7,
                cache_read_tokens=0,
                cache_write_tokens=3,
                cost_usd=Decimal("0.00014"),
            ),
        ),
        (
            usage(5, 2, cached_tokens=3),
            Usage(input_tokens=5, output_tokens=2, total_tokens=7, cache_read_tokens=3),
        ),
        (  # cached tokens beside the prompt
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 10,
            },
            Usage(input_tokens=115, output_tokens=2, cache_read_tokens=100, cache_write_tokens=10),
        ),
        (  # Anthropic's own names
            {
                "input_tokens": 50,
                "output_tokens": 2,
                "cache_read_input_tokens": 30,
                "cache_creation_input_tokens": 0,
            },
            Usage(input_tokens=80, output_tokens=2, cache_read_tokens=30, cache_write_tokens=0),
        ),
        ({"prompt_tokens": 5}, Usage(input_tokens=5)),
        (
            {"prompt_tokens": 5.0, "completion_tokens": -1, "total_tokens": "7", "cost": True},
            Usage(input_tokens=5),
        ),
        (
            usage(5, 2, cost="0.5"),
            Usage(input_tokens=5, output_tokens=2, total_tokens=7, cost_usd=Decimal("0.5")),
        ),
        (usage(5, 2, cost=-1), Usage(input_tokens=5, output_tokens=2, total_tokens=7)),
        (usage(5, 2, cost="lots"), Usage(input_tokens=5, output_tokens=2, total_tokens=7)),
    ],
)
def test_usage_in_every_vendors_words(told: dict[str, Any], expected: Usage) -> None:
    assert read_usage(told) == expected


def test_cached_tokens_within_the_prompt_stay_within_it() -> None:
    overlapping = usage(2168, 100, prompt_tokens_details={"cached_tokens": 2161, "cache_write_tokens": 2161})
    repeated = usage(120, 2, cache_read_input_tokens=100, prompt_tokens_details={"cached_tokens": 100})
    assert (read_usage(overlapping).input_tokens, read_usage(repeated).input_tokens) == (2168, 120)


@pytest.mark.parametrize(
    ("told", "output", "reasoning"),
    [
        (usage(11, 7, total=1251), 1240, None),
        (usage(12, 1, total=303, completion_tokens_details={"reasoning_tokens": 290}), 291, 290),
        (usage(43, 10, total=53, completion_tokens_details={"reasoning_tokens": 11}), 10, 11),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 1,
                "completion_tokens_details": {"reasoning_tokens": 8},
            },
            9,
            8,
        ),
        (usage(5, 2, total=3), 2, None),
    ],
    ids=["a hidden rest", "reasoning beside", "reasoning within", "beside, no total", "a total too small"],
)
def test_hidden_reasoning_is_output(told: dict[str, Any], output: int, reasoning: int | None) -> None:
    read = read_usage(told)
    assert (read.output_tokens, read.reasoning_tokens) == (output, reasoning)


def test_the_providers_cost_is_exact() -> None:
    body = b'{"choices":[{"message":{}}],"usage":{"prompt_tokens":1,"cost":0.12345678901234567890123}}'
    used = parse(body).outcome.usage
    assert used is not None
    assert used.cost_usd == Decimal("0.12345678901234567890123")


def test_a_vendor_may_read_usage_its_own_way() -> None:
    class Doubling(Plain):
        def read_usage(self, usage: Any) -> Usage:
            return Usage(input_tokens=usage["prompt_tokens"] * 2)

    assert Doubling().parse_chat(CALL, answer(), no_price).outcome.usage == Usage(input_tokens=10)


# -- no answer --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"<html><body>502</body></html>",
        b"null",
        b"[]",
        b'"hi"',
        b"{}",
        b'{"choices":null}',
        b'{"choices":[]}',
        b'{"choices":{}}',
        b'{"choices":[null]}',
        b'{"choices":["x"]}',
        answer()[:-9],
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"choices":[{"logprob":NaN}]}',
        b'{"choices":[1e999]}',
        b'{"choices":[{"x":-Infinity}]}',
        b"data: {}\n\n",
        b"[" * 100_000,
        answer() + b"{}",
    ],
)
def test_what_is_no_answer_is_malformed_and_may_have_run(body: bytes) -> None:
    error = failure(body)
    assert isinstance(error, ProviderFailed)
    assert (error.code, error.may_have_run) == ("provider_protocol", True)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"code": 429, "message": "slow down"}, "provider_rate_limited"),
        ({"code": "503", "message": "busy"}, "provider_overloaded"),
        ({"status": 402}, "provider_insufficient_funds"),
        ({"code": "context_length_exceeded"}, "context_too_long"),
        ({"type": "overloaded_error"}, "provider_overloaded"),
        ({"code": 99, "message": "?"}, "provider_unavailable"),
        ({"code": "insufficient_quota"}, "provider_insufficient_funds"),
        ("out of memory", "provider_unavailable"),
        (True, "provider_unavailable"),
    ],
)
def test_an_error_inside_a_200_is_judged_by_the_status_it_names(told: Any, code: str) -> None:
    assert failure(json.dumps({"error": told}).encode()).code == code
    assert failure(answer(error=told)).code == code


def test_an_error_inside_a_choice_is_one_too() -> None:
    error = failure(answer(choices=[{"finish_reason": "error", "error": {"code": 429, "message": "busy"}}]))
    assert isinstance(error, ProviderBusy)
    assert "busy" in error.detail
    assert failure(answer(choices=[{"finish_reason": "error", "message": {}}])).code == "provider_unavailable"


def test_an_error_of_null_is_none() -> None:
    assert parse(answer(error=None)).outcome.text == "Hi"
