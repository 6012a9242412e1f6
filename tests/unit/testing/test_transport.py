"""The scripted transport plays what it was given, and refuses what it was not."""

import asyncio

import orjson
import pytest

from headgate.domain.errors import ProviderFailed
from headgate.ports import WireRequest
from headgate.testing.memory import Answer, ScriptedTransport


def get(url: str) -> WireRequest:
    return WireRequest(method="GET", url=url)


async def test_steps_are_met_in_order_and_kept() -> None:
    lost = ProviderFailed("lost")
    transport = ScriptedTransport(Answer(429, b"slow"), lost, Answer.of_json({"a": 1}))
    first = await transport.send(get("http://a"))
    with pytest.raises(ProviderFailed) as raised:
        await transport.send(get("http://b"))
    last = await transport.send(get("http://c"))
    assert (first.status, await first.read()) == (429, b"slow")
    assert raised.value is lost
    assert (last.status, orjson.loads(await last.read())) == (200, {"a": 1})
    assert last.headers["content-type"] == "application/json"
    assert [request.url for request in transport.requests] == ["http://a", "http://b", "http://c"]
    assert transport.responses == [first, last]


async def test_a_request_that_nothing_is_scripted_for_fails_the_test_and_not_the_provider() -> None:
    with pytest.raises(AssertionError, match="GET http://a/models"):
        await ScriptedTransport().send(get("http://a/models"))


async def test_routes_go_before_steps_and_their_last_step_repeats() -> None:
    transport = ScriptedTransport(Answer(500)).on("/models", Answer(503), Answer(200)).on("/key", Answer(401))
    urls = ["http://a/models", "http://a/key", "http://a/models", "http://a/models", "http://a/else"]
    assert [(await transport.send(get(url))).status for url in urls] == [503, 401, 200, 200, 500]


async def test_a_route_may_be_scripted_anew() -> None:
    transport = ScriptedTransport().on("/models", Answer(503))
    transport.on("/models", Answer(200))
    assert (await transport.send(get("http://a/models"))).status == 200


async def test_a_step_may_answer_by_the_request() -> None:
    transport = ScriptedTransport().on("/", lambda request: Answer(body=request.url.encode()))
    assert await (await transport.send(get("http://a/x"))).read() == b"http://a/x"


async def test_a_stream_waits_where_it_is_told_to_and_breaks_where_it_is_told_to() -> None:
    opened = asyncio.Event()
    broken = ProviderFailed("cut", code="provider_protocol")
    transport = ScriptedTransport(Answer.of_stream(b"one", 0.001, opened, b"two", broken, b"never"))
    response = await transport.send(get("http://a"))
    chunks = response.chunks()
    assert await anext(chunks) == b"one"
    second = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0.01)
    assert not second.done()
    opened.set()
    assert await second == b"two"
    with pytest.raises(ProviderFailed) as raised:
        await anext(chunks)
    assert raised.value is broken
    assert not response.finished


async def test_a_response_says_whether_it_was_read_out_and_given_up() -> None:
    transport = ScriptedTransport(Answer.of_stream(b"one", b"two"), Answer(body=b"x"))
    abandoned, read = await transport.send(get("http://a")), await transport.send(get("http://b"))
    chunks = abandoned.chunks()
    await anext(chunks)
    await abandoned.close()
    await read.read()
    assert (abandoned.closed, abandoned.finished) == (True, False)
    assert (read.closed, read.finished) == (False, True)


async def test_one_answer_may_be_given_many_times() -> None:
    transport = ScriptedTransport().on("/", Answer.of_stream(b"a", b"b"))
    for _ in range(2):
        assert await (await transport.send(get("http://a/"))).read() == b"ab"
    assert not transport.closed
    await transport.close()
    assert transport.closed
