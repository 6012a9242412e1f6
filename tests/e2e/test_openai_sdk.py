"""OpenAI's own SDK, given nothing but the gateway's address and key."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.e2e.upstream import (
    DONE,
    FINISH,
    FIRST,
    Call,
    End,
    Endless,
    Pause,
    Script,
    Step,
    Upstream,
    chunk,
    completion,
    event,
    stream,
    whole,
    words,
)
from tests.integration.local_gateway import Gateway, StartGateway, wait_for

SAYS = "The gate is open."
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Is it open?"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
}
PRICED = {
    "id": "acme/priced",
    "name": "Acme: Priced",
    "pricing": {
        "prompt": "0.000001",
        "completion": "0.000004",
        "input_cache_read": "0.0000001",
        "internal_reasoning": "0.000004",
    },
    "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
}
USED = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 800},
    "completion_tokens_details": {"reasoning_tokens": 300},
}
COST = 0.00228
"""Dollars: 200 fresh tokens at 1 and 800 cached ones at 0.1, 500 out at 4, a million each."""


@pytest.fixture(scope="module")
def gateway(provider: Upstream, start_gateway: StartGateway) -> Gateway:
    provider.lists["openrouter"] = whole({"data": [PRICED]})
    return start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_HEAD_CHECK_S="0.2",
        **provider.environ("openai", "openrouter", "deepseek"),
    )


@pytest.fixture(scope="module", params=["/v1", "/api/v1"])
def client(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + request.param, api_key=gateway.key, max_retries=0) as made:
        wait_for(lambda: len(list(made.models.list())) == 3, 10, gateway)
        yield made


@pytest.fixture
async def aclient(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def records(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as made:
        yield made


type Says = Callable[[Script], str]


@pytest.fixture
def says(provider: Upstream, request: pytest.FixtureRequest) -> Says:
    """Scripts a model of this test's own; its id."""

    def script(given: Script) -> str:
        name = f"said {request.node.name}"
        provider.scripts[name] = given
        return f"openai/{name}"

    return script


def asked_of(provider: Upstream, model: str) -> list[Call]:
    return provider.calls(model.removeprefix("openai/"))


# -- answers ------------------------------------------------------------------------------------------------


def test_a_whole_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="openai/gpt-any", messages=ASKED)
    assert answer.choices[0].message.content == SAYS
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14


def test_a_streamed_answer(client: OpenAI) -> None:
    with client.chat.completions.create(model="openai/gpt-any", messages=ASKED, stream=True) as chunks:
        seen = list(chunks)
    assert "".join(one.choices[0].delta.content or "" for one in seen) == SAYS
    assert seen[-1].choices[0].finish_reason == "stop"
    assert seen[-1].usage is not None, "usage comes in the last chunk, also where nobody asked for it"


def test_a_usage_chunk_of_its_own_comes_to_who_asks_for_one(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="openai/gpt-any", messages=ASKED, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        *seen, last = chunks
    assert all(one.usage is None and one.choices for one in seen)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (9, 5)


def test_the_accumulating_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="openai/gpt-any", messages=ASKED, stream_options={"include_usage": True}
    ) as running:
        deltas = [one.delta for one in running if one.type == "content.delta"]
        final = running.get_final_completion()
    assert "".join(deltas) == SAYS
    assert final.choices[0].message.content == SAYS
    assert final.usage is not None
    assert final.usage.total_tokens == 14


async def test_many_at_once(aclient: AsyncOpenAI) -> None:
    async def ask(number: int) -> str | None:
        model = f"openai/gpt-{number}"
        if number % 2:
            answer = await aclient.chat.completions.create(model=model, messages=ASKED)
            return answer.choices[0].message.content
        chunks = await aclient.chat.completions.create(model=model, messages=ASKED, stream=True)
        return "".join([one.choices[0].delta.content or "" async for one in chunks])

    assert await asyncio.gather(*(ask(number) for number in range(24))) == [SAYS] * 24


async def test_the_accumulating_helper_asynchronously(aclient: AsyncOpenAI) -> None:
    async with aclient.chat.completions.stream(model="openai/gpt-any", messages=ASKED) as running:
        final = await running.get_final_completion()
    assert final.choices[0].message.content == SAYS


# -- what is sent -------------------------------------------------------------------------------------------


def test_messages_with_images_and_fields_of_the_providers_own_arrive_as_they_were_sent(
    client: OpenAI, provider: Upstream, says: Says
) -> None:
    model = says(whole(completion()))
    image = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 400).decode()
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Kurz, bitte 🙂"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": image, "detail": "high"}},
            ],
        },
    ]
    client.chat.completions.create(
        model=model,
        messages=messages,
        temperature=0.3,
        seed=2**63,
        extra_body={"top_k": 7, "nested": {"a": [None]}},
    )
    sent = asked_of(provider, model)[-1].json
    assert sent == {
        "model": model.removeprefix("openai/"),
        "messages": messages,
        "temperature": 0.3,
        "seed": 2**63,
        "top_k": 7,
        "nested": {"a": [None]},
    }


def test_the_gateways_key_stays_here_and_the_providers_goes_there(
    client: OpenAI, gateway: Gateway, provider: Upstream, says: Says
) -> None:
    model = says(whole(completion()))
    client.chat.completions.create(model=model, messages=ASKED)
    sent = asked_of(provider, model)[-1]
    assert sent.headers["authorization"] == "Bearer sk-openai-loopback-0123456789"
    assert gateway.key not in str(sent.headers) + str(sent.body)


# -- tools and schemas --------------------------------------------------------------------------------------

CALLS = [
    {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}},
    {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rom"}'}},
]


def _streamed_calls() -> bytes:
    """Both calls at once, their arguments in turns of three characters."""
    starts = [
        {**call, "index": at, "function": {"name": "weather", "arguments": ""}}
        for at, call in enumerate(CALLS)
    ]
    events = event(chunk({"role": "assistant", "content": None, "tool_calls": starts}))
    texts = [str(call["function"]["arguments"]) for call in CALLS]  # type: ignore[index]
    for start in range(0, max(map(len, texts)), 3):
        for index, text in enumerate(texts):
            part = {"index": index, "function": {"arguments": text[start : start + 3]}}
            events += event(chunk({"tool_calls": [part]}))
    return events + event(chunk({}, "tool_calls")) + DONE


def test_parallel_tool_calls(client: OpenAI, says: Says) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": CALLS}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    model = says(whole(completion(choices=[choice])))
    answer = client.chat.completions.create(
        model=model, messages=ASKED, tools=[WEATHER], parallel_tool_calls=True
    )
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert [call.model_dump() for call in calls] == CALLS
    assert answer.choices[0].finish_reason == "tool_calls"


def test_parallel_tool_calls_whose_arguments_are_streamed_in_turns(client: OpenAI, says: Says) -> None:
    model = says(stream(_streamed_calls()))
    with client.chat.completions.stream(model=model, messages=ASKED, tools=[WEATHER]) as running:
        final = running.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [(call.id, call.function.arguments) for call in calls] == [
        ("call_a", '{"city":"Köln"}'),
        ("call_b", '{"city":"Rom"}'),
    ]


class Door(BaseModel):
    name: str
    open: bool


def test_a_schema_is_sent_and_its_answer_parsed(client: OpenAI, provider: Upstream, says: Says) -> None:
    model = says(whole(completion('{"name":"north","open":true}')))
    answer = client.chat.completions.parse(model=model, messages=ASKED, response_format=Door)
    assert answer.choices[0].message.parsed == Door(name="north", open=True)
    sent = asked_of(provider, model)[-1].json["response_format"]
    assert sent["json_schema"]["schema"]["required"] == ["name", "open"]


# -- usage, cost, headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_cached_and_reasoning_tokens_and_the_cost_are_told_and_recorded(
    streamed: bool, client: OpenAI, provider: Upstream, records: httpx.Client
) -> None:
    def script(call: Call) -> Sequence[Step]:
        told = stream(FIRST + words("Open.") + FINISH + event(chunk(usage=USED)) + DONE)
        return told if call.json.get("stream") else whole(completion(usage=USED))

    provider.scripts["acme/priced"] = script
    if streamed:
        chunks = client.chat.completions.create(model="openrouter/acme/priced", messages=ASKED, stream=True)
        usage, response = list(chunks)[-1].usage, chunks.response
        generation = response.headers["x-headgate-generation-id"]
    else:
        raw = client.chat.completions.with_raw_response.create(model="openrouter/acme/priced", messages=ASKED)
        usage, generation = raw.parse().usage, raw.headers["x-headgate-generation-id"]
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 800
    assert usage.completion_tokens_details.reasoning_tokens == 300
    assert usage.model_extra == {"cost": COST}
    record = records.get(f"/v2/generations/{generation}").json()
    assert record["usage"] == {
        "input_tokens": 1000,
        "output_tokens": 500,
        "cache_read_tokens": 800,
        "cache_write_tokens": None,
        "reasoning_tokens": 300,
        "total_tokens": 1500,
        "estimated": False,
    }
    assert record["cost"]["charged"] == {"amount": "0.00228", "currency": "USD"}


def test_headers_tell_who_served_and_what_it_took(client: OpenAI, records: httpx.Client) -> None:
    raw = client.chat.completions.with_raw_response.create(model="deepseek/chat", messages=ASKED)
    assert raw.headers["x-headgate-provider"] == "deepseek"
    assert raw.headers["x-headgate-model-served"] == "deepseek/chat"
    assert raw.headers["x-headgate-attempts"] == "1"
    assert "provider;dur=" in raw.headers["server-timing"]
    assert raw.request_id is not None
    assert raw.request_id.startswith("req_")
    record = records.get(f"/v2/generations/{raw.headers['x-headgate-generation-id']}").json()
    assert (record["status"], record["model"]) == ("succeeded", "deepseek/chat")


def test_a_fallback_list_of_models_is_followed(client: OpenAI, provider: Upstream, says: Says) -> None:
    failing = says(whole({"error": {"message": "down"}}, 500))
    raw = client.chat.completions.with_raw_response.create(model=f"{failing},deepseek/chat", messages=ASKED)
    assert raw.headers["x-headgate-attempts"] == "2"
    assert raw.headers["x-headgate-model-served"] == "deepseek/chat"
    assert raw.parse().choices[0].message.content == SAYS


# -- models -------------------------------------------------------------------------------------------------


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [
        "deepseek/gpt-listed",
        "openai/gpt-listed",
        "openrouter/acme/priced",
    ]
    one = client.models.retrieve("openrouter/acme/priced")
    assert one.model_extra is not None
    assert one.model_extra["pricing"]["prompt"] == "0.000001"
    with pytest.raises(openai.NotFoundError) as failed:
        client.models.retrieve("openrouter/acme/prised")
    assert failed.value.code == "model_not_found"
    assert "openrouter/acme/priced" in failed.value.message


# -- errors -------------------------------------------------------------------------------------------------

SAID = {"error": {"message": "as told", "type": "loopback"}}


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        (whole(SAID, 400), openai.BadRequestError, "provider_rejected"),
        (whole(SAID, 404), openai.NotFoundError, "model_not_found"),
        (whole(SAID, 429, retry_after="300"), openai.RateLimitError, "provider_rate_limited"),
        (whole(SAID, 500), openai.InternalServerError, "provider_unavailable"),
        (whole(b"<html>"), openai.InternalServerError, "provider_protocol"),
        (whole(SAID, 524), openai.InternalServerError, "provider_timeout"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_are_the_sdks_own_classes(
    script: Script,
    kind: type[openai.APIStatusError],
    code: str,
    *,
    streamed: bool,
    client: OpenAI,
    says: Says,
) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        client.chat.completions.create(model=says(script), messages=ASKED, stream=streamed)
    assert type(failed.value) is kind
    assert failed.value.code == code
    assert isinstance(failed.value.body, dict)
    assert failed.value.body["provider"] == "openai"
    assert failed.value.request_id == failed.value.body["request_id"]
    assert failed.value.response.headers.get("retry-after") == ("300" if code.endswith("limited") else None)


def test_a_wrong_key_is_an_authentication_error_and_a_providers_wrong_key_is_none(
    client: OpenAI, says: Says
) -> None:
    with pytest.raises(openai.AuthenticationError) as ours:
        client.with_options(api_key="hg_wrong").models.list()
    assert ours.value.code == "unauthenticated"
    with pytest.raises(openai.APIStatusError) as theirs:
        client.chat.completions.create(model=says(whole(SAID, 401)), messages=ASKED)
    assert (theirs.value.status_code, theirs.value.code) == (424, "provider_auth")


def test_a_wrong_field_is_a_bad_request_that_names_it(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        client.chat.completions.create(model="openai/gpt-any", messages=[])
    assert (failed.value.code, failed.value.param) == ("invalid_request", "messages")


def test_an_error_in_mid_stream_is_raised_after_what_came_before(client: OpenAI, says: Says) -> None:
    broken = event({"error": {"message": "as told", "code": "server_error"}})
    model = says(stream(FIRST + words("The", " gate"), Pause(0.1), broken))
    chunks = client.chat.completions.create(model=model, messages=ASKED, stream=True)
    seen = [next(chunks).choices[0].delta.content or "" for _ in range(3)]
    assert "".join(seen) == "The gate"
    with pytest.raises(openai.APIError) as failed:
        next(chunks)
    assert failed.value.code == "provider_unavailable"


# -- retries ------------------------------------------------------------------------------------------------


def in_turn(*scripts: Sequence[Step]) -> Script:
    """One script per call; the last one repeats."""
    left = list(scripts)
    return lambda _call: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(("status", "sends"), [(400, 1), (401, 1), (402, 1), (403, 1), (404, 1), (500, 2)])
def test_the_sdk_asks_again_only_where_that_may_help(
    status: int, sends: int, client: OpenAI, provider: Upstream, says: Says
) -> None:
    """424 and 404 say `x-should-retry: false`; the gateway itself never sends a 500 again."""
    model = says(in_turn(whole(SAID, status), whole(completion())))
    before = len(asked_of(provider, model))
    again = client.with_options(max_retries=2)
    if sends == 1:
        with pytest.raises(openai.APIStatusError) as failed:
            again.chat.completions.create(model=model, messages=ASKED)
        assert failed.value.response.headers["x-should-retry"] == "false"
    else:
        again.chat.completions.create(model=model, messages=ASKED)
    assert len(asked_of(provider, model)) - before == sends


def test_the_sdk_waits_as_long_as_the_provider_said(client: OpenAI, provider: Upstream, says: Says) -> None:
    """The gateway asks three times itself; then the SDK, told to wait a second, asks again."""
    limited = whole(SAID, 429, retry_after="0.1")
    model = says(in_turn(limited, limited, limited, whole(completion())))
    answer = client.with_options(max_retries=1).chat.completions.create(model=model, messages=ASKED)
    assert answer.choices[0].message.content == SAYS
    times = [call.at_s for call in asked_of(provider, model)][-4:]
    assert times[2] - times[0] < 1.0
    assert times[3] - times[2] >= 1.0


# -- clients that leave -------------------------------------------------------------------------------------


def ended(records: httpx.Client, generation: str) -> dict[str, Any]:
    """The record, once it says that the generation is over."""
    found: dict[str, Any] = {"status": "running"}
    deadline_s = time.monotonic() + 5
    while found["status"] == "running" and time.monotonic() < deadline_s:
        found = records.get(f"/v2/generations/{generation}").json()
    return found


def test_a_stream_closed_early_ends_the_call_and_its_record_says_cancelled(
    client: OpenAI, provider: Upstream, records: httpx.Client, says: Says
) -> None:
    model = says(stream(FIRST, Endless(words("x"))))
    with client.chat.completions.create(model=model, messages=ASKED, stream=True) as chunks:
        for _ in range(5):
            next(chunks)
        generation = chunks.response.headers["x-headgate-generation-id"]
    assert asked_of(provider, model)[-1].gone.wait(5)
    record = ended(records, generation)
    assert (record["status"], record["provider"], record["error"]) == ("cancelled", "openai", None)
    assert [one["outcome"] for one in record["attempts"]] == ["cancelled"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_times_out_ends_the_call(
    streamed: bool, client: OpenAI, provider: Upstream, records: httpx.Client, says: Says
) -> None:
    model = says((End.HANG,))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model=model, messages=ASKED, stream=streamed)
    call = asked_of(provider, model)[-1]
    assert call.gone.wait(5)
    cancelled = records.get("/v2/generations?status=cancelled").json()["data"]
    mine = [one for one in cancelled if one["attempts"] and one["attempts"][0]["model"] == model]
    assert [one["cost"]["charged"]["amount"] for one in mine[:1]] == ["0"]


async def test_a_cancelled_task_ends_the_call(aclient: AsyncOpenAI, provider: Upstream, says: Says) -> None:
    model = says((End.HANG,))
    task = asyncio.create_task(aclient.chat.completions.create(model=model, messages=ASKED))
    await asyncio.to_thread(wait_for, lambda: asked_of(provider, model), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(asked_of(provider, model)[-1].gone.wait, 5)
