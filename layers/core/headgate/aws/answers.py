"""Answers kept for a repeated request, as items beside the record of their generation."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import orjson

from headgate.aws.codec import bytes_of, compress, cut, decompress, number_of, text_of
from headgate.aws.dynamodb import Item, Value
from headgate.domain.admission import Answer

ANSWER_PREFIX = "ANS#"
"""What the sort keys of an answer's pieces begin with."""


def answer_items(generation_id: str, answer: Answer) -> list[dict[str, Value | None]]:
    """The pieces of an answer, at least one, gzipped; how it is to be read stands in each."""
    data = compress(answer.body)
    head = head_text(answer)
    pieces = cut(data) or [b""]
    name = hashlib.sha256(head.encode() + data).hexdigest()[:12]
    return [
        {
            "pk": generation_id,
            "sk": f"{ANSWER_PREFIX}{at:04d}",
            "data": piece,
            "head": head,
            "pieces": name,
            "of": len(pieces),
            "expires_at": int(answer.expires_at.timestamp()),
        }
        for at, piece in enumerate(pieces, start=1)
    ]


def answer_of(items: Sequence[Item]) -> Answer | None:
    """The answer of these pieces, in order; None when there are none, or some are missing.

    Raises ValueError for what can't be read.
    """
    if not items:
        return None
    # An answer that was written over a longer one leaves the tail of that behind.
    same = [item for item in items if item.get("pieces") == text_of(items[0], "pieces")]
    if len(same) != number_of(items[0], "of"):
        return None
    return answered(text_of(items[0], "head"), decompress(b"".join(bytes_of(item, "data") for item in same)))


def head_text(answer: Answer) -> str:
    """All of an answer but its body."""
    head = {"status": answer.status, "headers": answer.headers, "expires_at": answer.expires_at.isoformat()}
    return orjson.dumps(head).decode()


def answered(head: str, body: bytes) -> Answer:
    """Raises ValueError for a head that can't be read."""
    read = orjson.loads(head)
    try:
        return Answer(
            status=read["status"],
            headers=tuple((name, value) for name, value in read["headers"]),
            body=body,
            expires_at=datetime.fromisoformat(read["expires_at"]),
        )
    except (KeyError, TypeError) as exc:
        raise ValueError("no head of an answer") from exc
