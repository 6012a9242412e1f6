"""Fields without a place across dialects: every row of the tables, and what holds for all of them."""

from pathlib import Path
from typing import Any

import pytest

from headgate.domain.errors import CannotCarry
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT
from headgate.providers.dialects.carrying import RULES, carry
from tests.unit.providers.dialects.translating import (
    call_of,
    chat_body,
    faults,
    message_body,
    to_chat,
    to_claude,
)

DOCS = Path(__file__).parents[4] / "docs" / "translation.md"

# One telling value of each field, as a caller would send it.
REFUSED_OF_CHAT: dict[str, Any] = {
    "n": 2,
    "logprobs": True,
    "top_logprobs": 5,
    "logit_bias": {"50256": -100},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "web_search_options": {"search_context_size": "low"},
    "plugins": [{"id": "web"}],
    "moderation": {"model": "omni-moderation-latest"},
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    "response_format": {"type": "grammar", "grammar": "root ::= x"},
    "preset": "mine",
}
DROPPED_OF_CHAT: dict[str, Any] = {
    "route": "sort",
    "transforms": ["middle-out"],
    "prediction": {"type": "content", "content": "x"},
    "service_tier": "flex",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "stream_options": {"include_obfuscation": False},
    "usage": {"include": False},
    "store": True,
    "metadata": {"team": "t"},
    "safety_identifier": "u",
    "session_id": "s",
    "verbosity": "low",
    "min_p": 0.1,
    "top_a": 0.1,
    "repetition_penalty": 1.1,
}
REFUSED_OF_MESSAGES: dict[str, Any] = {
    "container": "container_1",
    "mcp_servers": [{"type": "url", "url": "https://x.example", "name": "x"}],
    "tool_choice": {"type": "brand_new"},
    "output_format": {"type": "grammar"},
    "inference_geo": "eu",
}
DROPPED_OF_MESSAGES: dict[str, Any] = {
    "context_management": {"edits": []},
    "cache_control": {"type": "ephemeral"},
    "service_tier": "priority",
    "speed": "fast",
    "output_config.task_budget": {"type": "tokens", "total": 9},
    "metadata": {"team": "t"},
}
HARMLESS_OF_CHAT: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
    "modalities": ["text"],
    "plugins": [],
    "route": "fallback",
    "transforms": [],
    "service_tier": "auto",
    "stream_options": {"include_usage": True},
    "usage": {"include": True},
    "store": False,
    "metadata": {},
    "verbosity": "medium",
    "min_p": 0,
    "top_a": 0.0,
    "repetition_penalty": 1.0,
}


def body_of(name: str, value: Any) -> dict[str, Any]:
    """A request for a message with this field, wherever it stands."""
    outer, _, inner = name.partition(".")
    return message_body(**{outer: {inner: value} if inner else value})


def test_every_row_is_tried() -> None:
    assert set(RULES[OPENAI_CHAT]) == REFUSED_OF_CHAT.keys() | DROPPED_OF_CHAT.keys()
    assert set(RULES[ANTHROPIC_MESSAGES]) == REFUSED_OF_MESSAGES.keys() | DROPPED_OF_MESSAGES.keys()
    for name, rule in RULES[OPENAI_CHAT].items():
        assert rule.refused == (name in REFUSED_OF_CHAT)
        assert bool(rule.harmless) == (name in HARMLESS_OF_CHAT)


@pytest.mark.parametrize("name", REFUSED_OF_CHAT)
def test_what_would_change_the_answer_is_refused_by_name(name: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        to_claude(chat_body(**{name: REFUSED_OF_CHAT[name]}))
    assert faults(caught.value) == [name]
    assert name in caught.value.detail
    assert caught.value.failover, "another candidate may be able to"


@pytest.mark.parametrize("name", DROPPED_OF_CHAT)
def test_what_would_not_is_left_out_by_name(name: str) -> None:
    call = call_of(model="claude-opus-5")
    body = to_claude(chat_body(**{name: DROPPED_OF_CHAT[name]}), call)
    assert call.dropped == [name]
    assert body.keys() == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize("name", HARMLESS_OF_CHAT)
def test_what_asks_for_nothing_is_not_worth_a_word(name: str) -> None:
    call = call_of(model="claude-opus-5")
    body = to_claude(chat_body(**{name: HARMLESS_OF_CHAT[name]}), call)
    assert call.dropped == []
    assert name not in body


@pytest.mark.parametrize("name", REFUSED_OF_MESSAGES)
def test_what_anthropics_clients_can_ask_only_of_anthropic_is_refused_by_name(name: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        to_chat(body_of(name, REFUSED_OF_MESSAGES[name]))
    assert faults(caught.value) == [name]


@pytest.mark.parametrize("name", DROPPED_OF_MESSAGES)
def test_what_steers_only_anthropics_own_cost_is_left_out_by_name(name: str) -> None:
    call = call_of(ANTHROPIC_MESSAGES)
    body = to_chat(body_of(name, DROPPED_OF_MESSAGES[name]), call)
    assert call.dropped == [name]
    assert body.keys() == {"model", "max_tokens", "messages"}


def test_null_is_not_said() -> None:
    call = call_of(model="claude-opus-5")
    to_claude(chat_body(**dict.fromkeys([*REFUSED_OF_CHAT, *DROPPED_OF_CHAT])), call)
    assert call.dropped == []


def test_all_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(CannotCarry) as caught:
        to_claude(chat_body(n=2, logprobs=True, tools=[{"type": "web_search"}]))
    assert sorted(faults(caught.value)) == ["logprobs", "n", "tools[0]"]


def test_parts_without_a_place_are_refused_with_their_kind() -> None:
    with pytest.raises(CannotCarry) as caught:
        to_chat(message_body({"role": "user", "content": [{"type": "search_result", "content": []}]}))
    assert faults(caught.value) == ["messages[0].content[0]"]
    assert "search_result" in caught.value.detail


def test_details_without_a_place_are_left_out_once() -> None:
    call = call_of(ANTHROPIC_MESSAGES)
    cited = {"type": "text", "text": "Yes.", "citations": [{"type": "char_location"}]}
    to_chat(message_body({"role": "assistant", "content": [cited, cited]}), call)
    assert call.dropped == ["messages[].content[].citations"]


def test_a_field_in_no_table_reaches_the_provider() -> None:
    assert to_claude(chat_body(brand_new={"a": 1}))["brand_new"] == {"a": 1}
    assert to_chat(message_body(brand_new={"a": 1}))["brand_new"] == {"a": 1}


def test_a_back_can_say_a_field_of_the_table_after_all() -> None:
    call = call_of()
    assert carry({"n": 2, "store": True, "x": 1}, call, own={"n"}) == {"n": 2, "x": 1}
    assert call.dropped == ["store"]


def test_the_page_about_translation_tells_the_fate_of_every_field() -> None:
    page = DOCS.read_text()
    for table in RULES.values():
        for name, rule in table.items():
            assert f"| `{name}` | {'refused' if rule.refused else 'left out'} | {rule.why} |" in page, name
