"""Which models a key is bound to, by which of their names. Pure."""

from collections.abc import Iterable

from headgate.domain.catalog import ModelInfo
from headgate.providers.registry import canonical_slug

NOT_FOR_KEY = "this key is for other models"
_MOST_TOLD = 5


def bound_names(allowed: Iterable[str] | None) -> frozenset[str] | None:
    """What a key's `allowed_models` stand for, a provider's aliases resolved; None for a key that is bound to
    nothing."""
    return None if allowed is None else frozenset(name for each in allowed for name in (each, resolved(each)))


def is_bound_to(bound: frozenset[str] | None, model: ModelInfo) -> bool:
    """Whether a key with these names may use the model."""
    return bound is None or not bound.isdisjoint(names_of(model))


def resolved(name: str) -> str:
    """The name with its provider's real name for an alias."""
    prefix, slash, rest = name.partition("/")
    return f"{canonical_slug(prefix)}{slash}{rest}" if slash else name


def names_of(model: ModelInfo) -> set[str]:
    """Its id, its canonical id, and either without what stands before the last slash."""
    full = {model.id, model.canonical_id}
    return full | {name.rpartition("/")[2] for name in full}


def told(allowed: Iterable[str] | None) -> str:
    """What a key may use, for whoever was refused; the first few of many."""
    names = [name[:100] for name in allowed or ()]
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return f"It may use {', '.join(names[:_MOST_TOLD])}{more}." if names else "It may use none."
