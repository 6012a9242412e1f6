"""Providers as they are listed: what they can do, what it costs, whether they are configured."""

from decimal import Decimal

from headgate.domain.catalog import Modality, ModelInfo, SnapshotHead
from headgate.domain.errors import GatewayFault
from headgate.services.catalog import CatalogView, view_of
from headgate.services.show_providers import ProviderCard
from tests.support.bench import Bench
from tests.support.models import model, priced


class Hall(Bench):
    def __init__(self) -> None:
        super().__init__("alpha", "beta")
        self.directory = self.process("health").providers

    async def cards(self, *models: ModelInfo, modality: Modality | None = None) -> dict[str, ProviderCard]:
        return {card.spec.slug: card for card in await self.directory.cards(view(*models), modality)}


def view(*models: ModelInfo) -> CatalogView:
    heads = {each.provider: SnapshotHead(provider=each.provider, version="v") for each in models}
    return view_of(models, versions="", heads=heads, health={}, stale=frozenset(), hour=0)


async def test_every_provider_is_listed_and_configured_is_what_the_platform_has_a_key_for() -> None:
    hall = Hall()
    for fetched in ((), (model("alpha/one"), model("openai/left")), (model("alpha/one"), model("beta/two"))):
        cards = await hall.cards(*fetched)
        assert {"alpha", "beta", "openai", "openrouter"} <= set(cards)
        assert {slug for slug, card in cards.items() if card.configured} == {"alpha", "beta"}


async def test_while_keys_cant_be_read_those_are_configured_that_were_when_lists_were_fetched() -> None:
    hall = Hall()
    hall.secrets.fault = GatewayFault.unavailable("The store of keys")
    cards = await hall.cards(model("alpha/one"))
    assert {slug for slug, card in cards.items() if card.configured} == {"alpha"}
    hall.secrets.fault = None
    assert (await hall.cards())["beta"].configured


async def test_a_provider_makes_what_it_says_and_what_its_list_shows() -> None:
    cards = await Hall().cards(model("alpha/voice", modality=Modality.TTS))
    assert cards["alpha"].modalities == ("text", "tts")
    assert cards["beta"].modalities == ("text",)


async def test_by_modality_only_those_that_can_make_it_are_listed() -> None:
    cards = await Hall().cards(model("alpha/voice", modality=Modality.MUSIC), modality=Modality.MUSIC)
    assert "alpha" in cards
    assert "beta" not in cards
    assert all("music" in card.modalities for card in cards.values())


async def test_the_cost_is_the_lowest_known_one_above_zero_in_the_modalitys_unit() -> None:
    models = [
        model("alpha/free", pricing=priced("0", "0")),
        model("alpha/dear", pricing=priced("3", "15")),
        model("alpha/cheap", pricing=priced("0.1", "0.4")),
        model("alpha/unknown"),
        model(
            "alpha/draw",
            modality=Modality.IMAGE,
            pricing=priced(None, None, units={"image": Decimal("0.04")}),
        ),
        model("beta/unknown"),
    ]
    hall = Hall()
    cards = await hall.cards(*models)
    assert cards["alpha"].cost_per_unit == (Decimal("0.1"), "million_input_tokens")
    assert cards["beta"].cost_per_unit is None
    images = await hall.cards(*models, modality=Modality.IMAGE)
    assert images["alpha"].cost_per_unit == (Decimal("0.04"), "image")


def test_names_are_the_providers_own() -> None:
    names = Hall().directory.names()
    assert names["alpha"] == "Alpha"
    assert names["openai"] == "OpenAI"
