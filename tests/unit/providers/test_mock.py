"""The mock provider answers like a real one, through the same dialect, and fails as it is told to."""

import json
import operator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headgate.domain.catalog import Modality, ModelStatus
from headgate.domain.errors import HeadgateError, ProviderRejected
from headgate.domain.generation import Usage
from headgate.providers._mock_models import MODELS
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.mock import Mock, MockTransport
from tests.unit.providers.mocking import Talk

FIXTURES = Path(__file__).parents[2] / "fixtures" / "providers" / "mock"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "minLength": 3},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}


@pytest.fixture
def talk() -> Talk:
    return Talk.begin()


# -- the list ---------------------------------------------------------------------------------------------


async def test_the_list_holds_models_of_every_kind(talk: Talk) -> None:
    listing = await talk.bound.list_models()
    assert listing.dropped == ()
    models = {model.native_id: model for model in listing.models}
    assert models.keys() == {model.id for model in MODELS}
    assert {model.modality for model in models.values()} == {Modality.TEXT, Modality.EMBEDDING}
    assert models["embed"].output_modalities == ("embeddings",)
    assert models["echo"].premium is False
    assert models["chat"].premium is True
    assert models["chat"].vision
    assert models["chat"].pricing is not None
    assert models["chat"].pricing.output == Decimal("0.6")
    assert "reasoning" in models["reasoner"].capabilities
    assert "tools" in models["agent"].capabilities
    assert models["retiring"].status_at(datetime(2026, 11, 20, tzinfo=UTC)) is ModelStatus.DEPRECATED
    assert models["retiring"].status_at(datetime(2101, 1, 1, tzinfo=UTC)) is ModelStatus.UNAVAILABLE


async def test_the_kept_list_is_the_one_that_is_served() -> None:
    request = Mock().build_list_models(ProviderConfig(), None)
    assert request is not None
    served = await (await MockTransport().send(request)).read()
    assert json.loads(served) == json.loads((FIXTURES / "models.json").read_text())


def test_nothing_of_it_can_leave_the_process() -> None:
    provider = Mock()
    provider.validate_config(ProviderConfig())
    assert isinstance(provider.transport(), MockTransport)
    assert provider.base_url(ProviderConfig()).split("/")[2].endswith(".invalid")
    assert "authorization" not in provider.headers(ProviderConfig())


async def test_without_a_key_there_is_nothing_to_check(talk: Talk) -> None:
    assert talk.bound.has_key_check is False
    await talk.bound.check_key()


# -- answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [model.id for model in MODELS])
async def test_a_streamed_answer_says_what_a_whole_one_says(talk: Talk, model: str) -> None:
    whole, whole_outcome = await talk.whole(model)
    events, stream_outcome = await talk.stream(model)
    assert stream_outcome == whole_outcome
    assert whole_outcome.text
    assert whole_outcome.finish_reason == "stop"
    assert whole["usage"]["cost"] == 0.002
    assert events[-1].data == b"data: [DONE]\n\n"
    assert sum(event.content for event in events) > 3


async def test_the_echo_says_the_last_message_again(talk: Talk) -> None:
    assert (await talk.whole("echo"))[1].text == "Say né 🌍 twice, please"


async def test_only_the_reasoner_thinks_and_its_thoughts_are_output(talk: Talk) -> None:
    thinking, outcome = await talk.whole("reasoner")
    assert thinking["choices"][0]["message"]["reasoning_content"]
    assert outcome.usage is not None
    assert 0 < (outcome.usage.reasoning_tokens or 0) < (outcome.usage.output_tokens or 0)
    assert "reasoning_content" not in (await talk.whole("chat"))[0]["choices"][0]["message"]


async def test_longer_prompts_have_more_tokens(talk: Talk) -> None:
    def asked(words: int, *parts: Any) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "text", "text": "word " * words}, *parts]}]

    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    counts = [
        (await talk.whole("echo", messages=messages))[0]["usage"]["prompt_tokens"]
        for messages in (asked(1), asked(100), asked(100, image))
    ]
    assert counts[0] < 20 < counts[1] < counts[2]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("model", ["chat", "reasoner"])
async def test_a_limit_of_tokens_cuts_the_answer(talk: Talk, model: str, limit: str) -> None:
    _, outcome = await talk.whole(model, **{limit: 3})
    assert outcome.finish_reason == "length"
    assert outcome.usage is not None
    assert outcome.usage.output_tokens == 3


async def test_a_stop_sequence_ends_the_text(talk: Talk) -> None:
    assert (await talk.whole("echo", stop=["twice", "never"]))[1].text == "Say né 🌍 "
    assert (await talk.whole("echo", stop="né"))[1].text == "Say "


async def test_several_choices_are_made(talk: Talk) -> None:
    whole, _ = await talk.whole("echo", n=3)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    events, outcome = await talk.stream("echo", n=3)
    assert events[-1].error is None
    assert outcome.text == "Say né 🌍 twice, please"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({}, "get_weather"),
        ({"tool_choice": "required"}, "get_weather"),
        ({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, "get_time"),
    ],
)
async def test_tools_are_called_with_arguments_that_satisfy_them(
    talk: Talk, extra: dict[str, Any], name: str, stream: bool
) -> None:
    ask = talk.stream if stream else talk.whole
    _, outcome = await ask("agent", tools=[WEATHER, TIME], **extra)
    (call,) = outcome.tool_calls
    assert (call["function"]["name"], outcome.finish_reason, outcome.text) == (name, "tool_calls", "")
    schema = WEATHER["function"]["parameters"] if name == "get_weather" else {"type": "object"}
    jsonschema.validate(json.loads(call["function"]["arguments"]), schema)
    assert call["id"]


async def test_a_tools_result_is_answered_in_words(talk: Talk) -> None:
    messages = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "function": {"name": "get_weather"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "17 degrees"},
    ]
    _, outcome = await talk.whole("agent", tools=[WEATHER], messages=messages)
    assert "17 degrees" in outcome.text
    assert outcome.tool_calls == ()


async def test_no_tool_is_called_where_none_is_wanted(talk: Talk) -> None:
    assert (await talk.whole("agent", tools=[WEATHER], tool_choice="none"))[1].tool_calls == ()


@pytest.mark.parametrize("stream", [False, True])
async def test_structured_output_satisfies_its_schema(talk: Talk, stream: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"people": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/person"}}},
        "required": ["people"],
        "additionalProperties": False,
        "$defs": {
            "person": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[A-Z][a-z]+$"},
                    "mail": {"type": "string", "format": "email"},
                    "boss": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
                },
                "required": ["name", "mail", "boss"],
            }
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "people", "strict": True, "schema": schema}}
    ask = talk.stream if stream else talk.whole
    jsonschema.validate(json.loads((await ask("chat", response_format=wanted))[1].text), schema)


async def test_a_json_object_is_one(talk: Talk) -> None:
    text = (await talk.whole("chat", response_format={"type": "json_object"}))[1].text
    assert isinstance(json.loads(text), dict)


async def test_it_says_what_images_it_saw(talk: Talk) -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png?token=1"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    ]
    text = (await talk.whole("chat", messages=[{"role": "user", "content": content}]))[1].text
    for seen in ("image/png", "68 bytes", "example.com", "input_audio"):
        assert seen in text


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"content": "x"}]},
        {"max_tokens": 0},
        {"max_tokens": "many"},
        {"n": 99},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "nothing"}}},
        {"tools": [{"type": "function", "function": {}}]},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"schema": {"minItems": 10**9, "type": "array"}},
            }
        },
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"minLength": 10**12}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"schema": {"properties": {"a": 7}, "required": 5}},
            }
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,%%"}}]}
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///a"}}]}
            ]
        },
    ],
)
async def test_what_a_real_server_refuses_is_refused(talk: Talk, body: dict[str, Any]) -> None:
    with pytest.raises(HeadgateError) as caught:
        await talk.whole("chat", **body)
    assert caught.value.code == "provider_rejected"


async def test_there_are_no_other_models(talk: Talk) -> None:
    for model in ("gpt-4o", "fault-", "fault-99", "fault-600", "fault-nonsense"):
        assert (await talk.fails(model)).code == "model_not_found"


async def test_embeddings_are_unit_vectors_near_each_other_where_words_are_shared(talk: Talk) -> None:
    texts = ["the cat sat on the mat", "a cat sat on a mat", "interest rates rose again"]
    call = ChatCall(body={"input": texts, "dimensions": 512}, model="embed", stream=False)
    answer = await talk.bound.embed(call, lambda _usage: None)
    vectors = [row["embedding"] for row in json.loads(answer.body)["data"]]
    assert [len(vector) for vector in vectors] == [512] * 3
    near, far = (sum(map(operator.mul, vectors[0], other)) for other in vectors[1:])
    assert near > 0.4 > far
    assert answer.outcome.usage == Usage(input_tokens=16, output_tokens=0, total_tokens=16)
    again = await talk.bound.embed(call, lambda _usage: None)
    assert again.body == answer.body


async def test_a_model_that_makes_no_embeddings_says_which_does(talk: Talk) -> None:
    call = ChatCall(body={"input": "x"}, model="echo", stream=False)
    with pytest.raises(ProviderRejected, match="embed does"):
        await talk.bound.embed(call, lambda _usage: None)
