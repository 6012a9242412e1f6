"""DynamoDB fails or is gone, under a gateway that runs: who asks is told to come again, and nobody pays."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.e2e.aws_proxy import BROKEN, GONE, SILENT, THROTTLED, Asked, AwsProxy, Failure
from tests.e2e.upstream import Upstream
from tests.integration.local_gateway import Gateway, wait_for

ROOT = Path(__file__).parents[2]
CHATS = "/v1/chat/completions"
MESSAGES = {"messages": [{"role": "user", "content": "Is it open?"}]}


@pytest.fixture(scope="module")
def proxy() -> Iterator[AwsProxy]:
    made = AwsProxy()
    yield made
    made.end()


@pytest.fixture(scope="module")
def gateway(proxy: AwsProxy, provider: Upstream) -> Iterator[Gateway]:
    """On moto, reached through the proxy."""
    environ = {
        "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}",
        "TEST_AWS_PROXY": proxy.url,
        "HEADGATE_HEAD_CHECK_S": "0.2",
        **provider.environ("openai"),
    }
    running = Gateway(environ, module="tests.e2e.behind_proxy")
    try:
        running.wait_until_up()
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    """Its key is known to every function already, and the catalogue is there."""
    with gateway.client() as made:
        wait_for(lambda: made.get("/v1/models").json()["data"], 10, gateway)
        for path in ("/v2/generations", "/v2/keys", "/v2/providers/health"):
            assert made.get(path).status_code == 200
        yield made


@pytest.fixture(scope="module")
def unseen(client: httpx.Client) -> str:
    """A good key that no function has looked up."""
    asked = {"user_id": "ada", "name": "unseen", "scopes": ["generate", "models:read"]}
    return str(client.post("/v2/keys", json=asked).json()["key"])


# -- all of DynamoDB ----------------------------------------------------------------------------------------

REFUSED = (
    ("unseen", "GET", "/v1/models", None),
    ("unseen", "GET", "/v2/models", None),
    ("unseen", "POST", CHATS, {"model": "openai/never", **MESSAGES}),
    ("wrong", "GET", "/v1/models", None),
    ("known", "POST", CHATS, {"model": "openai/never", **MESSAGES}),
    ("known", "POST", CHATS, {"model": "openai/never", "stream": True, **MESSAGES}),
    (
        "known",
        "POST",
        "/v2/generations",
        {"type": "text", "model": "openai/never", "config": {"prompt": "Hello"}},
    ),
    ("known", "GET", "/v2/generations", None),
    ("known", "GET", "/v2/generations/gen_any", None),
    ("known", "GET", "/v2/keys", None),
    ("known", "POST", "/v2/keys", {"user_id": "ada", "name": "n", "scopes": ["generate"]}),
    ("known", "GET", "/v2/providers/health", None),
    ("known", "GET", "/v2/models?force=true", None),
)
SERVED = ("/v1/models", "/v2/models", "/v1/models/openai/gpt-listed", "/v2/models?q=listed", "/healthz")


async def ask_all(gateway: Gateway, unseen: str) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """What is refused and what is served, asked at once."""
    keys = {"known": gateway.key, "unseen": unseen, "wrong": "hg_wrong"}
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30, trust_env=False) as client:

        async def ask(key: str, method: str, path: str, body: Any = None) -> httpx.Response:
            return await client.request(
                method, path, json=body, headers={"authorization": f"Bearer {keys[key]}"}
            )

        refused = asyncio.gather(*(ask(*one) for one in REFUSED))
        served = asyncio.gather(*(ask("known", "GET", path) for path in SERVED))
        return await refused, await served


@pytest.mark.parametrize("failure", [THROTTLED, BROKEN, GONE], ids=["throttled", "broken", "gone"])
def test_while_the_store_fails(
    failure: Failure,
    *,
    gateway: Gateway,
    proxy: AwsProxy,
    provider: Upstream,
    client: httpx.Client,
    unseen: str,
) -> None:
    """503 to come again, never 401, and no provider is called; the catalogue is served from memory."""
    listed = client.get("/v1/models").json()
    with proxy.failing(lambda asked: failure if asked.is_dynamodb else None):
        refused, served = asyncio.run(ask_all(gateway, unseen))
    for answer in refused:
        what = f"{answer.request.method} {answer.request.url.path}: {answer.text}"
        assert answer.status_code == 503, what
        body = answer.json()
        problem = answer.request.url.path.startswith("/v2")
        assert (body if problem else body["error"])["code"] == "gateway_unavailable", what
        assert answer.headers["content-type"] == (
            "application/problem+json" if problem else "application/json"
        )
        assert int(answer.headers["retry-after"]) >= 1
        assert "x-should-retry" not in answer.headers
    assert [answer.status_code for answer in served] == [200] * len(SERVED)
    assert served[0].json() == listed
    assert provider.calls("never") == []
    assert client.get("/v2/generations?status=running").json()["data"] == [], "nothing was begun"


def test_when_it_is_back_all_is_as_before(
    proxy: AwsProxy, gateway: Gateway, provider: Upstream, client: httpx.Client, unseen: str
) -> None:
    with proxy.failing(lambda _asked: GONE), gateway.client(unseen) as other:
        assert other.get("/v1/models").status_code == 503
    with gateway.client(unseen) as other:
        assert other.get("/v1/models").status_code == 200
        assert other.post(CHATS, json={"model": "openai/back", **MESSAGES}).status_code == 200
    with gateway.client("hg_wrong") as stranger:
        assert stranger.get("/v1/models").status_code == 401
    assert len(provider.calls("back")) == 1


# -- parts of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_is_given_although_its_outcome_can_not_be_written(
    streamed: bool, proxy: AwsProxy, client: httpx.Client
) -> None:
    """It was paid for; the record stays as it was begun."""

    def fault(asked: Asked) -> Failure | None:
        item = asked.body.get("Item", {})
        return BROKEN if item.get("status", {}).get("S") == "succeeded" else None

    with proxy.failing(fault):
        answer = client.post(CHATS, json={"model": "openai/gpt-any", "stream": streamed, **MESSAGES})
    assert answer.status_code == 200
    assert "open." in answer.text
    assert answer.text.endswith("data: [DONE]\n\n") is streamed
    record = client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}").json()
    assert record["status"] == "running"


def test_the_catalogue_is_served_while_the_store_hangs(proxy: AwsProxy, client: httpx.Client) -> None:
    with proxy.failing(lambda asked: SILENT if "catalog" in asked.table.lower() else None):
        began_s = time.monotonic()
        while time.monotonic() - began_s < 2.5:
            asked_s = time.monotonic()
            assert client.get("/v1/models").status_code == 200
            assert time.monotonic() - asked_s < 4.0, "the SDK's own patience is longer"
            time.sleep(0.1)
        asked_s = time.monotonic()
        assert client.get("/v2/models?force=true").status_code == 503
        assert time.monotonic() - asked_s < 5.0, "there is nothing to wait for"
    assert client.get("/v1/models").status_code == 200


def test_a_key_of_a_provider_that_can_not_be_read_is_the_gateways_fault(
    proxy: AwsProxy, provider: Upstream, client: httpx.Client
) -> None:
    asked = {"model": "deepseek/never", **MESSAGES}
    with proxy.failing(lambda asked: BROKEN if asked.operation.startswith("secretsmanager") else None):
        answer = client.post(CHATS, json=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gateway_unavailable")
    assert client.post(CHATS, json=asked).status_code == 404
    assert provider.calls("never") == []


# -- nothing wrong at all -----------------------------------------------------------------------------------


def test_the_sdk_on_the_real_stores(gateway: Gateway, client: httpx.Client) -> None:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk:
        whole = sdk.chat.completions.with_raw_response.create(
            model="openai/gpt-any", messages=[{"role": "user", "content": "Is it open?"}]
        )
        with sdk.chat.completions.create(
            model="openai/gpt-any", messages=[{"role": "user", "content": "Is it open?"}], stream=True
        ) as chunks:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert whole.parse().choices[0].message.content == text == "The gate is open."
    names = [answer.headers["x-headgate-generation-id"] for answer in (whole, chunks.response)]
    for name in names:
        record = client.get(f"/v2/generations/{name}").json()
        assert (record["status"], record["usage"]["total_tokens"]) == ("succeeded", 14)
    listed = client.get("/v2/generations?status=succeeded&limit=2").json()["data"]
    assert sorted(one["id"] for one in listed) == sorted(names)
