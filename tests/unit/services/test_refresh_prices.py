"""A refreshed list knows what public tables know; a list that costs something is not asked for in vain."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from headgate.bootstrap import Container
from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import ProviderFailed
from headgate.ports import WireRequest
from headgate.testing.clock import START
from headgate.testing.transport import Answer, Step
from tests.support.bench import KEY, Bench
from tests.support.models import model
from tests.support.provider import fake_provider, listing

MODELS_DEV = "https://models.example/api.json"
GENAI = "https://prices.example/data.json"
LIST = "https://api.openai.com/v1/models"
ROOT = "https://acme--vllm.modal.run"


def models_dev(price: float = 1.25, **entries: Mapping[str, Any]) -> Answer:
    gpt = {"cost": {"input": price, "output": 10}, "limit": {"context": 400_000, "output": 128_000}}
    return Answer.of_json({"openai": {"models": {"gpt-5": gpt, **entries}}})


def genai(price: float = 1.25) -> Answer:
    entry = {"id": "gpt-5", "match": {"starts_with": "gpt-5"}, "prices": {"input_mtok": price}}
    return Answer.of_json([{"id": "openai", "models": [entry]}])


def openai_list(*names: str) -> Answer:
    return Answer.of_json({"object": "list", "data": [{"id": name, "created": 1770000000} for name in names]})


class Plant(Bench):
    """A refresh process over the real OpenAI provider and two public tables."""

    def __init__(self, **answers: Step) -> None:
        super().__init__(environ={"HEADGATE_MODELS_DEV_URL": MODELS_DEV, "HEADGATE_GENAI_PRICES_URL": GENAI})
        self.secrets.put("openai", api_key=KEY)
        self.transport.on(LIST, answers.get("list", openai_list("gpt-5", "whisper-1")))
        self.transport.on(MODELS_DEV, answers.get("models_dev", models_dev()))
        self.transport.on(GENAI, answers.get("genai", genai()))
        self.one = self.process("refresh")

    async def refresh(self, process: Container | None = None) -> dict[str, str]:
        outcomes = await (process or self.one).refresher.refresh(None, force=True)
        return {outcome.provider: outcome.outcome for outcome in outcomes}

    async def models(self, slug: str = "openai") -> dict[str, ModelInfo]:
        found = await self.catalog_store.read_models(await self.head(slug))
        return {each.native_id: each for each in found}


async def test_a_list_without_prices_is_kept_with_those_of_the_tables() -> None:
    plant = Plant()
    assert await plant.refresh() == {"openai": "updated"}
    gpt = (await plant.models())["gpt-5"]
    assert gpt.pricing is not None
    assert (gpt.pricing.input, gpt.pricing.source, gpt.pricing.as_of) == (
        Decimal("1.25"),
        "models.dev",
        START,
    )
    assert (gpt.context_window, gpt.max_output_tokens, gpt.premium) == (400_000, 128_000, True)
    assert (await plant.models())["whisper-1"].pricing is None


async def test_without_the_tables_a_list_is_kept_as_it_came() -> None:
    gone = ProviderFailed("no network", code="provider_unavailable")
    plant = Plant(models_dev=gone, genai=gone)
    assert await plant.refresh() == {"openai": "updated"}
    assert (await plant.models())["gpt-5"].pricing is None
    assert len(plant.log.named("price_tables.unavailable")) == 1
    assert await plant.refresh() == {"openai": "unchanged"}
    assert len(plant.log.named("price_tables.unavailable")) == 1


async def test_tables_that_disagree_flag_the_price_that_is_kept() -> None:
    plant = Plant(genai=genai(1.5))
    await plant.refresh()
    gpt = (await plant.models())["gpt-5"]
    assert gpt.pricing is not None
    assert (gpt.pricing.input, gpt.pricing.disputed) == (Decimal("1.25"), True)


async def test_a_price_that_a_table_changes_is_told_as_a_change_and_its_date_alone_is_not() -> None:
    plant = Plant()
    await plant.refresh()
    plant.clock.advance(86_400)
    assert await plant.refresh() == {"openai": "unchanged"}
    plant.transport.on(MODELS_DEV, models_dev(2.5))
    plant.clock.advance(86_400)
    assert await plant.refresh() == {"openai": "updated"}
    assert await plant.changes() == [("model.repriced", "openai", "openai/gpt-5")]


async def test_tables_are_not_asked_for_while_every_list_is_fresh() -> None:
    plant = Plant()
    await plant.refresh()
    asked = len(plant.transport.requests)
    await plant.process("refresh").refresher.refresh(None, force=False)
    assert len(plant.transport.requests) == asked


# -- lists that cost something -----------------------------------------------------------------------------


class Sleeper(Bench):
    """A provider whose server wakes for its list, which is good for six hours."""

    def __init__(self, *steps: Step) -> None:
        super().__init__("alpha")
        self.providers["alpha"] = fake_provider("alpha", list_ttl_s=6 * 3600.0)
        self.transport.on("https://alpha.example/models", *steps)
        self.one = self.process("refresh")

    async def refresh(self, *, force: bool = False) -> str:
        (outcome,) = await self.one.refresher.refresh(None, force=force)
        return outcome.outcome


async def test_a_list_that_costs_something_is_asked_for_when_it_is_old_or_wanted() -> None:
    plant = Sleeper(listing(model("alpha/one")))
    assert await plant.refresh() == "updated"
    plant.clock.advance(6 * 3600 - 1)
    assert await plant.refresh() == "fresh"
    assert await plant.refresh(force=True) == "unchanged"
    plant.clock.advance(6 * 3600)
    assert await plant.refresh() == "unchanged"
    assert len(plant.transport.requests) == 3


@pytest.mark.parametrize("failure", [Answer(500), ProviderFailed("slow", code="provider_timeout")])
async def test_a_server_that_does_not_wake_is_not_knocked_at_every_ten_minutes(failure: Step) -> None:
    plant = Sleeper(failure)
    assert await plant.refresh() == "failed"
    plant.clock.advance(3600)
    assert await plant.refresh() == "fresh"
    assert (await plant.head("alpha")).error is not None
    plant.clock.advance(5 * 3600)
    assert await plant.refresh() == "failed"
    assert len(plant.transport.requests) == 2


async def test_a_list_that_is_free_is_tried_again_at_once() -> None:
    plant = Bench("alpha")
    plant.transport.on("https://alpha.example/models", Answer(500))
    refresher = plant.process("refresh").refresher
    for _ in range(2):
        (outcome,) = await refresher.refresh(None, force=False)
        assert outcome.outcome == "failed"


async def test_a_server_without_a_list_is_healthy_and_has_no_models() -> None:
    plant = Bench()
    plant.secrets.put("modal", base_url=ROOT)
    plant.transport.on(ROOT, Answer(404, b'{"detail":"Not Found"}'))
    (outcome,) = await plant.process("refresh").refresher.refresh(None, force=False)
    assert (outcome.outcome, outcome.model_count) == ("updated", 0)
    head = await plant.head("modal")
    assert head.error is None
    assert head.fresh_until == START + timedelta(hours=6)


async def test_health_asks_a_sleeping_server_nothing() -> None:
    plant = Bench()
    plant.secrets.put("modal", base_url=ROOT)

    def never(request: WireRequest) -> Answer:
        raise AssertionError(request.url)

    plant.transport.on(ROOT, never)
    (health,) = await plant.process("health").health.check_all(force=True)
    assert {name: check.outcome for name, check in health.checks.items()} == {
        "list": "skipped",
        "key": "skipped",
    }
    assert health.status == "healthy"
