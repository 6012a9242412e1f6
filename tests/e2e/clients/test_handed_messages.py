"""Anthropic's SDK to Claude by way of OpenRouter and Requesty, whose messages are handed through."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam, ToolParam

from tests.e2e.clients import wires
from tests.e2e.clients.polyglot import SAYS, SCENES, WEATHERS
from tests.e2e.upstream import Call, End, Step, Upstream, stream, whole
from tests.integration.local_gateway import Gateway, StartGateway

pytestmark = pytest.mark.xdist_group("clients-handed")
ASKED: list[MessageParam] = [{"role": "user", "content": "Is it open?"}]
WEATHER: ToolParam = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PROVIDERS = ("openrouter", "requesty")
EVERYWHERE = pytest.mark.parametrize("slug", PROVIDERS)
COST_USD = 0.0000345


class Claudes(Upstream):
    """Routers that speak messages under `/messages`, and chat completions as every upstream does.

    Models are `anthropic/<scene>`; `anthropic/fails-<status>` fails, `anthropic/breaks` ends
    too early; OpenRouter's say what they cost, and its
    streams end in `[DONE]`.
    """

    def asked_for(self, slug: str) -> Call:
        """The last chat that this provider was asked for."""
        mine = [each for each in self.asked if each.path.startswith(f"/{slug}/")]
        return [each for each in mine if each.method == "POST"][-1]

    def _script(self, call: Call) -> Sequence[Step]:
        if not call.path.endswith("/messages"):
            return super()._script(call)
        model = str(call.json["model"])
        scene = model.removeprefix("anthropic/")
        if scene.startswith("fails-"):
            error = {"type": "overloaded_error", "message": "Busy.", "error_type": "provider_overloaded"}
            return whole({"type": "error", "error": error, "request_id": None}, int(scene[6:]))
        if scene == "breaks":
            events = wires.anthropic_bytes(SCENES["says-text"], model)
            return stream(events[: events.index(b"event: message_delta")], End.CLOSE)
        routed = call.path.startswith("/openrouter/")
        if call.json.get("stream"):
            events = wires.anthropic_bytes(SCENES[scene], model)
            return stream(b": OPENROUTER PROCESSING\n\n" + events + b"data: [DONE]\n\n" if routed else events)
        return whole(message(scene, model, routed=routed))


def message(scene: str, model: str, *, routed: bool) -> dict[str, Any]:
    told = wires.anthropic_message(SCENES[scene], model)
    return told | {"usage": told["usage"] | {"cost": COST_USD}} if routed else told


@pytest.fixture(scope="module")
def claudes() -> Iterator[Claudes]:
    server = Claudes()
    yield server
    server.close()


@pytest.fixture(scope="module")
def routed(claudes: Claudes, start_gateway: StartGateway) -> Gateway:
    return start_gateway(HEADGATE_STORE="memory", HEADGATE_MOCK="0", **claudes.environ(*PROVIDERS))


@pytest.fixture(scope="module")
def client(routed: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=routed.url, api_key=routed.key, max_retries=0) as made:
        yield made


@EVERYWHERE
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_a_message_arrives_as_it_is(client: Anthropic, claudes: Claudes, slug: str, scene: str) -> None:
    raw = client.messages.with_raw_response.create(
        model=f"{slug}/anthropic/{scene}", max_tokens=64, messages=ASKED, system="Be brief."
    )
    assert json.loads(raw.text()) == message(scene, f"anthropic/{scene}", routed=slug == "openrouter")
    assert raw.headers["x-headgate-provider"] == slug
    assert claudes.asked_for(slug).path == f"/{slug}/messages"
    assert claudes.asked_for(slug).json["system"] == "Be brief."


@EVERYWHERE
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_a_stream_arrives_byte_for_byte(client: Anthropic, slug: str, scene: str) -> None:
    asked: Any = {"model": f"{slug}/anthropic/{scene}", "max_tokens": 64, "messages": ASKED, "stream": True}
    with client.messages.with_streaming_response.create(**asked) as answer:
        received = b"".join(answer.iter_bytes())
    assert received == wires.anthropic_bytes(SCENES[scene], f"anthropic/{scene}")


@EVERYWHERE
def test_the_sdk_adds_a_stream_up_to_the_whole_message(client: Anthropic, slug: str) -> None:
    asked: Any = {"model": f"{slug}/anthropic/says-both", "max_tokens": 64, "messages": ASKED}
    with client.messages.stream(**asked, tools=[WEATHER]) as opened:
        final = opened.get_final_message()
    calls = [(block.id, block.name, block.input) for block in final.content if block.type == "tool_use"]
    assert calls == [tuple(each) for each in WEATHERS]
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == wires.OUTPUT_TOKENS


@EVERYWHERE
def test_each_router_gets_its_key_as_it_wants_it(client: Anthropic, claudes: Claudes, slug: str) -> None:
    client.messages.create(model=f"{slug}/anthropic/says-text", max_tokens=64, messages=ASKED)
    headers = claudes.asked_for(slug).headers
    key = f"sk-{slug}-loopback-0123456789"
    if slug == "requesty":
        assert (headers["x-api-key"], headers.get("authorization")) == (key, None)
    else:
        assert (headers.get("x-api-key"), headers["authorization"]) == (None, f"Bearer {key}")


def test_what_openrouter_says_it_cost_is_told_and_recorded(client: Anthropic, routed: Gateway) -> None:
    raw = client.messages.with_raw_response.create(
        model="openrouter/anthropic/says-text", max_tokens=64, messages=ASKED
    )
    assert raw.parse().usage.to_dict()["cost"] == COST_USD
    with routed.client() as asking:
        found = asking.get(f"/v2/generations/{raw.headers['x-headgate-generation-id']}").json()
    assert found["usage"]["input_tokens"] == wires.INPUT_TOKENS
    assert float(found["cost"]["provider_cost"]["amount"]) == COST_USD


@EVERYWHERE
def test_a_model_of_another_maker_is_translated_for(client: Anthropic, claudes: Claudes, slug: str) -> None:
    answer = client.messages.create(
        model=f"{slug}/maker/some-model", max_tokens=64, messages=ASKED, metadata={"user_id": "ann"}
    )
    assert [block.text for block in answer.content if block.type == "text"] == [SAYS]
    assert claudes.asked_for(slug).path == f"/{slug}/chat/completions"


@EVERYWHERE
def test_what_a_router_does_not_describe_is_refused_by_its_name(client: Anthropic, slug: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as failed:
        client.messages.create(
            model=f"{slug}/anthropic/says-text",
            max_tokens=64,
            messages=ASKED,
            extra_body={"mcp_servers": [{"type": "url", "url": "https://tools.example", "name": "t"}]},
        )
    assert "mcp_servers" in failed.value.message


@EVERYWHERE
@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_in_anthropics_shape_is_read(client: Anthropic, slug: str, *, streamed: bool) -> None:
    with pytest.raises(anthropic.APIStatusError) as failed:
        client.messages.create(
            model=f"{slug}/anthropic/fails-529", max_tokens=64, messages=ASKED, stream=streamed
        )
    body: Any = failed.value.body
    assert (body["type"], body["error"]["code"]) == ("error", "provider_overloaded")


@EVERYWHERE
def test_a_stream_that_breaks_gives_its_text_and_then_an_error(client: Anthropic, slug: str) -> None:
    texts: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError) as failed,
        client.messages.stream(model=f"{slug}/anthropic/breaks", max_tokens=64, messages=ASKED) as opened,
    ):
        texts.extend(opened.text_stream)
    assert "".join(texts) == SAYS
    body: Any = failed.value.body
    assert body["error"]["code"] == "provider_protocol"
