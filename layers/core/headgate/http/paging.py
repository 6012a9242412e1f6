"""`limit` and `cursor` of list routes."""

from fastapi import Request

from headgate.domain.errors import InvalidRequest

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def page_of(
    request: Request, *, most: int = MAX_LIMIT, default: int = DEFAULT_LIMIT
) -> tuple[int, str | None]:
    """The page asked for. Raises InvalidRequest naming `limit`."""
    text = request.query_params.get("limit")
    if text is None:
        return default, request.query_params.get("cursor")
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= most:
        raise InvalidRequest.of_field("limit", f"must be a whole number from 1 to {most}.")
    return int(text), request.query_params.get("cursor")
