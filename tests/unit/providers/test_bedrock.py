"""Amazon Bedrock: where it is, who may call it as whom, its lists, and its answers over a real connection."""

import re
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headgate.bootstrap import Container, memory_adapters
from headgate.domain.catalog import Modality, ModelStatus
from headgate.domain.errors import InvalidRequest, ProviderRefused
from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.bedrock import Bedrock
from headgate.providers.bound import BoundProvider
from headgate.providers.dialects.bedrock_families import canonical_of
from headgate.providers.registry import ProviderRegistry
from headgate.settings import from_environ
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport
from tests.unit.providers.framing import answer, event, exception

MODEL = "us.anthropic.claude-sonnet-4-20250514-v1:0"
BASE = "anthropic.claude-sonnet-4-20250514-v1:0"


def no_price(_usage: Usage) -> Decimal | None:
    return None


def call(*, stream: bool) -> ChatCall:
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return ChatCall(body=body, model=MODEL, stream=stream)


class PaperSigner:
    """Signs so that a test can read for what."""

    async def sign(self, request: WireRequest, *, service: str, region: str) -> Mapping[str, str | Secret]:
        return {"authorization": Secret(f"{service} in {region}: {request.method}")}


async def unconfigured(_slug: str) -> ProviderConfig | None:
    return None


def registry(transport: ScriptedTransport, *, region: str | None = "eu-west-1") -> ProviderRegistry:
    return ProviderRegistry(
        transport=transport, clock=ManualClock(), configure=unconfigured, signer=PaperSigner(), region=region
    )


def authorization(request: WireRequest) -> str:
    value = request.headers["authorization"]
    assert isinstance(value, Secret)
    return value.reveal()


# -- where, and as whom -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "runtime", "control"),
    [
        (None, "bedrock-runtime.us-east-1.amazonaws.com", "bedrock.us-east-1.amazonaws.com"),
        ("eu-west-1", "bedrock-runtime.eu-west-1.amazonaws.com", "bedrock.eu-west-1.amazonaws.com"),
        (
            "us-gov-west-1",
            "bedrock-runtime.us-gov-west-1.amazonaws.com",
            "bedrock.us-gov-west-1.amazonaws.com",
        ),
        ("cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn", "bedrock.cn-north-1.amazonaws.com.cn"),
        ("evil.example/", "bedrock-runtime.us-east-1.amazonaws.com", "bedrock.us-east-1.amazonaws.com"),
    ],
)
def test_models_run_and_are_listed_at_two_hosts_of_the_region(
    region: str | None, runtime: str, control: str
) -> None:
    config = ProviderConfig(metadata={} if region is None else {"region": region})
    assert Bedrock().build_chat(call(stream=False), config).url.startswith(f"https://{runtime}/model/")
    for listed in (Bedrock().build_list_models(config, None), Bedrock().build_key_check(config)):
        assert listed is not None
        assert listed.url.startswith(f"https://{control}/")


async def test_every_request_is_signed_where_the_function_runs() -> None:
    transport = ScriptedTransport().on("/", Answer.of_json({"modelSummaries": []}))
    bound = registry(transport).bind("bedrock", ProviderConfig())
    await bound.list_models()
    await bound.check_key()
    assert [authorization(request) for request in transport.requests] == ["bedrock in eu-west-1: GET"] * 2
    assert "eu-west-1" not in repr(transport.requests[0].headers)


async def test_a_key_is_sent_as_it_is_and_nothing_is_signed() -> None:
    transport = ScriptedTransport().on("/", Answer.of_json({"modelSummaries": []}))
    bound = registry(transport).bind("bedrock", ProviderConfig(api_key=Secret("bedrock-api-key-x")))
    await bound.list_models()
    assert authorization(transport.requests[0]) == "Bearer bedrock-api-key-x"
    assert transport.requests[0].url.startswith("https://bedrock.eu-west-1.")


async def test_the_role_never_signs_for_an_address_of_a_callers() -> None:
    config = ProviderConfig(base_url="https://caller.example", guarded=True)
    with pytest.raises(InvalidRequest) as caught:
        registry(ScriptedTransport()).bind("bedrock", config)
    assert [error.field for error in caught.value.errors] == ["api_key"]
    transport = ScriptedTransport()
    bound = BoundProvider(Bedrock(), config, transport=transport, clock=ManualClock(), signer=PaperSigner())
    with pytest.raises(ProviderRefused):
        await bound.chat(call(stream=False), no_price)
    assert transport.requests == []


async def test_where_nobody_can_sign_nothing_is_sent() -> None:
    transport = ScriptedTransport()
    bound = BoundProvider(Bedrock(), ProviderConfig(), transport=transport, clock=ManualClock())
    with pytest.raises(ProviderRefused):
        await bound.list_models()
    assert transport.requests == []


@pytest.mark.parametrize(("value", "there"), [("on", True), ("1", True), ("off", False), ("", False)])
async def test_it_is_there_when_it_is_turned_on(value: str, there: bool) -> None:
    settings = from_environ("refresh", {"HEADGATE_STORE": "memory", "HEADGATE_BEDROCK": value})
    services = Container(settings, memory_adapters(settings))
    assert ("bedrock" in await services.platform.configured()) is there
    assert (await services.registry.find("bedrock") is not None) is there
    await services.close()


# -- lists ------------------------------------------------------------------------------------------------


def entry(model: str, *, kinds: list[str], inputs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "modelId": model,
        "modelName": "A name",
        "inputModalities": inputs or ["TEXT"],
        "outputModalities": ["TEXT"],
        "inferenceTypesSupported": kinds,
        "responseStreamingSupported": True,
        **more,
    }


def profile(model: str, **more: Any) -> dict[str, Any]:
    return {
        "inferenceProfileId": model,
        "inferenceProfileName": f"Profile {model}",
        "status": "ACTIVE",
        **more,
    }


def profiles(*entries: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    return {"inferenceProfileSummaries": list(entries), "nextToken": token}


async def test_profiles_are_read_to_their_last_page_and_take_what_their_model_takes() -> None:
    models = {
        "modelSummaries": [
            entry("amazon.nova-micro-v1:0", kinds=["ON_DEMAND", "INFERENCE_PROFILE"]),
            entry(
                BASE,
                kinds=["INFERENCE_PROFILE"],
                inputs=["TEXT", "IMAGE"],
                modelLifecycle={"status": "LEGACY"},
            ),
        ]
    }
    pages: dict[str | None, dict[str, Any]] = {
        None: profiles(profile(f"us.{BASE}"), profile("us.gone.model-v1:0"), token="a+b/c=="),
        "a+b/c==": profiles(profile(f"global.{BASE}"), profile("us.x.y-v1:0", status="OTHER")),
    }

    def page(request: WireRequest) -> Answer:
        query = dict(parse_qsl(request.url.partition("?")[2]))
        assert (query["maxResults"], query["type"]) == ("1000", "SYSTEM_DEFINED")
        return Answer.of_json(pages[query.get("nextToken")])

    transport = ScriptedTransport().on("/foundation-models", Answer.of_json(models))
    transport.on("/inference-profiles", page)
    listing = await registry(transport).bind("bedrock", ProviderConfig()).list_models()
    assert (listing.pages, listing.partial, listing.dropped) == (3, False, ())
    by_id = {model.native_id: model for model in listing.models}
    assert by_id.keys() == {
        "amazon.nova-micro-v1:0",
        f"global.{BASE}",
        f"us.{BASE}",
        "us.gone.model-v1:0",
    }
    for native_id in (f"us.{BASE}", f"global.{BASE}"):
        model = by_id[native_id]
        assert model.canonical_id == "anthropic/claude-sonnet-4"
        assert model.status is ModelStatus.DEPRECATED
        assert model.input_modalities == ("text", "image")
        assert {"vision", "tools", "streaming", "reasoning", "prompt_caching"} <= model.capabilities
        assert model.name == f"Profile {native_id}"


def test_what_can_not_be_called_over_http_is_not_listed() -> None:
    body = {
        "modelSummaries": [
            entry("a.on-demand-v1:0", kinds=["ON_DEMAND"]),
            entry("a.profile-v1:0", kinds=["INFERENCE_PROFILE"]),
            entry("a.bought-v1:0:28k", kinds=["PROVISIONED"]),
            entry("a.heard-v1:0", kinds=["ON_DEMAND"], inputs=["SPEECH"]),
        ]
    }
    page = Bedrock().parse_list_models(orjson.dumps(body))
    assert [model.native_id for model in page.models] == ["a.on-demand-v1:0"]
    assert page.dropped == ()


@pytest.mark.parametrize(
    ("model", "outputs", "modality"),
    [
        ("amazon.titan-embed-text-v2:0", ["EMBEDDING"], Modality.EMBEDDING),
        ("amazon.nova-canvas-v1:0", ["IMAGE"], Modality.IMAGE),
        ("amazon.nova-reel-v1:0", ["VIDEO"], Modality.VIDEO),
        ("cohere.rerank-v3-5:0", ["TEXT"], Modality.RERANK),
        ("writer.palmyra-x5-v1:0", ["TEXT"], Modality.TEXT),
    ],
)
def test_a_model_is_of_the_kind_of_what_comes_out_of_it(
    model: str, outputs: list[str], modality: Modality
) -> None:
    body = {"modelSummaries": [entry(model, kinds=["ON_DEMAND"], outputModalities=outputs)]}
    (found,) = Bedrock().parse_list_models(orjson.dumps(body)).models
    assert found.modality is modality


@pytest.mark.parametrize(
    ("native_id", "canonical"),
    [
        ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic/claude-sonnet-4"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic/claude-3.5-sonnet"),
        ("global.anthropic.claude-opus-4-6-v1", "anthropic/claude-opus-4.6"),
        (f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{BASE}", "anthropic/claude-sonnet-4"),
        ("apac.amazon.nova-pro-v1:0", "amazon/nova-pro-v1"),
        ("meta.llama3-8b-instruct-v1:0", "meta-llama/llama-3-8b-instruct"),
        ("us.meta.llama3-1-70b-instruct-v1:0", "meta-llama/llama-3.1-70b-instruct"),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", "meta-llama/llama-4-maverick"),
        ("mistral.mistral-large-2407-v1:0", "mistralai/mistral-large-2407"),
        ("openai.gpt-oss-120b-1:0", "openai/gpt-oss-120b"),
        ("us.deepseek.r1-v1:0", "deepseek/deepseek-r1"),
        ("qwen.qwen3-32b-v1:0", "qwen/qwen3-32b"),
        ("cohere.command-r-plus-v1:0", "cohere/command-r-plus"),
    ],
)
def test_a_model_has_the_name_that_it_has_elsewhere(native_id: str, canonical: str) -> None:
    assert canonical_of(native_id) == canonical


# -- over a connection ------------------------------------------------------------------------------------


class Runtime:
    """A server of Bedrock's interface on this machine, which answers with `pieces` as they are cut."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.content_type = "application/vnd.amazon.eventstream"
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.raw_path, headers, await request.read()))
        response = web.StreamResponse(headers={"content-type": self.content_type})
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        return response


@pytest.fixture
async def runtime() -> AsyncIterator[tuple[Runtime, str]]:
    runtime = Runtime()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", runtime.answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield runtime, f"http://127.0.0.1:{server.port}"
    await server.close()


@pytest.fixture
async def bound(
    runtime: tuple[Runtime, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BoundProvider]:
    """As the gateway composes it: from its settings, with its transport, signed with credentials found."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session-token")
    environ = {"HEADGATE_STORE": "memory", "HEADGATE_BEDROCK": "1", "AWS_REGION": "eu-west-1"}
    settings = from_environ("generations", {**environ, "HEADGATE_LOCAL": "1", "BEDROCK_BASE_URL": runtime[1]})
    services = Container(settings, memory_adapters(settings))
    yield await services.registry.get("bedrock")
    await services.close()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


async def events_of(bound: BoundProvider) -> tuple[bytes, Any, Any]:
    """What the client gets, what came of it, and the failure at its end."""
    stream = await bound.open_chat_stream(call(stream=True), no_price)
    events = [each async for each in stream]
    await stream.close()
    return b"".join(each.data for each in events), stream.outcome, events[-1].error


@pytest.mark.parametrize("size", [1, 17, 100_000])
async def test_a_stream_of_frames_reaches_the_client_as_it_expects_one(
    runtime: tuple[Runtime, str], bound: BoundProvider, size: int
) -> None:
    runtime[0].pieces = cut(answer({"text": "Hel"}, {"text": "lo"}), size)
    data, outcome, error = await events_of(bound)
    assert error is None
    assert (outcome.text, outcome.finish_reason) == ("Hello", "stop")
    assert outcome.usage == Usage(input_tokens=10, output_tokens=5, total_tokens=15)
    assert data.endswith(b"data: [DONE]\n\n")


async def test_what_is_signed_arrives_as_it_was_signed(
    runtime: tuple[Runtime, str], bound: BoundProvider
) -> None:
    runtime[0].pieces = [answer({"text": "Hello"})]
    await events_of(bound)
    ((path, headers, body),) = runtime[0].asked
    assert path == f"/model/{MODEL.replace(':', '%3A')}/converse-stream"
    assert headers["accept"] == "application/vnd.amazon.eventstream"
    assert headers["x-amz-security-token"] == "a-session-token"
    assert "/eu-west-1/bedrock/aws4_request" in headers["authorization"]
    signed = re.search(r"SignedHeaders=([^,]+)", headers["authorization"])
    assert signed is not None
    assert signed[1] == "content-type;host;x-amz-date;x-amz-security-token"
    assert headers["host"] == runtime[1].removeprefix("http://")
    assert orjson.loads(body) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


async def test_a_whole_answer_is_read_over_a_connection(
    runtime: tuple[Runtime, str], bound: BoundProvider
) -> None:
    message = {"role": "assistant", "content": [{"text": "Hello"}]}
    told = {"output": {"message": message}, "stopReason": "max_tokens", "usage": {"inputTokens": 1}}
    runtime[0].content_type, runtime[0].pieces = "application/json", [orjson.dumps(told)]
    found = await bound.chat(call(stream=False), no_price)
    assert (found.outcome.text, found.outcome.finish_reason) == ("Hello", "length")
    assert runtime[0].asked[0][0].endswith("/converse")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (exception("throttlingException", "Slow down."), "provider_rate_limited"),
        (answer({"text": "lo"})[:-30], "provider_protocol"),
        (b"\x00" * 40, "provider_protocol"),
    ],
)
async def test_what_breaks_within_a_stream_ends_it_with_its_code(
    runtime: tuple[Runtime, str], bound: BoundProvider, data: bytes, code: str
) -> None:
    delta = {"contentBlockIndex": 0, "delta": {"text": "Hel"}}
    runtime[0].pieces = [event("messageStart", {}), event("contentBlockDelta", delta), data]
    written, _, error = await events_of(bound)
    assert error.code == code
    assert error.may_have_run
    assert b"Hel" in written
    assert b"[DONE]" not in written


async def test_embeddings_are_signed_for_sent_whole_and_counted(
    runtime: tuple[Runtime, str], bound: BoundProvider
) -> None:
    runtime[0].content_type = "application/json"
    runtime[0].pieces = [orjson.dumps({"embedding": [0.5], "inputTextTokenCount": 3})]
    body: dict[str, Any] = {"input": "one", "dimensions": None, "routing": {}}
    asked = ChatCall(body=body, model="amazon.titan-embed-text-v2:0", stream=False)
    found = await bound.embed(asked, no_price)
    assert orjson.loads(found.body)["data"][0]["embedding"] == [0.5]
    assert found.outcome.usage == Usage(input_tokens=3, output_tokens=0, total_tokens=3)
    ((path, headers, sent),) = runtime[0].asked
    assert path == "/model/amazon.titan-embed-text-v2%3A0/invoke"
    assert "/eu-west-1/bedrock/aws4_request" in headers["authorization"]
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert orjson.loads(sent) == {"inputText": "one"}
