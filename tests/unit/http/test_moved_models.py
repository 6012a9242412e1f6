"""Models that an administrator moved to another kind of output: listed there, and called for nothing else."""

from typing import Any

import httpx
import pytest

from headgate.domain.catalog import Modality
from tests.support.gate import FUNCTIONS, Gate, open_gate
from tests.support.keys import connect
from tests.support.lists import sees
from tests.support.models import model, priced
from tests.support.provider import fake_provider, said

M = model("alpha/maker/m", pricing=priced("1", "10"))
TWIN = model("beta/maker/m", pricing=priced("2", "20"))
N = model("beta/n")
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


async def open_shop() -> Gate:
    gate = await open_gate("alpha", "beta", models=[M, TWIN, N])
    for slug in ("alpha", "beta"):
        gate.transport.on(f"https://{slug}.example/chat", said("hello"))
    return gate


async def say(gate: Gate, name: str = M.id, **fields: Any) -> None:
    """In force everywhere."""
    answer = await gate.ask("PATCH", f"/v2/models/{name}/override", key="root", json=fields)
    assert answer.status_code == 200, answer.text
    gate.clock.advance(61)


async def chat_of(gate: Gate, name: str = M.id, **more: Any) -> httpx.Response:
    return await gate.post("/v1/chat/completions", json=ASK | {"model": name}, **more)


async def embed(gate: Gate, name: str) -> httpx.Response:
    return await gate.post("/v1/embeddings", json={"model": name, "input": "hi"})


async def test_what_was_moved_elsewhere_is_passed_over_among_several() -> None:
    gate = await open_shop()
    assert (await chat_of(gate, "maker/m")).headers["x-headgate-provider"] == "alpha"
    await say(gate, modality="image")
    for name in ("maker/m", "m", M.id, f"{M.id},{TWIN.id}"):
        assert (await chat_of(gate, name)).headers["x-headgate-provider"] == "beta"
    told = await gate.post(
        "/v2/generations/explain", json={"type": "text", "model": "maker/m", "config": {"prompt": "hi"}}
    )
    (moved,) = (each for each in told.json()["candidates"] if each["model"] == M.id)
    assert (moved["kept"], moved["reasons"]) == (False, ["an administrator put it among the image models"])


@pytest.mark.parametrize(
    ("name", "own"), [(N.id, False), ("n", False), (N.id, True), ("n", True), (f"{N.id}:online", True)]
)
async def test_what_was_moved_elsewhere_is_not_called_and_the_caller_is_told_why(
    name: str, own: bool
) -> None:
    gate = await open_shop()
    if own:
        await sees(gate, await connect(gate, "beta"), N)
    await say(gate, N.id, modality="image")
    refused = await chat_of(gate, name)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_route")
    assert "an administrator put it among the image models" in refused.json()["error"]["message"]
    assert {tuple(each["reasons"]) for each in refused.json()["error"]["candidates"]} == {
        ("an administrator put it among the image models",)
    }
    assert not gate.transport.requests


async def test_what_was_moved_elsewhere_is_no_default_though_settings_say_so() -> None:
    gate = await open_gate("alpha", "beta", models=[M, N], environ={"HEADGATE_DEFAULT_TEXT_MODEL": M.id})
    gate.transport.on("https://beta.example/chat", said("hello"))
    await say(gate, modality="image")
    assert (await gate.get("/v2/models")).json()["metadata"]["default_models"]["text"] == N.id
    made = await gate.post("/v2/generations", json={"type": "text", "config": {"prompt": "hi"}})
    assert made.json()["model"] == N.id


async def test_embeddings_and_chats_go_by_the_same_rule() -> None:
    gate = await open_shop()
    registry = FUNCTIONS["generations"].services.registry
    for slug in ("alpha", "beta"):
        registry.register(fake_provider(slug, embeddings_path="/embed"), replace=True)
        gate.transport.on(f"https://{slug}.example/embed", said("vectors"))
    await say(gate, modality="embedding")
    assert (await chat_of(gate)).headers["x-headgate-provider"] == "beta"
    assert (await embed(gate, M.id)).headers["x-headgate-provider"] == "alpha"
    await say(gate, modality="text")
    assert (await embed(gate, M.id)).headers["x-headgate-provider"] == "beta"
    assert (await chat_of(gate)).headers["x-headgate-provider"] == "alpha"


async def test_what_a_providers_list_says_of_modality_keeps_nothing_from_being_called() -> None:
    gate = await open_gate("alpha", models=[model("alpha/odd", modality=Modality.IMAGE)])
    gate.transport.on("https://alpha.example/chat", said("hello"))
    assert (await chat_of(gate, "alpha/odd")).status_code == 200
    await say(gate, "alpha/odd", modality="image")
    assert (await chat_of(gate, "alpha/odd")).status_code == 422
    await say(gate, "alpha/odd", modality=None)
    assert (await chat_of(gate, "alpha/odd")).status_code == 200


async def test_a_suffix_brings_a_disabled_model_back_for_nobody() -> None:
    gate = await open_shop()
    await sees(gate, await connect(gate, "beta"), N)
    assert (await chat_of(gate, f"{N.id}:online")).status_code == 200
    await say(gate, N.id, enabled=False)
    for name in (N.id, f"{N.id}:online", f"{N.id}:nitro"):
        assert (await chat_of(gate, name)).status_code == 422
    assert len(gate.transport.requests) == 1
