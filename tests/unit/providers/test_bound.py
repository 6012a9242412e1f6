"""A bound provider sends, retries, limits, measures and cleans; the provider only translates."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import (
    HeadgateError,
    InvalidRequest,
    NotFound,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)
from headgate.domain.generation import Attempt
from headgate.domain.retry import RetryPolicy
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.anthropic import Anthropic
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatOutcome,
    ChatStreamReader,
    ModelPage,
    PriceUsage,
    Provider,
    ProviderConfig,
    ProviderSpec,
    StreamEvent,
)
from headgate.providers.bound import MAX_PAGES, BoundProvider
from headgate.providers.gemini import Gemini
from headgate.providers.openai import OpenAI
from headgate.providers.streaming import ChatStream
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport, Step

KEY = "sk-plain-0123456789"
CALL = ChatCall(body={"messages": []}, model="m1", stream=False)
STREAM = replace(CALL, stream=True)


def no_price(_usage: object) -> Decimal | None:
    return None


class Lines(ChatStreamReader):
    """Each line of the body is an event; `END` is the terminal one, `BAD …` an error."""

    def __init__(self) -> None:
        self.text = ""
        self.finished_by_end = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        events = []
        for line in data.decode().splitlines():
            if line == "END":
                self.finished_by_end = True
            elif line.startswith("BAD"):
                events.append(StreamEvent(data=line.encode(), error=ProviderBusy(line)))
            else:
                self.text += line
                events.append(StreamEvent(data=line.encode(), content=True))
        return events

    def end(self) -> list[StreamEvent]:
        if self.finished_by_end:
            return [StreamEvent(data=b"done")]
        return [StreamEvent(error=ProviderFailed("cut off", code="provider_protocol"))]

    @property
    def finished(self) -> bool:
        return self.finished_by_end

    @property
    def outcome(self) -> ChatOutcome:
        return ChatOutcome(text=self.text)


class Plain(Provider):
    """As little of a provider as can be: pages by number, errors by status, text for text."""

    spec = ProviderSpec(
        slug="plain", name="Plain", description="", docs_url="", base_url="https://plain.example"
    )
    statuses: Mapping[int, type[HeadgateError]] = {
        400: ProviderRejected,
        401: ProviderRefused,
        429: ProviderBusy,
        500: ProviderFailed,
    }

    def _request(self, method: str, path: str, config: ProviderConfig) -> WireRequest:
        return WireRequest(
            method=method,
            url=f"{self.base_url(config)}{path}",
            headers=self.headers(config),
            idempotent=method == "GET",
        )

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        return self._request("GET", f"/models?page={page or 1}", config)

    def parse_list_models(self, body: bytes) -> ModelPage:
        read = orjson.loads(body)
        models = tuple(
            ModelInfo(id=f"plain/{name}", canonical_id=name, provider="plain", name=name)
            for name in read["ids"]
        )
        return ModelPage(models=models, dropped=tuple(read.get("dropped", ())), next_page=read.get("next"))

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        return self._request("GET", "/key", config) if config.api_key else None

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        return self._request("POST", "/chat", config)

    def parse_chat(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        if not body.startswith(b"{"):
            raise ProviderFailed("no JSON", code="provider_protocol")
        if b"busy" in body:
            raise ProviderBusy("busy inside a 200")
        return ChatAnswer(body=body, outcome=ChatOutcome(text=body.decode()))

    def read_chat_stream(self, call: ChatCall, price: PriceUsage) -> ChatStreamReader:
        return Lines()

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        wait = headers.get("retry-after")
        return self.statuses[status](
            body.decode(), retry_after_s=float(wait) if wait else None, members={"raw": [body.decode()]}
        )


class Bench:
    """A bound provider with everything around it scripted."""

    def __init__(self, *steps: Step, config: ProviderConfig | None = None, jitter: float = 0.5) -> None:
        self.transport = ScriptedTransport(*steps)
        self.clock = ManualClock()
        self.slept: list[float] = []
        self.attempts: list[Attempt] = []
        self.bound = BoundProvider(
            Plain(),
            config or ProviderConfig(api_key=Secret(KEY)),
            transport=self.transport,
            clock=self.clock,
            rng=lambda: jitter,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    async def chat(self, deadline_s: float = 60.0) -> ChatAnswer:
        return await self.bound.chat(CALL, no_price, deadline_s=deadline_s, on_attempt=self.attempts.append)

    async def stream(self, deadline_s: float = 60.0) -> ChatStream:
        return await self.bound.open_chat_stream(
            STREAM, no_price, deadline_s=deadline_s, on_attempt=self.attempts.append
        )

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        return [(attempt.outcome, attempt.code) for attempt in self.attempts]


def slow(bench: Bench, seconds: float, answer: Answer) -> Step:
    """An answer that takes its time, by the bench's clock."""

    def answer_later(_request: WireRequest) -> Answer:
        bench.clock.advance(seconds)
        return answer

    return answer_later


def scripted(*steps: Step) -> list[Step]:
    return list(steps)


OK = Answer.of_json({"text": "hello"})


# -- retries ----------------------------------------------------------------------------------------------


async def test_a_request_that_was_not_taken_is_sent_again_and_every_send_reported() -> None:
    bench = Bench(Answer(429, b"later"), Answer(429, b"later"), OK)
    answer = await bench.chat()
    assert orjson.loads(answer.body) == {"text": "hello"}
    assert bench.outcomes == [
        ("failed", "provider_rate_limited"),
        ("failed", "provider_rate_limited"),
        ("succeeded", None),
    ]
    assert {attempt.model for attempt in bench.attempts} == {"plain/m1"}


async def test_backoff_is_full_jitter_over_a_doubling_ceiling() -> None:
    bench = Bench(Answer(429, b"later"), Answer(429, b"later"), OK, jitter=0.5)
    await bench.chat()
    assert bench.slept == [0.25, 0.5]


async def test_retry_after_is_obeyed_to_the_second() -> None:
    bench = Bench(Answer(429, b"later", {"retry-after": "2"}), OK)
    await bench.chat()
    assert bench.slept == [2.0]


async def test_a_retry_after_beyond_the_cap_goes_to_the_caller_at_once() -> None:
    bench = Bench(Answer(429, b"later", {"retry-after": "3600"}), OK)
    with pytest.raises(ProviderBusy) as caught:
        await bench.chat()
    assert caught.value.retry_after_s == 3600
    assert bench.slept == []
    assert len(bench.transport.requests) == 1


async def test_retries_are_used_up() -> None:
    bench = Bench(*[Answer(429, b"later")] * 9)
    with pytest.raises(ProviderBusy):
        await bench.chat()
    assert len(bench.transport.requests) == 1 + RetryPolicy().max_retries


async def test_the_configuration_decides_how_often() -> None:
    config = ProviderConfig(api_key=Secret(KEY), max_retries=0)
    bench = Bench(Answer(429, b"later"), OK, config=config)
    with pytest.raises(ProviderBusy):
        await bench.chat()
    assert len(bench.transport.requests) == 1


@pytest.mark.parametrize("status", [400, 401])
async def test_what_is_not_retryable_is_sent_once(status: int) -> None:
    bench = Bench(Answer(status, b"no"), OK)
    with pytest.raises(HeadgateError):
        await bench.chat()
    assert len(bench.transport.requests) == 1


async def test_a_chat_that_may_have_run_is_never_sent_again() -> None:
    lost = ProviderFailed("reset", may_have_run=True)
    bench = Bench(lost, OK)
    with pytest.raises(ProviderFailed):
        await bench.chat()
    assert len(bench.transport.requests) == 1


async def test_a_chat_that_never_reached_the_provider_is_sent_again() -> None:
    bench = Bench(ProviderFailed("refused", may_have_run=False), OK)
    await bench.chat()
    assert len(bench.transport.requests) == 2


async def test_an_answer_that_is_no_answer_has_run() -> None:
    bench = Bench(Answer(200, b"<html>"), OK)
    with pytest.raises(ProviderFailed) as caught:
        await bench.chat()
    assert caught.value.may_have_run
    assert len(bench.transport.requests) == 1


async def test_busy_inside_a_200_did_not_run() -> None:
    bench = Bench(Answer(200, b'{"busy":1}'), OK)
    await bench.chat()
    assert len(bench.transport.requests) == 2


async def test_a_list_is_asked_for_again_even_if_it_may_have_run() -> None:
    bench = Bench(ProviderFailed("reset", may_have_run=True), Answer.of_json({"ids": ["a"]}))
    listing = await bench.bound.list_models()
    assert [model.id for model in listing.models] == ["plain/a"]


async def test_no_retry_outlasts_the_time_left() -> None:
    bench = Bench(Answer(429, b"later", {"retry-after": "5"}), OK)
    with pytest.raises(ProviderBusy):
        await bench.chat(deadline_s=4.0)
    assert bench.slept == []


async def test_without_time_nothing_is_sent() -> None:
    bench = Bench(OK)
    with pytest.raises(ProviderFailed) as caught:
        await bench.chat(deadline_s=0.0)
    assert caught.value.code == "provider_timeout"
    assert bench.transport.requests == []


# -- time and addresses -----------------------------------------------------------------------------------


async def test_no_timeout_is_longer_than_the_time_left() -> None:
    bench = Bench(Answer(429, b"later", {"retry-after": "2"}), OK)
    await bench.chat(deadline_s=10.0)
    first, second = bench.transport.requests
    assert first.total_timeout_s == first.first_byte_timeout_s == first.idle_timeout_s == 10.0
    assert second.total_timeout_s == pytest.approx(8.0)
    assert second.first_byte_timeout_s == pytest.approx(8.0)


async def test_the_configured_timeout_bounds_one_send() -> None:
    bench = Bench(OK, config=ProviderConfig(api_key=Secret(KEY), timeout_s=7.0))
    await bench.chat(deadline_s=600.0)
    assert bench.transport.requests[0].total_timeout_s == 7.0


async def test_the_configured_silences_are_bounded_apart() -> None:
    config = ProviderConfig(api_key=Secret(KEY), first_byte_timeout_s=8.0, idle_timeout_s=3.0)
    bench = Bench(OK, config=config)
    await bench.chat(deadline_s=600.0)
    (request,) = bench.transport.requests
    assert (request.first_byte_timeout_s, request.idle_timeout_s) == (8.0, 3.0)
    assert request.total_timeout_s == 600.0
    assert request.connect_timeout_s == 5.0


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://evil.example/chat?x=1", "evil.example"),
        ("//evil.example/", "evil.example"),
        ("/login", "plain.example"),
        ("https://[broken/", "nowhere"),
    ],
)
async def test_a_redirect_is_named_and_not_followed(location: str, host: str) -> None:
    bench = Bench(Answer(302, b"", {"location": location}), OK)
    with pytest.raises(ProviderFailed) as caught:
        await bench.bound.list_models()
    assert caught.value.code == "provider_protocol"
    assert host in caught.value.detail
    assert len(bench.transport.requests) == 1


# -- errors -----------------------------------------------------------------------------------------------


async def test_errors_carry_the_providers_name() -> None:
    bench = Bench(Answer(400, b"bad"))
    with pytest.raises(ProviderRejected) as caught:
        await bench.chat()
    assert caught.value.provider == "plain"


async def test_an_echoed_key_is_in_no_part_of_an_error() -> None:
    bench = Bench(Answer(401, f"key {KEY} is wrong, {KEY}!".encode()))
    with pytest.raises(ProviderRefused) as caught:
        await bench.chat()
    error = caught.value
    assert KEY not in error.detail + str(error) + repr(error) + repr(error.members) + repr(error.args)
    assert "is wrong" in error.detail


async def test_an_echoed_key_is_in_no_field_error() -> None:
    bench = Bench(InvalidRequest.of_field(f"url {KEY}", f"{KEY} is no host"))
    with pytest.raises(InvalidRequest) as caught:
        await bench.chat()
    assert KEY not in repr(caught.value.errors)


async def test_a_failed_connection_counts_as_an_attempt() -> None:
    bench = Bench(ProviderFailed("refused"), OK)
    await bench.chat()
    assert bench.outcomes == [("failed", "provider_unavailable"), ("succeeded", None)]


async def test_an_endless_error_body_is_read_to_a_bound() -> None:
    pieces = [b"x" * 20_000] * 50
    bench = Bench(Answer(400, pieces=pieces))
    with pytest.raises(ProviderRejected) as caught:
        await bench.chat()
    assert len(caught.value.detail) == 65_536
    assert not bench.transport.responses[0].finished
    assert bench.transport.responses[0].closed


async def test_an_error_body_that_breaks_off_is_judged_by_its_start() -> None:
    bench = Bench(Answer(400, pieces=[b"half", ProviderFailed("cut", code="provider_protocol")]))
    with pytest.raises(ProviderRejected) as caught:
        await bench.chat()
    assert caught.value.detail == "half"


async def test_an_error_body_that_stalls_does_not_hold_the_caller_up() -> None:
    bench = Bench(Answer(400, pieces=[b"half", asyncio.Event()]))
    with pytest.raises(ProviderRejected) as caught:
        await bench.chat(deadline_s=0.05)
    assert caught.value.detail == "half"


async def test_every_response_is_given_up() -> None:
    bench = Bench(Answer(429, b""), Answer(302, b""), OK)
    with pytest.raises(ProviderFailed):
        await bench.chat()
    fine = Bench(OK)
    await fine.chat()
    assert all(response.closed for response in bench.transport.responses + fine.transport.responses)


async def test_latency_is_measured_to_the_whole_answer() -> None:
    bench = Bench()
    bench.transport.on("/chat", slow(bench, 1.5, OK))
    await bench.chat()
    assert bench.attempts[0].latency_ms == 1500


async def test_a_cancelled_call_is_reported_and_gives_its_connection_up() -> None:
    bench = Bench(Answer(200, pieces=[b"{", asyncio.Event()]))
    task = asyncio.create_task(bench.chat())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.outcomes == [("cancelled", None)]
    assert bench.transport.responses[0].closed


# -- lists and keys ---------------------------------------------------------------------------------------


async def test_a_list_is_read_to_its_last_page_and_merged() -> None:
    bench = Bench(
        Answer.of_json({"ids": ["b", "a"], "next": "2", "dropped": ["entry 3: id is not a text"]}),
        Answer.of_json({"ids": ["c", "a"]}),
    )
    listing = await bench.bound.list_models()
    assert [model.name for model in listing.models] == ["a", "b", "c"]
    assert listing.dropped == ("entry 3: id is not a text",)
    assert (listing.pages, listing.partial, listing.listed) == (2, False, True)
    assert [request.url.rpartition("=")[2] for request in bench.transport.requests] == ["1", "2"]


async def test_a_list_that_never_ends_is_cut_and_said_to_be_partial() -> None:
    bench = Bench()

    def more(_request: WireRequest) -> Answer:
        number = len(bench.transport.requests)
        return Answer.of_json({"ids": [f"m{number}"], "next": str(number + 1)})

    bench.transport.on("/models", more)
    listing = await bench.bound.list_models()
    assert len(listing.models) == listing.pages == MAX_PAGES
    assert listing.partial


async def test_a_list_that_goes_in_circles_is_left() -> None:
    bench = Bench()
    bench.transport.on("/models", Answer.of_json({"ids": ["a"], "next": "2"}))
    listing = await bench.bound.list_models()
    assert listing.pages == 2
    assert listing.partial


async def test_a_page_that_fails_fails_the_list() -> None:
    bench = Bench(Answer.of_json({"ids": ["a"], "next": "2"}), Answer(401, b"no"))
    with pytest.raises(ProviderRefused):
        await bench.bound.list_models()


async def test_one_model_is_found_by_either_id_and_a_wrong_one_gets_a_hint() -> None:
    bench = Bench()
    bench.transport.on("/models", Answer.of_json({"ids": ["gpt-4o", "other"]}))
    assert (await bench.bound.get_model_info("gpt-4o")).id == "plain/gpt-4o"
    assert (await bench.bound.get_model_info("plain/gpt-4o")).id == "plain/gpt-4o"
    with pytest.raises(NotFound, match="plain/gpt-4o") as caught:
        await bench.bound.get_model_info("gpt-4")
    assert caught.value.code == "model_not_found"


async def test_a_model_is_valid_when_it_is_listed() -> None:
    bench = Bench()
    bench.transport.on("/models", Answer.of_json({"ids": ["a"]}))
    assert await bench.bound.validate_model("a")
    assert not await bench.bound.validate_model("b")


async def test_a_good_key_passes_and_a_bad_one_raises() -> None:
    bench = Bench(Answer.of_json({}), Answer(401, b"unknown key"))
    assert bench.bound.has_key_check
    await bench.bound.check_key()
    with pytest.raises(ProviderRefused) as caught:
        await bench.bound.check_key()
    assert caught.value.code == "provider_auth"


async def test_without_a_key_check_nothing_is_asked() -> None:
    bench = Bench(config=ProviderConfig())
    assert not bench.bound.has_key_check
    await bench.bound.check_key()
    assert bench.transport.requests == []


async def test_a_list_check_asks_for_the_list_and_reads_no_more_than_its_head() -> None:
    bench = Bench(Answer(200, pieces=[asyncio.Event()]), Answer(401, b"no"))
    assert await bench.bound.check_list()
    assert bench.transport.responses[0].closed
    with pytest.raises(ProviderRefused):
        await bench.bound.check_list()


# -- streams ----------------------------------------------------------------------------------------------


async def test_a_stream_gives_the_readers_events_then_ends() -> None:
    bench = Bench(Answer.of_stream(b"one\ntwo\n", b"three\n", b"END\n"))
    stream = await bench.stream()
    assert [event.data async for event in stream] == [b"one", b"two", b"three", b"done"]
    await stream.close()
    assert stream.outcome.text == "onetwothree"
    assert bench.outcomes == [("succeeded", None)]
    assert bench.transport.responses[0].closed


async def test_events_that_come_together_are_read_together() -> None:
    bench = Bench(Answer.of_stream(b"one\ntwo\n", b"three\nEND\n"))
    stream = await bench.stream()
    assert [len(batch) for batch in [await stream.read() for _ in range(4)]] == [2, 2, 0, 0]


async def test_the_terminal_event_is_not_held_back_by_a_connection_that_stays_open() -> None:
    bench = Bench(Answer.of_stream(b"one\n", b"END\n", asyncio.Event()))
    stream = await bench.stream()
    async with asyncio.timeout(2):
        assert [event.data async for event in stream] == [b"one", b"done"]
    assert bench.outcomes == [("succeeded", None)]
    assert bench.transport.responses[0].closed


async def test_a_stream_read_to_its_last_event_leaves_the_connection_usable() -> None:
    bench = Bench(Answer.of_stream(b"one\n", b"END\n", b"\n"))
    stream = await bench.stream()
    await stream.read()
    assert not stream.ended
    await stream.read()
    assert stream.ended
    await stream.close()
    assert bench.transport.responses[0].finished
    assert bench.outcomes == [("succeeded", None)]


async def test_what_fails_before_the_head_is_raised_and_retried() -> None:
    bench = Bench(Answer(429, b"later"), Answer.of_stream(b"one\nEND\n"))
    stream = await bench.stream()
    assert len([event async for event in stream]) == 2
    assert bench.outcomes == [("failed", "provider_rate_limited"), ("succeeded", None)]


async def test_a_refused_stream_is_classified_before_any_event() -> None:
    bench = Bench(Answer(401, b"no"))
    with pytest.raises(ProviderRefused):
        await bench.stream()
    assert bench.transport.responses[0].closed


async def test_a_broken_stream_ends_in_an_error_event() -> None:
    reset = ProviderFailed("connection reset")
    bench = Bench(Answer.of_stream(b"one\n", reset))
    stream = await bench.stream()
    events = [event async for event in stream]
    assert [event.data for event in events] == [b"one", b""]
    error = events[-1].error
    assert error is not None
    assert (error.provider, error.may_have_run) == ("plain", True)
    assert bench.outcomes == [("failed", "provider_unavailable")]


async def test_a_stream_without_its_terminal_event_ends_in_an_error_event() -> None:
    bench = Bench(Answer.of_stream(b"one\n"))
    stream = await bench.stream()
    last = [event async for event in stream][-1]
    assert last.error is not None
    assert last.error.code == "provider_protocol"
    assert bench.outcomes == [("failed", "provider_protocol")]


async def test_a_key_echoed_in_a_stream_is_struck_from_error_and_bytes() -> None:
    bench = Bench(Answer.of_stream(f"BAD key {KEY}\n".encode()))
    stream = await bench.stream()
    (event,) = [event async for event in stream]
    assert event.error is not None
    assert KEY not in event.error.detail
    assert KEY.encode() not in event.data


async def test_nothing_comes_after_an_error_event() -> None:
    bench = Bench(Answer.of_stream(b"BAD\n", b"one\n"))
    stream = await bench.stream()
    assert len([event async for event in stream]) == 1
    assert await stream.read() == []


async def test_a_stream_that_its_reader_leaves_is_cancelled() -> None:
    bench = Bench(Answer.of_stream(b"one\n", asyncio.Event()))
    stream = await bench.stream()
    await stream.read()
    await stream.close()
    await stream.close()
    assert bench.outcomes == [("cancelled", None)]
    assert bench.transport.responses[0].closed


async def test_closing_ends_a_read_that_waits() -> None:
    gate = asyncio.Event()
    bench = Bench(Answer.of_stream(b"one\n", gate, b"two\nEND\n"))
    stream = await bench.stream()
    await stream.read()
    waiting = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    await stream.close()
    gate.set()
    assert await waiting == []
    assert bench.outcomes == [("cancelled", None)]


async def test_a_streams_latency_is_that_of_its_first_event() -> None:
    bench = Bench()
    bench.transport.on("/chat", slow(bench, 0.4, Answer.of_stream(b"one\n", b"END\n")))
    stream = await bench.stream()
    await stream.read()
    bench.clock.advance(30.0)
    async for _ in stream:
        pass
    assert bench.attempts[0].latency_ms == 400


async def test_json_where_a_stream_was_due_means_what_it_says() -> None:
    bench = Bench(Answer.of_json({"busy": 1}), Answer.of_stream(b"END\n"))
    stream = await bench.stream()
    await stream.close()
    assert bench.outcomes[0] == ("failed", "provider_rate_limited")


async def test_a_whole_answer_where_a_stream_was_due_is_a_protocol_error() -> None:
    bench = Bench(OK)
    with pytest.raises(ProviderFailed) as caught:
        await bench.stream()
    assert caught.value.code == "provider_protocol"
    assert caught.value.may_have_run


HTML = b"<!doctype html>\n<html>\n\n<body>\ndata: none\n</body>\n\n</html>\n"


@pytest.mark.parametrize("provider", [OpenAI(), Anthropic(), Gemini()], ids=lambda each: each.spec.slug)
@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages", "openai-responses"])
async def test_a_page_where_a_stream_was_due_is_told_by_its_type(provider: Provider, dialect: str) -> None:
    transport = ScriptedTransport(Answer(200, HTML, headers={"content-type": "text/html; charset=utf-8"}))
    config = ProviderConfig(api_key=Secret(KEY))
    bound = BoundProvider(provider, config, transport=transport, clock=ManualClock())
    body = {"messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 5}
    stream = await bound.open_chat_stream(replace(STREAM, body=body, dialect=dialect), no_price)
    (event,) = await stream.read()
    assert isinstance(event.error, ProviderFailed)
    assert (event.error.code, event.error.provider) == ("provider_protocol", provider.spec.slug)
    assert "text/html" in event.error.detail
    assert "cut off" not in event.error.detail


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("text/event-stream; charset=utf-8", "cut off"),
        ("", "cut off"),
        (f"{KEY} / nonsense", "cut off"),
        (f"text/{KEY}", "It answered with text/•••••••• where a stream was due."),
    ],
)
async def test_a_stream_without_an_event_is_cut_off_where_nothing_better_can_be_said(
    kind: str, detail: str
) -> None:
    bench = Bench(Answer(200, b"", headers={"content-type": kind}))
    (event,) = await (await bench.stream()).read()
    assert event.error is not None
    assert event.error.detail == detail


async def test_a_stream_labelled_as_text_is_read_and_its_break_is_a_break() -> None:
    bench = Bench(Answer(200, b"one\n", headers={"content-type": "text/plain"}))
    first, last = [event async for event in await bench.stream()]
    assert first.data == b"one"
    assert last.error is not None
    assert last.error.detail == "cut off"


async def test_neither_the_key_nor_the_configuration_shows_in_a_repr() -> None:
    bench = Bench()
    assert KEY not in repr(bench.bound) + repr(vars(bench.bound))
