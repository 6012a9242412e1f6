"""What administrators say of models, applied to what their providers say. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from headgate.domain.accounts import ModelOverride
from headgate.domain.catalog import ModelInfo, ModelStatus

DISABLED = "disabled by an administrator"
ELSEWHERE = "an administrator put it among the"


def overridden(models: Iterable[ModelInfo], overrides: Mapping[str, ModelOverride]) -> list[ModelInfo]:
    """The models, each as its override has it: taken out of use, of another modality, at another price."""
    if not overrides:
        return list(models)
    return [
        model if (override := overrides.get(model.id)) is None else _applied(model, override)
        for model in models
    ]


def _applied(model: ModelInfo, override: ModelOverride) -> ModelInfo:
    if override.modality is not None:
        model = replace(model, modality=override.modality)
    if override.price is not None:
        model = replace(
            model,
            pricing=override.price,
            premium=override.price.above_zero,
            suffixes=dict.fromkeys(model.suffixes, override.price),
        )
    if override.enabled is False:
        model = replace(model, status=ModelStatus.UNAVAILABLE)
    return model


def overrides_mark(overrides: Mapping[str, ModelOverride]) -> str:
    """Differs when any of them does; empty for none."""
    if not overrides:
        return ""
    text = repr([overrides[name] for name in sorted(overrides)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
