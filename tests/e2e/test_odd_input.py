"""What callers send that is odd but good: it reaches the provider as it was meant."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.e2e.upstream import Upstream
from tests.integration.local_gateway import Gateway, StartGateway

CHATS = "/v1/chat/completions"
MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def gateway(provider: Upstream, start_gateway: StartGateway) -> Gateway:
    return start_gateway(HEADGATE_STORE="memory", **provider.environ("openai"))


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as made:
        yield made


def sent(client: httpx.Client, provider: Upstream, body: str) -> tuple[httpx.Response, str]:
    """The answer, and the body that the provider got."""
    answer = client.post(CHATS, content=body.encode())
    assert answer.status_code == 200, answer.text
    chats = [call for call in provider.asked if call.method == "POST"]
    return answer, chats[-1].body.decode()


@pytest.mark.parametrize(
    "name",
    ["модель-é", "模型", "a b", "a%20b", "a:free", "org/model@eu-west-1", "../../etc", "a'b\"c"],
)
def test_a_models_name_is_sent_as_it_is_and_told_in_plain_characters(
    name: str, client: httpx.Client, provider: Upstream
) -> None:
    answer, body = sent(client, provider, json.dumps({"model": f"openai/{name}", "messages": MESSAGES}))
    assert json.loads(body)["model"] == name
    told = answer.headers["x-headgate-model-served"]
    assert told.isascii()
    assert unquote(told) == f"openai/{name}"
    record = client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}").json()
    assert record["model"] == f"openai/{name}"


@pytest.mark.parametrize(
    "number",
    ["18446744073709551615", "123456789012345678901234567890", "-9223372036854775809", "0.1", "1E-7"],
)
def test_numbers_arrive_as_they_were_sent(number: str, client: httpx.Client, provider: Upstream) -> None:
    asked = json.dumps({"model": "openai/gpt-any", "messages": MESSAGES, "x": "@"}).replace('"@"', number)
    _, body = sent(client, provider, asked)
    value = json.loads(body)["x"]
    assert value == json.loads(number)
    assert type(value) is type(json.loads(number))


def test_of_a_key_given_twice_the_last_counts_for_the_route_and_for_the_provider(
    client: httpx.Client, provider: Upstream
) -> None:
    asked = json.dumps({"model": "openai/last", "messages": MESSAGES})
    answer, body = sent(client, provider, '{"model":"openai/first",' + asked[1:])
    assert answer.headers["x-headgate-model-served"] == "openai/last"
    assert body.count('"model"') == 1
    assert json.loads(body)["model"] == "last"


@pytest.mark.parametrize("depth", [300, 900])
def test_deep_fields_are_handed_on(depth: int, client: httpx.Client, provider: Upstream) -> None:
    deep = "[" * depth + "]" * depth
    asked = json.dumps({"model": "openai/gpt-any", "messages": MESSAGES, "x": "@"}).replace('"@"', deep)
    _, body = sent(client, provider, asked)
    assert deep in body


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_json_is_read_whatever_it_is_called(kind: str | None, client: httpx.Client) -> None:
    headers = {} if kind is None else {"content-type": kind}
    asked = json.dumps({"model": "openai/gpt-any", "messages": MESSAGES})
    assert client.post(CHATS, content=asked.encode(), headers=headers).status_code == 200


def test_eight_megabytes_are_not_too_much(client: httpx.Client, provider: Upstream) -> None:
    text = "x" * (8 << 20)
    _, body = sent(
        client,
        provider,
        json.dumps({"model": "openai/gpt-any", "messages": [{"role": "user", "content": text}]}),
    )
    assert json.loads(body)["messages"][0]["content"] == text
