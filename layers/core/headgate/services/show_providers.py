"""Listing providers with what they can do and what they cost."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import HeadgateError
from headgate.ports import Log
from headgate.providers.base import ProviderSpec
from headgate.providers.registry import ALIASES, ProviderRegistry
from headgate.services.catalog import CatalogView

_UNITS = {
    Modality.IMAGE: "image",
    Modality.VIDEO: "second",
    Modality.TTS: "character",
    Modality.STT: "second",
    Modality.MUSIC: "request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCard:
    """One provider as listed. cost_per_unit: the cheapest known (USD, unit), or None."""

    spec: ProviderSpec
    modalities: tuple[str, ...]
    configured: bool
    cost_per_unit: tuple[Decimal, str] | None


class ProviderDirectory:
    """All providers this gateway knows, configured or not.

    configured: slugs of those that the platform has, as its keys say: asked by a function that may read them.
    """

    def __init__(
        self, registry: ProviderRegistry, *, configured: Callable[[], Awaitable[Collection[str]]], log: Log
    ) -> None:
        self._registry = registry
        self._configured = configured
        self._log = log
        self._names: dict[str, str] | None = None

    def names(self) -> Mapping[str, str]:
        """Providers' names by slug."""
        if self._names is None:
            self._names = {spec.slug: spec.name for spec in self._registry.list()}
        return self._names

    def has(self, name: str) -> bool:
        """Whether this is a provider's slug or another name of it, configured or not."""
        return self._registry.has(name)

    def close_to(self, name: str) -> list[str]:
        """Up to three names that come closest, best first."""
        known = [*self._registry.known_slugs(), *ALIASES]
        return get_close_matches(name.lower()[:100], known, n=3, cutoff=0.5)

    async def cards(self, view: CatalogView, modality: Modality | None = None) -> list[ProviderCard]:
        """Providers by slug; those that can make `modality`, where one is given."""
        configured = await self._known_configured(view)
        by_provider: dict[str, list[ModelInfo]] = {}
        for model in view.models:
            by_provider.setdefault(model.provider, []).append(model)
        cards = []
        for spec in self._registry.list():
            models = by_provider.get(spec.slug, [])
            made = {m.modality for m in models} | set(spec.modalities)
            if modality is not None and modality not in made:
                continue
            cards.append(
                ProviderCard(
                    spec=spec,
                    modalities=tuple(m.value for m in Modality if m in made),
                    configured=spec.slug in configured,
                    cost_per_unit=_cheapest(models, modality or Modality.TEXT),
                )
            )
        return cards

    async def _known_configured(self, view: CatalogView) -> Collection[str]:
        """While keys can't be read, those that had one when lists were last fetched."""
        try:
            return frozenset(await self._configured())
        except HeadgateError as error:
            self._log.warning("providers.keys_unreadable", code=error.code)
            return view.heads.keys()


def _cheapest(models: Iterable[ModelInfo], modality: Modality) -> tuple[Decimal, str] | None:
    """The lowest known price above zero for the modality's unit; text counts per million input tokens."""
    unit = _UNITS.get(modality)
    prices = [
        price
        for model in models
        if model.modality is modality and model.pricing is not None
        if (price := model.pricing.input if unit is None else model.pricing.units.get(unit)) is not None
        if price > 0
    ]
    if not prices:
        return None
    return min(prices), unit or "million_input_tokens"
