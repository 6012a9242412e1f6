"""OpenAI's embeddings at each host behind Hugging Face's router, and the Hub's list of them."""

import base64
import json
import struct
from typing import Any

import pytest

from headgate.domain.errors import CannotCarry, HeadgateError, InvalidRequest, NotFound, ProviderFailed
from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.dialects.huggingface_embeddings import HOSTS
from headgate.providers.huggingface import HuggingFace

CONFIG = ProviderConfig(api_key=Secret("hf_0123456789"))
ROUTER = "https://router.huggingface.co"
MODEL = "BAAI/bge-large-en-v1.5"


def call(model: str = MODEL, **body: Any) -> ChatCall:
    return ChatCall(body={"model": "huggingface/x", "input": ["one"], **body}, model=model, stream=False)


def sent(model: str = MODEL, *, config: ProviderConfig = CONFIG, **body: Any) -> tuple[str, dict[str, Any]]:
    request = HuggingFace().build_embeddings(call(model, **body), config)
    found: dict[str, Any] = json.loads(request.body or b"")
    return request.url, found


def parse(answer: Any, headers: dict[str, str] | None = None, **body: Any) -> tuple[Any, Usage | None]:
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    found = HuggingFace().parse_embeddings_response(call(**body), headers or {}, data, lambda _usage: None)
    return json.loads(found.body), found.outcome.usage


# -- asking -----------------------------------------------------------------------------------------------


def test_without_a_host_hugging_faces_own_servers_are_asked_for_the_task() -> None:
    url, body = sent(input="one", user="u", encoding_format="base64", normalize=True, routing={})
    assert url == f"{ROUTER}/hf-inference/models/{MODEL}/pipeline/feature-extraction"
    assert body == {"inputs": ["one"], "normalize": True}
    assert sent(f"{MODEL}:hf-inference", input="one", normalize=True) == (url, body)


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        ("deepinfra", "/deepinfra/v1/openai/embeddings", MODEL),
        ("scaleway", "/scaleway/v1/embeddings", "bge-large-en-v1.5"),
        ("together", "/together/v1/embeddings", MODEL),
    ],
)
def test_other_hosts_are_asked_in_openais_words_for_the_model_as_they_call_it(
    host: str, path: str, name: str
) -> None:
    url, body = sent(f"{MODEL}:{host}", dimensions=256, user="u", encoding_format="base64", routing={})
    assert url == f"{ROUTER}{path}"
    assert body == {"model": name, "input": ["one"], "dimensions": 256}


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:9/v1", "http://127.0.0.1:9", "http://127.0.0.1:9/v1/"]
)
def test_a_replaced_base_url_may_end_in_its_version(base_url: str) -> None:
    config = ProviderConfig(api_key=CONFIG.api_key, base_url=base_url, guarded=True)
    request = HuggingFace().build_embeddings(call(f"{MODEL}:together"), config)
    assert request.url == "http://127.0.0.1:9/together/v1/embeddings"
    assert request.guarded
    assert not request.idempotent


@pytest.mark.parametrize("host", ["fastest", "cheapest", "preferred", "novita", "../x"])
def test_a_host_without_embeddings_is_left_to_another_provider(host: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        sent(f"{MODEL}:{host}")
    assert [error.field for error in caught.value.errors] == ["model"]
    assert all(known in caught.value.detail for known in HOSTS)


@pytest.mark.parametrize("model", ["", "..", "../x", "a/..", "a/b/c", "a//b", "a b/c", "a/b?x=1", "a/b#c"])
def test_a_name_that_would_lead_elsewhere_is_no_model(model: str) -> None:
    with pytest.raises(NotFound):
        sent(model)


def test_hugging_faces_own_servers_have_all_dimensions_or_none() -> None:
    with pytest.raises(CannotCarry) as caught:
        sent(dimensions=256)
    assert [error.field for error in caught.value.errors] == ["dimensions"]
    assert caught.value.failover


@pytest.mark.parametrize("model", [MODEL, f"{MODEL}:scaleway"])
@pytest.mark.parametrize(
    ("body", "field", "failover"),
    [
        ({"input": []}, "input", False),
        ({"input": [None]}, "input", False),
        ({"input": [1, 2]}, "input", True),
        ({"input": [[1], [2]]}, "input", True),
        ({"dimensions": 0}, "dimensions", False),
        ({"encoding_format": "hex"}, "encoding_format", False),
    ],
)
def test_what_can_not_be_asked_is_named(model: str, body: dict[str, Any], field: str, failover: bool) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(model, **body)
    assert [error.field for error in caught.value.errors] == [field]
    assert caught.value.failover is failover


# -- answers ----------------------------------------------------------------------------------------------


def test_nested_lists_become_openais_answer_to_the_last_digit() -> None:
    found, usage = parse([[0.5, -1e-09], [0.30000000000000004, 3]], input=["a", "b"])
    assert found == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1e-09]},
            {"object": "embedding", "index": 1, "embedding": [0.30000000000000004, 3]},
        ],
        "model": MODEL,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    assert usage is None


def test_tokens_told_in_a_header_are_counted() -> None:
    found, usage = parse([[0.5]], {"x-compute-tokens": "9"})
    assert found["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert usage == Usage(input_tokens=9, output_tokens=0, total_tokens=9)


def test_openais_rows_are_put_in_order_and_their_usage_is_counted() -> None:
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    found, usage = parse({"data": rows, "usage": {"prompt_tokens": 5, "total_tokens": 5}}, input=["a", "b"])
    assert [row["embedding"] for row in found["data"]] == [[1.0], [2.0]]
    assert usage == Usage(input_tokens=5, output_tokens=0, total_tokens=5)


def test_rows_without_a_place_stay_as_they_came() -> None:
    found, _ = parse({"data": [{"embedding": [2.0]}, {"embedding": [1.0]}]}, input=["a", "b"])
    assert [row["embedding"] for row in found["data"]] == [[2.0], [1.0]]


def test_base64_is_packed_whichever_host_answered() -> None:
    for answer in ([[1.0, 0.1]], {"data": [{"index": 0, "embedding": [1.0, 0.1]}]}):
        found, _ = parse(answer, encoding_format="base64")
        assert base64.b64decode(found["data"][0]["embedding"]) == struct.pack("<2f", 1.0, 0.1)


@pytest.mark.parametrize("answer", [[[[0.1, 0.2], [0.3, 0.4]]], [[[0.1, 0.2]]]])
def test_embeddings_of_tokens_are_none_of_texts(answer: Any) -> None:
    with pytest.raises(ProviderFailed, match="token") as caught:
        parse(answer)
    assert caught.value.code == "provider_protocol"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"7",
        {},
        [],
        [0.5, 0.25],
        [[]],
        [["x"]],
        [[True]],
        [[0.5], [0.5]],
        {"data": None},
        {"data": [7]},
        {"data": [{}]},
        {"data": [{"embedding": "AAAA"}]},
    ],
)
def test_what_is_no_embedding_is_a_protocol_error(answer: Any) -> None:
    with pytest.raises(ProviderFailed) as caught:
        parse(answer)
    assert caught.value.code == "provider_protocol"


def test_a_host_that_ignores_dimensions_is_found_out() -> None:
    with pytest.raises(ProviderFailed) as caught:
        parse({"data": [{"embedding": [0.1, 0.2]}]}, dimensions=1)
    assert caught.value.code == "provider_protocol"


def test_an_error_inside_a_200_means_what_it_says() -> None:
    with pytest.raises(HeadgateError) as caught:
        parse({"error": {"message": "Model not supported by provider together", "code": 404}})
    assert caught.value.code == "model_not_found"


# -- the Hub's list ---------------------------------------------------------------------------------------


def mapped(host: str, provider_id: str, **more: str) -> dict[str, str]:
    return {
        "provider": host,
        "providerId": provider_id,
        "status": "live",
        "task": "feature-extraction",
        **more,
    }


def listed(*mappings: Any, model: str = MODEL) -> list[str]:
    entry = {"id": model, "inferenceProviderMapping": list(mappings)}
    page = HuggingFace().parse_list_models(json.dumps([entry]).encode())
    assert all(each.modality.value == "embedding" for each in page.models)
    return [each.native_id for each in page.models]


def test_each_host_that_is_up_has_a_row_that_can_be_called() -> None:
    rows = listed(
        mapped("hf-inference", MODEL, task="sentence-similarity"),
        mapped("together", MODEL),
        mapped("scaleway", "bge-large-en-v1.5"),
        mapped("deepinfra", MODEL, status="staging"),
        mapped("novita", MODEL),
    )
    assert rows == [MODEL, f"{MODEL}:together", f"{MODEL}:scaleway"]
    for row in rows:
        sent(row)


def test_a_host_that_calls_the_model_otherwise_than_a_call_would_has_no_row() -> None:
    assert listed(mapped("together", "bge-large"), mapped("hf-inference", MODEL)) == [MODEL]


def test_a_model_of_another_task_has_no_row() -> None:
    assert listed(mapped("hf-inference", MODEL, task="text-generation")) == []


def test_a_mapping_may_be_an_object_by_host() -> None:
    entry = {"id": MODEL, "inferenceProviderMapping": {"together": mapped("x", MODEL)}}
    page = HuggingFace().parse_list_models(json.dumps([entry]).encode())
    assert [each.native_id for each in page.models] == [f"{MODEL}:together"]


def test_every_row_of_a_model_has_the_name_that_it_has_elsewhere() -> None:
    mappings = [mapped("hf-inference", "Qwen/Qwen3-Embedding-8B"), mapped("scaleway", "qwen3-embedding-8b")]
    entry = {"id": "Qwen/Qwen3-Embedding-8B", "inferenceProviderMapping": mappings}
    page = HuggingFace().parse_list_models(json.dumps([entry]).encode())
    assert [each.canonical_id for each in page.models] == ["qwen/qwen3-embedding-8b"] * 2


@pytest.mark.parametrize("entry", [None, 7, {}, {"id": MODEL}, {"id": "a/../b"}, {"id": "a b"}])
def test_an_entry_that_can_not_be_read_is_dropped_with_a_reason(entry: Any) -> None:
    page = HuggingFace().parse_list_models(json.dumps([entry]).encode())
    assert page.models == ()
    assert len(page.dropped) == 1
