"""Real exchanges of real providers, played back over loopback: what comes out of the gateway is what went in.

Only where the recordings lie beside the checkout; else there are no tests here.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.upstream import LAST_PIECE, Call, Step, Upstream, head, listed, piece, whole
from tests.integration.local_gateway import Gateway, StartGateway, wait_for

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)
pytestmark = pytest.mark.recorded

# Whole answers, streams and errors that are played of each provider, spread over what there is.
SAMPLE = {"openai": (9, 3, 4), "openrouter": (11, 9, 3), "requesty": (0, 2, 0), "deepseek": (8, 7, 2)}
LISTS = {"openrouter": "models-2026-05-15.json", "requesty": "models-2025-07-11.json"}
OURS = ("models", "provider", "routing", "cache", "stream_options")
"""Fields that Headgate takes for itself, or sets."""
STATUSES = {400: {400}, 401: {424}, 404: {404}, 429: {429, 424}}
ENOUGH_S = 20.0


@dataclass(frozen=True)
class Exchange:
    """One recording. asked: the request's body; said: the answer's, JSON or the text of a stream."""

    slug: str
    name: str
    asked: Mapping[str, Any]
    status: int
    kind: str
    said: Any

    @property
    def streamed(self) -> bool:
        return self.kind == "sse"

    def script(self) -> tuple[Step, ...]:
        if not self.streamed:
            return whole(self.said, self.status, content_type=self.kind)
        fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        data = self.said.encode()
        cuts = range(0, len(data), 1 + len(data) // 7)
        return (head(200, fields), *(piece(data[at : at + 1 + len(data) // 7]) for at in cuts), LAST_PIECE)


def read(slug: str, path: Path) -> Exchange | None:
    found = json.loads(path.read_bytes())
    request, response = found["request"], found["response"]
    if not request["url"].partition("?")[0].endswith("/chat/completions") or request["body_kind"] != "json":
        return None
    kind = response["headers"].get("content-type", "application/json")
    return Exchange(
        slug,
        f"{path.parent.name}/{path.name.removesuffix('.json')}",
        request["body"],
        response["status"],
        "sse" if response["body_kind"] == "sse" else kind,
        response["body"],
    )


def spread(found: list[Exchange], most: int) -> list[Exchange]:
    """At most so many of them, evenly."""
    step = max(1, -(-len(found) // most)) if most else len(found) + 1
    return found[::step][:most]


def sample() -> list[Exchange]:
    chosen: list[Exchange] = []
    for slug, (wholes, streams, errors) in SAMPLE.items():
        files = sorted((RECORDED / slug / "recorded").glob("**/*.json"))
        found = [exchange for path in files if (exchange := read(slug, path)) is not None]
        good = [each for each in found if each.status == 200]
        chosen += spread([each for each in good if not each.streamed], wholes)
        chosen += spread([each for each in good if each.streamed], streams)
        chosen += spread([each for each in found if each.status != 200], errors)
    return chosen


EXCHANGES = {f"{each.slug} {number} {each.name[-60:]}": each for number, each in enumerate(sample())}


def named(*, streamed: bool, failed: bool = False) -> list[str]:
    return [
        name
        for name, each in EXCHANGES.items()
        if each.streamed is streamed and (each.status != 200 or has_error(each)) is failed
    ]


def has_error(exchange: Exchange) -> bool:
    """Whether a 200 holds an error."""
    if not exchange.streamed:
        return isinstance(exchange.said, dict) and bool(exchange.said.get("error"))
    return any(isinstance(each, dict) and each.get("error") for each in map(value_of, events(exchange.said)))


# -- reading streams ----------------------------------------------------------------------------------------


def events(text: str) -> list[str]:
    """Each event as it stands in the text, its blank line included; comments are none."""
    blocks = [block for block in text.split("\n\n") if block]
    return [f"{block}\n\n" for block in blocks if not block.startswith(":")]


def value_of(event: str) -> Any:
    data = event.removeprefix("data:").strip()
    return "[DONE]" if data == "[DONE]" else json.loads(data, parse_float=str)


def without_cost(value: Any) -> Any:
    """The same, but for `usage.cost`."""
    if not isinstance(value, dict) or not isinstance(value.get("usage"), dict):
        return value
    return {**value, "usage": {name: each for name, each in value["usage"].items() if name != "cost"}}


def same_but_for_cost(got: Any, recorded: Any) -> bool:
    """Whether they are equal, a cost that the provider told included; one that it did not may be added."""
    told = (
        isinstance(recorded, dict) and isinstance(recorded.get("usage"), dict) and "cost" in recorded["usage"]
    )
    return bool(got == recorded if told else without_cost(got) == without_cost(recorded))


# -- playing ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateways(provider: Upstream, start_gateway: StartGateway) -> Mapping[str, Gateway]:
    """One per provider, so that no other takes over; each lists what was asked of it."""
    running: dict[str, Gateway] = {}
    for slug in SAMPLE:
        models = {each.asked["model"] for each in EXCHANGES.values() if each.slug == slug}
        real = LISTS.get(slug)
        provider.lists[slug] = whole((RECORDED / slug / real).read_bytes()) if real else listed(*models)
        running[slug] = start_gateway(
            HEADGATE_STORE="memory", HEADGATE_HEAD_CHECK_S="0.2", **provider.environ(slug)
        )
    for gateway in running.values():
        wait_for(partial(lists_models, gateway), 15, gateway)
    return running


def lists_models(gateway: Gateway) -> bool:
    with gateway.client() as client:
        return bool(client.get("/v1/models").json()["data"])


@dataclass(frozen=True)
class Played:
    """What the gateway answered. unasked: to the same request without `stream_options`, for streams."""

    answer: httpx.Response
    unasked: httpx.Response | None


def matching(asked: Mapping[str, Any]) -> str:
    return json.dumps({name: each for name, each in asked.items() if name not in OURS}, sort_keys=True)


@pytest.fixture(scope="module")
def played(gateways: Mapping[str, Gateway], provider: Upstream) -> Mapping[str, Played]:
    by_body = {matching(each.asked): each for each in EXCHANGES.values()}

    def answer(call: Call) -> tuple[Step, ...]:
        return by_body[matching(call.json)].script()

    for each in EXCHANGES.values():
        provider.scripts[each.asked["model"]] = answer
    return asyncio.run(_play_all(gateways))


async def _play_all(gateways: Mapping[str, Gateway]) -> dict[str, Played]:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:

        async def post(exchange: Exchange, asked: Mapping[str, Any]) -> httpx.Response:
            gateway = gateways[exchange.slug]
            return await client.post(
                f"{gateway.url}/v1/chat/completions",
                json={**asked, "model": f"{exchange.slug}/{asked['model']}"},
                headers={"authorization": f"Bearer {gateway.key}"},
            )

        async def play(exchange: Exchange) -> Played:
            answer = await post(exchange, exchange.asked)
            if not exchange.streamed:
                return Played(answer, None)
            rest = {name: each for name, each in exchange.asked.items() if name != "stream_options"}
            return Played(answer, await post(exchange, rest))

        async with asyncio.timeout(ENOUGH_S):
            done = await asyncio.gather(*map(play, EXCHANGES.values()))
    return dict(zip(EXCHANGES, done, strict=True))


if EXCHANGES:

    @pytest.mark.parametrize("name", named(streamed=False))
    def test_a_whole_answer_comes_out_as_it_went_in(name: str, played: Mapping[str, Played]) -> None:
        answer, exchange = played[name].answer, EXCHANGES[name]
        assert answer.status_code == 200, answer.text
        recorded = json.loads(json.dumps(exchange.said), parse_float=str)
        assert same_but_for_cost(json.loads(answer.text, parse_float=str), recorded)
        assert answer.headers["x-headgate-provider"] == exchange.slug

    @pytest.mark.parametrize("name", named(streamed=True))
    def test_a_stream_comes_out_byte_for_byte(name: str, played: Mapping[str, Played]) -> None:
        answer = played[name].answer
        assert answer.status_code == 200, answer.text
        recorded, got = events(EXCHANGES[name].said), events(answer.text)
        assert len(got) == len(recorded)
        for ours, theirs in zip(got, recorded, strict=True):
            if ours != theirs:
                value = value_of(theirs)
                assert isinstance(value, dict)
                assert isinstance(value.get("usage"), dict), "only usage is ever written anew"
                assert "cost" in value_of(ours)["usage"]
                assert same_but_for_cost(value_of(ours), value)

    @pytest.mark.parametrize("name", named(streamed=True))
    def test_who_did_not_ask_for_usage_gets_it_in_the_last_chunk(
        name: str, played: Mapping[str, Played]
    ) -> None:
        answer = played[name].unasked
        assert answer is not None
        assert answer.status_code == 200, answer.text
        *recorded, done = map(value_of, events(EXCHANGES[name].said))
        *got, end = map(value_of, events(answer.text))
        assert (done, end) == ("[DONE]", "[DONE]")
        assert [each["choices"] for each in got] == [each["choices"] for each in recorded if each["choices"]]
        told = [each["usage"] for each in recorded if each.get("usage")]
        assert without_cost(got[-1])["usage"] == without_cost({"usage": told[-1]})["usage"]

    @pytest.mark.parametrize(
        "name", [*named(streamed=False, failed=True), *named(streamed=True, failed=True)]
    )
    def test_an_error_keeps_its_meaning_and_names_the_provider(
        name: str, played: Mapping[str, Played]
    ) -> None:
        answer, exchange = played[name].answer, EXCHANGES[name]
        error = json.loads(answer.text.rstrip().rpartition("data: ")[2])["error"]
        assert error["provider"] == exchange.slug
        assert "[DONE]" not in answer.text
        if exchange.status != 200:
            assert answer.status_code in STATUSES[exchange.status]
            assert error["code"] != "internal"
