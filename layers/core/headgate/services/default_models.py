"""The platform's default model of each modality."""

from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus
from headgate.services.catalog_view import CatalogView
from headgate.services.offers import is_available, price_sum
from headgate.settings import Settings


def default_models(view: CatalogView, settings: Settings, now: datetime) -> dict[str, str]:
    """Model ids by modality; a modality without any available model is left out."""
    found = {m.value: default_model(view, m, settings, now) for m in Modality}
    return {modality: model_id for modality, model_id in found.items() if model_id is not None}


def default_model(
    view: CatalogView,
    modality: Modality,
    settings: Settings,
    now: datetime,
    *,
    provider: str | None = None,
    among: frozenset[str] | None = None,
) -> str | None:
    """The configured one while it is available, else the cheapest known one that is not on its way out. Of
    one caller's view, the platform's first: what only the caller's keys see is no default for everyone.

    among: only of these, by their providers' own ids.
    """
    if provider is None and view.shared is not None:
        platforms = default_model(view.shared, modality, settings, now)
        if platforms is not None:
            return platforms
    configured = settings.default_text_model if modality is Modality.TEXT else None
    listed = view.by_id.get(configured) if configured is not None else None
    if (
        listed is not None
        and provider in (None, listed.provider)
        and (among is None or listed.native_id in among)
        and view.moved_to(listed.id, modality) is None
        and is_available(listed, view, now)
    ):
        return listed.id
    fit = [
        model
        for model in view.models
        if model.modality is modality
        and provider in (None, model.provider)
        and (among is None or model.native_id in among)
        and model.status_at(now) is ModelStatus.AVAILABLE
        and is_available(model, view, now)
    ]
    return min(fit, key=_preference).id if fit else None


def _preference(model: ModelInfo) -> tuple[bool, bool, Decimal, str]:
    """Priced before free (free ones have tight limits) before unknown; then cheap; then by id."""
    price = price_sum(model)
    return (price is None, price == 0, price or Decimal(0), model.id)
