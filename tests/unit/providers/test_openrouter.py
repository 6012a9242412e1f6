"""OpenRouter's list and errors, with the traps that its own documents and lists hold."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus
from headgate.domain.secret import Secret
from headgate.providers.base import ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.openrouter import OpenRouter
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

CONFIG = ProviderConfig(api_key=Secret("sk-or-v1-0123456789"))


def model(**fields: Any) -> ModelInfo:
    return models({"id": "some/model", **fields})[0]


def models(*entries: Mapping[str, Any]) -> list[ModelInfo]:
    page = OpenRouter().parse_list_models(orjson.dumps({"data": entries}))
    assert page.dropped == ()
    return list(page.models)


def with_output(*outputs: str, native_id: str = "some/model", **pricing: str) -> ModelInfo:
    return model(
        id=native_id,
        architecture={"input_modalities": ["text"], "output_modalities": list(outputs)},
        pricing={"prompt": "0", "completion": "0", **pricing},
    )


def test_the_list_is_asked_for_all_modalities() -> None:
    request = OpenRouter().build_list_models(CONFIG, None)
    assert request is not None
    assert request.url == "https://openrouter.ai/api/v1/models?output_modalities=all"


def test_the_key_check_asks_for_the_key_itself() -> None:
    request = OpenRouter().build_key_check(CONFIG)
    assert request is not None
    assert request.url == "https://openrouter.ai/api/v1/key"


def test_prices_are_per_million_and_units_as_told() -> None:
    price = model(
        pricing={
            "prompt": "0.00000015",
            "completion": "0.0000006",
            "input_cache_read": "0.000000075",
            "image": "0.04",
            "request": "0",
            "discount": 0.5,
            "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.1"}],
        }
    ).pricing
    assert price is not None
    assert (price.input, price.output, price.cache_read) == (
        Decimal("0.15"),
        Decimal("0.6"),
        Decimal("0.075"),
    )
    assert (price.cache_write, price.reasoning, price.as_of) == (None, None, None)
    assert price.units == {"image": Decimal("0.04")}
    assert price.source == "openrouter"


def test_a_price_that_depends_is_unknown_and_not_premium() -> None:
    router = model(id="openrouter/auto", pricing={"prompt": "-1", "completion": "-1"})
    assert router.pricing is not None
    assert (router.pricing.input, router.pricing.output) == (None, None)
    assert not router.pricing.known
    assert not router.premium


def test_zero_is_free_for_text() -> None:
    free = model(id="some/model:free", pricing={"prompt": "0", "completion": "0"})
    assert free.pricing is not None
    assert (free.pricing.input, free.pricing.output) == (Decimal(0), Decimal(0))
    assert not free.premium
    assert free.requests_per_minute == 20


@pytest.mark.parametrize("output", ["image", "video", "audio", "speech", "rerank"])
def test_zero_per_token_is_unknown_where_files_are_charged(output: str) -> None:
    price = with_output(output).pricing
    assert price is not None
    assert (price.input, price.output) == (None, None)


def test_a_unit_price_alone_makes_it_premium() -> None:
    assert with_output("image", image="0.01").premium
    assert with_output("rerank", request="0.002").premium


def test_reasoning_at_zero_is_not_given_away() -> None:
    price = model(pricing={"prompt": "0.000001", "completion": "0.000002", "internal_reasoning": "0"}).pricing
    assert price is not None
    assert price.reasoning is None


@pytest.mark.parametrize(
    ("outputs", "native_id", "modality"),
    [
        (("text",), "some/model", Modality.TEXT),
        (("image", "text"), "some/model", Modality.IMAGE),
        (("text", "image"), "some/model", Modality.IMAGE),
        (("text", "image"), "openrouter/auto", Modality.TEXT),
        (("image",), "some/model", Modality.IMAGE),
        (("text", "audio"), "openai/gpt-audio", Modality.TEXT),
        (("text", "audio"), "google/lyria-3-pro-preview", Modality.MUSIC),
        (("audio",), "some/voice", Modality.TTS),
        (("speech",), "some/voice", Modality.TTS),
        (("transcription",), "some/ear", Modality.STT),
        (("embeddings",), "some/vector", Modality.EMBEDDING),
        (("rerank",), "some/ranker", Modality.RERANK),
        (("video",), "some/film", Modality.VIDEO),
        (("hologram", "text"), "some/model", Modality.TEXT),
        (("hologram",), "some/model", Modality.TEXT),
    ],
)
def test_the_main_output_is_told_by_all_outputs_in_any_order(
    outputs: tuple[str, ...], native_id: str, modality: Modality
) -> None:
    assert with_output(*outputs, native_id=native_id).modality is modality


def test_capabilities_come_from_parameters_modalities_and_prices() -> None:
    able = model(
        supported_parameters=[
            "tools",
            "structured_outputs",
            "response_format",
            "include_reasoning",
            "telepathy",
        ],
        architecture={"input_modalities": ["file", "image", "text", "audio"], "output_modalities": ["text"]},
        pricing={"prompt": "0", "completion": "0", "web_search": "0.01", "input_cache_read": "0.0000001"},
    )
    assert able.capabilities == {
        "tools", "structured_output", "json_mode", "reasoning", "vision", "streaming", "web_search",
        "file_input", "audio_input", "prompt_caching",
    }  # fmt: skip
    assert able.vision
    assert able.input_modalities == ("text", "image", "file", "audio")
    assert "telepathy" in able.supported_parameters


def test_what_writes_nothing_does_not_stream() -> None:
    assert "streaming" not in with_output("embeddings").capabilities


def test_an_end_date_lasts_to_its_last_second() -> None:
    ending = model(expiration_date="2026-05-15")
    assert ending.expires_at == datetime(2026, 5, 15, 23, 59, 59, tzinfo=UTC)
    assert ending.status_at(datetime(2026, 5, 15, 12, tzinfo=UTC)) is ModelStatus.DEPRECATED
    assert ending.status_at(datetime(2026, 5, 16, tzinfo=UTC)) is ModelStatus.UNAVAILABLE


def test_a_context_that_is_not_told_is_taken_from_the_best_offer_or_unknown() -> None:
    assert model(context_length=None, top_provider={"context_length": 8192}).context_window == 8192
    assert model(context_length=None, top_provider={"context_length": None}).context_window is None
    assert (
        model(context_length=131072, top_provider={"max_completion_tokens": 4096}).max_output_tokens == 4096
    )


def test_an_entry_of_the_first_vintage_and_one_with_nothing_but_an_id_are_read() -> None:
    bare, old = models(
        {"id": "some/bare"},
        {"id": "some/old", "name": "Old", "created": 1700000000, "pricing": {"prompt": "0.000001"}},
    )
    assert (bare.name, bare.modality, bare.created_at) == ("some/bare", Modality.TEXT, None)
    assert old.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_an_alias_keeps_its_id_and_groups_under_the_makers_name() -> None:
    alias = model(id="~anthropic/claude-sonnet-latest")
    assert alias.id == "openrouter/~anthropic/claude-sonnet-latest"
    assert alias.native_id == "~anthropic/claude-sonnet-latest"
    assert alias.canonical_id == "anthropic/claude-sonnet-latest"


async def test_further_pages_are_asked_of_the_same_host_whatever_the_list_says() -> None:
    evil = "https://evil.example/api/v1/models?offset=1&limit=1&output_modalities=none&key=please"
    transport = ScriptedTransport(
        Answer.of_json({"data": [{"id": "a/one"}], "links": {"next": evil}, "total_count": 2}),
        Answer.of_json({"data": [{"id": "a/two"}], "links": {"next": None}, "total_count": 2}),
    )
    bound = BoundProvider(OpenRouter(), CONFIG, transport=transport, clock=ManualClock())
    listing = await bound.list_models()
    assert [each.native_id for each in listing.models] == ["a/one", "a/two"]
    assert transport.requests[1].url == (
        "https://openrouter.ai/api/v1/models?output_modalities=all&limit=1&offset=1"
    )


@pytest.mark.parametrize("told", [None, "", "/models", "https://[", 7, {"href": "/x?offset=1"}])
def test_a_next_page_that_tells_no_place_ends_the_list(told: Any) -> None:
    page = OpenRouter().parse_list_models(orjson.dumps({"data": [], "links": {"next": told}}))
    assert page.next_page is None


def test_the_account_id_beside_an_error_is_nowhere_in_ours() -> None:
    body = {"error": {"code": 429, "message": "slow down"}, "user_id": "user_2abcDEFghiJKL"}
    error = OpenRouter().classify_error(429, {}, orjson.dumps(body))
    assert "user_2abc" not in repr(error) + error.detail + repr(error.members)


def test_a_refusal_of_the_filter_is_not_sent_elsewhere_and_an_empty_account_is() -> None:
    flagged = {
        "error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"], "flagged_input": "y"}}
    }
    empty = {"error": {"code": 402, "message": "no credits"}}
    assert not OpenRouter().classify_error(403, {}, orjson.dumps(flagged)).failover
    assert OpenRouter().classify_error(402, {}, orjson.dumps(empty)).failover
