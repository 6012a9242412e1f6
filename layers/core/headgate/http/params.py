"""Parameters of a query string."""

import re

from fastapi import Request

_PART = re.compile(r"_([a-z0-9])")


def parameter(request: Request, name: str) -> str | None:
    """None where it is absent; under `/api/v2` it goes by its camelCase name too."""
    query = request.query_params
    if name not in query and request.scope["state"].get("camel"):
        name = _PART.sub(lambda part: part[1].upper(), name)
    return query.get(name)
