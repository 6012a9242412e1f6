"""Requests for messages as clients send them, read into conversations."""

from typing import Any

import pytest

from headgate.domain.conversation import (
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from headgate.domain.errors import InvalidRequest
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES
from tests.unit.providers.dialects.translating import (
    MESSAGES,
    assistant,
    faults,
    message_body,
    system,
    tool,
    user,
)

PDF = {"type": "base64", "media_type": "application/pdf", "data": "AAEC"}


def user_of(*blocks: dict[str, Any]) -> tuple[Message, ...]:
    return MESSAGES.read_request(message_body({"role": "user", "content": list(blocks)})).messages


def parts_of(*blocks: dict[str, Any]) -> tuple[Any, ...]:
    (message,) = user_of(*blocks)
    return message.parts


def assistant_of(*blocks: dict[str, Any]) -> tuple[Any, ...]:
    body = message_body({"role": "assistant", "content": list(blocks)})
    return MESSAGES.read_request(body).messages[0].parts


def extras_of(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return dict(MESSAGES.read_request(message_body(*messages, **fields)).extras)


# -- messages ---------------------------------------------------------------------------------------------


def test_instructions_come_first_and_stay_in_place_in_the_middle() -> None:
    body = message_body(
        {"role": "user", "content": "Hi?"},
        {"role": "system", "content": "Now be kind."},
        {"role": "assistant", "content": "Hello."},
        system="Be brief.",
    )
    assert MESSAGES.read_request(body).messages == (
        system("Be brief."),
        user("Hi?"),
        system("Now be kind."),
        assistant("Hello."),
    )


def test_cache_marks_are_read_everywhere() -> None:
    mark = {"type": "ephemeral"}
    conversation = MESSAGES.read_request(
        message_body(
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi?", "cache_control": {**mark, "ttl": "1h"}}],
            },
            system=[{"type": "text", "text": "Long.", "cache_control": mark}],
            tools=[{"name": "look", "input_schema": {"type": "object"}, "cache_control": mark}],
        )
    )
    assert conversation.messages == (
        system(Text(text="Long.", cache="5m")),
        user(Text(text="Hi?", cache="1h")),
    )
    assert conversation.tools == (Tool(name="look", parameters={"type": "object"}, cache="5m"),)


def test_images_are_read_from_every_source() -> None:
    assert parts_of(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ) == (
        Media(kind="image", data="aGk=", mime_type="image/png"),
        Media(kind="image", url="https://x.example/a.png"),
        Media(kind="image", file_id="file_1"),
    )


def test_documents_are_read_from_every_source() -> None:
    assert parts_of(
        {"type": "document", "source": PDF, "title": "a.pdf", "cache_control": {"type": "ephemeral"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "context": "From the archive."},
    ) == (
        Media(kind="file", data="AAEC", mime_type="application/pdf", name="a.pdf", cache="5m"),
        Media(kind="file", url="https://x.example/a.pdf"),
        Media(kind="file", data="aGVsbG8=", mime_type="text/plain"),
        Text(text="From the archive."),
        Media(kind="file", file_id="file_1"),
    )


def test_results_of_tools_are_a_message_of_their_own() -> None:
    body = message_body(
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "Rain.", "is_error": True},
                {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "Sun."}]},
                {"type": "tool_result", "tool_use_id": "c3"},
                {"type": "text", "text": "And?"},
            ],
        },
    )
    assert MESSAGES.read_request(body).messages == (
        assistant(ToolCall(id="c1", name="look", arguments='{"a":1}')),
        tool(
            ToolResult(call_id="c1", name="look", parts=(Text(text="Rain."),), is_error=True),
            ToolResult(call_id="c2", parts=(Text(text="Sun."),)),
            ToolResult(call_id="c3", parts=()),
        ),
        user("And?"),
    )


def test_media_in_a_result_are_part_of_it() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    document = {"type": "document", "source": PDF}
    (result,) = parts_of({"type": "tool_result", "tool_use_id": "c1", "content": [image, document]})
    assert [part.kind for part in result.parts] == ["image", "file"]


def test_thoughts_are_read_with_who_signed_them() -> None:
    assert assistant_of(
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EqQC"},
        {"type": "text", "text": "Yes."},
    ) == (
        Reasoning(text="Hm.", signature="EqQB", origin=ANTHROPIC_MESSAGES),
        Reasoning(redacted="EqQC", origin=ANTHROPIC_MESSAGES),
        Text(text="Yes."),
    )


def test_an_empty_turn_is_one() -> None:
    assert user_of() == (Message(role=Role.USER, parts=()),)
    assert assistant_of() == ()


# -- fields -----------------------------------------------------------------------------------------------


def test_limits_and_sampling_are_read() -> None:
    conversation = MESSAGES.read_request(
        message_body(
            temperature=0.5,
            top_p=0.9,
            top_k=5,
            stop_sequences=["END"],
            metadata={"user_id": "u-1"},
            stream=True,
        )
    )
    assert conversation.max_tokens == 100
    assert (conversation.temperature, conversation.top_p, conversation.top_k) == (0.5, 0.9, 5)
    assert (conversation.stop, conversation.user) == (("END",), "u-1")
    assert conversation.extras == {}


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto")),
        ({"type": "any"}, ToolChoice(mode="required")),
        ({"type": "none"}, ToolChoice(mode="none")),
        ({"type": "tool", "name": "look"}, ToolChoice(mode="tool", name="look")),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(mode="auto", parallel=False)),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice(mode="required", parallel=True)),
        (None, None),
    ],
)
def test_a_choice_of_tools_is_read(told: Any, choice: ToolChoice | None) -> None:
    assert MESSAGES.read_request(message_body(tool_choice=told)).tool_choice == choice


def test_tools_that_the_client_runs_are_read_and_hints_about_them_named() -> None:
    plain = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}, "strict": True}
    hinted = {
        "type": "custom",
        "name": "see",
        "input_schema": {},
        "defer_loading": True,
        "input_examples": [],
    }
    conversation = MESSAGES.read_request(message_body(tools=[plain, hinted]))
    assert conversation.tools == (
        Tool(name="look", description="Looks.", parameters={"type": "object"}, strict=True),
        Tool(name="see"),
    )
    assert set(conversation.extras) == {"tools[].defer_loading", "tools[].input_examples"}


@pytest.mark.parametrize(
    ("told", "thinking"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Thinking(budget_tokens=2000)),
        ({"thinking": {"type": "disabled"}}, Thinking(effort="none")),
        (
            {"thinking": {"type": "between_tools"}, "output_config": {"effort": "low"}},
            Thinking(effort="none"),
        ),
        ({"thinking": {"type": "adaptive"}}, Thinking(adaptive=True)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Thinking(effort="max", visible=False),
        ),
        ({"output_config": {"effort": "low"}}, Thinking(effort="low")),
        (
            {
                "thinking": {"type": "enabled", "budget_tokens": 9, "display": "summarized"},
                "output_config": {"effort": "high"},
            },
            Thinking(effort="high", budget_tokens=9, visible=True),
        ),
        ({}, None),
    ],
)
def test_how_much_to_think_is_read(told: dict[str, Any], thinking: Thinking | None) -> None:
    assert MESSAGES.read_request(message_body(**told)).thinking == thinking


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_a_schema_for_the_answer_is_read_from_both_its_places(field: str) -> None:
    told = {"type": "json_schema", "schema": {"type": "object"}}
    body = message_body(**{field: {"format": told} if field == "output_config" else told})
    output = OutputFormat(kind="json_schema", schema={"type": "object"}, strict=True)
    assert MESSAGES.read_request(body).output == output


# -- what has no place ------------------------------------------------------------------------------------


def test_what_the_provider_did_itself_is_left_out_by_name() -> None:
    found = extras_of(
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                {"type": "mcp_tool_use", "id": "m", "name": "x", "server_name": "y", "input": {}},
                {"type": "mcp_tool_result", "tool_use_id": "m", "content": []},
                {"type": "text", "text": "Found.", "citations": [{"type": "char_location"}]},
            ],
        },
    )
    assert set(found) == {
        "messages[].content[].server_tool_use",
        "messages[].content[].web_search_tool_result",
        "messages[].content[].mcp_tool_use",
        "messages[].content[].mcp_tool_result",
        "messages[].content[].citations",
    }


def test_what_nobody_else_can_say_is_kept_by_path() -> None:
    found = extras_of(
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi?"}, {"type": "search_result", "content": []}],
        },
        {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "tool_reference"}]}],
        },
        {"role": "user", "content": [{"type": "document", "source": {"type": "content", "content": []}}]},
        {"role": "system", "content": [{"type": "tool_addition"}]},
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "brand_new"},
        output_format={"type": "grammar"},
    )
    assert set(found) == {
        "messages[0].content[1]",
        "messages[1].content[0]",
        "messages[2].content[0].content[0]",
        "messages[3].content[0].source",
        "messages[4].content[0]",
        "tools[0]",
        "tool_choice",
        "output_format",
    }


def test_fields_without_a_place_are_kept_by_name() -> None:
    told = {
        "service_tier": "auto",
        "brand_new": 1,
        "metadata": {"user_id": "u", "team": "t"},
        "output_config": {"effort": "low", "task_budget": {"type": "tokens", "total": 9}},
    }
    assert extras_of(**told) == {
        "service_tier": "auto",
        "brand_new": 1,
        "metadata": {"team": "t"},
        "output_config.task_budget": {"type": "tokens", "total": 9},
    }


def test_citations_that_were_asked_for_are_named_and_those_that_were_not_are_not() -> None:
    def document(**citations: Any) -> dict[str, Any]:
        return {"role": "user", "content": [{"type": "document", "source": PDF, "citations": citations}]}

    assert set(extras_of(document(enabled=True))) == {"messages[].content[].citations"}
    assert extras_of(document(enabled=False)) == {}


def test_how_a_tool_was_called_is_not_worth_a_word() -> None:
    call = {"type": "tool_use", "id": "c", "name": "look", "input": {}, "caller": {"type": "direct"}}
    assert extras_of({"role": "assistant", "content": [call]}) == {}


# -- what is wrong ----------------------------------------------------------------------------------------


def content(*blocks: Any) -> dict[str, Any]:
    return message_body({"role": "user", "content": list(blocks)})


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (message_body(messages=None), "messages"),
        (message_body(messages=[]), "messages"),
        (message_body(messages=["Hi?"]), "messages[0]"),
        (message_body({"role": "tool", "content": "Hi?"}), "messages[0].role"),
        (message_body({"role": "user"}), "messages[0].content"),
        (content(7), "messages[0].content[0]"),
        (content({"text": "Hi?"}), "messages[0].content[0].type"),
        (content({"type": "text"}), "messages[0].content[0].text"),
        (content({"type": "image"}), "messages[0].content[0].source"),
        (content({"type": "image", "source": {"data": "A"}}), "messages[0].content[0].source.type"),
        (
            content({"type": "image", "source": {"type": "base64", "data": "A"}}),
            "messages[0].content[0].source.media_type",
        ),
        (content({"type": "image", "source": {"type": "url"}}), "messages[0].content[0].source.url"),
        (content({"type": "tool_result", "content": "Rain."}), "messages[0].content[0].tool_use_id"),
        (
            message_body({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "input": {}}]}),
            "messages[0].content[0].name",
        ),
        (
            message_body(
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "c", "name": "x", "input": "{}"}],
                }
            ),
            "messages[0].content[0].input",
        ),
        (message_body(system=7), "system"),
        (message_body(max_tokens=0), "max_tokens"),
        (message_body(max_tokens="7"), "max_tokens"),
        (message_body(stop_sequences="END"), "stop_sequences"),
        (message_body(tools=[{"input_schema": {}}]), "tools[0].name"),
        (message_body(tools=[{"name": "look", "input_schema": []}]), "tools[0].input_schema"),
        (message_body(tool_choice="auto"), "tool_choice"),
        (message_body(tool_choice={"type": "tool"}), "tool_choice.name"),
        (message_body(thinking={"type": "much"}), "thinking.type"),
        (message_body(thinking={"type": "enabled"}), "thinking.budget_tokens"),
        (message_body(output_config={"effort": "immense"}), "output_config.effort"),
        (message_body(output_config={"format": {"type": "json_schema"}}), "output_config.format.schema"),
        (message_body(metadata={"user_id": 7}), "metadata.user_id"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        MESSAGES.read_request(body)
    assert faults(caught.value) == [path]


def test_a_body_to_be_counted_has_no_limit() -> None:
    body = message_body()
    del body["max_tokens"]
    assert MESSAGES.read_request(body).max_tokens is None
