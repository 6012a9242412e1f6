"""A conversation written for a provider of Responses, and what can't be said there."""

from typing import Any

import pytest

from headgate.domain.conversation import (
    Conversation,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from headgate.domain.errors import CannotCarry
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.dialects.openai_chat import OpenAIChat
from tests.unit.providers.dialects.responses import DIALECT, asking

HELLO = Message(role=Role.USER, parts=(Text(text="Hello"),))


def chatting(**members: Any) -> ChatCall:
    """A call of a client of chat completions."""
    return asking(dialect=OPENAI_CHAT, **members)


def write(*messages: Message, **members: Any) -> dict[str, Any]:
    return DIALECT.write_request(Conversation(messages=messages or (HELLO,), **members), chatting())


def dropped(*messages: Message, **members: Any) -> list[str]:
    """The names of what was left out."""
    call = chatting()
    DIALECT.write_request(Conversation(messages=messages or (HELLO,), **members), call)
    return call.dropped


def items(*messages: Message) -> list[dict[str, Any]]:
    return list(write(*messages)["input"])


def assistant(*parts: Part) -> Message:
    return Message(role=Role.ASSISTANT, parts=parts)


def system(*texts: str) -> Message:
    return Message(role=Role.SYSTEM, parts=tuple(Text(text=text) for text in texts))


def test_the_least_request_says_only_what_was_asked_and_that_nothing_is_to_be_kept() -> None:
    assert write() == {
        "model": "native",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "store": False,
    }


def test_stream_is_asked_for_only_when_it_is_wanted() -> None:
    conversation = Conversation(messages=(HELLO,))
    assert DIALECT.write_request(conversation, chatting(stream=True))["stream"] is True
    assert "stream" not in DIALECT.write_request(conversation, chatting())


def test_the_first_system_message_is_the_instructions_and_later_ones_stay_in_place() -> None:
    body = write(system("Be brief."), HELLO, system("Be kind."))
    assert body["instructions"] == "Be brief."
    assert [item["role"] for item in body["input"]] == ["user", "system"]


def test_a_system_message_that_is_all_there_is_or_has_parts_stays_in_the_input() -> None:
    for messages in ((system("a"),), (system("a", "b"), HELLO)):
        body = write(*messages)
        assert "instructions" not in body
        assert body["input"][0]["role"] == "system"


@pytest.mark.parametrize(
    ("media", "written"),
    [
        (
            Media(kind="image", url="https://x.example/a.png", detail="low"),
            {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
        ),
        (
            Media(kind="image", data="AAAA", mime_type="image/png"),
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
        ),
        (Media(kind="image", file_id="file-1"), {"type": "input_image", "file_id": "file-1"}),
        (Media(kind="file", file_id="file-1"), {"type": "input_file", "file_id": "file-1"}),
        (
            Media(kind="file", url="https://x.example/a.pdf"),
            {"type": "input_file", "file_url": "https://x.example/a.pdf"},
        ),
        (
            Media(kind="file", data="AAAA", mime_type="application/pdf"),
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,AAAA",
            },
        ),
        (
            Media(kind="audio", data="AAAA", mime_type="audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        ),
    ],
)
def test_images_files_and_sound_are_written(media: Media, written: Any) -> None:
    (item,) = items(Message(role=Role.USER, parts=(media,)))
    assert item["content"] == [written]


def test_a_turn_of_the_assistant_is_its_items_in_order() -> None:
    turn = assistant(
        Reasoning(text="Hm", signature="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),
        Text(text="I'll look."),
        Refusal(text="No"),
        ToolCall(id="call_1", name="f", arguments=""),
        Text(text="There."),
    )
    assert items(HELLO, turn)[1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm"}],
            "encrypted_content": "gAAAA",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "I'll look.", "annotations": []},
                {"type": "refusal", "refusal": "No"},
            ],
        },
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "There.", "annotations": []}],
        },
    ]


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(text="Hm", signature="sig", origin=ANTHROPIC_MESSAGES),
        Reasoning(redacted="opaque", origin=ANTHROPIC_MESSAGES),
        Reasoning(text="Hm"),
        Reasoning(text="Hm", signature="sig"),
        Reasoning(text="Hm", origin=OPENAI_RESPONSES),
    ],
)
def test_thoughts_that_no_provider_of_this_dialect_signed_are_left_out_by_name(thought: Reasoning) -> None:
    messages = (HELLO, assistant(thought, Text(text="x")))
    assert [item["type"] for item in items(*messages)] == ["message", "message"]
    assert dropped(*messages) == ["messages[].reasoning"]


@pytest.mark.parametrize(
    ("parts", "output"),
    [
        ((), ""),
        ((Text(text="1"),), "1"),
        (
            (Text(text="1"), Text(text="2")),
            [{"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}],
        ),
        (
            (Media(kind="image", url="https://x.example/a.png"),),
            [{"type": "input_image", "image_url": "https://x.example/a.png"}],
        ),
    ],
)
def test_results_of_tools_are_texts_or_parts(parts: Any, output: Any) -> None:
    result = ToolResult(call_id="call_1", parts=parts, name="f")
    assert items(HELLO, Message(role=Role.TOOL, parts=(result,)))[1:] == [
        {"type": "function_call_output", "call_id": "call_1", "output": output}
    ]


def test_what_else_stands_beside_a_result_is_not_lost() -> None:
    result = ToolResult(call_id="call_1", parts=())
    written = items(HELLO, Message(role=Role.TOOL, parts=(Text(text="And?"), result)))
    assert [item["type"] for item in written[1:]] == ["function_call_output", "message"]
    assert written[2]["role"] == "user"


def test_a_function_is_not_strict_unless_it_was_told_so() -> None:
    tools = (Tool(name="f"), Tool(name="g", description="d", parameters={"type": "object"}, strict=True))
    assert write(tools=tools)["tools"] == [
        {
            "type": "function",
            "name": "f",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {
            "type": "function",
            "name": "g",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": True,
        },
    ]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="required", parallel=False), ("required", False)),
        (ToolChoice(mode="tool", name="f"), ({"type": "function", "name": "f"}, None)),
        (ToolChoice(parallel=True), ("auto", True)),
    ],
)
def test_the_choice_of_tools_is_written(choice: ToolChoice, written: Any) -> None:
    body = write(tool_choice=choice)
    assert (body["tool_choice"], body.get("parallel_tool_calls")) == written


def test_a_schema_needs_a_name() -> None:
    output = OutputFormat(kind="json_schema", schema={"type": "object"}, strict=True)
    assert write(output=output)["text"] == {
        "format": {
            "type": "json_schema",
            "name": "answer",
            "schema": {"type": "object"},
            "strict": True,
        }
    }


@pytest.mark.parametrize(
    ("thinking", "written"),
    [
        (Thinking(), None),
        (Thinking(adaptive=True), None),
        (Thinking(effort="high", visible=True), {"effort": "high", "summary": "auto"}),
        (Thinking(effort="low", visible=False), {"effort": "low"}),
        (Thinking(budget_tokens=0), {"effort": "none"}),
        (Thinking(budget_tokens=2000), {"effort": "low"}),
        (Thinking(budget_tokens=100_000), {"effort": "high"}),
    ],
)
def test_thinking_is_an_effort_and_a_summary_where_it_is_to_be_seen(thinking: Thinking, written: Any) -> None:
    assert write(thinking=thinking).get("reasoning") == written


def test_what_a_chat_completion_says_by_other_names_is_carried() -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": 64,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "verbosity": "low",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "store": True,
        "brand_new": 1,
    }
    call = chatting()
    written = DIALECT.write_request(OpenAIChat().read_request(body), call)
    assert {name: value for name, value in written.items() if name not in ("model", "input")} == {
        "max_output_tokens": 64,
        "temperature": 0.5,
        "top_p": 0.9,
        "safety_identifier": "u",
        "text": {"verbosity": "low"},
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "store": True,
        "brand_new": 1,
    }
    assert call.dropped == []


def test_what_another_dialect_says_by_the_same_name_is_not_mistaken() -> None:
    """Anthropic's `metadata` is an object of its own, its `service_tier` has other words."""
    call = asking(dialect=ANTHROPIC_MESSAGES)
    extras = {"metadata": {"user_id": "u"}, "service_tier": "standard_only"}
    written = DIALECT.write_request(Conversation(messages=(HELLO,), extras=extras), call)
    assert written.keys() == {"model", "input", "store"}
    assert call.dropped == ["metadata"]


def test_means_of_sampling_and_marks_are_left_out_by_name() -> None:
    cached = Message(role=Role.USER, parts=(Text(text="x", cache="5m"),), name="Ann")
    failed = Message(role=Role.TOOL, parts=(ToolResult(call_id="c", parts=(), is_error=True, cache="5m"),))
    assert dropped(
        cached, failed, top_k=4, seed=1, frequency_penalty=0.5, presence_penalty=0.5,
        tools=(Tool(name="f", cache="5m"),),
    ) == [
        "messages[].name", "cache_control", "messages[].is_error",
        "top_k", "seed", "frequency_penalty", "presence_penalty",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "messages", "members"),
    [
        ("stop", (), {"stop": ("END",)}),
        ("n", (), {"extras": {"n": 2}}),
        ("messages[1]", (HELLO, assistant(Media(kind="image", data="AAAA"))), {}),
        (
            "messages",
            (Message(role=Role.USER, parts=(Media(kind="video", url="https://x.example/a"),)),),
            {},
        ),
        (
            "messages",
            (Message(role=Role.USER, parts=(Media(kind="audio", data="A", mime_type="audio/x"),)),),
            {},
        ),
        (
            "messages",
            (Message(role=Role.USER, parts=(Media(kind="audio", url="https://x.example/a"),)),),
            {},
        ),
    ],
)
def test_what_would_make_another_answer_is_refused_by_name(field: str, messages: Any, members: Any) -> None:
    with pytest.raises(CannotCarry) as refused:
        write(*messages, **members)
    assert [error.field for error in refused.value.errors] == [field]
