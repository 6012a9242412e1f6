"""The platform's default of each modality: the configured one while it works, else the cheapest known."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, ProviderStatus, SnapshotHead
from headgate.domain.health import ProviderHealth
from headgate.services.catalog import CatalogView, view_of
from headgate.services.default_models import default_model, default_models
from headgate.services.offers import is_available, price_sum
from headgate.settings import Settings
from headgate.testing.clock import START
from tests.support.models import model, priced

DAY = timedelta(days=1)
CHEAP = model("alpha/cheap", pricing=priced("0.1", "0.4"))
DEAR = model("beta/dear", pricing=priced("3", "15"))
FREE = model("beta/free", pricing=priced("0", "0"))
UNKNOWN = model("alpha/a-unknown")
PLAIN = Settings(function="models")
CHOSEN = Settings(function="models", default_text_model=DEAR.id)


def view(*models: ModelInfo, down: str = "") -> CatalogView:
    heads = {slug: SnapshotHead(provider=slug, version="v") for slug in ("alpha", "beta")}
    health = {}
    if down:
        health[down] = ProviderHealth(provider=down, status=ProviderStatus.DOWN, last_checked=START)
    return view_of(models, versions="", heads=heads, health=health, stale=frozenset(), hour=0)


def default(
    seen: CatalogView,
    settings: Settings = PLAIN,
    *,
    modality: Modality = Modality.TEXT,
    provider: str | None = None,
) -> str | None:
    return default_model(seen, modality, settings, START, provider=provider)


def test_the_cheapest_known_price_wins_free_ones_after_it_and_the_unknown_last() -> None:
    assert default(view(DEAR, CHEAP, FREE, UNKNOWN)) == CHEAP.id
    assert default(view(FREE, UNKNOWN)) == FREE.id
    assert default(view(UNKNOWN)) == UNKNOWN.id
    assert default(view()) is None


def test_equal_prices_are_decided_by_id() -> None:
    twin = replace(CHEAP, id="alpha/another")
    assert default(view(CHEAP, twin)) == twin.id


def test_the_configured_one_wins_while_it_can_be_called() -> None:
    assert default(view(DEAR, CHEAP), CHOSEN) == DEAR.id
    assert default(view(DEAR, CHEAP, down="beta"), CHOSEN) == CHEAP.id
    assert default(view(replace(DEAR, expires_at=START - DAY), CHEAP), CHOSEN) == CHEAP.id
    assert default(view(CHEAP), CHOSEN) == CHEAP.id


def test_the_configured_one_is_for_text_alone() -> None:
    voice = model("alpha/voice", modality=Modality.TTS)
    assert default(view(DEAR, voice), CHOSEN, modality=Modality.TTS) == voice.id


def test_within_a_provider_only_its_own_are_asked() -> None:
    assert default(view(DEAR, CHEAP), provider="beta") == DEAR.id
    assert default(view(DEAR, CHEAP), CHOSEN, provider="alpha") == CHEAP.id
    assert default(view(DEAR), provider="alpha") is None


@pytest.mark.parametrize("status", [ModelStatus.DEPRECATED, ModelStatus.LIMITED, ModelStatus.UNAVAILABLE])
def test_what_is_on_its_way_out_or_half_working_is_nobodys_default(status: ModelStatus) -> None:
    assert default(view(DEAR, replace(CHEAP, status=status))) == DEAR.id


def test_what_ends_soon_is_nobodys_default() -> None:
    assert default(view(DEAR, replace(CHEAP, expires_at=START + DAY))) == DEAR.id


def test_defaults_name_every_modality_that_has_a_model_and_no_other() -> None:
    picture = model("beta/picture", modality=Modality.IMAGE)
    assert default_models(view(CHEAP, picture), PLAIN, START) == {"text": CHEAP.id, "image": picture.id}


def test_what_is_past_its_end_or_at_a_provider_that_is_down_is_not_available() -> None:
    assert is_available(CHEAP, view(CHEAP), START)
    assert not is_available(CHEAP, view(CHEAP, down="alpha"), START)
    assert not is_available(replace(CHEAP, expires_at=START), view(CHEAP), START)
    assert is_available(replace(CHEAP, expires_at=START + DAY), view(CHEAP), START)


def test_a_price_is_known_when_both_sides_are() -> None:
    assert price_sum(CHEAP) == Decimal("0.5")
    assert price_sum(UNKNOWN) is None
    assert price_sum(replace(CHEAP, pricing=priced("1", None))) is None
    assert price_sum(FREE) == 0
