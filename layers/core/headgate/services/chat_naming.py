"""Which model a chat is about, before anyone looks for who offers it. Pure."""

from datetime import datetime

from headgate.domain.catalog import Modality
from headgate.domain.errors import NoRoute
from headgate.providers.registry import canonical_slug
from headgate.services.catalog import CatalogView
from headgate.services.chat_records import ChatAsk
from headgate.services.default_models import default_model
from headgate.settings import Settings


def named_model(ask: ChatAsk, view: CatalogView, settings: Settings, now: datetime) -> str:
    """What the router looks for: the model within the named provider, or the default where none was named."""
    if ask.model is None:
        slug = canonical_slug(ask.provider) if ask.provider is not None else None
        default = default_model(view, Modality.TEXT, settings, now, provider=slug)
        if default is None:
            whose = f" of {ask.provider}" if ask.provider else ""
            raise NoRoute(f"There is no default text model{whose}; name one.", members={"candidates": []})
        return default
    if ask.provider is None:
        return ask.model
    slug = canonical_slug(ask.provider)
    return ",".join(_within(slug, name.strip()) for name in ask.model.split(","))


def _within(slug: str, name: str) -> str:
    prefix, _, rest = name.partition("/")
    return name if rest and canonical_slug(prefix) == slug else f"{slug}/{name}"


def not_configured(provider: str, model: str) -> NoRoute:
    """The provider named is known, but there is no key for it."""
    slug = canonical_slug(provider)
    rejected = {
        "model": model,
        "provider": slug,
        "kept": False,
        "reasons": ["not configured: the platform has no key for it"],
    }
    return NoRoute(f"There is no key for {slug}.", members={"candidates": [rejected]})
