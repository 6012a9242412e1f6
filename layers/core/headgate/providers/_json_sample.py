"""A value that satisfies a JSON schema, for the mock provider's tool calls and structured output. Pure.

Draft 2020-12 as far as requests for structured output use it. Not read: `not`, `if`, `dependent*`,
`propertyNames`, `patternProperties`, `contains`, `unevaluated*`, references to other documents.
"""

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from headgate.providers._pattern_sample import text_for

_FULL_DEPTH = 4
"""Levels with all optional properties; below them only what is required, so that a recursive schema ends."""
_MAX_DEPTH = 32
_MAX_VALUES = 2_000
_MAX_CHARS = 10_000

_FORMATS: Mapping[str, str] = {
    "date-time": "2026-01-0{}T09:00:00Z",
    "date": "2026-01-0{}",
    "time": "09:00:0{}Z",
    "duration": "PT{}M",
    "email": "person{}@example.com",
    "idn-email": "person{}@example.com",
    "hostname": "host{}.example.com",
    "ipv4": "192.0.2.{}",
    "ipv6": "2001:db8::{}",
    "uri": "https://example.com/{}",
    "uri-reference": "/{}",
    "iri": "https://example.com/{}",
    "uuid": "00000000-0000-4000-8000-00000000000{}",
    "json-pointer": "/{}",
    "regex": "a{}",
}


class SampleError(ValueError):
    """No value was made up for a schema."""


def sample(schema: Any) -> Any:
    """A value for `schema`, the same one each time.

    Raises SampleError for a schema that is none, or asks for more than 2,000 values.
    """
    try:
        return _Sampler(schema).value(schema, depth=0, variant=1)
    except SampleError:
        raise
    except (TypeError, AttributeError, LookupError, ArithmeticError, ValueError) as error:
        raise SampleError("this is no JSON schema") from error


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MAX_VALUES

    def value(self, schema: Any, *, depth: int, variant: int) -> Any:
        """variant: 1, 2, … give distinct values where there are any."""
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise SampleError("the schema asks for too much")
        schema = self._resolved(schema, depth)
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[(variant - 1) % len(choices)]
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in ("integer", "number"):
            return _number(schema, variant, whole=kind == "integer")
        if kind == "string":
            return _text(schema, variant)
        return variant % 2 == 1 if kind == "boolean" else None

    def _resolved(self, schema: Any, depth: int) -> Mapping[str, Any]:
        """With references followed, `allOf` merged in and one branch of `anyOf` and `oneOf` taken."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, Mapping):
                return {}
            if isinstance(schema.get("$ref"), str):
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = _merged(self._target(schema["$ref"]), rest)
            elif isinstance(schema.get("allOf"), list):
                parts = [self._resolved(part, depth) for part in schema["allOf"]]
                schema = {key: value for key, value in schema.items() if key != "allOf"}
                for part in parts:
                    schema = _merged(schema, part)
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
                schema = _merged(rest, self._branch(branches, depth))
            else:
                return dict(schema)
        return {}

    def _branch(self, branches: list[Any], depth: int) -> Any:
        """The first branch that is not null; deep down a simple one, should one be there."""
        plain = [one for one in branches if isinstance(one, Mapping) and one.get("type") != "null"]
        simple = [one for one in branches if isinstance(one, Mapping) and _is_leaf(one)]
        if depth > _FULL_DEPTH and simple:
            return simple[0]
        return (plain or branches)[0]

    def _target(self, reference: str) -> Any:
        found = self._root
        for part in unquote(reference.removeprefix("#")).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                found = found.get(key, {}) if isinstance(found, Mapping) else {}
        return found

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        names = [name for name in properties if depth < _FULL_DEPTH or name in required]
        names += [name for name in required if name not in names]
        most = schema.get("maxProperties")
        if isinstance(most, int) and len(names) > most:
            names = (required + [name for name in names if name not in required])[: max(most, len(required))]
        others = schema.get("additionalProperties", True)
        found = {
            name: self.value(properties.get(name, others), depth=depth + 1, variant=1)
            for name in names
            if properties.get(name) is not False
        }
        for number in range(min(int(schema.get("minProperties") or 0), _MAX_VALUES + 1) - len(found)):
            found[f"key{number + 1}"] = self.value(others, depth=depth + 1, variant=1)
        return found

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        leading = schema.get("prefixItems")
        leading = leading if isinstance(leading, list) else []
        rest = schema.get("items", True)
        wanted = max(int(schema.get("minItems") or 0), len(leading), 0 if depth >= _FULL_DEPTH else 1)
        most = schema.get("maxItems")
        if rest is False:
            most = len(leading) if not isinstance(most, int) else min(most, len(leading))
        if isinstance(most, int):
            wanted = min(wanted, most)
        schemas = [leading[at] if at < len(leading) else rest for at in range(min(wanted, _MAX_VALUES + 1))]
        distinct = bool(schema.get("uniqueItems"))
        return [
            self.value(each, depth=depth + 1, variant=at + 1 if distinct else 1)
            for at, each in enumerate(schemas)
        ]


def _merged(first: Any, second: Any) -> dict[str, Any]:
    """Both schemas in one: properties and required names together, else the second's word counts."""
    first = first if isinstance(first, Mapping) else {}
    second = second if isinstance(second, Mapping) else {}
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    for key, pick in (("minimum", max), ("minLength", max), ("minItems", max), ("maximum", min)):
        if key in first and key in second:
            merged[key] = pick(first[key], second[key])
    return merged


def _is_leaf(schema: Mapping[str, Any]) -> bool:
    return "$ref" not in schema and schema.get("type") not in ("object", "array") and "anyOf" not in schema


def _kind(schema: Mapping[str, Any]) -> str:
    told = schema.get("type")
    if isinstance(told, list):
        told = next((one for one in told if one != "null"), "null")
    if isinstance(told, str):
        return told
    hints = (
        ("object", ("properties", "required", "additionalProperties", "minProperties")),
        ("array", ("items", "prefixItems", "minItems")),
        ("number", ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")),
    )
    return next((kind for kind, keys in hints if any(key in schema for key in keys)), "string")


def _number(schema: Mapping[str, Any], variant: int, *, whole: bool) -> int | float:
    """Within the bounds, counting from the nearer one; a multiple where one is asked for."""
    step = abs(_limit(schema, "multipleOf") or 1)
    low = max(_limits(schema, "minimum", "exclusiveMinimum"), default=None)
    high = min(_limits(schema, "maximum", "exclusiveMaximum"), default=None)
    if low is not None:
        start, direction = math.ceil(low / step), 1
    elif high is not None and high < step * variant:
        start, direction = math.floor(high / step), -1
    else:
        start, direction = 1, 1
    for shift in (variant - 1, variant):
        value = (start + shift * direction) * step
        if _fits(schema, value):
            return int(value) if float(value).is_integer() else value
    if whole or low is None or high is None:
        return start
    return (low + high) / 2


def _limit(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _limits(schema: Mapping[str, Any], *keys: str) -> list[float]:
    return [value for key in keys if (value := _limit(schema, key)) is not None]


def _fits(schema: Mapping[str, Any], value: float) -> bool:
    low, above = _limit(schema, "minimum"), _limit(schema, "exclusiveMinimum")
    high, below = _limit(schema, "maximum"), _limit(schema, "exclusiveMaximum")
    return (
        (low is None or value >= low)
        and (above is None or value > above)
        and (high is None or value <= high)
        and (below is None or value < below)
    )


def _text(schema: Mapping[str, Any], variant: int) -> str:
    template = _FORMATS.get(str(schema.get("format")))
    if template is not None:
        return template.format(variant)
    least = int(schema.get("minLength") or 0)
    if least > _MAX_CHARS:
        raise SampleError("the schema asks for too much")
    most = schema.get("maxLength")
    most = most if isinstance(most, int) else max(least, 200)
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        found = text_for(pattern, least, most)
        if found is not None:
            return found
    words = re.sub(r"[^\w ]", " ", str(schema.get("title") or "example"))
    text = words if variant == 1 else f"{words} {variant}"
    return text.ljust(least, "x")[:most] if len(text) <= most else str(variant).ljust(least, "x")[:most]
