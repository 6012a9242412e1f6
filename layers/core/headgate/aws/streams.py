"""What the stream of the generations table brings to a function."""

import base64
from collections.abc import Mapping
from typing import Any

from headgate.aws.codec import KEYS, RECORD, from_body, record_of
from headgate.aws.dynamodb import Item, from_wire
from headgate.domain.generation import GenerationRecord, GenerationStatus

_UNFINISHED = frozenset({GenerationStatus.QUEUED.value, GenerationStatus.RUNNING.value})


def records_of(event: Mapping[str, Any]) -> list[GenerationRecord]:
    """The generations that this batch of changes brought to their outcome, in order, and what was told of
    keys beside (`keys_only`).

    Takes the event of a stream with new and old images: a finished record that is only written again is left
    out, as are counters, pieces and removals. `output` and `metadata` over 250 KB compressed are not in a
    stream, so they are missing. Raises ValueError for a record that this version can't read.
    """
    changes = [
        change["dynamodb"] for change in event.get("Records", ()) if change.get("eventName") != "REMOVE"
    ]
    images = [(_item(change.get("NewImage")), _item(change.get("OldImage"))) for change in changes]
    return [record for new, old in images if (record := _told(new, old)) is not None]


def _told(new: Item, old: Item) -> GenerationRecord | None:
    if new.get("sk") == KEYS:
        return None if old else from_body(GenerationRecord, new)
    ended = new.get("sk") == RECORD and _is_finished(new) and not _is_finished(old)
    return record_of(new) if ended else None


def _is_finished(item: Item) -> bool:
    return "status" in item and item["status"] not in _UNFINISHED


def _item(image: Mapping[str, Any] | None) -> Item:
    """Bytes are base64 in a function's event."""
    return from_wire({name: _decoded(value) for name, value in (image or {}).items()})


def _decoded(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"B": base64.b64decode(value["B"])} if "B" in value else value
