"""Parameters of a query string."""

import re
from datetime import UTC, datetime

from fastapi import Request

_PART = re.compile(r"_([a-z0-9])")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parameter(request: Request, name: str) -> str | None:
    """None where it is absent; under `/api/v2` it goes by its camelCase name too."""
    query = request.query_params
    if name not in query and request.scope["state"].get("camel"):
        name = _PART.sub(lambda part: part[1].upper(), name)
    return query.get(name)


def time_in(text: str) -> datetime | None:
    """The RFC 3339 time that this text is, in UTC; None where it is none."""
    text = text.replace(" ", "+")  # in a query a plus sign that was not escaped arrives as a space
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC) if _TIME.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None
