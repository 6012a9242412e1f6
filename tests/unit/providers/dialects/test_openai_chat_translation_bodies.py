"""Conversations written for servers of chat completions, each as far as it understands them."""

import json
from typing import Any

import pytest

from headgate.domain.conversation import (
    Media,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from headgate.domain.errors import CannotCarry
from headgate.providers.deepseek import DeepSeek
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI, OPENAI_RESPONSES
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.openai import OpenAI
from headgate.providers.openrouter import OpenRouter
from tests.unit.providers.dialects.translating import (
    CHAT,
    ROUTED,
    asking,
    assistant,
    call_of,
    faults,
    info,
    system,
    tool,
    user,
)

LOOK = Tool(name="look", parameters={"type": "object"})
PNG = Media(kind="image", data="aGk=", mime_type="image/png")
PDF = Media(kind="file", data="AAEC", mime_type="application/pdf", name="a.pdf")


def messages(*said: Any, back: OpenAIChat = CHAT) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = back.write_request(asking(*said), call_of())["messages"]
    return written


def fields(back: OpenAIChat = CHAT, call: Any = None, **told: Any) -> dict[str, Any]:
    """What the body has beside model and messages."""
    body = back.write_request(asking(**told), call or call_of())
    return {name: value for name, value in body.items() if name not in ("model", "messages")}


def dropped(back: OpenAIChat = CHAT, *said: Any, call: Any = None, **told: Any) -> list[str]:
    call = call or call_of()
    back.write_request(asking(*said, **told), call)
    return list(call.dropped)


# -- messages ---------------------------------------------------------------------------------------------


def test_one_text_is_a_string_and_several_are_parts() -> None:
    assert messages(user("Hi?")) == [{"role": "user", "content": "Hi?"}]
    assert messages(user("Hi?", "You there?"))[0]["content"] == [
        {"type": "text", "text": "Hi?"},
        {"type": "text", "text": "You there?"},
    ]


def test_a_server_that_takes_strings_alone_gets_one() -> None:
    plain = OpenAIChat(ChatTraits(plain_content=True))
    assert messages(system("Be brief.", "Be kind."), back=plain)[0]["content"] == "Be brief.\n\nBe kind."


def test_pieces_of_an_answer_are_one_again() -> None:
    assert messages(assistant("Hel", "lo."))[0]["content"] == "Hello."


def test_media_are_written_in_their_own_parts() -> None:
    sound = Media(kind="audio", data="AAEC", mime_type="audio/mpeg")
    by_id = Media(kind="file", file_id="file-1")
    (message,) = messages(
        user(PNG, Media(kind="image", url="https://x.example/a.png", detail="high"), PDF, sound, by_id)
    )
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAEC"},
        },
        {"type": "input_audio", "input_audio": {"data": "AAEC", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]


def test_a_text_document_is_told_as_text() -> None:
    note = Media(kind="file", data="aGVsbG8=", mime_type="text/plain", name="note.txt")
    assert messages(user(note))[0]["content"] == [{"type": "text", "text": "note.txt:\n\nhello"}]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="file", url="https://x.example/a.pdf"),
        Media(kind="file", file_id="file_011"),
        Media(kind="image", file_id="file_011"),
        Media(kind="video", url="https://x.example/a.mp4"),
        Media(kind="audio", url="https://x.example/a.mp3"),
        Media(kind="audio", data="AAEC", mime_type="audio/strange"),
    ],
    ids=lambda media: f"{media.kind}-{media.url or media.file_id or media.mime_type}",
)
def test_media_that_openai_does_not_take_are_refused(media: Media) -> None:
    with pytest.raises(CannotCarry) as caught:
        messages(user(media))
    assert faults(caught.value) == ["messages"]
    assert caught.value.failover


def test_a_router_takes_documents_by_url_and_video() -> None:
    document = Media(kind="file", url="https://x.example/a.pdf", name="a.pdf")
    video = Media(kind="video", url="https://x.example/a.mp4")
    assert messages(user(document, video), back=ROUTED)[0]["content"] == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://x.example/a.pdf"}},
        {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}},
    ]


def test_every_result_is_a_message_of_its_own() -> None:
    results = tool(
        ToolResult(call_id="c1", parts=(Text(text="Rain."),)),
        ToolResult(call_id="c2", parts=(), is_error=True),
    )
    call = call_of()
    body = CHAT.write_request(asking(user("Hi?"), results), call)
    assert body["messages"][1:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
    ]
    assert call.dropped == ["messages[].content[].is_error"]


def test_an_image_from_a_tool_follows_as_the_users() -> None:
    results = tool(
        ToolResult(call_id="c1", parts=(Text(text="Here."), PNG)), ToolResult(call_id="c2", parts=(PNG,))
    )
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert messages(results, user("What is it?")) == [
        {"role": "tool", "tool_call_id": "c1", "content": "Here."},
        {"role": "tool", "tool_call_id": "c2", "content": "See the files that follow."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the tool call c1 gave:"},
                shown,
                {"type": "text", "text": "What the tool call c2 gave:"},
                shown,
            ],
        },
        {"role": "user", "content": "What is it?"},
    ]
    assert messages(results, back=ROUTED)[0]["content"] == [{"type": "text", "text": "Here."}, shown]


def test_an_answer_of_calls_alone_has_null_for_content() -> None:
    said = assistant(ToolCall(id="c1", name="look", arguments=""))
    assert messages(said) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        }
    ]


def test_a_refusal_goes_back_as_one() -> None:
    assert messages(assistant(Refusal(text="I won't."))) == [
        {"role": "assistant", "content": None, "refusal": "I won't."}
    ]


def test_cache_marks_go_where_they_are_understood_and_are_named_elsewhere() -> None:
    said = user(Text(text="Long.", cache="1h"))
    assert messages(said, back=ROUTED)[0]["content"] == [
        {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    assert dropped(ROUTED, said) == []
    assert messages(said)[0]["content"] == "Long."
    assert dropped(CHAT, said, said) == ["cache_control"]


def test_thoughts_go_back_as_each_server_wants_them() -> None:
    signed = Reasoning(text="Hm.", signature="s", origin=ANTHROPIC_MESSAGES)
    said = assistant(signed, "Yes.", ToolCall(id="c1", name="look", arguments="{}", signature="g"))
    (routed,) = messages(said, back=OpenRouter.backs[0])  # type: ignore[arg-type]
    assert routed["reasoning"] == "Hm."
    assert routed["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "Hm.",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "g", "id": "c1", "format": "google-gemini-v1", "index": 1},
    ]
    (deep,) = messages(said, back=DeepSeek.backs[0])  # type: ignore[arg-type]
    assert deep["reasoning_content"] == "Hm."
    assert not any(name.startswith("reasoning") for name in messages(said)[0])
    assert dropped(CHAT, said) == ["messages[].reasoning"]


def test_each_makers_thoughts_keep_their_form_and_what_nobody_signed_is_plain() -> None:
    def details(*thoughts: Reasoning) -> Any:
        return messages(assistant(*thoughts), back=ROUTED)[0].get("reasoning_details")

    assert details(Reasoning(text="Hm.")) is None
    openai = Reasoning(text="Hm.", signature="e", origin=OPENAI_RESPONSES, id="rs_1")
    assert [d["type"] for d in details(openai)] == ["reasoning.summary", "reasoning.encrypted"]
    assert details(Reasoning(redacted="d", origin=GEMINI)) == [
        {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1", "index": 0}
    ]
    both = details(Reasoning(text="a"), Reasoning(text="b", signature="s", origin="bedrock-converse"))
    assert [d["format"] for d in both] == ["unknown", "bedrock-converse"]


# -- fields -----------------------------------------------------------------------------------------------


def test_a_stream_is_asked_for_with_its_usage() -> None:
    assert fields(call=call_of(stream=True)) == {"stream": True, "stream_options": {"include_usage": True}}
    assert fields() == {}


def test_the_limit_goes_by_the_name_that_the_server_knows() -> None:
    assert fields(max_tokens=7) == {"max_tokens": 7}
    assert fields(OpenAI.backs[0], max_tokens=7) == {"max_completion_tokens": 7}  # type: ignore[arg-type]


def test_top_k_goes_where_it_is_understood_and_is_named_elsewhere() -> None:
    assert fields(ROUTED, top_k=5) == {"top_k": 5}
    assert fields(top_k=5) == {}
    assert dropped(top_k=5) == ["top_k"]


def test_tools_are_written_with_a_schema_in_any_case() -> None:
    written = fields(tools=(Tool(name="look"), Tool(name="see", description="Sees.", strict=True)))["tools"]
    empty = {"type": "object", "properties": {}}
    assert [each["function"] for each in written] == [
        {"name": "look", "parameters": empty},
        {"name": "see", "description": "Sees.", "parameters": empty, "strict": True},
    ]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), {"tool_choice": "auto"}),
        (ToolChoice(mode="required"), {"tool_choice": "required"}),
        (ToolChoice(mode="none"), {"tool_choice": "none"}),
        (
            ToolChoice(mode="tool", name="look"),
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        ),
        (ToolChoice(parallel=False), {"parallel_tool_calls": False}),
    ],
)
def test_a_choice_of_tools_is_written_where_there_are_any(
    choice: ToolChoice, written: dict[str, Any]
) -> None:
    told = fields(tools=(LOOK,), tool_choice=choice)
    del told["tools"]
    assert told == written
    assert fields(tool_choice=choice) == {}


def test_a_format_by_schema_has_a_name() -> None:
    output = OutputFormat(kind="json_schema", schema={"type": "object"}, strict=True)
    assert fields(output=output)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert fields(output=OutputFormat(kind="json_object"))["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("thinking", "written"),
    [
        (Thinking(effort="minimal"), {"reasoning_effort": "minimal"}),
        (Thinking(effort="max"), {"reasoning_effort": "xhigh"}),
        (Thinking(budget_tokens=1024), {"reasoning_effort": "low"}),
        (Thinking(budget_tokens=8000), {"reasoning_effort": "medium"}),
        (Thinking(budget_tokens=31_999), {"reasoning_effort": "high"}),
        (Thinking(adaptive=True), {}),
        (Thinking(effort="none"), {}),
    ],
)
def test_how_much_to_think_is_an_effort(thinking: Thinking, written: dict[str, Any]) -> None:
    assert fields(thinking=thinking) == written


def test_openais_models_that_do_not_reason_are_not_told_to() -> None:
    back: Any = OpenAI.backs[0]
    plain = call_of(info=info(capabilities=frozenset({"streaming"})))
    thinker = call_of(info=info(capabilities=frozenset({"reasoning"})))
    assert fields(back, plain, thinking=Thinking(effort="high")) == {}
    assert plain.dropped == ["thinking"]
    assert fields(back, thinker, thinking=Thinking(effort="high")) == {"reasoning_effort": "high"}
    assert fields(back, thinking=Thinking(effort="high")) == {"reasoning_effort": "high"}


def test_a_model_that_does_not_reason_is_not_said_to_have_been_spared_nothing() -> None:
    plain = call_of(info=info(capabilities=frozenset({"streaming"})))
    assert fields(OpenAI.backs[0], plain, thinking=Thinking(effort="none")) == {}  # type: ignore[arg-type]
    assert plain.dropped == []


@pytest.mark.parametrize(
    ("thinking", "written"),
    [
        (Thinking(effort="high"), {"effort": "high"}),
        (Thinking(effort="none"), {"effort": "none"}),
        (Thinking(effort="low", budget_tokens=2000, visible=False), {"max_tokens": 2000, "exclude": True}),
        (Thinking(adaptive=True, visible=True), {"enabled": True, "exclude": False}),
    ],
)
def test_openrouter_is_told_in_its_own_field(thinking: Thinking, written: dict[str, Any]) -> None:
    assert fields(ROUTED, thinking=thinking) == {"reasoning": written}


def test_deepseek_has_a_switch_beside_the_effort() -> None:
    back: Any = DeepSeek.backs[0]
    assert fields(back, thinking=Thinking(effort="none")) == {"thinking": {"type": "disabled"}}
    assert fields(back, thinking=Thinking(budget_tokens=2000)) == {
        "thinking": {"type": "enabled"},
        "reasoning_effort": "low",
    }


def test_a_field_in_no_table_goes_to_the_provider() -> None:
    assert fields(extras={"min_p": 0.1, "brand_new": {"a": 1}}) == {"brand_new": {"a": 1}}


def test_what_is_written_is_json() -> None:
    body = CHAT.write_request(asking(user(PNG, PDF), tools=(LOOK,)), call_of())
    assert json.loads(json.dumps(body)) == body
