"""OpenAI's own SDK, which is given nothing but bytes that the dialect wrote."""

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from openai.types.responses import ParsedResponse, Response, ResponseFunctionToolCall, ResponseReasoningItem
from pydantic import BaseModel

from headgate.domain.answers import (
    AnswerEvent,
    Finished,
    FinishReason,
    Measured,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES
from tests.unit.providers.dialects.responses import (
    DIALECT,
    a_usage,
    completed,
    context,
    created,
    done,
    hand,
    message,
    said,
    sum_of,
    text,
    write,
)
from tests.unit.providers.dialects.responses import added as item_added

THINKING: list[AnswerEvent] = [
    Started(id="c-1", model="m-1"),
    ReasoningDelta(text="Hm", origin=ANTHROPIC_MESSAGES),
    ReasoningDelta(signature="sig", origin=ANTHROPIC_MESSAGES),
]
SAYING: list[AnswerEvent] = [
    *THINKING,
    TextDelta(text='{"city":'),
    TextDelta(text='"Rome"}'),
    Measured(usage=a_usage()),
    Finished(reason=FinishReason.STOP),
]
CALLING: list[AnswerEvent] = [
    *THINKING,
    TextDelta(text="Let me see."),
    ToolCallStarted(index=0, id="call_1", name="weather", signature="call-sig"),
    ToolCallStarted(index=1, id="call_2", name="weather"),
    ToolCallDelta(index=0, arguments='{"city":"Ro'),
    ToolCallDelta(index=1, arguments='{"city":"Oslo"}'),
    ToolCallDelta(index=0, arguments='me"}'),
    Finished(reason=FinishReason.TOOL_CALLS),
    Measured(usage=a_usage()),
]


class City(BaseModel):
    city: str


class Answering(BaseHTTPRequestHandler):
    """Answers with the bytes that its server holds: streamed or whole, as was asked."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        streamed = asked.get("stream") is True and self.path == "/v1/responses"
        body = self.server.served["stream" if streamed else "whole"]  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def served() -> dict[str, bytes]:
    """What the server will answer: `stream` and `whole`."""
    return {}


@pytest.fixture
def client(served: dict[str, bytes]) -> Iterator[openai.OpenAI]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.served = served  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        base_url = f"http://127.0.0.1:{server.server_port}/v1"
        with openai.OpenAI(api_key="hg_x", base_url=base_url, max_retries=0) as sdk:
            yield sdk
        server.shutdown()
        thread.join()


def serve(served: dict[str, bytes], events: Iterable[AnswerEvent]) -> None:
    told = list(events)
    served["stream"] = write(told)
    served["whole"] = DIALECT.write_answer(sum_of(told), context())


def test_a_whole_answer_is_read(client: openai.OpenAI, served: dict[str, bytes]) -> None:
    serve(served, CALLING)
    response = client.responses.create(model="m", input="hi")
    assert response.output_text == "Let me see."
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [(call.call_id, call.arguments) for call in calls] == [
        ("call_1", '{"city":"Rome"}'),
        ("call_2", '{"city":"Oslo"}'),
    ]
    assert isinstance(response.output[0], ResponseReasoningItem)
    assert response.usage is not None
    assert response.usage.total_tokens == 13


def test_events_are_read_and_their_deltas_add_up(client: openai.OpenAI, served: dict[str, bytes]) -> None:
    serve(served, CALLING)
    words, arguments, final = "", {0: "", 1: ""}, None
    for event in client.responses.create(model="m", input="hi", stream=True):
        if event.type == "response.output_text.delta":
            words += event.delta
        elif event.type == "response.function_call_arguments.delta":
            arguments[event.output_index % 2] += event.delta
        elif event.type == "response.completed":
            final = event.response
    assert isinstance(final, Response)
    assert words == final.output_text == "Let me see."
    assert sorted(arguments.values()) == ['{"city":"Oslo"}', '{"city":"Rome"}']


def accumulated(client: openai.OpenAI) -> tuple[ParsedResponse[City], list[str]]:
    """What the accumulating helper comes to, and the snapshots it showed on the way."""
    with client.responses.stream(model="m", input="hi", text_format=City) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        return stream.get_final_response(), snapshots


def test_the_accumulating_helper_comes_to_the_whole_answer(
    client: openai.OpenAI, served: dict[str, bytes]
) -> None:
    serve(served, SAYING)
    final, snapshots = accumulated(client)
    assert snapshots == ['{"city":', '{"city":"Rome"}']
    assert final.output_parsed == City(city="Rome")
    assert final.status == "completed"
    whole = client.responses.create(model="m", input="hi")
    assert [item.to_dict()["id"] for item in final.output] == [item.to_dict()["id"] for item in whole.output]
    assert final.output_text == whole.output_text


def test_a_refusal_reaches_the_client(client: openai.OpenAI, served: dict[str, bytes]) -> None:
    serve(
        served,
        [Started(id="c-1"), RefusalDelta(text="I "), RefusalDelta(text="won't."), SAYING[-1]],
    )
    final, _ = accumulated(client)
    message = final.output[0]
    assert message.type == "message"
    assert message.content[0].type == "refusal"
    assert message.content[0].refusal == "I won't."


def test_an_answer_that_was_cut_off_is_told_as_incomplete(
    client: openai.OpenAI, served: dict[str, bytes]
) -> None:
    serve(served, [Started(id="c-1"), TextDelta(text="Ro"), Finished(reason=FinishReason.LENGTH)])
    last = list(client.responses.create(model="m", input="hi", stream=True))[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_what_the_sdk_gives_back_is_read_as_the_turn_that_it_was(
    client: openai.OpenAI, served: dict[str, bytes]
) -> None:
    """Clients append `response.output` to their next input."""
    serve(served, CALLING)
    response = client.responses.create(model="m", input="hi")
    items = [item.to_dict(mode="json") for item in response.output]
    (turn,) = DIALECT.read_request({"input": items}).messages
    said_before = sum_of(CALLING)
    assert turn.parts == said_before.parts


def test_a_stream_that_is_handed_on_is_read_with_its_cost(
    client: openai.OpenAI, served: dict[str, bytes]
) -> None:
    item = message(text('{"city":"Rome"}'))
    opened = item_added({**item, "content": [], "status": "in_progress"})
    part = b'event: response.content_part.added\ndata: {"type":"response.content_part.added",'
    part += b'"output_index":0,"content_index":0,"item_id":"msg_1","sequence_number":3,'
    part += b'"part":{"type":"output_text","text":"","annotations":[]}}\n\n'
    stream = [created(), opened, part, said('{"city":"Rome"}'), done(item), completed(item)]
    served["stream"] = b"".join(hand(stream).events)
    final, _ = accumulated(client)
    assert final.output_parsed == City(city="Rome")
    assert final.usage is not None
    assert final.usage.to_dict()["cost"] == 0.001
