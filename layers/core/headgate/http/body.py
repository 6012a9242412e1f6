"""Request bodies: JSON in, with errors that name the field."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import ClientDisconnect

from headgate.domain.errors import FieldError, InvalidRequest, MalformedRequest

if TYPE_CHECKING:
    from fastapi import Request
    from pydantic import BaseModel, ValidationError

_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_FREE_FORM = frozenset(
    {"metadata", "messages", "tools", "tool_choice", "response_format", "json_schema", "flags", "rules"}
)
"""Keys whose value is the caller's own structure: nothing in it is renamed, but for `_OUR_LABELS`."""
_OUR_LABELS = {"projectId": "project_id", "sceneId": "scene_id"}
"""What a generation's `metadata` tells us, among the caller's own labels."""
_LONG_INTEGER = re.compile(rb"\d{19}")


async def read_json(request: "Request", *, optional: bool = False) -> dict[str, Any]:
    """The body as a JSON object. optional: no body at all is an empty one.

    Raises MalformedRequest (400) for anything else.
    """
    try:
        raw = await request.body()
    except ClientDisconnect:  # nobody is left to read the answer, but it is no crash of ours
        raise MalformedRequest("The body stopped before its end.") from None
    if not raw and optional:
        return {}
    if not raw:
        raise MalformedRequest("The body is empty; a JSON object is needed.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"The body is not valid JSON: {_where(error)}.") from error
    if not isinstance(value, dict):
        raise MalformedRequest("The body must be a JSON object.")
    body = _exactly(raw, value)
    if not request.scope["state"].get("camel"):
        return body
    try:
        return snake_keys(body)
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply.") from None


def _exactly(raw: bytes, value: dict[str, Any]) -> dict[str, Any]:
    """The value with its integers as they were sent: of those over 64 bits orjson makes floats."""
    if _LONG_INTEGER.search(raw):
        with suppress(RecursionError):
            exact: dict[str, Any] = json.loads(raw)
            return exact
    return value


def _where(error: orjson.JSONDecodeError) -> str:
    return f"{error.msg} (line {error.lineno}, column {error.colno})"


def snake_keys(value: Mapping[str, Any]) -> dict[str, Any]:
    """camelCase keys in snake_case, but for the caller's own structures. A name given twice is refused."""
    renamed: dict[str, Any] = {}
    for key, item in value.items():
        name = snake(key)
        if name in renamed:
            raise InvalidRequest.of_field(name, f"given twice, as {key} too.")
        renamed[name] = _labels(item) if name == "metadata" else _snake_value(item, free=name in _FREE_FORM)
    return renamed


def _labels(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    given: dict[str, Any] = value
    labels: dict[str, Any] = {}
    for key, item in given.items():
        name = _OUR_LABELS.get(key, key)
        if name in labels:
            raise InvalidRequest.of_field(f"metadata.{name}", "is given twice, in both spellings.")
        labels[name] = item
    return labels


def _snake_value(value: Any, *, free: bool = False) -> Any:
    if free:
        return value
    if isinstance(value, dict):
        return snake_keys(value)
    if isinstance(value, list):
        return [_snake_value(item) for item in value]
    return value


def snake(name: str) -> str:
    """`maxTokens` → `max_tokens`."""
    return _CAMEL.sub(r"_\1", name).lower() if not name.islower() else name


def printable(text: str) -> str:
    """The text. Raises ValueError when it holds characters that no name has: they would break headers."""
    if not text.isprintable():
        raise ValueError("must not hold control characters.")
    return text


def parse[M: "BaseModel"](model: type[M], value: Mapping[str, Any]) -> M:
    """The value as this pydantic model. Raises InvalidRequest with each wrong field by its path."""
    from pydantic import ValidationError  # noqa: PLC0415 - already loaded by FastAPI; keeps this module light

    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: "ValidationError") -> InvalidRequest:
    """Pydantic's errors as ours; the offending values themselves are not repeated."""
    fields = [
        FieldError(field_path(item["loc"]), item["msg"])
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    detail = "; ".join(f"{field.field}: {field.message}" for field in fields[:5])
    return InvalidRequest(detail, errors=fields)


def field_path(location: tuple[int | str, ...]) -> str:
    """`("messages", 0, "role")` → `messages[0].role`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path or "body"
