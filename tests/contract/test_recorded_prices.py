"""The real public tables joined to the providers' real lists, where they lie beside the checkout."""

import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import ModelInfo
from headgate.providers.anthropic import Anthropic
from headgate.providers.deepseek import DeepSeek
from headgate.providers.openai import OpenAI
from headgate.providers.openrouter import OpenRouter
from headgate.providers.requesty import Requesty
from headgate.services.join_prices import PriceBook
from headgate.services.price_sources import SELLERS, PriceRow, read_genai_prices, read_models_dev

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)
pytestmark = pytest.mark.recorded

NOW = datetime(2026, 11, 20, tzinfo=UTC)
MODELS_DEV = "models.dev/api-reconstructed-2026-07-02.json"
GENAI = "genai-prices/data-v2.json"
OLDER_GENAI = "genai-prices/data.json"


def raw(name: str) -> Any:
    return json.loads((RECORDED / name).read_bytes(), parse_float=Decimal)


@cache
def rows_of(name: str) -> tuple[PriceRow, ...]:
    read = read_models_dev if name == MODELS_DEV else read_genai_prices
    return read((RECORDED / name).read_bytes(), NOW).rows


@cache
def book() -> PriceBook:
    return PriceBook([("models.dev", NOW, rows_of(MODELS_DEV)), ("genai-prices", NOW, rows_of(GENAI))])


def openai_list() -> tuple[ModelInfo, ...]:
    told = raw("openai/models-ids-created-2026-07-07.derived.json")["models"]
    entries = [{"id": each["id"], "created": each["api_created"]} for each in told]
    return OpenAI().parse_list_models(orjson.dumps({"data": entries})).models


def joined(models: tuple[ModelInfo, ...], label: str) -> dict[str, ModelInfo]:
    """The models by their own id; prints how many got a price, and from whom."""
    done = book().complete(models)
    sources = Counter(m.pricing.source if m.pricing and m.pricing.known else "none" for m in done)
    disputed = sum(m.pricing is not None and m.pricing.disputed for m in done)
    sys.stdout.write(f"{label}: {len(done)} models, prices {dict(sources)}, {disputed} disputed\n")
    return {model.native_id: model for model in done}


def priced_share(models: dict[str, ModelInfo]) -> float:
    return sum(m.pricing is not None and m.pricing.known for m in models.values()) / len(models)


if RECORDED.is_dir():

    @pytest.mark.parametrize(
        ("name", "least"),
        [(MODELS_DEV, 700), (GENAI, 900), (OLDER_GENAI, 900)],
        ids=["models.dev", "v2", "v1"],
    )
    def test_a_real_table_is_read_for_every_seller_it_has(name: str, least: int) -> None:
        sellers = Counter(row.seller for row in rows_of(name))
        wanted = {slug for slug, names in SELLERS.items() if names[0 if name == MODELS_DEV else 1]}
        assert wanted <= sellers.keys()
        assert sum(sellers.values()) >= least

    def test_every_row_of_models_dev_holds_what_stands_in_the_file() -> None:
        root = raw(MODELS_DEV)
        for row in rows_of(MODELS_DEV):
            if not row.seller:
                continue
            entry = root[SELLERS[row.seller][0]]["models"][row.id]
            cost = entry.get("cost") or {}
            assert row.context_window == (entry["limit"]["context"] or None)
            assert row.max_output_tokens == (entry["limit"]["output"] or None)
            assert row.deprecated == (entry.get("status") == "deprecated")
            if row.pricing is None:
                assert not cost.get("input")
                assert not cost.get("output")
            else:
                assert (row.pricing.input, row.pricing.output) == (cost["input"], cost["output"])
                assert row.pricing.cache_read in (cost.get("cache_read"), None)

    def test_most_of_openais_real_ids_get_a_price() -> None:
        models = joined(openai_list(), "OpenAI")
        assert priced_share(models) > 0.8
        text = [m for m in models.values() if m.modality == "text" and "search" not in m.native_id]
        assert sum(m.pricing is None for m in text) <= 5
        speech = [m for m in models.values() if m.modality in ("tts", "stt", "video")]
        assert speech
        assert all(m.pricing is None for m in speech)

    @pytest.mark.parametrize("name", ["gpt-4.1", "gpt-4o-mini", "o3", "gpt-5", "text-embedding-3-small"])
    def test_openais_prices_are_those_of_the_file(name: str) -> None:
        model = joined(openai_list(), "OpenAI")[name]
        cost = raw(MODELS_DEV)["openai"]["models"][name]["cost"]
        assert model.pricing is not None
        assert model.pricing.source == "models.dev"
        assert (model.pricing.input, model.pricing.output) == (cost["input"], cost["output"])

    def test_an_id_that_one_table_names_is_not_taken_for_another_by_a_rule_of_the_other() -> None:
        model = joined(openai_list(), "OpenAI")["gpt-4o-2024-05-13"]
        assert model.pricing is not None
        assert (model.pricing.input, model.pricing.output) == (Decimal(5), Decimal(15))
        assert model.pricing.disputed

    def test_all_of_anthropics_and_deepseeks_real_ids_get_a_price_and_limits() -> None:
        anthropic = Anthropic().parse_list_models(
            (RECORDED / "anthropic/models-2026-08-02.json").read_bytes()
        )
        deepseek = DeepSeek().parse_list_models((RECORDED / "deepseek/doc-examples/models.json").read_bytes())
        for label, page in (("Anthropic", anthropic), ("DeepSeek", deepseek)):
            models = joined(page.models, label)
            assert priced_share(models) == 1
            assert all(model.context_window for model in models.values())
        sonnet = joined(anthropic.models, "Anthropic")["claude-sonnet-4-5-20250929"]
        assert sonnet.pricing is not None
        assert (sonnet.pricing.input, sonnet.pricing.output) == (Decimal(3), Decimal(15))

    def test_the_routers_own_prices_stay_and_those_that_moved_are_flagged() -> None:
        lists = (
            (OpenRouter(), "openrouter/models-2026-05-15.json"),
            (Requesty(), "requesty/models-2025-07-11.json"),
        )
        for provider, name in lists:
            models = provider.parse_list_models((RECORDED / name).read_bytes()).models
            done = joined(models, provider.spec.name)
            for model in models:
                was, now = model.pricing, done[model.native_id].pricing
                assert was is not None
                assert now is not None
                assert (now.input, now.output, now.source) == (was.input, was.output, was.source)
            flagged = sum(bool(model.pricing and model.pricing.disputed) for model in done.values())
            assert 0 < flagged < len(done) / 2
