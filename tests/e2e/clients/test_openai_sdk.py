"""OpenAI's own SDK to providers that speak otherwise, and its Responses to all of them."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import Response, ResponseErrorEvent
from pydantic import BaseModel

from tests.e2e.clients import wires
from tests.e2e.clients.polyglot import PROVIDERS, SAYS, SCENES, SIGNATURE, WEATHERS, Polyglot
from tests.integration.local_gateway import Gateway

pytestmark = pytest.mark.xdist_group("clients-openai")
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Is it open?"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY, "strict": True}}
FLAT: Any = {"type": "function", "name": "weather", "parameters": CITY, "strict": True}
WANTED = [(name, arguments) for _, name, arguments in WEATHERS]
EVERYWHERE = pytest.mark.parametrize("slug", PROVIDERS)
TRANSLATED = pytest.mark.parametrize("slug", ["anthropic", "gemini"])


class Gate(BaseModel):
    open: bool
    since: int


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
async def aclient(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


# -- chat completions, translated ---------------------------------------------------------------------------


@TRANSLATED
def test_a_chat_is_answered_whole_and_streamed_alike(client: OpenAI, slug: str) -> None:
    model = f"{slug}/says-text"
    answer = client.chat.completions.create(model=model, messages=ASKED)
    chunks = list(client.chat.completions.create(model=model, messages=ASKED, stream=True))
    assert answer.choices[0].message.content == SAYS
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == SAYS
    assert answer.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "stop"
    for usage in (answer.usage, chunks[-1].usage):
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens) == (wires.INPUT_TOKENS, wires.OUTPUT_TOKENS)


@TRANSLATED
def test_parallel_tools_are_called_whole_and_streamed_alike(client: OpenAI, slug: str) -> None:
    asked: Any = {"model": f"{slug}/says-both", "messages": ASKED, "tools": [WEATHER]}
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion()
    for choice in (whole.choices[0], streamed.choices[0]):
        calls = choice.message.tool_calls or []
        made = [(c.function.name, json.loads(c.function.arguments)) for c in calls if c.type == "function"]
        assert made == WANTED
        assert len({call.id for call in calls}) == 2
        assert choice.finish_reason == "tool_calls"


@TRANSLATED
def test_tool_results_go_back_to_the_calls_they_answer(client: OpenAI, provider: Polyglot, slug: str) -> None:
    first = client.chat.completions.create(model=f"{slug}/says-tools", messages=ASKED, tools=[WEATHER])
    message = first.choices[0].message
    turns: list[Any] = [*ASKED, message]
    turns += [
        {"role": "tool", "tool_call_id": call.id, "content": f"sunny, says call {number}"}
        for number, call in enumerate(message.tool_calls or [])
    ]
    client.chat.completions.create(model=f"{slug}/says-text", messages=turns, tools=[WEATHER])
    sent = provider.asked_for(slug, "says-text")[-1].json
    told = json.dumps(sent)
    assert told.index("says call 0") < told.index("says call 1")
    turn_list = sent["messages"] if slug == "anthropic" else sent["contents"]
    assert len(turn_list) == 3, "both results are one turn"


@EVERYWHERE
def test_a_schema_is_asked_for_and_parsed(client: OpenAI, provider: Polyglot, slug: str) -> None:
    answer = client.chat.completions.parse(model=f"{slug}/says-json", messages=ASKED, response_format=Gate)
    assert answer.choices[0].message.parsed == Gate(open=True, since=1850)
    assert "since" in json.dumps(provider.asked_for(slug, "says-json")[-1].json)


@TRANSLATED
async def test_a_chat_streams_asynchronously(aclient: AsyncOpenAI, slug: str) -> None:
    async with aclient.chat.completions.stream(model=f"{slug}/says-text", messages=ASKED) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == SAYS


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@TRANSLATED
def test_pictures_reach_every_provider(client: OpenAI, provider: Polyglot, slug: str) -> None:
    picture: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    asked: Any = [{"role": "user", "content": [picture, {"type": "text", "text": "What is this?"}]}]
    client.chat.completions.create(model=f"{slug}/says-text", messages=asked)
    assert PIXEL in json.dumps(provider.asked_for(slug, "says-text")[-1].json)


@TRANSLATED
def test_a_stream_that_breaks_gives_its_text_and_then_an_error(client: OpenAI, slug: str) -> None:
    chunks = client.chat.completions.create(model=f"{slug}/breaks", messages=ASKED, stream=True)
    pieces = (choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    texts: list[str] = []
    with pytest.raises(APIError) as failed:
        texts.extend(pieces)
    assert "".join(texts) == SAYS
    assert failed.value.code == "provider_protocol"


@TRANSLATED
def test_the_limit_and_stops_are_translated_and_what_is_dropped_is_named(
    client: OpenAI, provider: Polyglot, slug: str
) -> None:
    """Claudes since 4.7 refuse a temperature, and one without a version counts as new."""
    raw = client.chat.completions.with_raw_response.create(
        model=f"{slug}/says-text", messages=ASKED, max_completion_tokens=77, stop=["END"], temperature=0.5
    )
    sent = provider.asked_for(slug, "says-text")[-1].json
    if slug == "anthropic":
        assert (sent["stop_sequences"], sent["max_tokens"]) == (["END"], 77)
        assert "temperature" not in sent
        assert raw.headers["x-headgate-dropped-fields"] == "temperature"
    else:
        told = sent["generationConfig"]
        assert (told["stopSequences"], told["maxOutputTokens"], told["temperature"]) == (["END"], 77, 0.5)
        assert "x-headgate-dropped-fields" not in raw.headers


# -- Responses ----------------------------------------------------------------------------------------------


def called(response: Response) -> list[tuple[str, Any]]:
    items = [item for item in response.output if item.type == "function_call"]
    return [(item.name, json.loads(item.arguments)) for item in items]


@EVERYWHERE
def test_a_response_is_created(client: OpenAI, slug: str) -> None:
    answer = client.responses.create(model=f"{slug}/says-text", input="Is it open?", store=False)
    assert answer.output_text == SAYS
    assert answer.status == "completed"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
        wires.INPUT_TOKENS,
        wires.OUTPUT_TOKENS,
    )


@EVERYWHERE
def test_a_streamed_response_accumulates_to_the_whole_one(client: OpenAI, slug: str) -> None:
    with client.responses.stream(model=f"{slug}/says-text", input="Is it open?", store=False) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == SAYS
    assert final.output_text == SAYS


@EVERYWHERE
def test_a_response_calls_tools_in_parallel(client: OpenAI, provider: Polyglot, slug: str) -> None:
    asked: Any = {"model": f"{slug}/says-both", "input": "Weather?", "tools": [FLAT], "store": False}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        streamed = stream.get_final_response()
    assert called(whole) == called(streamed) == WANTED
    calls: list[Any] = [item for item in whole.output if item.type == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny, says call {number}"}
        for number, call in enumerate(calls)
    ]
    given: Any = [{"role": "user", "content": "Weather?"}, *whole.output, *results]
    again = client.responses.create(model=f"{slug}/says-text", input=given, tools=[FLAT], store=False)
    assert again.output_text == SAYS
    told = json.dumps(provider.asked_for(slug, "says-text")[-1].json)
    assert told.index("says call 0") < told.index("says call 1")


@EVERYWHERE
def test_a_response_is_parsed_by_its_schema(client: OpenAI, slug: str) -> None:
    answer = client.responses.parse(
        model=f"{slug}/says-json", input="Is it open?", text_format=Gate, store=False
    )
    assert answer.output_parsed == Gate(open=True, since=1850)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("slug", ["anthropic", "gemini"])
def test_sealed_reasoning_goes_back_to_whoever_thought_it(
    client: OpenAI, provider: Polyglot, slug: str, streamed: bool
) -> None:
    asked: Any = {
        "model": f"{slug}/says-thoughts",
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    if streamed:
        with client.responses.stream(**asked, input="Open?") as stream:
            first = stream.get_final_response()
    else:
        first = client.responses.create(**asked, input="Open?")
    summaries = [part.text for item in first.output if item.type == "reasoning" for part in item.summary]
    assert "".join(summaries) == SCENES["says-thoughts"].thought
    assert first.output_text == SAYS
    given: Any = [{"role": "user", "content": "Open?"}, *first.output, {"role": "user", "content": "Now?"}]
    client.responses.create(**asked, input=given)
    sent = json.dumps(provider.asked_for(slug, "says-thoughts")[-1].json)
    assert SIGNATURE in sent


@EVERYWHERE
def test_a_response_that_breaks_gives_its_text_and_then_an_error(client: OpenAI, slug: str) -> None:
    asked: Any = {"model": f"{slug}/breaks", "input": "Open?", "stream": True, "store": False}
    events: list[Any] = []
    with pytest.raises(APIError):
        events.extend(client.responses.create(**asked))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAYS
    assert "response.completed" not in [event.type for event in events]


@EVERYWHERE
def test_the_error_that_breaks_a_response_is_numbered_like_its_other_events(
    client: OpenAI, slug: str
) -> None:
    asked: Any = {"model": f"{slug}/breaks", "input": "Open?", "stream": True, "store": False}
    with client.responses.with_streaming_response.create(**asked) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert ResponseErrorEvent.model_validate(events[-1]).code == "provider_protocol"


@pytest.mark.parametrize("model", sorted(SCENES))
def test_openais_own_response_events_arrive_byte_by_byte(client: OpenAI, model: str) -> None:
    asked: Any = {"model": f"openai/{model}", "input": "Is it open?", "stream": True, "store": False}
    with client.responses.with_streaming_response.create(**asked) as answer:
        received = b"".join(answer.iter_bytes())
    assert received == wires.response_bytes(SCENES[model], model)


async def test_a_response_streams_asynchronously(aclient: AsyncOpenAI) -> None:
    async with aclient.responses.stream(model="anthropic/says-text", input="Open?", store=False) as stream:
        final = await stream.get_final_response()
    assert final.output_text == SAYS


# -- embeddings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["openai", "gemini"])
def test_texts_are_embedded(client: OpenAI, slug: str) -> None:
    """The SDK asks for base64 by itself, and reads either form."""
    answer = client.embeddings.create(model=f"{slug}/embeds", input=["one", "two"])
    assert [row.embedding for row in answer.data] == [[0.25, -0.5, 0.0], [0.25, -0.5, 1.0]]
    assert [row.index for row in answer.data] == [0, 1]
