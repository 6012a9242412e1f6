"""OpenAI's embeddings by way of Titan's, Nova's and Cohere's bodies."""

import base64
import json
import struct
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.errors import CannotCarry, InvalidRequest, NotFound, ProviderFailed
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall
from headgate.providers.bedrock import Bedrock
from headgate.providers.dialects.bedrock_embeddings import build_embeddings, texts_at_once

TITAN = "amazon.titan-embed-text-v2:0"
G1 = "amazon.titan-embed-text-v1"
IMAGES = "amazon.titan-embed-image-v1"
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"
COHERE = "cohere.embed-english-v3"
COHERE_4 = "us.cohere.embed-v4:0"
EVERY = (TITAN, G1, IMAGES, NOVA, COHERE, COHERE_4)
COUNTED = {"x-amzn-bedrock-input-token-count": "7"}


def build(model: str, **body: Any) -> dict[str, Any]:
    return build_embeddings({"model": "bedrock/whatever", "input": ["one"], **body}, model)[1]


def parse(answer: Any, headers: dict[str, str] | None = None, **body: Any) -> tuple[Any, Usage | None]:
    call = ChatCall(body={"input": ["a"], **body}, model=TITAN, stream=False)
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    found = Bedrock().parse_embeddings_response(call, headers or {}, data, lambda _usage: None)
    return json.loads(found.body), found.outcome.usage


def vectors(answer: Any, **body: Any) -> list[Any]:
    return [row["embedding"] for row in parse(answer, **body)[0]["data"]]


# -- asking -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (TITAN, {"inputText": "one", "dimensions": 256}),
        (IMAGES, {"inputText": "one", "embeddingConfig": {"outputEmbeddingLength": 256}}),
        (
            NOVA,
            {
                "taskType": "SINGLE_EMBEDDING",
                "singleEmbeddingParams": {
                    "embeddingPurpose": "GENERIC_INDEX",
                    "embeddingDimension": 256,
                    "text": {"truncationMode": "NONE", "value": "one"},
                },
            },
        ),
        (
            COHERE_4,
            {"texts": ["one"], "input_type": "search_document", "truncate": "NONE", "output_dimension": 256},
        ),
    ],
)
def test_each_maker_is_asked_in_its_own_words(model: str, expected: dict[str, Any]) -> None:
    assert build(model, dimensions=256, user="u", encoding_format="base64") == expected


def test_the_path_holds_the_whole_id_as_one_segment() -> None:
    for model in (TITAN, "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.cohere.embed-v4:0"):
        path, _ = build_embeddings({"input": "one"}, model)
        assert path.count("/") == 3
        assert path.endswith("/invoke")
        assert ":" not in path


@pytest.mark.parametrize(("model", "only"), [(G1, 1536), (COHERE, 1024)])
def test_a_model_with_one_size_may_be_asked_for_it_alone(model: str, only: int) -> None:
    assert build(model, dimensions=only) == build(model)
    with pytest.raises(CannotCarry) as caught:
        build(model, dimensions=256)
    assert [error.field for error in caught.value.errors] == ["dimensions"]


@pytest.mark.parametrize("model", EVERY)
def test_a_size_that_a_model_does_not_have_is_left_to_another(model: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        build(model, dimensions=7)
    assert [error.field for error in caught.value.errors] == ["dimensions"]
    assert caught.value.failover


@pytest.mark.parametrize("model", ["amazon.titan-embed-text-v9:0", "cohere.embed-v9:0"])
def test_the_sizes_of_a_model_to_come_are_its_own_affair(model: str) -> None:
    assert 7 in build(model, dimensions=7).values()


def test_the_makers_own_fields_are_sent_on_where_they_belong() -> None:
    assert build(TITAN, normalize=False)["normalize"] is False
    assert build(COHERE, input_type="search_query", truncate="END") == {
        "texts": ["one"],
        "input_type": "search_query",
        "truncate": "END",
    }
    asked = build(NOVA, embeddingPurpose="TEXT_RETRIEVAL", truncationMode="END")["singleEmbeddingParams"]
    assert asked == {
        "embeddingPurpose": "TEXT_RETRIEVAL",
        "text": {"truncationMode": "END", "value": "one"},
    }


def test_cohere_takes_many_texts_and_amazon_one() -> None:
    assert [texts_at_once(model) for model in EVERY] == [1, 1, 1, 1, 96, 96]


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["one", None]}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": True}, "dimensions"),
        ({"dimensions": "256"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_what_is_wrong_is_named(model: str, body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(model, **body)
    assert [error.field for error in caught.value.errors] == [field]
    assert not caught.value.failover


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"embedding_types": ["int8"]}, "embedding_types"),
        ({"embeddingTypes": ["float", "binary"]}, "embeddingTypes"),
    ],
)
def test_what_has_no_place_is_left_to_another_provider(body: dict[str, Any], field: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        build(COHERE, **body)
    assert [error.field for error in caught.value.errors] == [field]
    assert caught.value.failover


@pytest.mark.parametrize("model", ["anthropic.claude-3-haiku-20240307-v1:0", "twelvelabs.marengo-embed-3-0"])
def test_a_model_that_nobody_knows_how_to_ask_is_named(model: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        build(model)
    assert [error.field for error in caught.value.errors] == ["model"]


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_no_model(model: str) -> None:
    with pytest.raises((NotFound, CannotCarry)):
        build(model)


# -- answers ----------------------------------------------------------------------------------------------

TITANS = {"embedding": [0.5, -1e-09], "inputTextTokenCount": 3, "embeddingsByType": {"float": [0.5, -1e-09]}}
NOVAS = {"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, -1e-09]}]}
COHERES = {"embeddings": [[0.5, -1e-09]], "id": "x", "response_type": "embeddings_floats", "texts": ["a"]}
COHERES_4 = {"embeddings": {"float": [[0.5, -1e-09]]}, "response_type": "embeddings_by_type"}


@pytest.mark.parametrize("answer", [TITANS, NOVAS, COHERES, COHERES_4])
def test_every_shape_becomes_openais_to_the_last_digit(answer: dict[str, Any]) -> None:
    found, usage = parse(answer, COUNTED)
    assert found == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1e-09]}],
        "model": TITAN,
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    assert usage == Usage(input_tokens=7, output_tokens=0, total_tokens=7)


@pytest.mark.parametrize(
    ("answer", "headers", "tokens"),
    [
        (TITANS, {}, 3),
        (TITANS, COUNTED, 7),
        ({**NOVAS, "inputTokenCount": 4}, {}, 4),
        (TITANS, {"x-amzn-bedrock-input-token-count": "many"}, 3),
        (COHERES, {"x-amzn-bedrock-input-token-count": "-7"}, None),
        (COHERES, {}, None),
    ],
)
def test_tokens_are_counted_where_they_are_told(
    answer: dict[str, Any], headers: dict[str, str], tokens: int | None
) -> None:
    found, usage = parse(answer, headers)
    assert (usage.input_tokens if usage is not None else None) == tokens
    assert found["usage"]["prompt_tokens"] == (tokens or 0)


def test_base64_holds_single_precision_little_endian() -> None:
    (packed,) = vectors({"embedding": [1.0, -0.5, 0.1]}, encoding_format="base64")
    assert base64.b64decode(packed) == struct.pack("<3f", 1.0, -0.5, 0.1)


def test_a_known_price_is_told() -> None:
    call = ChatCall(body={"input": "a"}, model=TITAN, stream=False)
    found = Bedrock().parse_embeddings(call, json.dumps(TITANS).encode(), lambda _usage: Decimal("0.01"))
    assert json.loads(found.body)["usage"]["cost"] == 0.01


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{",
        {},
        {"embedding": None, "message": "no"},
        {"embedding": []},
        {"embedding": ["x"]},
        {"embedding": [True]},
        {"embedding": [[0.5]]},
        {"embeddings": []},
        {"embeddings": [[0.5], [0.5]]},
        {"embeddings": [7]},
        {"embeddings": {"int8": [[1]]}},
    ],
)
def test_what_is_no_embedding_is_a_protocol_error(answer: Any) -> None:
    with pytest.raises(ProviderFailed) as caught:
        parse(answer)
    assert caught.value.code == "provider_protocol"


def test_another_size_than_was_asked_for_is_a_protocol_error() -> None:
    with pytest.raises(ProviderFailed) as caught:
        parse(TITANS, dimensions=256)
    assert caught.value.code == "provider_protocol"
