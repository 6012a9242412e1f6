"""The providers' real lists and errors, where the recordings lie beside the checkout; else no tests."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo, merge_models
from headgate.providers.base import Provider
from headgate.providers.deepseek import DeepSeek
from headgate.providers.openai import OpenAI
from headgate.providers.openrouter import OpenRouter
from headgate.providers.requesty import Requesty

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)
pytestmark = pytest.mark.recorded

# provider, file, entries (all of them listed), how many by their main output
LISTS: list[tuple[Provider, str, int, dict[Modality, int]]] = [
    (
        OpenRouter(),
        "openrouter/models-2026-05-15.json",
        364,
        {Modality.TEXT: 356, Modality.IMAGE: 6, Modality.MUSIC: 2},
    ),
    (OpenRouter(), "openrouter/models-2026-08-excerpt.json", 9, {Modality.TEXT: 9}),
    (OpenRouter(), "openrouter/images-models-2026-06-26.json", 25, {Modality.IMAGE: 24, Modality.TEXT: 1}),
    (OpenRouter(), "openrouter/models-overrides-handmade-sample.json", 4, {Modality.TEXT: 4}),
    (Requesty(), "requesty/models-2025-07-11.json", 339, {Modality.TEXT: 339}),
    (Requesty(), "requesty/model-entry-2026-05.json", 1, {Modality.TEXT: 1}),
    (
        OpenAI(),
        "openai/models-2023-11-14.json",
        586,
        {Modality.TEXT: 544, Modality.EMBEDDING: 33, Modality.TTS: 5, Modality.STT: 2, Modality.IMAGE: 2},
    ),
    (DeepSeek(), "deepseek/doc-examples/models.json", 3, {Modality.TEXT: 3}),
]  # fmt: skip


def read_list(provider: Provider, name: str) -> list[ModelInfo]:
    page = provider.parse_list_models((RECORDED / name).read_bytes())
    assert page.dropped == ()
    assert page.next_page is None
    return list(page.models)


def amounts(model: ModelInfo) -> list[Decimal]:
    price = model.pricing
    if price is None:
        return []
    told = (price.input, price.output, price.cache_read, price.cache_write, price.reasoning)
    return [amount for amount in (*told, *price.units.values()) if amount is not None]


def raw_entries(name: str) -> dict[str, dict[str, Any]]:
    entries = json.loads((RECORDED / name).read_bytes(), parse_float=Decimal)["data"]
    return {entry["id"]: entry for entry in entries}


if RECORDED.is_dir():

    @pytest.mark.parametrize(("provider", "name", "entries", "kinds"), LISTS, ids=[each[1] for each in LISTS])
    def test_a_real_list_is_read_without_loss(
        provider: Provider, name: str, entries: int, kinds: dict[Modality, int]
    ) -> None:
        models = read_list(provider, name)
        assert len(models) == len(merge_models(models)) == entries
        assert {kind: sum(model.modality is kind for model in models) for kind in kinds} == kinds
        assert all(amount.is_finite() and amount >= 0 for model in models for amount in amounts(model))
        assert all(model.canonical_id.count("/") >= 1 for model in models)

    def test_openrouters_prices_are_its_own_times_a_million() -> None:
        name = "openrouter/models-2026-05-15.json"
        raw = raw_entries(name)
        dynamic, unpriced = set(), set()
        for model in read_list(OpenRouter(), name):
            told = {key: Decimal(raw[model.native_id]["pricing"][key]) for key in ("prompt", "completion")}
            assert model.pricing is not None
            if told["prompt"] < 0:
                dynamic.add(model.native_id)
                assert not model.pricing.known
                assert not model.premium
            elif not model.pricing.known:
                unpriced.add(model.native_id)
            else:
                assert model.pricing.input == told["prompt"] * 1_000_000
                assert model.pricing.output == told["completion"] * 1_000_000
                assert model.premium == (told["prompt"] > 0 or told["completion"] > 0)
        assert dynamic == {"openrouter/auto", "openrouter/bodybuilder", "openrouter/pareto-code"}
        assert unpriced == {"google/lyria-3-pro-preview", "google/lyria-3-clip-preview"}

    def test_openrouters_end_dates_contexts_and_abilities_are_read() -> None:
        name = "openrouter/models-2026-05-15.json"
        models = read_list(OpenRouter(), name)
        raw = raw_entries(name)
        ending = {model.native_id for model in models if model.expires_at is not None}
        assert ending == {key for key, entry in raw.items() if entry["expiration_date"]}
        assert len(ending) == 11
        for model in models:
            entry = raw[model.native_id]
            assert model.context_window == entry["context_length"]
            assert model.max_output_tokens == entry["top_provider"]["max_completion_tokens"]
            assert ("tools" in model.capabilities) == ("tools" in entry["supported_parameters"])
            assert model.vision == ("image" in entry["architecture"]["input_modalities"])
            assert model.created_at is not None
            assert int(model.created_at.timestamp()) == entry["created"]

    def test_images_that_tell_no_token_price_are_not_free() -> None:
        models = read_list(OpenRouter(), "openrouter/images-models-2026-06-26.json")
        free = [model.id for model in models if model.pricing and model.pricing.input == 0]
        assert free == []
        known = {model.native_id for model in models if model.premium}
        assert {"openai/gpt-image-2", "x-ai/grok-imagine-image-quality", "microsoft/mai-image-2.5"} <= known

    def test_requestys_prices_are_its_own_times_a_million() -> None:
        name = "requesty/models-2025-07-11.json"
        raw = raw_entries(name)
        for model in read_list(Requesty(), name):
            entry, price = raw[model.native_id], model.pricing
            assert price is not None
            assert price.input == entry["input_price"] * 1_000_000
            assert price.output == entry["output_price"] * 1_000_000
            assert price.cache_read == entry["cached_price"] * 1_000_000
            assert price.cache_write == entry["caching_price"] * 1_000_000
            assert model.max_output_tokens == (entry["max_output_tokens"] or None)

    def test_the_two_routers_lists_meet_in_their_canonical_ids() -> None:
        ours = {model.canonical_id for model in read_list(OpenRouter(), "openrouter/models-2026-05-15.json")}
        theirs = read_list(Requesty(), "requesty/models-2025-07-11.json")
        shared = {model.canonical_id for model in theirs} & ours
        assert len(shared) >= 50
        assert {"anthropic/claude-sonnet-4", "x-ai/grok-4", "qwen/qwen3-32b", "openai/gpt-4o-mini"} <= shared
        assert not any("@" in model.canonical_id for model in theirs)

    def test_openais_ids_of_2026_are_classified_and_only_two_kinds_left_out() -> None:
        told = json.loads((RECORDED / "openai/models-ids-created-2026-07-07.derived.json").read_bytes())
        entries = [{"id": each["id"], "created": each["api_created"]} for each in told["models"]]
        page = OpenAI().parse_list_models(orjson.dumps({"data": entries}))
        left_out = {entry["id"] for entry in entries} - {model.native_id for model in page.models}
        assert page.dropped == ()
        assert len(page.models) == 132
        assert all("realtime" in each or "moderation" in each for each in left_out)
        kinds = {kind: sum(model.modality is kind for model in page.models) for kind in Modality}
        assert kinds[Modality.TEXT] == 106
        assert kinds[Modality.IMAGE] == 8
        assert kinds[Modality.VIDEO] == 2

    ERRORS = [
        pytest.param(provider, path, id=path.name)
        for provider in (OpenRouter(), OpenAI(), DeepSeek())
        for path in sorted((RECORDED / provider.spec.slug / "recorded").glob("*/*.4[0-9][0-9].*.json"))
    ]

    @pytest.mark.parametrize(("provider", "path"), ERRORS)
    def test_a_real_error_is_judged_as_what_it_was(provider: Provider, path: Path) -> None:
        answer = json.loads(path.read_bytes())["response"]
        body = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
        error = provider.classify_error(answer["status"], {}, body.encode())
        expected = {401: "provider_auth", 404: "model_not_found", 429: "provider_rate_limited"}.get(
            answer["status"]
        )
        if "context-length" in path.name:
            expected = "context_too_long"
        elif "model-name-suggestion" in path.name:
            expected = "model_not_found"
        assert error.code == (expected or "provider_rejected")
        assert "user_2" not in error.detail
