"""What administrators say of single models: out of use, of another modality, at another price."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from headgate.domain.accounts import ModelOverride
from headgate.domain.catalog import Modality, Pricing
from headgate.domain.errors import Conflict, NotFound
from headgate.domain.money import decimal_text
from headgate.ports import OverrideStore
from headgate.services.acts import Act

PRICE_SOURCE = "override"
_TRIES = 8
_PRICES = ("input", "output", "cache_read", "cache_write", "reasoning")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideChange:
    """said: which fields the administrator named; one named as None goes back to the provider's word.
    price: USD per million tokens and per unit, without who told it and when.
    """

    said: frozenset[str]
    enabled: bool | None = None
    modality: Modality | None = None
    price: Pricing | None = None
    note: str | None = None


class OverrideManager:
    """Every change is audited, and takes effect within a minute everywhere."""

    def __init__(self, store: OverrideStore) -> None:
        self._store = store

    async def find(self, model_id: str) -> ModelOverride | None:
        """As stored."""
        return (await self._store.read_overrides()).get(model_id)

    async def change(self, act: Act, model_id: str, change: OverrideChange) -> ModelOverride:
        """What was said before stays where nothing is said of it now; gives what is stored.

        Of changes at once none is lost: where they name the same field, the later one holds. Raises Conflict
        for one that meets others again and again.
        """
        if change.price is not None:
            change = replace(change, price=replace(change.price, source=PRICE_SOURCE, as_of=act.at))
        values: dict[str, Any] = {name: getattr(change, name) for name in change.said}
        values |= {"updated_at": act.at, "updated_by": act.actor}
        for _ in range(_TRIES):
            before = await self.find(model_id)
            override = (
                ModelOverride(model_id=model_id, **values) if before is None else replace(before, **values)
            )
            event = act.event("override.set", model_id, **_details(override, change.said))
            try:
                await self._store.put_override(override, event, was=before)
            except Conflict:
                continue  # someone else said something of it meanwhile: that is to stay
            return override
        raise Conflict("This override keeps being changed. Try again.")

    async def drop(self, act: Act, model_id: str) -> None:
        """The provider's word counts again. Raises NotFound where there is no override."""
        if not await self._store.delete_override(model_id, act.event("override.delete", model_id)):
            raise NotFound(f"There is no override of {model_id[:200]}.")


def _details(override: ModelOverride, said: frozenset[str]) -> dict[str, str]:
    """What changed, in words, for the audit log."""
    price = override.price
    told = {
        "enabled": "provider's" if override.enabled is None else str(override.enabled).lower(),
        "modality": "provider's" if override.modality is None else override.modality.value,
        "price": "provider's" if price is None else price_text(price),
        "note": "" if override.note is None else override.note[:200],
    }
    return {name: told[name] for name in sorted(said)}


def price_text(price: Pricing) -> str:
    """`input 1, output 2.5`: what is known, in USD per million tokens, and per named unit."""
    known: dict[str, Decimal | None] = {name: getattr(price, name) for name in _PRICES}
    known |= price.units
    return ", ".join(f"{name} {decimal_text(each)}" for name, each in known.items() if each is not None)
