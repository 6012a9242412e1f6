"""A stream's head waits for something to say, pings break silence, and a cut never looks like an end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from openai.types.responses import ResponseErrorEvent
from starlette.types import Message

from headgate.domain.errors import HeadgateError, ProviderBusy, ProviderFailed
from headgate.http import sse
from headgate.http.sse import PING, EventStreamResponse
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from headgate.testing.transport import Step
from tests.support.asgi import Exchange
from tests.support.gate import Gate, dispatch, open_gate
from tests.support.models import model, priced
from tests.support.provider import lines

CHAT: dict[str, Any] = {"model": "maker/m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
OFFERS = [
    model("alpha/m", canonical_id="maker/m", pricing=priced("1", "10")),
    model("beta/m", canonical_id="maker/m", pricing=priced("2", "20")),
]
SOON_S = 0.03
DONE = b"data: [DONE]\n\n"


async def gate_where(ping_s: float = 15, **answers: Step) -> Gate:
    gate = await open_gate(models=OFFERS, environ={"HEADGATE_PING_S": str(ping_s)})
    for slug, answer in answers.items():
        gate.transport.on(f"https://{slug}.example/chat", answer)
    return gate


def stream(gate: Gate, **more: Any) -> Exchange:
    body = orjson.dumps(CHAT | more)
    headers = {"authorization": f"Bearer {gate.ann}", "content-type": "application/json"}
    return Exchange(dispatch, "POST", "/v1/chat/completions", headers=headers, body=[body])


def events(data: bytes) -> list[bytes]:
    return [event for event in data.split(b"\n\n") if event and not event.startswith(b":")]


async def record_of(gate: Gate, headers: dict[str, str]) -> dict[str, Any]:
    answer = await gate.get(f"/v2/generations/{headers['x-headgate-generation-id']}")
    found: dict[str, Any] = answer.json()
    return found


# -- the head ----------------------------------------------------------------------------------------------


async def test_a_stream_is_the_providers_events_as_they_come() -> None:
    more = asyncio.Event()
    gate = await gate_where(alpha=lines("say a", more, "say b", "END"))
    exchange = stream(gate)
    status, headers = await exchange.head()
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in headers["cache-control"]
    assert headers["x-accel-buffering"] == "no"
    assert (headers["x-headgate-provider"], headers["x-headgate-attempts"]) == ("alpha", "1")
    assert await exchange.piece() == b"data: a\n\n"
    assert exchange.silent
    more.set()
    assert await exchange.rest() == b"data: b\n\n" + DONE


async def test_the_head_waits_for_the_first_event() -> None:
    go = asyncio.Event()
    gate = await gate_where(alpha=lines(go, "say a", "END"))
    exchange = stream(gate)
    await asyncio.sleep(SOON_S)
    assert exchange.silent
    go.set()
    assert (await exchange.head())[0] == 200


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Answer(status=400, body=b"bad field"), 400, "provider_rejected"),
        (Answer(status=429, headers={"retry-after": "9"}), 429, "provider_rate_limited"),
        (lines("BAD 503"), 503, "provider_overloaded"),
        (lines(), 502, "provider_protocol"),
        (ProviderFailed("slow", code="provider_timeout"), 504, "provider_timeout"),
    ],
)
async def test_an_early_failure_has_its_real_status_and_shape(failure: Step, status: int, code: str) -> None:
    gate = await gate_where(alpha=failure, beta=failure)
    exchange = stream(gate)
    shown, headers = await exchange.head()
    assert shown == status
    assert headers["content-type"] == "application/json"
    error = orjson.loads(await exchange.rest())["error"]
    assert error["code"] == code
    assert ("retry-after" in headers) is (status == 429)
    assert (await record_of(gate, headers))["status"] == "failed"


async def test_an_early_failure_is_failed_over_and_nothing_of_it_is_seen() -> None:
    gate = await gate_where(alpha=lines("note alpha", "BAD 503"), beta=lines("say b", "END"))
    exchange = stream(gate)
    assert (await exchange.head())[0] == 200
    assert await exchange.rest() == b"data: b\n\n" + DONE


# -- silence -----------------------------------------------------------------------------------------------


async def test_after_so_long_a_silence_the_head_goes_out_with_a_ping() -> None:
    go = asyncio.Event()
    gate = await gate_where(SOON_S, alpha=lines(go, "say a", "END"))
    exchange = stream(gate)
    status, headers = await exchange.head()
    assert status == 200
    assert "x-headgate-generation-id" in headers
    assert await exchange.piece() == PING
    assert await exchange.piece() == PING
    go.set()
    assert events(await exchange.rest()) == [b"data: a", b"data: [DONE]"]


async def test_silence_between_events_is_broken_too() -> None:
    go = asyncio.Event()
    gate = await gate_where(SOON_S, alpha=lines("say a", go, "say b", "END"))
    exchange = stream(gate)
    await exchange.head()
    assert await exchange.piece() == b"data: a\n\n"
    assert await exchange.piece() == PING
    go.set()
    assert events(await exchange.rest()) == [b"data: b", b"data: [DONE]"]


async def test_while_events_flow_there_are_no_pings() -> None:
    flowing = [piece for n in range(12) for piece in (f"say {n}", 0.03)]
    gate = await gate_where(0.25, alpha=lines(*flowing, "END"))
    exchange = stream(gate)
    await exchange.head()
    assert PING not in await exchange.rest()


async def test_a_ping_is_no_content_so_another_may_still_take_over() -> None:
    go = asyncio.Event()
    gate = await gate_where(SOON_S, alpha=lines("note alpha", go, "BAD 503"), beta=lines("say b", "END"))
    exchange = stream(gate)
    _, headers = await exchange.head()
    assert await exchange.piece() == PING
    go.set()
    assert events(await exchange.rest()) == [b"data: b", b"data: [DONE]"]
    assert (await record_of(gate, headers))["provider"] == "beta"


async def test_a_failure_after_a_ping_is_an_event_because_the_status_is_out() -> None:
    go = asyncio.Event()
    gate = await gate_where(SOON_S, alpha=Answer(pieces=[go], status=200), beta=Answer(status=400))
    exchange = stream(gate)
    assert (await exchange.head())[0] == 200
    assert await exchange.piece() == PING
    go.set()
    (event,) = events(await exchange.rest())
    assert orjson.loads(event.removeprefix(b"data: "))["error"]["code"] == "provider_rejected"


# -- breaking off ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("break_", "code"),
    [
        ("BAD 503", "provider_overloaded"),
        (ProviderFailed("reset", may_have_run=True), "provider_unavailable"),
        ("cut", "provider_protocol"),
        ("CRASH", "internal"),
    ],
)
async def test_an_error_after_the_head_is_a_typed_event_and_no_end_follows(
    break_: str | HeadgateError, code: str
) -> None:
    tail = [] if break_ == "cut" else [break_]
    gate = await gate_where(alpha=lines("say a", *tail), beta=lines("say b", "END"))
    exchange = stream(gate)
    status, headers = await exchange.head()
    assert status == 200
    first, last = events(await exchange.rest())
    assert first == b"data: a"
    error = orjson.loads(last.removeprefix(b"data: "))["error"]
    assert (error["code"], error["request_id"]) == (code, headers["x-request-id"])
    record = await record_of(gate, headers)
    assert (record["status"], record["error"]["code"]) == ("failed", code)
    assert record["cost"]["charged"] == {"amount": "0", "currency": "USD"}
    assert gate.transport.responses[0].closed


async def test_a_client_that_leaves_stops_the_provider_and_the_record_says_so() -> None:
    gate = await gate_where(alpha=lines("say a", asyncio.Event()))
    exchange = stream(gate)
    _, headers = await exchange.head()
    await exchange.piece()
    await exchange.leave()
    assert gate.transport.responses[0].closed
    record = await record_of(gate, headers)
    assert record["status"] == "cancelled"
    assert record["attempts"][0]["outcome"] == "cancelled"
    assert (record["usage"]["output_tokens"], record["usage"]["estimated"]) == (1, True)


async def test_what_the_provider_counted_before_the_client_left_is_no_estimate() -> None:
    gate = await gate_where(alpha=lines("say a", "usage 10 5", "note", asyncio.Event()))
    exchange = stream(gate)
    _, headers = await exchange.head()
    await exchange.piece()
    await exchange.piece()
    await exchange.leave()
    record = await record_of(gate, headers)
    assert (record["usage"]["output_tokens"], record["usage"]["estimated"]) == (5, False)


async def test_a_client_that_leaves_before_the_head_stops_the_provider_too() -> None:
    asked = asyncio.Event()

    def never(_request: WireRequest) -> Answer:
        asked.set()
        return lines(asyncio.Event())

    gate = await gate_where(alpha=never)
    exchange = stream(gate)
    await asked.wait()
    await exchange.leave()
    assert gate.transport.responses[0].closed
    (record,) = (await gate.get("/v2/generations")).json()["data"]
    assert record["status"] == "cancelled"


async def test_a_whole_stream_is_recorded_with_its_usage_and_cost() -> None:
    gate = await gate_where(alpha=lines("say a", "usage 1000 200", "END"))
    exchange = stream(gate)
    _, headers = await exchange.head()
    assert (await exchange.rest()).endswith(DONE)
    record = await record_of(gate, headers)
    assert record["status"] == "succeeded"
    assert record["usage"]["input_tokens"] == 1000
    assert record["cost"]["charged"] == {"amount": "0.003", "currency": "USD"}


# -- any source at all -------------------------------------------------------------------------------------


class Tale:
    """A source that says what it is told to."""

    def __init__(self, *pieces: bytes | Exception, opening: Exception | None = None) -> None:
        self._pieces = pieces
        self._opening = opening
        self.abandoned = 0

    async def open(self) -> None:
        if self._opening is not None:
            raise self._opening

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def abandon(self) -> None:
        self.abandoned += 1


def response(tale: Tale, path: str = "/v1/chat/completions", *, ping_s: float = 15) -> EventStreamResponse:
    return EventStreamResponse(tale, headers=list, ping_s=ping_s, path=path, request_id="req_1")


async def test_a_source_that_ended_by_itself_is_not_abandoned() -> None:
    tale = Tale(b"data: a\n\n")
    exchange = Exchange(response(tale), "POST", "/")
    await exchange.head()
    assert await exchange.rest() == b"data: a\n\n"
    await exchange.task
    assert tale.abandoned == 0


async def test_an_early_failure_reaches_whoever_answers_for_it() -> None:
    exchange = Exchange(response(Tale(opening=ProviderBusy("full"))), "POST", "/")
    with pytest.raises(ProviderBusy):
        await exchange.head()


async def test_a_server_that_stops_abandons_what_it_was_streaming() -> None:
    tale = Tale()
    held = asyncio.Event()

    async def hold() -> None:
        await held.wait()

    tale.open = hold  # type: ignore[method-assign]
    exchange = Exchange(response(tale), "POST", "/")
    await asyncio.sleep(0)
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task
    assert tale.abandoned == 1


async def test_a_client_that_takes_nothing_any_more_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STALL_S", SOON_S)
    tale = Tale(b"data: a\n\n", b"data: b\n\n")
    taken: list[Message] = []

    async def send(message: Message) -> None:
        if len(taken) == 2:
            await asyncio.Event().wait()
        taken.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(5):
        await response(tale, ping_s=SOON_S / 4)({"type": "http"}, receive, send)
    assert [message.get("body") for message in taken] == [None, b"data: a\n\n"]
    assert tale.abandoned == 1


async def test_errors_under_messages_are_anthropics_events() -> None:
    exchange = Exchange(response(Tale(b"event: x\n\n", ProviderBusy("full")), "/v1/messages"), "POST", "/")
    await exchange.head()
    _, last = events(await exchange.rest())
    name, data = last.split(b"\n")
    assert name == b"event: error"
    body = orjson.loads(data.removeprefix(b"data: "))
    assert (body["type"], body["error"]["code"]) == ("error", "provider_rate_limited")
    assert body["request_id"] == "req_1"


@pytest.mark.parametrize(
    ("sent", "number"),
    [
        ([], 0),
        ([b'event: a\ndata: {"sequence_number":0}\n\n', b'data: {"sequence_number":41}\n\n'], 42),
        ([b'data: {"sequence_number":7}\n\ndata: {"type":"odd"}\n\n'], 8),
        ([b'data: {"sequence_number":7}\r\n\r\n'], 8),
        ([b'data: {"sequence_number":1,"delta":"\\"sequence_number\\":9"}\n\n'], 2),
        ([b'data: {"type":"a"}\n\n', b'data: {"type":"b"}\n\ndata: {"type":"c"}\n\n'], 3),
        ([b'data: {"type":"a"}\r\n\r\n', b'data: {"type":"b"}\r\n\r\n'], 2),
        ([b'data: {"sequence_number":true}\n\n'], 1),
    ],
)
async def test_an_error_under_responses_goes_on_with_the_numbers_of_the_events_sent(
    sent: list[bytes], number: int
) -> None:
    tale = Tale(*sent, ProviderBusy("full"))
    exchange = Exchange(response(tale, "/v1/responses"), "POST", "/")
    await exchange.head()
    _, _, data = (await exchange.rest()).rpartition(b"event: error\ndata: ")
    error = ResponseErrorEvent.model_validate(orjson.loads(data), strict=True)
    assert (error.type, error.code, error.message) == ("error", "provider_rate_limited", "full")
    assert error.sequence_number == number
