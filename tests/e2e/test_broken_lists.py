"""What providers' lists can be, and what callers see of it: the last good list, and why it is not newer."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.upstream import End, Script, Upstream, head, listed, whole
from tests.integration.local_gateway import Gateway, StartGateway, wait_for

SLUGS = ("openai", "openrouter", "requesty", "custom", "deepseek")
HEALTH_TTL_S = 0.1
GOOD = {"id": "good", "object": "model", "created": 1, "owned_by": "loopback"}
UNREADABLE: list[Any] = [
    {},
    None,
    "name",
    [],
    {"id": None},
    {"id": 5},
    {"id": ""},
    {"id": " padded "},
    {"id": "line\r\nbreak"},
    {"id": "x" * 5000},
]
ODD: list[dict[str, Any]] = [
    {"id": "odd/dates", "created": "soon", "expiration_date": 12},
    {"id": "odd/far", "created": -1e30},
    {"id": "odd/prices", "pricing": {"prompt": "-1", "completion": "NaN"}},
    {"id": "odd/shapes", "pricing": [1], "architecture": 7, "context_length": "many", "name": 3},
]


@dataclass(frozen=True)
class Shown:
    """What `/v2/models` and `/v2/providers/health` say of one provider."""

    models: Mapping[str, Any]
    stale: bool
    row: Mapping[str, Any]
    health: Mapping[str, Any]


class Stage:
    """One gateway, and the providers whose lists are changed."""

    def __init__(self, client: httpx.Client, provider: Upstream) -> None:
        self.client = client
        self._provider = provider

    def give(self, scripts: Mapping[str, Script]) -> dict[str, Shown]:
        """These providers answer so from now on; what is shown of them once all lists were read anew."""
        self._provider.lists.update(scripts)
        self.client.get("/v2/models", params={"force": "true", "limit": 1}).raise_for_status()
        time.sleep(HEALTH_TTL_S)
        health = {row["provider"]: row for row in self.client.get("/v2/providers/health").json()["data"]}
        return {slug: self._shown(slug, health[slug]) for slug in scripts}

    def _shown(self, slug: str, health: Mapping[str, Any]) -> Shown:
        answer = self.client.get("/v2/models", params={"provider": slug}).json()
        metadata = answer["metadata"]
        models = {model["id"]: model for model in answer["models"]}
        return Shown(models, metadata["stale"], metadata["providers"][slug], health)


@pytest.fixture(scope="module")
def gateway(provider: Upstream, start_gateway: StartGateway) -> Gateway:
    """Requesty has nothing on offer at the start, and DeepSeek is down."""
    provider.lists["requesty"] = whole({"data": []})
    provider.lists["deepseek"] = whole({"error": {"message": "not today"}}, 500)
    return start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_HEAD_CHECK_S="0.1",
        HEADGATE_HEALTH_TTL_S=str(HEALTH_TTL_S),
        **provider.environ(*SLUGS),
    )


@pytest.fixture(scope="module")
def stage(gateway: Gateway, provider: Upstream) -> Iterator[Stage]:
    with gateway.client() as client:
        wait_for(lambda: len(client.get("/v2/models").json()["metadata"]["providers"]) == 5, 20, gateway)
        wait_for(lambda: len(client.get("/v2/providers/health").json()["data"]) == 5, 20, gateway)
        yield Stage(client, provider)


@pytest.fixture(scope="module")
def shown(stage: Stage) -> Mapping[str, Shown]:
    """What is shown of each broken list, by its name, five at a time; good ones were there before."""
    good = stage.give(dict.fromkeys(SLUGS, listed("first", "second")))
    assert all(not each.stale and each.health["status"] == "healthy" for each in good.values())
    seen: dict[str, Shown] = {}
    names = list(BROKEN)
    for start in range(0, len(names), len(SLUGS)):
        placed = dict(zip(SLUGS, names[start : start + len(SLUGS)], strict=False))
        given = stage.give({slug: BROKEN[name][0] for slug, name in placed.items()})
        seen.update({name: given[slug] for slug, name in placed.items()})
    return seen


def test_a_provider_with_an_empty_list_is_no_failure(stage: Stage) -> None:
    answer = stage.client.get("/v2/models?provider=requesty").json()
    assert answer["models"] == []
    row = answer["metadata"]["providers"]["requesty"]
    assert (row["status"], row["model_count"], row.get("error")) == ("healthy", 0, None)
    assert answer["metadata"]["stale"] is False


def test_a_provider_whose_list_failed_from_the_start_tells_its_error(stage: Stage) -> None:
    answer = stage.client.get("/v2/models?provider=deepseek").json()
    assert (answer["models"], answer["metadata"]["stale"]) == ([], True)
    row = answer["metadata"]["providers"]["deepseek"]
    assert row["status"] in ("degraded", "down"), "its key check is fine"
    assert row["error"].startswith("provider_unavailable:")
    assert "not today" in row["error"]


def test_entries_that_can_not_be_read_are_left_out_and_counted(stage: Stage) -> None:
    given = stage.give(dict.fromkeys(SLUGS, whole({"data": [*UNREADABLE, GOOD, *ODD, GOOD]})))
    for slug, shown in given.items():
        assert list(shown.models) == [f"{slug}/good", *(f"{slug}/{each['id']}" for each in ODD)]
        assert shown.row["dropped"] == len(UNREADABLE)
        assert (shown.stale, shown.row.get("error")) == (False, None)
        odd = shown.models[f"{slug}/odd/prices"]
        assert odd["premium"] is not True
        assert odd["pricing"] is None or odd["pricing"]["input"] is None


BROKEN: dict[str, tuple[Script, str]] = {
    "refuses the key": (whole({"error": {"message": "bad key"}}, 401), "provider_auth"),
    "is overloaded": (whole(b"", 503), "provider_overloaded"),
    "answers HTML": (whole(b"<html>", content_type="text/html"), "provider_protocol"),
    "answers nothing": (whole(b""), "provider_protocol"),
    "answers no list": (whole({"models": []}), "provider_protocol"),
    "answers an error in a 200": (whole({"error": {"message": "nope"}}), "provider_unavailable"),
    "is cut off": ((head(200, {"content-length": "999"}), b'{"data":[', End.CLOSE), "provider_protocol"),
    "has nothing any more": (whole({"data": []}), "provider_protocol"),
    "has nothing readable": (whole({"data": [{"id": None}]}), "provider_protocol"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_last_good_list_is_served_when_a_provider(name: str, shown: Mapping[str, Shown]) -> None:
    broken = shown[name]
    slug = broken.health["provider"]
    assert (list(broken.models), broken.stale) == ([f"{slug}/first", f"{slug}/second"], True)
    assert broken.row["error"].startswith(f"{BROKEN[name][1]}:")
    assert broken.row["status"] in ("degraded", "down")
    assert broken.health["status"] in ("degraded", "down")
    assert broken.health["error"]


def test_one_broken_list_harms_no_other(stage: Stage) -> None:
    given = stage.give({"openai": whole(b"", 500), "custom": listed("mine")})
    assert (given["openai"].stale, given["custom"].stale) == (True, False)
    assert given["custom"].row["status"] == given["custom"].health["status"] == "healthy"
    assert list(given["custom"].models) == ["custom/mine"]


def test_a_provider_that_is_back_is_healthy_and_its_changes_are_seen(stage: Stage) -> None:
    assert stage.give({"custom": whole(b"", 500)})["custom"].stale
    back = stage.give({"custom": listed("third")})["custom"]
    assert (list(back.models), back.stale, back.row.get("error")) == (["custom/third"], False, None)
    assert (back.health["status"], back.health["error"]) == ("healthy", None)
    assert back.row["status"] == "healthy"


def test_a_model_on_no_list_is_still_sent_to_the_provider_named(stage: Stage) -> None:
    asked = {"model": "deepseek/unheard-of", "messages": [{"role": "user", "content": "Hello"}]}
    assert stage.client.post("/v1/chat/completions", json=asked).status_code == 200
