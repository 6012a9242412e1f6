"""A client's Response read into a conversation: what each item and field becomes."""

from collections.abc import Mapping
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
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_RESPONSES
from headgate.providers.dialects.openai_responses_sealed import Seal, seal, unseal
from tests.unit.providers.dialects.responses import DIALECT, call

HELLO: Mapping[str, Any] = {"role": "user", "content": "Hello"}


def read(**body: Any) -> Conversation:
    return DIALECT.read_request({"model": "m", "input": "Hello", **body})


def messages(*items: Any) -> tuple[Message, ...]:
    return read(input=list(items)).messages


def user(*parts: Any) -> tuple[Part, ...]:
    """What a user's message of these parts holds."""
    (message,) = messages({"role": "user", "content": list(parts)})
    return message.parts


# -- messages ---------------------------------------------------------------------------------------------


def test_a_text_is_what_the_user_says_and_instructions_come_before_it() -> None:
    assert read(instructions="Be brief.").messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
        Message(role=Role.USER, parts=(Text(text="Hello"),)),
    )


def test_roles_and_both_forms_of_messages_are_read() -> None:
    read_ones = messages(
        {"role": "system", "content": "a"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        {"type": "message", "role": "user", "content": "c"},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "phase": "final_answer",
            "content": [
                {"type": "output_text", "text": "d", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "e"},
            ],
        },
    )
    assert [message.role for message in read_ones] == ["system", "system", "user", "assistant"]
    assert read_ones[3].parts == (Text(text="d"), Refusal(text="e"))


def test_an_empty_text_is_no_part() -> None:
    assert user({"type": "input_text", "text": ""}) == ()


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
            Media(kind="image", url="https://x.example/a.png", detail="low"),
        ),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            Media(kind="image", data="AAAA", mime_type="image/png"),
        ),
        ({"type": "input_image", "file_id": "file-1"}, Media(kind="image", file_id="file-1")),
        (
            {"type": "input_file", "file_data": "data:text/plain;base64,AAAA", "filename": "a.txt"},
            Media(kind="file", data="AAAA", mime_type="text/plain", name="a.txt"),
        ),
        (
            {"type": "input_file", "file_data": "AAAA", "filename": "a.pdf"},
            Media(kind="file", data="AAAA", mime_type="application/pdf", name="a.pdf"),
        ),
        ({"type": "input_file", "file_id": "file-1"}, Media(kind="file", file_id="file-1")),
        (
            {"type": "input_file", "file_url": "https://x.example/a.pdf"},
            Media(kind="file", url="https://x.example/a.pdf"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Media(kind="audio", data="AAAA", mime_type="audio/mpeg"),
        ),
    ],
)
def test_images_files_and_sound_are_read(part: Any, media: Media) -> None:
    assert user(part) == (media,)


def test_thoughts_words_and_calls_in_a_row_are_one_turn_of_the_assistant() -> None:
    read_ones = messages(
        HELLO,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"role": "assistant", "content": "I'll look."},
        {**call("{}"), "id": "fc_1"},
        call("{}", name="g", call_id="call_2"),
        {"type": "function_call_output", "call_id": "call_1", "output": "1"},
        {"type": "function_call_output", "call_id": "call_2", "output": "2"},
        {"role": "assistant", "content": "Done."},
        {"role": "assistant", "content": "Anything else?"},
    )
    assert [message.role for message in read_ones] == ["user", "assistant", "tool", "assistant", "assistant"]
    assert read_ones[1].parts == (
        Reasoning(redacted="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),
        Text(text="I'll look."),
        ToolCall(id="call_1", name="f", arguments="{}"),
        ToolCall(id="call_2", name="g", arguments="{}"),
    )
    assert read_ones[2].parts == (
        ToolResult(call_id="call_1", parts=(Text(text="1"),), name="f"),
        ToolResult(call_id="call_2", parts=(Text(text="2"),), name="g"),
    )


def test_a_result_may_hold_parts_and_belong_to_a_call_that_was_not_sent() -> None:
    output = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "https://x.example/a.png"},
    ]
    (message,) = messages({"type": "function_call_output", "call_id": "call_9", "output": output})
    assert message.parts == (
        ToolResult(
            call_id="call_9", parts=(Text(text="see"), Media(kind="image", url="https://x.example/a.png"))
        ),
    )


# -- thoughts ---------------------------------------------------------------------------------------------


def thoughts(**item: Any) -> tuple[Part, ...]:
    read_ones = messages({"type": "reasoning", **item}, {"role": "assistant", "content": "x"})
    return tuple(part for message in read_ones for part in message.parts if isinstance(part, Reasoning))


def test_encrypted_thoughts_are_this_dialects_own() -> None:
    summary = [{"type": "summary_text", "text": "One"}, {"type": "summary_text", "text": "Two"}]
    assert thoughts(id="rs_1", summary=summary, encrypted_content="gAAAA") == (
        Reasoning(text="One\n\nTwo", signature="gAAAA", origin=OPENAI_RESPONSES, id="rs_1"),
    )
    assert thoughts(summary=[], encrypted_content="gAAAA", content=None, status="completed") == (
        Reasoning(redacted="gAAAA", origin=OPENAI_RESPONSES),
    )


def test_a_thought_that_nobody_signed_is_its_text() -> None:
    content = [{"type": "reasoning_text", "text": "Hm"}]
    assert thoughts(id="rs_1", summary=[], content=content, encrypted_content=None) == (Reasoning(text="Hm"),)
    assert thoughts(id="rs_1", summary=[]) == ()


@pytest.mark.parametrize(
    "value",
    [
        Seal(origin=ANTHROPIC_MESSAGES, signature="sig==", id="t1"),
        Seal(origin=ANTHROPIC_MESSAGES, redacted="opaque"),
    ],
)
def test_what_another_dialect_signed_comes_back_as_its_own(value: Seal) -> None:
    summary = [{"type": "summary_text", "text": "Hm"}] if value.signature else []
    (thought,) = thoughts(id="rs_hg_1", summary=summary, encrypted_content=seal(value))
    assert thought == Reasoning(
        text="Hm" if value.signature else "",
        signature=value.signature,
        redacted=value.redacted,
        origin=ANTHROPIC_MESSAGES,
        id=value.id,
    )


def test_the_signature_of_a_call_comes_back_to_that_call() -> None:
    sealed = seal(Seal(signature="sig", call_id="call_2"))
    (message,) = messages(
        {"type": "reasoning", "id": "rs_hg_1", "summary": [], "encrypted_content": sealed},
        call("{}"),
        call("{}", call_id="call_2"),
    )
    assert [part.signature for part in message.parts if isinstance(part, ToolCall)] == [None, "sig"]
    assert len(message.parts) == 2


@pytest.mark.parametrize("text", ["", "gAAAA", "headgate.", "headgate.!!", "headgate.WzFd", "headgate.e30="])
def test_what_was_not_sealed_here_is_never_opened(text: str) -> None:
    assert unseal(text) is None


# -- tools and the form of the answer ---------------------------------------------------------------------


def test_functions_are_read_flat() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    described = {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": True}
    bare = {"type": "function", "name": "g", "parameters": None}
    assert read(tools=[described, bare]).tools == (
        Tool(name="f", description="d", parameters=schema, strict=True),
        Tool(name="g"),
    )


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, ToolChoice(mode="auto")),
        ("none", True, ToolChoice(mode="none", parallel=True)),
        ("required", False, ToolChoice(mode="required", parallel=False)),
        ({"type": "function", "name": "f"}, None, ToolChoice(mode="tool", name="f")),
        (None, False, ToolChoice(parallel=False)),
    ],
)
def test_the_choice_of_tools_is_read(choice: Any, parallel: Any, expected: Any) -> None:
    assert read(tool_choice=choice, parallel_tool_calls=parallel).tool_choice == expected


def test_formats_are_read() -> None:
    schema = {"type": "object"}
    told = {"type": "json_schema", "name": "n", "schema": schema, "strict": True, "description": "d"}
    assert read(text={"format": told}).output == OutputFormat(
        kind="json_schema", name="n", schema=schema, strict=True, description="d"
    )
    assert read(text={"format": {"type": "json_object"}}).output == OutputFormat(kind="json_object")
    assert read(text={"format": {"type": "text"}}).output == OutputFormat(kind="text")
    assert read(text={}).output is None


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        ({}, None),
        ({"effort": "high"}, Thinking(effort="high")),
        ({"effort": "none"}, Thinking(effort="none")),
        ({"effort": None, "summary": "auto"}, Thinking(visible=True)),
        ({"effort": "low", "generate_summary": "concise"}, Thinking(effort="low", visible=True)),
    ],
)
def test_a_summary_that_is_asked_for_makes_thoughts_visible(reasoning: Any, expected: Any) -> None:
    assert read(reasoning=reasoning).thinking == expected


def test_numbers_and_names_are_read() -> None:
    conversation = read(
        max_output_tokens=64, temperature=0, top_p=0.5, user="u", stop=["a"], seed=1, top_k=4,
        frequency_penalty=0.1, presence_penalty=-0.1,
    )  # fmt: skip
    assert (conversation.max_tokens, conversation.temperature, conversation.top_p) == (64, 0, 0.5)
    assert (conversation.user, conversation.stop, conversation.seed) == ("u", ("a",), 1)
    assert (conversation.top_k, conversation.frequency_penalty) == (4, 0.1)
    assert conversation.presence_penalty == -0.1
    assert read(user="u", safety_identifier="s").user == "s"
    assert read(stop="a").stop == ("a",)
