"""What is made up for a schema satisfies it, whatever the schema asks for within reason."""

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers._json_sample import SampleError, sample
from headgate.providers._pattern_sample import text_for

NODE = {
    "type": "object",
    "properties": {"value": {"const": 3}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}
TREE = {
    "type": "object",
    "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["kids"],
}

PATTERNS = (
    r"^[A-Z]{3}-\d{4}$",
    r"^(?:\+\d{1,3} )?\(?\d{3}\)?[-. ]?\d{4}$",
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
    r"foo|bar",
    r"^[a-z0-9-]{1,10}$",
    r"^\S{4}\s\D\W$",
    r"^(?P<year>\d{4})-(0[1-9]|1[0-2])$",
    r"^[\w.+-]+?$",
    r"^#[0-9a-fA-F]{6}$",
    r"^\[\]\\/$",
    r"^[]a]x{0,3}y{2,}z*$",
    r"^$",
    r"^.{5,}$",
    r"\bword\b",
)

SCHEMAS: tuple[Any, ...] = (
    True,
    {},
    {"type": "string"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["null", "integer"]},
    {"enum": [None, 1]},
    {"const": {"a": [1]}},
    {"type": "integer", "minimum": 5, "maximum": 7},
    {"type": "integer", "exclusiveMinimum": 0},
    {"type": "integer", "exclusiveMaximum": 0},
    {"type": "integer", "maximum": -4},
    {"type": "integer", "minimum": 0, "maximum": 0},
    {"type": "integer", "multipleOf": 7, "minimum": 8},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0.1, "maximum": 0.2},
    {"type": "number", "multipleOf": 0.5, "minimum": 0.7},
    {"type": "number", "maximum": -3.5},
    {"minimum": 3},
    {"type": "array", "items": {"type": "integer", "minimum": 5}, "minItems": 9, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "string"}, "minItems": 4, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    {"type": "array", "maxItems": 0},
    {"items": {"type": "boolean"}, "minItems": 2},
    {"type": "object"},
    {"type": "object", "required": ["x"]},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {
        "type": "object",
        "properties": {"a": True, "b": True, "c": True},
        "maxProperties": 2,
        "required": ["c"],
    },
    {"type": "object", "properties": {"gone": False, "kept": {"type": "integer"}}},
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    TREE,
    {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string", "minLength": 10, "maxLength": 12}}, "required": ["b"]},
        ]
    },
    {"allOf": [{"type": "integer", "minimum": 3}, {"minimum": 8, "maximum": 9}]},
    {"oneOf": [{"type": "null"}, {"type": "string", "format": "uuid"}]},
    {"type": "string", "minLength": 300},
    {"type": "string", "maxLength": 2},
    {"type": "string", "minLength": 4, "maxLength": 4, "title": "A long title"},
    *({"type": "string", "pattern": pattern} for pattern in PATTERNS),
    {"type": "string", "pattern": r"^\w+$", "minLength": 20, "maxLength": 25},
    {"type": "string", "pattern": "foo", "minLength": 8},
    *(
        {"type": "string", "format": name}
        for name in ("date-time", "date", "time", "email", "ipv4", "ipv6", "uuid")
    ),
)


def check(schema: Any) -> None:
    validator = jsonschema.Draft202012Validator
    validator(schema, format_checker=validator.FORMAT_CHECKER).validate(sample(schema))


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_a_sample_satisfies_its_schema(schema: Any) -> None:
    check(schema)


@given(st.dictionaries(st.text(max_size=4), st.sampled_from(SCHEMAS[2:30]), max_size=6), st.data())
def test_objects_of_such_schemas_are_satisfied(properties: dict[str, Any], data: st.DataObject) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    inner = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    check({"type": "object", "properties": {"list": {"type": "array", "items": inner, "minItems": 2}}})


def test_the_same_schema_gives_the_same_sample() -> None:
    assert [sample(schema) for schema in SCHEMAS] == [sample(schema) for schema in SCHEMAS]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**12},
        {"type": "object", "minProperties": 10**9},
        {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]},
        {
            "allOf": [
                {
                    "type": "object",
                    "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}},
                    "required": ["a", "b"],
                }
            ]
        },
        {"required": 5},
        {"type": "array", "minItems": "x"},
    ],
)
def test_a_schema_without_an_end_or_a_sense_is_refused(schema: Any) -> None:
    with pytest.raises(SampleError):
        sample(schema)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_text_matches_its_pattern(pattern: str) -> None:
    text = text_for(pattern, 0, 50)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize(
    "pattern", [r"(?=a)b", r"(a)\1", r"[", r"(", r"a{1000000000}", r"(a{1000}){1000}", r"[b-a]"]
)
def test_a_pattern_that_is_not_understood_gives_none(pattern: str) -> None:
    assert text_for(pattern, 0, 50) is None
