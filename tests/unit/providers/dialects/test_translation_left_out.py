"""What an answer or a request loses on the way to another dialect is named; handed through, it loses none."""

from typing import Any

import orjson
import pytest

from headgate.domain.answers import Started
from headgate.domain.conversation import Conversation, Media, Text, Tool, ToolCall, ToolChoice, ToolResult
from headgate.domain.errors import CannotCarry
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import (
    ANTHROPIC_MESSAGES,
    BEDROCK_CONVERSE,
    GEMINI,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    BackDialect,
)
from headgate.providers.dialects.bedrock_converse import BedrockConverse
from headgate.providers.dialects.gemini import GeminiGenerate
from headgate.providers.dialects.openai_responses import OpenAIResponses
from headgate.providers.dialects.results_first import results_first
from tests.unit.providers import framing
from tests.unit.providers.dialects import gemini_saying, responses
from tests.unit.providers.dialects.speaking import DONE, chunk, frame
from tests.unit.providers.dialects.translating import (
    CHAT,
    MESSAGES,
    asking,
    assistant,
    call_of,
    context,
    info,
    sse,
    streamed,
    system,
    tool,
    user,
)

BACKS: dict[str, BackDialect] = {
    OPENAI_CHAT: CHAT,
    ANTHROPIC_MESSAGES: MESSAGES,
    OPENAI_RESPONSES: OpenAIResponses(),
    GEMINI: GeminiGenerate(),
    BEDROCK_CONVERSE: BedrockConverse(),
}
LINKED = {"content": "Yes.", "annotations": [{"type": "url_citation"}]}
CITED = {"type": "text", "text": "Yes.", "citations": [{"type": "char_location"}]}
SEARCHED = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
NOTED = {"type": "output_text", "text": "Yes.", "annotations": [{"type": "url_citation"}], "logprobs": []}
FOUND = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
GROUNDED = {
    "candidates": [
        {
            "content": {"parts": [{"executableCode": {"code": "1+1"}}, {"text": "2"}], "role": "model"},
            "groundingMetadata": {"webSearchQueries": ["2"]},
            "finishReason": "STOP",
        }
    ]
}
CITATION = {"contentBlockIndex": 0, "delta": {"citation": {"title": "t"}}}
BEDROCKS_OWN = {
    "contentBlockIndex": 1,
    "start": {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}},
}

WHOLE: dict[str, tuple[Any, list[str]]] = {
    OPENAI_CHAT: ({"choices": [{"message": LINKED, "finish_reason": "stop"}]}, ["output.citations"]),
    ANTHROPIC_MESSAGES: (
        {"content": [SEARCHED, CITED], "stop_reason": "end_turn"},
        ["output.server_tool_use", "output.citations"],
    ),
    OPENAI_RESPONSES: (
        responses.response(FOUND, responses.message(NOTED)),
        ["output.web_search_call", "output.citations"],
    ),
    GEMINI: (GROUNDED, ["output.citations", "output.executableCode"]),
    BEDROCK_CONVERSE: (
        {
            "output": {
                "message": {
                    "content": [
                        {"citationsContent": {"content": [{"text": "Yes."}]}},
                        {"toolUse": BEDROCKS_OWN["start"]["toolUse"]},  # type: ignore[index]
                    ]
                }
            },
            "stopReason": "end_turn",
        },
        ["output.citations", "output.server_tool_use"],
    ),
}
STREAMED: dict[str, bytes] = {
    OPENAI_CHAT: frame(chunk(LINKED)) + frame(chunk({}, "stop")) + DONE,
    ANTHROPIC_MESSAGES: sse(
        {"type": "message_start", "message": {"id": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": SEARCHED},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    ),
    OPENAI_RESPONSES: responses.created()
    + responses.added(FOUND)
    + responses.done(FOUND)
    + responses.done(responses.message(NOTED), 1)
    + responses.completed(FOUND, responses.message(NOTED)),
    GEMINI: gemini_saying.framed(GROUNDED),
    BEDROCK_CONVERSE: framing.event("messageStart", {"role": "assistant"})
    + framing.event("contentBlockDelta", CITATION)
    + framing.event("contentBlockStart", BEDROCKS_OWN)
    + framing.event("messageStop", {"stopReason": "end_turn"})
    + framing.event("metadata", {"usage": {}}),
}


@pytest.mark.parametrize("name", BACKS)
def test_what_an_answer_says_beyond_others_words_is_named(name: str) -> None:
    told, names = WHOLE[name]
    within = context(call_of("another", model="claude-x"))
    events = BACKS[name].read_answer(orjson.dumps(told), within)
    assert isinstance(events[0], Started)
    assert within.call.dropped == names


@pytest.mark.parametrize("name", BACKS)
def test_what_a_stream_says_beyond_others_words_is_named_the_same(name: str) -> None:
    within = context(call_of("another", model="claude-x", stream=True))
    streamed(BACKS[name], [STREAMED[name]], within)
    assert sorted(within.call.dropped) == sorted(WHOLE[name][1])


@pytest.mark.parametrize("name", [OPENAI_CHAT, ANTHROPIC_MESSAGES, OPENAI_RESPONSES])
def test_what_is_handed_through_loses_nothing(name: str) -> None:
    within = context(call_of(name))
    body = orjson.dumps(WHOLE[name][0])
    assert BACKS[name].hand_answer(body, within).body == body
    reader = BACKS[name].hand_stream(within)
    reader.feed(STREAMED[name])
    reader.end()
    assert within.call.dropped == []


def test_a_providers_word_that_is_no_word_is_not_repeated() -> None:
    within = context(call_of("another"))
    told = {"content": [{"type": "x\r\nset-cookie: a"}], "stop_reason": "end_turn"}
    MESSAGES.read_answer(orjson.dumps(told), within)
    assert within.call.dropped == ["output.unknown"]


# -- requests -----------------------------------------------------------------------------------------------


def dropped(back: str, conversation: Conversation, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    call: ChatCall = call_of("another", model=fields.pop("model", "claude-x"), **fields)
    return BACKS[back].write_request(conversation, call), call.dropped


@pytest.mark.parametrize("back", [ANTHROPIC_MESSAGES, GEMINI, BEDROCK_CONVERSE])
def test_instructions_that_leave_their_place_in_a_chat_are_named(back: str) -> None:
    chat = (system("Be brief."), user("Hi?"), assistant("Yes?"))
    assert dropped(back, asking(*chat, user("Go on.")))[1] == []
    assert dropped(back, asking(*chat, system("Be kind."), user("Go on.")))[1] == ["messages[].role"]


@pytest.mark.parametrize("back", [OPENAI_CHAT, OPENAI_RESPONSES])
def test_instructions_stay_in_their_place_where_they_may(back: str) -> None:
    chat = (user("Hi?"), assistant("Yes?"), system("Be kind."), user("Go on."))
    body, names = dropped(back, asking(*chat))
    assert names == []
    roles = [each["role"] for each in body.get("messages") or body["input"]]
    assert roles == ["user", "assistant", "system", "user"]


@pytest.mark.parametrize("back", [ANTHROPIC_MESSAGES, OPENAI_RESPONSES, BEDROCK_CONVERSE])
def test_a_seed_that_can_not_be_said_is_named_though_it_is_zero(back: str) -> None:
    assert dropped(back, asking(seed=0))[1] == ["seed"]


@pytest.mark.parametrize("back", [ANTHROPIC_MESSAGES, OPENAI_RESPONSES, BEDROCK_CONVERSE])
def test_a_penalty_of_nothing_is_not_worth_a_word(back: str) -> None:
    assert dropped(back, asking(frequency_penalty=0, presence_penalty=0.0))[1] == []


def test_bedrock_is_asked_before_it_has_answered() -> None:
    body, _ = dropped(BEDROCK_CONVERSE, asking(assistant("Yes?"), user("Go on.")))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert all(turn["content"] for turn in body["messages"])


def test_bedrock_is_asked_though_there_are_instructions_alone() -> None:
    body, _ = dropped(BEDROCK_CONVERSE, asking(system("Say hello.")))
    assert body["messages"] == [{"role": "user", "content": [{"text": "Say hello."}]}]
    assert "system" not in body


@pytest.mark.parametrize(("most", "said"), [(1, 16), (15, 16), (16, 16), (17, 17)])
def test_a_response_is_allowed_the_least_it_can_be_and_says_so(most: int, said: int) -> None:
    body, names = dropped(OPENAI_RESPONSES, asking(max_tokens=most))
    assert body["max_output_tokens"] == said
    assert names == (["max_tokens"] if most < said else [])


def test_thoughts_that_nobody_keeps_are_asked_for_sealed_where_a_model_has_any() -> None:
    thinks, speaks = info(capabilities=frozenset({"reasoning"})), info(capabilities=frozenset({"tools"}))
    assert dropped(OPENAI_RESPONSES, asking(), info=thinks)[0]["include"] == ["reasoning.encrypted_content"]
    assert "include" not in dropped(OPENAI_RESPONSES, asking(), info=speaks)[0]
    assert "include" not in dropped(OPENAI_RESPONSES, asking())[0]


@pytest.mark.parametrize("back", [ANTHROPIC_MESSAGES, GEMINI, BEDROCK_CONVERSE])
def test_instructions_other_than_text_are_refused_where_they_can_not_be_said(back: str) -> None:
    image = Media(kind="image", data="aGk=", mime_type="image/png")
    with pytest.raises(CannotCarry) as refused:
        dropped(back, asking(system(image), user("Hi?")))
    assert [error.field for error in refused.value.errors] == ["messages"]


@pytest.mark.parametrize("kind", ["image", "file"])
def test_a_file_that_lies_with_another_provider_is_refused(kind: Any) -> None:
    with pytest.raises(CannotCarry):
        dropped(OPENAI_RESPONSES, asking(user(Media(kind=kind, file_id="file_011abc"))))
    assert dropped(OPENAI_RESPONSES, asking(user(Media(kind=kind, file_id="file-abc"))))[1] == []


@pytest.mark.parametrize("back", [OPENAI_CHAT, ANTHROPIC_MESSAGES, GEMINI, BEDROCK_CONVERSE])
def test_a_tool_that_must_be_called_though_none_is_there_is_named(back: str) -> None:
    for choice in (ToolChoice(mode="required"), ToolChoice(mode="tool", name="f")):
        assert dropped(back, asking(tool_choice=choice))[1] == ["tool_choice"]
    assert dropped(back, asking(tool_choice=ToolChoice(mode="none")))[1] == []


BETWEEN = (
    user("Hi?"),
    assistant(ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="f", arguments="{}")),
    tool(ToolResult(call_id="c2", name="f", parts=(Text(text="2"),))),
    user("Hurry."),
    tool(ToolResult(call_id="c1", name="f", parts=(Text(text="1"),))),
)


def test_results_follow_their_calls_before_anything_else_is_said() -> None:
    offered = asking(*BETWEEN, tools=(Tool(name="f"),))
    chat, _ = dropped(OPENAI_CHAT, offered)
    assert [each["role"] for each in chat["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    gemini, _ = dropped(GEMINI, offered)
    assert [*map(set, gemini["contents"][2]["parts"])] == [
        {"functionResponse"},
        {"functionResponse"},
        {"text"},
    ]
    bedrock, _ = dropped(BEDROCK_CONVERSE, offered)
    assert [*map(set, bedrock["messages"][2]["content"])] == [{"toolResult"}, {"toolResult"}, {"text"}]
    claude, _ = dropped(ANTHROPIC_MESSAGES, offered)
    kinds = [block["type"] for block in claude["messages"][2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text"]


def test_what_is_said_after_results_or_without_calls_stays_where_it_was() -> None:
    chat = [user("a"), assistant("b"), user("c"), assistant("d"), user("e"), system("f")]
    assert results_first(chat) == chat
    assert results_first([*BETWEEN, assistant("g"), user("h")])[-2:] == [assistant("g"), user("h")]


def test_a_document_alone_is_shown_to_bedrock_with_a_text_beside_it() -> None:
    paper = Media(kind="file", data="JVBERi0=", mime_type="application/pdf", name="a.pdf")
    body, _ = dropped(BEDROCK_CONVERSE, asking(user(paper)))
    assert [*map(set, body["messages"][0]["content"])] == [{"document"}, {"text"}]
    body, _ = dropped(BEDROCK_CONVERSE, asking(user(paper, "What is it?")))
    assert [*map(set, body["messages"][0]["content"])] == [{"document"}, {"text"}]
    assert body["messages"][0]["content"][1] == {"text": "What is it?"}


def test_penalties_of_zero_are_not_said_to_gemini() -> None:
    body, _ = dropped(GEMINI, asking(frequency_penalty=0, presence_penalty=0.0, seed=0))
    assert body["generationConfig"] == {"seed": 0}
