"""Hugging Face's router: a row holds wherever a call lands, and a token is judged by what it may do."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus
from headgate.domain.errors import NotFound, ProviderRefused
from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.huggingface import HuggingFace
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[4] / "shared" / "provider-data"
)
CONFIG = ProviderConfig(api_key=Secret("hf_0123456789"))


def offer(name: str = "novita", *, status: str = "live", **fields: Any) -> dict[str, Any]:
    return {"provider": name, "status": status, **fields}


def priced(price_in: object, price_out: object, **fields: Any) -> dict[str, Any]:
    return offer(pricing={"input": price_in, "output": price_out}, **fields)


def read(*offers: Any, **fields: Any) -> ModelInfo:
    entry = {"id": "some-lab/Some-Model-7B", "providers": list(offers), **fields}
    (found,) = HuggingFace().parse_list_models(orjson.dumps({"data": [entry]})).models
    return found


def prices(model: ModelInfo) -> tuple[Decimal | None, Decimal | None]:
    assert model.pricing is not None
    return model.pricing.input, model.pricing.output


# -- suffixes ----------------------------------------------------------------------------------------------


def test_a_row_knows_what_each_of_its_hosts_asks_and_that_a_choice_may_lead_to_any() -> None:
    row = read(
        offer("novita", pricing={"input": 1, "output": 2}),
        offer("together", pricing={"input": 3, "output": 4}),
        offer("silent"),
        offer("gone", status="error", pricing={"input": 9, "output": 9}),
    )
    told = {name: (price.input, price.output) for name, price in row.suffixes.items() if price.known}
    assert told == {"novita": (Decimal(1), Decimal(2)), "together": (Decimal(3), Decimal(4))}
    assert {"fastest", "cheapest", "preferred", "silent"} < row.suffixes.keys()


# -- prices ------------------------------------------------------------------------------------------------


def test_prices_are_per_million_tokens_exactly_as_written() -> None:
    assert prices(read(priced(0.435, 0.87))) == (Decimal("0.435"), Decimal("0.87"))


def test_the_price_is_one_that_no_live_provider_exceeds() -> None:
    model = read(priced(1.69, 3.38, throughput=90), priced(2.1, 3.1, throughput=1), priced(1.74, 3.48))
    assert prices(model) == (Decimal("2.1"), Decimal("3.48"))


def test_speed_alone_changes_nothing_of_a_row() -> None:
    slow = read(priced(1, 2, throughput=5), priced(3, 4, throughput=50))
    fast = read(priced(1, 2, throughput=50), priced(3, 4, throughput=5))
    assert slow == fast


def test_who_tells_no_price_says_nothing_of_it() -> None:
    assert prices(read(priced(1, 2), offer())) == (Decimal(1), Decimal(2))
    assert prices(read(offer(), offer())) == (None, None)
    assert not read(offer()).premium


def test_a_provider_that_is_down_sets_no_price_while_another_is_up() -> None:
    assert prices(read(priced(1, 2), priced(9, 9, status="error"))) == (Decimal(1), Decimal(2))
    assert prices(read(priced(9, 9, status="error"))) == (Decimal(9), Decimal(9))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"pricing": {"input": 0, "output": 0}, "is_free": False}, None),
        ({"pricing": {"input": 0, "output": 0}, "is_free": True}, Decimal(0)),
        ({"is_free": True}, Decimal(0)),
        ({"pricing": {"input": 0, "output": 0}}, Decimal(0)),
        ({"pricing": None}, None),
        ({"pricing": {"input": -1}}, None),
        ({"pricing": {"input": "much"}}, None),
    ],
)
def test_zero_is_a_price_only_where_it_is_not_denied(
    fields: dict[str, Any], expected: Decimal | None
) -> None:
    model = read(offer(**fields))
    assert prices(model)[0] == expected
    assert not model.premium


# -- the rest of a row -------------------------------------------------------------------------------------


def test_the_context_is_what_every_live_provider_takes_in() -> None:
    model = read(
        offer(context_length=1_048_576),
        offer(context_length=65_536),
        offer(context_length=0),
        offer(),
        offer(context_length=512, status="error"),
    )
    assert model.context_window == 65_536
    assert read(offer()).context_window is None


def test_a_capability_is_one_of_all_that_speak_of_it() -> None:
    able = offer(supports_tools=True, supports_structured_output=True)
    silent = offer()
    unable = offer(supports_tools=True, supports_structured_output=False)
    assert read(able, silent).capabilities == {"streaming", "tools", "structured_output"}
    assert read(able, unable).capabilities == {"streaming", "tools"}
    assert read(silent).capabilities == {"streaming"}


@pytest.mark.parametrize(
    ("offers", "status"),
    [
        ([offer(), offer()], ModelStatus.AVAILABLE),
        ([offer(), offer(status="error")], ModelStatus.LIMITED),
        ([offer(status="error")], ModelStatus.UNAVAILABLE),
        ([offer(status="staging")], ModelStatus.UNAVAILABLE),
        ([], ModelStatus.UNAVAILABLE),
        ([{"provider": "novita"}], ModelStatus.AVAILABLE),
        (["what is this"], ModelStatus.AVAILABLE),
    ],
)
def test_the_status_is_that_of_those_who_serve_it(offers: list[Any], status: ModelStatus) -> None:
    assert read(*offers).status is status


def test_a_list_that_says_nothing_of_providers_is_still_a_list() -> None:
    (model,) = HuggingFace().parse_list_models(b'{"data":[{"id":"some-lab/bare"}]}').models
    assert model.status is ModelStatus.AVAILABLE
    assert model.pricing is not None
    assert not model.pricing.known


def test_modalities_come_from_the_architecture_whatever_the_name_sounds_like() -> None:
    shape = {"input_modalities": ["image", "text"], "output_modalities": ["text"]}
    model = read(offer(), id="some-lab/flux-of-words", architecture=shape)
    assert model.modality is Modality.TEXT
    assert model.input_modalities == ("text", "image")
    assert model.vision
    assert "vision" in model.capabilities


@pytest.mark.parametrize(
    ("native_id", "canonical"),
    [
        ("deepseek-ai/DeepSeek-V4-Pro", "deepseek/deepseek-v4-pro"),
        ("zai-org/GLM-5.2", "z-ai/glm-5.2"),
        ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/llama-3.3-70b-instruct"),
        ("Qwen/Qwen3-32B", "qwen/qwen3-32b"),
        ("MiniMaxAI/MiniMax-M3", "minimax/minimax-m3"),
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b"),
    ],
)
def test_the_same_model_has_the_same_name_as_elsewhere(native_id: str, canonical: str) -> None:
    assert read(offer(), id=native_id).canonical_id == canonical


# -- models of embeddings ----------------------------------------------------------------------------------

HUBS = {
    "id": "BAAI/bge-m3",
    "inferenceProviderMapping": [
        {
            "provider": "hf-inference",
            "providerId": "BAAI/bge-m3",
            "status": "live",
            "task": "feature-extraction",
        }
    ],
}


def lists(hub: Answer, *, base_url: str | None = None) -> tuple[BoundProvider, ScriptedTransport]:
    """The router's list of one model of chats, and this answer of the Hub's."""
    transport = ScriptedTransport().on("/api/models", hub)
    transport.on("/v1/models", Answer.of_json({"data": [{"id": "some-lab/chats"}]}))
    config = ProviderConfig(api_key=CONFIG.api_key, base_url=base_url, max_retries=0)
    return BoundProvider(HuggingFace(), config, transport=transport, clock=ManualClock()), transport


async def test_models_of_embeddings_are_listed_by_the_hub() -> None:
    bound, transport = lists(Answer.of_json([HUBS]))
    listing = await bound.list_models()
    assert [(each.native_id, each.modality) for each in listing.models] == [
        ("BAAI/bge-m3", Modality.EMBEDDING),
        ("some-lab/chats", Modality.TEXT),
    ]
    assert not listing.partial
    asked = dict(parse_qsl(urlsplit(transport.requests[1].url).query))
    assert transport.requests[1].url.startswith("https://huggingface.co/api/models?")
    assert asked["filter"] == "feature-extraction"
    assert asked["inference_provider"].split(",") == ["hf-inference", "deepinfra", "scaleway", "together"]


@pytest.mark.parametrize("hub", [Answer(503), Answer(404), Answer(401), Answer(200, b"<html>")])
async def test_without_the_hub_the_routers_list_is_there_and_partial(hub: Answer) -> None:
    bound, _ = lists(hub)
    listing = await bound.list_models()
    assert [each.native_id for each in listing.models] == ["some-lab/chats"]
    assert listing.partial
    assert len(listing.dropped) == 1


async def test_where_the_base_url_was_replaced_the_hub_is_not_asked() -> None:
    bound, transport = lists(Answer.of_json([HUBS]), base_url="http://127.0.0.1:9/v1")
    listing = await bound.list_models()
    assert [request.url for request in transport.requests] == ["http://127.0.0.1:9/v1/models"]
    assert (len(listing.models), listing.partial, listing.pages) == (1, False, 1)


# -- calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [":fastest", ":cheapest", ":preferred", ":novita", ""])
def test_a_suffix_goes_to_the_router_as_it_is(suffix: str) -> None:
    call = ChatCall(body={"messages": []}, model=f"Qwen/Qwen3-32B{suffix}", stream=False)
    request = HuggingFace().build_chat(call, CONFIG)
    assert request.url == "https://router.huggingface.co/v1/chat/completions"
    assert orjson.loads(request.body or b"")["model"] == f"Qwen/Qwen3-32B{suffix}"


def test_the_key_is_checked_at_the_hub_unless_the_base_url_was_replaced() -> None:
    provider = HuggingFace()
    usual = provider.build_key_check(CONFIG)
    assert usual is not None
    assert usual.url == "https://huggingface.co/api/whoami-v2"
    elsewhere = ProviderConfig(api_key=CONFIG.api_key, base_url="http://127.0.0.1:9/v1/", guarded=True)
    replaced = provider.build_key_check(elsewhere)
    assert replaced is not None
    assert replaced.url == "http://127.0.0.1:9/v1/api/whoami-v2"
    assert replaced.guarded


def token(**access: Any) -> bytes:
    return orjson.dumps({"name": "some-person", "auth": {"accessToken": access}})


@pytest.mark.parametrize(
    "body",
    [
        token(role="read"),
        token(role="write", fineGrained=None),
        token(fineGrained={"global": ["inference.serverless.write"], "scoped": []}),
        token(fineGrained={"scoped": [{"permissions": ["inference.serverless.write"]}]}),
        token(fineGrained={"scoped": [{"permissions": []}, {"permissions": ["inference.serverless.write"]}]}),
        b"{}",
        b"not json at all",
        b"[1]",
    ],
)
def test_a_token_is_good_unless_it_is_known_to_be_too_small(body: bytes) -> None:
    HuggingFace().parse_key_check(body)


@pytest.mark.parametrize(
    "rights", [{}, {"scoped": [{"permissions": ["repo.write"]}], "global": []}, {"scoped": "x", "global": 7}]
)
def test_a_fine_grained_token_without_that_right_is_told_of(rights: dict[str, Any]) -> None:
    with pytest.raises(ProviderRefused, match="Inference Providers") as caught:
        HuggingFace().parse_key_check(token(fineGrained=rights))
    assert "some-person" not in caught.value.detail


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "no", "code": "model_not_supported"}}),
        (400, {"error": "Model not supported by provider together"}),
        (404, {"error": "The requested model 'a/b' is not supported by any provider you have enabled."}),
    ],
)
def test_a_model_that_nobody_serves_is_not_found(status: int, body: dict[str, Any]) -> None:
    error = HuggingFace().classify_error(status, {}, orjson.dumps(body))
    assert isinstance(error, NotFound)
    assert error.failover


def test_a_rejection_that_speaks_of_models_is_still_a_rejection() -> None:
    body = b'{"error":"The model expects a user message; not supported: system"}'
    assert HuggingFace().classify_error(400, {}, body).code == "provider_rejected"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"ratelimit": '"api"; r=0; t=55'}, 55.0),
        ({"ratelimit": '"api";r=0;t=55', "retry-after": "3"}, 3.0),
        ({"ratelimit": "t=soon"}, None),
        ({}, None),
    ],
)
def test_when_a_window_ends_is_taken_from_the_headers(headers: dict[str, str], wait_s: float | None) -> None:
    assert HuggingFace().classify_error(429, headers, b"{}").retry_after_s == wait_s


# -- recorded ----------------------------------------------------------------------------------------------

CHATS = sorted((RECORDED / "huggingface" / "recorded").glob("**/*.json"))


def no_price(_usage: Usage) -> Decimal | None:
    return None


if CHATS:

    @pytest.mark.recorded
    @pytest.mark.parametrize("path", CHATS, ids=[path.name for path in CHATS])
    def test_a_real_answer_is_read_to_its_end(path: Path) -> None:
        exchange = json.loads(path.read_bytes())
        asked, answer = exchange["request"]["body"], exchange["response"]
        call = ChatCall(body=asked, model=asked["model"], stream=bool(asked["stream"]))
        if answer["body_kind"] == "sse":
            reader = HuggingFace().read_chat_stream(call, no_price)
            events = [*reader.feed(answer["body"].encode()), *reader.end()]
            outcome = reader.outcome
            assert [event.error for event in events if event.error is not None] == []
        else:
            body = orjson.dumps(answer["body"])
            outcome = HuggingFace().parse_chat(call, body, no_price).outcome
            assert outcome.finish_reason in ("stop", "length", "tool_calls")
            assert outcome.usage is not None
            assert outcome.usage.input_tokens == answer["body"]["usage"]["prompt_tokens"]
        assert outcome.text or outcome.tool_calls

    @pytest.mark.recorded
    def test_the_routers_real_list_is_read_without_loss() -> None:
        body = (RECORDED / "huggingface/router-models-excerpt-genai-prices.json").read_bytes()
        entry = json.loads((RECORDED / "huggingface/router-model-entry-hubdocs.json").read_bytes())
        page = HuggingFace().parse_list_models(body)
        (documented,) = HuggingFace().parse_list_models(orjson.dumps({"data": [entry]})).models
        models = {model.native_id: model for model in page.models}
        assert page.dropped == ()
        assert len(models) == 4
        assert prices(models["moonshotai/Kimi-K3"]) == (Decimal(3), Decimal(15))
        assert prices(models["thinkingmachines/Inkling"]) == (Decimal(1), Decimal("4.05"))
        assert prices(models["prism-ml/Ternary-Bonsai-27B-gguf"]) == (None, None)
        assert models["zai-org/GLM-5.2"].context_window == 512_000
        assert prices(documented) == (Decimal("2.1"), Decimal("4.4"))
        assert documented.context_window == 65_536
        assert "tools" in documented.capabilities
        assert "structured_output" not in documented.capabilities
