"""Conversations written for Anthropic: what it demands, and what each of its models takes."""

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
from headgate.providers.base import ChatCall
from headgate.providers.dialects.anthropic_body import DEFAULT_MAX_TOKENS
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI
from tests.unit.providers.dialects.translating import (
    BOTH,
    BUDGETED,
    MESSAGES,
    NEWEST,
    THOUGHTLESS,
    asking,
    assistant,
    call_of,
    chat_body,
    faults,
    info,
    system,
    to_claude,
    tool,
    user,
)

LOOK = Tool(name="look", parameters={"type": "object"})
SIGNED = Reasoning(text="Hm.", signature="EqQB", origin=ANTHROPIC_MESSAGES)
CALLED = ToolCall(id="c1", name="look", arguments='{"a":1}')
RESULT = tool(ToolResult(call_id="c1", parts=(Text(text="Rain."),)))


def write(*said: Any, call: ChatCall | None = None, **told: Any) -> dict[str, Any]:
    return MESSAGES.write_request(asking(*said, **told), call or call_of(model=NEWEST))


def turns(*said: Any) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = write(*said)["messages"]
    return written


def fields(model: str = NEWEST, *, call: ChatCall | None = None, **told: Any) -> dict[str, Any]:
    """What the body has beside model, messages and the limit."""
    body = write(call=call or call_of(model=model), **told)
    return {name: value for name, value in body.items() if name not in ("model", "messages", "max_tokens")}


# -- turns ------------------------------------------------------------------------------------------------


def test_instructions_go_into_system_wherever_they_stand() -> None:
    body = write(system("Be brief."), user("Hi?"), system("Now be kind."), assistant("Hello."), user("And?"))
    assert body["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Now be kind."}]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert write(system("Be brief."), user("Hi?"))["system"] == "Be brief."


def test_a_conversation_of_instructions_alone_is_asked_by_the_user() -> None:
    body = write(system("Say hello."))
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": "Say hello."}]


def test_the_user_speaks_first() -> None:
    roles = [turn["role"] for turn in turns(assistant("Hello."), user("Hi?"))]
    assert roles == ["user", "assistant", "user"]


def test_turns_alternate_and_results_come_first() -> None:
    assert turns(user("Hi?"), user("There?"), assistant(CALLED), user("Quick."), RESULT) == [
        {"role": "user", "content": [{"type": "text", "text": "Hi?"}, {"type": "text", "text": "There?"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "Rain."}],
                },
                {"type": "text", "text": "Quick."},
            ],
        },
    ]


def test_texts_without_a_word_are_left_out() -> None:
    assert turns(user("Hi?", " \n"), assistant(""), user("")) == [{"role": "user", "content": "Hi?"}]


def test_an_answer_to_go_on_from_ends_in_no_space() -> None:
    assert turns(user("Hi?"), assistant("Once upon \n"))[1]["content"] == "Once upon"


def test_ids_are_made_of_what_is_allowed_in_them_alike_in_call_and_result() -> None:
    called = assistant(ToolCall(id="call:1/é", name="look", arguments="{}"))
    said = turns(user("Hi?"), called, tool(ToolResult(call_id="call:1/é", parts=())))
    assert said[1]["content"][0]["id"] == said[2]["content"][0]["tool_use_id"] == "call_1__"
    assert "content" not in said[2]["content"][0]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"arguments": [1]}),
        ('{"a":', {"arguments": '{"a":'}),
    ],
)
def test_arguments_are_an_object_in_any_case(arguments: str, given: Any) -> None:
    called = assistant(ToolCall(id="c1", name="look", arguments=arguments))
    assert turns(user("Hi?"), called)[1]["content"][0]["input"] == given


def test_media_are_written_from_every_source() -> None:
    (turn,) = turns(
        user(
            Media(kind="image", data="aGk=", mime_type="image/jpg", cache="1h"),
            Media(kind="image", url="https://x.example/a.png", detail="auto"),
            Media(kind="file", data="AAEC", mime_type="application/pdf", name="a.pdf"),
            Media(kind="file", data="aGVsbG8=", mime_type="text/markdown"),
            Media(kind="file", url="https://x.example/a.pdf"),
            Media(kind="file", file_id="file_1"),
        )
    )
    assert turn["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAEC"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="audio", data="AAEC", mime_type="audio/wav"),
        Media(kind="video", url="https://x.example/a.mp4"),
        Media(kind="image", data="AAEC", mime_type="image/tiff"),
        Media(kind="file", data="AAEC", mime_type="application/zip"),
        Media(kind="file", file_id="file-1"),
    ],
    ids=lambda media: f"{media.kind}-{media.mime_type or media.url or media.file_id}",
)
def test_media_that_claude_does_not_take_are_refused(media: Media) -> None:
    with pytest.raises(CannotCarry) as caught:
        turns(user(media))
    assert faults(caught.value) == ["messages"]
    with pytest.raises(CannotCarry):
        turns(assistant(media))


def test_only_what_a_claude_signed_goes_back_to_one() -> None:
    call = call_of(model=NEWEST)
    foreign = (
        Reasoning(text="Hm.", signature="g", origin=GEMINI),
        Reasoning(redacted="r", origin=GEMINI),
        Reasoning(text="Unsigned."),
        Reasoning(text="Signed by who knows.", signature="x"),
    )
    redacted = Reasoning(redacted="EqQC", origin=ANTHROPIC_MESSAGES)
    body = write(user("Hi?"), assistant(SIGNED, redacted, *foreign, "Yes."), user("And?"), call=call)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EqQC"},
        {"type": "text", "text": "Yes."},
    ]
    assert call.dropped == ["messages[].reasoning"]


def test_a_refusal_goes_back_as_what_was_said() -> None:
    assert turns(user("Hi?"), assistant(Refusal(text="I won't.")))[1]["content"] == "I won't."


def test_names_and_details_are_left_out_by_name() -> None:
    call = call_of(model=NEWEST)
    body = chat_body(
        {
            "role": "user",
            "name": "ann",
            "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a", "detail": "high"}}],
        }
    )
    to_claude(body, call)
    assert call.dropped == ["messages[].name", "messages[].content[].detail"]


def test_a_failed_tool_says_so() -> None:
    said = turns(user("Hi?"), assistant(CALLED), tool(ToolResult(call_id="c1", parts=(), is_error=True)))
    assert said[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1", "is_error": True}]


# -- limits and sampling ----------------------------------------------------------------------------------


def test_the_limit_is_what_was_said_or_what_the_model_can_or_a_default() -> None:
    def limit(call: ChatCall | None = None, **told: Any) -> int:
        return int(write(call=call, **told)["max_tokens"])

    wide = call_of(model=NEWEST, info=info(max_output_tokens=64_000, context_window=1_000_000))
    narrow = call_of(model=NEWEST, info=info(max_output_tokens=64_000, context_window=200_000))
    unbounded = call_of(model=NEWEST, info=info(max_output_tokens=64_000))
    assert limit(wide, max_tokens=7) == 7
    assert limit(wide) == limit(unbounded) == 64_000
    assert limit(narrow) == 50_000
    assert limit() == limit(call_of(model=NEWEST, info=info())) == DEFAULT_MAX_TOKENS


def test_sampling_goes_to_models_that_take_it() -> None:
    call = call_of(model=BUDGETED)
    assert fields(call=call, temperature=0.5, top_k=5) == {"temperature": 0.5, "top_k": 5}
    assert call.dropped == []


@pytest.mark.parametrize("model", [NEWEST, "claude-opus-4-7", "claude-opus-4-8", "claude-brand-new"])
def test_models_that_refuse_sampling_are_spared_it_by_name(model: str) -> None:
    call = call_of(model=model)
    assert fields(call=call, temperature=0.5, top_p=0.9, top_k=5) == {}
    assert call.dropped == ["temperature", "top_p", "top_k"]
    usual = call_of(model=model)
    assert fields(call=usual, temperature=1.0, top_p=1) == {}
    assert usual.dropped == []


def test_a_temperature_above_the_scale_is_its_end() -> None:
    assert fields(BUDGETED, temperature=1.7) == {"temperature": 1}


def test_of_temperature_and_top_p_one_is_told() -> None:
    call = call_of(model=BUDGETED)
    assert fields(call=call, temperature=0.5, top_p=0.9) == {"temperature": 0.5}
    assert call.dropped == ["top_p"]
    assert fields(BUDGETED, top_p=0.9) == {"top_p": 0.9}


def test_while_it_thinks_nothing_is_sampled() -> None:
    call = call_of(model=BUDGETED)
    told = fields(call=call, thinking=Thinking(budget_tokens=2000), max_tokens=9000, temperature=0.2, top_k=5)
    assert set(told) == {"thinking"}
    assert call.dropped == ["temperature", "top_k"]


def test_what_claude_has_no_word_for_is_left_out_by_name() -> None:
    call = call_of(model=NEWEST)
    told = fields(call=call, seed=7, frequency_penalty=0.5, presence_penalty=0.0)
    assert told == {}
    assert call.dropped == ["seed", "frequency_penalty"]


def test_stop_sequences_are_told_but_for_white_space() -> None:
    assert fields(stop=("END",)) == {"stop_sequences": ["END"]}
    with pytest.raises(CannotCarry) as caught:
        fields(stop=("END", "\n"))
    assert faults(caught.value) == ["stop"]


def test_the_user_is_told_unless_too_long() -> None:
    assert fields(user="u-1") == {"metadata": {"user_id": "u-1"}}
    call = call_of(model=NEWEST)
    assert fields(call=call, user="u" * 257) == {}
    assert call.dropped == ["user"]


# -- tools and formats ------------------------------------------------------------------------------------


def test_a_tool_has_a_schema_of_an_object_in_any_case() -> None:
    tools = (
        Tool(name="look"),
        Tool(name="see", description="Sees.", parameters={"type": "object"}, strict=True),
    )
    assert fields(tools=tools)["tools"] == [
        {"name": "look", "input_schema": {"type": "object", "properties": {}}},
        {"name": "see", "description": "Sees.", "input_schema": {"type": "object"}, "strict": True},
    ]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), {"type": "auto"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="none", parallel=False), {"type": "none"}),
        (ToolChoice(mode="tool", name="look"), {"type": "tool", "name": "look"}),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (
            ToolChoice(mode="required", parallel=True),
            {"type": "any", "disable_parallel_tool_use": False},
        ),
    ],
)
def test_a_choice_of_tools_is_written_where_there_are_any(
    choice: ToolChoice, written: dict[str, Any]
) -> None:
    assert fields(tools=(LOOK,), tool_choice=choice)["tool_choice"] == written
    assert fields(tool_choice=choice) == {}


def test_a_schema_for_the_answer_is_part_of_its_configuration() -> None:
    output = OutputFormat(kind="json_schema", name="dog", schema={"type": "object"}, strict=True)
    formed = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert fields(output=output) == {"output_config": formed}
    both = fields(output=output, thinking=Thinking(effort="low"))
    assert both["output_config"] == {"effort": "low", **formed}


def test_some_json_is_asked_for_in_words_and_said_to_be_unassured() -> None:
    call = call_of(model=NEWEST)
    body = write(system("Be brief."), user("Hi?"), call=call, output=OutputFormat(kind="json_object"))
    assert body["system"][0] == {"type": "text", "text": "Be brief."}
    assert "JSON object" in body["system"][1]["text"]
    assert call.dropped == ["response_format"]
    assert fields(output=OutputFormat(kind="text")) == {}


# -- thinking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "thinking", "written"),
    [
        (
            NEWEST,
            Thinking(effort="high"),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
        ),
        (
            NEWEST,
            Thinking(adaptive=True, visible=False),
            {"thinking": {"type": "adaptive", "display": "omitted"}},
        ),
        (
            NEWEST,
            Thinking(budget_tokens=2000),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (NEWEST, Thinking(effort="none"), {"thinking": {"type": "disabled"}}),
        ("claude-opus-4-8", Thinking(effort="none"), {}),
        (
            BOTH,
            Thinking(effort="minimal"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        (
            BOTH,
            Thinking(effort="xhigh"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            BOTH,
            Thinking(effort="max"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        ),
        (BOTH, Thinking(budget_tokens=2000), {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (BUDGETED, Thinking(effort="low"), {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        (BUDGETED, Thinking(adaptive=True), {"thinking": {"type": "enabled", "budget_tokens": 12_288}}),
        (BUDGETED, Thinking(budget_tokens=1), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (BUDGETED, Thinking(effort="max"), {"thinking": {"type": "enabled", "budget_tokens": 16_000}}),
        (
            BUDGETED,
            Thinking(effort="low", visible=False),
            {"thinking": {"type": "enabled", "budget_tokens": 4096, "display": "omitted"}},
        ),
        (BUDGETED, Thinking(effort="none"), {}),
        (THOUGHTLESS, Thinking(effort="none"), {}),
    ],
)
def test_how_much_to_think_is_told_as_each_model_takes_it(
    model: str, thinking: Thinking, written: dict[str, Any]
) -> None:
    call = call_of(model=model)
    assert fields(call=call, thinking=thinking, max_tokens=20_000) == written
    assert call.dropped == []


def test_the_catalogue_knows_a_model_better_than_its_name() -> None:
    told = info(capabilities=frozenset({"adaptive_thinking", "effort_low", "effort_high"}))
    call = call_of(model="claude-haiku-4-5", info=told)
    assert fields(call=call, thinking=Thinking(effort="xhigh"), temperature=0.5) == {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
    }


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (THOUGHTLESS, {}),
        (BUDGETED, {"max_tokens": 1024}),
        (BUDGETED, {"tools": (LOOK,), "tool_choice": ToolChoice(mode="required")}),
        (BUDGETED, {"tools": (LOOK,), "tool_choice": ToolChoice(mode="tool", name="look")}),
    ],
)
def test_thinking_that_would_be_refused_is_left_out_by_name(model: str, told: dict[str, Any]) -> None:
    call = call_of(model=model)
    limited = {"max_tokens": 9000, **told}
    assert "thinking" not in fields(call=call, thinking=Thinking(effort="low"), **limited)
    assert call.dropped == ["thinking"]


def test_amid_a_tool_call_thinking_goes_on_only_with_its_thought() -> None:
    told = {"thinking": Thinking(effort="low"), "max_tokens": 9000}
    lost = call_of(model=BUDGETED)
    assert "thinking" not in write(user("Hi?"), assistant(CALLED), RESULT, call=lost, **told)
    assert lost.dropped == ["thinking"]
    kept = call_of(model=BUDGETED)
    assert "thinking" in write(user("Hi?"), assistant(SIGNED, CALLED), RESULT, call=kept, **told)
    assert "thinking" in write(user("Hi?"), assistant("Yes."), user("And?"), call=kept, **told)
    adaptive = call_of(model=BOTH)
    assert "thinking" in write(user("Hi?"), assistant(CALLED), RESULT, call=adaptive, **told)
    assert kept.dropped == adaptive.dropped == []


def test_a_stream_is_asked_for() -> None:
    assert fields(call=call_of(model=NEWEST, stream=True)) == {"stream": True}


def test_a_field_in_no_table_goes_to_anthropic() -> None:
    assert to_claude(chat_body(inference_geo="eu", n=1))["inference_geo"] == "eu"
