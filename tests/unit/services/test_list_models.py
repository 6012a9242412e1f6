"""Every filter and sort of the model list, and pages that neither skip nor repeat."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus, ProviderStatus
from headgate.domain.errors import InvalidRequest
from headgate.domain.health import ProviderHealth
from headgate.services.list_models import SORTS, ModelList, ModelLister, ModelQuery
from headgate.settings import Settings
from headgate.testing.clock import START
from tests.support.bench import Bench
from tests.support.models import model, priced

DAY = timedelta(days=1)
SLUGS = ("anthropic", "openai", "openrouter")

PRICINGS = st.none() | st.builds(
    priced, st.sampled_from([None, "0", "0.15", "3"]), st.sampled_from([None, "0", "0.6", "15"])
)
MODELS = st.builds(
    lambda slug, number, **fields: model(f"{slug}/m{number}", **fields),
    st.sampled_from(SLUGS),
    st.integers(0, 30),
    name=st.sampled_from(["Alpha", "beta", "Gamma", "alpha"]),
    description=st.sampled_from(["", "fast and cheap", "Reasons long"]),
    modality=st.sampled_from([Modality.TEXT, Modality.IMAGE, Modality.TTS]),
    input_modalities=st.sampled_from([("text",), ("text", "image")]),
    capabilities=st.frozensets(st.sampled_from(["tools", "vision", "streaming"])),
    premium=st.booleans(),
    context_window=st.sampled_from([None, 8_000, 128_000, 1_000_000]),
    pricing=PRICINGS,
    status=st.sampled_from(ModelStatus),
    expires_at=st.sampled_from([None, START - DAY, START + DAY]),
    created_at=st.sampled_from([None, datetime(2024, 7, 18, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]),
)
CATALOGUES = st.lists(MODELS, unique_by=lambda each: each.id, max_size=25)
MAYBE = st.none() | st.booleans()
PRICES = st.none() | st.sampled_from([Decimal(0), Decimal("0.15"), Decimal(100)])
QUERIES = st.builds(
    ModelQuery,
    providers=st.frozensets(st.sampled_from([*SLUGS, "unknown"]), max_size=2),
    modalities=st.frozensets(st.sampled_from(["text", "image"]), max_size=2),
    capabilities=st.frozensets(st.sampled_from(["tools", "vision"]), max_size=2),
    statuses=st.frozensets(st.sampled_from([s.value for s in ModelStatus]), max_size=2),
    q=st.none() | st.sampled_from(["alpha", "CHEAP fast", "openai m1", "nothing"]),
    premium=MAYBE,
    vision=MAYBE,
    min_context=st.none() | st.sampled_from([1, 128_000]),
    max_input_price=PRICES,
    max_output_price=PRICES,
    available=st.booleans(),
    sort=st.none() | st.sampled_from(SORTS),
)


class Desk(Bench):
    """A lister over a catalogue of one process."""

    def __init__(self) -> None:
        super().__init__()
        container = self.process("models")
        self.catalog = container.catalog
        self.lister = ModelLister(self.catalog, self.clock, Settings(function="models"))

    async def publish_all(self, models: Iterable[ModelInfo]) -> None:
        by_slug: dict[str, list[ModelInfo]] = {}
        for each in models:
            by_slug.setdefault(each.provider, []).append(each)
        for slug, listed in by_slug.items():
            await self.publish(slug, *listed)

    async def set_health(self, slug: str, status: ProviderStatus, p50_ms: int | None = None) -> None:
        await self.catalog_store.write_health(
            ProviderHealth(provider=slug, status=status, last_checked=self.clock.now(), latency_p50_ms=p50_ms)
        )

    async def page(self, query: ModelQuery) -> ModelList:
        return await self.lister.page(query, view=await self.catalog.view())

    async def ids(self, **query: Any) -> list[str]:
        return [each.id for each in (await self.page(ModelQuery(**query))).models]

    async def all_pages(self, query: ModelQuery) -> list[list[str]]:
        """The ids of each page, followed to the end."""
        pages, cursor = [], None
        while True:
            page = await self.page(replace(query, cursor=cursor))
            pages.append([each.id for each in page.models])
            cursor = page.next_cursor
            if cursor is None:
                return pages


async def desk_with(*models: ModelInfo) -> Desk:
    desk = Desk()
    await desk.publish_all(models)
    return desk


# -- filters -----------------------------------------------------------------------------------------------

ONE = model(
    "openai/gpt-5",
    name="GPT-5",
    description="Thinks before it speaks",
    capabilities=frozenset({"tools", "streaming"}),
    input_modalities=("text", "image"),
    premium=True,
    context_window=400_000,
    pricing=priced("1.25", "10"),
)
OTHER = model("anthropic/plain", modality=Modality.TTS, name="Plain")


@pytest.mark.parametrize(
    "query",
    [
        {"providers": frozenset({"openai"})},
        {"providers": frozenset({"openai", "gemini"})},
        {"modalities": frozenset({"text"})},
        {"modalities": frozenset({"text", "image"})},
        {"capabilities": frozenset({"tools"})},
        {"capabilities": frozenset({"tools", "streaming"})},
        {"q": "gpt"},
        {"q": "THINKS gpt-5"},
        {"q": "openai/"},
        {"premium": True},
        {"vision": True},
        {"min_context": 400_000},
        {"max_input_price": Decimal("1.25")},
        {"max_output_price": Decimal(10)},
    ],
)
async def test_each_filter_keeps_what_fits_and_drops_the_rest(query: dict[str, Any]) -> None:
    desk = await desk_with(ONE, OTHER)
    assert await desk.ids(**query) == [ONE.id]


@pytest.mark.parametrize(
    "query",
    [
        {"capabilities": frozenset({"tools", "vision"})},
        {"q": "gpt plain"},
        {"min_context": 400_001},
        {"max_input_price": Decimal("1.24")},
        {"max_output_price": Decimal("9.99")},
        {"statuses": frozenset({"deprecated"})},
        {"premium": True, "vision": False},
    ],
)
async def test_filters_are_all_to_be_met(query: dict[str, Any]) -> None:
    desk = await desk_with(ONE, OTHER)
    assert await desk.ids(**query) == []


async def test_an_unknown_price_is_under_no_price() -> None:
    desk = await desk_with(OTHER, replace(OTHER, id="anthropic/half", pricing=priced(None, None)))
    assert await desk.ids(max_input_price=Decimal(10**6)) == []
    assert await desk.ids(max_output_price=Decimal(10**6)) == []


async def test_the_status_is_that_of_now_not_that_of_the_list() -> None:
    desk = await desk_with(replace(ONE, expires_at=START + DAY), OTHER)
    assert await desk.ids(statuses=frozenset({"deprecated"})) == [ONE.id]
    assert await desk.ids(statuses=frozenset({"available", "deprecated"})) == [OTHER.id, ONE.id]


async def test_available_is_what_can_be_called_now() -> None:
    desk = await desk_with(
        ONE,
        model("openai/ended", expires_at=START - DAY),
        model("openai/ending", expires_at=START + DAY),
        model("openai/off", status=ModelStatus.UNAVAILABLE),
        model("anthropic/well"),
        model("openrouter/ill"),
    )
    await desk.set_health("anthropic", ProviderStatus.DEGRADED)
    await desk.set_health("openrouter", ProviderStatus.DOWN)
    assert await desk.ids(available=True) == ["anthropic/well", "openai/ending", "openai/gpt-5"]


def kept(each: ModelInfo, query: ModelQuery) -> bool:
    """What the contract says of each filter, said once more and otherwise."""
    price = each.pricing
    status = each.status_at(START).value
    words = (query.q or "").lower().split()
    text = " ".join((each.id, each.name, each.description)).lower()
    conditions = [
        not query.providers or each.provider in query.providers,
        not query.modalities or each.modality.value in query.modalities,
        not (query.capabilities - each.capabilities),
        not query.statuses or status in query.statuses,
        all(word in text for word in words),
        query.premium in (None, each.premium),
        query.vision in (None, each.vision),
        query.min_context is None or (each.context_window or 0) >= query.min_context,
        query.max_input_price is None or known_below(price.input if price else None, query.max_input_price),
        query.max_output_price is None
        or known_below(price.output if price else None, query.max_output_price),
        not query.available or status != "unavailable",
    ]
    return all(conditions)


def known_below(price: Decimal | None, most: Decimal) -> bool:
    return price is not None and price <= most


@settings(max_examples=60, deadline=None)
@given(CATALOGUES, QUERIES)
def test_a_query_finds_exactly_what_fits(models: list[ModelInfo], query: ModelQuery) -> None:
    async def run() -> None:
        page = await (await desk_with(*models)).page(query)
        assert {each.id for each in page.models} == {each.id for each in models if kept(each, query)}
        assert page.total == len(page.models)
        assert page.next_cursor is None

    asyncio.run(run())


# -- sorting -----------------------------------------------------------------------------------------------

Key = Callable[[ModelInfo], Any]


def price_of(each: ModelInfo) -> Decimal | None:
    price = each.pricing
    return (
        None if price is None or price.input is None or price.output is None else price.input + price.output
    )


SORT_KEYS: dict[str, tuple[Key, bool]] = {
    "name": (lambda each: each.name.casefold(), False),
    "price": (price_of, False),
    "-price": (price_of, True),
    "context": (lambda each: each.context_window, True),
    "newest": (lambda each: each.created_at, True),
    "latency": (lambda each: {"openai": 900, "openrouter": 300}.get(each.provider), False),
}


def test_every_sort_is_checked_here() -> None:
    assert sorted(SORT_KEYS) == sorted(SORTS)


@pytest.mark.parametrize("sort", SORTS)
@settings(max_examples=25, deadline=None)
@given(models=CATALOGUES)
def test_a_sort_puts_the_unknown_last_whichever_way_and_equals_by_id(
    sort: str, models: list[ModelInfo]
) -> None:
    key, falling = SORT_KEYS[sort]

    async def run() -> list[ModelInfo]:
        desk = await desk_with(*models)
        await desk.set_health("openai", ProviderStatus.HEALTHY, 900)
        await desk.set_health("openrouter", ProviderStatus.HEALTHY, 300)
        return list((await desk.page(ModelQuery(sort=sort))).models)

    shown = asyncio.run(run())
    known = [each for each in shown if key(each) is not None]
    assert shown[: len(known)] == known
    assert sorted(shown, key=lambda each: each.id) == sorted(models, key=lambda each: each.id)
    values = [key(each) for each in known]
    assert values == sorted(values, reverse=falling)
    for one, other in pairwise(shown):
        assert key(one) != key(other) or one.id < other.id


async def test_without_a_sort_it_is_by_id() -> None:
    desk = await desk_with(ONE, OTHER, model("openai/a"))
    assert await desk.ids() == [OTHER.id, "openai/a", ONE.id]


# -- pages -------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(CATALOGUES, QUERIES, st.integers(1, 9))
def test_pages_hold_every_match_once_in_order(models: list[ModelInfo], query: ModelQuery, limit: int) -> None:
    async def run() -> None:
        desk = await desk_with(*models)
        whole = await desk.page(query)
        pages = await desk.all_pages(replace(query, limit=limit))
        assert [each for page in pages for each in page] == [each.id for each in whole.models]
        assert all(len(page) == limit for page in pages[:-1])
        assert len(pages) == max(1, -(-len(whole.models) // limit))

    asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(CATALOGUES, CATALOGUES, st.integers(1, 9))
def test_a_change_between_two_pages_neither_skips_nor_repeats(
    before: list[ModelInfo], after: list[ModelInfo], limit: int
) -> None:
    async def run() -> None:
        desk = await desk_with(*before)
        first = await desk.page(ModelQuery(sort="name", limit=limit))
        whole = [each.id for each in (await desk.page(ModelQuery(sort="name"))).models]
        for slug in SLUGS:
            await desk.publish(slug, *(each for each in after if each.provider == slug))
        desk.clock.advance(61)
        seen, cursor = [each.id for each in first.models], first.next_cursor
        while cursor is not None:
            page = await desk.page(ModelQuery(sort="name", limit=limit, cursor=cursor))
            seen += [each.id for each in page.models]
            cursor = page.next_cursor
            assert page.total == first.total
        assert seen == whole

    asyncio.run(run())


async def test_the_total_is_of_all_matches_not_of_the_page() -> None:
    desk = await desk_with(*(model(f"openai/m{n}") for n in range(7)), OTHER)
    page = await desk.page(ModelQuery(providers=frozenset({"openai"}), limit=2))
    assert (len(page.models), page.total) == (2, 7)


async def test_a_last_page_that_is_full_has_no_next() -> None:
    desk = await desk_with(*(model(f"openai/m{n}") for n in range(4)))
    assert [len(page) for page in await desk.all_pages(ModelQuery(limit=2))] == [2, 2]


async def cursor_of(desk: Desk, **query: Any) -> str:
    cursor = (await desk.page(ModelQuery(limit=1, **query))).next_cursor
    assert cursor is not None
    return cursor


async def refusal(desk: Desk, **query: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        await desk.page(ModelQuery(limit=1, **query))
    assert [error.field for error in refused.value.errors] == ["cursor"]
    return refused.value


@pytest.mark.parametrize("cursor", ["x", "=", "!!!", "ü", "e30", "bnVsbA", "W10", "A" * 5_000, "a b"])
async def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    error = await refusal(await desk_with(ONE, OTHER), cursor=cursor)
    assert error.http_status == 422


async def test_a_cursor_with_any_character_altered_or_cut_is_refused() -> None:
    desk = await desk_with(ONE, OTHER)
    cursor = await cursor_of(desk)
    for at in range(len(cursor)):
        other = "A" if cursor[at] != "A" else "B"
        await refusal(desk, cursor=cursor[:at] + other + cursor[at + 1 :])
        await refusal(desk, cursor=cursor[:at])
    await refusal(desk, cursor=cursor + "A")


@pytest.mark.parametrize("slug", ["a", "ab", "abc"])  # cursors of every length that base64 knows
async def test_a_cursor_is_one_text_and_no_other_that_decodes_alike(slug: str) -> None:
    desk = await desk_with(model(f"{slug}/one"), model(f"{slug}/two"))
    cursor = await cursor_of(desk)
    assert await desk.ids(cursor=cursor, limit=1) == [f"{slug}/two"]
    for last in ascii_letters + digits + "-_":
        if last != cursor[-1]:
            await refusal(desk, cursor=cursor[:-1] + last)


@pytest.mark.parametrize(
    "other", [{"sort": "name"}, {"q": "x"}, {"available": True}, {"providers": frozenset({"openai"})}]
)
async def test_a_cursor_of_another_query_is_refused(other: dict[str, Any]) -> None:
    desk = await desk_with(ONE, OTHER)
    await refusal(desk, cursor=await cursor_of(desk), **other)


async def test_a_cursor_serves_any_size_of_page() -> None:
    desk = await desk_with(ONE, OTHER, model("openai/z"))
    cursor = await cursor_of(desk)
    assert await desk.ids(cursor=cursor, limit=50) == [ONE.id, "openai/z"]


async def test_a_cursor_whose_versions_are_gone_says_to_start_again() -> None:
    desk = await desk_with(ONE, model("openai/z"))
    cursor = await cursor_of(desk)
    await desk.publish("openai", OTHER)
    desk.clock.advance(86_000)
    assert "again" in (await refusal(desk, cursor=cursor)).detail


# -- size --------------------------------------------------------------------------------------------------


async def test_ten_thousand_models_are_filtered_sorted_and_paged_at_ease() -> None:
    many = [
        model(
            f"openrouter/author{n % 90}/model-{n}",
            name=f"Model {n % 1000}",
            pricing=priced(str(n % 37), "1"),
            context_window=n,
            capabilities=frozenset({"tools"} if n % 2 else set()),
        )
        for n in range(10_000)
    ]
    desk = await desk_with(*many)
    await desk.catalog.view()
    query = ModelQuery(
        q="model", capabilities=frozenset({"tools"}), max_input_price=Decimal(20), sort="price"
    )
    started_s = time.perf_counter()
    found = await desk.page(query)
    took_s = time.perf_counter() - started_s
    assert found.total == sum(kept(each, query) for each in many)
    pages = await desk.all_pages(ModelQuery(sort="name", limit=1000))
    assert [len(page) for page in pages] == [1000] * 10
    assert len({each for page in pages for each in page}) == 10_000
    assert took_s < 1.0
