"""A provider may send us elsewhere for its answer, on purpose; nothing is ever asked for twice by that."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from headgate.domain.errors import HeadgateError, ProviderBusy, ProviderFailed
from headgate.domain.generation import Attempt, Usage
from headgate.domain.retry import RetryPolicy
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatAnswer, ChatCall, ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.sending import MAX_FOLLOWED
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport, Step
from tests.support.provider import FakeProvider, fake_provider, lines, said

KEY = "sk-plain-0123456789"
HERE = "https://alpha.example"
CALL = ChatCall(body={"messages": []}, model="m1", stream=False)


class Following(FakeProvider):
    """Follows every 303, wherever it leads: what may not be is the sender's to stop."""

    spec = fake_provider("alpha", retry=RetryPolicy(max_retries=2)).spec
    method = "GET"

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        return replace(super().build_chat(call, config), guarded=True)

    def follow(self, request: WireRequest, headers: Mapping[str, str]) -> WireRequest | None:
        return replace(request, method=self.method, url=headers["location"], guarded=False)


class Resending(Following):
    method = "POST"


def redirect(to: str = f"{HERE}/chat/m1?result=1", status: int = 303) -> Answer:
    return Answer(status, headers={"Location": to})


class Bench:
    """A bound provider over a scripted network; `slowly` says how long each answer takes, in seconds."""

    def __init__(
        self, *steps: Step, provider: FakeProvider | None = None, slowly: tuple[float, ...] = ()
    ) -> None:
        self.clock = ManualClock()
        slow = [self._late(seconds, step) for seconds, step in zip(slowly, steps, strict=False)]
        self.transport = ScriptedTransport(*slow, *steps[len(slow) :])
        self.attempts: list[Attempt] = []
        self.bound = BoundProvider(
            provider or Following(),
            ProviderConfig(api_key=Secret(KEY)),
            transport=self.transport,
            clock=self.clock,
            rng=lambda: 0.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def chat(self, deadline_s: float = 600.0) -> ChatAnswer:
        return await self.bound.chat(CALL, no_price, deadline_s=deadline_s, on_attempt=self.attempts.append)

    async def fails(self, deadline_s: float = 600.0) -> HeadgateError:
        with pytest.raises(HeadgateError) as caught:
            await self.chat(deadline_s)
        return caught.value

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.url) for request in self.transport.requests]

    def _late(self, seconds: float, step: Step) -> Step:
        def answer_late(_request: WireRequest) -> Answer:
            assert isinstance(step, Answer)
            self.clock.advance(seconds)
            return step

        return answer_late


def no_price(_usage: Usage) -> Decimal | None:
    return None


async def test_an_answer_that_waits_elsewhere_is_fetched_there_and_is_one_attempt() -> None:
    bench = Bench(redirect(f"{HERE}/r/1"), redirect(f"{HERE}/r/2"), said("hello"))
    answer = await bench.chat()
    assert orjson.loads(answer.body)["text"] == "hello"
    assert bench.asked == [("POST", f"{HERE}/chat/m1"), ("GET", f"{HERE}/r/1"), ("GET", f"{HERE}/r/2")]
    assert [attempt.outcome for attempt in bench.attempts] == ["succeeded"]
    assert all(response.closed for response in bench.transport.responses)


async def test_what_is_asked_elsewhere_carries_the_key_and_the_guard_but_no_body() -> None:
    bench = Bench(redirect(), said("hello"))
    await bench.chat()
    _, second = bench.transport.requests
    assert second.headers["authorization"] == Secret(f"Bearer {KEY}")
    assert second.guarded
    assert second.body is None


async def test_the_time_elsewhere_counts_for_the_attempt_and_against_the_deadline() -> None:
    bench = Bench(redirect(), redirect(), said("late"), slowly=(150, 150, 50))
    await bench.chat(deadline_s=400)
    assert bench.attempts[0].latency_ms == 350_000
    assert bench.transport.requests[2].total_timeout_s == 100


async def test_when_the_time_is_up_it_is_asked_no_more_and_may_have_run() -> None:
    bench = Bench(redirect(), redirect(), slowly=(150, 150))
    failed = await bench.fails(deadline_s=300)
    assert failed.code == "provider_timeout"
    assert failed.may_have_run
    assert len(bench.asked) == 2


@pytest.mark.parametrize(
    "failure",
    [
        Answer(429, b"later"),
        Answer(500, b"oops"),
        ProviderFailed("reset", may_have_run=True),
        ProviderFailed("refused"),
        Answer(200, pieces=[ProviderFailed("cut", code="provider_protocol")]),
    ],
)
async def test_what_fails_elsewhere_is_asked_again_there_only(failure: Step) -> None:
    bench = Bench(redirect(f"{HERE}/r/1"), failure, said("hello"))
    answer = await bench.chat()
    assert orjson.loads(answer.body)["text"] == "hello"
    assert bench.asked == [("POST", f"{HERE}/chat/m1"), ("GET", f"{HERE}/r/1"), ("GET", f"{HERE}/r/1")]


async def test_a_failure_elsewhere_may_have_run_whatever_it_says() -> None:
    bench = Bench(redirect(), *[Answer(429, b"later")] * 9)
    failed = await bench.fails()
    assert isinstance(failed, ProviderBusy)
    assert failed.may_have_run
    assert [method for method, _ in bench.asked].count("POST") == 1


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/r/1",
        "http://alpha.example/r/1",
        "https://alpha.example:8443/r/1",
        "https://alpha.example@evil.example/r/1",
        "https://user:pass@alpha.example/r/1",
        "https://alpha.example.evil.example/r/1",
        "//alpha.example/r/1",
        "https://[/r/1",
        "",
    ],
)
async def test_no_other_origin_is_asked(target: str) -> None:
    bench = Bench(redirect(target), said("stolen"))
    failed = await bench.fails()
    assert failed.code == "provider_protocol"
    assert len(bench.asked) == 1


async def test_nothing_but_a_get_is_sent_elsewhere() -> None:
    bench = Bench(redirect(), said("twice"), provider=Resending())
    assert (await bench.fails()).code == "provider_protocol"
    assert len(bench.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_that_would_repeat_the_request_are_not_followed(status: int) -> None:
    bench = Bench(redirect(status=status), said("twice"))
    assert (await bench.fails()).code == "provider_protocol"
    assert len(bench.asked) == 1


async def test_a_provider_that_says_nothing_of_redirects_follows_none() -> None:
    bench = Bench(redirect(), said("hello"), provider=fake_provider("alpha"))
    assert (await bench.fails()).code == "provider_protocol"
    assert len(bench.asked) == 1


async def test_a_round_dance_ends() -> None:
    bench = Bench(*[redirect()] * 100)
    failed = await bench.fails()
    assert failed.code == "provider_protocol"
    assert failed.may_have_run
    assert len(bench.asked) == 1 + MAX_FOLLOWED


async def test_a_stream_may_wait_elsewhere_too() -> None:
    bench = Bench(redirect(), lines("say hello", "END"))
    stream = await bench.bound.open_chat_stream(replace(CALL, stream=True), no_price)
    data = b"".join([event.data async for event in stream])
    await stream.close()
    assert b"hello" in data
