"""Real chat completions, whole and streamed, where the recordings lie beside the checkout; else no tests.

What the dialect makes of an exchange is held against a second, plainer reading of the same bytes.
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
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.errors import CODES
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall, ChatOutcome, Provider, StreamEvent
from headgate.providers.custom import Custom
from headgate.providers.deepseek import DeepSeek
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.huggingface import HuggingFace
from headgate.providers.openai import OpenAI
from headgate.providers.openrouter import OpenRouter
from headgate.providers.requesty import Requesty

RECORDED = Path(
    os.environ.get("HEADGATE_RECORDED_DIR") or Path(__file__).parents[3] / "shared" / "provider-data"
)
pytestmark = pytest.mark.recorded

DONE = b"data: [DONE]\n\n"
PROVIDERS: dict[str, OpenAICompatible] = {
    "openai": OpenAI(),
    "openrouter": OpenRouter(),
    "requesty": Requesty(),
    "deepseek": DeepSeek(),
    "huggingface": HuggingFace(),
    "ollama": Custom(),
}

# Streams that are meant to fail: the file's name, and the code it comes to.
FAILED_STREAMS = {
    "test-openrouter-stream-error.0.200.sse.json": "provider_rejected",  # error 400 after a finish reason
}

# Errors of which more is known than that they have a code.
ERROR_CODES = {
    "test-model-name-suggestion-openai-chat.0.404.json.json": "model_not_found",
    "test-openrouter-errors-raised.0.429.json.json": "provider_rate_limited",
}

# Errors whose own words say nothing ("Provider returned error"), so that others stand in the detail.
REWORDED = {"test-openrouter-errors-raised.0.429.json.json"}


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange; `body` as it came over the wire, but for the spacing of JSON."""

    slug: str
    name: str
    status: int
    headers: dict[str, str]
    body: bytes
    streamed: bool

    @property
    def provider(self) -> OpenAICompatible:
        return PROVIDERS[self.slug]


def exchanges() -> list[Exchange]:
    """Every exchange on `/chat/completions`."""
    found = []
    for slug in PROVIDERS:
        for path in sorted((RECORDED / slug / "recorded").glob("**/*.json")):
            recorded = json.loads(path.read_bytes())
            response = recorded["response"]
            if recorded["request"]["url"].split("?")[0].endswith("/chat/completions"):
                body, kind = response["body"], response["body_kind"]
                found.append(
                    Exchange(
                        slug,
                        path.name,
                        response["status"],
                        {name.lower(): value for name, value in response["headers"].items()},
                        body.encode() if kind == "sse" else json.dumps(body).encode(),
                        kind == "sse",
                    )
                )
    return found


EXCHANGES = exchanges()
WHOLE = [each for each in EXCHANGES if each.status == 200 and not each.streamed]
STREAMED = [each for each in EXCHANGES if each.status == 200 and each.streamed]
FAILED = [each for each in EXCHANGES if each.status != 200]
SUCCEEDED = [each for each in STREAMED if each.name not in FAILED_STREAMS]


def name_of(exchange: Exchange) -> str:
    return f"{exchange.slug}-{exchange.name.removesuffix('.json')[-70:]}"


def price(_usage: Usage) -> Decimal:
    return Decimal("0.000123")


# -- a plainer reading ------------------------------------------------------------------------------------


def frames(body: bytes) -> Iterator[tuple[bytes, Any]]:
    """The events of a stream as their own bytes and their JSON; none of the recordings has other framing."""
    for block in body.split(b"\n\n"):
        lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
        if lines and lines != [b"data: [DONE]"]:
            (line,) = lines
            yield line + b"\n\n", json.loads(line.removeprefix(b"data:"))


def tokens(usage: dict[str, Any]) -> tuple[int, int, int | None]:
    """Input, output, reasoning: what is not input is output."""
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return usage["prompt_tokens"], usage["total_tokens"] - usage["prompt_tokens"], reasoning


def assert_usage(read: Usage | None, told: dict[str, Any]) -> None:
    assert read is not None
    assert (read.input_tokens, read.output_tokens, read.reasoning_tokens) == tokens(told)
    assert read.total_tokens == told["total_tokens"]
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens", told.get("cached_tokens"))
    assert read.cache_read_tokens == cached
    assert read.cost_usd == (None if told.get("cost") is None else Decimal(str(told["cost"])))


def assert_calls(outcome: ChatOutcome, calls: list[dict[str, str]]) -> None:
    read = [
        {"id": call["id"], "name": call["function"]["name"], "arguments": call["function"].get("arguments")}
        for call in outcome.tool_calls
    ]
    assert read == calls


def joined_calls(deltas: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Tool calls of a stream, put together by index."""
    calls: dict[int, dict[str, str]] = collections.defaultdict(
        lambda: {"id": "", "name": "", "arguments": ""}
    )
    for delta in deltas:
        for part in delta.get("tool_calls") or ():
            call, function = calls[part["index"]], part.get("function") or {}
            call["id"] = call["id"] or part.get("id") or ""
            call["name"] = call["name"] or function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""
    return [calls[index] for index in sorted(calls)]


# -- playing one ------------------------------------------------------------------------------------------


def play(
    provider: Provider, reads: list[bytes], *, include_usage: bool
) -> tuple[list[StreamEvent], ChatOutcome]:
    call = ChatCall(body={}, model="m", stream=True, include_usage=include_usage)
    reader = provider.read_chat_stream(call, price)
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.end(), reader.outcome


def value_of(event: bytes) -> Any:
    return json.loads(event.removeprefix(b"data:"))


def kind_of(exchange: Exchange) -> str:
    if exchange.status != 200:
        return "errors"
    return "streamed" if exchange.streamed else "whole"


if RECORDED.is_dir():

    def test_the_recordings_are_found(capsys: pytest.CaptureFixture[str]) -> None:
        counted = collections.Counter((each.slug, kind_of(each)) for each in EXCHANGES)
        with capsys.disabled():
            for slug in PROVIDERS:
                numbers = [f"{kind} {counted[slug, kind]}" for kind in ("whole", "streamed", "errors")]
                print(f"\n  recorded chats of {slug}: {', '.join(numbers)}", end="")  # noqa: T201 - a report
        assert len(WHOLE) >= 250
        assert len(STREAMED) >= 40
        assert len(FAILED) >= 10
        assert {each.slug for each in EXCHANGES} == set(PROVIDERS)
        assert {each.name for each in STREAMED} >= FAILED_STREAMS.keys()
        assert {each.name for each in FAILED} >= ERROR_CODES.keys()

    @pytest.mark.parametrize("exchange", WHOLE, ids=name_of)
    def test_a_whole_answer_is_read_and_handed_on(exchange: Exchange) -> None:
        told = json.loads(exchange.body)
        answer = exchange.provider.parse_chat(
            ChatCall(body={}, model="m", stream=False), exchange.body, price
        )
        choice = told["choices"][0]
        assert answer.outcome.text == (choice["message"].get("content") or "")
        assert answer.outcome.finish_reason == choice["finish_reason"]
        calls = choice["message"].get("tool_calls") or []
        assert_calls(
            answer.outcome,
            [
                {"id": c["id"], "name": c["function"]["name"], "arguments": c["function"].get("arguments")}
                for c in calls
            ],
        )
        assert_usage(answer.outcome.usage, told["usage"])
        told["usage"].setdefault("cost", 0.000123)
        assert json.loads(answer.body) == told

    @pytest.mark.parametrize("exchange", SUCCEEDED, ids=name_of)
    @pytest.mark.parametrize("include_usage", [True, False], ids=["asked", "unasked"])
    def test_a_stream_is_read(exchange: Exchange, include_usage: bool) -> None:
        events, outcome = play(exchange.provider, [exchange.body], include_usage=include_usage)
        chunks = [chunk for _, chunk in frames(exchange.body)]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        deltas = [choice["delta"] for choice in choices]
        assert [event.error for event in events if event.error] == []
        assert events[-1].data == DONE
        assert outcome.text == "".join(delta.get("content") or "" for delta in deltas)
        assert outcome.finish_reason == [c["finish_reason"] for c in choices if c.get("finish_reason")][-1]
        assert_calls(outcome, joined_calls(deltas))
        assert_usage(outcome.usage, [chunk["usage"] for chunk in chunks if chunk.get("usage")][-1])

    @pytest.mark.parametrize("exchange", SUCCEEDED, ids=name_of)
    def test_where_usage_was_asked_for_only_its_cost_is_added(exchange: Exchange) -> None:
        events, _ = play(exchange.provider, [exchange.body], include_usage=True)
        sent = [event.data for event in events[:-1]]
        told = list(frames(exchange.body))
        counting = [at for at, (_, chunk) in enumerate(told) if chunk.get("usage")]
        assert len(sent) == len(told)
        for at, (raw, chunk) in enumerate(told):
            if at == counting[-1] and "cost" not in chunk["usage"]:
                chunk["usage"]["cost"] = 0.000123
                assert value_of(sent[at]) == chunk
            else:
                assert sent[at] == raw

    @pytest.mark.parametrize("exchange", SUCCEEDED, ids=name_of)
    def test_where_usage_was_not_asked_for_it_rides_on_the_finish(exchange: Exchange) -> None:
        events, _ = play(exchange.provider, [exchange.body], include_usage=False)
        sent = [event.data for event in events[:-1]]
        told = list(frames(exchange.body))
        carried = [raw for raw, chunk in told if chunk["choices"]]
        alone = [chunk for _, chunk in told if not chunk["choices"]]
        assert len(sent) == len(carried)
        finishing = max(
            at
            for at, raw in enumerate(carried)
            if any(c.get("finish_reason") for c in value_of(raw)["choices"])
        )
        counting = [at for at, raw in enumerate(carried) if value_of(raw).get("usage")] or [finishing]
        for at, raw in enumerate(carried):
            if at != (finishing if alone else counting[-1]):
                assert sent[at] == raw
                continue
            expected = value_of(raw)
            for chunk in alone:
                for key, value in chunk.items():
                    expected[key] = value if expected.get(key) is None else expected[key]
            expected["usage"].setdefault("cost", 0.000123)
            assert value_of(sent[at]) == expected

    @pytest.mark.parametrize(
        "exchange", [each for each in STREAMED if each.name in FAILED_STREAMS], ids=name_of
    )
    @pytest.mark.parametrize("include_usage", [True, False], ids=["asked", "unasked"])
    def test_a_stream_that_failed_ends_in_its_error(exchange: Exchange, include_usage: bool) -> None:
        events, outcome = play(exchange.provider, [exchange.body], include_usage=include_usage)
        told = list(frames(exchange.body))
        error = events[-1].error
        assert error is not None
        assert error.code == FAILED_STREAMS[exchange.name]
        assert [event.data for event in events[:-1]] == [raw for raw, chunk in told if not chunk.get("error")]
        assert_usage(outcome.usage, told[-1][1]["usage"])

    SMALL = [each for each in STREAMED if len(each.body) < 4_000]

    @pytest.mark.parametrize("exchange", SMALL, ids=name_of)
    @pytest.mark.parametrize("include_usage", [True, False], ids=["asked", "unasked"])
    def test_a_stream_reads_the_same_cut_at_any_byte(exchange: Exchange, include_usage: bool) -> None:
        def told(reads: list[bytes]) -> tuple[list[tuple[bytes, bool, str | None]], ChatOutcome]:
            events, outcome = play(exchange.provider, reads, include_usage=include_usage)
            return [(e.data, e.content, e.error.detail if e.error else None) for e in events], outcome

        body = exchange.body
        whole = told([body])
        assert told([body[at : at + 1] for at in range(len(body))]) == whole
        step = 1 if len(body) < 700 else 7
        for at in range(1, len(body), step):
            assert told([body[:at], body[at:]]) == whole

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(STREAMED), st.lists(st.integers(1, 4000), max_size=30))
    def test_any_stream_reads_the_same_in_any_pieces(exchange: Exchange, lengths: list[int]) -> None:
        reads, place = [], 0
        for length in lengths:
            reads.append(exchange.body[place : place + length])
            place += length
        cut, cut_outcome = play(exchange.provider, [*reads, exchange.body[place:]], include_usage=False)
        whole, outcome = play(exchange.provider, [exchange.body], include_usage=False)
        assert [(e.data, e.content) for e in cut] == [(e.data, e.content) for e in whole]
        assert cut_outcome == outcome

    @pytest.mark.parametrize("exchange", SUCCEEDED, ids=name_of)
    def test_a_stream_that_is_cut_before_its_finish_never_looks_finished(exchange: Exchange) -> None:
        raws = [raw for raw, _ in frames(exchange.body)]
        first = next(
            at
            for at, (_, chunk) in enumerate(frames(exchange.body))
            if any(c.get("finish_reason") for c in chunk["choices"])
        )
        for reads in (raws[:first], [*raws[:first], raws[first][:-20]]):
            events, _ = play(exchange.provider, reads, include_usage=False)
            assert events[-1].error is not None
            assert events[-1].error.code == "provider_protocol"
            assert DONE not in [event.data for event in events]

    @pytest.mark.parametrize("exchange", FAILED, ids=name_of)
    def test_an_error_has_a_code_and_a_clean_reason(exchange: Exchange) -> None:
        error = exchange.provider.classify_error(exchange.status, exchange.headers, exchange.body)
        assert error.code != "internal"
        assert CODES[error.code].origin == "provider" or error.code == "model_not_found"
        assert error.code == ERROR_CODES.get(exchange.name, error.code)
        if exchange.status == 401:
            assert error.code == "provider_auth"
        if "context-length" in exchange.name:
            assert error.code == "context_too_long"
        assert error.may_have_run is False
        told = json.loads(exchange.body)["error"]["message"]
        assert exchange.name in REWORDED or told[:40] in error.detail
        assert "user_" not in error.detail
