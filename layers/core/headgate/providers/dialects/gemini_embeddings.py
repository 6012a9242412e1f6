"""OpenAI's embeddings as Gemini's `batchEmbedContents`, there and back. Pure.

https://platform.openai.com/docs/api-reference/embeddings, https://ai.google.dev/api/embeddings (2026-11-20).
"""

import array
import base64
import sys
from collections.abc import Callable, Mapping
from typing import Any

from headgate.domain.errors import CannotCarry, HeadgateError, InvalidRequest
from headgate.domain.generation import Usage
from headgate.providers.dialects.gemini import model_name, model_path
from headgate.providers.dialects.gemini_answers import read_usage
from headgate.providers.dialects.openai_answers import malformed, read_answer, trim

MAX_TEXTS = 100
"""In one call: https://ai.google.dev/gemini-api/docs/embeddings (2026-11-20)."""

_OPENAIS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
"""Fields that are said in another way, or answered here; others go into each request, as `taskType` does."""

_FORMATS = ("float", "base64")


def build_embeddings(body: Mapping[str, Any], model: str) -> tuple[str, dict[str, Any]]:
    """The path below the base URL, and the body.

    Raises InvalidRequest naming `input`, `dimensions` or `encoding_format`, and CannotCarry for tokens in
    place of texts and for more texts than one call takes.
    """
    each: dict[str, Any] = {key: value for key, value in body.items() if key not in _OPENAIS}
    dimensions = body.get("dimensions")
    if dimensions is not None:
        if not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1:
            raise InvalidRequest.of_field("dimensions", "must be an integer of at least 1.")
        each["outputDimensionality"] = dimensions
    if body.get("encoding_format") not in (None, *_FORMATS):
        raise InvalidRequest.of_field("encoding_format", f"must be one of {', '.join(_FORMATS)}.")
    requests = [
        {**each, "model": model_name(model), "content": {"parts": [{"text": text}]}}
        for text in _texts(body.get("input"))
    ]
    return model_path(model, "batchEmbedContents"), {"requests": requests}


def parse_embeddings(
    answer: bytes, body: Mapping[str, Any], model: str, *, judge: Callable[[Any], HeadgateError]
) -> tuple[dict[str, Any], Usage | None]:
    """OpenAI's answer, without a cost, and the usage; None where none is told, as by gemini-embedding-001.

    body: the caller's. judge: what an error inside the 200 means. Tokens that are not told stand as 0 in the
    answer, whose clients expect numbers. Raises ProviderFailed (`provider_protocol`).
    """
    value = read_answer(trim(answer))
    if value.get("error"):
        raise judge(value)
    embeddings = value.get("embeddings")
    wanted = len(_texts(body.get("input")))
    if not isinstance(embeddings, list) or len(embeddings) != wanted:
        raise malformed(f"has not one embedding for each of {wanted} texts")
    write = _as_base64 if body.get("encoding_format") == "base64" else _as_numbers
    data = [
        {"object": "embedding", "index": index, "embedding": write(_values(embedding))}
        for index, embedding in enumerate(embeddings)
    ]
    usage = _usage(value.get("usageMetadata"))
    tokens = usage.input_tokens if usage is not None else 0
    told = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": told}, usage


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise InvalidRequest.of_field("input", "must be a text or a list of texts.")
    if not all(isinstance(each, str) for each in value):
        if all(isinstance(each, int | list) for each in value):
            raise CannotCarry.field("input", "Gemini takes texts, not tokens.")
        raise InvalidRequest.of_field("input", "must be a text or a list of texts.")
    if len(value) > MAX_TEXTS:
        raise CannotCarry.field("input", f"Gemini takes at most {MAX_TEXTS} texts at once.")
    return value


def _values(embedding: Any) -> list[float]:
    values = embedding.get("values") if isinstance(embedding, Mapping) else None
    if not isinstance(values, list) or not values:
        raise malformed("has an embedding without values")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise malformed("has an embedding of something other than numbers")
    return values


def _usage(told: Any) -> Usage | None:
    """Only the prompt is counted; an embedding has no output."""
    read = read_usage(told) if isinstance(told, Mapping) else None
    if read is None or read.input_tokens is None:
        return None
    return Usage(input_tokens=read.input_tokens, output_tokens=0, total_tokens=read.input_tokens)


def _as_numbers(values: list[float]) -> list[float]:
    return values


def _as_base64(values: list[float]) -> str:
    """Single precision, little endian: OpenAI's SDKs ask for it and decode it by themselves."""
    packed = array.array("f", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
