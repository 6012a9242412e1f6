"""Models as JSON: Headgate's own shape, and OpenAI's list with OpenRouter's fields beside."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from headgate.domain.accounts import ModelOverride
from headgate.domain.catalog import ModelInfo, ModelStatus, Pricing, rfc3339
from headgate.domain.money import decimal_text
from headgate.services.catalog_view import CatalogView

_PER_MTOK = Decimal(1_000_000)


def model_json(
    model: ModelInfo, view: CatalogView, now: datetime, names: Mapping[str, str]
) -> dict[str, Any]:
    """`ModelInfo` of the contract. `names`: providers' names by slug."""
    head = view.heads.get(model.provider)
    status = model.status_at(now)
    checked = head.checked_at if head is not None else None
    return {
        "id": model.id,
        "canonical_id": model.canonical_id,
        "provider": model.provider,
        "provider_name": names.get(model.provider, model.provider),
        "name": model.name,
        "description": model.description,
        "modality": model.modality.value,
        "input_modalities": model.input_modalities,
        "output_modalities": model.output_modalities,
        "capabilities": sorted(model.capabilities),
        "supported_parameters": model.supported_parameters,
        "premium": model.premium,
        "vision": model.vision,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "api_version": model.api_version,
        "pricing": _pricing_json(model.pricing, head.fetched_at if head is not None else None),
        "rate_limit": {
            "requests_per_minute": model.requests_per_minute,
            "tokens_per_minute": model.tokens_per_minute,
        },
        "status": status.value,
        "expires_at": rfc3339(model.expires_at),
        "created_at": rfc3339(model.created_at),
        "last_checked": rfc3339(checked),
        "error_message": _why(model, status, view),
        "provider_health": view.status_of(model.provider).value,
        "enabled": not view.is_disabled(model.id),
        "key_source": view.sources.get(model.id, "platform"),
    }


def _why(model: ModelInfo, status: ModelStatus, view: CatalogView) -> str | None:
    """What is wrong with it, or else with the list that it is from."""
    if view.is_disabled(model.id):
        return "Disabled by an administrator."
    if status is ModelStatus.UNAVAILABLE and model.expires_at is not None:
        return f"Ended on {rfc3339(model.expires_at)}."
    if model.id in view.sources:
        return view.trouble.get(model.provider)
    head = view.heads.get(model.provider)
    return head.error if head is not None else None


def override_json(override: ModelOverride | None) -> dict[str, Any] | None:
    """What administrators said of a model; null is where its provider's word counts."""
    if override is None:
        return None
    return {
        "id": override.model_id,
        "enabled": override.enabled,
        "modality": override.modality.value if override.modality is not None else None,
        "price": _pricing_json(override.price, None),
        "note": override.note,
        "updated_at": rfc3339(override.updated_at),
        "updated_by": override.updated_by,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else decimal_text(amount)


def _pricing_json(price: Pricing | None, confirmed_at: datetime | None) -> dict[str, Any] | None:
    if price is None:
        return None
    return {
        "currency": "USD",
        "unit": "per_million_tokens",
        "input": _text(price.input),
        "output": _text(price.output),
        "cache_read": _text(price.cache_read),
        "cache_write": _text(price.cache_write),
        "reasoning": _text(price.reasoning),
        "units": {unit: decimal_text(amount) for unit, amount in price.units.items()},
        "source": price.source,
        "as_of": rfc3339(price.as_of or confirmed_at),
        "disputed": price.disputed,
    }


def openai_model_json(model: ModelInfo) -> dict[str, Any]:
    """An entry of `GET /v1/models`: OpenAI's fields, then OpenRouter's."""
    return {
        "id": model.id,
        "object": "model",
        "created": int(model.created_at.timestamp()) if model.created_at is not None else 0,
        "owned_by": model.provider,
        "canonical_slug": model.canonical_id,
        "name": model.name,
        "description": model.description,
        "context_length": model.context_window,
        "architecture": architecture_json(model),
        "pricing": token_pricing_json(model.pricing),
        "top_provider": {
            "context_length": model.context_window,
            "max_completion_tokens": model.max_output_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": model.supported_parameters,
        "expiration_date": model.expires_at.date().isoformat() if model.expires_at is not None else None,
    }


def architecture_json(model: ModelInfo) -> dict[str, Any]:
    return {
        "modality": f"{'+'.join(model.input_modalities)}->{'+'.join(model.output_modalities)}",
        "input_modalities": model.input_modalities,
        "output_modalities": model.output_modalities,
        "tokenizer": None,
        "instruct_type": None,
    }


def token_pricing_json(price: Pricing | None) -> dict[str, str] | None:
    """Dollars per token (and per unit) as strings; None where neither input nor output is known."""
    if price is None or not price.known:
        return None
    tokens = {
        "prompt": price.input,
        "completion": price.output,
        "input_cache_read": price.cache_read,
        "input_cache_write": price.cache_write,
        "internal_reasoning": price.reasoning,
    }
    named = {name: decimal_text(per / _PER_MTOK) for name, per in tokens.items() if per is not None}
    return named | {unit: decimal_text(amount) for unit, amount in price.units.items()}


def endpoint_json(model: ModelInfo, view: CatalogView, name: str) -> dict[str, Any]:
    """One offer in OpenRouter's `/endpoints` shape."""
    health = view.health.get(model.provider)
    rate = health.success_rate if health is not None else None
    return {
        "name": f"{name} | {model.id}",
        "model_name": model.name,
        "model_id": model.id,
        "provider_name": name,
        "tag": model.provider,
        "context_length": model.context_window,
        "pricing": token_pricing_json(model.pricing),
        "quantization": None,
        "max_completion_tokens": model.max_output_tokens,
        "max_prompt_tokens": None,
        "supported_parameters": model.supported_parameters,
        "status": {"healthy": 0, "degraded": -2, "down": -5}[view.status_of(model.provider).value],
        "uptime_last_30m": None if rate is None else round(rate * 100, 2),
        "supports_implicit_caching": False,
    }
