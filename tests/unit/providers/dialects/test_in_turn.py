"""However a provider mixes the pieces of its answer, a client sees one thing end before the next begins."""

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby, pairwise
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.answers import (
    AnswerEvent,
    Failed,
    Finished,
    FinishReason,
    Measured,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.errors import ProviderFailed
from headgate.domain.generation import Usage
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.dialects.in_turn import InTurn
from headgate.providers.dialects.speaking import DialectProvider
from tests.unit.providers.dialects.speaking import PLAIN, chunk, frame
from tests.unit.providers.dialects.translating import ANTHROPIC, added_up, no_price, sse

ASKED: list[Any] = [{"role": "user", "content": "Hi?"}]


# -- what providers say -------------------------------------------------------------------------------------


def call_piece(index: int, arguments: str, **named: str) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": named["name"]} if named else {})}
    return chunk(
        {"tool_calls": [{"index": index, **({"id": named["id"]} if named else {}), "function": function}]}
    )


MIXED_CHUNKS = b"".join(
    frame(each)
    for each in (
        call_piece(0, "", id="c0", name="look"),
        call_piece(1, "", id="c1", name="see"),
        call_piece(0, '{"a":'),
        call_piece(1, '{"b":'),
        chunk({"content": "Wait."}),
        call_piece(0, "1}"),
        call_piece(1, "2}"),
        chunk({}, "tool_calls"),
    )
)
BARE_CHUNKS = b"".join(
    frame(each)
    for each in (
        call_piece(0, "", id="c0", name="look"),
        call_piece(1, '{"b":2}', id="c1", name="see"),
        chunk({}, "tool_calls"),
    )
)


def begun(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def argued(index: int, text: str) -> dict[str, Any]:
    return grown(index, type="input_json_delta", partial_json=text)


MIXED_BLOCKS = sse(
    {"type": "message_start", "message": {"id": "m", "model": "claude-x", "content": []}},
    begun(0, type="tool_use", id="c0", name="look", input={}),
    begun(0, type="tool_use", id="c0", name="look", input={}),
    begun(1, type="tool_use", id="c1", name="see", input={}),
    argued(0, '{"a":'),
    argued(1, '{"b":2}'),
    argued(0, "1}"),
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
)


def translated(provider: DialectProvider, dialect: str, data: bytes) -> bytes:
    call = ChatCall(body={}, model="m", dialect=dialect, stream=True)
    reader = provider.read_chat_stream(call, no_price)
    events = [*reader.feed(data), *reader.end()]
    assert all(event.error is None for event in events)
    return b"".join(event.data for event in events)


# -- as the vendors' own clients see it ---------------------------------------------------------------------


class Streaming(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        data: bytes = self.server.data  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Streaming) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def blocks_at_their_end(server: ThreadingHTTPServer, data: bytes) -> list[Any]:
    """What Anthropic's SDK tells of each block when it ends, which is when agents call the tool."""
    server.data = data  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{server.server_port}"
    with (
        anthropic.Anthropic(api_key="x", base_url=url, max_retries=0) as sdk,
        sdk.messages.stream(model="m", max_tokens=9, messages=ASKED) as stream,
    ):
        ended = [event.content_block for event in stream if event.type == "content_block_stop"]
    return [block.input if block.type == "tool_use" else getattr(block, "text", None) for block in ended]


def calls_at_their_end(server: ThreadingHTTPServer, data: bytes) -> list[Any]:
    """What OpenAI's SDK tells of each call when it is done."""
    server.data = data  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{server.server_port}"
    with (
        openai.OpenAI(api_key="x", base_url=url, max_retries=0) as sdk,
        sdk.chat.completions.stream(model="m", messages=ASKED) as stream,
    ):
        return [
            json.loads(event.arguments)
            for event in stream
            if event.type == "tool_calls.function.arguments.done"
        ]


def test_calls_whose_pieces_alternate_end_with_all_their_arguments(server: ThreadingHTTPServer) -> None:
    data = translated(PLAIN, ANTHROPIC_MESSAGES, MIXED_CHUNKS)
    assert blocks_at_their_end(server, data) == [{"a": 1}, {"b": 2}, "Wait."]


def test_a_call_without_arguments_has_none_before_the_next_begins(server: ThreadingHTTPServer) -> None:
    data = translated(PLAIN, ANTHROPIC_MESSAGES, BARE_CHUNKS)
    assert blocks_at_their_end(server, data) == [{}, {"b": 2}]
    kinds = [json.loads(line[6:])["type"] for line in data.split(b"\n") if line.startswith(b"data: ")]
    last_delta = len(kinds) - kinds[::-1].index("content_block_delta")
    assert kinds[last_delta] == "content_block_stop"


def test_blocks_that_alternate_are_told_apart_by_their_index(server: ThreadingHTTPServer) -> None:
    data = translated(ANTHROPIC, OPENAI_CHAT, MIXED_BLOCKS)
    assert calls_at_their_end(server, data) == [{"a": 1}, {"b": 2}]


def test_items_of_a_response_come_whole(server: ThreadingHTTPServer) -> None:
    server.data = translated(PLAIN, OPENAI_RESPONSES, MIXED_CHUNKS)  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{server.server_port}/v1"
    with (
        openai.OpenAI(api_key="x", base_url=url, max_retries=0) as sdk,
        sdk.responses.stream(model="m", input="Hi?") as stream,
    ):
        told = [event.type for event in stream if event.type.startswith("response.function_call")]
        items = stream.get_final_response().output
    assert [kind.rpartition(".")[2] for kind in told if kind.endswith("done")] == ["done", "done"]
    assert [getattr(item, "arguments", None) for item in items] == ['{"a":1}', '{"b":2}', None]


# -- in any order -------------------------------------------------------------------------------------------


def started(index: int) -> ToolCallStarted:
    return ToolCallStarted(index=index, id=f"c{index}", name=f"f{index}")


@st.composite
def mixed(draw: st.DrawFn) -> list[AnswerEvent]:
    """Calls and texts whose pieces come in any order, each call's own in theirs."""
    count = draw(st.integers(1, 4))
    lanes: list[list[AnswerEvent]] = []
    for index in range(count):
        value = draw(st.dictionaries(st.text(max_size=3), st.text(max_size=4) | st.integers(), max_size=2))
        text = draw(st.sampled_from([json.dumps(value), json.dumps(value)[:-1], ""]))
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
        lanes.append([started(index), *(ToolCallDelta(index=index, arguments=each) for each in pieces)])
    lanes += [[TextDelta(text=each)] for each in draw(st.lists(st.text(min_size=1, max_size=3), max_size=2))]
    events: list[AnswerEvent] = [Started(id="a")]
    while lanes:
        lane = lanes[draw(st.integers(0, len(lanes) - 1))]
        events.append(lane.pop(0))
        lanes = [each for each in lanes if each]
    return events


def ordered(events: Iterable[AnswerEvent]) -> list[AnswerEvent]:
    turns = InTurn()
    return [*(told for event in events for told in turns.order([event])), *turns.end()]


def lane_of(event: AnswerEvent) -> Any:
    return event.index if isinstance(event, ToolCallStarted | ToolCallDelta) else None


@settings(deadline=None, max_examples=200)
@given(mixed(), st.booleans())
def test_nothing_is_lost_and_no_call_is_interrupted(events: list[AnswerEvent], fails: bool) -> None:
    last = Failed(error=ProviderFailed("x")) if fails else Finished(reason=FinishReason.STOP)
    told = ordered([*events, last])
    assert told[-1] is last
    before, after = added_up(events), added_up(told)
    assert sorted(after.tool_calls, key=lambda call: call.id) == sorted(
        before.tool_calls, key=lambda call: call.id
    )
    assert after.text == before.text
    lanes = [lane for lane, _ in groupby(told, lane_of) if lane is not None]
    assert len(lanes) == len(set(lanes))


def test_a_call_alone_is_told_as_it_comes() -> None:
    turns = InTurn()
    for event in (
        started(0),
        ToolCallDelta(index=0, arguments='{"a'),
        ToolCallDelta(index=0, arguments='":'),
    ):
        assert turns.order([event]) == [event]


def test_what_waits_is_told_though_the_stream_never_says_why_it_ended() -> None:
    assert ordered([started(0), TextDelta(text="x")]) == [started(0), TextDelta(text="x")]


# -- characters ---------------------------------------------------------------------------------------------


def test_halves_of_a_character_are_told_together() -> None:
    measured = Measured(usage=Usage(output_tokens=1))
    told = ordered([TextDelta(text="a\ud83d"), measured, TextDelta(text="\ude00b")])
    assert told == [TextDelta(text="a"), measured, TextDelta(text="😀b")]


@pytest.mark.parametrize(
    "next_event", [started(0), Finished(reason=FinishReason.LENGTH), None], ids=["call", "end", "close"]
)
def test_half_a_character_that_stays_alone_is_replaced(next_event: AnswerEvent | None) -> None:
    more = [next_event] if next_event is not None else []
    assert ordered([TextDelta(text="\ud83d"), *more]) == [TextDelta(text="\ufffd"), *more]


@settings(deadline=None)
@given(st.text(max_size=8), st.lists(st.integers(0, 16), max_size=4))
def test_a_text_that_is_cut_anywhere_comes_out_the_same(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    places = [0, *sorted(2 * min(cut, len(units) // 2) for cut in cuts), len(units)]
    pieces = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(places)]
    told = ordered(TextDelta(text=piece) for piece in pieces)
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == text
    for event in told:
        assert isinstance(event, TextDelta)
        event.text.encode()
