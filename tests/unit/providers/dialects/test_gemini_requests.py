"""Conversations as Gemini's requests: what is said, in which turn, and what is refused by name."""

from dataclasses import replace
from typing import Any

import pytest

from headgate.domain.catalog import ModelInfo
from headgate.domain.conversation import (
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from headgate.domain.errors import CannotCarry, GatewayFault, NotFound
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI
from headgate.providers.dialects.gemini_turns import FOREIGN_SIGNATURE
from tests.unit.providers.dialects.gemini_saying import (
    BACK,
    asking,
    assistant,
    call_of,
    context,
    system,
    tool,
    user,
    write,
)

PIXEL = Media(kind="image", data="aGVsbG8=", mime_type="image/png")
LOOK = ToolCall(id="c1", name="look", arguments='{"at": "the sea"}')
SEEN = ToolResult(call_id="c1", parts=(Text(text="Waves."),))
OLD = "gemini-2.0-flash"
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
A_TOOL = Tool(name="look", description="Looks.", parameters=SCHEMA)


def contents(*messages: Message, model: str = "gemini-3.5-flash") -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = write(asking(*messages), call_of(model))["contents"]
    return written


def refused(name: str, *messages: Message, model: str = "gemini-3.5-flash", **fields: Any) -> str:
    """Why; another candidate may still be tried."""
    with pytest.raises(CannotCarry) as caught:
        write(asking(*messages, **fields), call_of(model))
    assert [error.field for error in caught.value.errors] == [name]
    assert caught.value.failover
    return caught.value.detail


# -- where it goes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("tunedModels/mine-1", "/tunedModels/mine-1"),
        ("a?key=b#c", "/models/a%3Fkey%3Db%23c"),
        ("a b%2f", "/models/a%20b%252f"),
        ("é", "/models/%C3%A9"),
    ],
)
def test_a_models_name_stays_within_its_place_in_the_path(model: str, path: str) -> None:
    assert BACK.path(call_of(model)) == f"{path}:generateContent"
    assert BACK.path(call_of(model, stream=True)) == f"{path}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize("model", ["../files", "a/../../b", "models/", "", "a//b", "."])
def test_a_name_that_would_lead_elsewhere_is_no_model(model: str) -> None:
    with pytest.raises(NotFound) as caught:
        BACK.path(call_of(model))
    assert caught.value.code == "model_not_found"


def test_nothing_is_handed_through_as_no_client_speaks_it() -> None:
    for hand in (
        lambda: BACK.hand_request(call_of()),
        lambda: BACK.hand_answer(b"{}", context()),
        lambda: BACK.hand_stream(context()),
    ):
        with pytest.raises(GatewayFault) as caught:
            hand()
        assert caught.value.code == "internal"


# -- turns ------------------------------------------------------------------------------------------------


def test_instructions_are_apart_wherever_they_stood() -> None:
    body = write(asking(system("Be kind."), user("Hi?"), assistant("Hi."), system("Be brief."), user("So?")))
    assert body["systemInstruction"] == {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]}
    assert [each["role"] for each in body["contents"]] == ["user", "model", "user"]


def test_instructions_alone_come_with_an_empty_question() -> None:
    body = write(asking(system("Say hello.")))
    assert body["contents"] == [{"role": "user", "parts": [{"text": ""}]}]


def test_an_answer_without_a_question_gets_an_empty_one() -> None:
    assert [each["role"] for each in contents(assistant("Hi."), user("Who?"))] == ["user", "model", "user"]


def test_neighbours_of_one_role_are_one_turn() -> None:
    assert contents(user("One."), user("Two.", "Three.")) == [
        {"role": "user", "parts": [{"text": "One."}, {"text": "Two."}, {"text": "Three."}]}
    ]


def test_a_message_that_says_nothing_is_left_out() -> None:
    assert contents(user("One."), assistant(""), user("Two.")) == [
        {"role": "user", "parts": [{"text": "One."}, {"text": "Two."}]}
    ]


def test_a_refusal_was_said_in_words() -> None:
    assert contents(user("Do."), assistant(Refusal(text="No.")))[1]["parts"] == [{"text": "No."}]


# -- calls and results ------------------------------------------------------------------------------------


def test_a_result_is_named_after_its_call() -> None:
    asked, said, answered = contents(user("Look."), assistant(LOOK), tool(SEEN), model=OLD)
    call = {"name": "look", "args": {"at": "the sea"}, "id": "c1"}
    assert said == {"role": "model", "parts": [{"functionCall": call}]}
    response = {"name": "look", "response": {"output": "Waves."}, "id": "c1"}
    assert answered == {"role": "user", "parts": [{"functionResponse": response}]}
    assert asked["role"] == "user"


def test_results_of_calls_side_by_side_are_one_turn_with_the_question_that_follows() -> None:
    other = ToolCall(id="c2", name="hear", arguments="")
    heard = ToolResult(call_id="c2", parts=(Text(text="Gulls."), Text(text="Wind.")))
    *_, answered = contents(user("Look."), assistant(LOOK, other), tool(SEEN), tool(heard), user("And?"))
    assert [next(iter(part)) for part in answered["parts"]] == ["functionResponse"] * 2 + ["text"]
    assert answered["parts"][1]["functionResponse"]["name"] == "hear"
    assert answered["parts"][1]["functionResponse"]["response"] == {"output": "Gulls.\nWind."}


def test_a_failed_call_is_told_as_an_error() -> None:
    failed = ToolResult(call_id="c1", parts=(Text(text="Fog."),), is_error=True)
    *_, answered = contents(user("Look."), assistant(LOOK), tool(failed))
    assert answered["parts"][0]["functionResponse"]["response"] == {"error": "Fog."}


def test_a_result_without_a_call_before_it_is_refused() -> None:
    assert "names no call" in refused("messages", user("Look."), tool(SEEN))


def test_a_result_that_names_its_function_needs_no_call() -> None:
    named = ToolResult(call_id="", name="look", parts=(Text(text="Waves."),))
    (turn,) = contents(user("Look."), tool(named))
    assert turn["parts"][1] == {"functionResponse": {"name": "look", "response": {"output": "Waves."}}}


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("", {}),
        ("  ", {}),
        ('{"n": 1}', {"n": 1}),
        ("[1]", {"arguments": [1]}),
        ('{"n": ', {"arguments": '{"n": '}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, args: Any) -> None:
    wrote = ToolCall(id="c1", name="look", arguments=arguments)
    said = contents(user("Look."), assistant(wrote))[1]
    assert said["parts"][0]["functionCall"]["args"] == args


def test_pictures_in_a_result_are_inside_it_where_the_model_takes_them_there() -> None:
    shown = ToolResult(call_id="c1", parts=(Text(text="Here."), PIXEL))
    data = {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}
    *_, newer = contents(user("Look."), assistant(LOOK), tool(shown))
    assert [next(iter(part)) for part in newer["parts"]] == ["functionResponse"]
    assert newer["parts"][0]["functionResponse"]["parts"] == [data]
    *_, older = contents(user("Look."), assistant(LOOK), tool(shown), model="gemini-2.5-flash")
    assert "parts" not in older["parts"][0]["functionResponse"]
    assert older["parts"][1] == data


# -- thoughts ---------------------------------------------------------------------------------------------


def test_a_signature_stands_on_the_part_that_it_came_with() -> None:
    thought = Reasoning(text="Hm.", signature="c2ln", origin=GEMINI)
    assert contents(user("So?"), assistant(thought, "Well."))[1]["parts"] == [
        {"text": "Hm.", "thought": True},
        {"text": "Well.", "thoughtSignature": "c2ln"},
    ]


def test_a_signature_that_came_last_stands_on_an_empty_text() -> None:
    late = Reasoning(signature="c2ln", origin=GEMINI)
    assert contents(user("So?"), assistant("Well.", late))[1]["parts"] == [
        {"text": "Well."},
        {"text": "", "thoughtSignature": "c2ln"},
    ]


def test_no_signature_is_lost_where_several_stand_together() -> None:
    one, two = (Reasoning(signature=each, origin=GEMINI) for each in ("one", "two"))
    signed = ToolCall(id="c1", name="look", arguments="{}", signature="three")
    parts = contents(user("So?"), assistant(one, two, signed))[1]["parts"]
    assert [part["thoughtSignature"] for part in parts if "functionCall" in part] == ["three"]
    assert sorted(part["thoughtSignature"] for part in parts) == ["one", "three", "two"]


def test_a_thought_that_another_dialect_signed_is_left_out_by_name() -> None:
    call = call_of()
    foreign = Reasoning(text="Hm.", signature="xyz", origin=ANTHROPIC_MESSAGES)
    body = write(asking(user("So?"), assistant(foreign, "Well.")), call)
    assert body["contents"][1]["parts"] == [{"text": "Well."}]
    assert call.dropped == ["messages[].reasoning"]


def test_a_calls_signature_goes_back_with_it() -> None:
    signed = ToolCall(id="c1", name="look", arguments="{}", signature="c2ln")
    said = contents(user("Look."), assistant(signed, LOOK))[1]
    assert [part.get("thoughtSignature") for part in said["parts"]] == ["c2ln", None]


def test_a_thought_before_a_call_signs_it() -> None:
    thought = Reasoning(text="", signature="c2ln", origin=GEMINI)
    said = contents(user("Look."), assistant(thought, LOOK))[1]
    assert [part.get("thoughtSignature") for part in said["parts"]] == ["c2ln"]


@pytest.mark.parametrize("model", ["gemini-3-pro-preview", "gemini-3.5-flash", "gemini-flash-latest"])
def test_a_call_that_nobody_signed_says_so_to_models_that_look_for_it(model: str) -> None:
    other = ToolCall(id="c2", name="hear", arguments="")
    said = contents(user("Look."), assistant(LOOK, other), model=model)[1]
    assert [part.get("thoughtSignature") for part in said["parts"]] == [FOREIGN_SIGNATURE, None]


@pytest.mark.parametrize("model", [OLD, "gemini-2.5-pro", "gemma-4-31b-it"])
def test_other_models_are_not_told_of_signatures(model: str) -> None:
    said = contents(user("Look."), assistant(LOOK), model=model)[1]
    assert said["parts"] == [{"functionCall": {"name": "look", "args": {"at": "the sea"}, "id": "c1"}}]


# -- media ------------------------------------------------------------------------------------------------


def media(of: Media, model: str = "gemini-2.5-flash") -> dict[str, Any]:
    (part,) = contents(user(of), model=model)[0]["parts"]
    assert isinstance(part, dict)
    return part


def test_data_goes_with_its_type() -> None:
    assert media(PIXEL, OLD) == {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}


@pytest.mark.parametrize(
    ("data", "name", "mime_type"),
    [
        ("iVBORw0KGgoAAAA", None, "image/png"),
        ("/9j/4AAQ", None, "image/jpeg"),
        ("JVBERi0xLjM", None, "application/pdf"),
        ("AAAA", "voice.mp3", "audio/mp3"),
        ("AAAA", None, "application/octet-stream"),
    ],
)
def test_data_without_a_type_gets_one_by_how_it_begins(data: str, name: str | None, mime_type: str) -> None:
    part = media(Media(kind="file", data=data, name=name))
    assert part["inlineData"]["mimeType"] == mime_type


@pytest.mark.parametrize("model", [OLD, "gemini-1.5-pro", "gemini-2.5-flash", "gemma-3-27b-it"])
@pytest.mark.parametrize(
    "url",
    [
        "https://youtu.be/abc",
        "https://m.youtube.com/watch?v=abc",
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
    ],
)
def test_every_model_is_given_googles_own_addresses(url: str, model: str) -> None:
    assert media(Media(kind="video", url=url), model) == {"fileData": {"fileUri": url}}


@pytest.mark.parametrize(
    ("url", "mime_type"),
    [
        ("https://pictures.example/a.JPG?size=1", "image/jpeg"),
        ("https://pictures.example/a.pdf", "application/pdf"),
        ("https://pictures.example/a", None),
        ("https://youtube.com.evil.example/a", None),
    ],
)
def test_newer_models_fetch_from_anywhere(url: str, mime_type: str | None) -> None:
    told = {"fileUri": url} if mime_type is None else {"fileUri": url, "mimeType": mime_type}
    assert media(Media(kind="image", url=url)) == {"fileData": told}
    assert "fetches no files" in refused("messages", user(Media(kind="image", url=url)), model=OLD)


def test_an_insecure_address_is_refused() -> None:
    assert "https" in refused("messages", user(Media(kind="image", url="http://pictures.example/a.png")))


def test_a_data_url_is_data() -> None:
    assert media(Media(kind="image", url="data:image/gif;base64,R0lG")) == {
        "inlineData": {"mimeType": "image/gif", "data": "R0lG"}
    }


def test_a_file_is_known_by_the_name_that_gemini_gave_it() -> None:
    address = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    for file_id in ("files/abc", address):
        assert media(Media(kind="file", file_id=file_id)) == {"fileData": {"fileUri": address}}
    assert "uploaded" in refused("messages", user(Media(kind="file", file_id="file-abc")))


def test_a_picture_that_the_model_drew_is_shown_to_it_again() -> None:
    said = contents(user("Draw."), assistant(PIXEL))[1]
    assert said["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}]


def test_a_picture_is_no_instruction() -> None:
    refused("messages", Message(role=Role.SYSTEM, parts=(PIXEL,)), user("Hi?"))


# -- tools ------------------------------------------------------------------------------------------------


def test_a_tools_schema_goes_whole() -> None:
    body = write(asking(tools=(A_TOOL, Tool(name="rest"))))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA},
                {"name": "rest"},
            ]
        }
    ]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="none", parallel=False), {"mode": "NONE"}),
        (ToolChoice(mode="required", parallel=True), {"mode": "ANY"}),
        (ToolChoice(mode="tool", name="look"), {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_each_choice_has_its_mode(choice: ToolChoice, config: dict[str, Any]) -> None:
    body = write(asking(tools=(A_TOOL,), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}


def test_without_tools_there_is_nothing_to_choose() -> None:
    assert "toolConfig" not in write(asking(tool_choice=ToolChoice(mode="required", parallel=False)))


def test_calls_that_must_come_one_at_a_time_are_refused() -> None:
    two = (A_TOOL, replace(A_TOOL, name="other"))
    refused("parallel_tool_calls", tools=two, tool_choice=ToolChoice(parallel=False))


def test_one_tool_at_a_time_is_no_matter_where_only_one_can_be_called() -> None:
    call = call_of()
    choice = ToolChoice(mode="tool", name="look", parallel=False)
    body = write(asking(tools=(A_TOOL, replace(A_TOOL, name="other")), tool_choice=choice), call)
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["look"]
    write(asking(tools=(A_TOOL,), tool_choice=ToolChoice(parallel=False)), call)
    assert call.dropped == ["parallel_tool_calls"]


@pytest.mark.parametrize(
    ("model", "mode"), [("gemini-2.5-pro", "VALIDATED"), ("gemma-4-31b-it", None)], ids=["gemini", "gemma"]
)
def test_strict_tools_are_validated_where_the_model_can(model: str, mode: str | None) -> None:
    strict = Tool(name="look", parameters=SCHEMA, strict=True)
    config = write(asking(tools=(A_TOOL, strict)), call_of(model)).get("toolConfig", {})
    assert config.get("functionCallingConfig", {}).get("mode") == mode


# -- the form of the answer -------------------------------------------------------------------------------


def test_what_is_not_said_is_not_written() -> None:
    assert write(asking()) == {"contents": [{"role": "user", "parts": [{"text": "Hi?"}]}]}


def test_sampling_has_geminis_names() -> None:
    body = write(
        asking(
            max_tokens=9,
            temperature=0.0,
            top_p=0.5,
            top_k=3,
            stop=("a", "b"),
            seed=7,
            frequency_penalty=0.1,
            presence_penalty=-0.1,
        )
    )
    assert body["generationConfig"] == {
        "maxOutputTokens": 9,
        "temperature": 0.0,
        "topP": 0.5,
        "topK": 3,
        "stopSequences": ["a", "b"],
        "seed": 7,
        "frequencyPenalty": 0.1,
        "presencePenalty": -0.1,
    }


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_a_seed_is_kept(seed: int) -> None:
    assert write(asking(seed=seed))["generationConfig"] == {"seed": seed}


@pytest.mark.parametrize("seed", [2**31, 2**63, -1])
def test_a_seed_that_is_too_large_for_gemini_becomes_one_that_is_not(seed: int) -> None:
    folded = write(asking(seed=seed))["generationConfig"]["seed"]
    assert 0 <= folded < 2**31
    assert folded == write(asking(seed=seed))["generationConfig"]["seed"]


@pytest.mark.parametrize(("wanted", "written"), [(100, 100), (64_000, 8192)])
def test_no_more_tokens_are_asked_for_than_the_model_can_write(wanted: int, written: int) -> None:
    info = ModelInfo(
        id="gemini/x", canonical_id="google/x", provider="gemini", name="x", max_output_tokens=8192
    )
    body = write(asking(max_tokens=wanted), call_of("x", info=info))
    assert body["generationConfig"] == {"maxOutputTokens": written}
    assert write(asking(max_tokens=wanted))["generationConfig"] == {"maxOutputTokens": wanted}


def test_more_stop_sequences_than_gemini_takes_are_refused() -> None:
    assert len(write(asking(stop=tuple("abcde")))["generationConfig"]["stopSequences"]) == 5
    refused("stop", stop=tuple("abcdef"))


@pytest.mark.parametrize(
    ("output", "config"),
    [
        (OutputFormat(kind="text"), None),
        (OutputFormat(kind="json_object"), {"responseMimeType": "application/json"}),
        (OutputFormat(kind="json_schema", name="x"), {"responseMimeType": "application/json"}),
        (
            OutputFormat(kind="json_schema", name="x", schema=SCHEMA, strict=True, description="A place."),
            {
                "responseMimeType": "application/json",
                "responseJsonSchema": {**SCHEMA, "description": "A place."},
            },
        ),
    ],
)
def test_each_format_is_asked_for(output: OutputFormat, config: dict[str, Any] | None) -> None:
    assert write(asking(output=output)).get("generationConfig") == config


# -- what has no place ------------------------------------------------------------------------------------


def test_details_that_change_nothing_are_left_out_by_name() -> None:
    call = call_of()
    picture = Media(kind="image", data="aGVsbG8=", mime_type="image/png", detail="low", cache="5m")
    named = Message(role=Role.USER, parts=(Text(text="Hi?", cache="1h"), picture), name="Ann")
    body = write(asking(named, user="u-1", tools=(Tool(name="look", cache="5m"),)), call)
    assert sorted(call.dropped) == ["cache_control", "messages[].content[].detail", "messages[].name", "user"]
    assert "Ann" not in str(body)
    assert "u-1" not in str(body)


@pytest.mark.parametrize(("name", "value"), [("n", 2), ("logprobs", True), ("logit_bias", {"1": 5})])
def test_what_would_make_another_answer_is_refused_by_name(name: str, value: Any) -> None:
    refused(name, extras={name: value})


def test_one_answer_is_what_there_is() -> None:
    call = call_of()
    assert "n" not in write(asking(extras={"n": 1}), call)
    assert call.dropped == []


def test_geminis_own_fields_reach_it() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = write(asking(extras={"safetySettings": settings, "cachedContent": "cachedContents/a"}))
    assert body["safetySettings"] == settings
    assert body["cachedContent"] == "cachedContents/a"


@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_geminis_own_configuration_is_added_to_ours(name: str) -> None:
    body = write(asking(temperature=0.5, extras={name: {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}))
    assert body["generationConfig"] == {"temperature": 0.5, "mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert "generation_config" not in body


def test_a_field_that_we_fill_is_not_replaced() -> None:
    call = call_of()
    body = write(asking(extras={"contents": []}), call)
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi?"}]}]
    assert call.dropped == ["contents"]


def test_what_googles_compatible_api_takes_is_put_where_gemini_has_it() -> None:
    google = {"thinking_config": {"thinking_budget": 800}, "cached_content": "cachedContents/a"}
    body = write(asking(temperature=1, extras={"extra_body": {"google": google, "other": 1}}))
    assert body["generationConfig"] == {"temperature": 1, "thinkingConfig": {"thinking_budget": 800}}
    assert body["cached_content"] == "cachedContents/a"
    assert body["extra_body"] == {"other": 1}


def test_pictures_are_asked_for_in_openrouters_words() -> None:
    extras = {"modalities": ["image", "text"], "image_config": {"aspect_ratio": "16:9", "image_size": "2K"}}
    body = write(asking(extras=extras))
    assert body["generationConfig"] == {
        "responseModalities": ["IMAGE", "TEXT"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
    }
    assert "modalities" not in body


def test_sound_is_not_asked_for() -> None:
    refused("modalities", extras={"modalities": ["text", "audio"]})


def test_text_alone_is_what_there_is_anyway() -> None:
    call = call_of()
    assert "generationConfig" not in write(asking(extras={"modalities": ["text"]}), call)
    assert call.dropped == []
