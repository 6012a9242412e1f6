"""Providers and how they do, over HTTP and on schedule."""

import pytest

from functions.health import app as health
from headgate.domain.catalog import Modality
from headgate.testing.memory import Answer
from tests.support.bench import KEY
from tests.support.gate import Gate, open_gate
from tests.support.models import model, priced
from tests.support.provider import listing


async def well() -> Gate:
    gate = await open_gate(models=[model("alpha/one", pricing=priced("0.25", "1")), model("alpha/two")])
    for slug in gate.providers:
        gate.transport.on(f"https://{slug}.example/models", listing())
        gate.transport.on(f"https://{slug}.example/key", Answer(body=b"{}"))
    return gate


async def test_every_configured_provider_is_reported() -> None:
    gate = await well()
    body = (await gate.get("/v2/providers/health")).json()
    assert body["next_cursor"] is None
    assert body["data"][0] == {
        "provider": "alpha",
        "status": "healthy",
        "last_checked": "2026-11-20T09:00:00Z",
        "model_count": 2,
        "error": None,
        "success_rate": None,
        "latency_ms": {"p50": None, "p95": None},
        "checks": {
            "list": {"outcome": "ok", "code": None, "detail": None, "latency_ms": 0},
            "key": {"outcome": "ok", "code": None, "detail": None, "latency_ms": 0},
        },
    }
    assert [row["provider"] for row in body["data"]] == ["alpha", "beta"]


@pytest.mark.parametrize("path", ["/v2/providers", "/v2/providers/text"])
async def test_what_is_configured_is_told_before_any_list_was_fetched(path: str) -> None:
    gate = await open_gate()
    for _ in range(2):
        rows = (await gate.get(path)).json()["data"]
        assert [row["slug"] for row in rows if row["configured"]] == ["alpha", "beta"]
        gate.clock.advance(61)


async def test_a_wrong_key_is_told_without_the_key() -> None:
    gate = await well()
    gate.transport.on("https://beta.example/key", Answer(status=401, body=f"bad key {KEY}".encode()))
    answer = await gate.get("/v2/providers/health")
    beta = answer.json()["data"][1]
    assert beta["status"] == "degraded"
    assert beta["checks"]["key"]["code"] == "provider_auth"
    assert beta["error"].startswith("key: provider_auth")
    assert KEY not in answer.text


async def test_the_scheduled_check_looks_at_everything_though_it_was_just_looked_at() -> None:
    gate = await well()
    await gate.get("/v2/providers/health")
    sent = len(gate.transport.requests)
    told = await health.on_event(health.function.services, {"task": "check_health"})
    assert told == {"alpha": "healthy", "beta": "healthy"}
    assert len(gate.transport.requests) == 2 * sent


async def test_providers_are_listed_with_what_they_can_do_and_cost() -> None:
    gate = await well()
    data = (await gate.get("/v2/providers")).json()["data"]
    cards = {card["slug"]: card for card in data}
    assert list(cards) == sorted(cards)
    assert cards["alpha"] == {
        "slug": "alpha",
        "name": "Alpha",
        "description": "",
        "modalities": ["text"],
        "features": [],
        "async": False,
        "cost_per_unit": {"amount": "0.25", "currency": "USD", "unit": "million_input_tokens"},
        "key_name": "ALPHA_API_KEY",
        "configured": True,
        "docs_url": "",
    }
    assert cards["openai"]["key_name"] == "OPENAI_API_KEY"
    assert not cards["openai"]["configured"]


@pytest.mark.parametrize("modality", [each.value for each in Modality])
async def test_by_modality_only_those_that_can_make_it_are_listed(modality: str) -> None:
    gate = await well()
    data = (await gate.get(f"/v2/providers/{modality}")).json()["data"]
    assert all(modality in card["modalities"] for card in data)
    every = (await gate.get("/v2/providers")).json()["data"]
    assert {card["slug"] for card in data} == {
        card["slug"] for card in every if modality in card["modalities"]
    }


async def test_a_modality_there_is_not_is_named() -> None:
    answer = await (await well()).get("/v2/providers/smell")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "modality"


async def test_health_is_no_modality() -> None:
    assert "checks" in (await (await well()).get("/v2/providers/health")).text
