"""Embeddings as generations: vectors, kept with the record."""

from typing import Any

import pytest

from headgate.domain.catalog import Modality
from headgate.testing.memory import Answer
from tests.support.gate import Gate, open_gate
from tests.support.models import model, priced

EMBED: dict[str, Any] = {"type": "embedding", "model": "mock/embed", "config": {"input": ["a gate", "b"]}}


async def gate_with_vectors() -> Gate:
    made = model("mock/embed", modality=Modality.EMBEDDING, pricing=priced("1", None))
    return await open_gate(
        models=[made], environ={"HEADGATE_MOCK": "1", "HEADGATE_ALLOW_UNLISTED_MODELS": "1"}
    )


async def test_embeddings_come_as_vectors_in_the_order_of_their_texts_and_stay_in_the_record() -> None:
    gate = await gate_with_vectors()
    asked = EMBED | {"config": {"input": ["a gate", "b"], "encoding_format": "base64", "dimensions": 3}}
    answer = await gate.post("/v2/generations", json=asked)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    compatible = await gate.post(
        "/v1/embeddings", json={"model": "mock/embed", "input": ["a gate", "b"], "dimensions": 3}
    )
    wanted = [row["embedding"] for row in compatible.json()["data"]]
    assert shown["output"] == {"embeddings": wanted}
    assert all(isinstance(number, float) for vector in wanted for number in vector)
    assert (shown["type"], shown["status"], shown["usage"]["input_tokens"] > 0) == (
        "embedding",
        "succeeded",
        True,
    )
    assert (await gate.get(f"/v2/generations/{shown['id']}")).json() == shown


@pytest.mark.parametrize(
    ("rows", "vectors"),
    [
        ([{"index": 1, "embedding": [2.5]}, {"index": 0, "embedding": [1.5]}], [[1.5], [2.5]]),
        ([{"embedding": [2.5]}, {"embedding": [1.5]}], [[2.5], [1.5]]),
    ],
)
async def test_vectors_go_by_their_number_or_else_as_they_came(rows: list[Any], vectors: list[Any]) -> None:
    gate = await gate_with_vectors()
    gate.secrets.put("openai", api_key="sk-1")
    gate.transport.on("https://api.openai.com/v1/embeddings", Answer.of_json({"data": rows}))
    asked = EMBED | {"model": "openai/text-embedding-3-small"}
    answer = await gate.post("/v2/generations", key="root", json=asked)
    assert answer.json()["output"] == {"embeddings": vectors}


async def test_the_callers_compatible_embeddings_are_not_kept() -> None:
    gate = await gate_with_vectors()
    answer = await gate.post("/v1/embeddings", json={"model": "mock/embed", "input": "b"})
    record = await gate.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}")
    assert (record.json()["type"], record.json()["output"]) == ("embedding", None)


async def test_without_a_model_the_default_for_embeddings_serves() -> None:
    gate = await gate_with_vectors()
    answer = await gate.post("/v2/generations", json=EMBED | {"model": None})
    assert (answer.status_code, answer.json()["model"]) == (200, "mock/embed")


@pytest.mark.parametrize("config", [{}, {"input": ""}, {"input": []}, {"input": 7}, {"prompt": "a gate"}])
async def test_what_is_nothing_to_embed_is_named(config: dict[str, Any]) -> None:
    gate = await gate_with_vectors()
    answer = await gate.post("/v2/generations", json=EMBED | {"config": config})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "config.input")
