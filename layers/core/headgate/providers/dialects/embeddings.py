"""What the embeddings of providers with a wire format of their own have in common. Pure.

OpenAI's request is read here, and its answer written:
https://platform.openai.com/docs/api-reference/embeddings (2026-11-20).
"""

import array
import base64
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from headgate.domain.errors import CannotCarry, InvalidRequest
from headgate.domain.generation import Usage
from headgate.domain.money import decimal_text
from headgate.providers.base import ChatAnswer, ChatOutcome, PriceUsage
from headgate.providers.dialects.openai_answers import malformed, write_json

OPENAIS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
"""Fields that are said in another way, or answered here; the others are the provider's own."""

_FORMATS = ("float", "base64")
_WRONG_INPUT = "must be a text or a list of texts."


def read_texts(body: Mapping[str, Any], *, name: str) -> list[str]:
    """The texts of `input`. name: the provider's.

    Raises InvalidRequest, and CannotCarry for tokens: they are of OpenAI's tokenizers, which no other model
    has. Both name `input`.
    """
    value = body.get("input")
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise InvalidRequest.of_field("input", _WRONG_INPUT)
    if all(isinstance(each, str) for each in texts):
        return texts
    if all(isinstance(each, int | list) for each in texts):
        raise CannotCarry.field("input", f"{name} takes texts, not tokens.")
    raise InvalidRequest.of_field("input", _WRONG_INPUT)


def read_dimensions(body: Mapping[str, Any]) -> int | None:
    """How many numbers an embedding is to have. Raises InvalidRequest naming `dimensions`."""
    value = body.get("dimensions")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequest.of_field("dimensions", "must be an integer of at least 1.")
    return value


def check_format(body: Mapping[str, Any]) -> None:
    """Raises InvalidRequest naming `encoding_format`."""
    if body.get("encoding_format") not in (None, *_FORMATS):
        raise InvalidRequest.of_field("encoding_format", f"must be one of {', '.join(_FORMATS)}.")


def read_vectors(value: Any, body: Mapping[str, Any]) -> list[list[float]]:
    """One embedding per text that was asked for, in order, each as long as was asked for.

    body: the caller's. Raises ProviderFailed (`provider_protocol`), also for embeddings of tokens, which come
    one level deeper: how a model's texts are made of its tokens only its server knows.
    """
    asked = body.get("input")
    wanted = len(asked) if isinstance(asked, list) else 1
    if not isinstance(value, list) or len(value) != wanted:
        raise malformed(f"has not one embedding for each of {wanted} texts")
    dimensions = body.get("dimensions")
    for vector in value:
        if not isinstance(vector, list) or not vector:
            raise malformed("has an embedding without values")
        if isinstance(vector[0], list):
            raise malformed("has an embedding for each token where one for each text is due")
        if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in vector):
            raise malformed("has an embedding of something other than numbers")
        if dimensions is not None and len(vector) != dimensions:
            raise malformed(f"has {len(vector)} dimensions where {dimensions} were asked for")
    return value


def read_count(value: Any) -> int | None:
    """Tokens from a header's digits or a JSON number; None for what is no count."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) <= 12 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def write_answer(
    vectors: Sequence[list[float]],
    body: Mapping[str, Any],
    *,
    model: str,
    tokens: int | None,
    price: PriceUsage,
) -> ChatAnswer:
    """OpenAI's answer, with `usage.cost` where it is known. body: the caller's; tokens: of the input.

    Tokens that are not told stand as 0 in the answer, whose clients expect numbers; the outcome then has no
    usage.
    """
    write = as_base64 if body.get("encoding_format") == "base64" else list
    usage = None if tokens is None else Usage(input_tokens=tokens, output_tokens=0, total_tokens=tokens)
    cost_usd = price(usage) if usage is not None else None
    told: dict[str, Any] = {"prompt_tokens": tokens or 0, "total_tokens": tokens or 0}
    if cost_usd is not None:
        told["cost"] = float(decimal_text(cost_usd))
    data = [
        {"object": "embedding", "index": index, "embedding": write(vector)}
        for index, vector in enumerate(vectors)
    ]
    answer = {"object": "list", "data": data, "model": model, "usage": told}
    return ChatAnswer(body=write_json(answer), outcome=ChatOutcome(usage=usage))


def as_base64(vector: list[float]) -> str:
    """Single precision, little endian: OpenAI's SDKs ask for it and decode it by themselves."""
    packed = array.array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
