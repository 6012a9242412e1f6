"""Public tables are fetched once a day by one process, kept for all, and are never missed by anybody."""

import asyncio
import gzip
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import GatewayFault, InvalidRequest, ProviderFailed
from headgate.ports import MAX_TABLE_BYTES, WireRequest
from headgate.services import price_tables
from headgate.services.price_tables import FETCH_EVERY, TRY_AGAIN_AFTER, PriceTables
from headgate.settings import from_environ
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock, MemoryCatalogStore, MemoryLog
from headgate.testing.transport import Answer, ScriptedTransport, Step
from tests.support.models import model

MODELS_DEV = "https://models.example/api.json"
GENAI = "https://prices.example/data.json"
URLS = {"HEADGATE_MODELS_DEV_URL": MODELS_DEV, "HEADGATE_GENAI_PRICES_URL": GENAI}


def models_dev(price: float = 1.0, *, etag: str | None = None, **more: Any) -> Answer:
    entry = {"cost": {"input": price, "output": 2}, "limit": {"context": 1000}, **more}
    headers = {} if etag is None else {"ETag": etag}
    return Answer.of_json({"openai": {"models": {"gpt-x": entry}}}, headers=headers)


def genai(price: Any = 1.0) -> Answer:
    prices = price if isinstance(price, list) else {"input_mtok": price, "output_mtok": 2}
    entry = {"id": "gpt-x", "match": {"equals": "gpt-x"}, "prices": prices}
    return Answer.of_json([{"id": "openai", "models": [entry]}])


class Desk:
    """Processes over one store, one clock and two public tables."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryCatalogStore(self.clock)
        self.log = MemoryLog()
        self.transport = ScriptedTransport()
        self.publish(MODELS_DEV, models_dev())
        self.publish(GENAI, genai())

    def publish(self, url: str, *steps: Step) -> None:
        self.transport.on(url, *steps)

    def process(self, **environ: str) -> PriceTables:
        return PriceTables(
            store=self.store,
            transport=self.transport,
            clock=self.clock,
            log=self.log,
            settings=from_environ("refresh", URLS | environ),
        )

    def asked(self, url: str) -> list[WireRequest]:
        return [request for request in self.transport.requests if request.url == url]


async def read(tables: PriceTables, *providers: str) -> ModelInfo:
    """What the tables make of a model that is listed without anything."""
    book = await tables.book(providers or ("openai",))
    (done,) = book.complete([model("openai/gpt-x", canonical_id="openai/gpt-x")])
    return done


async def price(tables: PriceTables) -> Decimal | None:
    done = await read(tables)
    return done.pricing.input if done.pricing is not None else None


# -- fetching ----------------------------------------------------------------------------------------------


async def test_both_tables_are_fetched_and_named_as_sources() -> None:
    desk = Desk()
    done = await read(desk.process())
    assert done.pricing is not None
    assert (done.pricing.source, done.pricing.as_of, done.pricing.disputed) == ("models.dev", START, False)
    assert done.context_window == 1000
    assert desk.log.entries == []


async def test_nothing_is_fetched_for_providers_that_no_table_speaks_of() -> None:
    desk = Desk()
    assert (await read(desk.process(), "mock", "custom", "modal", "alpha")).pricing is None
    assert desk.transport.requests == []


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ({"HEADGATE_MODELS_DEV_URL": ""}, "genai-prices"),
        ({"HEADGATE_GENAI_PRICES_URL": ""}, "models.dev"),
    ],
)
async def test_a_table_without_an_address_is_off(off: Mapping[str, str], left: str) -> None:
    done = await read(Desk().process(**off))
    assert done.pricing is not None
    assert done.pricing.source == left


async def test_without_any_table_nothing_is_asked_or_said() -> None:
    desk = Desk()
    off = desk.process(HEADGATE_MODELS_DEV_URL="", HEADGATE_GENAI_PRICES_URL="")
    assert (await read(off)).pricing is None
    assert desk.transport.requests == []
    assert desk.log.entries == []


async def test_a_table_is_fetched_once_a_day() -> None:
    desk = Desk()
    tables = desk.process()
    await read(tables)
    desk.publish(MODELS_DEV, models_dev(1.005))
    desk.clock.advance(FETCH_EVERY.total_seconds() - 1)
    assert await price(tables) == 1
    desk.clock.advance(1)
    assert await price(tables) == Decimal("1.005")
    assert len(desk.asked(MODELS_DEV)) == 2


async def test_a_table_that_has_not_changed_is_confirmed_without_its_body() -> None:
    desk = Desk()
    tables = desk.process()
    desk.publish(MODELS_DEV, models_dev(etag='"v1"'), Answer(304))
    await read(tables)
    desk.clock.advance(FETCH_EVERY.total_seconds())
    done = await read(tables)
    first, second = desk.asked(MODELS_DEV)
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"] == '"v1"'
    assert done.pricing is not None
    assert (done.pricing.input, done.pricing.as_of) == (Decimal(1), START + FETCH_EVERY)
    assert desk.log.entries == []


async def test_once_a_price_begins_the_whole_table_is_fetched_again() -> None:
    desk = Desk()
    tables = desk.process(HEADGATE_MODELS_DEV_URL="")
    begins = (START + timedelta(hours=30)).date().isoformat()
    prices = [
        {"prices": {"input_mtok": 1}},
        {"constraint": {"start_date": begins}, "prices": {"input_mtok": 9}},
    ]
    body = genai(prices).body
    desk.publish(GENAI, Answer(200, body, {"etag": '"v1"'}))
    assert await price(tables) == 1
    desk.clock.advance(2 * FETCH_EVERY.total_seconds())
    assert await price(tables) == 9
    assert "if-none-match" not in desk.asked(GENAI)[1].headers


# -- between processes -------------------------------------------------------------------------------------


async def test_another_process_uses_what_is_kept() -> None:
    desk = Desk()
    await read(desk.process())
    assert await price(desk.process()) == 1
    assert len(desk.transport.requests) == 2


async def test_what_is_kept_outlives_the_table_it_came_from() -> None:
    desk = Desk()
    await read(desk.process())
    desk.publish(MODELS_DEV, Answer(503))
    desk.publish(GENAI, Answer(503))
    desk.clock.advance(90 * 86_400)
    done = await read(desk.process())
    assert done.pricing is not None
    assert (done.pricing.input, done.pricing.as_of) == (Decimal(1), START)


async def test_of_processes_at_once_one_fetches_and_the_others_do_without_or_wait() -> None:
    desk = Desk()
    asked, answered = asyncio.Event(), asyncio.Event()

    def late(_request: WireRequest) -> Answer:
        asked.set()
        return Answer(pieces=[answered, models_dev().body])

    desk.publish(MODELS_DEV, late)
    one, two = desk.process(HEADGATE_GENAI_PRICES_URL=""), desk.process(HEADGATE_GENAI_PRICES_URL="")
    first, within = asyncio.create_task(price(one)), asyncio.create_task(price(one))
    await asked.wait()
    assert await price(two) is None
    answered.set()
    assert [await first, await within] == [1, 1]
    assert await price(two) == 1
    assert len(desk.transport.requests) == 1


async def test_a_process_that_died_while_fetching_holds_nobody_up_for_long() -> None:
    desk = Desk()
    await desk.store.acquire_lease("table#models.dev", "the-dead-one", 60)
    tables = desk.process(HEADGATE_GENAI_PRICES_URL="")
    assert await price(tables) is None
    desk.clock.advance(60)
    assert await price(tables) == 1


async def test_another_address_is_another_table() -> None:
    desk = Desk()
    await read(desk.process())
    other = "https://mirror.example/api.json"
    desk.publish(other, models_dev(7))
    mirrored = await read(desk.process(HEADGATE_MODELS_DEV_URL=other))
    assert mirrored.pricing is not None
    assert mirrored.pricing.input == 7


@pytest.mark.parametrize(
    "kept",
    [b"", b"not gzip", gzip.compress(b"[]"), gzip.compress(b'{"format":99}')],
    ids=["empty", "not gzip", "no object", "another format"],
)
async def test_what_another_version_has_kept_is_fetched_anew(kept: bytes) -> None:
    desk = Desk()
    await desk.store.write_table("models.dev", kept)
    assert await price(desk.process()) == 1


async def test_rows_of_another_format_are_fetched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    await read(desk.process())
    monkeypatch.setattr(price_tables, "FORMAT", price_tables.FORMAT + 1)
    await read(desk.process())
    assert len(desk.asked(MODELS_DEV)) == 2


# -- failures ----------------------------------------------------------------------------------------------

FAILURES = [
    ProviderFailed("no such host", code="provider_unavailable"),
    ProviderFailed("slow", code="provider_timeout"),
    InvalidRequest.of_field("base_url", "no such address"),
    Answer(404, b"gone"),
    Answer(500),
    Answer(304),
    Answer(301, headers={"location": "https://elsewhere.example"}),
    Answer(200, b"<html>"),
    Answer(200, b"{}"),
    Answer(200, pieces=[b'{"openai"', ProviderFailed("cut", code="provider_protocol")]),
]


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_table_that_can_not_be_had_is_said_once_and_done_without(failure: Step) -> None:
    desk = Desk()
    desk.publish(MODELS_DEV, failure)
    desk.publish(GENAI, failure)
    tables = desk.process()
    for _ in range(3):
        assert await price(tables) is None
        assert await price(desk.process()) is None
    (entry,) = desk.log.entries
    assert entry.event == "price_tables.unavailable"
    assert [told.partition(":")[0] for told in entry.fields["tables"]] == ["models.dev", "genai-prices"]
    assert len(desk.transport.requests) == 2


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_last_good_table_stays_in_use_and_the_next_is_tried_within_the_hour(failure: Step) -> None:
    desk = Desk()
    desk.publish(MODELS_DEV, models_dev(), failure, models_dev(5))
    tables = desk.process(HEADGATE_GENAI_PRICES_URL="")
    await read(tables)
    desk.clock.advance(FETCH_EVERY.total_seconds())
    assert await price(tables) == 1
    assert await price(desk.process(HEADGATE_GENAI_PRICES_URL="")) == 1
    desk.clock.advance(TRY_AGAIN_AFTER.total_seconds())
    assert await price(tables) == 5


async def test_one_table_that_fails_leaves_the_other() -> None:
    desk = Desk()
    desk.publish(MODELS_DEV, Answer(500))
    done = await read(desk.process())
    assert done.pricing is not None
    assert done.pricing.source == "genai-prices"


async def test_a_table_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_tables, "MAX_FETCHED_BYTES", 1000)
    desk = Desk()
    desk.publish(MODELS_DEV, Answer(pieces=[b"[" + b" " * 600, b" " * 600, asyncio.Event()]))
    assert await price(desk.process(HEADGATE_GENAI_PRICES_URL="")) is None
    assert desk.transport.responses[0].closed


async def test_nobody_waits_long_for_a_table() -> None:
    desk = Desk()
    await read(desk.process())
    for request in desk.transport.requests:
        assert request.connect_timeout_s <= 3
        assert request.total_timeout_s <= 20
        assert request.method == "GET"
        assert not request.guarded, "the operator's own address may be a private one"


class Broken(MemoryCatalogStore):
    """A store of which some calls fail."""

    def __init__(self, clock: ManualClock, *calls: str) -> None:
        super().__init__(clock)
        self.calls = calls

    def _try(self, call: str) -> None:
        if call in self.calls:
            raise GatewayFault.unavailable("The table")

    async def read_table(self, name: str) -> bytes | None:
        self._try("read")
        return await super().read_table(name)

    async def write_table(self, name: str, data: bytes) -> None:
        self._try("write")
        await super().write_table(name, data)

    async def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        self._try("acquire")
        return await super().acquire_lease(name, owner, ttl_s)

    async def release_lease(self, name: str, owner: str) -> None:
        self._try("release")
        await super().release_lease(name, owner)


@pytest.mark.parametrize(
    ("call", "expected"), [("read", None), ("acquire", None), ("write", 1), ("release", 1)]
)
async def test_a_fault_of_the_store_costs_at_most_the_table(call: str, expected: int | None) -> None:
    desk = Desk()
    desk.store = Broken(desk.clock, call)
    assert await price(desk.process()) == expected
    assert desk.log.named("price_tables.unavailable")


async def test_a_table_too_large_to_keep_is_used_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_tables, "MAX_TABLE_BYTES", 10)
    desk = Desk()
    assert await price(desk.process()) == 1
    assert await desk.store.read_table("models.dev") is None
    assert desk.log.named("price_tables.too_large")


async def test_what_is_kept_is_small_and_readable_json() -> None:
    desk = Desk()
    await read(desk.process())
    kept = await desk.store.read_table("models.dev")
    assert kept is not None
    assert len(kept) < MAX_TABLE_BYTES
    told = orjson.loads(gzip.decompress(kept))
    assert (told["url"], told["rows"][0]["id"]) == (MODELS_DEV, "gpt-x")
