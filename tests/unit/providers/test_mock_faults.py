"""The mock provider takes its time, and fails, as it is told to."""

import json
from collections.abc import AsyncIterator

import pytest

from headgate.domain.errors import ProviderFailed
from headgate.ports import WireRequest
from headgate.providers.base import ProviderConfig
from headgate.providers.mock import Mock, MockTransport
from tests.unit.providers.mocking import Talk


@pytest.fixture
def talk() -> Talk:
    return Talk.begin()


# -- the pace ---------------------------------------------------------------------------------------------


async def test_answers_take_a_little_time(talk: Talk) -> None:
    await talk.stream("echo")
    assert 0.005 < sum(talk.pace.waited_s) < 0.5


@pytest.mark.parametrize("stream", [False, True])
async def test_the_pace_is_set_by_the_models_id_or_the_request(talk: Talk, stream: bool) -> None:
    ask = talk.stream if stream else talk.whole
    _, outcome = await ask("echo@100ms")
    assert outcome.usage is not None
    tokens = outcome.usage.output_tokens or 0
    assert sum(talk.pace.waited_s) == pytest.approx(0.1 * (1 + tokens), abs=0.35)
    talk.pace.waited_s.clear()
    await ask("echo", mock={"first_ms": 3000, "token_ms": 0})
    assert sum(talk.pace.waited_s) == pytest.approx(3.0)


async def test_chunks_arrive_one_by_one(talk: Talk) -> None:
    request = Mock().build_chat(Talk.call("echo", {}, stream=True), ProviderConfig())
    response = await MockTransport(sleep=talk.pace.sleep).send(request)
    arrived: AsyncIterator[bytes] = response.chunks()
    assert (await anext(arrived)).count(b"data: ") == 1
    await response.close()
    assert [chunk async for chunk in arrived] == []


# -- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("400", "provider_rejected"),
        ("401", "provider_auth"),
        ("402", "provider_insufficient_funds"),
        ("404", "model_not_found"),
        ("408", "provider_timeout"),
        ("429", "provider_rate_limited"),
        ("500", "provider_unavailable"),
        ("503", "provider_overloaded"),
        ("529", "provider_overloaded"),
        ("quota", "provider_insufficient_funds"),
        ("context", "context_too_long"),
        ("filter", "content_filtered"),
        ("html", "provider_protocol"),
        ("empty", "provider_protocol"),
        ("inside", "provider_overloaded"),
        ("truncate", "provider_protocol"),
        ("reset", "provider_unavailable"),
        ("stall", "provider_timeout"),
        ("hang", "provider_timeout"),
        ("connect", "provider_unavailable"),
        ("flaky", "provider_overloaded"),
    ],
)
async def test_faults_are_what_they_are_called(talk: Talk, fault: str, code: str, stream: bool) -> None:
    error = await talk.fails(f"fault-{fault}", stream=stream)
    assert (error.code, error.provider) == (code, "mock")


async def test_a_fault_in_midstream_comes_after_content(talk: Talk) -> None:
    for fault in ("midstream", "truncate", "reset", "stall"):
        events, outcome = await talk.stream(f"fault-{fault}")
        assert any(event.content for event in events[:-1])
        assert events[-1].error is not None
        assert events[-1].error.may_have_run
        assert outcome.text
        assert outcome.finish_reason is None


async def test_a_limit_says_when_to_come_back(talk: Talk) -> None:
    assert (await talk.fails("fault-429")).retry_after_s == 1.0


async def test_a_connection_that_never_stood_is_safe_to_repeat(talk: Talk) -> None:
    assert (await talk.fails("fault-connect")).may_have_run is False
    assert (await talk.fails("fault-hang")).may_have_run is True


async def test_the_flaky_one_works_the_second_time() -> None:
    assert (await Talk.begin(retries=1).whole("fault-flaky"))[1].finish_reason == "stop"


async def test_silence_lasts_as_long_as_the_request_allows(talk: Talk) -> None:
    body = json.dumps({"model": "fault-hang", "messages": [{"role": "user", "content": "x"}]}).encode()
    request = WireRequest(
        method="POST", url="http://mock.invalid/v1/chat/completions", body=body, first_byte_timeout_s=12.0
    )
    with pytest.raises(ProviderFailed):
        await MockTransport(sleep=talk.pace.sleep).send(request)
    assert talk.pace.waited_s == [12.0]


async def test_an_unknown_path_and_a_broken_body_are_refused() -> None:
    transport = MockTransport()
    chat = "http://mock.invalid/v1/chat/completions"
    for method, url, body, status in (
        ("GET", "http://mock.invalid/v1/nothing", None, 404),
        ("POST", chat, b"{", 400),
        ("POST", chat, b"[]", 400),
        ("POST", chat, None, 400),
    ):
        response = await transport.send(WireRequest(method=method, url=url, body=body))
        assert response.status == status
        assert json.loads(await response.read())["error"]["message"]
    await transport.close()
