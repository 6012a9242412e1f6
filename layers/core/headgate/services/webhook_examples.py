"""An example of each event, with which webhooks are tried out. Pure.

Their shapes are those of what the API shows: a test holds them to its description.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from headgate.domain.catalog import ChangeType, rfc3339
from headgate.domain.ids import Prefix, id_of
from headgate.domain.webhooks import WebhookEvent

_MODEL = "openrouter/openai/gpt-4o-mini"
_TOLD: Mapping[str, Mapping[str, Any]] = {
    ChangeType.MODEL_ADDED: {"model_id": _MODEL, "before": None, "after": {"name": "OpenAI: GPT-4o-mini"}},
    ChangeType.MODEL_REMOVED: {"model_id": _MODEL, "before": {"name": "OpenAI: GPT-4o-mini"}, "after": None},
    ChangeType.MODEL_REPRICED: {
        "model_id": _MODEL,
        "before": {"input": "0.15", "output": "0.6"},
        "after": {"input": "0.12", "output": "0.5"},
    },
    ChangeType.PROVIDER_DOWN: {
        "model_id": None,
        "before": {"status": "healthy"},
        "after": {"status": "down", "error": "list: provider_unavailable: OpenRouter answered 503."},
    },
    ChangeType.PROVIDER_DEGRADED: {
        "model_id": None,
        "before": {"status": "healthy"},
        "after": {"status": "degraded", "error": None},
    },
    ChangeType.PROVIDER_RECOVERED: {
        "model_id": None,
        "before": {"status": "down"},
        "after": {"status": "healthy", "error": None},
    },
}


def example_of(name: str, at: datetime) -> WebhookEvent:
    """An event of this name (of EVENTS) that never happened, and says so: its data has `"test": true`."""
    kind, _, what = name.partition(".")
    if kind == "generation":
        data = _generation(what, at)
    elif kind == "batch":
        data = _batch(at)
    else:
        data = _change(name, at)
    return WebhookEvent(type=name, at=at, data={**data, "test": True})


def _id(prefix: Prefix, at: datetime) -> str:
    """Of its time, and of nothing that there is: ids are drawn, and this one ends in zeros."""
    return id_of(prefix, at_ms=int(at.timestamp() * 1000), tail=bytes(10))


def _generation(status: str, at: datetime) -> dict[str, Any]:
    succeeded, known = status == "succeeded", status != "expired"
    error = _ERRORS.get(status)
    attempt = {
        "provider": "openrouter",
        "model": _MODEL,
        "outcome": status,
        "code": None if error is None else error["code"],
        "latency_ms": 1840,
    }
    cost = _usd("0.0000036") if succeeded else None
    return {
        "id": _id("gen", at - timedelta(seconds=2)),
        "type": "text",
        "status": status,
        "model": _MODEL if known else None,
        "provider": "openrouter" if known else None,
        "connection_id": None,
        "created_at": rfc3339(at - timedelta(seconds=2)),
        "started_at": rfc3339(at - timedelta(seconds=2)),
        "completed_at": rfc3339(at),
        "progress": 1.0 if succeeded else None,
        "output": {"text": "Good morning.", "finish_reason": "stop"} if succeeded else None,
        "usage": _USAGE if succeeded else None,
        "cost": {"estimated": _usd("0.00125"), "charged": cost or _usd("0"), "provider_cost": cost},
        "attempts": [attempt] if known else [],
        "error": error,
        "metadata": {"project_id": "example", "scene_id": "7"},
    }


def _usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


_USAGE: Mapping[str, Any] = {
    "input_tokens": 12,
    "output_tokens": 3,
    "cache_read_tokens": None,
    "cache_write_tokens": None,
    "reasoning_tokens": None,
    "total_tokens": 15,
    "estimated": False,
}
_ERRORS: Mapping[str, Mapping[str, Any]] = {
    "failed": {
        "code": "provider_overloaded",
        "detail": "OpenRouter is overloaded.",
        "retryable": True,
        "origin": "provider",
        "provider": "openrouter",
        "provider_request_id": None,
    },
    "expired": {
        "code": "gateway_unavailable",
        "detail": "It is not known how this generation ended.",
        "retryable": True,
        "origin": "gateway",
        "provider": None,
        "provider_request_id": None,
    },
}


def _batch(at: datetime) -> dict[str, Any]:
    counts = {"queued": 0, "running": 0, "succeeded": 9, "failed": 1, "cancelled": 0}
    return {"id": _id("bat", at - timedelta(minutes=3)), "status": "succeeded", "counts": counts}


def _change(name: str, at: datetime) -> dict[str, Any]:
    told = _TOLD.get(name) or {
        "model_id": _MODEL,
        "before": {"status": "available", "expires_at": None},
        "after": {"status": "deprecated", "expires_at": rfc3339(at + timedelta(days=90))},
    }
    return {"id": _id("evt", at), "type": name, "at": rfc3339(at), "provider": "openrouter", **told}
