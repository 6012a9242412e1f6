"""How values stand in the tables: JSON in `body`, large things gzipped and cut into pieces.

Everything here raises ValueError for what it can't read.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson

from headgate.aws.dynamodb import Item, Value
from headgate.codec import codec_of, dump_models, load_models
from headgate.domain.catalog import ModelInfo, SnapshotHead
from headgate.domain.generation import UNFINISHED, GenerationRecord, keys_of
from headgate.paging import position_of

PIECE_BYTES = 300_000
"""Well within DynamoDB's 400 KB per item, keys and names included."""

_PLAIN_RECORD_BYTES = 1_024
_BULK_BYTES = 250_000
_LEVEL = 6
_LARGE_FIELDS = ("output", "metadata")
_ATTRIBUTES: Mapping[str, str] = {
    "id": "pk",
    "owner": "owner",
    "status": "status",
    "type": "type",
    "project_id": "project_id",
}
"""Fields that stand in attributes of their own: most records are then within one write unit."""


def compress(content: bytes) -> bytes:
    """Gzip; the same bytes for the same content (no time in it)."""
    return gzip.compress(content, _LEVEL, mtime=0)


def decompress(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as exc:
        raise ValueError("not gzip") from exc


def cut(content: bytes, size: int = PIECE_BYTES) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def pack_models(models: Iterable[ModelInfo]) -> list[bytes]:
    """A list as pieces, at least one; the same for equal lists."""
    return cut(compress(dump_models(models)))


def unpack_models(pieces: Iterable[bytes]) -> tuple[ModelInfo, ...]:
    return load_models(decompress(b"".join(pieces)))


def body_of[T](value: T) -> str:
    """The JSON text of one of our dataclasses."""
    return codec_of(type(value)).dump(value).decode()


def from_body[T](cls: type[T], item: Item) -> T:
    return codec_of(cls).load(text_of(item, "body"))


def text_of(item: Item, name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise ValueError(f"no text in {name}")
    return value


def bytes_of(item: Item, name: str) -> bytes:
    value = item.get(name)
    if not isinstance(value, bytes):
        raise ValueError(f"no bytes in {name}")
    return value


def number_of(item: Item, name: str, default: int = 0) -> int:
    value = item.get(name, default)
    if not isinstance(value, int | float):
        raise ValueError(f"no number in {name}")
    return int(value)


def head_of(item: Item) -> SnapshotHead:
    """The head, its count of pieces taken from the write that made them."""
    return replace(from_body(SnapshotHead, item), chunks=number_of(item, "chunks"))


def record_items(record: GenerationRecord) -> tuple[dict[str, Value | None], list[dict[str, Value | None]]]:
    """The item of a record, and the pieces that have to be written before it (mostly none)."""
    data = codec_of(GenerationRecord).encode(record)
    data = {name: value for name, value in data.items() if name not in _ATTRIBUTES}
    expires_at = None if record.expires_at is None else int(record.expires_at.timestamp())
    item: dict[str, Value | None] = {
        "pk": record.id,
        "sk": RECORD,
        "owner": record.owner,
        "list_sk": position_of(record.created_at, record.id),
        "status": record.status.value,
        "type": record.type,
        "project_id": record.project_id,
        "expires_at": expires_at,
        **_due(record),
    }
    body = _dump(data)
    large = {name: data[name] for name in _LARGE_FIELDS if name in data}
    if len(body) <= _PLAIN_RECORD_BYTES or not large:
        return {**item, "body": body.decode()}, []
    item["body"] = _dump({name: value for name, value in data.items() if name not in large}).decode()
    bulk = compress(_dump(large))
    if len(bulk) <= _BULK_BYTES:
        return {**item, "bulk": bulk}, []
    # Named by its content: a rewrite of the record never overwrites pieces that the stored one still names.
    bulk_set = hashlib.sha256(bulk).hexdigest()[:12]
    pieces: list[dict[str, Value | None]] = [
        {"pk": record.id, "sk": f"{bulk_prefix(bulk_set)}{at:04d}", "data": piece, "expires_at": expires_at}
        for at, piece in enumerate(cut(bulk), start=1)
    ]
    return {**item, "bulk_set": bulk_set, "bulk_of": len(pieces)}, pieces


RECORD = "REC"
"""The sort key of a generation's record."""

KEYS = "KEYS"
"""The sort key of what is told of keys where no record tells it."""

_KEYS_KEPT = timedelta(days=2)
"""Twice as long as the stream that it is written for."""

DUE_PARTITIONS = tuple(f"DUE#{number}" for number in range(10))
"""Unfinished generations, spread so that no partition takes every write."""


def _due(record: GenerationRecord) -> dict[str, Value | None]:
    """Where an unfinished one stands in the index of what must end by when; nothing for others."""
    if record.due_at is None or record.status not in UNFINISHED:
        return {}
    partition = DUE_PARTITIONS[zlib.crc32(record.id.encode()) % len(DUE_PARTITIONS)]
    return {"due_pk": partition, "due_at": record.due_at.timestamp()}


def keys_item(record: GenerationRecord) -> dict[str, Value | None]:
    """What the stream is told of this record's keys. It has no place in any index."""
    told = keys_of(record)
    ends = (told.completed_at or told.created_at) + _KEYS_KEPT
    return {"pk": told.id, "sk": KEYS, "expires_at": int(ends.timestamp()), "body": body_of(told)}


def bulk_prefix(bulk_set: str) -> str:
    """What the sort keys of a record's pieces begin with."""
    return f"BULK#{bulk_set}#"


def record_of(item: Item, pieces: Sequence[bytes] = ()) -> GenerationRecord:
    """The record. Without the pieces that it names, `output` and `metadata` are missing from it."""
    data: dict[str, Any] = orjson.loads(text_of(item, "body"))
    bulk = bytes_of(item, "bulk") if "bulk" in item else b"".join(pieces)
    large: Mapping[str, Any] = orjson.loads(decompress(bulk)) if bulk else {}
    named = {name: item[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in item}
    return codec_of(GenerationRecord).decode({**data, **large, **named})


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
