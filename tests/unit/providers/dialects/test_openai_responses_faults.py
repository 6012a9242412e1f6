"""What of a client's Response is refused across dialects, what is left out, and what is wrong."""

from collections.abc import Mapping
from typing import Any

import pytest

from headgate.domain.conversation import Conversation
from headgate.domain.errors import CannotCarry, InvalidRequest
from headgate.providers.dialects.carrying import FieldRule, carry
from headgate.providers.dialects.openai_responses_rules import FIELDS, INCLUDED, ITEMS, TOOLS
from tests.unit.providers.dialects.responses import DIALECT, asking

HELLO: Mapping[str, Any] = {"role": "user", "content": "Hello"}


def read(**body: Any) -> Conversation:
    return DIALECT.read_request({"model": "m", "input": "Hello", **body})


def wrong(**body: Any) -> list[str]:
    """The paths of what is wrong with a request."""
    with pytest.raises(InvalidRequest) as raised:
        read(**body)
    assert not isinstance(raised.value, CannotCarry)
    return [error.field for error in raised.value.errors]


def refused(**body: Any) -> list[str]:
    """The paths of what nobody else can say."""
    with pytest.raises(CannotCarry) as raised:
        read(**body)
    assert raised.value.failover
    return [error.field for error in raised.value.errors]


# -- what nobody else can say -----------------------------------------------------------------------------

ASKING: Mapping[str, Any] = {
    "background": True,
    "context_management": [{"type": "compaction"}],
    "include": ["web_search_call.action.sources"],
    "max_tool_calls": 3,
    "min_p": 0.1,
    "plugins": [{"id": "web"}],
    "reasoning.context": "all_turns",
    "reasoning.mode": "pro",
    "repetition_penalty": 1.5,
    "service_tier": "flex",
    "store": True,
    "text.format": {"type": "grammar"},
    "text.verbosity": "low",
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []},
    "top_a": 0.1,
    "top_logprobs": 2,
    "truncation": "auto",
}
"""A value of each field that asks for something; for the others any text does."""


def fate_of(name: str, value: Any) -> tuple[list[str], list[str], dict[str, Any]]:
    """Of a field that a client sends: what is refused, what is dropped, what goes on as it is."""
    outer, _, inner = name.partition(".")
    conversation = read(**{outer: {inner: value} if inner else value})
    asked = asking()
    try:
        kept = carry(conversation.extras, asked)
    except CannotCarry as error:
        return [each.field for each in error.errors], asked.dropped, {}
    return [], asked.dropped, kept


@pytest.mark.parametrize(("name", "rule"), FIELDS.items())
def test_every_field_of_its_own_is_refused_or_left_out_by_name(name: str, rule: FieldRule) -> None:
    refused_ones, dropped, kept = fate_of(name, ASKING.get(name, "x"))
    assert (refused_ones, dropped) == (([name], []) if rule.refused else ([], [name]))
    assert kept == {}
    assert rule.why


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, rule in FIELDS.items() for value in (*rule.harmless, None)]
)
def test_a_value_that_asks_for_nothing_is_not_spoken_of(name: str, value: Any) -> None:
    assert fate_of(name, value) == ([], [], {})


def test_a_field_that_no_table_knows_goes_to_the_provider() -> None:
    assert fate_of("brand_new", {"x": 1}) == ([], [], {"brand_new": {"x": 1}})


@pytest.mark.parametrize(("kind", "why"), [*TOOLS.items(), ("brand_new", "")])
def test_every_tool_but_a_function_is_refused_by_name(kind: str, why: str) -> None:
    function = {"type": "function", "name": "f", "parameters": {}}
    with pytest.raises(CannotCarry, match=rf"tools\[1\]: {kind}: {why}"):
        read(tools=[function, {"type": kind, "name": "x"}])


@pytest.mark.parametrize(("kind", "why"), [*ITEMS.items(), ("brand_new", "")])
def test_every_item_that_only_responses_know_is_refused_by_name(kind: str, why: str) -> None:
    with pytest.raises(CannotCarry, match=rf"input\[1\]: {kind}: {why}"):
        read(input=[HELLO, {"type": kind, "id": "x"}])


@pytest.mark.parametrize("name", INCLUDED)
def test_what_would_be_missed_in_the_answer_is_refused_by_name(name: str) -> None:
    assert refused(include=["reasoning.encrypted_content", name]) == ["include[1]"]


def test_encrypted_thoughts_need_not_be_asked_for() -> None:
    assert read(include=["reasoning.encrypted_content"]).extras == {}


def test_all_that_is_refused_is_named_at_once() -> None:
    content = [{"type": "input_video", "x": 1}]
    named = refused(
        tools=[{"type": "mcp"}, {"type": "web_search"}], input=[{"role": "user", "content": content}]
    )
    assert named == ["input[0].content[0]", "tools[0]", "tools[1]"]


def test_details_without_a_place_are_left_out_by_name() -> None:
    annotated = {"type": "output_text", "text": "x", "annotations": [{"type": "url_citation"}]}
    conversation = read(
        input=[HELLO, {"role": "assistant", "content": [annotated], "brand_new": 1}],
        tools=[{"type": "function", "name": "f", "parameters": {}, "defer_loading": True}],
        text={"brand_new": 1},
        reasoning={"brand_new": 1},
    )
    asked = asking()
    assert carry(conversation.extras, asked) == {}
    assert sorted(asked.dropped) == [
        "input[].brand_new",
        "input[].content[].annotations",
        "reasoning[].brand_new",
        "text[].brand_new",
        "tools[].defer_loading",
    ]


# -- what is wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": 3}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
        ({"input": [HELLO, {"role": "user", "content": ["x"]}]}, "input[1].content[0]"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "assistant", "content": [{"type": "refusal"}]}]}, "input[0].content[0].refusal"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": ""}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": ""}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "function_call_output", "output": ""}]}, "input[0].call_id"),
        ({"input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
        ({"input": [{"type": "reasoning", "encrypted_content": 3}]}, "input[0].encrypted_content"),
        ({"instructions": 3}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [{"type": "function", "name": "f", "strict": "yes"}]}, "tools[0].strict"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"tool_choice": {"name": "f"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"text": "x"}, "text"),
        ({"text": {"format": {}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": 3}}}, "text.format.schema"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": "64"}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"include": "x"}, "include"),
        ({"user": 3}, "user"),
        ({"stop": 3}, "stop"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: Any, path: str) -> None:
    assert path in wrong(**body)


@pytest.mark.parametrize("url", ["ftp://x.example/a", "file:///etc/passwd", "data:image/png,AAAA", "a.png"])
def test_only_http_and_base64_addresses_are_taken(url: str) -> None:
    for part in ({"type": "input_image", "image_url": url}, {"type": "input_file", "file_url": url}):
        field = f"input[0].content[0].{[*part][1]}"
        assert wrong(input=[{"role": "user", "content": [part]}]) == [field]


def test_what_is_wrong_is_told_before_what_is_refused_and_all_of_it() -> None:
    assert wrong(tools=[{"type": "mcp"}], temperature="x", top_p="y", instructions=1) == [
        "instructions",
        "temperature",
        "top_p",
    ]
