"""What Converse is asked, of what a client of another dialect asks."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from headgate.domain.errors import CannotCarry, NotFound
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.bedrock import Bedrock

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD_CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
NEW_CLAUDE = "global.anthropic.claude-opus-4-7"
BOTH_CLAUDE = "us.anthropic.claude-opus-4-6-v1"
LLAMA = "meta.llama3-8b-instruct-v1:0"
NOVA = "amazon.nova-pro-v1:0"
PNG = "iVBORw0KGgoAAAANSUhEUg=="
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather", "parameters": {"type": "object"}},
}
USED = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "c/1", "type": "function", "function": {"name": "get_weather", "arguments": '{"a":1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c/1", "content": "Rain"},
]


def ask(
    model: str = CLAUDE, *, dialect: str = "openai-chat", **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    """The body that goes out, and what was left out of it."""
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], **fields}
    call = ChatCall(body=body, model=model, stream=False, dialect=dialect)
    request = Bedrock().build_chat(call, ProviderConfig())
    return orjson.loads(request.body or b""), call.dropped


def refused(model: str = CLAUDE, **fields: Any) -> list[str]:
    with pytest.raises(CannotCarry) as caught:
        ask(model, **fields)
    return [error.field for error in caught.value.errors]


def content(*parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def test_texts_and_settings_are_where_converse_has_them() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": " "},
        {"role": "user", "content": "Three"},
    ]
    body, dropped = ask(NOVA, messages=messages, max_tokens=9, temperature=0.5, top_p=0.9, stop=["END"])
    assert body == {
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"text": "One"}, {"text": "Two"}, {"text": "Three"}]}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    }
    assert dropped == []


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_is_one_segment_of_the_path(stream: bool) -> None:
    arn = "arn:aws:bedrock:us-east-1::foundation-model/a.b-v1:0"
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}]}
    request = Bedrock().build_chat(ChatCall(body=body, model=arn, stream=stream), ProviderConfig())
    operation = "converse-stream" if stream else "converse"
    assert request.url == (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/"
        f"arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fa.b-v1%3A0/{operation}"
    )


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_no_name_leads_out_of_the_path(model: str) -> None:
    with pytest.raises(NotFound):
        ask(model)


def test_images_and_documents_go_as_bytes_with_their_format() -> None:
    pdf = {
        "type": "file",
        "file": {"filename": "a_b.c.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
    }
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    body, _ = ask(messages=content({"type": "text", "text": "Look"}, image, pdf, pdf))
    assert body["messages"][0]["content"][1:] == [
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"document": {"format": "pdf", "name": "a-b-c", "source": {"bytes": "JVBERi0="}}},
        {"document": {"format": "pdf", "name": "a-b-c-2", "source": {"bytes": "JVBERi0="}}},
    ]


@pytest.mark.parametrize("url", ["https://x.example/a.png", "data:image/tiff;base64,AAAA"])
def test_what_would_have_to_be_fetched_or_is_no_known_image_is_refused_by_name(url: str) -> None:
    assert refused(messages=content({"type": "image_url", "image_url": {"url": url}})) == ["messages"]


def test_calls_and_results_belong_together_by_an_id_that_bedrock_takes() -> None:
    body, _ = ask(messages=USED, tools=[WEATHER])
    _, called, answered = body["messages"]
    use, result = called["content"][0]["toolUse"], answered["content"][0]["toolResult"]
    assert (called["role"], answered["role"]) == ("assistant", "user")
    assert (use["name"], use["input"], result["content"]) == ("get_weather", {"a": 1}, [{"text": "Rain"}])
    assert use["toolUseId"] == result["toolUseId"]
    assert "/" not in use["toolUseId"]
    assert len(use["toolUseId"]) <= 64
    (tool,) = body["toolConfig"]["tools"]
    assert tool["toolSpec"]["inputSchema"] == {"json": {"type": "object", "properties": {}}}


def test_arguments_that_were_cut_off_are_refused() -> None:
    cut = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    messages = [*USED[:1], {"role": "assistant", "tool_calls": [cut]}]
    assert refused(messages=messages, tools=[WEATHER]) == ["messages"]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"tool": {"name": "get_weather"}}),
    ],
)
def test_a_choice_among_tools_is_told(choice: Any, told: Any) -> None:
    body, _ = ask(tools=[WEATHER], **({} if choice is None else {"tool_choice": choice}))
    assert body["toolConfig"].get("toolChoice") == told


def test_to_call_none_of_the_tools_they_are_left_out_where_the_messages_do_without() -> None:
    body, _ = ask(tools=[WEATHER], tool_choice="none")
    assert "toolConfig" not in body
    assert refused(messages=USED, tools=[WEATHER], tool_choice="none") == ["tool_choice"]


def test_what_converse_can_not_promise_is_refused_by_name() -> None:
    assert refused(messages=USED) == ["tools"]
    assert refused(tools=[WEATHER], parallel_tool_calls=False) == ["parallel_tool_calls"]
    assert refused(response_format={"type": "json_object"}) == ["response_format"]
    assert refused(n=2) == ["n"]


def test_a_schema_is_kept_to_by_those_who_can() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "w", "schema": {"type": "object"}}}
    body, _ = ask(response_format=form)
    told = {"name": "w", "schema": '{"type":"object"}'}
    assert body["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": told}}}
    for model in (OLD_CLAUDE, LLAMA, NOVA):
        assert refused(model, response_format=form) == ["response_format"]


def test_fields_of_the_models_own_go_where_models_look_for_them() -> None:
    body, _ = ask(
        unheard_of=1,
        requestMetadata={"team": "a"},
        additionalModelRequestFields={"more": 2},
        top_k=5,
    )
    assert body["additionalModelRequestFields"] == {"unheard_of": 1, "more": 2, "top_k": 5}
    assert body["requestMetadata"] == {"team": "a"}


@pytest.mark.parametrize(
    ("model", "fields"),
    [(CLAUDE, {"top_k": 5}), (NOVA, {"inferenceConfig": {"topK": 5}}), (LLAMA, None)],
)
def test_top_k_is_told_as_each_family_takes_it(model: str, fields: Any) -> None:
    body, dropped = ask(model, top_k=5)
    assert body.get("additionalModelRequestFields") == fields
    assert ("top_k" in dropped) is (fields is None)


def test_means_of_sampling_that_converse_lacks_are_left_out_by_name() -> None:
    body, dropped = ask(seed=1, frequency_penalty=0.5, presence_penalty=0.5, user="ada", temperature=1.7)
    assert body["inferenceConfig"] == {"temperature": 1}
    assert sorted(dropped) == ["frequency_penalty", "presence_penalty", "seed", "temperature", "user"]


# -- thinking ---------------------------------------------------------------------------------------------


def thoughts_of(model: str, **fields: Any) -> tuple[Any, list[str]]:
    body, dropped = ask(model, **fields)
    return body.get("additionalModelRequestFields"), dropped


def test_a_claude_is_given_a_budget_within_its_tokens_and_no_temperature() -> None:
    body, dropped = ask(reasoning_effort="high", max_tokens=5000, temperature=0.2)
    assert body["additionalModelRequestFields"]["thinking"] == {"type": "enabled", "budget_tokens": 4000}
    assert body["inferenceConfig"] == {"maxTokens": 5000}
    assert dropped == ["temperature"]


ADAPTIVE = {"type": "adaptive"}


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        (
            NEW_CLAUDE,
            {"reasoning_effort": "high"},
            {"thinking": ADAPTIVE, "output_config": {"effort": "high"}},
        ),
        (
            NEW_CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"thinking": ADAPTIVE, "output_config": {"effort": "low"}},
        ),
        (NEW_CLAUDE, {"reasoning_effort": "none"}, None),
        (BOTH_CLAUDE, {"reasoning": {"enabled": True}}, {"thinking": ADAPTIVE}),
        (
            BOTH_CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        ),
        (CLAUDE, {"reasoning": {"enabled": True}}, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
    ],
)
def test_each_claude_is_told_to_think_in_the_way_it_takes(model: str, asked: Any, told: Any) -> None:
    assert thoughts_of(model, **asked) == (told, [])


def test_a_claude_that_decides_itself_may_have_a_tool_forced_on_it_and_few_tokens() -> None:
    fields = {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 500}
    told, dropped = thoughts_of(NEW_CLAUDE, reasoning_effort="low", **fields)
    assert told == {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}
    assert dropped == []


def test_a_claude_is_told_one_means_of_sampling_or_none() -> None:
    assert ask(CLAUDE, temperature=0.5, top_p=0.5)[0]["inferenceConfig"] == {"temperature": 0.5}
    body, dropped = ask(NEW_CLAUDE, temperature=0.5, top_p=0.5, top_k=5)
    assert "inferenceConfig" not in body
    assert "additionalModelRequestFields" not in body
    assert sorted(dropped) == ["temperature", "top_k", "top_p"]
    assert ask(NEW_CLAUDE, temperature=1, top_p=1)[1] == []


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (OLD_CLAUDE, {}),
        (LLAMA, {}),
        (CLAUDE, {"max_tokens": 1000}),
        (CLAUDE, {"tools": [WEATHER], "tool_choice": "required"}),
    ],
)
def test_thinking_is_left_out_by_name_where_it_can_not_be(model: str, fields: Any) -> None:
    told, dropped = thoughts_of(model, reasoning_effort="high", **fields)
    assert told is None
    assert "thinking" in dropped


def test_other_families_think_by_a_word() -> None:
    assert thoughts_of("openai.gpt-oss-120b-1:0", reasoning_effort="low")[0] == {"reasoning_effort": "low"}
    assert thoughts_of("us.amazon.nova-2-lite-v1:0", reasoning_effort="high")[0] == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}
    }
    assert thoughts_of(CLAUDE, reasoning_effort="none") == (None, [])


def test_a_claudes_signed_thought_goes_back_to_a_claude_and_to_no_other() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Ho"}]},
        {"role": "user", "content": "And?"},
    ]
    fields: dict[str, Any] = {"messages": messages, "max_tokens": 99, "dialect": "anthropic-messages"}
    body, dropped = ask(CLAUDE, **fields)
    told = {"reasoningText": {"text": "Hm.", "signature": "sig"}}
    assert body["messages"][1]["content"] == [{"reasoningContent": told}, {"text": "Ho"}]
    assert dropped == []
    body, dropped = ask(LLAMA, **fields)
    assert body["messages"][1]["content"] == [{"text": "Ho"}]
    assert dropped == ["messages[].reasoning"]


def test_a_prompt_is_cached_where_the_model_can() -> None:
    marked = content({"type": "text", "text": "Long", "cache_control": {"type": "ephemeral"}})
    fields: dict[str, Any] = {"messages": marked, "max_tokens": 9, "dialect": "anthropic-messages"}
    body, _ = ask(CLAUDE, **fields)
    assert body["messages"][0]["content"] == [{"text": "Long"}, {"cachePoint": {"type": "default"}}]
    body, dropped = ask(LLAMA, **fields)
    assert body["messages"][0]["content"] == [{"text": "Long"}]
    assert dropped == ["cache_control"]
