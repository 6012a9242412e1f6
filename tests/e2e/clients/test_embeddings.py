"""OpenAI's own SDK to providers whose embeddings have a wire format, or a path, of their own."""

import json
from collections.abc import Iterator, Sequence

import pytest
from openai import BadRequestError, OpenAI, UnprocessableEntityError

from tests.e2e.upstream import Call, Step, Upstream, whole
from tests.integration.local_gateway import Gateway, StartGateway

pytestmark = pytest.mark.xdist_group("clients-embeddings")
TITAN = "bedrock/amazon.titan-embed-text-v2:0"
NOVA = "bedrock/amazon.nova-2-multimodal-embeddings-v1:0"
COHERE = "bedrock/cohere.embed-v4:0"
BGE = "huggingface/BAAI/bge-m3"
EVERYWHERE = pytest.mark.parametrize("model", [TITAN, NOVA, COHERE, BGE, f"{BGE}:scaleway"])
TEXTS = ["one", "three", "a"]
LENGTHS = [[3.0, -0.5], [5.0, -0.5], [1.0, -0.5]]


class Embedder(Upstream):
    """Each text by its length, as each host words it; a text is a token."""

    def _script(self, call: Call) -> Sequence[Step]:
        if call.method == "POST":
            return _answer(call)
        if call.path.endswith("/foundation-models"):
            return whole({"modelSummaries": []})
        return super()._script(call)


def _answer(call: Call) -> Sequence[Step]:
    asked = call.json
    if "inputText" in asked:
        return whole({"embedding": _vector(asked["inputText"]), "inputTextTokenCount": 1})
    if "singleEmbeddingParams" in asked:
        text = asked["singleEmbeddingParams"]["text"]["value"]
        answer = {"embeddings": [{"embeddingType": "TEXT", "embedding": _vector(text)}]}
        return whole(answer, x_amzn_bedrock_input_token_count="1")
    if "texts" in asked:
        vectors = [_vector(text) for text in asked["texts"]]
        count = str(len(vectors))
        return whole({"embeddings": {"float": vectors}}, x_amzn_bedrock_input_token_count=count)
    if "inputs" in asked:
        vectors = [_vector(text) for text in asked["inputs"]]
        return whole(vectors, x_compute_tokens=str(len(vectors)))
    rows = [{"index": n, "embedding": _vector(text)} for n, text in enumerate(asked["input"])]
    return whole({"object": "list", "data": rows, "usage": {"prompt_tokens": len(rows)}})


def _vector(text: str) -> list[float]:
    return [float(len(text)), -0.5]


@pytest.fixture(scope="module")
def provider() -> Iterator[Embedder]:
    server = Embedder()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(provider: Embedder, start_gateway: StartGateway) -> Gateway:
    """Bedrock by the role, for which the runner brings credentials of nobody's."""
    return start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_HEAD_CHECK_S="0.2",
        HEADGATE_BEDROCK="1",
        BEDROCK_BASE_URL=provider.base_url("bedrock"),
        **provider.environ("huggingface"),
    )


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


@EVERYWHERE
def test_texts_are_embedded_in_order_and_counted(client: OpenAI, model: str) -> None:
    """The SDK asks for base64 by itself, and reads either form."""
    answer = client.embeddings.create(model=model, input=TEXTS)
    assert [row.embedding for row in answer.data] == LENGTHS
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 3


@EVERYWHERE
def test_floats_come_as_floats(client: OpenAI, model: str) -> None:
    raw = client.embeddings.with_raw_response.create(model=model, input="seven", encoding_format="float")
    (row,) = json.loads(raw.content)["data"]
    assert row["embedding"] == [5.0, -0.5]


@EVERYWHERE
def test_tokens_in_place_of_texts_are_refused_by_name(client: OpenAI, model: str) -> None:
    for tokens in ([1, 2], [[1, 2], [3]]):
        with pytest.raises((BadRequestError, UnprocessableEntityError)) as caught:
            client.embeddings.create(model=model, input=tokens)
        assert "input" in str(caught.value)


@pytest.mark.parametrize("model", [TITAN, NOVA, COHERE, BGE])
def test_dimensions_that_can_not_be_had_are_refused_by_name(client: OpenAI, model: str) -> None:
    with pytest.raises((BadRequestError, UnprocessableEntityError)) as caught:
        client.embeddings.create(model=model, input="one", dimensions=2)
    assert "dimensions" in str(caught.value)


def test_dimensions_that_were_asked_for_are_those_that_come(client: OpenAI) -> None:
    answer = client.embeddings.create(model=f"{BGE}:scaleway", input="one", dimensions=2)
    assert answer.data[0].embedding == [3.0, -0.5]


def test_bedrock_is_asked_once_for_each_text_and_every_request_is_signed(
    client: OpenAI, provider: Embedder
) -> None:
    texts = [f"signed {number}" for number in range(20)]
    raw = client.embeddings.with_raw_response.create(model=TITAN, input=texts)
    calls = [call for call in provider.asked if b'"signed ' in call.body]
    assert sorted(call.json["inputText"] for call in calls) == sorted(texts)
    assert all("/bedrock/aws4_request" in call.headers["authorization"] for call in calls)
    assert raw.headers["x-headgate-attempts"] == "20"
    assert [row.index for row in raw.parse().data] == list(range(20))
