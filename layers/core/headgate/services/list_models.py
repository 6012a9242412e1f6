"""Choosing, sorting and paging models out of a view."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import GatewayFault, HeadgateError, InvalidRequest
from headgate.ports import Clock
from headgate.services.catalog import Catalog
from headgate.services.catalog_view import CatalogView, pins_of
from headgate.services.default_models import default_models
from headgate.services.key_models import is_bound_to
from headgate.services.offers import is_available, price_sum
from headgate.settings import Settings

SORTS = ("name", "price", "-price", "context", "newest", "latency")
MAX_LIMIT = 1000
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_DEAR = Decimal("Infinity")
_CHECKSUM_BYTES = 9
Again = Callable[[Mapping[str, str], str], Awaitable[CatalogView]]
"""The view at these versions, with this mark; raises HeadgateError where it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuery:
    """What a caller asks of the list. Prices are USD per million tokens; None asks for nothing.

    providers, modalities, statuses: any of them. capabilities: all of them. q: words that must all occur.
    allowed: with `available`, the names that the caller's key is bound to; None for a key that is not.
    """

    providers: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    q: str | None = None
    premium: bool | None = None
    vision: bool | None = None
    min_context: int | None = None
    max_input_price: Decimal | None = None
    max_output_price: Decimal | None = None
    available: bool = False
    allowed: frozenset[str] | None = None
    sort: str | None = None
    limit: int | None = None
    cursor: str | None = None

    def fingerprint(self) -> str:
        """The same for equal queries, whatever the page."""
        text = repr(
            [
                sorted(self.providers),
                sorted(self.modalities),
                sorted(self.capabilities),
                sorted(self.statuses),
                self.q,
                self.premium,
                self.vision,
                self.min_context,
                self.max_input_price,
                self.max_output_price,
                self.available,
                None if self.allowed is None else sorted(self.allowed),
                self.sort,
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """One page: its models, how many match in all, the next cursor, and the view it was cut from."""

    models: tuple[ModelInfo, ...]
    total: int
    next_cursor: str | None
    view: CatalogView = field(repr=False)


class ModelLister:
    """Answers queries from memory."""

    def __init__(self, catalog: Catalog, clock: Clock, settings: Settings) -> None:
        self._catalog = catalog
        self._clock = clock
        self._settings = settings

    def defaults(self, view: CatalogView) -> dict[str, str]:
        """The platform's default model of each modality that has one."""
        return default_models(view, self._settings, self._clock.now())

    async def page(self, query: ModelQuery, *, view: CatalogView, again: Again | None = None) -> ModelList:
        """A page of `view`, or of the versions that the cursor pins, as `again` finds them; without it,
        in the platform's catalogue.

        Raises InvalidRequest naming `cursor` when it is none of ours, or its versions are gone.
        """
        offset = 0
        if query.cursor is not None:
            view, offset = await self._resume(query, again or self._platforms)
        matching = self.matching(query, view)
        end = len(matching) if query.limit is None else offset + query.limit
        more = end < len(matching)
        return ModelList(
            models=tuple(matching[offset:end]),
            total=len(matching),
            next_cursor=_cursor(view, end, query) if more else None,
            view=view,
        )

    def matching(self, query: ModelQuery, view: CatalogView) -> list[ModelInfo]:
        """Everything that matches, in order."""
        found: Iterable[ModelInfo] = view.models
        for test in self._tests(query, view):
            found = filter(test, found)
        models = list(found)
        if query.sort is not None:
            models.sort(key=_sort_key(query.sort, view))
        return models

    def _tests(self, query: ModelQuery, view: CatalogView) -> list[Callable[[ModelInfo], bool]]:
        now = self._clock.now()
        tests: list[Callable[[ModelInfo], bool]] = []
        if query.providers:
            tests.append(lambda m: m.provider in query.providers)
        if query.modalities:
            tests.append(lambda m: m.modality.value in query.modalities)
        if query.capabilities:
            tests.append(lambda m: query.capabilities <= m.capabilities)
        if query.statuses:
            tests.append(lambda m: m.status_at(now).value in query.statuses)
        if query.premium is not None:
            tests.append(lambda m: m.premium is query.premium)
        if query.vision is not None:
            tests.append(lambda m: m.vision is query.vision)
        if query.min_context is not None:
            least = query.min_context
            tests.append(lambda m: (m.context_window or 0) >= least)
        tests.extend(_price_tests(query))
        if query.q:
            words = query.q.lower().split()
            tests.append(lambda m: _has_words(m, words))
        if query.available:
            tests.append(lambda m: is_available(m, view, now))
            if (bound_to := query.allowed) is not None:
                tests.append(lambda m: is_bound_to(bound_to, m))
        return tests

    async def _platforms(self, pins: Mapping[str, str], mark: str) -> CatalogView:
        view = await self._catalog.pinned(pins)
        if view.mark != mark:
            raise GatewayFault("What administrators say of models has changed.")
        return view

    async def _resume(self, query: ModelQuery, again: Again) -> tuple[CatalogView, int]:
        saved = _read_cursor(query.cursor or "")
        if saved is None:
            raise InvalidRequest.of_field("cursor", "is not one of ours.")
        pins, mark, offset, fingerprint = saved
        if fingerprint != query.fingerprint():
            raise InvalidRequest.of_field("cursor", "belongs to another query.")
        try:
            return await again(pins, mark), offset
        except HeadgateError as error:
            raise InvalidRequest.of_field(
                "cursor", "is too old: the list changed since. Start again without it."
            ) from error


def _cursor(view: CatalogView, offset: int, query: ModelQuery) -> str:
    saved = orjson.dumps({"v": pins_of(view), "m": view.mark, "o": offset, "q": query.fingerprint()})
    return _text_of(_checksum(saved) + saved)


def _text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[dict[str, str], str, int, str] | None:
    """Versions, mark, offset and the query's fingerprint; None for a text that `_cursor` never made.

    The checksum is no secret: it tells a cut or mistyped cursor apart, and whoever forges one reads nothing
    but public lists.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if _checksum(raw[_CHECKSUM_BYTES:]) != raw[:_CHECKSUM_BYTES] or _text_of(raw) != text:
            return None
        saved = orjson.loads(raw[_CHECKSUM_BYTES:])
        pins = {str(slug): str(version) for slug, version in saved["v"].items()}
        return pins, str(saved["m"]), max(0, int(saved["o"])), str(saved["q"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(b"models" + content).digest()[:_CHECKSUM_BYTES]


def _price_tests(query: ModelQuery) -> list[Callable[[ModelInfo], bool]]:
    tests: list[Callable[[ModelInfo], bool]] = []
    if query.max_input_price is not None:
        most_in = query.max_input_price
        tests.append(
            lambda m: m.pricing is not None and m.pricing.input is not None and m.pricing.input <= most_in
        )
    if query.max_output_price is not None:
        most_out = query.max_output_price
        tests.append(
            lambda m: m.pricing is not None and m.pricing.output is not None and m.pricing.output <= most_out
        )
    return tests


def _has_words(model: ModelInfo, words: list[str]) -> bool:
    text = f"{model.id} {model.name} {model.description}".lower()
    return all(word in text for word in words)


def _sort_key(sort: str, view: CatalogView) -> Callable[[ModelInfo], Any]:
    """Unknown values come last, whichever way; equal ones by id."""

    def dear(model: ModelInfo) -> tuple[Any, ...]:
        price = price_sum(model)
        return (price is None, _DEAR if price is None else price, model.id)

    def cheap_last(model: ModelInfo) -> tuple[Any, ...]:
        price = price_sum(model)
        return (price is None, _DEAR if price is None else -price, model.id)

    def latency(model: ModelInfo) -> tuple[Any, ...]:
        health = view.health.get(model.provider)
        p50_ms = None if health is None else health.latency_p50_ms
        return (p50_ms is None, p50_ms or 0, model.id)

    keys: Mapping[str, Callable[[ModelInfo], Any]] = {
        "name": lambda m: (m.name.casefold(), m.id),
        "price": dear,
        "-price": cheap_last,
        "context": lambda m: (-(m.context_window or 0), m.id),
        "newest": lambda m: (-(m.created_at or _NEVER).timestamp(), m.id),
        "latency": latency,
    }
    return keys[sort]
