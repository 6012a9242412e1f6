"""AioTransport against a provider that breaks HTTP in every way."""

import asyncio
import gzip
import socket
import time
import traceback
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from headgate.domain.errors import HeadgateError, InvalidRequest, ProviderFailed
from headgate.domain.secret import Secret
from headgate.net.guard import AddressGuard, AddressInfo, Reach
from headgate.net.transport import AioTransport
from headgate.ports import WireRequest, WireResponse
from tests.unit.net.names import Names
from tests.unit.net.wire_server import Script, Wire, WireServer, answer_of, repeat, script_of

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
UNAVAILABLE, PROTOCOL, TIMEOUT = "provider_unavailable", "provider_protocol", "provider_timeout"


@pytest.fixture
async def transport() -> AsyncIterator[AioTransport]:
    transport = AioTransport(max_response_bytes=100_000)
    yield transport
    await transport.close()


def post(server: WireServer, **changes: Any) -> WireRequest:
    defaults: dict[str, Any] = {"method": "POST", "url": server.url + "/v1/x?key=s3cret", "body": b"{}"}
    return WireRequest(**(defaults | changes))


async def fetch(transport: AioTransport, request: WireRequest) -> bytes:
    response = await transport.send(request)
    return await response.read()


async def failure_of(transport: AioTransport, request: WireRequest) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        await fetch(transport, request)
    return caught.value


async def drain(response: WireResponse) -> tuple[list[bytes], ProviderFailed | None]:
    """The chunks that came, and the failure that ended them."""
    seen: list[bytes] = []
    try:
        async for chunk in response.chunks():
            seen.append(chunk)  # noqa: PERF401 - what came before a failure counts
    except ProviderFailed as failure:
        return seen, failure
    return seen, None


BROKEN_HEADS: dict[str, tuple[Script, str]] = {
    "closed at once": (script_of("close"), UNAVAILABLE),
    "reset at once": (script_of("reset"), UNAVAILABLE),
    "closed within the head": (script_of(b"HTTP/1.1 200 O", "close"), UNAVAILABLE),
    "reset within the head": (script_of(b"HTTP/1.1 200 OK\r\nx: y", 0.02, "reset"), UNAVAILABLE),
    "no HTTP": (script_of(b"SSH-2.0-OpenSSH_9.6\r\n", "close"), PROTOCOL),
    "bare HTML": (script_of(b"<html>hello</html>", "close"), PROTOCOL),
    "a huge header": (script_of(OK + b"x: " + b"y" * 100_000 + b"\r\n\r\n"), PROTOCOL),
    "too many headers": (script_of(OK + b"x: y\r\n" * 5_000 + b"\r\n"), PROTOCOL),
    "two lengths": (script_of(OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"), PROTOCOL),
    "length and chunks": (
        script_of(OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"),
        PROTOCOL,
    ),
    "a negative length": (script_of(OK + b"content-length: -1\r\n\r\n"), PROTOCOL),
    "another protocol": (
        script_of(b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
        PROTOCOL,
    ),
}

_GZIP = gzip.compress(b"hello " * 1000)


def _gzipped(wire: bytes) -> Script:
    return script_of(answer_of(wire, headers="content-encoding: gzip"))


BROKEN_BODIES: dict[str, tuple[Script, str]] = {
    "shorter than its length": (
        script_of(OK + b"content-length: 99\r\n\r\n", 0.02, b"abc", 0.02, "close"),
        PROTOCOL,
    ),
    "reset within its length": (script_of(OK + b"content-length: 99\r\n\r\nabc", 0.02, "reset"), UNAVAILABLE),
    "chunks without end": (script_of(CHUNKED + b"3\r\nabc\r\n", 0.02, "close"), PROTOCOL),
    "reset among chunks": (script_of(CHUNKED + b"3\r\nabc\r\n", 0.02, "reset"), UNAVAILABLE),
    "a bad chunk size": (script_of(CHUNKED + b"3\r\nabc\r\n", 0.02, b"zz\r\nabc\r\n"), PROTOCOL),
    "a chunk of the wrong size": (script_of(CHUNKED, 0.02, b"2\r\nabcdef\r\n0\r\n\r\n"), PROTOCOL),
    "reset without length": (script_of(OK + b"\r\nabc", 0.02, "reset"), UNAVAILABLE),
    "gzip that is none": (_gzipped(b"hello hello hello"), PROTOCOL),
    "gzip that stops early": (_gzipped(_GZIP[:-9]), PROTOCOL),
    "gzip with a wrong sum": (_gzipped(_GZIP[:-8] + b"12345678"), PROTOCOL),
    "an encoding not offered": (script_of(answer_of(b"abc", headers="content-encoding: br")), PROTOCOL),
}


@pytest.mark.parametrize("case", BROKEN_HEADS)
async def test_a_broken_head_is_a_failure_after_which_the_request_may_have_run(
    transport: AioTransport, case: str
) -> None:
    script, code = BROKEN_HEADS[case]
    async with WireServer(script) as server:
        with pytest.raises(ProviderFailed) as caught:
            await transport.send(post(server))
    assert (caught.value.code, caught.value.may_have_run) == (code, True)


@pytest.mark.parametrize("case", BROKEN_BODIES)
async def test_a_broken_body_is_a_failure_at_once_after_a_good_head(
    transport: AioTransport, case: str
) -> None:
    script, code = BROKEN_BODIES[case]
    async with WireServer(script) as server, asyncio.timeout(5):
        response = await transport.send(post(server))
        assert response.status == 200
        with pytest.raises(ProviderFailed) as caught:
            await response.read()
    assert (caught.value.code, caught.value.may_have_run) == (code, True)


@pytest.mark.parametrize("case", BROKEN_BODIES)
def test_a_body_breaks_alike_under_the_loop_that_lambda_runs(case: str) -> None:
    script, code = BROKEN_BODIES[case]

    async def run() -> None:
        transport = AioTransport()
        async with WireServer(script) as server:
            failure = await failure_of(transport, post(server))
        assert (failure.code, failure.may_have_run) == (code, True)
        await transport.close()

    uvloop.run(run())


async def test_what_arrived_before_a_body_broke_is_given_out(transport: AioTransport) -> None:
    async with WireServer(script_of(CHUNKED + b"3\r\nabc\r\n", 0.05, "reset")) as server:
        response = await transport.send(post(server))
        seen, failure = await drain(response)
    assert seen == [b"abc"]
    assert failure is not None


# -- what comes back as it is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["200 OK", "302 Found", "307 Temporary Redirect", "404 Not Found", "503 Busy"]
)
async def test_any_status_is_an_answer_and_no_redirect_is_followed(
    transport: AioTransport, status: str
) -> None:
    body = b"<html>sorry</html>"
    answer = answer_of(body, status=status, headers="Location: /elsewhere\nContent-Type: text/html")
    async with WireServer(repeat(answer)) as server:
        response = await transport.send(post(server))
        assert response.status == int(status[:3])
        assert response.headers["location"] == "/elsewhere"
        assert await response.read() == body
        assert await response.read() == body
    assert len(server.requests) == 1


async def test_header_names_are_lower_case_and_repeated_ones_joined(transport: AioTransport) -> None:
    answer = answer_of(b"", headers="X-Request-Id: 7\nLink: a\nLINK: b")
    async with WireServer(repeat(answer)) as server:
        response = await transport.send(post(server))
    assert response.headers["x-request-id"] == "7"
    assert response.headers["link"] == "a, b"
    assert all(name == name.lower() for name in response.headers)


async def test_the_request_goes_out_as_it_was_built(transport: AioTransport) -> None:
    headers = {"Authorization": Secret("Bearer s3cret"), "Content-Type": "application/json", "X-Title": "é"}
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        url = server.url + "/v1/a%2Fb/../c?x=a%20b&y=1+2"
        await fetch(transport, post(server, url=url, headers=headers, body=b'{"a":1}'))
        await fetch(transport, WireRequest(method="GET", url=server.url))
    sent, bare = server.requests
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/a%2Fb/../c?x=a%20b&y=1+2 HTTP/1.1"
    assert body == b'{"a":1}'
    sent_headers = [line.lower() for line in lines[1:]]
    assert "authorization: bearer s3cret" in sent_headers
    assert "content-length: 7" in sent_headers
    assert "x-title: é" in sent_headers
    assert sum(line.startswith(("cookie", "proxy", "referer")) for line in sent_headers) == 0
    assert bare.startswith(b"GET / HTTP/1.1\r\n")
    assert b"content-length" not in bare.lower()


async def test_cookies_are_not_kept(transport: AioTransport) -> None:
    async with WireServer(repeat(answer_of(b"{}", headers="Set-Cookie: a=b; Path=/"))) as server:
        for _ in range(2):
            await fetch(transport, post(server))
    assert b"cookie" not in server.requests[1].lower()


async def test_proxies_and_netrc_of_the_environment_are_not_used(
    transport: AioTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        assert await fetch(transport, post(server)) == b"{}"
    assert b"authorization" not in server.requests[0].lower()


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 10_000_000])
async def test_a_large_body_is_sent_whole(size: int) -> None:
    transport = AioTransport()
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        assert await fetch(transport, post(server, body=body)) == b"{}"
    await transport.close()
    assert server.requests[0].partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
async def test_compressed_bodies_arrive_decompressed(
    transport: AioTransport, compress: Callable[[bytes], bytes]
) -> None:
    name = "gzip" if compress is gzip.compress else "deflate"
    wire = compress(b"hello " * 1000)
    async with WireServer(repeat(answer_of(wire, headers=f"Content-Encoding: {name}"))) as server:
        assert await fetch(transport, post(server)) == b"hello " * 1000
    assert b"accept-encoding: gzip, deflate" in server.requests[0].lower()


async def test_a_caller_may_ask_for_no_compression(transport: AioTransport) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        await fetch(transport, post(server, headers={"Accept-Encoding": "identity"}))
    assert server.requests[0].lower().count(b"accept-encoding") == 1
    assert b"accept-encoding: identity" in server.requests[0].lower()


async def test_a_body_without_length_ends_with_its_connection(transport: AioTransport) -> None:
    async with WireServer(script_of(OK + b"\r\nabc", 0.02, b"def", "close")) as server:
        assert await fetch(transport, post(server)) == b"abcdef"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", OK + b"content-length: 99\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n"),
    ],
)
async def test_an_answer_that_has_no_body_is_empty(
    transport: AioTransport, method: str, answer: bytes
) -> None:
    async with WireServer(repeat(answer)) as server:
        assert await fetch(transport, post(server, method=method, body=None)) == b""


# -- limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0, 1])
async def test_the_byte_limit_is_exact(transport: AioTransport, extra: int) -> None:
    async with WireServer(repeat(answer_of(b"x" * (100_000 + extra)))) as server:
        if extra:
            assert (await failure_of(transport, post(server))).code == PROTOCOL
        else:
            assert len(await fetch(transport, post(server))) == 100_000


async def test_the_byte_limit_counts_what_a_bomb_becomes_and_ends_it_early(transport: AioTransport) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with WireServer(_gzipped(bomb)) as server:
        started = time.monotonic()
        failure = await failure_of(transport, post(server))
    assert (failure.code, failure.may_have_run) == (PROTOCOL, True)
    assert time.monotonic() - started < 1


async def test_a_stream_over_the_limit_is_cut_and_its_connection_closed(transport: AioTransport) -> None:
    async def endless(wire: Wire) -> None:
        await wire.read_request()
        await wire.write(CHUNKED)
        while True:
            await wire.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")

    async with WireServer(endless) as server:
        response = await transport.send(post(server))
        seen, failure = await drain(response)
        assert sum(map(len, seen)) <= 100_000
        assert failure is not None
        assert failure.code == PROTOCOL
        await asyncio.wait_for(server.left.wait(), 2)


# -- clocks ---------------------------------------------------------------------------------------------


async def _timed(transport: AioTransport, request: WireRequest) -> tuple[ProviderFailed, float]:
    started = time.monotonic()
    async with asyncio.timeout(10):  # so that a clock which does not run fails the test, not the suite
        failure = await failure_of(transport, request)
    return failure, time.monotonic() - started


async def test_silence_before_the_answer_ends_at_the_first_byte_timeout(transport: AioTransport) -> None:
    async with WireServer(script_of("hang")) as server:
        failure, took = await _timed(transport, post(server, first_byte_timeout_s=0.2))
        await asyncio.wait_for(server.left.wait(), 2)
    assert (failure.code, failure.may_have_run) == (TIMEOUT, True)
    assert 0.15 < took < 1.5


async def test_half_a_head_is_no_answer(transport: AioTransport) -> None:
    async with WireServer(script_of(b"HTTP/1.1 200 OK\r\nx: y\r\n", "hang")) as server:
        failure, took = await _timed(transport, post(server, first_byte_timeout_s=0.2))
    assert (failure.code, failure.may_have_run) == (TIMEOUT, True)
    assert took < 1.5


async def test_a_body_that_nobody_takes_ends_at_the_first_byte_timeout(transport: AioTransport) -> None:
    async def deaf(_wire: Wire) -> None:
        await asyncio.sleep(30)

    async with WireServer(deaf) as server:
        request = post(server, body=b"x" * 20_000_000, first_byte_timeout_s=0.3)
        failure, took = await _timed(transport, request)
    assert (failure.code, failure.may_have_run) == (TIMEOUT, True)
    assert took < 2


async def test_silence_within_the_body_ends_at_the_idle_timeout(transport: AioTransport) -> None:
    async with WireServer(script_of(CHUNKED + b"3\r\nabc\r\n", "hang")) as server:
        failure, took = await _timed(transport, post(server, idle_timeout_s=0.2))
        await asyncio.wait_for(server.left.wait(), 2)
    assert (failure.code, failure.may_have_run) == (TIMEOUT, True)
    assert 0.15 < took < 1.5


async def test_a_slow_drip_is_no_silence(transport: AioTransport) -> None:
    steps: list[bytes | float | str] = [OK + b"content-length: 12\r\n\r\n"]
    for _ in range(12):
        steps += [0.05, b"x"]
    async with WireServer(script_of(*steps)) as server:
        assert await fetch(transport, post(server, idle_timeout_s=0.4, first_byte_timeout_s=0.3)) == b"x" * 12


async def test_a_reader_who_takes_its_time_is_no_silence(transport: AioTransport) -> None:
    steps = (CHUNKED + b"1\r\na\r\n", 0.1, b"1\r\nb\r\n", 0.1, b"0\r\n\r\n")
    async with WireServer(script_of(*steps)) as server:
        response = await transport.send(post(server, idle_timeout_s=0.3))
        seen = b""
        async for chunk in response.chunks():
            seen += chunk
            await asyncio.sleep(0.5)
    assert seen == b"ab"


async def test_the_total_timeout_ends_even_a_lively_answer(transport: AioTransport) -> None:
    async def drip(wire: Wire) -> None:
        await wire.read_request()
        await wire.write(CHUNKED)
        while True:
            await wire.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)

    async with WireServer(drip) as server:
        failure, took = await _timed(transport, post(server, total_timeout_s=0.4))
        await asyncio.wait_for(server.left.wait(), 2)
    assert (failure.code, failure.may_have_run) == (TIMEOUT, True)
    assert 0.3 < took < 1.5


async def test_the_total_timeout_counts_the_wait_for_the_answer(transport: AioTransport) -> None:
    async with WireServer(script_of("hang")) as server:
        failure, took = await _timed(transport, post(server, total_timeout_s=0.2))
    assert (failure.code, failure.may_have_run) == (TIMEOUT, True)
    assert took < 1.5


async def test_an_answer_that_is_all_there_is_not_late_however_late_it_is_read(
    transport: AioTransport,
) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        response = await transport.send(post(server, total_timeout_s=0.3, idle_timeout_s=0.1))
        await asyncio.sleep(0.5)
        assert await response.read() == b"{}"


# -- before a connection stands -------------------------------------------------------------------------


def _dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_refused_connection_has_not_run_anything(transport: AioTransport) -> None:
    request = WireRequest(method="POST", url=f"http://127.0.0.1:{_dead_port()}/x", body=b"{}")
    failure = await failure_of(transport, request)
    assert (failure.code, failure.may_have_run) == (UNAVAILABLE, False)


async def test_an_unknown_name_has_not_run_anything() -> None:
    transport = AioTransport(make_resolver=lambda: Names({}))
    failure = await failure_of(transport, WireRequest(method="POST", url="http://nowhere.test/x", body=b"{}"))
    await transport.close()
    assert (failure.code, failure.may_have_run) == (UNAVAILABLE, False)
    assert "nowhere.test" in failure.detail


async def test_a_connection_that_does_not_come_about_ends_at_the_connect_timeout() -> None:
    class Slow(Names):
        async def resolve(self, *_args: Any, **_kwargs: Any) -> Any:
            await asyncio.sleep(30)

    transport = AioTransport(make_resolver=lambda: Slow({}))
    request = WireRequest(method="POST", url="http://slow.test/x", body=b"{}", connect_timeout_s=0.2)
    failure, took = await _timed(transport, request)
    await transport.close()
    assert (failure.code, failure.may_have_run) == (TIMEOUT, False)
    assert 0.15 < took < 1.5


async def test_a_name_with_a_dead_address_is_reached_at_its_other_one() -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        transport = AioTransport(make_resolver=lambda: Names({"two.test": [["127.0.0.9", "127.0.0.1"]]}))
        url = f"http://two.test:{server.port}/x"
        assert await fetch(transport, WireRequest(method="POST", url=url, body=b"{}")) == b"{}"
        await transport.close()


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\0b", "a\x7f", "\ud800"])
async def test_a_header_that_would_break_out_is_refused_unsent_and_unshown(
    transport: AioTransport, value: str
) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        with pytest.raises(InvalidRequest) as caught:
            await transport.send(post(server, headers={"x-api-key": Secret("s3cret" + value)}))
    assert "s3cret" not in str(caught.value)
    assert server.connections == 0


async def test_an_unusable_url_is_refused_even_when_nobody_guards_it(transport: AioTransport) -> None:
    for url in ("ftp://127.0.0.1/", "http://", "/v1/models", "http://127.0.0.1\\@x/", "http://2130706433/"):
        with pytest.raises(InvalidRequest) as caught:
            await transport.send(WireRequest(method="GET", url=url))
        assert [error.field for error in caught.value.errors] == ["base_url"]


# -- never twice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_request_on_a_kept_connection_that_dies_is_not_sent_again(
    transport: AioTransport, method: str
) -> None:
    async def once_then_drop(wire: Wire) -> None:
        await wire.read_request()
        await wire.write(answer_of(b"{}"))
        await wire.read_request()
        wire.reset()

    async with WireServer(once_then_drop) as server:
        await fetch(transport, post(server, method=method))
        failure = await failure_of(transport, post(server, method=method, idempotent=True))
    assert (failure.code, failure.may_have_run) == (UNAVAILABLE, True)
    assert len(server.requests) == 2


async def test_connections_are_kept_for_the_next_request(transport: AioTransport) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        for _ in range(5):
            await fetch(transport, post(server))
    assert (len(server.requests), server.connections) == (5, 1)


async def test_a_connection_is_not_kept_for_longer_than_asked() -> None:
    transport = AioTransport(keepalive_s=0.1)
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        for _ in range(2):
            await fetch(transport, post(server))
            await asyncio.sleep(0.25)
        await transport.close()
    assert server.connections == 2


async def test_hundreds_of_requests_run_at_once(transport: AioTransport) -> None:
    waiting = 0
    everyone = asyncio.Event()

    async def together(wire: Wire) -> None:
        nonlocal waiting
        await wire.read_request()
        waiting += 1
        if waiting == 200:
            everyone.set()
        await everyone.wait()
        await wire.write(answer_of(b"{}"))

    async with WireServer(together) as server, asyncio.timeout(10):
        bodies = await asyncio.gather(*(fetch(transport, post(server)) for _ in range(200)))
    assert bodies == [b"{}"] * 200


# -- giving up ------------------------------------------------------------------------------------------


async def test_a_cancelled_send_disconnects_at_once(transport: AioTransport) -> None:
    async with WireServer(script_of("hang")) as server:
        task = asyncio.create_task(transport.send(post(server)))
        await server.asked.wait()
        task.cancel()
        await asyncio.wait_for(server.left.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cancelled_reader_disconnects_at_once(transport: AioTransport) -> None:
    async with WireServer(script_of(CHUNKED + b"3\r\nabc\r\n", "hang")) as server:
        response = await transport.send(post(server))
        task = asyncio.create_task(response.read())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait_for(server.left.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_an_unfinished_answer_disconnects_at_once_and_twice_is_fine(
    transport: AioTransport,
) -> None:
    async with WireServer(script_of(CHUNKED + b"3\r\nabc\r\n", "hang")) as server:
        response = await transport.send(post(server))
        async for chunk in response.chunks():
            assert chunk == b"abc"
            break
        await response.close()
        await response.close()
        await asyncio.wait_for(server.left.wait(), 1)


class SocketKeeper(AddressGuard):
    """Remembers the sockets that were made."""

    def __init__(self) -> None:
        super().__init__(allow_loopback=True)
        self.made: list[socket.socket] = []

    def open_socket(self, info: AddressInfo, reach: Reach) -> socket.socket:
        self.made.append(super().open_socket(info, reach))
        return self.made[-1]

    async def all_closed(self) -> bool:
        """Whether they are, within a second."""
        for _ in range(50):
            if all(each.fileno() == -1 for each in self.made):
                return bool(self.made)
            await asyncio.sleep(0.02)
        return False


@pytest.mark.parametrize("head", [b"", CHUNKED])
async def test_giving_up_frees_the_socket_though_the_provider_takes_nothing(head: bytes) -> None:
    """An orderly end would wait for the provider to take what is unsent, perhaps for ever."""

    async def deaf(wire: Wire) -> None:
        await wire.write(head)
        await asyncio.sleep(30)

    keeper = SocketKeeper()
    transport = AioTransport(guard=keeper)
    async with WireServer(deaf) as server:
        request = post(server, body=b"x" * 20_000_000, guarded=True)
        task = asyncio.create_task(fetch(transport, request))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await keeper.all_closed()
        await transport.close()


async def test_closing_a_finished_answer_keeps_its_connection(transport: AioTransport) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        for _ in range(3):
            response = await transport.send(post(server))
            await response.read()
            await response.close()
    assert server.connections == 1


async def test_closing_the_transport_disconnects_and_a_later_request_connects_anew(
    transport: AioTransport,
) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        await fetch(transport, post(server))
        await transport.close()
        await asyncio.wait_for(server.left.wait(), 1)
        assert await fetch(transport, post(server)) == b"{}"
    assert server.connections == 2


@pytest.mark.parametrize("head", [b"", CHUNKED])
async def test_closing_the_transport_fails_what_is_under_way(transport: AioTransport, head: bytes) -> None:
    async with WireServer(script_of(head, "hang")) as server, asyncio.timeout(5):
        task = asyncio.create_task(fetch(transport, post(server)))
        await server.asked.wait()
        await asyncio.sleep(0.05)
        await transport.close()
        with pytest.raises(ProviderFailed) as caught:
            await task
    assert caught.value.may_have_run


# -- what errors show -----------------------------------------------------------------------------------


async def test_no_error_shows_path_query_header_or_body_even_in_its_traceback(
    transport: AioTransport,
) -> None:
    scripts = [script for script, _ in (*BROKEN_HEADS.values(), *BROKEN_BODIES.values())]
    dead = WireRequest(
        method="POST", url=f"http://127.0.0.1:{_dead_port()}/s3cret?key=s3cret", body=b"s3cret"
    )
    errors: list[HeadgateError] = [await failure_of(transport, dead)]
    for script in (*scripts, script_of("hang")):
        async with WireServer(script) as server:
            request = post(
                server,
                url=server.url + "/s3cret?key=s3cret",
                headers={"authorization": Secret("s3cret")},
                body=b"s3cret",
                first_byte_timeout_s=0.3,
            )
            errors.append(await failure_of(transport, request))
    for error in errors:
        assert "s3cret" not in "".join(traceback.format_exception(error))
        assert "127.0.0.1" in error.detail


# -- loops ----------------------------------------------------------------------------------------------


def test_one_transport_serves_one_loop_after_another() -> None:
    transport = AioTransport()

    async def use() -> None:
        async with WireServer(repeat(answer_of(b"{}"))) as server:
            for _ in range(2):
                assert await fetch(transport, post(server)) == b"{}"
            assert server.connections == 1

    runs: list[Callable[[Coroutine[Any, Any, None]], None]] = [asyncio.run, uvloop.run, asyncio.run]
    for run in runs:
        run(use())
    asyncio.run(_use_and_close(transport))


async def _use_and_close(transport: AioTransport) -> None:
    async with WireServer(repeat(answer_of(b"{}"))) as server:
        await fetch(transport, post(server))
        await transport.close()
        await asyncio.wait_for(server.left.wait(), 1)


def test_a_loop_that_stops_and_runs_again_keeps_its_connections() -> None:
    """As Mangum runs one loop, invocation by invocation."""
    transport = AioTransport()
    loop = asyncio.new_event_loop()
    server = WireServer(repeat(answer_of(b"{}")))
    loop.run_until_complete(server.__aenter__())
    for _ in range(3):
        assert loop.run_until_complete(fetch(transport, post(server))) == b"{}"
    loop.run_until_complete(transport.close())
    loop.run_until_complete(server.__aexit__(None, None, None))
    loop.close()
    assert server.connections == 1


def test_two_loops_in_two_threads_do_not_disturb_each_other() -> None:
    transport = AioTransport()

    async def use() -> None:
        async with WireServer(repeat(answer_of(b"{}"))) as server:
            for _ in range(50):
                assert await fetch(transport, post(server)) == b"{}"
            assert server.connections == 1
            await transport.close()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(asyncio.run, use()) for _ in range(2)]:
            done.result()
