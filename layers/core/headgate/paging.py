"""Cursors of lists that are shown newest first: where a page ended, as text that a caller hands back.

A position is a time and an id, so it holds whatever is added or removed meanwhile. The cursor carries a
checksum over the list it belongs to: not a secret (the owner of a list never comes from a cursor), but one
that was cut, mistyped or taken from another list is told apart from one that we made.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from headgate.domain.errors import InvalidRequest

_CHECKSUM_BYTES = 9
_POSITION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#.+", re.DOTALL)
_ANY_PLACE = re.compile(r".+", re.DOTALL)

GENERATION_FILTERS = ("status", "type", "project_id")


def position_of(created_at: datetime, item_id: str) -> str:
    """Text that sorts as (`created_at`, `item_id`) do: `2026-11-20T09:00:00.000000Z#gen_…`."""
    # isoformat pads the year to four digits everywhere; strftime("%Y") does so on some platforms only.
    utc = created_at.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z#{item_id}"


def split_position(position: str) -> tuple[datetime, str]:
    """The time and the id of a position."""
    time, _, item_id = position.partition("#")
    return datetime.fromisoformat(time), item_id


def encode_cursor(scope: str, position: str) -> str:
    """URL-safe text for `position` within the list named by `scope`."""
    return base64.urlsafe_b64encode(_checksum(scope, position) + position.encode()).decode().rstrip("=")


def decode_cursor(scope: str, cursor: str, *, shape: re.Pattern[str] = _POSITION) -> str:
    """The position. Raises InvalidRequest naming `cursor` when this list never gave it."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = raw[_CHECKSUM_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise _refused() from None
    # Encoded again, it must be the same text: base64 itself lets several texts mean one thing.
    if not shape.fullmatch(position) or encode_cursor(scope, position) != cursor:
        raise _refused()
    return position


def page_among[Row](
    scope: str, placed: Iterable[tuple[str, Row]], *, limit: int, cursor: str | None, rising: bool = False
) -> tuple[list[Row], str | None]:
    """A page of a list that is at hand as a whole, and the next cursor.

    placed: every row with a place of its own, sorted by it: falling, or rising where that is said.
    Raises InvalidRequest naming `cursor`.
    """
    last = None if cursor is None else decode_cursor(scope, cursor, shape=_ANY_PLACE)
    left = [
        (place, row) for place, row in placed if last is None or (place > last if rising else place < last)
    ]
    page = [row for _, row in left[:limit]]
    return page, encode_cursor(scope, left[limit - 1][0]) if len(left) > limit else None


def check_filters(filters: Mapping[str, str]) -> None:
    """Raises InvalidRequest naming the first filter that lists of generations don't have."""
    for name in filters:
        if name not in GENERATION_FILTERS:
            raise InvalidRequest.of_field(name, "There is no such filter.")


def _checksum(scope: str, position: str) -> bytes:
    return hashlib.sha256(f"{scope}\n{position}".encode()).digest()[:_CHECKSUM_BYTES]


def _refused() -> InvalidRequest:
    return InvalidRequest.of_field("cursor", "This is no cursor that this list gave out.")
