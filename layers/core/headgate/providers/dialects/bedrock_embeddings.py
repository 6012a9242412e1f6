"""OpenAI's embeddings as bodies of Bedrock's InvokeModel, which are of each maker's own shape. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html (2026-11-20), and for
each family the page that its function names. Converse has no embeddings.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from headgate.domain.errors import CannotCarry, NotFound
from headgate.providers.dialects import embeddings
from headgate.providers.dialects.bedrock_families import base_name
from headgate.providers.dialects.openai_answers import malformed, read_answer, trim

NAME = "Amazon Bedrock"

_TOKENS_HEADER = "x-amzn-bedrock-input-token-count"
"""On every answer; Cohere's models tell their tokens nowhere else."""

_TYPE_LISTS = ("embedding_types", "embeddingTypes")
"""What asks for integers or bits, of which OpenAI's answer has no place: Cohere's word, and Titan's."""


def build_embeddings(body: Mapping[str, Any], model: str) -> tuple[str, dict[str, Any]]:
    """The path below the base URL, and the body.

    body: the caller's, with as many texts at most as `texts_at_once` says. Raises InvalidRequest and
    CannotCarry naming `input`, `dimensions`, `encoding_format`, `model` or a list of types.
    """
    family = _family_of(model)
    texts = embeddings.read_texts(body, name=NAME)
    embeddings.check_format(body)
    dimensions = embeddings.read_dimensions(body)
    if dimensions is not None and family.dimensions and dimensions not in family.dimensions:
        known = ", ".join(str(each) for each in family.dimensions)
        raise CannotCarry.field("dimensions", f"{base_name(model)} gives {known}.")
    for name in _TYPE_LISTS:
        if body.get(name) not in (None, ["float"]):
            raise CannotCarry.field(name, "Only floats have a place in the answer.")
    own = {key: value for key, value in body.items() if key not in embeddings.OPENAIS}
    return _path(model), family.write(texts, dimensions if len(family.dimensions) != 1 else None, own)


def texts_at_once(model: str) -> int:
    """How many texts one request takes. Raises CannotCarry naming `model`."""
    return _family_of(model).at_once


def parse_embeddings(
    answer: bytes, headers: Mapping[str, str], body: Mapping[str, Any]
) -> tuple[list[list[float]], int | None]:
    """The embeddings in order, and the tokens of the input; None where they are not told.

    body: the caller's. headers: of the answer, in lower case. Raises ProviderFailed (`provider_protocol`).
    """
    value = read_answer(trim(answer))
    tokens = embeddings.read_count(headers.get(_TOKENS_HEADER))
    for name in ("inputTextTokenCount", "inputTokenCount"):
        tokens = embeddings.read_count(value.get(name)) if tokens is None else tokens
    return embeddings.read_vectors(_vectors(value), body), tokens


def _vectors(value: Mapping[str, Any]) -> Any:
    """Titan's one, Nova's list of objects, Cohere's bare list, or Cohere's lists by type."""
    if "embedding" in value:
        return [value["embedding"]]
    found = value.get("embeddings")
    if isinstance(found, Mapping):
        found = found.get("float")
    if not isinstance(found, list):
        raise malformed("has no embeddings")
    return [each.get("embedding") if isinstance(each, Mapping) else each for each in found]


def _path(model: str) -> str:
    """The id is one segment, as in `BedrockConverse.path`. Raises NotFound (`model_not_found`)."""
    if model in ("", ".", ".."):
        raise NotFound("No model has such a name.", code="model_not_found")
    return f"/model/{quote(model, safe='')}/invoke"


# -- families ---------------------------------------------------------------------------------------------

_Write = Callable[[list[str], int | None, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """write: texts, dimensions and the provider's own fields as a body. at_once: texts per request.

    dimensions: those that it can give; of one alone nothing is said, none at all leave it to the model.
    """

    names: re.Pattern[str]
    write: _Write
    at_once: int = 1
    dimensions: tuple[int, ...] = ()


def _titan(texts: list[str], dimensions: int | None, own: dict[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
    (2026-11-20)."""
    sized = {"dimensions": dimensions} if dimensions is not None else {}
    return {**own, "inputText": texts[0], **sized}


def _titan_image(texts: list[str], dimensions: int | None, own: dict[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-mm.html
    (2026-11-20)."""
    sized = {"embeddingConfig": {"outputEmbeddingLength": dimensions}} if dimensions is not None else {}
    return {**own, "inputText": texts[0], **sized}


def _nova(texts: list[str], dimensions: int | None, own: dict[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html (2026-11-20).

    Whether a text is to be found or to find is not said in OpenAI's request: `embeddingPurpose` says so.
    """
    more = dict(own)
    text = {"truncationMode": more.pop("truncationMode", "NONE"), "value": texts[0]}
    asked = {"embeddingPurpose": "GENERIC_INDEX", **more, "text": text}
    if dimensions is not None:
        asked["embeddingDimension"] = dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": asked}


def _cohere(texts: list[str], dimensions: int | None, own: dict[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html (2026-11-20).

    Whether a text is to be found or to find is not said in OpenAI's request: `input_type` says so. A text
    that is too long is refused, not cut, unless the caller has it cut by `truncate`.
    """
    sized = {"output_dimension": dimensions} if dimensions is not None else {}
    return {"input_type": "search_document", "truncate": "NONE", **own, "texts": texts, **sized}


_FAMILIES = (
    _Family(names=re.compile(r"amazon\.titan-embed-text-v2"), write=_titan, dimensions=(256, 512, 1024)),
    _Family(
        names=re.compile(r"amazon\.titan-embed-(text-v1|g1-text)"),
        write=_titan,
        dimensions=(1536,),
    ),
    _Family(names=re.compile(r"amazon\.titan-embed-image"), write=_titan_image, dimensions=(256, 384, 1024)),
    _Family(
        names=re.compile(r"amazon\.nova-.*embed"),
        write=_nova,
        dimensions=(256, 384, 1024, 3072),
    ),
    _Family(
        names=re.compile(r"cohere\.embed-(english|multilingual)-v3"),
        write=_cohere,
        at_once=96,
        dimensions=(1024,),
    ),
    _Family(
        names=re.compile(r"cohere\.embed-v4"), write=_cohere, at_once=96, dimensions=(256, 512, 1024, 1536)
    ),
    _Family(names=re.compile(r"amazon\.titan-embed-text"), write=_titan),
    _Family(names=re.compile(r"cohere\.embed-"), write=_cohere, at_once=96),
)
"""The first that an id begins with; the last two are for versions to come."""


def _family_of(model: str) -> _Family:
    name = base_name(model)
    for family in _FAMILIES:
        if family.names.match(name):
            return family
    raise CannotCarry.field("model", "Of this model no way is known to ask for embeddings of texts.")
