"""Two users of a gateway that runs, on moto: each sees and uses what their own keys see, and nothing else."""

from collections.abc import Iterator, Sequence

import httpx
import pytest

from tests.e2e.upstream import Call, Script, Step, Upstream, listed, whole
from tests.integration.local_gateway import Gateway, StartGateway, wait_for

MESSAGES = [{"role": "user", "content": "Is it open?"}]
SHARED = "openai/gpt-listed"


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, provider: Upstream) -> Gateway:
    """The platform has OpenAI; where Anthropic is, is known as well, but no key for it."""
    provider.lists["openai"] = _by_key("gpt-listed", "gpt-anns")
    provider.lists["anthropic"] = _by_key("claude-none", "claude-anns", header="x-api-key")
    return start_gateway(
        **provider.environ("openai"),
        ANTHROPIC_BASE_URL=provider.base_url("anthropic"),
        HEADGATE_HEAD_CHECK_S="0.2",
    )


def _by_key(usual: str, anns: str, header: str = "authorization") -> Script:
    def answer(call: Call) -> Sequence[Step]:
        key = call.headers.get(header, "")
        if "wrong" in key:
            return whole({"error": {"message": "no such key", "type": "authentication_error"}}, 401)
        return listed(usual, anns) if "anns" in key else listed(usual)

    return answer


@pytest.fixture(scope="module")
def root(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as made:
        wait_for(lambda: SHARED in _ids(made), 20, gateway)
        yield made


def _user(gateway: Gateway, root: httpx.Client, name: str) -> httpx.Client:
    asked = {"user_id": name, "name": "x", "scopes": ["models:read", "generate", "connections"]}
    made = root.post("/v2/keys", json=asked)
    assert made.status_code == 201, made.text
    return gateway.client(made.json()["key"])


@pytest.fixture(scope="module")
def ann(gateway: Gateway, root: httpx.Client) -> Iterator[httpx.Client]:
    """Has a connection to OpenAI, whose key sees one model more."""
    with _user(gateway, root, "ann") as made:
        asked = {"name": "mine", "type": "openai", "api_key": "sk-anns-0123456789"}
        assert made.post("/v2/connections", json=asked).status_code == 201
        yield made


@pytest.fixture(scope="module")
def bob(gateway: Gateway, root: httpx.Client) -> Iterator[httpx.Client]:
    with _user(gateway, root, "bob") as made:
        yield made


def _ids(client: httpx.Client, **headers: str) -> list[str]:
    answer = client.get("/v2/models", headers=headers)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["models"]]


def _chat(client: httpx.Client, model: str) -> httpx.Response:
    return client.post("/v1/chat/completions", json={"model": model, "messages": MESSAGES})


def test_a_connections_list_is_read_and_shown_to_its_owner_alone(
    gateway: Gateway, ann: httpx.Client, bob: httpx.Client, provider: Upstream
) -> None:
    wait_for(lambda: "openai/gpt-anns" in _ids(ann), 20, gateway)
    assert "openai/gpt-anns" not in _ids(bob)
    shown = ann.get("/v2/models/openai/gpt-anns").json()
    assert shown["key_source"] == "connection"
    assert bob.get("/v2/models/openai/gpt-anns").status_code == 404
    assert _chat(ann, "openai/gpt-anns").status_code == 200
    (call,) = provider.calls("gpt-anns")
    assert call.headers["authorization"] == "Bearer sk-anns-0123456789"


def test_a_lent_key_goes_where_the_operator_has_its_provider(bob: httpx.Client, provider: Upstream) -> None:
    seen = _ids(bob, **{"x-provider-key": "anthropic=sk-anns-lent-0123456789"})
    assert {"anthropic/claude-none", "anthropic/claude-anns", SHARED} <= set(seen)
    assert not [each for each in _ids(bob) if each.startswith("anthropic/")]
    keys = {call.headers.get("x-api-key") for call in provider.asked if "/anthropic/" in call.path}
    assert keys == {"sk-anns-lent-0123456789"}


def test_a_lent_key_that_is_refused_is_told(bob: httpx.Client) -> None:
    answer = bob.get("/v2/models", headers={"x-provider-key": "anthropic=sk-wrong-0123456789"})
    assert answer.status_code == 200
    told = answer.json()["metadata"]["providers"]["anthropic"]["error"]
    assert "provider_auth" in told
    assert "sk-wrong" not in answer.text


def test_a_refresh_of_ones_own_is_started(ann: httpx.Client, bob: httpx.Client) -> None:
    started = ann.post("/v2/models/refresh")
    assert (started.status_code, len(started.json()["started"])) == (202, 1)
    assert bob.post("/v2/models/refresh").status_code == 200


def test_what_an_administrator_switches_off_serves_nobody(
    gateway: Gateway, root: httpx.Client, ann: httpx.Client, bob: httpx.Client
) -> None:
    path = f"/v2/models/{SHARED}/override"
    assert bob.patch(path, json={"enabled": False}).status_code == 403
    assert root.patch(path, json={"enabled": False, "note": "why"}).status_code == 200
    wait_for(lambda: _chat(ann, SHARED).status_code == _chat(bob, SHARED).status_code == 422, 10, gateway)
    for client in (ann, bob):
        told = client.get(f"/v2/models/{SHARED}/availability").json()
        assert told == {"available": False, "reasons": ["disabled by an administrator"]}
    assert root.delete(path).status_code == 204
    wait_for(lambda: _chat(bob, SHARED).status_code == 200, 10, gateway)
