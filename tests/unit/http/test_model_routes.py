"""The catalogue over HTTP: its shapes, its validators, and what it says of itself."""

import asyncio
import gzip
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from headgate.domain.callers import Scope
from headgate.domain.catalog import Modality, ModelStatus, ProviderStatus
from headgate.domain.errors import GatewayFault
from headgate.domain.health import ProviderHealth
from headgate.testing.clock import START
from headgate.testing.memory import Answer, MemoryRefreshStarter
from tests.support.gate import FUNCTIONS, Gate, dispatch, open_gate
from tests.support.models import model, priced
from tests.support.provider import listing

DAY = timedelta(days=1)
FULL = model(
    "alpha/maker/big",
    name="Maker: Big",
    description="All of it",
    capabilities=frozenset({"vision", "tools", "streaming"}),
    supported_parameters=("temperature", "tools"),
    input_modalities=("text", "image"),
    premium=True,
    context_window=128_000,
    max_output_tokens=16_384,
    created_at=datetime(2024, 7, 18, tzinfo=UTC),
    pricing=priced(
        "0.15", "0.60", cache_read=Decimal("0.075"), units={"image": Decimal("0.04")}, source="alpha"
    ),
)
BARE = model("beta/bare")
CHEAPER = replace(FULL, id="beta/maker/big", provider="beta", pricing=priced("0.1", "0.5"))
SMALL = model("beta/maker/small", pricing=priced("0.01", "0.02"))
LEGAL = "alpha/a/b:free@eu"


async def gate_with(*models: Any, **environ: str) -> Gate:
    return await open_gate(models=models or (FULL, BARE), environ=environ)


async def ids(gate: Gate, query: str = "") -> list[str]:
    return [each["id"] for each in (await gate.get(f"/v2/models{query}")).json()["models"]]


# -- one model ---------------------------------------------------------------------------------------------


async def test_a_model_carries_everything_the_contract_names() -> None:
    gate = await gate_with()
    (shown, _) = (await gate.get("/v2/models")).json()["models"]
    assert shown == {
        "id": "alpha/maker/big",
        "canonical_id": "maker/big",
        "provider": "alpha",
        "provider_name": "Alpha",
        "name": "Maker: Big",
        "description": "All of it",
        "modality": "text",
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "capabilities": ["streaming", "tools", "vision"],
        "supported_parameters": ["temperature", "tools"],
        "premium": True,
        "vision": True,
        "context_window": 128_000,
        "max_output_tokens": 16_384,
        "api_version": None,
        "pricing": {
            "currency": "USD",
            "unit": "per_million_tokens",
            "input": "0.15",
            "output": "0.6",
            "cache_read": "0.075",
            "cache_write": None,
            "reasoning": None,
            "units": {"image": "0.04"},
            "source": "alpha",
            "as_of": "2026-11-20T09:00:00Z",
            "disputed": False,
        },
        "rate_limit": {"requests_per_minute": None, "tokens_per_minute": None},
        "status": "available",
        "expires_at": None,
        "created_at": "2024-07-18T00:00:00Z",
        "last_checked": "2026-11-20T09:00:00Z",
        "error_message": None,
        "provider_health": "healthy",
        "enabled": True,
        "key_source": "platform",
    }


async def test_what_is_not_known_is_null_and_never_zero() -> None:
    gate = await gate_with()
    (_, shown) = (await gate.get("/v2/models")).json()["models"]
    for name in ("context_window", "max_output_tokens", "pricing", "expires_at", "created_at"):
        assert shown[name] is None
    assert shown["premium"] is False


async def test_the_status_is_that_of_today() -> None:
    gate = await gate_with(
        replace(BARE, id="beta/ended", expires_at=START - DAY),
        replace(BARE, id="beta/ending", expires_at=START + DAY),
        replace(BARE, id="beta/limited", status=ModelStatus.LIMITED),
    )
    shown = {each["id"]: each for each in (await gate.get("/v2/models")).json()["models"]}
    assert {name: each["status"] for name, each in shown.items()} == {
        "beta/ended": "unavailable",
        "beta/ending": "deprecated",
        "beta/limited": "limited",
    }
    assert shown["beta/ended"]["error_message"] == "Ended on 2026-11-19T09:00:00Z."


async def test_an_end_date_takes_effect_though_the_list_stays_the_same() -> None:
    gate = await gate_with(replace(BARE, expires_at=START + timedelta(hours=2)))
    before = await gate.get("/v2/models")
    gate.clock.advance(7_200)
    after = await gate.get("/v2/models", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["models"][0]["status"] == "unavailable"


@pytest.mark.parametrize("path", ["/v2/models/{}", "/v1/models/{}", "/v1/models/{}/endpoints"])
@pytest.mark.parametrize("escape", [lambda name: name, lambda name: quote(name, safe="")])
async def test_ids_may_stand_in_paths_escaped_or_not(path: str, escape: Any) -> None:
    gate = await gate_with(model(LEGAL, canonical_id="a/b:free"))
    answer = await gate.get(path.format(escape(LEGAL)))
    assert answer.status_code == 200
    shown = answer.json()
    assert LEGAL in (shown.get("id"), shown.get("data", {}).get("endpoints", [{}])[0].get("model_id"))


async def test_a_model_shows_its_offers_everywhere_and_cheaper_ones_that_can_do_the_same() -> None:
    worse = replace(FULL, id="beta/x/worse", provider="beta", canonical_id="x/worse", pricing=priced("0.01"))
    gate = await gate_with(
        FULL,
        CHEAPER,
        SMALL,
        worse,
        replace(worse, id="beta/x/blind", canonical_id="x/blind", input_modalities=("text",)),
        replace(worse, id="beta/x/short", canonical_id="x/short", context_window=4_000),
        replace(worse, id="beta/x/over", canonical_id="x/over", expires_at=START - DAY),
    )
    await gate.catalog_store.write_health(
        ProviderHealth(provider="beta", status=ProviderStatus.HEALTHY, last_checked=START, latency_p50_ms=300)
    )
    shown = (await gate.get("/v2/models/alpha/maker/big")).json()
    assert shown["id"] == FULL.id
    assert {(offer["id"], offer["latency_ms"]) for offer in shown["offers"]} == {
        (FULL.id, None),
        (CHEAPER.id, 300),
    }
    assert shown["alternatives"] == ["beta/x/worse"]


async def test_a_canonical_id_finds_an_offer() -> None:
    gate = await gate_with(FULL, CHEAPER)
    assert (await gate.get("/v2/models/maker/big")).json()["canonical_id"] == "maker/big"
    assert (await gate.get("/v1/models/maker/big")).status_code == 200


@pytest.mark.parametrize("path", ["/v2/models/{}", "/v1/models/{}", "/v1/models/{}/endpoints"])
async def test_an_unknown_model_is_404_with_the_closest_ids(path: str) -> None:
    answer = await (await gate_with()).get(path.format("alpha/maker/bgi"))
    assert answer.status_code == 404
    error = answer.json().get("error", answer.json())
    assert error["code"] == "model_not_found"
    assert FULL.id in error["suggestions"]
    assert FULL.id in error.get("detail", error.get("message"))


# -- the list ----------------------------------------------------------------------------------------------


async def test_the_list_says_what_it_is_worth() -> None:
    gate = await gate_with()
    body = (await gate.get("/v2/models")).json()
    assert set(body) == {"models", "metadata", "next_cursor"}
    assert body["next_cursor"] is None
    assert body["metadata"] == {
        "last_updated": "2026-11-20T09:00:00Z",
        "total_models": 2,
        "cache_hit": False,
        "stale": False,
        "user_provided_keys": [],
        "default_models": {"text": FULL.id},
        "providers": {
            "alpha": {"status": "healthy", "last_checked": "2026-11-20T09:00:00Z", "model_count": 1},
            "beta": {"status": "healthy", "last_checked": "2026-11-20T09:00:00Z", "model_count": 1},
        },
    }


async def test_the_first_answer_is_no_cache_hit_and_the_next_one_is() -> None:
    gate = await gate_with()
    hits = [(await gate.get("/v2/models")).json()["metadata"]["cache_hit"] for _ in range(3)]
    assert hits == [False, True, True]
    other = await gate.get("/v2/models?sort=name")
    assert other.json()["metadata"]["cache_hit"]
    gate.clock.advance(61)
    assert not (await gate.get("/v2/models")).json()["metadata"]["cache_hit"]


async def test_a_provider_that_fails_is_told_with_its_error_and_its_models_are_kept() -> None:
    gate = await gate_with()
    head = await gate.head("alpha")
    await gate.catalog_store.write_head(replace(head, error="provider_timeout: slow", dropped=3))
    metadata = (await gate.get("/v2/models")).json()["metadata"]
    assert metadata["providers"]["alpha"] == {
        "status": "degraded",
        "last_checked": "2026-11-20T09:00:00Z",
        "model_count": 1,
        "error": "provider_timeout: slow",
        "dropped": 3,
    }
    assert metadata["total_models"] == 2


async def test_stale_speaks_of_the_providers_that_the_query_covers() -> None:
    gate = await gate_with()
    gate.clock.advance(700)
    await gate.show(BARE)
    for query, stale in (("", True), ("?provider=alpha", True), ("?provider=beta", False)):
        assert (await gate.get(f"/v2/models{query}")).json()["metadata"]["stale"] is stale


async def test_metadata_covers_the_providers_asked_for() -> None:
    gate = await gate_with()
    metadata = (await gate.get("/v2/models?provider=beta")).json()["metadata"]
    assert set(metadata["providers"]) == {"beta"}
    assert metadata["total_models"] == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?provider=alpha", [FULL.id]),
        ("?provider=alpha&provider=beta", [FULL.id, BARE.id]),
        ("?provider=alpha,beta", [FULL.id, BARE.id]),
        ("?provider=ALPHA", [FULL.id]),
        ("?modality=image", []),
        ("?modality=text", [FULL.id, BARE.id]),
        ("?capability=tools&capability=vision", [FULL.id]),
        ("?capability=tools&capability=web_search", []),
        ("?q=maker+big", [FULL.id]),
        ("?q=maker%20BIG", [FULL.id]),
        ("?q=", [FULL.id, BARE.id]),
        ("?status=available", [FULL.id, BARE.id]),
        ("?status=deprecated", []),
        ("?premium=true", [FULL.id]),
        ("?premium=false", [BARE.id]),
        ("?vision=1", [FULL.id]),
        ("?min_context=128000", [FULL.id]),
        ("?max_input_price=0.15", [FULL.id]),
        ("?max_input_price=0.1", []),
        ("?max_output_price=0.6", [FULL.id]),
        ("?available=true", [FULL.id, BARE.id]),
        ("?sort=price", [FULL.id, BARE.id]),
        ("?sort=-price", [FULL.id, BARE.id]),
        ("?sort=name", [BARE.id, FULL.id]),
        ("?limit=1", [FULL.id]),
    ],
)
async def test_the_query_chooses(query: str, found: list[str]) -> None:
    assert await ids(await gate_with(), query) == found


async def test_google_means_gemini() -> None:
    gate = await gate_with(model("gemini/flash"), BARE)
    assert await ids(gate, "?provider=google") == ["gemini/flash"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("sort=cheap", ["sort"]),
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("limit=ten", ["limit"]),
        ("limit=%D9%A1", ["limit"]),
        ("min_context=-1", ["min_context"]),
        ("max_input_price=free", ["max_input_price"]),
        ("max_input_price=-1", ["max_input_price"]),
        ("max_output_price=NaN", ["max_output_price"]),
        ("max_output_price=Infinity", ["max_output_price"]),
        ("premium=maybe", ["premium"]),
        ("modality=smell", ["modality"]),
        ("status=fine", ["status"]),
        ("q=a&q=b", ["q"]),
        ("cursor=nonsense", ["cursor"]),
        ("nonsense=1", ["nonsense"]),
        ("provider=bogus", ["provider"]),
        ("provider=alpha,bogus", ["provider"]),
        ("capability=flying", ["capability"]),
        ("sort=x&limit=x&vision=x", ["vision", "limit", "sort"]),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(query: str, fields: list[str]) -> None:
    answer = await (await gate_with()).get(f"/v2/models?{query}")
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == fields


async def test_a_provider_that_nobody_knows_is_answered_with_those_that_come_close() -> None:
    gate = await gate_with()
    body = (await gate.get("/v2/models?provider=opnrouter")).json()
    assert body["suggestions"][0] == "openrouter"
    assert "openrouter" in body["errors"][0]["message"]
    assert (await gate.get("/v2/models?provider=zzz")).json()["suggestions"] == []


@pytest.mark.parametrize("query", ["provider=anthropic", "provider=lmstudio", "capability=own_thing"])
async def test_what_is_known_but_not_there_is_an_empty_list_and_what_a_list_names_is_known(
    query: str,
) -> None:
    odd = model("alpha/odd", capabilities=frozenset({"own_thing"}))
    found = await ids(await gate_with(odd, BARE), f"?{query}")
    assert found == ([odd.id] if "own_thing" in query else [])


async def test_pages_follow_their_cursor_over_a_change() -> None:
    gate = await gate_with(*(model(f"alpha/m{n}") for n in range(5)))
    first = (await gate.get("/v2/models?limit=2")).json()
    await gate.publish("alpha", model("alpha/a-new-one"), *(model(f"alpha/m{n}") for n in range(1, 5)))
    gate.clock.advance(61)
    seen = [each["id"] for each in first["models"]]
    cursor = first["next_cursor"]
    while cursor is not None:
        page = (await gate.get(f"/v2/models?limit=2&cursor={cursor}")).json()
        seen += [each["id"] for each in page["models"]]
        cursor = page["next_cursor"]
        assert page["metadata"]["total_models"] == 5
    assert seen == [f"alpha/m{n}" for n in range(5)]
    assert len(await ids(gate)) == 5


async def test_a_cursor_of_another_query_is_refused_by_its_name() -> None:
    gate = await gate_with()
    cursor = (await gate.get("/v2/models?limit=1")).json()["next_cursor"]
    answer = await gate.get(f"/v2/models?limit=1&sort=name&cursor={cursor}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


# -- validators --------------------------------------------------------------------------------------------


async def again(gate: Gate, first: httpx.Response, path: str = "/v2/models") -> int:
    return (await gate.get(path, headers={"if-none-match": first.headers["etag"]})).status_code


@pytest.mark.parametrize("path", ["/v2/models", "/v1/models", "/v2/models/alpha/maker/big"])
async def test_what_a_client_has_it_need_not_fetch_again(path: str) -> None:
    gate = await gate_with()
    first = await gate.get(path)
    assert first.headers["etag"].startswith('W/"')
    second = await gate.get(path, headers={"if-none-match": f'"other", {first.headers["etag"]}'})
    assert second.status_code == 304
    assert second.content == b""
    for name in ("etag", "cache-control", "vary"):
        assert second.headers[name] == first.headers[name]
    strong = first.headers["etag"].removeprefix("W/")
    assert (await gate.get(path, headers={"if-none-match": strong})).status_code == 304
    assert (await gate.get(path, headers={"if-none-match": "*"})).status_code == 304
    assert (await gate.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_the_validator_is_not_over_cache_hits_or_the_times_of_checks() -> None:
    gate = await gate_with()
    first = await gate.get("/v2/models")
    for _ in range(3):
        gate.clock.advance(61)
        await gate.show(FULL, BARE)
        assert await again(gate, first) == 304
    fresh = await gate.get("/v2/models")
    assert fresh.json()["metadata"]["last_updated"] > first.json()["metadata"]["last_updated"]


async def test_it_changes_with_the_lists_the_query_and_the_providers_state() -> None:
    gate = await gate_with()
    first = await gate.get("/v2/models")
    for query in ("?sort=name", "?limit=1", "?q=x", "?provider=alpha"):
        assert (await gate.get(f"/v2/models{query}")).headers["etag"] != first.headers["etag"]
    head = await gate.head("alpha")
    await gate.catalog_store.write_head(replace(head, error="provider_timeout: slow"))
    gate.clock.advance(61)
    assert await again(gate, first) == 200
    second = await gate.get("/v2/models")
    await gate.catalog_store.write_head(head)
    await gate.publish("beta", BARE, SMALL)
    gate.clock.advance(61)
    assert await again(gate, second) == 200
    third = await gate.get("/v2/models")
    gate.clock.advance(700)
    assert await again(gate, third) == 200  # stale by now


async def test_it_changes_when_a_provider_outside_the_query_changes_the_defaults() -> None:
    gate = await gate_with(FULL, replace(BARE, pricing=priced("0.01", "0.01")))
    first = await gate.get("/v2/models?provider=alpha")
    await gate.catalog_store.write_health(
        ProviderHealth(provider="beta", status=ProviderStatus.DOWN, last_checked=START)
    )
    gate.clock.advance(61)
    second = await gate.get("/v2/models?provider=alpha", headers={"if-none-match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.json()["metadata"]["default_models"] == {"text": FULL.id}


@pytest.mark.parametrize("path", ["/v2/models", "/v1/models", "/v2/models/beta/bare", "/v1/models/beta/bare"])
async def test_caches_are_told_whose_answer_it_is_and_for_how_long(path: str) -> None:
    answer = await (await gate_with()).get(path)
    assert answer.headers["cache-control"] == "private, max-age=60, stale-while-revalidate=600"
    varies = {name.strip().lower() for name in answer.headers["vary"].split(",")}
    assert varies >= {"authorization", "x-api-key", "x-provider-key", "accept-encoding"}


@pytest.mark.parametrize("path", ["/v2/models", "/v1/models", "/v2/models/beta/bare"])
@pytest.mark.parametrize(
    ("accept", "zipped"),
    [
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
    ],
)
async def test_bodies_are_compressed_for_those_who_take_it(path: str, accept: str, zipped: bool) -> None:
    gate = await gate_with()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(dispatch),
        base_url="http://gate",
        headers={"authorization": f"Bearer {gate.ann}", "accept-encoding": accept},
    ) as client:
        for _ in range(2):
            async with client.stream("GET", path) as answer:
                raw = b"".join([piece async for piece in answer.aiter_raw()])
            assert (answer.headers.get("content-encoding") == "gzip") is zipped
            assert (gzip.decompress(raw) if zipped else raw).startswith(b"{")


# -- OpenAI's and OpenRouter's shapes ----------------------------------------------------------------------


async def test_v1_lists_models_for_openais_clients_and_for_openrouters() -> None:
    body = (await (await gate_with()).get("/v1/models")).json()
    assert body["object"] == "list"
    full, bare = body["data"]
    assert full == {
        "id": "alpha/maker/big",
        "object": "model",
        "created": 1_721_260_800,
        "owned_by": "alpha",
        "canonical_slug": "maker/big",
        "name": "Maker: Big",
        "description": "All of it",
        "context_length": 128_000,
        "architecture": {
            "modality": "text+image->text",
            "input_modalities": ["text", "image"],
            "output_modalities": ["text"],
            "tokenizer": None,
            "instruct_type": None,
        },
        "pricing": {
            "prompt": "0.00000015",
            "completion": "0.0000006",
            "input_cache_read": "0.000000075",
            "image": "0.04",
        },
        "top_provider": {
            "context_length": 128_000,
            "max_completion_tokens": 16_384,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": ["temperature", "tools"],
        "expiration_date": None,
    }
    assert bare["pricing"] is None
    assert bare["created"] == 0


async def test_one_model_is_the_lists_entry() -> None:
    gate = await gate_with()
    entry = (await gate.get("/v1/models")).json()["data"][0]
    assert (await gate.get(f"/v1/models/{entry['id']}")).json() == entry


async def test_endpoints_are_the_offers_in_openrouters_shape() -> None:
    gate = await gate_with(FULL, CHEAPER)
    await gate.catalog_store.write_health(
        ProviderHealth(
            provider="beta", status=ProviderStatus.DEGRADED, last_checked=START, success_rate=0.975
        )
    )
    data = (await gate.get("/v1/models/alpha/maker/big/endpoints")).json()["data"]
    assert data["id"] == "maker/big"
    first, second = data["endpoints"]
    assert (first["provider_name"], first["status"], first["uptime_last_30m"]) == ("Alpha", 0, None)
    assert (second["provider_name"], second["status"], second["uptime_last_30m"]) == ("Beta", -2, 97.5)
    assert second["pricing"]["prompt"] == "0.0000001"


# -- forcing -----------------------------------------------------------------------------------------------


async def test_only_an_administrator_may_force_a_refresh() -> None:
    gate = await gate_with()
    for path in ("/v2/models?force=true", "/api/models?force=true"):
        answer = await gate.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert not gate.starter.started
    assert (await gate.get("/v2/models?force=false")).status_code == 200


async def test_forcing_shows_what_the_refresh_found() -> None:
    gate = await gate_with()
    gate.transport.on("https://alpha.example/models", listing(FULL, model("alpha/new")))
    gate.transport.on("https://beta.example/models", Answer(status=500))
    refresher = gate.process("refresh").refresher

    async def refresh(providers: tuple[str, ...] | None, force: bool) -> None:
        await refresher.refresh(providers, force=force)

    gate.starter = MemoryRefreshStarter(refresh)
    FUNCTIONS["models"].configure({}, gate.adapters)
    gate.register(FUNCTIONS["models"].services)
    await gate.get("/v2/models")
    gate.clock.advance(5)
    answer = await gate.get("/v2/models?force=true", key="root")
    body = answer.json()
    assert [each["id"] for each in body["models"]] == [FULL.id, "alpha/new", BARE.id]
    assert body["metadata"]["cache_hit"] is False
    assert body["metadata"]["providers"]["beta"]["error"].startswith("provider_unavailable")
    assert list(gate.starter.started) == [(None, True)]
    told = {each.action: each for each in await gate.accounts.read_audit(after=None, limit=50)}
    assert told["catalog.force"].user_id == "root"
    assert told["catalog.force"].request_id == answer.headers["x-request-id"]
    assert told["catalog.refresh"].details == {"alpha": "updated", "beta": "failed"}


async def test_forcing_while_the_store_is_down_is_503_at_once_and_says_when_to_come_back() -> None:
    gate = await gate_with()
    await gate.get("/v2/models")
    gate.catalog_store.fault = GatewayFault.unavailable("The table")
    async with asyncio.timeout(2):
        answer = await gate.get("/v2/models?force=true", key="root")
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (await gate.get("/v2/models")).status_code == 200


# -- trouble -----------------------------------------------------------------------------------------------


async def test_the_list_is_served_from_memory_while_the_store_is_down() -> None:
    gate = await gate_with()
    await gate.get("/v2/models")
    gate.catalog_store.fault = GatewayFault.unavailable("The table")
    gate.clock.advance(700)
    answer = await gate.get("/v2/models")
    assert answer.status_code == 200
    assert len(answer.json()["models"]) == 2
    assert answer.json()["metadata"]["stale"] is True


async def test_with_nothing_in_memory_lists_are_the_default_set_and_one_model_is_503_for_now() -> None:
    gate = await gate_with()
    gate.catalog_store.fault = GatewayFault.unavailable("The table")
    shown = (await gate.get("/v2/models")).json()
    assert (shown["models"], shown["metadata"]["stale"]) == ([], True)
    assert set(shown["metadata"]["providers"]) == {"openrouter", "requesty"}
    assert (await gate.get("/v1/models")).json() == {"object": "list", "data": []}
    answer = await gate.get("/v2/models/alpha/maker/big")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_an_empty_stack_has_an_empty_list() -> None:
    gate = await open_gate()
    body = (await gate.get("/v2/models")).json()
    assert (body["models"], body["metadata"]["total_models"]) == ([], 0)
    assert body["metadata"]["last_updated"] is None
    assert (await gate.get("/v1/models")).json() == {"object": "list", "data": []}


@pytest.mark.parametrize("path", ["/v2/models", "/v1/models"])
async def test_before_anything_was_fetched_the_empty_list_says_so_and_is_not_kept_by_clients(
    path: str,
) -> None:
    gate = await open_gate()
    before = await gate.get(path)
    again = await gate.get(path, headers={"if-none-match": before.headers["etag"]})
    assert before.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"
    assert (await gate.get("/v2/models")).json()["metadata"]["stale"] is True
    await gate.show(model("alpha/one"))
    gate.clock.advance(1)
    after = await gate.get(path, headers={"if-none-match": before.headers["etag"]})
    assert (after.status_code, len(after.json()["models" if "v2" in path else "data"])) == (200, 1)
    assert "max-age=60" in after.headers["cache-control"]
    assert (await gate.get("/v2/models")).json()["metadata"]["stale"] is False


async def test_one_callers_view_is_not_anothers_though_it_is_rendered_once() -> None:
    gate = await gate_with()
    for key in ("ann", "root"):
        assert (await gate.get("/v2/models", key=key)).status_code == 200
    assert (await gate.get("/v2/models", key=None)).status_code == 401


# -- size --------------------------------------------------------------------------------------------------


async def test_ten_thousand_models_are_listed_paged_and_answered_from_memory() -> None:
    gate = await gate_with(
        *(
            model(f"alpha/author{n % 50}/model-{n}", description="x " * 40, pricing=priced("1", str(n)))
            for n in range(10_000)
        ),
        *(model(f"beta/draw-{n}", modality=Modality.IMAGE) for n in range(5)),
    )
    whole = await gate.get("/v2/models")
    assert len(whole.json()["models"]) == 10_005
    assert len(whole.content) > 6_000_000
    started_s = time.perf_counter()
    assert (await again(gate, whole)) == 304
    assert time.perf_counter() - started_s < 0.5
    page = (await gate.get("/v2/models?limit=1000&sort=-price")).json()
    assert len(page["models"]) == 1000
    assert page["models"][0]["pricing"]["output"] == "9999"
    assert page["metadata"]["total_models"] == 10_005
    assert len((await gate.get("/v1/models")).json()["data"]) == 10_005


async def test_what_a_key_is_not_bound_to_is_not_available_to_it() -> None:
    gate = await open_gate(models=[model("alpha/m"), model("alpha/n")])
    bound = await gate.key(Scope.MODELS_READ, allowed_models=("alpha/m",))
    free = await gate.key(Scope.MODELS_READ)
    for key, ids in ((free, ["alpha/m", "alpha/n"]), (bound, ["alpha/m"])):
        for path in ("/v2/models?available=true", "/v2/models?%61vailable=true"):
            listed = await gate.get(path, key=key)
            assert [each["id"] for each in listed.json()["models"]] == ids


# -- bare names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/models/{}", "/v1/models/{}/endpoints", "/v2/models/{}"])
async def test_a_bare_name_is_found_where_only_one_model_has_it(path: str) -> None:
    gate = await gate_with(FULL, CHEAPER, SMALL, model("alpha/other/small"))
    found = await gate.get(path.format("big"))
    assert found.status_code == 200
    assert found.content == (await gate.get(path.format("maker/big"))).content
    several = await gate.get(path.format("small"))
    assert several.status_code == 404
    assert "could be any of several" in several.text
    assert "maker/small" in several.text
    assert "other/small" in several.text


async def test_a_model_is_found_behind_the_suffix_that_names_its_host() -> None:
    hosted = replace(FULL, suffixes={"novita": priced("0.1", "0.2")})
    gate = await gate_with(hosted, BARE)
    shown = (await gate.get(f"/v2/models/{FULL.id}:novita")).json()
    assert (shown["id"], shown["pricing"]["input"]) == (FULL.id, "0.1")
    assert (await gate.get(f"/v2/models/{BARE.id}:novita")).status_code == 404


# -- as Anthropic's clients list ---------------------------------------------------------------------------

ANTHROPIC = {"anthropic-version": "2023-06-01"}
AGED = [model(f"alpha/m{n}", created_at=datetime(2026, 1, n, tzinfo=UTC)) for n in range(1, 6)]


async def test_anthropics_clients_get_a_model_as_they_know_it() -> None:
    gate = await gate_with()
    answer = await gate.get(f"/v1/models/{FULL.id}", headers=ANTHROPIC)
    assert answer.json() == {
        "type": "model",
        "id": FULL.id,
        "display_name": "Maker: Big",
        "created_at": "2024-07-18T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": 128_000,
        "max_tokens": 16_384,
        "capabilities": None,
        "line": None,
    }
    listed = (await gate.get("/v1/models", headers=ANTHROPIC)).json()
    assert listed["data"][0] == answer.json()
    assert listed["data"][1]["created_at"] == "1970-01-01T00:00:00Z"
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, FULL.id, BARE.id)


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{FULL.id}"])
async def test_caches_keep_the_two_shapes_apart(path: str) -> None:
    gate = await gate_with()
    for headers in ({}, ANTHROPIC, {}):
        answer = await gate.get(path, headers=headers)
        assert "anthropic-version" in answer.headers["vary"].lower().split(", ")
        assert ("object" in answer.json()) is (not headers)
    openais = await gate.get("/v1/models")
    stale = {"if-none-match": openais.headers["etag"]}
    assert (await gate.get("/v1/models", headers=stale)).status_code == 304
    assert (await gate.get("/v1/models", headers=stale | ANTHROPIC)).status_code == 200


@pytest.mark.parametrize(
    ("query", "found", "more"),
    [
        ("", "54321", False),
        ("?limit=2", "54", True),
        ("?limit=2&after_id=alpha/m4", "32", True),
        ("?limit=2&after_id=alpha/m3", "21", False),
        ("?after_id=alpha/m1", "", False),
        ("?limit=2&before_id=alpha/m1", "32", True),
        ("?limit=2&before_id=alpha/m3", "54", False),
        ("?limit=2&before_id=alpha/m4", "5", False),
        ("?before_id=alpha/m5", "", False),
        ("?lifecycle=retired", "", False),
        ("?lifecycle[]=active&lifecycle[]=retired", "54321", False),
    ],
)
async def test_anthropics_pages_begin_after_or_end_before_a_model(query: str, found: str, more: bool) -> None:
    gate = await gate_with(*AGED)
    page = (await gate.get(f"/v1/models{query}", headers=ANTHROPIC)).json()
    assert "".join(each["id"][-1] for each in page["data"]) == found
    assert page["has_more"] is more
    ends = (page["data"][0]["id"], page["data"][-1]["id"]) if found else (None, None)
    assert (page["first_id"], page["last_id"]) == ends


async def test_a_model_past_its_end_is_retired_and_listed_to_who_asks_for_those() -> None:
    ended = model("alpha/ended", expires_at=START - DAY)
    ending = model("alpha/ending", expires_at=START + DAY)
    gate = await gate_with(ended, ending)
    (shown,) = (await gate.get("/v1/models", headers=ANTHROPIC)).json()["data"]
    assert (shown["id"], shown["lifecycle"], shown["retires_at"]) == (
        "alpha/ending",
        "deprecated",
        "2026-11-21T09:00:00Z",
    )
    (shown,) = (await gate.get("/v1/models?lifecycle=retired", headers=ANTHROPIC)).json()["data"]
    assert (shown["id"], shown["lifecycle"]) == ("alpha/ended", "retired")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("after_id=alpha/none", "after_id"),
        ("before_id=alpha/none", "before_id"),
        ("after_id=alpha/m1&before_id=alpha/m2", "before_id"),
        ("lifecycle=lively", "lifecycle"),
    ],
)
async def test_a_page_that_makes_no_sense_is_400_and_named(query: str, field: str) -> None:
    answer = await (await gate_with(*AGED)).get(f"/v1/models?{query}", headers=ANTHROPIC)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
