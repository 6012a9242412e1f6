"""OpenAI's embeddings by way of Gemini's, and the count of a request's tokens."""

import base64
import json
import struct
from typing import Any

import pytest

from headgate.domain.errors import CannotCarry, HeadgateError, InvalidRequest, NotFound, ProviderFailed
from headgate.domain.generation import Usage
from headgate.providers.dialects.gemini_counting import build_count_tokens, parse_count_tokens
from headgate.providers.dialects.gemini_embeddings import MAX_TEXTS, build_embeddings, parse_embeddings
from headgate.providers.gemini import Gemini

MODEL = "gemini-embedding-2"
judge = Gemini().judge_inside


def build(**body: Any) -> Any:
    return build_embeddings({"model": "gemini/whatever", **body}, MODEL)


def parse(answer: Any, **body: Any) -> tuple[dict[str, Any], Usage | None]:
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return parse_embeddings(data, {"input": "a", **body}, MODEL, judge=judge)


def said(*vectors: Any, **members: Any) -> dict[str, Any]:
    return {"embeddings": [{"values": each} for each in vectors], **members}


# -- asking -----------------------------------------------------------------------------------------------


def test_each_text_is_a_request_of_its_own() -> None:
    path, body = build(input=["one", ""])
    assert path == "/models/gemini-embedding-2:batchEmbedContents"
    assert body == {
        "requests": [
            {"model": "models/gemini-embedding-2", "content": {"parts": [{"text": "one"}]}},
            {"model": "models/gemini-embedding-2", "content": {"parts": [{"text": ""}]}},
        ]
    }


def test_one_text_may_come_without_a_list() -> None:
    assert build(input="one") == build(input=["one"])


def test_dimensions_have_geminis_name() -> None:
    _, body = build(input="one", dimensions=256, user="u", encoding_format="base64")
    assert body["requests"][0]["outputDimensionality"] == 256
    assert body["requests"][0].keys() == {"model", "content", "outputDimensionality"}


def test_geminis_own_fields_are_in_every_request() -> None:
    _, body = build(input=["one", "two"], taskType="RETRIEVAL_QUERY")
    assert [each["taskType"] for each in body["requests"]] == ["RETRIEVAL_QUERY"] * 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": {"text": "one"}}, "input"),
        ({"input": ["one", 2]}, "input"),
        ({"input": ["one", None]}, "input"),
        ({"input": "one", "dimensions": 0}, "dimensions"),
        ({"input": "one", "dimensions": True}, "dimensions"),
        ({"input": "one", "dimensions": "256"}, "dimensions"),
        ({"input": "one", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(**body)
    assert [error.field for error in caught.value.errors] == [field]
    assert not caught.value.failover


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]], ["one"] * (MAX_TEXTS + 1)])
def test_what_gemini_can_not_take_is_left_to_another_provider(tokens: Any) -> None:
    with pytest.raises(CannotCarry) as caught:
        build(input=tokens)
    assert [error.field for error in caught.value.errors] == ["input"]
    assert caught.value.failover


def test_as_many_texts_as_gemini_takes_go_at_once() -> None:
    assert len(build(input=["one"] * MAX_TEXTS)[1]["requests"]) == MAX_TEXTS


def test_a_name_that_would_lead_elsewhere_is_no_model() -> None:
    with pytest.raises(NotFound):
        build_embeddings({"input": "one"}, "../files")


# -- answers ----------------------------------------------------------------------------------------------


def test_embeddings_come_in_order_with_every_digit() -> None:
    answer, usage = parse(
        said([0.1, -1e-09, 3], [0.30000000000000004], usageMetadata={"promptTokenCount": 4}), input=["a", "b"]
    )
    assert answer == {
        "object": "list",
        "model": MODEL,
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.1, -1e-09, 3]},
            {"object": "embedding", "index": 1, "embedding": [0.30000000000000004]},
        ],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    assert usage == Usage(input_tokens=4, output_tokens=0, total_tokens=4)


def test_tokens_that_are_not_told_are_unknown_and_shown_as_none() -> None:
    answer, usage = parse(said([1.0]))
    assert usage is None
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_base64_holds_single_precision_little_endian() -> None:
    answer, _ = parse(said([1.0, -0.5, 0.1]), encoding_format="base64")
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert packed == struct.pack("<3f", 1.0, -0.5, 0.1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{",
        {},
        said(),
        said([1.0], [2.0]),
        said([]),
        said(None),
        said(["x"]),
        said([True]),
        {"embeddings": [7]},
        {"embeddings": [{}]},
    ],
)
def test_what_is_no_embedding_is_a_protocol_error(answer: Any) -> None:
    with pytest.raises(ProviderFailed) as caught:
        parse(answer)
    assert caught.value.code == "provider_protocol"


def test_an_error_inside_a_200_means_what_it_says() -> None:
    with pytest.raises(HeadgateError) as caught:
        parse({"error": {"code": 429, "message": "Enough.", "status": "RESOURCE_EXHAUSTED"}})
    assert caught.value.code == "provider_rate_limited"


# -- counting ---------------------------------------------------------------------------------------------


def test_what_counts_as_input_is_counted() -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Hi?"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "look"}]}],
        "generationConfig": {"temperature": 1},
        "safetySettings": [],
    }
    path, request = build_count_tokens(body, "gemini-3.5-flash")
    assert path == "/models/gemini-3.5-flash:countTokens"
    counted = request["generateContentRequest"]
    assert counted["model"] == "models/gemini-3.5-flash"
    assert {name: body[name] for name in ("contents", "systemInstruction", "tools")} == {
        name: value for name, value in counted.items() if name != "model"
    }


def test_the_total_is_the_count() -> None:
    assert parse_count_tokens(b'{"totalTokens": 61, "promptTokensDetails": []}', judge=judge) == 61


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"totalTokens": "x"}', b'{"totalTokens": -1}'])
def test_what_is_no_count_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        parse_count_tokens(body, judge=judge)
    assert caught.value.code == "provider_protocol"


def test_an_error_in_place_of_a_count_means_what_it_says() -> None:
    with pytest.raises(HeadgateError) as caught:
        parse_count_tokens(b'{"error": {"code": 404, "message": "No."}}', judge=judge)
    assert caught.value.code == "model_not_found"
