"""Usage over HTTP: sums by group, each caller's own; and one generation in OpenRouter's figures."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus, Usage
from headgate.testing.clock import START
from tests.support.gate import Gate, open_gate
from tests.support.models import model, priced
from tests.support.provider import said

DAY = timedelta(days=1)


def done(
    number: int, *, owner: str = "ann", cost: int | None = 1000, at: datetime = START, **fields: Any
) -> GenerationRecord:
    return GenerationRecord(
        **{
            "id": f"gen_{number}",
            "owner": owner,
            "key_id": "key_1",
            "type": "text",
            "status": GenerationStatus.SUCCEEDED,
            "created_at": at - timedelta(seconds=1),
            "started_at": at - timedelta(seconds=1),
            "completed_at": at,
            "model": "alpha/m",
            "provider": "alpha",
            "usage": Usage(input_tokens=3, output_tokens=2),
            "cost_charged_nanousd": cost,
            **fields,
        }
    )


async def used(*records: GenerationRecord) -> Gate:
    gate = await open_gate()
    await gate.usage.count_usage(records)
    return gate


async def rows(gate: Gate, query: str = "", **more: Any) -> list[dict[str, Any]]:
    answer = await gate.get(f"/v2/usage?{query}", **more)
    assert answer.status_code == 200
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


async def groups(gate: Gate, query: str = "", **more: Any) -> list[tuple[str, int]]:
    return [(row["group"], row["requests"]) for row in await rows(gate, query, **more)]


async def test_a_group_is_told_with_all_its_sums() -> None:
    gate = await used(
        done(1),
        done(
            2, cost=None, status=GenerationStatus.FAILED, usage=None, started_at=START - timedelta(seconds=2)
        ),
    )
    assert await rows(gate, "group_by=model") == [
        {
            "group": "alpha/m",
            "requests": 2,
            "input_tokens": 3,
            "output_tokens": 2,
            "cost": {"amount": "0.000001", "currency": "USD"},
            "errors": 1,
            "latency_ms": 1500,
        }
    ]


async def test_without_usage_there_are_no_groups() -> None:
    answer = await (await open_gate()).get("/v2/usage")
    assert answer.json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("group_by", "group"),
    [
        ("model", "alpha/m"),
        ("provider", "alpha"),
        ("project", "prj_1"),
        ("key", "key_1"),
        ("day", "2026-11-20"),
    ],
)
async def test_every_dimension_is_a_way_to_group(group_by: str, group: str) -> None:
    assert await groups(await used(done(1, project_id="prj_1")), f"group_by={group_by}") == [(group, 1)]


async def test_what_cost_most_comes_first_then_what_was_asked_most() -> None:
    gate = await used(
        *(done(n, model="alpha/often", cost=0) for n in range(3)),
        done(10, model="alpha/dear", cost=5),
        done(11, model="alpha/seldom", cost=0),
        done(12, model="alpha/also", cost=0),
    )
    assert [group for group, _ in await groups(gate)] == [
        "alpha/dear",
        "alpha/often",
        "alpha/also",
        "alpha/seldom",
    ]


async def test_nobody_sees_anothers_usage_and_an_administrator_sees_all_or_one_users() -> None:
    gate = await used(done(1), done(2, owner="bob", model="beta/secret"), done(3, owner="bob"))
    assert await groups(gate) == [("alpha/m", 1)]
    for query in ("user_id=ann", "user_id="):
        assert await groups(gate, query) == [("alpha/m", 1)]
    for query in ("user_id=bob", "user_id=nobody", "user_id=*"):
        assert (await gate.get(f"/v2/usage?{query}")).status_code == 403
    assert sorted(await groups(gate, key="root")) == [("alpha/m", 2), ("beta/secret", 1)]
    assert sorted(await groups(gate, "user_id=bob", key="root")) == [("alpha/m", 1), ("beta/secret", 1)]
    assert await groups(gate, "user_id=nobody", key="root") == []


# -- days ---------------------------------------------------------------------------------------------------


async def by_day(query: str) -> list[str]:
    """Days with usage that are shown, of one generation on each of 40 days up to tomorrow."""
    gate = await used(*(done(back, at=START + DAY - back * DAY) for back in range(40)))
    return sorted(group for group, _ in await groups(gate, f"group_by=day&{query}"))


async def test_thirty_days_up_to_today_are_shown_unless_others_are_asked_for() -> None:
    days = await by_day("")
    assert (len(days), days[0], days[-1]) == (30, "2026-10-22", "2026-11-20")
    days = await by_day("to=2026-11-10")
    assert (len(days), days[-1]) == (29, "2026-11-10")
    assert (await by_day("from=2026-11-19")) == ["2026-11-19", "2026-11-20"]


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-11-18&to=2026-11-19",
        "from=2026-11-18T00:00:00Z&to=2026-11-19T23:59:59.999Z",
        "from=2026-11-18T01:00:00%2B01:00&to=2026-11-19T18:00:00-05:00",
        "from=2026-11-18T01:00:00+01:00&to=2026-11-19t00:00:00z",
    ],
)
async def test_both_days_are_included_and_times_stand_for_their_day_in_utc(query: str) -> None:
    assert await by_day(query) == ["2026-11-18", "2026-11-19"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group_by=", "group_by"),
        ("group_by=colour", "group_by"),
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("from=20261101", "from"),
        ("from=2026-11-01T09:00:00", "from"),
        ("from=2026-11-01T25:00:00Z", "from"),
        ("from=0001-01-01T00:00:00%2B23:00", "from"),
        ("to=1", "to"),
        ("to=٢٠٢٦-١١-٠١", "to"),
        ("from=2026-11-02&to=2026-11-01", "from"),
        ("from=2025-11-01", "from"),
        ("from=2024-01-01&to=2025-01-01", "from"),
        ("from=0001-01-01&to=9999-12-31", "from"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=e30", "cursor"),
        ("cursor=é", "cursor"),
    ],
)
async def test_what_makes_no_sense_is_named(query: str, field: str) -> None:
    answer = await (await used(done(1))).get(f"/v2/usage?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "query",
    ["to=0001-01-01", "to=9999-12-31", "from=2024-01-01&to=2024-12-31", "from=9999-12-31&to=9999-12-31"],
)
async def test_any_day_there_is_may_be_asked_for(query: str) -> None:
    assert await groups(await used(done(1)), query) == []


async def test_pages_hold_each_group_once_in_order() -> None:
    gate = await used(*(done(n, model=f"alpha/{n:02d}", cost=n % 3) for n in range(11)))
    whole = await groups(gate)
    assert len(whole) == 11
    seen: list[tuple[str, int]] = []
    cursor = ""
    while cursor is not None:
        page = (await gate.get(f"/v2/usage?limit=4{cursor}")).json()
        seen += [(row["group"], row["requests"]) for row in page["data"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == whole


# -- OpenRouter's figures -----------------------------------------------------------------------------------

REQUIRED = {
    "id", "upstream_id", "total_cost", "cache_discount", "upstream_inference_cost", "created_at", "model",
    "app_id", "streamed", "cancelled", "provider_name", "latency", "moderation_latency", "generation_time",
    "finish_reason", "service_tier", "tokens_prompt", "tokens_completion", "native_tokens_prompt",
    "native_tokens_completion", "native_tokens_completion_images", "native_tokens_reasoning",
    "native_tokens_cached", "num_media_prompt", "num_input_audio_prompt", "num_media_completion",
    "num_search_results", "num_fetches", "web_search_engine", "origin", "usage", "is_byok",
    "native_finish_reason", "external_user", "api_type", "preset_id", "router", "provider_responses",
    "user_agent", "http_referer", "data_region", "workspace_id",
}  # fmt: skip
"""What OpenRouter's OpenAPI file (2026-08-22) says is always there."""

NEVER_NULL = {"id", "total_cost", "created_at", "model", "origin", "usage", "is_byok", "data_region"}


async def stats(gate: Gate, generation_id: str, **more: Any) -> dict[str, Any]:
    answer = await gate.get(f"/v1/generation?id={generation_id}", **more)
    assert answer.status_code == 200
    data: dict[str, Any] = answer.json()["data"]
    assert data.keys() >= REQUIRED
    assert not [name for name in NEVER_NULL if data[name] is None]
    return data


async def test_a_chat_is_found_by_the_id_its_answer_named_with_what_it_cost() -> None:
    gate = await open_gate(models=[model("alpha/m", pricing=priced("1", "10"))])
    gate.transport.on("https://alpha.example/chat", said("hello", cost_usd="0.01"))
    body = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}]}
    answer = await gate.post("/v1/chat/completions", json=body)
    data = await stats(gate, answer.headers["x-headgate-generation-id"])
    assert data["request_id"] == answer.headers["x-request-id"]
    assert (data["model"], data["provider_name"], data["api_type"]) == ("alpha/m", "alpha", "completions")
    assert (data["cancelled"], data["is_byok"]) == (False, False)
    assert data["tokens_prompt"] == data["native_tokens_prompt"] is not None
    assert data["total_cost"] == data["usage"] > 0
    assert data["upstream_inference_cost"] == 0.01
    assert [each["status"] for each in data["provider_responses"]] == [200]


async def test_figures_that_are_not_known_are_null_and_an_unknown_cost_is_zero() -> None:
    gate = await open_gate()
    await gate.generations.begin(
        done(1, status=GenerationStatus.RUNNING, completed_at=None, cost=None, usage=None, model=None)
    )
    data = await stats(gate, "gen_1")
    assert (data["total_cost"], data["latency"], data["tokens_prompt"], data["model"]) == (0, None, None, "")


async def test_calls_that_failed_are_shown_with_whose_key_they_had() -> None:
    gate = await open_gate()
    tried = (
        Attempt(provider="beta", model="m", outcome="failed", code="provider_overloaded", key="con_1"),
        Attempt(provider="alpha", model="m", outcome="succeeded", latency_ms=80),
    )
    await gate.generations.begin(done(1, attempts=tried, paid_by="platform", cost=1_500_000))
    data = await stats(gate, "gen_1")
    assert data["provider_responses"] == [
        {"provider_name": "beta", "status": 503, "latency": None, "is_byok": True},
        {"provider_name": "alpha", "status": 200, "latency": 80, "is_byok": False},
    ]
    assert (data["generation_time"], data["latency"], data["total_cost"]) == (80, 1000, 0.0015)


async def test_anothers_generation_is_as_unknown_as_none() -> None:
    gate = await open_gate()
    await gate.generations.begin(done(1, owner="bob"))
    theirs, none = [await gate.get(f"/v1/generation?id=gen_{number}") for number in (1, 2)]
    assert theirs.status_code == none.status_code == 404
    assert theirs.json()["error"]["code"] == none.json()["error"]["code"] == "not_found"
    assert (await stats(gate, "gen_1", key="root"))["id"] == "gen_1"


@pytest.mark.parametrize("query", ["", "?id=", "?ID=gen_1"])
async def test_without_an_id_the_field_is_named(query: str) -> None:
    answer = await (await open_gate()).get(f"/v1/generation{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "id"
