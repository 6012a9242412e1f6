"""Real exchanges with Gemini, where the recordings lie beside the checkout; else no tests.

What the dialect makes of an exchange is held against a second, plainer reading of the same JSON; what it
writes against the fields that recorded requests have.
"""

import base64
import collections
import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.answers import AnswerBuilder, AnswerEvent, Failed, ReasoningDelta, ToolCallStarted
from headgate.domain.conversation import (
    Conversation,
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
from headgate.domain.errors import ProviderFailed
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import GEMINI
from headgate.providers.dialects.gemini_counting import build_count_tokens, parse_count_tokens
from headgate.providers.dialects.gemini_embeddings import build_embeddings, parse_embeddings
from tests.contract.gemini_recordings import (
    ANSWERED,
    BACK,
    CODES,
    COUNTED,
    EMBEDDED,
    EXCHANGES,
    FAILED,
    LEFT_OUT,
    LISTED,
    NOT_OURS,
    PROVIDER,
    RECORDED,
    STREAMED,
    WHOLE,
    Exchange,
    assert_usage,
    context_of,
    name_of,
    parts_of,
    told_calls,
    told_reason,
    told_signatures,
    told_text,
)

pytestmark = pytest.mark.recorded


def assert_read(events: list[AnswerEvent], exchange: Exchange) -> None:
    """Everything that an answer says, once it is added up."""
    builder = AnswerBuilder()
    for event in events:
        assert not isinstance(event, Failed)
        builder.add(event)
    answer = builder.answer
    assert answer.text == told_text(exchange)
    thoughts = "".join(part.text for part in answer.parts if isinstance(part, Reasoning))
    assert thoughts == told_text(exchange, thought=True)
    assert [(call.name, json.loads(call.arguments)) for call in answer.tool_calls] == told_calls(exchange)
    ids = [call.id for call in answer.tool_calls]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]{1,40}", each) for each in ids)
    told_ids = [part["functionCall"].get("id") for part in parts_of(exchange) if "functionCall" in part]
    assert all(told in (mine, None) for told, mine in zip(told_ids, ids, strict=True))
    signed = [
        event.signature
        for event in events
        if isinstance(event, ReasoningDelta | ToolCallStarted) and event.signature is not None
    ]
    assert signed == told_signatures(exchange)
    assert answer.finish is not None
    assert answer.finish.native == told_reason(exchange)
    assert answer.model == exchange.chunks[-1]["modelVersion"]
    assert answer.id == exchange.chunks[-1].get("responseId")
    assert_usage(answer.usage, exchange)


def play(exchange: Exchange, reads: list[bytes]) -> list[AnswerEvent]:
    reader = BACK.read_stream(context_of(exchange))
    return [event for data in reads for event in reader.feed(data)] + reader.end()


# -- what is written --------------------------------------------------------------------------------------


def camel(name: str) -> str:
    """Google's servers take both spellings of a field."""
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


FREE = ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema")
"""Fields whose inside is the caller's."""


def paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            here = f"{path}.{camel(name)}"
            yield here
            if camel(name) not in FREE:
                yield from paths(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")


A_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
A_PICTURE = Media(kind="image", data="aGVsbG8=", mime_type="image/png")

FULL = Conversation(
    messages=(
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
        Message(
            role=Role.USER,
            parts=(
                Text(text="Look."),
                A_PICTURE,
                Media(kind="video", url="https://youtu.be/abc", mime_type="video/mp4"),
            ),
        ),
        Message(
            role=Role.ASSISTANT,
            parts=(
                Reasoning(text="Hm.", signature="c2ln", origin=GEMINI),
                Text(text="I will."),
                ToolCall(id="c1", name="look", arguments='{"city": "Ghent"}', signature="c2ln"),
            ),
        ),
        Message(role=Role.TOOL, parts=(ToolResult(call_id="c1", parts=(Text(text="Here."), A_PICTURE)),)),
    ),
    tools=(Tool(name="look", description="Looks.", parameters=A_SCHEMA),),
    tool_choice=ToolChoice(mode="tool", name="look"),
    output=OutputFormat(kind="json_schema", schema=A_SCHEMA),
    thinking=Thinking(effort="low", visible=True),
    max_tokens=10,
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    stop=("END",),
    seed=7,
    frequency_penalty=0.1,
    presence_penalty=0.1,
    extras={"modalities": ["text", "image"], "image_config": {"aspect_ratio": "1:1"}},
)

DOCUMENTED_ONLY = {
    ".generationConfig.seed",
    ".generationConfig.frequencyPenalty",
    ".generationConfig.presencePenalty",
    ".generationConfig.imageConfig",
    ".generationConfig.imageConfig.aspectRatio",
}
"""Fields that no recorded request has; they are in https://ai.google.dev/api/generate-content."""


def rebuilt(exchange: Exchange) -> tuple[str, Any]:
    """The request that comes of an OpenAI client's, for the texts of a recorded one."""
    first = exchange.request["requests"][0]
    texts = [each["content"]["parts"][0]["text"] for each in exchange.request["requests"]]
    body: dict[str, Any] = {"input": texts, "model": "as the caller calls it"}
    if "outputDimensionality" in first:
        body["dimensions"] = first["outputDimensionality"]
    body |= {name: first[name] for name in ("taskType",) if name in first}
    return build_embeddings(body, exchange.model)


ONE_PART = [each for each in EMBEDDED if len(each.request["requests"][0]["content"]["parts"]) == 1]


FIXTURES = RECORDED / "vercel-ai-fixtures" / "google"
CHUNKED = sorted(FIXTURES.glob("*.chunks.txt"))
"""Streams that another project recorded, one chunk a line; some have arguments in pieces."""


def leaves(value: Any, path: str = "$") -> dict[str, Any]:
    """The values of an object by the paths that Gemini has for them."""
    if isinstance(value, dict):
        return {
            at: leaf for name, each in value.items() for at, leaf in leaves(each, f"{path}.{name}").items()
        }
    if isinstance(value, list):
        return {at: leaf for n, each in enumerate(value) for at, leaf in leaves(each, f"{path}[{n}]").items()}
    return {path: value}


def told_leaves(chunks: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    """The calls of a stream by name, with their arguments' leaves, whichever way they came."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for part in (part for chunk in chunks for part in chunk["candidates"][0]["content"].get("parts", [])):
        call = part.get("functionCall", {})
        if "name" in call:
            calls.append((call["name"], leaves(call["args"]) if call.get("args") else {}))
        for piece in call.get("partialArgs", []):
            held = calls[-1][1]
            held.setdefault(piece["jsonPath"], "" if "stringValue" in piece else piece.get("numberValue"))
            held[piece["jsonPath"]] += piece.get("stringValue", 0) if "stringValue" in piece else 0
    return calls


if EXCHANGES:

    def test_the_recordings_are_found(capsys: pytest.CaptureFixture[str]) -> None:
        groups = {
            "whole": WHOLE,
            "streamed": STREAMED,
            "streamed without alt=sse": LISTED,
            "errors": FAILED,
            "embeddings": EMBEDDED,
            "token counts": COUNTED,
            "model lists": [each for each in EXCHANGES if each.kind == "models"],
            "left out": LEFT_OUT,
        }
        with capsys.disabled():
            numbers = ", ".join(f"{name} {len(group)}" for name, group in groups.items())
            print(f"\n  recorded exchanges of gemini: {numbers}", end="")  # noqa: T201 - a report
        assert sum(len(group) for group in groups.values()) == len(EXCHANGES)
        assert len(WHOLE) >= 140
        assert len(STREAMED) >= 25
        assert len(LISTED) >= 15
        assert len(EMBEDDED) >= 8
        assert {each.status for each in FAILED} == CODES.keys()
        assert {each.kind for each in LEFT_OUT} == NOT_OURS.keys()

    @pytest.mark.parametrize("exchange", LEFT_OUT, ids=name_of)
    def test_what_is_left_out_is_no_answer_that_we_could_read(exchange: Exchange) -> None:
        with pytest.raises(ProviderFailed):
            BACK.read_answer(exchange.body, context_of(exchange))

    @pytest.mark.parametrize("exchange", WHOLE + LISTED, ids=name_of)
    def test_a_whole_answer_is_read(exchange: Exchange) -> None:
        assert_read(BACK.read_answer(exchange.body, context_of(exchange)), exchange)

    @pytest.mark.parametrize("exchange", STREAMED + LISTED, ids=name_of)
    def test_a_stream_is_read(exchange: Exchange) -> None:
        assert_read(play(exchange, [exchange.body]), exchange)

    SMALL = [each for each in STREAMED + LISTED if len(each.body) < 3_500]

    @pytest.mark.parametrize("exchange", SMALL, ids=name_of)
    def test_a_stream_reads_the_same_cut_at_any_byte(exchange: Exchange) -> None:
        body = exchange.body
        whole = play(exchange, [body])
        assert play(exchange, [body[at : at + 1] for at in range(len(body))]) == whole
        for at in range(1, len(body), 1 if len(body) < 1_500 else 7):
            assert play(exchange, [body[:at], body[at:]]) == whole

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(STREAMED + LISTED), st.lists(st.integers(1, 4000), max_size=30))
    def test_any_stream_reads_the_same_in_any_pieces(exchange: Exchange, lengths: list[int]) -> None:
        reads, place = [], 0
        for length in lengths:
            reads.append(exchange.body[place : place + length])
            place += length
        assert play(exchange, [*reads, exchange.body[place:]]) == play(exchange, [exchange.body])

    @pytest.mark.parametrize("exchange", STREAMED, ids=name_of)
    def test_a_stream_that_is_cut_before_its_finish_never_looks_finished(exchange: Exchange) -> None:
        blocks = exchange.body.split(b"\r\n\r\n")
        finishing = next(at for at, block in enumerate(blocks) if b'"finishReason"' in block)
        for body in (blocks[:finishing], [*blocks[:finishing], blocks[finishing][:-20]]):
            events = play(exchange, [b"\r\n\r\n".join(body)])
            assert isinstance(events[-1], Failed)
            assert events[-1].error.code == "provider_protocol"

    @pytest.mark.parametrize("exchange", FAILED, ids=name_of)
    def test_an_error_has_the_right_code_and_its_reason(exchange: Exchange) -> None:
        error = PROVIDER.classify_error(exchange.status, exchange.headers, exchange.body)
        assert error.code == CODES[exchange.status]
        assert error.provider == "gemini"
        assert error.may_have_run is False
        assert exchange.chunks[0]["error"]["message"][:40] in error.detail
        details = exchange.chunks[0]["error"].get("details", [])
        delays = [detail["retryDelay"] for detail in details if "retryDelay" in detail]
        assert error.retry_after_s == (float(delays[0].removesuffix("s")) if delays else None)

    def test_what_is_written_has_the_fields_that_gemini_was_seen_to_take() -> None:
        recorded = {path for each in ANSWERED for path in paths(each.request)}
        call = ChatCall(body={}, model="gemini-3-flash-preview", stream=False)
        written = set(paths(BACK.write_request(FULL, call)))
        assert written - recorded == DOCUMENTED_ONLY
        assert {".contents[].parts[].functionResponse.parts[].inlineData.data"} <= written
        assert call.dropped == []

    @pytest.mark.parametrize("exchange", ONE_PART, ids=name_of)
    def test_an_embedding_is_asked_for_as_recorded(exchange: Exchange) -> None:
        path, body = rebuilt(exchange)
        assert path == f"/models/{exchange.model}:batchEmbedContents"
        assert body == exchange.request

    @pytest.mark.parametrize("exchange", EMBEDDED, ids=name_of)
    def test_an_embedding_is_read_to_the_last_digit(exchange: Exchange) -> None:
        (told,) = exchange.chunks
        asked = {"input": ["a text"] * len(told["embeddings"])}
        answer, usage = parse_embeddings(exchange.body, asked, exchange.model, judge=PROVIDER.judge_inside)
        assert [each["embedding"] for each in answer["data"]] == [e["values"] for e in told["embeddings"]]
        assert [each["index"] for each in answer["data"]] == list(range(len(told["embeddings"])))
        tokens = told.get("usageMetadata", {}).get("promptTokenCount")
        assert (usage.input_tokens if usage is not None else None) == tokens
        assert answer["usage"]["prompt_tokens"] == (tokens or 0)
        packed, _ = parse_embeddings(
            exchange.body, asked | {"encoding_format": "base64"}, exchange.model, judge=PROVIDER.judge_inside
        )
        for each, values in zip(packed["data"], told["embeddings"], strict=True):
            unpacked = struct.unpack(f"<{len(values['values'])}f", base64.b64decode(each["embedding"]))
            assert unpacked == pytest.approx(values["values"], rel=1e-6)

    @pytest.mark.parametrize("exchange", COUNTED, ids=name_of)
    def test_tokens_are_counted(exchange: Exchange) -> None:
        counted = exchange.request.get("generateContentRequest", exchange.request)
        path, body = build_count_tokens(counted, exchange.model)
        assert path == f"/models/{exchange.model}:countTokens"
        assert body["generateContentRequest"] == {"model": f"models/{exchange.model}", **counted}
        count = parse_count_tokens(exchange.body, judge=PROVIDER.judge_inside)
        assert count == exchange.chunks[0]["totalTokens"]

    def test_the_models_of_a_page_are_listed() -> None:
        listed = json.loads((RECORDED / "gemini" / "models-page1.json").read_bytes())
        page = PROVIDER.parse_list_models(json.dumps(listed).encode())
        by_id = {model.native_id: model for model in page.models}
        named = {entry["name"].removeprefix("models/"): entry for entry in listed["models"]}
        assert page.dropped == ()
        assert page.next_page == listed["nextPageToken"]
        assert named.keys() - by_id.keys() == {"aqa"}, "it answers over a corpus, by a method of its own"
        for native_id, model in by_id.items():
            entry = named[native_id]
            assert model.name == entry["displayName"]
            assert model.context_window == entry["inputTokenLimit"]
            assert model.max_output_tokens in (entry["outputTokenLimit"], None)
            assert ("reasoning" in model.capabilities) == entry.get("thinking", False)
            assert model.canonical_id == f"google/{native_id}"
            assert model.pricing is None
        kinds = collections.Counter(model.modality for model in page.models)
        assert kinds == {"text": 30, "image": 10, "tts": 3, "music": 2, "embedding": 3, "video": 1}

    def test_models_are_spelt_as_openrouter_spells_them() -> None:
        theirs = json.loads((RECORDED / "openrouter" / "models-2026-05-15.json").read_bytes())["data"]
        google = {
            entry["id"].lstrip("~") for entry in theirs if entry["id"].lstrip("~").startswith("google/")
        }
        listed = (RECORDED / "gemini" / "models-page1.json").read_bytes()
        ours = {model.canonical_id for model in PROVIDER.parse_list_models(listed).models}
        assert len(ours & google) >= 18

    @pytest.mark.parametrize("path", CHUNKED, ids=lambda path: path.name.removesuffix(".chunks.txt"))
    def test_streams_that_others_recorded_are_read(path: Path) -> None:
        chunks = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)
        events = play(STREAMED[0], [body[at : at + 997] for at in range(0, len(body), 997)])
        builder = AnswerBuilder()
        for event in events:
            assert not isinstance(event, Failed)
            builder.add(event)
        answer = builder.answer
        parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"].get("parts", [])]
        assert answer.text == "".join(part.get("text", "") for part in parts if not part.get("thought"))
        calls = [(call.name, leaves(json.loads(call.arguments))) for call in answer.tool_calls]
        assert calls == told_leaves(chunks)
        assert answer.finish is not None
        assert (answer.finish.reason == "tool_calls") == bool(calls)
        told = chunks[-1]["usageMetadata"]
        assert answer.usage is not None
        assert answer.usage.total_tokens == told["totalTokenCount"]
        assert answer.usage.output_tokens == told["totalTokenCount"] - told["promptTokenCount"]

    def test_streams_with_arguments_in_pieces_are_among_them() -> None:
        assert len([path for path in CHUNKED if "partialArgs" in path.read_text()]) >= 4

    def test_an_error_that_others_recorded_says_how_long_to_wait() -> None:
        body = (FIXTURES / "google-429-retry-info.json").read_bytes()
        error = PROVIDER.classify_error(429, {}, body)
        assert (error.code, error.retry_after_s) == ("provider_rate_limited", 34.4)
