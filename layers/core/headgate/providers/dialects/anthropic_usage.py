"""Anthropic's usage object, and ours. Pure.

Its `input_tokens` are those beside the cache; ours are all: https://docs.claude.com/en/docs/build-with-claude/
prompt-caching#tracking-cache-performance (2026-11-20).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate.domain.generation import Usage
from headgate.domain.money import decimal_text
from headgate.providers.dialects.listing import read_usd


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Tokens in our convention; what is not told is None."""
    beside = _count(usage, "input_tokens")
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    details = usage.get("output_tokens_details")
    return Usage(
        input_tokens=None if beside is None else beside + (read or 0) + (written or 0),
        output_tokens=_count(usage, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_count(details, "thinking_tokens") if isinstance(details, Mapping) else None,
        cost_usd=read_usd(usage.get("cost")),
    )


def write_usage(usage: Usage, cost_usd: Decimal | None) -> dict[str, Any]:
    """The dialect knows no null here: what is unknown is zero."""
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    shown: dict[str, Any] = {
        "input_tokens": max(0, (usage.input_tokens or 0) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.reasoning_tokens is not None:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if cost_usd is not None:
        shown["cost"] = float(decimal_text(cost_usd))
    return shown


def merged(start: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's usage so far: counts in `message_delta` are cumulative, those it leaves out still hold."""
    return {**start, **{name: value for name, value in later.items() if value is not None}}


def _count(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
