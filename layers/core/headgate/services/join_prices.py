"""Filling what a provider's list leaves open from public tables, and flagging where they disagree. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, Pricing
from headgate.providers.dialects import listing
from headgate.providers.dialects.canonical import HOMES
from headgate.services.price_rules import matches, named_ids
from headgate.services.price_sources import SELLERS, PriceRow

DISPUTED_FROM = Decimal("0.01")
"""Two prices which differ by more than this share of the higher one are flagged."""

_PRICED_BY_TOKENS = frozenset({Modality.TEXT, Modality.EMBEDDING, Modality.IMAGE, Modality.RERANK})
"""What is charged by tokens: of speech, music and video the tables tell token prices that nobody pays."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row, and who told it when."""

    source: str
    at: datetime | None
    row: PriceRow


class _Rows:
    """The rows of one table about one seller, found by id."""

    def __init__(self, rows: Iterable[PriceRow], *, one_name_each: bool) -> None:
        self._by_id: dict[str, PriceRow] = {}
        self._by_canonical: dict[str, PriceRow] = {}
        self._by_rule: list[PriceRow] = []
        for row in rows:
            named = named_ids(row.match) if row.match else {row.id}
            for name in named:
                self._by_id.setdefault(name, row)
            if not named:
                self._by_rule.append(row)
            elif one_name_each and not row.match:
                self._by_canonical.setdefault(row.canonical_id, row)

    def find(self, model: ModelInfo) -> PriceRow | None:
        """By the id, then by the name without its date and spelling, then by the first rule that fits."""
        name = model.native_id
        found = self._by_id.get(name) or self._by_canonical.get(model.canonical_id)
        return found or next((row for row in self._by_rule if matches(row.match, name)), None)


class PriceBook:
    """What all tables say. Built once per set of tables; never altered.

    A price is taken from rows about the very seller only: what a model costs at its maker's says nothing of
    what a router asks for it. What a model is (its limits, abilities and age) its maker knows as well.
    """

    def __init__(self, tables: Sequence[tuple[str, datetime | None, Sequence[PriceRow]]] = ()) -> None:
        """tables: name, when it was last confirmed, rows; the first table goes before the next."""
        self._sellers: list[tuple[str, datetime | None, Mapping[str, _Rows]]] = []
        self._authors: dict[str, Told] = {}
        for name, at, rows in tables:
            self._sellers.append((name, at, _by_seller(rows)))
            for row in rows:
                author = row.canonical_id.partition("/")[0]
                if row.seller == "" or HOMES.get(row.seller) == author:
                    self._authors.setdefault(row.canonical_id, Told(name, at, row))

    def complete(self, models: Iterable[ModelInfo]) -> tuple[ModelInfo, ...]:
        """The models in their order, completed where a table knows more; the provider's own word stays."""
        return tuple(self._completed(model) for model in models)

    def _completed(self, model: ModelInfo) -> ModelInfo:
        if not is_joined(model):
            return model
        told = list(self._told_of(model))
        author = self._authors.get(model.canonical_id)
        known = [*told, author] if author is not None else told
        if not known:
            return model
        pricing = _join_price(model, told)
        return replace(
            _with_facts(model, [each.row for each in known]),
            pricing=pricing,
            premium=model.premium or listing.is_premium(pricing),
            status=_status(model, [each.row for each in told]),
        )

    def _told_of(self, model: ModelInfo) -> Iterator[Told]:
        for name, at, sellers in self._sellers:
            rows = sellers.get(model.provider)
            row = rows.find(model) if rows is not None else None
            if row is not None:
                yield Told(name, at, row)


def is_joined(model: ModelInfo) -> bool:
    """Whether a table can know this very model: a fine-tune is sold at a price of its own."""
    native_id = model.native_id
    return model.provider in SELLERS and not native_id.startswith("ft:") and ":ft-" not in native_id


def _by_seller(rows: Iterable[PriceRow]) -> dict[str, _Rows]:
    """Only who sells its own models sells each at one price, whatever date or spelling its id has."""
    groups: dict[str, list[PriceRow]] = {}
    for row in rows:
        groups.setdefault(row.seller, []).append(row)
    return {seller: _Rows(group, one_name_each=seller in HOMES) for seller, group in groups.items() if seller}


def _join_price(model: ModelInfo, told: Sequence[Told]) -> Pricing | None:
    """The provider's own price, else the first table's; flagged when another one tells it differently."""
    own = model.pricing
    prices = [(each, each.row.pricing) for each in told if each.row.pricing is not None]
    if own is not None and own.known:
        disputed = any(differ(own, price) for _, price in prices)
        return replace(own, disputed=True) if disputed else own
    if not prices or model.modality not in _PRICED_BY_TOKENS:
        return own
    (first, price), *others = prices
    return replace(
        price,
        source=first.source,
        as_of=first.at,
        disputed=any(differ(price, other) for _, other in others),
    )


def differ(one: Pricing, other: Pricing) -> bool:
    """Whether a price that both tell (in, out, from the cache) is more than 1 % off."""
    pairs = ((one.input, other.input), (one.output, other.output), (one.cache_read, other.cache_read))
    return any(a is not None and b is not None and abs(a - b) > DISPUTED_FROM * max(a, b) for a, b in pairs)


def _status(model: ModelInfo, rows: Iterable[PriceRow]) -> ModelStatus:
    if model.status is not ModelStatus.UNAVAILABLE and any(row.deprecated for row in rows):
        return ModelStatus.DEPRECATED
    return model.status


def _with_facts(model: ModelInfo, rows: Sequence[PriceRow]) -> ModelInfo:
    """Limits and age where the list tells none, abilities where it tells nothing but names.

    A list that has prices has abilities too, and what it does not name is not there. One without is taken to
    say what the provider's file could guess from the name, which a table can only add to.
    """
    filled = replace(
        model,
        context_window=model.context_window or _first(row.context_window for row in rows),
        max_output_tokens=model.max_output_tokens or _first(row.max_output_tokens for row in rows),
        created_at=model.created_at or next((row.created_at for row in rows if row.created_at), None),
    )
    shape = next((row for row in rows if row.input_modalities), None)
    if model.pricing is not None or model.modality is not Modality.TEXT or shape is None:
        return filled
    return replace(
        filled,
        input_modalities=_merged(model.input_modalities, shape.input_modalities),
        output_modalities=_merged(model.output_modalities, shape.output_modalities),
        capabilities=model.capabilities | shape.capabilities,
    )


def _first(counts: Iterable[int | None]) -> int | None:
    return next((count for count in counts if count is not None), None)


def _merged(own: tuple[str, ...], told: tuple[str, ...]) -> tuple[str, ...]:
    return listing.read_modalities([*own, *told])
