"""Chat completions as clients send them, read into conversations."""

from typing import Any

import pytest

from headgate.domain.conversation import (
    Media,
    Message,
    OutputFormat,
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
from headgate.domain.errors import InvalidRequest
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI, OPENAI_RESPONSES
from tests.unit.providers.dialects.translating import CHAT, assistant, chat_body, faults, system, user

PNG = "data:image/png;base64,aGk="


def parts_of(*content: dict[str, Any]) -> tuple[Any, ...]:
    """What a user's message of these parts is read as."""
    return CHAT.read_request(chat_body({"role": "user", "content": list(content)})).messages[0].parts


def assistant_of(**fields: Any) -> tuple[Any, ...]:
    body = chat_body({"role": "assistant", "content": None, **fields})
    return CHAT.read_request(body).messages[0].parts


def called(call_id: str = "c1", name: str = "look", arguments: str = "{}", **members: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **members}


# -- messages ---------------------------------------------------------------------------------------------


def test_every_role_has_its_place() -> None:
    body = chat_body(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Hi?", "name": "ann"},
        {"role": "assistant", "content": "Hello."},
    )
    assert CHAT.read_request(body).messages == (
        system("Be brief."),
        system("Be kind."),
        Message(role=Role.USER, parts=(Text(text="Hi?"),), name="ann"),
        assistant("Hello."),
    )


def test_an_empty_text_is_no_part() -> None:
    body = chat_body(
        {"role": "user", "content": ""}, {"role": "user", "content": [{"type": "text", "text": ""}]}
    )
    assert [message.parts for message in CHAT.read_request(body).messages] == [(), ()]


def test_images_are_read_by_url_and_as_data() -> None:
    assert parts_of(
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": "https://x.example/b.png"},
    ) == (
        Media(kind="image", url="https://x.example/a.png", detail="low"),
        Media(kind="image", data="aGk=", mime_type="image/png"),
        Media(kind="image", url="https://x.example/b.png"),
    )


def test_a_data_url_is_one_in_capitals_too() -> None:
    url = "DATA:Image/PNG;charset=utf-8;BASE64,aGk="
    assert parts_of({"type": "image_url", "image_url": {"url": url}}) == (
        Media(kind="image", data="aGk=", mime_type="image/png"),
    )


def test_files_are_read_by_id_as_data_and_by_url() -> None:
    pdf = "data:application/pdf;base64,AAEC"
    assert parts_of(
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": pdf, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "AAEC", "filename": "b.pdf"}},
        {"type": "file", "file": {"file_data": "https://x.example/c.pdf", "filename": "c.pdf"}},
    ) == (
        Media(kind="file", file_id="file-1"),
        Media(kind="file", data="AAEC", mime_type="application/pdf", name="a.pdf"),
        Media(kind="file", data="AAEC", mime_type="application/pdf", name="b.pdf"),
        Media(kind="file", url="https://x.example/c.pdf", name="c.pdf"),
    )


def test_sound_is_read_with_its_type() -> None:
    assert parts_of(
        {"type": "input_audio", "input_audio": {"data": "AAEC", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "AAEC", "format": "weird"}},
    ) == (
        Media(kind="audio", data="AAEC", mime_type="audio/mpeg"),
        Media(kind="audio", data="AAEC", mime_type="audio/weird"),
    )


def test_cache_marks_are_read_where_openrouter_takes_them() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = chat_body(
        {"role": "system", "content": "Long.", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": [{"type": "text", "text": "Hi?", "cache_control": mark}]},
        tools=[{"type": "function", "function": {"name": "look"}, "cache_control": mark}],
    )
    conversation = CHAT.read_request(body)
    assert conversation.messages == (
        system(Text(text="Long.", cache="5m")),
        user(Text(text="Hi?", cache="1h")),
    )
    assert conversation.tools[0].cache == "1h"


def test_tool_calls_and_their_results_belong_together() -> None:
    body = chat_body(
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "I'll look.", "tool_calls": [called(arguments='{"city":"Ghent"}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
    )
    _, asked, rain, image = CHAT.read_request(body).messages
    assert asked.parts == (
        Text(text="I'll look."),
        ToolCall(id="c1", name="look", arguments='{"city":"Ghent"}'),
    )
    assert rain.parts == (ToolResult(call_id="c1", name="look", parts=(Text(text="Rain."),)),)
    assert image.role is Role.TOOL
    assert image.parts == (
        ToolResult(call_id="c2", parts=(Media(kind="image", data="aGk=", mime_type="image/png"),)),
    )


def test_the_older_functions_are_tools() -> None:
    body = chat_body(
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "Rain."},
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "Sun."},
        functions=[{"name": "look", "description": "Looks.", "parameters": {"type": "object"}}],
        function_call={"name": "look"},
    )
    conversation = CHAT.read_request(body)
    assert conversation.tools == (Tool(name="look", description="Looks.", parameters={"type": "object"}),)
    assert conversation.tool_choice == ToolChoice(mode="tool", name="look")
    calls = [p.id for m in conversation.messages for p in m.parts if isinstance(p, ToolCall)]
    results = [p.call_id for m in conversation.messages for p in m.parts if isinstance(p, ToolResult)]
    assert calls == results
    assert len(set(calls)) == 2
    assert conversation.extras == {}


@pytest.mark.parametrize("older", ["auto", "none"])
def test_the_older_choice_is_one(older: str) -> None:
    choice = CHAT.read_request(chat_body(function_call=older)).tool_choice
    assert choice is not None
    assert choice.mode == older


def test_a_refusal_is_read_from_both_its_places() -> None:
    part = {"type": "refusal", "refusal": "I won't."}
    assert assistant_of(content=[part]) == (Refusal(text="I won't."),)
    assert assistant_of(refusal="I can't.") == (Refusal(text="I can't."),)


# -- thoughts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_visible_thoughts_are_read_by_either_name(name: str) -> None:
    assert assistant_of(content="Yes.", **{name: "Hm."}) == (Reasoning(text="Hm."), Text(text="Yes."))


def test_thoughts_told_twice_are_read_once() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}
    assert assistant_of(reasoning="Hm.", reasoning_content="Hm.", reasoning_details=[detail]) == (
        Reasoning(text="Hm.", signature="s", origin=ANTHROPIC_MESSAGES),
    )


def test_who_signed_a_thought_is_read_from_its_format() -> None:
    details = [
        {
            "type": "reasoning.text",
            "text": "a",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "e", "format": "xai-responses-v1", "index": 2},
        {"type": "reasoning.text", "text": "b", "signature": "t", "format": "unknown", "index": 3},
    ]
    assert assistant_of(reasoning_details=details) == (
        Reasoning(text="a", signature="s", origin=ANTHROPIC_MESSAGES),
        Reasoning(redacted="d", origin=GEMINI),
        Reasoning(redacted="e", origin="xai-responses-v1"),
        Reasoning(text="b", signature="t"),
    )


def test_a_signature_without_a_format_is_claudes_as_openrouter_has_it() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "s"}
    assert assistant_of(reasoning_details=[detail]) == (
        Reasoning(text="Hm.", signature="s", origin=ANTHROPIC_MESSAGES),
    )


def test_openais_summary_and_what_is_encrypted_are_one_thought() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "Hm.", "format": "openai-responses-v1", "index": 0},
        {
            "type": "reasoning.encrypted",
            "data": "d",
            "id": "rs_1",
            "format": "openai-responses-v1",
            "index": 0,
        },
    ]
    assert assistant_of(reasoning_details=details) == (
        Reasoning(text="Hm.", signature="d", origin=OPENAI_RESPONSES, id="rs_1"),
    )


def test_a_thought_kept_in_pieces_is_put_together() -> None:
    pieces = [
        {"type": "reasoning.text", "text": "H", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "m.", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
    ]
    assert assistant_of(reasoning_details=pieces) == (
        Reasoning(text="Hm.", signature="s", origin=ANTHROPIC_MESSAGES),
    )


def test_a_signature_that_names_a_tool_call_belongs_to_it() -> None:
    detail = {"type": "reasoning.encrypted", "data": "sig", "id": "c1", "format": "google-gemini-v1"}
    assert assistant_of(tool_calls=[called()], reasoning_details=[detail]) == (
        ToolCall(id="c1", name="look", arguments="{}", signature="sig"),
    )
    google = {"google": {"thought_signature": "sig"}}
    assert assistant_of(tool_calls=[called(extra_content=google)]) == (
        ToolCall(id="c1", name="look", arguments="{}", signature="sig"),
    )


@pytest.mark.parametrize("details", ["text", [7], [{}], [{"type": "reasoning.text"}], [{"type": "new"}]])
def test_details_that_say_nothing_are_passed_over(details: Any) -> None:
    assert assistant_of(content="Yes.", reasoning_details=details) == (Text(text="Yes."),)


# -- what is asked of the answer --------------------------------------------------------------------------


def test_limits_and_sampling_are_read() -> None:
    conversation = CHAT.read_request(
        chat_body(
            max_tokens=5,
            max_completion_tokens=7,
            temperature=0.5,
            top_p=1,
            top_k=3,
            stop="END",
            seed=42,
            frequency_penalty=0.1,
            presence_penalty=-0.1,
            user="u-1",
        )
    )
    assert conversation.max_tokens == 7
    assert (conversation.temperature, conversation.top_p, conversation.top_k) == (0.5, 1, 3)
    assert conversation.stop == ("END",)
    assert (conversation.seed, conversation.user) == (42, "u-1")
    assert (conversation.frequency_penalty, conversation.presence_penalty) == (0.1, -0.1)
    assert CHAT.read_request(chat_body(max_tokens=5, stop=["a", "b"])).stop == ("a", "b")
    assert CHAT.read_request(chat_body(max_tokens=5)).max_tokens == 5


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ({"tool_choice": "auto"}, ToolChoice(mode="auto")),
        ({"tool_choice": "none"}, ToolChoice(mode="none")),
        ({"tool_choice": "required"}, ToolChoice(mode="required")),
        (
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
            ToolChoice(mode="tool", name="look"),
        ),
        ({"parallel_tool_calls": False}, ToolChoice(parallel=False)),
        (
            {"tool_choice": "required", "parallel_tool_calls": True},
            ToolChoice(mode="required", parallel=True),
        ),
        ({"tool_choice": None, "parallel_tool_calls": None}, None),
    ],
)
def test_a_choice_of_tools_is_read(told: dict[str, Any], choice: ToolChoice | None) -> None:
    assert CHAT.read_request(chat_body(**told)).tool_choice == choice


def test_formats_of_the_answer_are_read() -> None:
    schema = {"name": "dog", "schema": {"type": "object"}, "strict": True, "description": "A dog."}
    told = {"type": "json_schema", "json_schema": schema}
    assert CHAT.read_request(chat_body(response_format=told)).output == OutputFormat(
        kind="json_schema", name="dog", schema={"type": "object"}, strict=True, description="A dog."
    )
    for kind in ("text", "json_object"):
        output = CHAT.read_request(chat_body(response_format={"type": kind})).output
        assert output is not None
        assert output.kind == kind


@pytest.mark.parametrize(
    ("told", "thinking"),
    [
        ({"reasoning_effort": "high"}, Thinking(effort="high")),
        ({"reasoning": {"effort": "low", "exclude": True}}, Thinking(effort="low", visible=False)),
        ({"reasoning": {"max_tokens": 2000}}, Thinking(budget_tokens=2000)),
        ({"reasoning": {"enabled": True}}, Thinking(adaptive=True)),
        ({"reasoning": {"enabled": False}}, Thinking(effort="none")),
        ({"include_reasoning": False}, Thinking(visible=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Thinking(budget_tokens=2000)),
        ({"thinking": {"type": "disabled"}}, Thinking(effort="none")),
        ({"thinking": {"type": "adaptive"}}, Thinking(adaptive=True)),
        (
            {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
            Thinking(effort="max"),
        ),
        ({"enable_thinking": True}, Thinking(adaptive=True)),
        ({"enable_thinking": False}, Thinking(effort="none")),
        ({"reasoning_effort": None}, None),
    ],
)
def test_how_much_to_think_is_read_by_every_name(told: dict[str, Any], thinking: Thinking | None) -> None:
    assert CHAT.read_request(chat_body(**told)).thinking == thinking


# -- what has no place ------------------------------------------------------------------------------------


def test_unknown_fields_are_kept_by_name() -> None:
    extras = CHAT.read_request(chat_body(n=2, brand_new={"a": 1}, nothing=None)).extras
    assert extras == {"n": 2, "brand_new": {"a": 1}}


def test_parts_and_tools_without_a_place_are_kept_by_path() -> None:
    conversation = CHAT.read_request(
        chat_body(
            {"role": "user", "content": [{"type": "text", "text": "Hi?"}, {"type": "hologram", "x": 1}]},
            {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "x"}}]},
            {"role": "assistant", "content": "Yes.", "annotations": [{"type": "url_citation"}]},
            tools=[{"type": "custom", "custom": {"name": "x"}}],
            tool_choice={"type": "allowed_tools", "allowed_tools": {}},
            response_format={"type": "grammar", "grammar": "x"},
        )
    )
    assert set(conversation.extras) == {
        "messages[0].content[1]",
        "messages[1].audio",
        "messages[2].tool_calls[0]",
        "messages[].annotations",
        "tools[0]",
        "tool_choice",
        "response_format",
    }
    assert conversation.tool_choice is None
    assert conversation.output is None


# -- what is wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "Hi?"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["Hi?"]}, "messages[0]"),
        (chat_body({"content": "Hi?"}), "messages[0].role"),
        (chat_body({"role": "narrator", "content": "Hi?"}), "messages[0].role"),
        (chat_body({"role": "user"}), "messages[0].content"),
        (chat_body({"role": "user", "content": 7}), "messages[0].content"),
        (chat_body({"role": "user", "content": [7]}), "messages[0].content[0]"),
        (chat_body({"role": "user", "content": [{"text": "Hi?"}]}), "messages[0].content[0].type"),
        (chat_body({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0].text"),
        (
            chat_body({"role": "user", "content": [{"type": "image_url"}]}),
            "messages[0].content[0].image_url",
        ),
        (
            chat_body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": 7}}]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            chat_body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            chat_body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,a"}}]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            chat_body({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "A"}}]}),
            "messages[0].content[0].input_audio.format",
        ),
        (
            chat_body({"role": "user", "content": [{"type": "file", "file": {"filename": "a"}}]}),
            "messages[0].content[0].file.file_data",
        ),
        (chat_body({"role": "tool", "content": "Rain."}), "messages[0].tool_call_id"),
        (chat_body({"role": "function", "content": "Rain."}), "messages[0].name"),
        (
            chat_body({"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}),
            "messages[0].tool_calls[0].function",
        ),
        (
            chat_body({"role": "assistant", "tool_calls": [{"function": {"name": "look"}}]}),
            "messages[0].tool_calls[0].id",
        ),
        (chat_body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
        (
            chat_body(tools=[{"type": "function", "function": {"name": "a", "parameters": []}}]),
            "tools[0].function.parameters",
        ),
        (chat_body(tool_choice="any"), "tool_choice"),
        (chat_body(tool_choice=7), "tool_choice"),
        (chat_body(tool_choice={"type": "function"}), "tool_choice.function"),
        (chat_body(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (chat_body(max_tokens=0), "max_tokens"),
        (chat_body(max_tokens="7"), "max_tokens"),
        (chat_body(max_tokens=1.5), "max_tokens"),
        (chat_body(max_tokens=True), "max_tokens"),
        (chat_body(temperature="hot"), "temperature"),
        (chat_body(stop=[7]), "stop"),
        (chat_body(reasoning_effort="immense"), "reasoning_effort"),
        (chat_body(reasoning={"effort": 7}), "reasoning.effort"),
        (chat_body(thinking={}), "thinking.type"),
        (chat_body(user=7), "user"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CHAT.read_request(body)
    assert faults(caught.value) == [path]
    assert path in caught.value.detail


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CHAT.read_request(chat_body({"role": "user"}, {"role": "x"}, temperature="hot", seed="s"))
    assert faults(caught.value) == ["messages[0].content", "messages[1].role", "temperature", "seed"]


def test_what_the_caller_wrote_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CHAT.read_request(
            chat_body({"role": "user", "content": [{"type": "text", "text": ["secret words"]}]})
        )
    assert "secret words" not in caught.value.detail + str(caught.value.errors)
