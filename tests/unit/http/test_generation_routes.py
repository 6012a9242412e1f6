"""Generating over HTTP: who served it is told, and it can be looked up afterwards by its owner alone."""

import asyncio
from typing import Any

import httpx
import pytest

from headgate.domain.callers import KeyLimits, Scope
from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import GatewayFault
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from headgate.testing.transport import Step
from tests.support.asgi import Exchange
from tests.support.gate import FUNCTIONS, Gate, dispatch, open_gate
from tests.support.models import model, priced
from tests.support.provider import fake_provider, said

CHAT: dict[str, Any] = {"model": "maker/m", "messages": [{"role": "user", "content": "hi"}]}
TEXT: dict[str, Any] = {"type": "text", "model": "maker/m", "config": {"prompt": "hi"}}
OFFERS = [
    model("alpha/m", canonical_id="maker/m", pricing=priced("1", "10")),
    model("beta/m", canonical_id="maker/m", pricing=priced("2", "20")),
]


async def gate_where(**answers: Step) -> Gate:
    gate = await open_gate(models=OFFERS)
    for slug, answer in answers.items():
        gate.transport.on(f"https://{slug}.example/chat", answer)
    return gate


async def made(gate: Gate, **more: Any) -> dict[str, Any]:
    gate.clock.advance(1)
    answer = await gate.post("/v2/generations", json=TEXT | more)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


# -- telling who served ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v2/generations", TEXT)])
async def test_the_answer_says_which_generation_it_is_and_who_served_it(path: str, body: Any) -> None:
    gate = await gate_where(alpha=Answer(status=503), beta=said("hello"))
    answer = await gate.post(path, json=body)
    assert answer.status_code == 200
    assert answer.headers["x-headgate-provider"] == "beta"
    assert answer.headers["x-headgate-model-served"] == "beta/m"
    assert answer.headers["x-headgate-attempts"] == "2"
    record = (await gate.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}")).json()
    assert [(attempt["provider"], attempt["outcome"]) for attempt in record["attempts"]] == [
        ("alpha", "failed"),
        ("beta", "succeeded"),
    ]


async def test_the_answer_is_the_providers_own() -> None:
    gate = await gate_where(alpha=said("hello", tokens=(1000, 200)))
    answer = await gate.post("/v1/chat/completions", json=CHAT)
    assert answer.json() == {"text": "hello", "cost": "0.003"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v2/generations", TEXT)])
async def test_a_failed_generation_can_be_looked_up_by_the_id_told_with_its_error(
    path: str, body: Any
) -> None:
    gate = await gate_where(alpha=Answer(status=503, headers={"retry-after": "7"}), beta=Answer(status=400))
    answer = await gate.post(path, json=body)
    assert answer.status_code == 400
    assert answer.headers["x-headgate-attempts"] == "2"
    record = (await gate.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}")).json()
    assert (record["status"], record["error"]["code"]) == ("failed", "provider_rejected")
    assert record["error"]["provider"] == "beta"
    assert record["cost"]["charged"] == {"amount": "0", "currency": "USD"}


async def test_a_providers_wait_is_passed_on() -> None:
    busy = Answer(status=429, headers={"retry-after": "7"})
    gate = await gate_where(alpha=busy, beta=busy)
    answer = await gate.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "x-should-retry" not in answer.headers
    error = answer.json()["error"]
    assert (error["code"], error["provider"]) == ("provider_rate_limited", "beta")


@pytest.mark.parametrize(
    ("status", "shown", "code"),
    [
        (401, 424, "provider_auth"),
        (402, 424, "provider_insufficient_funds"),
        (413, 400, "context_too_long"),
        (429, 429, "provider_rate_limited"),
        (500, 502, "provider_unavailable"),
        (503, 503, "provider_overloaded"),
        (504, 504, "provider_timeout"),
    ],
)
async def test_a_providers_failure_has_our_status_never_its_own(status: int, shown: int, code: str) -> None:
    gate = await gate_where(alpha=Answer(status=status), beta=Answer(status=status))
    answer = await gate.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (shown, code)


# -- what a generation looks like --------------------------------------------------------------------------


async def test_a_generation_carries_everything_the_contract_names() -> None:
    gate = await gate_where(alpha=said("hello", tokens=(1000, 200), cost_usd="0.0029"))
    shown = await made(gate, metadata={"project_id": "prj_1", "scene_id": "7", "own": [1]})
    assert shown.pop("id").startswith("gen_")
    assert shown == {
        "type": "text",
        "status": "succeeded",
        "model": "alpha/m",
        "provider": "alpha",
        "connection_id": None,
        "created_at": "2026-11-20T09:00:01Z",
        "started_at": "2026-11-20T09:00:01Z",
        "completed_at": "2026-11-20T09:00:01Z",
        "progress": 1.0,
        "output": {"text": "hello", "finish_reason": "stop"},
        "usage": {
            "input_tokens": 1000,
            "output_tokens": 200,
            "cache_read_tokens": None,
            "cache_write_tokens": None,
            "reasoning_tokens": None,
            "total_tokens": None,
            "estimated": False,
        },
        "cost": {
            "estimated": {"amount": "0.081924", "currency": "USD"},
            "charged": {"amount": "0.003", "currency": "USD"},
            "provider_cost": {"amount": "0.0029", "currency": "USD"},
        },
        "attempts": [
            {"provider": "alpha", "model": "alpha/m", "outcome": "succeeded", "code": None, "latency_ms": 0}
        ],
        "error": None,
        "metadata": {"project_id": "prj_1", "scene_id": "7", "own": [1]},
    }


async def test_what_was_answered_can_be_read_again() -> None:
    gate = await gate_where(alpha=said("hello"))
    shown = await made(gate)
    assert (await gate.get(f"/v2/generations/{shown['id']}")).json() == shown


async def test_a_chats_words_are_not_kept() -> None:
    gate = await gate_where(alpha=said("secret words"))
    answer = await gate.post("/v1/chat/completions", json=CHAT)
    record = await gate.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}")
    assert record.json()["output"] is None
    assert "secret words" not in record.text


async def test_unknown_keys_of_the_config_reach_the_provider() -> None:
    gate = await gate_where(alpha=said("x"))
    await made(gate, config={"prompt": "hi", "temperature": 0.5, "odd": {"a": 1}})
    (call,) = gate.providers["alpha"].seen
    assert call.body == {
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "odd": {"a": 1},
    }


async def test_a_provider_may_be_named_beside_the_model() -> None:
    gate = await gate_where(beta=said("x"))
    assert (await made(gate, model="m", provider="beta"))["model"] == "beta/m"


async def test_without_a_model_the_default_serves() -> None:
    gate = await gate_where(alpha=said("x"))
    assert (await made(gate, model=None))["model"] == "alpha/m"


async def test_an_unknown_model_is_404_before_anything_is_recorded() -> None:
    gate = await gate_where()
    answer = await gate.post("/v1/chat/completions", json=CHAT | {"model": "alpha/n"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "model_not_found"
    assert "alpha/m" in error["suggestions"]
    assert (await gate.get("/v2/generations")).json()["data"] == []


# -- whose it is -------------------------------------------------------------------------------------------


async def test_anothers_generation_is_as_if_it_were_not_there() -> None:
    gate = await gate_where(alpha=said("x"))
    shown = await made(gate)
    bob = await gate.key(Scope.GENERATE, user_id="bob")
    theirs = await gate.get(f"/v2/generations/{shown['id']}", key=bob)
    missing = await gate.get("/v2/generations/gen_none", key=bob)
    assert theirs.status_code == missing.status_code == 404
    assert theirs.json()["code"] == missing.json()["code"] == "not_found"
    assert (await gate.get("/v2/generations", key=bob)).json()["data"] == []
    assert (await gate.get(f"/v2/generations/{shown['id']}", key="root")).status_code == 200


async def test_lists_are_newest_first_in_pages_and_by_filter() -> None:
    gate = await gate_where(alpha=said("x"))
    ids = [(await made(gate, metadata={"project_id": f"prj_{n % 2}"}))["id"] for n in range(5)]
    gate.transport.on("https://alpha.example/chat", Answer(status=400))
    await gate.post("/v2/generations", json=TEXT)
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await gate.get(f"/v2/generations?status=succeeded&limit=2{cursor}")).json()
        seen += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == ids[::-1]
    odd = (await gate.get("/v2/generations?project_id=prj_1")).json()["data"]
    assert [each["id"] for each in odd] == [ids[3], ids[1]]
    assert len((await gate.get("/v2/generations?status=failed")).json()["data"]) == 1
    assert (await gate.get("/v2/generations?type=image")).json()["data"] == []


@pytest.mark.parametrize("name", [" ", ",", " , ,"])
async def test_a_list_of_no_names_is_no_model(name: str) -> None:
    answer = await (await gate_where()).post("/v2/generations", json=TEXT | {"model": name})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "model")


async def test_a_status_there_is_not_is_named() -> None:
    answer = await (await gate_where()).get("/v2/generations?status=fine")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "status")


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v2/generations", TEXT)])
@pytest.mark.parametrize(
    ("model_name", "status"),
    [("alpha/m", 200), (" alpha/m ", 200), ("beta/m", 403), ("alpha/m,beta/m", 403), ("m", 200), (None, 200)],
)
async def test_a_key_that_is_bound_to_models_may_name_only_those(
    path: str, body: dict[str, Any], model_name: str | None, status: int
) -> None:
    gate = await gate_where(alpha=said("x"), beta=said("x"))
    key = await gate.key(Scope.GENERATE, allowed_models=("alpha/m",))
    asked = body | {"model": model_name}
    if model_name is None and path.startswith("/v1"):
        status = 400
    answer = await gate.post(path, key=key, json=asked)
    assert answer.status_code == status
    assert answer.headers.get("x-headgate-provider") == ("alpha" if status == 200 else None)


@pytest.mark.parametrize("named", ["ollama/llama3", "custom/llama3", "vllm/llama3"])
async def test_a_key_may_call_its_models_by_any_name_of_their_provider(named: str) -> None:
    gate = await open_gate(models=[model("custom/llama3")])
    gate.secrets.put("custom", base_url="https://llama.example/v1")
    gate.transport.on("https://llama.example", Answer(status=401))
    key = await gate.key(Scope.GENERATE, allowed_models=("ollama/llama3",))
    answer = await gate.post("/v1/chat/completions", key=key, json=CHAT | {"model": named})
    assert (answer.json()["error"]["code"], answer.json()["error"]["provider"]) == ("provider_auth", "custom")


async def test_the_keys_own_limit_is_429_with_when_to_come_back() -> None:
    gate = await gate_where(alpha=said("x"))
    key = await gate.key(Scope.GENERATE, limits=KeyLimits(requests_per_minute=1))
    assert (await gate.post("/v1/chat/completions", key=key, json=CHAT)).status_code == 200
    answer = await gate.post("/v1/chat/completions", key=key, json=CHAT)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limited"
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert len(gate.transport.requests) == 1


async def test_if_the_record_can_not_be_written_nobody_is_asked() -> None:
    gate = await gate_where(alpha=said("x"))
    gate.generations.fault = GatewayFault.unavailable("The table")
    answer = await gate.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert gate.transport.requests == []


# -- the client leaves -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v2/generations", TEXT)])
async def test_a_client_that_leaves_stops_the_provider(path: str, body: dict[str, Any]) -> None:
    asked = asyncio.Event()

    def never(_request: WireRequest) -> Answer:
        asked.set()
        return Answer(pieces=[asyncio.Event()])

    gate = await gate_where(alpha=never)
    request = httpx.Request("POST", "http://gate", json=body)
    exchange = Exchange(
        dispatch, "POST", path, headers={"authorization": f"Bearer {gate.ann}"}, body=[request.content]
    )
    await asked.wait()
    await exchange.leave()
    assert gate.transport.responses[0].closed
    (record,) = (await gate.get("/v2/generations")).json()["data"]
    assert record["status"] == "cancelled"
    assert record["attempts"][0]["outcome"] == "cancelled"


async def test_who_is_to_serve_may_be_named_by_a_key_bound_to_the_model_and_is_charged_at_that_price() -> (
    None
):
    hosted = model("alpha/lab/m", pricing=priced("3", "4"), suffixes={"novita": priced("1", "2")})
    gate = await open_gate(models=[hosted])
    gate.transport.on("https://alpha.example/chat/lab/m:novita", said("x", tokens=(1000, 1000)))
    key = await gate.key(Scope.GENERATE, allowed_models=("alpha/lab/m",))
    answer = await gate.post("/v2/generations", key=key, json=TEXT | {"model": "alpha/lab/m:novita"})
    assert (answer.status_code, answer.json()["model"]) == (200, "alpha/lab/m:novita")
    assert answer.json()["cost"]["charged"]["amount"] == "0.003"


# -- counting tokens ---------------------------------------------------------------------------------------


async def counting_gate(*models: ModelInfo) -> Gate:
    """Alpha can count."""
    gate = await open_gate(models=models)
    alpha = fake_provider("alpha", features=("counting",))
    FUNCTIONS["generations"].services.registry.register(alpha, replace=True)
    return gate


async def counted(gate: Gate, key: str = "ann") -> httpx.Response:
    asked = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}]}
    return await gate.post("/v1/messages/count_tokens", json=asked, key=key)


async def test_counting_tokens_is_told_with_who_counted_and_leaves_no_record() -> None:
    gate = await counting_gate(*OFFERS)
    gate.transport.on("https://alpha.example/count", Answer(body=b"321"))
    answer = await counted(gate)
    assert (answer.status_code, answer.json()) == (200, {"input_tokens": 321})
    told = {name: text for name, text in answer.headers.items() if name.startswith("x-headgate-")}
    assert told == {
        "x-headgate-provider": "alpha",
        "x-headgate-model-served": "alpha/m",
        "x-headgate-attempts": "1",
    }
    assert (await gate.get("/v2/generations")).json()["data"] == []


async def test_counting_that_fails_leaves_no_record_either() -> None:
    gate = await counting_gate(OFFERS[0])
    gate.transport.on("https://alpha.example/count", Answer(status=401))
    answer = await counted(gate)
    assert (answer.status_code, answer.headers["x-headgate-attempts"]) == (424, "1")
    assert "x-headgate-generation-id" not in answer.headers
    assert (await gate.get("/v2/generations")).json()["data"] == []


async def test_counting_tokens_is_a_request_of_the_minutes_limit() -> None:
    gate = await gate_where(alpha=said("x"))
    key = await gate.key(Scope.GENERATE, limits=KeyLimits(requests_per_minute=2))
    assert [(await counted(gate, key)).status_code for _ in range(3)] == [200, 200, 429]
    assert (await gate.post("/v1/chat/completions", json=CHAT, key=key)).status_code == 429
