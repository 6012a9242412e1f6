"""Which messages are handed through to a server that only says it speaks Anthropic's dialect.

Whatever its description lacks it may leave out without a word, so that is translated, as for any other
provider: refused by its name, named as left out, or said in other words.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.errors import CannotCarry, HeadgateError, InvalidRequest
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, Provider, ProviderConfig
from headgate.providers.deepseek import DeepSeek
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI
from headgate.providers.dialects.openai_responses_sealed import Seal, seal
from headgate.providers.openrouter import OpenRouter
from headgate.providers.requesty import Requesty

CONFIG = ProviderConfig(api_key=Secret("sk-0123456789"))
OPENROUTER, REQUESTY, DEEPSEEK = OpenRouter(), Requesty(), DeepSeek()
CLAUDE = "anthropic/claude-sonnet-4.5"
ASKED: dict[str, Any] = {"max_tokens": 4000, "messages": [{"role": "user", "content": "Hi?"}]}
MARK = {"type": "ephemeral"}
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
LINK = {"type": "url", "url": "https://pictures.example/1.png"}
FILE = {"type": "file", "file_id": "file_1"}
CALLED = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
NESTED: list[Any] = []
for _ in range(400):
    NESTED = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": NESTED}]


def sent(provider: Provider, *, model: str = CLAUDE, **fields: Any) -> tuple[str, dict[str, Any], list[str]]:
    """The path, the body, and what is named as left out."""
    call = ChatCall(
        body={"model": "x/y", **ASKED, **fields}, model=model, stream=False, dialect=ANTHROPIC_MESSAGES
    )
    request = provider.build_chat(call, CONFIG)
    path = request.url.rpartition("/v1")[2] or request.url
    return path, json.loads(request.body or b""), call.dropped


def saying(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks)}]}


def answering(**result: Any) -> dict[str, Any]:
    """A turn that answers a tool call."""
    results = [{"type": "tool_result", "tool_use_id": "toolu_1", **result}]
    turns = [{"role": "assistant", "content": [CALLED]}, {"role": "user", "content": results}]
    return {"messages": [*ASKED["messages"], *turns], "tools": [TOOL]}


def thinking(signature: str) -> dict[str, Any]:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": signature}
    turns = [{"role": "assistant", "content": [thought, CALLED]}, *answering(content="seen")["messages"][2:]]
    return {"messages": [*ASKED["messages"], *turns], "tools": [TOOL]}


# -- handed through ---------------------------------------------------------------------------------------

PLAIN: list[dict[str, Any]] = [
    {},
    {"system": "Be brief."},
    {"temperature": 0.5, "top_k": 5, "stop_sequences": ["END"]},
    {"tools": [TOOL], "tool_choice": {"type": "any"}},
    {"container": None, "mcp_servers": None, "thinking": None},
    saying({"type": "image", "source": PNG}, {"type": "text", "text": "What?"}),
    saying({"type": "document", "source": PDF}),
    answering(content="seen"),
    answering(content=[{"type": "text", "text": "seen"}, {"type": "image", "source": PNG}]),
    answering(content=None),
    {"brand_new_field": {"kept": True}},
]
RICH: list[dict[str, Any]] = [
    {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
    {"metadata": {"user_id": "ann"}, "service_tier": "auto", "speed": "fast"},
    {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    {"cache_control": MARK, "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}]},
    {"tools": [{**TOOL, "cache_control": MARK, "defer_loading": True}]},
    {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
    {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    saying({"type": "image", "source": LINK}),
    saying({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "A"}]}}),
    saying({"type": "document", "source": PDF, "title": "T", "citations": {"enabled": True}}),
    answering(content="no", is_error=True),
    thinking("c2lnbmVk"),
    {"messages": [*ASKED["messages"], {"role": "system", "content": "Be brief."}]},
]


@pytest.mark.parametrize("fields", PLAIN)
@pytest.mark.parametrize("provider", [OPENROUTER, REQUESTY], ids=["openrouter", "requesty"])
def test_what_both_describe_is_handed_through_as_it_came(provider: Provider, fields: dict[str, Any]) -> None:
    assert sent(provider, **fields) == ("/messages", {**ASKED, "model": CLAUDE, **fields}, [])


@pytest.mark.parametrize("fields", RICH)
def test_what_openrouter_alone_describes_is_handed_through_to_it_alone(fields: dict[str, Any]) -> None:
    assert sent(OPENROUTER, **fields) == ("/messages", {**ASKED, "model": CLAUDE, **fields}, [])
    try:
        path, _, _ = sent(REQUESTY, **fields)
    except CannotCarry:
        return
    assert path == "/chat/completions"


# -- as with any other provider ---------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [OPENROUTER, REQUESTY], ids=["openrouter", "requesty"])
@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"container": "container_1"}, "container"),
        ({"mcp_servers": [{"type": "url", "url": "https://tools.example", "name": "t"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "tools[0]"),
        ({"tools": [{"type": "whatever_20990101", "name": "whatever"}]}, "tools[0]"),
        (saying({"type": "container_upload", "file_id": "file_1"}), "messages[0].content[0]"),
    ],
)
def test_what_neither_describes_is_refused_by_its_name(
    provider: Provider, fields: dict[str, Any], refused: str
) -> None:
    with pytest.raises(CannotCarry) as caught:
        sent(provider, **fields)
    assert [error.field for error in caught.value.errors] == [refused]


@pytest.mark.parametrize("provider", [OPENROUTER, REQUESTY], ids=["openrouter", "requesty"])
@pytest.mark.parametrize("kind", ["image", "document"])
def test_a_file_that_lies_with_another_provider_is_refused(provider: Provider, kind: str) -> None:
    with pytest.raises(HeadgateError):
        sent(provider, **saying({"type": kind, "source": FILE}))


@pytest.mark.parametrize("provider", [OPENROUTER, REQUESTY], ids=["openrouter", "requesty"])
def test_details_of_a_tool_that_neither_describes_are_said_in_other_words_or_named(
    provider: Provider,
) -> None:
    path, body, dropped = sent(provider, tools=[{**TOOL, "strict": True, "input_examples": [{}]}])
    assert path == "/chat/completions"
    assert body["tools"][0]["function"]["strict"] is True
    assert dropped == ["tools[].input_examples"]


def test_an_older_name_of_the_answers_format_is_said_in_other_words() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    path, body, _ = sent(OPENROUTER, output_format=wanted)
    assert path == "/chat/completions"
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_how_to_think_is_told_to_requesty_where_it_describes_it() -> None:
    path, body, _ = sent(REQUESTY, thinking={"type": "adaptive"}, output_config={"effort": "high"})
    assert (path, body["reasoning_effort"]) == ("/chat/completions", "high")


def test_a_thought_that_came_handed_through_goes_back_when_the_next_turn_is_translated() -> None:
    """A conversation may change between the two ways at any turn."""
    path, body, dropped = sent(OPENROUTER, **thinking("c2lnbmVk") | {"tools": [{**TOOL, "strict": True}]})
    assert path == "/chat/completions"
    assert [detail["signature"] for detail in body["messages"][1]["reasoning_details"]] == ["c2lnbmVk"]
    assert dropped == []


def test_a_thought_of_another_maker_is_left_out_and_named() -> None:
    sealed = seal(Seal(origin=GEMINI, signature="c2lnbmVk"))
    path, body, dropped = sent(OPENROUTER, **thinking(sealed))
    assert (path, dropped) == ("/messages", ["messages[].reasoning"])
    assert body["messages"][1] == {"role": "assistant", "content": [CALLED]}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": "Hi?"}, "messages"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"role": ["user"], "content": "Hi?"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        (saying("Hi?"), "messages[0].content[0]"),
        (saying({"text": "Hi?"}), "messages[0].content[0].type"),
        ({"tools": {}}, "tools"),
        ({"system": 7}, "system"),
    ],
)
def test_what_has_no_shape_is_named_by_the_gateway(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(OPENROUTER, **fields)
    assert field in [error.field for error in caught.value.errors]


NAMES = st.sampled_from(["type", "role", "content", "source", "text", "name", "tool_use_id"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "tool_result", "content", "user"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(messages=JSON, tools=JSON, system=JSON)
def test_no_request_is_too_mad_to_be_judged(messages: Any, tools: Any, system: Any) -> None:
    try:
        path, _, _ = sent(OPENROUTER, messages=messages, tools=tools, system=system)
    except HeadgateError:
        return
    assert path in ("/messages", "/chat/completions")


def test_a_request_of_any_depth_can_be_judged() -> None:
    with pytest.raises(HeadgateError):
        sent(OPENROUTER, messages=[{"role": "user", "content": NESTED}])


# -- DeepSeek ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"top_k": 5}, "top_k"),
        ({"service_tier": "priority"}, "service_tier"),
        (answering(content="no", is_error=True), "messages[].content[].is_error"),
    ],
)
def test_what_deepseek_would_ignore_in_silence_is_named_as_left_out(
    fields: dict[str, Any], named: str
) -> None:
    path, _, dropped = sent(DEEPSEEK, model="deepseek-chat", **fields)
    assert path == "https://api.deepseek.com/chat/completions"
    assert named in dropped


@pytest.mark.parametrize("name", ["container", "mcp_servers", "inference_geo"])
def test_what_deepseek_would_answer_otherwise_without_is_refused(name: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        sent(DEEPSEEK, model="deepseek-chat", **{name: ["x"]})
    assert [error.field for error in caught.value.errors] == [name]


def test_a_tool_that_must_be_called_must_be_called_at_deepseek_too() -> None:
    _, body, _ = sent(DEEPSEEK, model="deepseek-chat", tools=[TOOL], tool_choice={"type": "any"})
    assert body["tool_choice"] == "required"
