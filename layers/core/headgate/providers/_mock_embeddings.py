"""What the mock provider's embedding model says: texts with words in common are near each other. Pure."""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

from headgate.providers._mock_answers import MockRefusal

DIMENSIONS = 256
MAX_DIMENSIONS = 4_096
_WORD = re.compile(r"\w+")


def embeddings_to(body: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's answer: unit vectors, one per input, by hashing its words. Raises MockRefusal."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise MockRefusal(400, "'input' must be a text or a list of texts.", param="input")
    size = body.get("dimensions", DIMENSIONS)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_DIMENSIONS:
        raise MockRefusal(400, f"'dimensions' must be from 1 to {MAX_DIMENSIONS}.", param="dimensions")
    packed = body.get("encoding_format") == "base64"
    count = sum(len(_WORD.findall(text)) for text in texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _pack(vector) if packed else vector}
            for index, vector in enumerate(_vector(text, size) for text in texts)
        ],
        "model": body.get("model"),
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _vector(text: str, size: int) -> list[float]:
    """Each word adds to one place, up or down; a text without words is the first axis."""
    places = [0.0] * size
    for word in _WORD.findall(text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        places[int.from_bytes(digest[:4]) % size] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in places))
    if length == 0:
        return [1.0, *places[1:]]
    return [value / length for value in places]


def _pack(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, as OpenAI's clients ask for."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
