"""What one offer is worth now."""

from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import ModelInfo, ModelStatus, ProviderStatus
from headgate.services.catalog import CatalogView

SORTING = {":floor": "price", ":nitro": "latency"}
"""Suffixes by which offers are sorted; they belong to no model's name."""


def plain_name(name: str) -> str:
    """The name of a model without what sorts its offers."""
    return next((name.removesuffix(suffix) for suffix in SORTING if name.endswith(suffix)), name)


def is_available(model: ModelInfo, view: CatalogView, now: datetime) -> bool:
    """Whether it can be called now: not past its end, and its provider is not down."""
    if model.status_at(now) is ModelStatus.UNAVAILABLE:
        return False
    return view.status_of(model.provider) is not ProviderStatus.DOWN


def price_sum(model: ModelInfo) -> Decimal | None:
    """Input and output together, USD per million tokens of each; None where either is unknown."""
    price = model.pricing
    if price is None or price.input is None or price.output is None:
        return None
    return price.input + price.output


def too_dear(model: ModelInfo | None, most_in: Decimal | None, most_out: Decimal | None) -> list[str]:
    """Why it is not within these prices, USD per million tokens; an unknown price is within none."""
    price = None if model is None else model.pricing
    reasons = []
    for what, most, asked in (
        ("input", most_in, price.input if price is not None else None),
        ("output", most_out, price.output if price is not None else None),
    ):
        if most is not None and asked is None:
            reasons.append(f"its {what} price is unknown, and max_price is set")
        elif most is not None and asked is not None and asked > most:
            reasons.append(f"its {what} price is above max_price")
    return reasons
