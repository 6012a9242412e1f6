"""`python -m dev`, started as a person starts it: on moto and on the in-memory stores."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.local_gateway import (
    MODELS,
    PROVIDER_KEY,
    START_S,
    WORDS,
    Gateway,
    StartGateway,
    Upstream,
    listens,
    wait_for,
)

CHAT = {"messages": [{"role": "user", "content": "Is it open?"}]}


@pytest.fixture(scope="module", params=["moto", "memory"])
def store(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def gateway(store: str, upstream: Upstream, start_gateway: StartGateway) -> Gateway:
    """Has OpenAI configured, at a loopback address, and short times so that nothing is waited for."""
    running = start_gateway(
        HEADGATE_STORE=store,
        OPENAI_API_KEY=PROVIDER_KEY,
        OPENAI_BASE_URL=upstream.base_url,
        HEADGATE_HEAD_CHECK_S="0.5",
        HEADGATE_HEALTH_TTL_S="0.5",
    )
    running.wait_until_up()
    return running


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as made:
        yield made


@pytest.fixture(scope="module")
def bare_gateway(store: str, start_gateway: StartGateway) -> Gateway:
    """Nothing is configured but the administrator's key."""
    running = start_gateway(HEADGATE_STORE=store, HEADGATE_ADMIN_KEY="my-own-admin-key")
    running.wait_until_up()
    return running


def model_ids(client: httpx.Client) -> list[str]:
    answer = client.get("/v2/models")
    assert answer.status_code == 200, answer.text
    return [model["id"] for model in answer.json()["models"]]


def test_healthz_needs_no_key(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/healthz", trust_env=False).status_code == 200


def test_the_printed_key_opens_the_gate_and_another_does_not(gateway: Gateway, client: httpx.Client) -> None:
    assert re.fullmatch(r"hg_\S{20,}", gateway.key)
    assert client.get("/v2/keys").status_code == 200
    with gateway.client(key="hg_wrong") as stranger:
        assert stranger.get("/v2/keys").status_code == 401


def test_what_is_said_at_the_start_names_providers_and_holds_none_of_their_keys(gateway: Gateway) -> None:
    assert gateway.url in gateway.output
    assert gateway.said("Providers") == "openai"
    assert PROVIDER_KEY not in gateway.output


def test_the_schedule_fills_the_catalogue(gateway: Gateway, client: httpx.Client) -> None:
    wait_for(lambda: model_ids(client) == [f"openai/{name}" for name in MODELS], 10, gateway)


def test_whoever_asks_as_soon_as_it_is_healthy_finds_the_models(
    store: str, upstream: Upstream, start_gateway: StartGateway
) -> None:
    running = start_gateway(
        HEADGATE_STORE=store,
        HEADGATE_ADMIN_KEY="my-own-admin-key",
        OPENAI_API_KEY=PROVIDER_KEY,
        OPENAI_BASE_URL=upstream.base_url,
    )
    with running.client() as client:
        wait_for(lambda: listens(running.port), START_S, running)
        assert client.get("/healthz").status_code == 200
        assert model_ids(client) == [f"openai/{name}" for name in MODELS]


def test_a_chat_completion_comes_back_whole(client: httpx.Client, upstream: Upstream) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "openai/gpt-loop", **CHAT})
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "".join(WORDS)
    assert answer.headers["x-headgate-provider"] == "openai"
    assert f"Bearer {PROVIDER_KEY}" in upstream.keys


def test_a_chat_completion_comes_back_streamed(client: httpx.Client) -> None:
    asked = {"model": "openai/gpt-loop", "stream": True, **CHAT}
    with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event)["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "".join(WORDS)


def test_finished_generations_reach_the_providers_health(gateway: Gateway, client: httpx.Client) -> None:
    client.post("/v1/chat/completions", json={"model": "openai/gpt-loop", **CHAT}).raise_for_status()

    def success_rate() -> float | None:
        rows = client.get("/v2/providers/health").json()["data"]
        rates: list[float | None] = [row["success_rate"] for row in rows if row["provider"] == "openai"]
        return rates[0] if rates else None

    wait_for(lambda: success_rate() == 1.0, 15, gateway)


def test_a_chat_is_soon_in_its_callers_usage_and_in_the_log_of_the_keys_it_used(
    gateway: Gateway, client: httpx.Client
) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "openai/gpt-local", **CHAT})
    assert answer.status_code == 200, answer.text
    request_id = answer.headers["x-request-id"]

    def uses() -> list[tuple[str, str]]:
        events = client.get("/v2/audit", params={"limit": 100}).json()["data"]
        return [(each["action"], each["target"]) for each in events if each["request_id"] == request_id]

    wait_for(uses, 15, gateway)
    assert uses() == [("provider_key.use", "openai")]
    (row,) = client.get("/v2/usage", params={"group_by": "provider"}).json()["data"]
    assert row["group"] == "openai"
    assert row["requests"] >= 1
    assert row["input_tokens"] > 0
    figures = client.get("/v1/generation", params={"id": answer.headers["x-headgate-generation-id"]})
    assert figures.json()["data"]["request_id"] == request_id


def test_one_function_starts_another(client: httpx.Client, upstream: Upstream) -> None:
    """`models` holds no key: a list that it must have new is fetched by `refresh`."""
    before = upstream.seen["GET /v1/models"]
    started_s = time.monotonic()
    answer = client.get("/v2/models", params={"force": "true"})
    assert answer.status_code == 200, answer.text
    assert upstream.seen["GET /v1/models"] > before
    assert time.monotonic() - started_s < 15


def test_a_users_key_is_taken_in_by_one_function_and_used_by_others(
    gateway: Gateway, client: httpx.Client, upstream: Upstream
) -> None:
    """Sealed by one, tried by another, its list fetched by a third."""
    own = {"name": "My server", "type": "custom", "api_key": "sk-of-my-own", "base_url": upstream.base_url}
    made = client.post("/v2/connections", json=own)
    assert made.status_code == 201, made.text
    where = f"/v2/connections/{made.json()['id']}"
    wait_for(lambda: "Bearer sk-of-my-own" in upstream.keys, 10, gateway)
    tried = client.post(f"{where}/test", json={"generate": False}).json()
    assert (tried["ok"], tried["model_count"]) == (True, len(MODELS)), tried
    for path in (where, f"/api{where}"):
        assert client.get(path).json()["key_hint"]
        assert "sk-of-my-own" not in client.get(path).text
    assert "sk-of-my-own" not in gateway.output
    assert client.delete(where).status_code == 204


def test_a_connection_serves_its_user_from_the_moment_it_is_made_to_the_moment_it_is_deleted(
    client: httpx.Client, upstream: Upstream
) -> None:
    def served_by() -> str | None:
        answer = client.post("/v2/generations", json={"type": "text", "config": {"prompt": "Is it open?"}})
        assert answer.status_code == 200, answer.text
        found: str | None = answer.json()["connection_id"]
        return found

    own = {"name": "Mine", "type": "custom", "base_url": upstream.base_url, "default_model": "gpt-loop"}
    assert served_by() is None
    for prefix in ("/v2", "/api/v2"):
        made = client.post(f"{prefix}/connections", json=own).json()["id"]
        assert served_by() == made
        assert client.delete(f"{prefix}/connections/{made}").status_code == 204
        assert served_by() is None


def test_an_unknown_path_answers_in_the_shape_of_its_prefix(client: httpx.Client) -> None:
    problem = client.get("/v2/nothing")
    assert problem.status_code == 404
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["code"] == "not_found"
    compatible = client.get("/v1/nothing")
    assert compatible.status_code == 404
    assert compatible.json()["error"]["code"] == "not_found"


def test_bodies_are_limited_as_on_aws(client: httpx.Client) -> None:
    buffered = client.post("/v2/keys", content=b" " * 4_600_000)
    assert buffered.status_code == 413
    streamed = client.post("/v1/chat/completions", content=b" " * 10_100_000)
    assert streamed.status_code == 413
    within = client.post("/v1/chat/completions", content=b" " * 4_600_000)
    assert within.status_code == 400


def test_without_any_key_the_mock_provider_serves(bare_gateway: Gateway) -> None:
    with bare_gateway.client() as client:
        wait_for(lambda: "mock/echo" in model_ids(client), 10, bare_gateway)
        answer = client.post("/v1/chat/completions", json={"model": "mock/echo", **CHAT})
        assert answer.status_code == 200, answer.text
        assert "Is it open?" in answer.json()["choices"][0]["message"]["content"]


def test_a_chosen_administrator_key_opens_the_gate_and_is_not_repeated(bare_gateway: Gateway) -> None:
    assert bare_gateway.key == "my-own-admin-key"
    with bare_gateway.client() as client:
        assert client.get("/v2/keys").status_code == 200
    assert "my-own-admin-key" not in bare_gateway.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_within_five_seconds_cuts_what_runs_and_leaves_nothing(
    store: str, number: signal.Signals, upstream: Upstream, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(
        HEADGATE_STORE=store, OPENAI_API_KEY=PROVIDER_KEY, OPENAI_BASE_URL=upstream.base_url
    )
    gateway.wait_until_up()
    streaming, received = threading.Event(), bytearray()

    def stream() -> None:
        asked = {"model": "openai/gpt-endless", "stream": True, **CHAT}
        with gateway.client() as client, client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            try:
                for chunk in answer.iter_bytes():
                    received.extend(chunk)
                    streaming.set()
            except httpx.TransportError:
                return

    reader = threading.Thread(target=stream)
    reader.start()
    assert streaming.wait(10), gateway.output
    assert gateway.stop(number, within_s=5.0) == 0
    reader.join(5)
    assert not reader.is_alive()
    assert b"[DONE]" not in received
    assert b" gate" in received
    assert not listens(gateway.port)
    assert not listens(moto_port(gateway))
    assert "Traceback" not in gateway.output


def moto_port(gateway: Gateway) -> int:
    """Where moto listened; the gateway's own port when there was none."""
    found = re.search(r":(\d+) ", gateway.said("In place of AWS"))
    return int(found[1]) if found else gateway.port


def test_killed_it_takes_moto_with_it(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.wait_until_up()
    port = moto_port(gateway)
    assert port != gateway.port
    assert listens(port)
    gateway.process.kill()
    wait_for(lambda: not listens(port), 5)


def test_when_moto_is_gone_it_says_so_and_ends(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.wait_until_up()
    found = re.search(r"process (\d+)", gateway.said("In place of AWS"))
    assert found is not None
    os.kill(int(found[1]), signal.SIGKILL)
    assert gateway.process.wait(10) == 1
    wait_for(lambda: "its process is gone" in gateway.output, 5, gateway)


def test_a_port_in_use_is_said_and_ends_it(gateway: Gateway, start_gateway: StartGateway) -> None:
    second = start_gateway(PORT=str(gateway.port))
    assert second.process.wait(10) == 1
    wait_for(lambda: f"port {gateway.port} is in use" in second.output, 5)
    assert "Traceback" not in second.output


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HEADGATE_STORE": "disk"}, "HEADGATE_STORE"),
        ({"HEADGATE_PARAM_Nonsense": "1"}, "no parameter Nonsense"),
        ({"HEADGATE_PARAM_RefreshSchedule": "often"}, "often is no rate"),
    ],
)
def test_a_setting_that_can_not_be_used_is_said_and_ends_it(
    environ: dict[str, str], said: str, start_gateway: StartGateway
) -> None:
    gateway = start_gateway(**environ)
    assert gateway.process.wait(20) == 1
    wait_for(lambda: said in gateway.output, 5, gateway)
    assert "Traceback" not in gateway.output
