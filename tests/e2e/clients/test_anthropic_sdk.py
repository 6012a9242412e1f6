"""Anthropic's own SDK, given nothing but the gateway's address and key: to whichever provider."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, ToolParam

from tests.e2e.clients import wires
from tests.e2e.clients.polyglot import COUNTED, PROVIDERS, SAYS, SCENES, SIGNATURE, WEATHERS, Polyglot
from tests.integration.local_gateway import Gateway, wait_for

pytestmark = pytest.mark.xdist_group("clients-anthropic")
ASKED: list[MessageParam] = [{"role": "user", "content": "Is it open?"}]
WEATHER: ToolParam = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
EVERYWHERE = pytest.mark.parametrize("slug", PROVIDERS)


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
async def aclient(gateway: Gateway) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as made:
        yield made


def called(message: Any) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


WANTED = [(name, arguments) for _, name, arguments in WEATHERS]


# -- answers ------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_message_is_created(client: Anthropic, slug: str) -> None:
    answer = client.messages.create(model=f"{slug}/says-text", max_tokens=64, messages=ASKED)
    assert [block.text for block in answer.content if block.type == "text"] == [SAYS]
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
        wires.INPUT_TOKENS,
        wires.OUTPUT_TOKENS,
    )


@EVERYWHERE
async def test_a_message_is_created_and_streamed_asynchronously(aclient: AsyncAnthropic, slug: str) -> None:
    model = f"{slug}/says-text"
    answer = await aclient.messages.create(model=model, max_tokens=64, messages=ASKED)
    async with aclient.messages.stream(model=model, max_tokens=64, messages=ASKED) as stream:
        texts = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert "".join(texts) == SAYS
    assert len(texts) > 1 or slug == "gemini"
    assert [(block.type, getattr(block, "text", None)) for block in final.content] == [("text", SAYS)]
    assert [(block.type, getattr(block, "text", None)) for block in answer.content] == [("text", SAYS)]
    assert final.usage.output_tokens == answer.usage.output_tokens


@EVERYWHERE
def test_a_streamed_text_accumulates_to_the_whole_one(client: Anthropic, slug: str) -> None:
    with client.messages.stream(model=f"{slug}/says-text", max_tokens=64, messages=ASKED) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert stream.get_final_text() == SAYS
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (wires.INPUT_TOKENS, wires.OUTPUT_TOKENS)


@EVERYWHERE
@pytest.mark.parametrize("model", ["says-tools", "says-both"])
def test_parallel_tool_calls_come_whole_and_streamed_alike(client: Anthropic, slug: str, model: str) -> None:
    asked: Any = {"model": f"{slug}/{model}", "max_tokens": 64, "messages": ASKED, "tools": [WEATHER]}
    answer = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert called(answer) == called(final) == WANTED
    assert answer.stop_reason == final.stop_reason == "tool_use"
    both: list[Any] = [answer, final]
    for message in both:
        ids = [block.id for block in message.content if block.type == "tool_use"]
        assert len(set(ids)) == 2
        text = "".join(block.text for block in message.content if block.type == "text")
        assert text == SCENES[model].text


@EVERYWHERE
def test_tool_results_go_back_to_the_calls_they_answer(
    client: Anthropic, provider: Polyglot, slug: str
) -> None:
    first = client.messages.create(
        model=f"{slug}/says-both", max_tokens=64, messages=ASKED, tools=[WEATHER], tool_choice={"type": "any"}
    )
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": f"sunny in {block.input['city']}"}
        for block in first.content
        if block.type == "tool_use"
    ]
    turns: list[MessageParam] = [
        *ASKED,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = client.messages.create(model=f"{slug}/says-text", max_tokens=64, messages=turns, tools=[WEATHER])
    assert second.content[0].type == "text"
    sent = json.dumps(provider.asked_for(slug, "says-text")[-1].json)
    assert sent.index("sunny in Oslo") < sent.index("sunny in Rome")
    if slug == "gemini":
        assert sent.count("functionResponse") == 2
    else:
        assert sent.count("call_oslo") == sent.count("call_rome") == 2


# -- thoughts -----------------------------------------------------------------------------------------------


def thoughts(message: Any) -> str:
    return "".join(block.thinking for block in message.content if block.type == "thinking")


@pytest.mark.parametrize("slug", ["anthropic", "gemini", "deepseek"])
@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts_are_given_and_taken_back(
    client: Anthropic, provider: Polyglot, slug: str, streamed: bool
) -> None:
    """Whatever a signature looks like, the client returns it, and its provider gets its own again."""
    asked: Any = {
        "model": f"{slug}/says-thoughts",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    if streamed:
        with client.messages.stream(**asked, messages=ASKED) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(**asked, messages=ASKED)
    assert thoughts(first) == SCENES["says-thoughts"].thought
    assert [block.text for block in first.content if block.type == "text"] == [SAYS]
    again: list[MessageParam] = [
        *ASKED,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "And now?"},
    ]
    second = client.messages.create(**asked, messages=again)
    assert thoughts(second) == thoughts(first)
    sent = json.dumps(provider.asked_for(slug, "says-thoughts")[-1].json)
    assert SAYS in sent
    assert (SIGNATURE in sent) is (slug != "deepseek"), "who signed sees the signature again"


def test_foreign_thoughts_never_reach_anthropic(client: Anthropic, provider: Polyglot) -> None:
    first = client.messages.create(model="deepseek/says-thoughts", max_tokens=4096, messages=ASKED)
    again: list[MessageParam] = [
        *ASKED,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "And now?"},
    ]
    client.messages.create(model="anthropic/says-text", max_tokens=64, messages=again)
    sent = provider.asked_for("anthropic", "says-text")[-1].json["messages"][1]
    assert [block["type"] for block in sent["content"]] == ["text"]


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@EVERYWHERE
def test_pictures_reach_every_provider(client: Anthropic, provider: Polyglot, slug: str) -> None:
    source: Any = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    asked: list[MessageParam] = [{"role": "user", "content": content}]
    client.messages.create(model=f"{slug}/says-text", max_tokens=64, messages=asked)
    assert PIXEL in json.dumps(provider.asked_for(slug, "says-text")[-1].json)


# -- handed through -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(SCENES))
def test_anthropics_own_events_arrive_byte_by_byte(client: Anthropic, model: str) -> None:
    asked: Any = {"model": f"anthropic/{model}", "max_tokens": 64, "messages": ASKED, "stream": True}
    with client.messages.with_streaming_response.create(**asked) as answer:
        received = b"".join(answer.iter_bytes())
    assert received == wires.anthropic_bytes(SCENES[model], model)


@pytest.mark.parametrize("model", sorted(SCENES))
def test_anthropics_own_message_arrives_as_it_is(client: Anthropic, model: str) -> None:
    raw = client.messages.with_raw_response.create(model=f"anthropic/{model}", max_tokens=64, messages=ASKED)
    assert json.loads(raw.text()) == wires.anthropic_message(SCENES[model], model)
    assert raw.headers["x-headgate-provider"] == "anthropic"


def test_fields_and_betas_reach_anthropic_unchanged(client: Anthropic, provider: Polyglot) -> None:
    cached: Any = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    client.messages.create(
        model="anthropic/says-text",
        max_tokens=64,
        messages=ASKED,
        system=[cached],
        extra_body={"brand_new": {"deep": [1]}},
        extra_headers={"anthropic-beta": "new-thing-2026-11-01"},
    )
    call = provider.asked_for("anthropic", "says-text")[-1]
    assert call.json["system"] == [cached]
    assert call.json["brand_new"] == {"deep": [1]}
    assert call.headers["anthropic-beta"] == "new-thing-2026-11-01"
    assert call.headers["anthropic-version"]
    assert call.headers["x-api-key"].startswith("sk-anthropic-")


# -- beside messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["anthropic", "gemini"])
def test_tokens_are_counted_by_those_who_can(client: Anthropic, slug: str) -> None:
    counted = client.messages.count_tokens(model=f"{slug}/says-text", messages=ASKED, system="Be brief.")
    assert counted.input_tokens == COUNTED


def test_tokens_are_estimated_where_nobody_counts_them(client: Anthropic) -> None:
    few = client.messages.count_tokens(model="openai/says-text", messages=ASKED).input_tokens
    long: list[MessageParam] = [{"role": "user", "content": "Is it open? " * 200}]
    many = client.messages.count_tokens(model="openai/says-text", messages=long).input_tokens
    assert 0 < few < many


def test_the_mock_answers_messages_too(client: Anthropic) -> None:
    with client.messages.stream(model="mock/chat", max_tokens=64, messages=ASKED) as stream:
        final = stream.get_final_message()
    assert stream.get_final_text()
    assert final.usage.output_tokens > 0


# -- models -------------------------------------------------------------------------------------------------


def test_models_are_listed_page_by_page_and_found_by_their_ids(client: Anthropic, gateway: Gateway) -> None:
    wanted = {f"{slug}/{name}" for slug in PROVIDERS for name in SCENES}
    wait_for(lambda: wanted <= {each.id for each in client.models.list(limit=1000).data}, 10, gateway)
    whole = client.models.list(limit=1000)
    assert whole.has_more is False
    paged = list(client.models.list(limit=3))
    assert [each.id for each in paged] == [each.id for each in whole.data]
    before = list(client.models.list(limit=3, before_id=whole.data[-1].id))
    assert sorted(each.id for each in before) == sorted(each.id for each in whole.data[:-1])
    for listed in paged[:3]:
        assert client.models.retrieve(listed.id) == listed
    assert all((each.type, bool(each.display_name)) == ("model", True) for each in paged)
    assert {each.created_at.year for each in paged if each.id.startswith("anthropic/")} == {2026}


def test_a_model_that_is_not_there_is_not_found(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("anthropic/none")


# -- errors -------------------------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, anthropic.BadRequestError, "provider_rejected"),
        (404, anthropic.NotFoundError, "model_not_found"),
        (429, anthropic.RateLimitError, "provider_rate_limited"),
        (500, anthropic.InternalServerError, "provider_unavailable"),
    ],
)
def test_errors_are_the_sdks_own_classes(
    client: Anthropic,
    slug: str,
    status: int,
    kind: type[anthropic.APIStatusError],
    code: str,
    *,
    streamed: bool,
) -> None:
    model = f"{slug}/fails-{status}"
    with pytest.raises(kind) as failed:
        client.messages.create(model=model, max_tokens=64, messages=ASKED, stream=streamed)
    body: Any = failed.value.body
    assert body["type"] == "error"
    assert body["error"]["code"] == code
    assert body["request_id"] == failed.value.request_id


def test_a_wrong_key_is_an_authentication_error(client: Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="hg_wrong").messages.create(
            model="anthropic/says-text", max_tokens=64, messages=ASKED
        )


def test_a_wrong_field_is_a_bad_request(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as failed:
        client.messages.create(model="openai/says-text", max_tokens=64, messages=[])
    assert "messages" in failed.value.message


@EVERYWHERE
def test_a_stream_that_breaks_gives_its_text_and_then_an_error(client: Anthropic, slug: str) -> None:
    texts: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError) as failed,
        client.messages.stream(model=f"{slug}/breaks", max_tokens=64, messages=ASKED) as stream,
    ):
        texts.extend(stream.text_stream)
    assert "".join(texts) == SAYS
    body: Any = failed.value.body
    assert body["error"]["code"] == "provider_protocol"
