"""What one offer is worth now."""

from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import ModelInfo, ModelStatus, ProviderStatus
from headgate.services.catalog import CatalogView


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
