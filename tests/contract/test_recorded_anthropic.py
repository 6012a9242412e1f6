"""Real messages of Anthropic's, handed through and translated, where the recordings lie beside the checkout.

What the dialect makes of an exchange is held against a second, plainer reading of the same bytes. Every
request body of messages and of chat completions is written for a provider of the other dialect.
"""

import collections
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headgate.domain.errors import CannotCarry
from headgate.domain.generation import Usage
from headgate.providers.anthropic import Anthropic
from headgate.providers.base import ChatCall, ChatOutcome, ProviderConfig, StreamEvent
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT
from headgate.providers.openai import OpenAI

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)
pytestmark = pytest.mark.recorded

ANTHROPIC, OPENAI = Anthropic(), OpenAI()
NOWHERE = ProviderConfig(base_url="https://provider.example")
DONE = b"data: [DONE]\n\n"

ERROR_CODES = {
    "test-anthropic-explicit-effort-xhigh-unsupported-model-errors.0.400.json.json": "provider_rejected",
    "test-model-name-suggestion-anthropic.0.404.json.json": "model_not_found",
    "test-anthropic-count-tokens-error.0.404.json.json": "model_not_found",
    "raises-appropriate-auth-error.0.401.json.json": "provider_auth",
    "handles-context-length-exceeded-error.0.400.json.json": "context_too_long",
}
"""By the end of the file's name: every error on record."""

REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# Blocks that have no place outside of Anthropic's dialect.
UNSAYABLE = {"search_result", "tool_reference", "tool_addition", "compaction"}


def excused_messages(request: dict[str, Any]) -> set[str]:
    """Why a request for a message can't be told to OpenAI, as far as it can't."""
    kinds = {block.get("type") for block in blocks_of(request["messages"])}
    found = {
        "tools that Anthropic runs": any(
            t.get("type", "custom") != "custom" for t in request.get("tools", ())
        ),
        "MCP servers": bool(request.get("mcp_servers")),
        "a container": "container" in request,
        "blocks without a like": bool(kinds & UNSAYABLE),
        "a document by URL": any(
            block.get("type") == "document" and block["source"]["type"] == "url"
            for block in blocks_of(request["messages"])
        ),
    }
    return {reason for reason, there in found.items() if there}


def excused_chats(request: dict[str, Any]) -> set[str]:
    """Why a chat completion can't be told to Anthropic, as far as it can't."""
    kinds = {block.get("type") for block in blocks_of(request["messages"])}
    found = {
        "tools that OpenRouter runs": any(t["type"] != "function" for t in request.get("tools") or ()),
        "a search of OpenAI's": "web_search_options" in request,
        "a moderation of OpenAI's": "moderation" in request,
        "a preset of OpenRouter's": "preset" in request,
        "video": "video_url" in kinds,
    }
    return {reason for reason, there in found.items() if there}


def blocks_of(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All blocks, those within tool results too."""
    found: list[dict[str, Any]] = []
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            found += [block, *blocks_of([block])]
    return found


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange; `body` as it came over the wire, but for the spacing of JSON."""

    slug: str
    name: str
    path: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes
    streamed: bool


def exchanges() -> list[Exchange]:
    """Every exchange whose path ends in one of those that this is about."""
    found = []
    for path in sorted(RECORDED.glob("*/recorded/**/*.json")):
        recorded = json.loads(path.read_bytes())
        request, response = recorded["request"], recorded["response"]
        url = request["url"].split("?")[0]
        ending = next((p for p in ("/messages", "/count_tokens", "/chat/completions") if url.endswith(p)), "")
        if not ending:
            continue
        body, kind = response["body"], response["body_kind"]
        found.append(
            Exchange(
                slug=path.relative_to(RECORDED).parts[0],
                name=path.name,
                path=ending,
                request=request["body"],
                status=response["status"],
                headers={name.lower(): value for name, value in response["headers"].items()},
                body=body.encode() if kind == "sse" else json.dumps(body).encode(),
                streamed=kind == "sse",
            )
        )
    return found


EXCHANGES = exchanges()
MESSAGES = [each for each in EXCHANGES if each.path == "/messages"]
WHOLE = [each for each in MESSAGES if each.status == 200 and not each.streamed]
STREAMED = [each for each in MESSAGES if each.status == 200 and each.streamed]
COUNTED = [each for each in EXCHANGES if each.path == "/count_tokens" and each.status == 200]
FAILED = [each for each in EXCHANGES if each.path != "/chat/completions" and each.status != 200]
CHATS = [each for each in EXCHANGES if each.path == "/chat/completions"]


def name_of(exchange: Exchange) -> str:
    return f"{exchange.slug}-{exchange.name.removesuffix('.json')[-70:]}"


def price(_usage: Usage) -> Decimal:
    return Decimal("0.000123")


def call_of(dialect: str, *, stream: bool = False, include_usage: bool = False) -> ChatCall:
    return ChatCall(body={}, model="m", stream=stream, dialect=dialect, include_usage=include_usage)


# -- a plainer reading ------------------------------------------------------------------------------------


def frames(body: bytes) -> Iterator[tuple[bytes, Any]]:
    """The events of a stream as their own bytes and their JSON; none of the recordings has other framing."""
    for block in body.split(b"\n\n"):
        if block.strip():
            _, data = block.strip(b"\n").split(b"\n")
            yield block.strip(b"\n") + b"\n\n", json.loads(data.removeprefix(b"data:"))


def message_of(exchange: Exchange) -> dict[str, Any]:
    """The message, put together from its events where it was streamed."""
    if not exchange.streamed:
        whole: dict[str, Any] = json.loads(exchange.body)
        return whole
    message: dict[str, Any] = {}
    arguments: dict[int, str] = collections.defaultdict(str)
    for _, event in frames(exchange.body):
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            if delta["type"] == "input_json_delta":
                arguments[event["index"]] += delta["partial_json"]
            elif delta["type"] in ("text_delta", "thinking_delta", "signature_delta"):
                name = delta["type"].removesuffix("_delta")
                block[name] += delta[name]
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for index, text in arguments.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    return message


def text_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


def calls_of(message: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [(b["id"], b["name"], b["input"]) for b in message["content"] if b["type"] == "tool_use"]


def thoughts_of(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Text and signature, or what stands for a thought that was redacted."""
    found = []
    for block in message["content"]:
        if block["type"] == "thinking":
            found.append((block["thinking"], block["signature"]))
        elif block["type"] == "redacted_thinking":
            found.append(("", block["data"]))
    return found


def tokens_of(message: dict[str, Any]) -> tuple[int, int, int, int, int | None]:
    """All input, output, read from the cache, written to it, thought."""
    usage = message["usage"]
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return usage["input_tokens"] + read + written, usage["output_tokens"], read, written, thought


def assert_outcome(outcome: ChatOutcome, message: dict[str, Any]) -> None:
    assert outcome.text == text_of(message)
    told = [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in outcome.tool_calls
    ]
    assert told == calls_of(message)
    assert outcome.finish_reason == REASONS[message["stop_reason"]]
    usage = outcome.usage
    assert usage is not None
    assert (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    ) == tokens_of(message)


def play(
    reads: list[bytes], dialect: str, *, include_usage: bool = False
) -> tuple[list[StreamEvent], ChatOutcome]:
    reader = ANTHROPIC.read_chat_stream(call_of(dialect, stream=True, include_usage=include_usage), price)
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end(), reader.outcome


def assert_chat_usage(usage: dict[str, Any], message: dict[str, Any]) -> None:
    """OpenAI's usage object, as a client gets it."""
    total, out, read, written, thought = tokens_of(message)
    assert usage["prompt_tokens"] == total
    assert usage["completion_tokens"] == out
    assert usage["total_tokens"] == total + out
    assert usage["prompt_tokens_details"] == {"cached_tokens": read, "cache_write_tokens": written}
    assert usage.get("completion_tokens_details") == (
        None if thought is None else {"reasoning_tokens": thought}
    )
    assert usage["cost"] == 0.000123


def assert_chat_message(said: dict[str, Any], message: dict[str, Any]) -> None:
    """What an OpenAI client gets to see of a message."""
    assert (said.get("content") or "") == text_of(message)
    told = [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
        for c in said.get("tool_calls") or ()
    ]
    assert told == calls_of(message)
    thoughts = thoughts_of(message)
    assert said.get("reasoning_content", "") == "".join(text for text, _ in thoughts)
    signed: list[tuple[str, str]] = []
    place = None
    for detail in said.get("reasoning_details", ()):
        assert detail["format"] == "anthropic-claude-v1"
        text, signature = detail.get("text", ""), detail.get("signature") or detail.get("data") or ""
        if detail["index"] == place:
            text, signature = signed[-1][0] + text, signed[-1][1] + signature
            signed.pop()
        signed.append((text, signature))
        place = detail["index"]
    assert signed == thoughts


if RECORDED.is_dir():

    def test_the_recordings_are_found(capsys: pytest.CaptureFixture[str]) -> None:
        counted = {
            "whole": WHOLE,
            "streamed": STREAMED,
            "counts of tokens": COUNTED,
            "errors": FAILED,
            "requests to chat completions": CHATS,
        }
        with capsys.disabled():
            told = ", ".join(f"{name} {len(found)}" for name, found in counted.items())
            print(f"\n  recorded messages of anthropic: {told}", end="")  # noqa: T201 - a report
        assert len(WHOLE) >= 160
        assert len(STREAMED) >= 45
        assert len(COUNTED) >= 10
        assert len(CHATS) >= 300
        assert len(FAILED) == len(ERROR_CODES)
        assert {each.slug for each in MESSAGES} == {"anthropic"}

    # -- handed through -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("exchange", WHOLE, ids=name_of)
    def test_a_whole_message_is_read_and_handed_on(exchange: Exchange) -> None:
        answer = ANTHROPIC.parse_chat(call_of(ANTHROPIC_MESSAGES), exchange.body, price)
        message = message_of(exchange)
        assert_outcome(answer.outcome, message)
        message["usage"]["cost"] = 0.000123
        assert json.loads(answer.body) == message

    @pytest.mark.parametrize("exchange", STREAMED, ids=name_of)
    def test_a_stream_is_handed_on_and_only_its_cost_is_added(exchange: Exchange) -> None:
        events, outcome = play([exchange.body], ANTHROPIC_MESSAGES)
        assert [event.error for event in events if event.error] == []
        assert_outcome(outcome, message_of(exchange))
        told = list(frames(exchange.body))
        assert len(events) == len(told)
        for event, (raw, value) in zip(events, told, strict=True):
            if value["type"] == "message_delta":
                value["usage"]["cost"] = 0.000123
                assert event.data.startswith(b"event: message_delta\ndata: ")
                assert [value] == [each for _, each in frames(event.data)]
            else:
                assert event.data == raw
        last = next(at for at, (_, value) in enumerate(told) if value["type"] == "message_delta")
        assert not any(event.content for event in events[last:])
        assert any(event.content for event in events[:last])

    # -- translated ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("exchange", WHOLE, ids=name_of)
    def test_a_whole_message_is_told_to_a_client_of_chat_completions(exchange: Exchange) -> None:
        answer = ANTHROPIC.parse_chat(call_of(OPENAI_CHAT), exchange.body, price)
        message = message_of(exchange)
        assert_outcome(answer.outcome, message)
        told = json.loads(answer.body)
        assert (told["id"], told["model"]) == (message["id"], message["model"])
        (choice,) = told["choices"]
        assert choice["finish_reason"] == REASONS[message["stop_reason"]]
        assert_chat_message(choice["message"], message)
        assert_chat_usage(told["usage"], message)

    @pytest.mark.parametrize("exchange", STREAMED, ids=name_of)
    @pytest.mark.parametrize("include_usage", [True, False], ids=["asked", "unasked"])
    def test_a_stream_is_told_to_a_client_of_chat_completions(
        exchange: Exchange, include_usage: bool
    ) -> None:
        events, outcome = play([exchange.body], OPENAI_CHAT, include_usage=include_usage)
        message = message_of(exchange)
        assert_outcome(outcome, message)
        sent = b"".join(event.data for event in events)
        assert sent.endswith(DONE)
        chunks = [json.loads(line[6:]) for line in sent.split(b"\n\n") if line.startswith(b"data: {")]
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert {chunk["id"] for chunk in chunks} == {message["id"]}
        finishing = [c for c in chunks if c["choices"] and c["choices"][0]["finish_reason"]]
        assert finishing == [chunks[-2] if include_usage else chunks[-1]]
        assert finishing[0]["choices"][0]["finish_reason"] == REASONS[message["stop_reason"]]
        assert [bool(chunk["choices"]) for chunk in chunks] == [True] * (len(chunks) - include_usage) + [
            False
        ] * include_usage
        assert [chunk for chunk in chunks if "usage" in chunk] == [chunks[-1]]
        assert_chat_usage(chunks[-1]["usage"], message)
        assert_chat_message(_joined([c["choices"][0]["delta"] for c in chunks if c["choices"]]), message)

    def _joined(deltas: list[dict[str, Any]]) -> dict[str, Any]:
        calls: dict[int, dict[str, Any]] = {}
        said: dict[str, Any] = {"content": "", "reasoning_details": []}
        for delta in deltas:
            said["content"] += delta.get("content") or ""
            if "reasoning_content" in delta:
                said["reasoning_content"] = said.get("reasoning_content", "") + delta["reasoning_content"]
            said["reasoning_details"] += delta.get("reasoning_details", [])
            for piece in delta.get("tool_calls", ()):
                call = calls.setdefault(piece["index"], piece)
                if call is not piece:
                    call["function"]["arguments"] += piece["function"]["arguments"]
        return {**said, "tool_calls": list(calls.values())}

    # -- cut ----------------------------------------------------------------------------------------------

    SMALL = [each for each in STREAMED if len(each.body) < 3_000]

    @pytest.mark.parametrize("exchange", SMALL, ids=name_of)
    @pytest.mark.parametrize("dialect", [ANTHROPIC_MESSAGES, OPENAI_CHAT])
    def test_a_stream_reads_the_same_cut_at_any_byte(
        exchange: Exchange, dialect: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.time", lambda: 1_770_000_000.0)

        def told(reads: list[bytes]) -> tuple[list[tuple[bytes, bool]], ChatOutcome]:
            events, outcome = play(reads, dialect)
            assert not any(event.error for event in events)
            return [(event.data, event.content) for event in events if event.data], outcome

        body = exchange.body
        whole = told([body])
        assert told([body[at : at + 1] for at in range(len(body))]) == whole
        for at in range(1, len(body), 7):
            assert told([body[:at], body[at:]]) == whole

    @pytest.mark.parametrize("exchange", STREAMED, ids=name_of)
    @pytest.mark.parametrize("dialect", [ANTHROPIC_MESSAGES, OPENAI_CHAT])
    def test_a_stream_that_is_cut_before_its_end_never_looks_finished(
        exchange: Exchange, dialect: str
    ) -> None:
        raws = [raw for raw, _ in frames(exchange.body)]
        assert b"message_stop" in raws[-1]
        for reads in (
            raws[:-1],
            raws[:1],
            [*raws[:-1], raws[-1][:-20]],
            [exchange.body[: len(exchange.body) // 2]],
        ):
            events, _ = play(reads, dialect)
            assert events[-1].error is not None
            assert events[-1].error.code == "provider_protocol"
            sent = b"".join(event.data for event in events)
            assert DONE not in sent
            assert b"event: message_stop" not in sent

    # -- beside answers -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("exchange", COUNTED, ids=name_of)
    def test_a_count_of_tokens_is_read(exchange: Exchange) -> None:
        assert ANTHROPIC.parse_count_tokens(exchange.body) == json.loads(exchange.body)["input_tokens"]

    @pytest.mark.parametrize("exchange", FAILED, ids=name_of)
    def test_an_error_has_the_right_code_and_a_clean_reason(exchange: Exchange) -> None:
        error = ANTHROPIC.classify_error(exchange.status, exchange.headers, exchange.body)
        told = json.loads(exchange.body)
        (code,) = [code for ending, code in ERROR_CODES.items() if exchange.name.endswith(ending)]
        assert error.code == code
        assert told["error"]["message"][:40] in error.detail
        assert error.provider == "anthropic"
        assert error.provider_request_id in (told["request_id"], exchange.headers.get("request-id"))
        assert error.may_have_run is False

    def test_the_list_of_models_is_read_without_loss() -> None:
        (path,) = (RECORDED / "anthropic").glob("models-*.json")
        told = json.loads(path.read_bytes())
        page = ANTHROPIC.parse_list_models(path.read_bytes())
        assert page.dropped == ()
        assert page.next_page is None
        assert [model.native_id for model in page.models] == [entry["id"] for entry in told["data"]]
        for model, entry in zip(page.models, told["data"], strict=True):
            can = entry["capabilities"]
            types = can["thinking"]["types"]
            assert model.context_window == entry["max_input_tokens"]
            assert model.max_output_tokens == entry["max_tokens"]
            assert ("structured_output" in model.capabilities) == can["structured_outputs"]["supported"]
            assert ("vision" in model.capabilities) == can["image_input"]["supported"]
            assert ("thinking_budget" in model.capabilities) == types["enabled"]["supported"]
            assert ("adaptive_thinking" in model.capabilities) == types["adaptive"]["supported"]
            assert ("effort_xhigh" in model.capabilities) == can["effort"]["xhigh"]["supported"]

    # -- requests -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("exchange", MESSAGES, ids=name_of)
    def test_a_request_for_a_message_is_written_for_a_server_of_chat_completions(exchange: Exchange) -> None:
        call = ChatCall(
            body=exchange.request, model="m", stream=exchange.streamed, dialect=ANTHROPIC_MESSAGES
        )
        if excused_messages(exchange.request):
            with pytest.raises(CannotCarry) as caught:
                OPENAI.build_chat(call, NOWHERE)
            assert caught.value.errors
            return
        request = OPENAI.build_chat(call, NOWHERE)
        body = json.loads(request.body or b"")
        assert request.url.endswith("/chat/completions")
        assert body["max_completion_tokens"] == exchange.request["max_tokens"]
        assert len(body.get("tools", [])) == len(exchange.request.get("tools", []))
        for text in _texts(exchange.request["messages"]):
            assert _holds(body["messages"], text)

    @pytest.mark.parametrize("exchange", CHATS, ids=name_of)
    def test_a_chat_completion_is_written_for_anthropic(exchange: Exchange) -> None:
        call = ChatCall(body=exchange.request, model="claude-opus-5", stream=exchange.streamed)
        if excused_chats(exchange.request):
            with pytest.raises(CannotCarry) as caught:
                ANTHROPIC.build_chat(call, NOWHERE)
            assert caught.value.errors
            return
        request = ANTHROPIC.build_chat(call, NOWHERE)
        body = json.loads(request.body or b"")
        assert request.url == "https://provider.example/v1/messages"
        assert body["max_tokens"] >= 1
        roles = [turn["role"] for turn in body["messages"]]
        assert roles == [("user", "assistant")[at % 2] for at in range(len(roles))]
        assert len(body.get("tools", [])) == len(exchange.request.get("tools") or [])
        said = {"messages": body["messages"], "system": body.get("system")}
        for text in _texts(exchange.request["messages"]):
            assert _holds(said, text)
        assert ("temperature" in call.dropped) == (exchange.request.get("temperature", 1) != 1)

    def test_every_exclusion_has_its_reason_on_record(capsys: pytest.CaptureFixture[str]) -> None:
        excused = collections.Counter[str]()
        for each in MESSAGES:
            excused.update(excused_messages(each.request))
        for each in CHATS:
            excused.update(excused_chats(each.request))
        with capsys.disabled():
            told = ", ".join(f"{name} {count}" for name, count in sorted(excused.items()))
            print(f"\n  requests that can't be carried: {told}", end="")  # noqa: T201 - a report
        assert len(excused) == 10

    def _texts(messages: list[dict[str, Any]]) -> Iterator[str]:
        """What was said in plain words, by anyone."""
        for message in messages:
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
            for part in parts:
                if part.get("type") == "text" and part["text"].strip():
                    yield part["text"].strip()

    def _holds(value: Any, text: str) -> bool:
        if isinstance(value, str):
            return text in value
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return any(_holds(each, text) for each in inner)
