"""Public price tables, read into rows of one shape. Pure: bytes in, values out.

Both are kept by people who read the providers' price pages; neither is right everywhere, which is why a row
fills what a provider's own list leaves open and overrules nothing.

- models.dev: https://models.dev/api.json, sellers with their models, USD per million tokens (2026-11).
- genai-prices: https://github.com/pydantic/genai-prices, which finds a model by rules for its id, and whose
  prices may begin on a day or hold for some hours of it (2026-11).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from headgate.domain.catalog import Pricing
from headgate.providers.dialects import listing
from headgate.providers.dialects.canonical import canonical_id

SELLERS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("anthropic", "anthropic"),
    "bedrock": ("amazon-bedrock", "aws"),
    "deepseek": ("deepseek", "deepseek"),
    "gemini": ("google", "google"),
    "huggingface": ("huggingface", ""),
    "openai": ("openai", "openai"),
    "openrouter": ("openrouter", "openrouter"),
    "requesty": ("requesty", ""),
}
"""Our slugs, and what models.dev and genai-prices call them. A provider that is not here is not joined: what
runs on a user's own machine (custom, modal) has neither a price nor a limit that a table could know."""

_AUTHORS: Mapping[str, str] = {
    "alibaba": "qwen",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google": "google",
    "minimax": "minimax",
    "mistral": "mistralai",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "perplexity": "perplexity",
    "xai": "x-ai",
    "zai": "z-ai",
}
"""Sellers in models.dev that sell what they make, by the author in our canonical ids: what they say of a
model holds for it anywhere, but for its price."""

_MTOK = Decimal(1_000_000)


class UnreadableTable(ValueError):
    """What was fetched is no such table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """What a table says of a model at one seller.

    seller: our slug, or empty for an author whom we reach through others only. id: as the table writes it.
    match: the table's rule for ids, where it has rules.
    """

    seller: str
    id: str
    canonical_id: str
    match: Mapping[str, Any] = field(default_factory=dict)
    pricing: Pricing | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    created_at: datetime | None = None
    deprecated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTable:
    """The rows of interest; `changes_at`: when the same bytes would give others, as a price begins then."""

    rows: tuple[PriceRow, ...]
    changes_at: datetime | None = None


Reader = Callable[[bytes, datetime], ReadTable]


# -- models.dev --------------------------------------------------------------------------------------------


def read_models_dev(body: bytes, now: datetime) -> ReadTable:
    """Raises UnreadableTable."""
    del now
    root = listing.read_object(_parse(body))
    slugs = {theirs: slug for slug, (theirs, _) in SELLERS.items()}
    rows = [
        row
        for name, seller in root.items()
        if name in slugs or name in _AUTHORS
        for row in _rows_of_models_dev(slugs.get(name, ""), _AUTHORS.get(name), listing.read_object(seller))
    ]
    return _table(rows, "models.dev")


def _rows_of_models_dev(slug: str, author: str | None, seller: Mapping[str, Any]) -> Iterator[PriceRow]:
    for name, told in listing.read_object(seller.get("models")).items():
        entry = listing.read_object(told)
        limit = listing.read_object(entry.get("limit"))
        shape = listing.read_object(entry.get("modalities"))
        inputs = _modalities(shape.get("input"))
        outputs = _modalities(shape.get("output"))
        pricing = _models_dev_price(listing.read_object(entry.get("cost")))
        yield PriceRow(
            seller=slug,
            id=name,
            canonical_id=canonical_id(slug, name) if slug else canonical_id("", name, author=author),
            pricing=pricing,
            context_window=listing.read_tokens(limit.get("context")),
            max_output_tokens=listing.read_tokens(limit.get("output")),
            input_modalities=inputs,
            output_modalities=outputs,
            capabilities=_models_dev_capabilities(entry, inputs, outputs, pricing),
            created_at=_day(entry.get("release_date")),
            deprecated=entry.get("status") == "deprecated",
        )


# Cached tokens are spelt in several ways (seen 2026-07). Tiers are left out: the price is the first one's.
_MODELS_DEV_KEYS: Mapping[str, tuple[str, ...]] = {
    "input": ("input",),
    "output": ("output",),
    "cache_read": ("cache_read", "cached_input", "cache_input"),
    "cache_write": ("cache_write", "cached_write"),
    "reasoning": ("reasoning",),
    "audio": ("input_audio",),
    "audio_output": ("output_audio",),
}


def _models_dev_price(cost: Mapping[str, Any]) -> Pricing | None:
    return _pricing(
        {
            name: next((listing.read_mtok(cost[key]) for key in keys if cost.get(key) is not None), None)
            for name, keys in _MODELS_DEV_KEYS.items()
        }
    )


def _models_dev_capabilities(
    entry: Mapping[str, Any], inputs: tuple[str, ...], outputs: tuple[str, ...], pricing: Pricing | None
) -> frozenset[str]:
    found = [
        ("tools", entry.get("tool_call") is True),
        ("reasoning", entry.get("reasoning") is True),
        ("structured_output", entry.get("structured_output") is True),
        ("prompt_caching", pricing is not None and bool(pricing.cache_read)),
        ("vision", "image" in inputs),
        *((f"{word}_input", word in inputs) for word in ("audio", "video", "file")),
        *((f"{word}_output", word in outputs and "text" in outputs) for word in ("audio", "image")),
    ]
    return frozenset(name for name, there in found if there)


def _modalities(value: Any) -> tuple[str, ...]:
    words = ["file" if word == "pdf" else word for word in listing.read_words(value)]
    return listing.read_modalities(words, default=())


def _day(value: Any) -> datetime | None:
    """A day, or a month or year, whose first day it is then."""
    text = value if isinstance(value, str) else ""
    return listing.read_moment(
        f"{text}-01-01"[:10] if len(text) == 4 else f"{text}-01" if len(text) == 7 else text
    )


# -- genai-prices ------------------------------------------------------------------------------------------


def read_genai_prices(body: bytes, now: datetime) -> ReadTable:
    """Prices as they are at `now`. Raises UnreadableTable."""
    root = _parse(body)
    slugs = {theirs: slug for slug, (_, theirs) in SELLERS.items() if theirs}
    rows: list[PriceRow] = []
    starts: set[datetime] = set()
    for told in root if isinstance(root, list) else []:
        seller = listing.read_object(told)
        slug = slugs.get(str(seller.get("id")))
        models = seller.get("models")
        for entry in models if slug is not None and isinstance(models, list) else []:
            if isinstance(entry, dict) and slug is not None:
                starts.update(_starts(entry.get("prices")))
                rows.extend(_genai_row(slug, entry, now))
    return _table(rows, "genai-prices", min((at for at in starts if at > now), default=None))


def _genai_row(slug: str, entry: Mapping[str, Any], now: datetime) -> Iterator[PriceRow]:
    name, rule = listing.read_text(entry.get("id")), listing.read_object(entry.get("match"))
    if name and rule:
        yield PriceRow(
            seller=slug,
            id=name,
            canonical_id=canonical_id(slug, name),
            match=rule,
            pricing=_genai_price(entry.get("prices"), now),
            context_window=listing.read_tokens(entry.get("context_window")),
            deprecated=entry.get("deprecated") is True,
        )


def _genai_price(prices: Any, now: datetime) -> Pricing | None:
    """The last price that has begun; of prices that change within a day the one that no hour exceeds."""
    if isinstance(prices, dict):
        return _genai_mtok(prices)
    current: Pricing | None = None
    for each in prices if isinstance(prices, list) else []:
        told = listing.read_object(each)
        constraint = listing.read_object(told.get("constraint"))
        start = _start(told)
        if start is not None and start > now:
            continue
        price = _genai_mtok(listing.read_object(told.get("prices")))
        if price is not None and (
            current is None or "start_time" not in constraint or _dearer(price, current)
        ):
            current = price
    return current


# A price is a number, or `{"base": …, "tiers": […]}`, of which the first tier is taken.
_GENAI_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
}


def _genai_mtok(prices: Mapping[str, Any]) -> Pricing | None:
    told = {name: prices.get(key) for name, key in _GENAI_KEYS.items()}
    return _pricing(
        {
            name: listing.read_mtok(price.get("base") if isinstance(price, dict) else price)
            for name, price in told.items()
        }
    )


def _dearer(price: Pricing, other: Pricing) -> bool:
    return (price.input or 0, price.output or 0) > (other.input or 0, other.output or 0)


def _starts(prices: Any) -> Iterator[datetime]:
    for each in prices if isinstance(prices, list) else []:
        start = _start(listing.read_object(each))
        if start is not None:
            yield start


def _start(told: Mapping[str, Any]) -> datetime | None:
    return _day(listing.read_object(told.get("constraint")).get("start_date"))


# -- both --------------------------------------------------------------------------------------------------


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnreadableTable("not JSON") from None


def _table(rows: Iterable[PriceRow], name: str, changes_at: datetime | None = None) -> ReadTable:
    kept = tuple(rows)
    if not any(row.pricing for row in kept):
        raise UnreadableTable(f"nothing in it looks like {name}")
    return ReadTable(rows=kept, changes_at=changes_at)


def _pricing(prices: Mapping[str, Decimal | None]) -> Pricing | None:
    """USD per million tokens, by our names. None for a price that says nothing.

    Zero for everything is what tables write where they don't know, or where a subscription pays.
    """
    base, out = prices.get("input"), prices.get("output")
    units = ((name, prices.get(name)) for name in ("audio", "audio_output"))
    pricing = Pricing(
        input=base,
        output=out,
        cache_read=listing.charged(prices.get("cache_read"), base),
        cache_write=listing.charged(prices.get("cache_write"), base),
        reasoning=listing.charged(prices.get("reasoning"), out),
        units={name: price / _MTOK for name, price in units if price},
    )
    return pricing if pricing.above_zero else None
