"""Everything a provider can do wrong, over loopback, and what callers, records and the provider see of it."""

import asyncio
import gzip
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.upstream import (
    DONE,
    ENDING,
    FINISH,
    FIRST,
    LAST_PIECE,
    STREAM_HEAD,
    USAGE,
    USAGE_CHUNK,
    Call,
    End,
    Endless,
    Pause,
    Script,
    Step,
    Upstream,
    chunk,
    completion,
    event,
    head,
    piece,
    stream,
    whole,
    words,
)
from tests.integration.local_gateway import Gateway, StartGateway, free_port

SILENCE_S = 2.0
"""What the gateway bears of a provider's, before the head and in the body."""
PING_S = 0.2
CHATS = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "Is it open?"}]}
SAYS = "The gate is open."
RETRYABLE = {
    "provider_rate_limited",
    "provider_unavailable",
    "provider_overloaded",
    "provider_protocol",
    "provider_timeout",
}
FREE = {"amount": "0", "currency": "USD"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a provider does, and what must come of it. calls: how often it is asked."""

    script: Script
    status: int = 502
    code: str = "provider_protocol"
    calls: int = 1
    retry_after: str | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the caller got, what was recorded, and what the provider was asked."""

    answer: httpx.Response
    record: Mapping[str, Any]
    calls: list[Call]

    @property
    def error(self) -> Mapping[str, Any]:
        """The error of a whole answer, or the one that a stream ends with."""
        error: Mapping[str, Any] = json.loads(self.answer.text.rstrip().rpartition("data: ")[2])["error"]
        return error

    @property
    def text(self) -> str:
        return text_of(self.answer.text)

    @property
    def attempts(self) -> list[tuple[str, str | None]]:
        return [(one["outcome"], one["code"]) for one in self.record["attempts"]]


def text_of(body: str) -> str:
    """The content of a whole answer, or of a stream."""
    if not body.startswith((":", "data:")):
        return str(json.loads(body)["choices"][0]["message"]["content"])
    values = [json.loads(line[6:]) for line in body.split("\n") if line.startswith("data: {")]
    choices = [choice for value in values for choice in value.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def refused(status: int, code: str, ours: int, *, calls: int = 1, **headers: str) -> Fault:
    """An error status, with the provider's reason in OpenAI's shape."""
    said = {"error": {"message": f"told {status}", "type": "loopback", "code": None}}
    told = headers.get("retry_after")
    return Fault(script=whole(said, status, **headers), status=ours, code=code, calls=calls, retry_after=told)


def of_length(length: str, body: bytes, *then: Step) -> tuple[Step, ...]:
    fields = {"content-type": "application/json", "content-length": length}
    return (head(200, fields) + body, *then)


ANSWER = json.dumps(completion()).encode()
BOMB = gzip.compress(b'{"choices": "' + b" " * (65 << 20) + b'"}', 1)
"""A third of a megabyte which becomes 65."""
HTML = b"<!doctype html><html><head><title>Bad gateway</title></head><body>Oops</body></html>"
ERROR = {"error": {"message": "told within", "type": "loopback"}}
LIMITED = {"error": {"message": "slow down", "code": 429}}
ENDLESS = head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})

# Whether a whole answer was asked for or a stream.
BEFORE: dict[str, Fault] = {
    # no head
    "hangs before the head": Fault(script=(End.HANG,), status=504, code="provider_timeout"),
    "hangs up before the head": Fault(script=(End.CLOSE,), code="provider_unavailable"),
    "resets before the head": Fault(script=(End.RESET,), code="provider_unavailable"),
    "speaks no HTTP": Fault(script=(b"SSH-2.0-OpenSSH_9.2\r\n", End.HANG)),
    "has a giant header": Fault(script=(head(200, {"x-large": "x" * 200_000}), *whole({}))),
    # no body
    "hangs after the head": Fault(
        script=(*of_length("9", b""), End.HANG), status=504, code="provider_timeout"
    ),
    "resets after the head": Fault(script=(*of_length("9", b""), End.RESET), code="provider_unavailable"),
    "answers nothing": Fault(script=whole(b"")),
    "answers 204": Fault(script=(head(204, {}),)),
    # a body that is none
    "stops short of its length": Fault(script=of_length("9999", ANSWER, End.CLOSE)),
    "sends more than its length": Fault(script=of_length("40", ANSWER)),
    "has a length that is none": Fault(script=of_length("many", ANSWER)),
    "has a broken chunk": Fault(script=(ENDLESS, b"zz\r\nnothing\r\n", End.HANG)),
    "answers HTML": Fault(script=whole(HTML, content_type="text/html")),
    "answers invalid UTF-8": Fault(script=whole(ANSWER.replace(b"open", b"op\xffn"))),
    "answers half a JSON": Fault(script=whole(ANSWER[:-30])),
    "answers other JSON": Fault(script=whole({"hello": "world"})),
    "answers no object": Fault(script=whole([1, 2])),
    "answers a gzip bomb": Fault(script=whole(BOMB, content_encoding="gzip")),
    "answers without end": Fault(script=(ENDLESS, Endless(b" " * (4 << 20), every_s=0.001))),
    "answers broken gzip": Fault(script=whole(gzip.compress(ANSWER)[:-20], content_encoding="gzip")),
    "answers in another encoding": Fault(script=whole(b"\x0b\x02\x80", content_encoding="br")),
    # an error in a 200
    "fails in a 200": Fault(script=whole(ERROR), code="provider_unavailable"),
    "limits in a 200": Fault(
        script=whole(LIMITED),
        status=429,
        code="provider_rate_limited",
        calls=3,
    ),
    # statuses
    "redirects": Fault(script=(head(302, {"location": "/openai/stolen", "content-length": "0"}),)),
    "answers 400": refused(400, "provider_rejected", 400),
    "answers 401": refused(401, "provider_auth", 424),
    "answers 402": refused(402, "provider_insufficient_funds", 424),
    "answers 403": refused(403, "provider_auth", 424),
    "answers 404": refused(404, "model_not_found", 404),
    "answers 413": refused(413, "provider_rejected", 400),
    "answers 422": refused(422, "provider_rejected", 400),
    "answers 429": refused(429, "provider_rate_limited", 429, retry_after="30"),
    "answers 500": refused(500, "provider_unavailable", 502),
    "answers 502 with HTML": Fault(
        script=whole(HTML, 502, content_type="text/html"), code="provider_unavailable"
    ),
    "answers 503": refused(503, "provider_overloaded", 503, calls=3),
    "answers 503 for long": refused(503, "provider_overloaded", 503, retry_after="60"),
    "answers 504": refused(504, "provider_timeout", 504),
    "answers 524": refused(524, "provider_timeout", 504),
    "answers 529": refused(529, "provider_overloaded", 503, calls=3),
}

SAID = FIRST + words("The", " gate")
WITHIN: dict[str, tuple[Script, str]] = {
    "hangs": (stream(SAID, End.HANG), "provider_timeout"),
    "resets": (stream(SAID, End.RESET), "provider_unavailable"),
    "hangs up": (stream(SAID, End.CLOSE), "provider_protocol"),
    "ends without an end": (stream(SAID), "provider_protocol"),
    "hangs after the finish": (stream(SAID + FINISH, End.HANG), "provider_timeout"),
    "hangs up after the finish": (stream(SAID + FINISH, End.CLOSE), "provider_protocol"),
    "says an error": (stream(SAID + event(ERROR)), "provider_unavailable"),
    "says an error later": (stream(SAID, Pause(0.1), event(LIMITED)), "provider_rate_limited"),
    "says an error by name": (stream(SAID + b"event: error\ndata: oh no\n\n"), "provider_unavailable"),
    "says an error without a field": (stream(SAID + b'{"error":"oh no"}\n\n'), "provider_unavailable"),
    "finishes with an error": (stream(SAID + event(chunk({}, "error"))), "provider_unavailable"),
    "says no JSON": (stream(SAID + event(b"not json") + ENDING), "provider_protocol"),
    "says no object": (stream(SAID + event(b"[1]") + ENDING), "provider_protocol"),
    "says invalid UTF-8": (
        stream(SAID + words("op@n").replace(b"@", b"\xff") + ENDING),
        "provider_protocol",
    ),
    "says HTML": (stream(SAID + HTML), "provider_protocol"),
    "says too much at once": (stream(SAID, b"data: " + b"x" * (17 << 20) + b"\n\n"), "provider_protocol"),
    "breaks its chunks": ((STREAM_HEAD, piece(SAID), Pause(0.3), b"zz\r\n", End.HANG), "provider_protocol"),
}

# The head is out, but nothing of the answer.
BEFORE_CONTENT: dict[str, tuple[Script, str]] = {
    "hangs": (stream(FIRST, End.HANG), "provider_timeout"),
    "resets": (stream(FIRST, Pause(0.1), End.RESET), "provider_unavailable"),
    "says an error": (stream(FIRST, Pause(0.1), event(LIMITED)), "provider_rate_limited"),
    "ends": (stream(FIRST), "provider_protocol"),
}

# As a stream's first event, whose status still can be told.
AT_FIRST: dict[str, Fault] = {
    "says an error": Fault(script=stream(event(LIMITED)), status=429, code="provider_rate_limited"),
    "says an error after comments": Fault(
        script=stream(b": wait\n\n", Pause(0.1), event(LIMITED)), status=429, code="provider_rate_limited"
    ),
    "only comments": Fault(script=stream(b": wait\n\n", End.HANG), status=504, code="provider_timeout"),
    "ends at once": Fault(script=stream()),
    "says only the end": Fault(script=stream(DONE)),
    "answers whole": Fault(script=whole(completion())),
}

STREAM = SAID + words(" is", " open.") + ENDING
HARMLESS: dict[str, Script] = {
    "drips": (STREAM_HEAD, *(piece(STREAM[at : at + 1]) for at in range(len(STREAM))), LAST_PIECE),
    "starts late": (Pause(0.5), *stream(STREAM)),
    "speaks late": stream(Pause(0.5), STREAM),
    "ends its lines with CRLF": stream(STREAM.replace(b"\n", b"\r\n")),
    "forgets the end": stream(SAID + words(" is", " open.") + FINISH + USAGE_CHUNK),
    "talks on after the end": stream(STREAM + words("more")),
    "hangs after the end": stream(STREAM, End.HANG),
    "keeps alive for longer than silence is borne": stream(
        *(step for _ in range(11) for step in (b": wait\n\n", Pause(0.25))), STREAM
    ),
    "continues first": (b"HTTP/1.1 100 Continue\r\n\r\n", *stream(STREAM)),
    "packs the answer": whole(
        gzip.compress(STREAM), content_encoding="gzip", content_type="text/event-stream"
    ),
}
HARMLESS_WHOLE: dict[str, Script] = {
    "drips": (head(200, {"content-length": str(len(ANSWER))}), *(bytes([byte]) for byte in ANSWER)),
    "starts late": (Pause(0.5), *whole(completion())),
    "speaks late": (head(200, {"content-length": str(len(ANSWER))}), Pause(0.5), ANSWER),
    "has no length": (head(200, {"connection": "close"}), ANSWER, End.CLOSE),
    "continues first": (b"HTTP/1.1 100 Continue\r\n\r\n", *whole(completion())),
    "packs the answer": whole(gzip.compress(ANSWER), content_encoding="gzip"),
    "pads the answer": whole(b"\n\n \n" + ANSWER),
    "has another type": whole(ANSWER, content_type="text/plain"),
}


# -- asking -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateway(provider: Upstream, start_gateway: StartGateway) -> Gateway:
    """Nothing listens where DeepSeek is said to be."""
    return start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_FIRST_BYTE_TIMEOUT_S=str(SILENCE_S),
        HEADGATE_IDLE_TIMEOUT_S=str(SILENCE_S),
        DEEPSEEK_API_KEY="sk-nobody-there",
        DEEPSEEK_BASE_URL=f"http://127.0.0.1:{free_port()}",
        **provider.environ("openai", "openrouter", "custom"),
    )


@pytest.fixture(scope="module")
def pinging(provider: Upstream, start_gateway: StartGateway) -> Iterator[httpx.Client]:
    """A gateway that breaks every silence."""
    gateway = start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_PING_S=str(PING_S),
        HEADGATE_IDLE_TIMEOUT_S=str(SILENCE_S),
        **provider.environ("openai"),
    )
    with gateway.client() as made:
        yield made


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as made:
        yield made


type Ask = tuple[str, Script, bool]
"""A model's name, its script, and whether a stream is asked for."""


def scripted(group: str, scripts: Iterable[tuple[str, Script]], *modes: bool) -> list[Ask]:
    return [(f"{group} {name} {mode}", script, mode) for name, script in scripts for mode in modes]


@pytest.fixture(scope="module")
def seen(gateway: Gateway, provider: Upstream) -> Mapping[str, Seen]:
    """All of it at once, by model: what waits in one doesn't hold up the others."""
    asks = [
        *scripted("before", ((name, fault.script) for name, fault in BEFORE.items()), False, True),
        *scripted("first", ((name, fault.script) for name, fault in AT_FIRST.items()), True),
        *scripted("early", ((name, script) for name, (script, _) in BEFORE_CONTENT.items()), True),
        *scripted("within", ((name, script) for name, (script, _) in WITHIN.items()), True),
        *scripted("harmless", HARMLESS.items(), True),
        *scripted("harmless", HARMLESS_WHOLE.items(), False),
    ]
    provider.scripts.update({name: script for name, script, _ in asks})
    return asyncio.run(_ask_all(gateway, provider, asks))


async def _ask_all(gateway: Gateway, provider: Upstream, asks: list[Ask]) -> dict[str, Seen]:
    async with httpx.AsyncClient(
        base_url=gateway.url,
        headers={"authorization": f"Bearer {gateway.key}"},
        limits=httpx.Limits(max_connections=len(asks)),
        timeout=30,
        trust_env=False,
    ) as client:

        async def ask(name: str, streamed: bool) -> Seen:
            asked = {"model": f"openai/{name}", "stream": streamed, **ASKED}
            answer = await client.post(CHATS, json=asked)
            record = await client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}")
            return Seen(answer=answer, record=record.json(), calls=provider.calls(name))

        answers = await asyncio.gather(*(ask(name, streamed) for name, _, streamed in asks))
    return {name: one for (name, _, _), one in zip(asks, answers, strict=True)}


@pytest.fixture
def trusted(client: httpx.Client) -> None:
    """One good answer closes the circuit that the failures of other tests opened."""
    assert chat(client, "openai/gpt-any").status_code == 200


def chat(client: httpx.Client, model: str, *, stream: bool = False) -> httpx.Response:
    return client.post(CHATS, json={"model": model, "stream": stream, **ASKED})


# -- before anything of the answer --------------------------------------------------------------------------


def check_refusal(seen: Seen, fault: Fault) -> None:
    answer, error, record = seen.answer, seen.error, seen.record
    retryable = fault.code in RETRYABLE
    assert (answer.status_code, error["code"]) == (fault.status, fault.code)
    assert answer.headers["content-type"] == "application/json"
    assert error["provider"] == "openai"
    assert answer.headers.get("x-should-retry") == (None if retryable else "false")
    assert answer.headers.get("retry-after") == fault.retry_after
    assert len(seen.calls) == fault.calls
    assert answer.headers["x-headgate-attempts"] == str(fault.calls)
    assert (record["status"], record["cost"]["charged"]) == ("failed", FREE)
    assert seen.attempts == [("failed", fault.code)] * fault.calls
    told = {name: record["error"][name] for name in ("code", "retryable", "provider", "origin")}
    assert told == {
        "code": fault.code,
        "retryable": retryable,
        "provider": "openai",
        "origin": told["origin"],
    }


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", BEFORE)
def test_a_provider_that(name: str, streamed: bool, seen: Mapping[str, Seen]) -> None:
    check_refusal(seen[f"before {name} {streamed}"], BEFORE[name])


@pytest.mark.parametrize("name", AT_FIRST)
def test_a_stream_that_begins_badly_still_tells_its_status(name: str, seen: Mapping[str, Seen]) -> None:
    check_refusal(seen[f"first {name} True"], AT_FIRST[name])


def test_redirects_are_not_followed(seen: Mapping[str, Seen], provider: Upstream) -> None:
    assert seen["before redirects False"].answer.status_code == 502
    assert not [call for call in provider.asked if "stolen" in call.path]


def test_what_is_given_up_is_hung_up_on(seen: Mapping[str, Seen]) -> None:
    for name in ("hangs before the head", "hangs after the head", "answers without end"):
        assert all(call.gone.wait(5) for call in seen[f"before {name} False"].calls), name


def test_where_nobody_listens_nothing_can_have_run_so_it_is_tried_again(client: httpx.Client) -> None:
    answer = chat(client, "deepseek/chat")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["provider"]) == (502, "provider_unavailable", "deepseek")
    assert answer.headers["x-headgate-attempts"] == "3"


@pytest.mark.parametrize("broken", ["sends more than its length", "answers 401", "answers nothing"])
def test_the_next_request_is_not_harmed(broken: str, client: httpx.Client, provider: Upstream) -> None:
    provider.scripts["broken"] = BEFORE[broken].script
    for _ in range(3):
        assert chat(client, "openai/broken").status_code >= 400
        assert text_of(chat(client, "openai/gpt-any").text) == SAYS


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("status", "wait"), [(429, "0"), (503, "0.1"), (529, "0")])
def test_what_was_refused_is_asked_again(
    status: int, wait: str, streamed: bool, client: httpx.Client, provider: Upstream
) -> None:
    name = f"again {status} {streamed}"
    usual = stream(STREAM) if streamed else whole(completion())
    turns = [whole(ERROR, status, retry_after=wait), usual]
    provider.scripts[name] = lambda _call: turns.pop(0)
    answer = chat(client, f"openai/{name}", stream=streamed)
    assert text_of(answer.text) == SAYS
    assert answer.headers["x-headgate-attempts"] == "2"
    record = client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}").json()
    assert [one["outcome"] for one in record["attempts"]] == ["failed", "succeeded"]


# -- in mid-stream ------------------------------------------------------------------------------------------


def check_break(seen: Seen, code: str) -> None:
    assert seen.answer.status_code == 200
    assert seen.error["code"] == code
    assert seen.error["provider"] == "openai"
    assert "[DONE]" not in seen.answer.text
    assert len(seen.calls) == 1
    assert (seen.record["status"], seen.record["provider"]) == ("failed", "openai")
    assert (seen.record["error"]["code"], seen.record["cost"]["charged"]) == (code, FREE)
    assert seen.attempts == [("failed", code)]


@pytest.mark.parametrize("name", WITHIN)
def test_a_stream_that_breaks_gives_what_came_then_an_error(name: str, seen: Mapping[str, Seen]) -> None:
    broken = seen[f"within {name} True"]
    check_break(broken, WITHIN[name][1])
    assert broken.text == "The gate"


@pytest.mark.parametrize("name", BEFORE_CONTENT)
def test_a_stream_that_breaks_before_its_content_gives_an_error(name: str, seen: Mapping[str, Seen]) -> None:
    broken = seen[f"early {name} True"]
    check_break(broken, BEFORE_CONTENT[name][1])
    assert broken.text == ""


def test_a_stream_that_counted_before_it_broke_is_free(client: httpx.Client, provider: Upstream) -> None:
    counted = event(chunk({"content": "The"}, usage={**USAGE, "cost": 0.5}))
    provider.scripts["counts"] = stream(FIRST + counted, Pause(0.1), End.RESET)
    answer = chat(client, "openrouter/counts", stream=True)
    record = client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}").json()
    assert record["usage"]["output_tokens"] == 5
    assert record["cost"]["charged"] == FREE
    assert record["cost"]["provider_cost"] == {"amount": "0.5", "currency": "USD"}


# -- harmless -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARMLESS)
def test_a_stream_bears_a_provider_that(name: str, seen: Mapping[str, Seen]) -> None:
    got = seen[f"harmless {name} True"]
    assert (got.answer.status_code, got.text) == (200, SAYS)
    assert got.answer.text.endswith("data: [DONE]\n\n")
    assert got.answer.text.count("[DONE]") == 1
    assert (got.record["status"], got.attempts, len(got.calls)) == ("succeeded", [("succeeded", None)], 1)
    assert got.record["usage"]["total_tokens"] == 14


@pytest.mark.parametrize("name", HARMLESS_WHOLE)
def test_a_whole_answer_bears_a_provider_that(name: str, seen: Mapping[str, Seen]) -> None:
    got = seen[f"harmless {name} False"]
    assert (got.answer.status_code, got.text) == (200, SAYS)
    assert (got.record["status"], got.attempts, len(got.calls)) == ("succeeded", [("succeeded", None)], 1)


def test_a_usage_that_can_not_be_is_handed_through_and_estimated_in_its_place(
    client: httpx.Client, provider: Upstream
) -> None:
    absurd = {"prompt_tokens": 2.0**70, "completion_tokens": -5, "total_tokens": 1e308, "cost": 1e300}
    provider.scripts["absurd"] = whole(completion(usage=absurd))
    answer = chat(client, "openrouter/absurd")
    assert answer.json()["usage"] == absurd
    record = client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}").json()
    assert record["status"] == "succeeded"
    assert record["usage"]["estimated"] is True
    assert 0 < record["usage"]["input_tokens"] < 1_000
    assert record["cost"] == {"estimated": None, "charged": None, "provider_cost": None}


# -- failover -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "broken", ["hangs before the head", "resets after the head", "answers HTML", "answers 401", "answers 500"]
)
def test_another_provider_takes_over(
    broken: str, streamed: bool, client: httpx.Client, provider: Upstream
) -> None:
    name = f"over {broken} {streamed}"
    provider.scripts[name] = BEFORE[broken].script
    answer = chat(client, f"openai/{name},custom/gpt-any", stream=streamed)
    assert (answer.status_code, text_of(answer.text)) == (200, SAYS)
    assert answer.headers["x-headgate-provider"] == "custom"
    assert answer.headers["x-headgate-attempts"] == "2"
    assert len(provider.calls(name)) == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("broken", BEFORE_CONTENT)
def test_another_provider_takes_over_a_stream_without_content(
    broken: str, client: httpx.Client, provider: Upstream
) -> None:
    provider.scripts["early"] = BEFORE_CONTENT[broken][0]
    answer = chat(client, "openai/early,custom/gpt-any", stream=True)
    assert text_of(answer.text) == SAYS
    assert answer.text.count('"role"') == 1, "nothing of the first is seen"
    assert answer.text.endswith("data: [DONE]\n\n")
    record = client.get(f"/v2/generations/{answer.headers['x-headgate-generation-id']}").json()
    assert (record["status"], record["provider"]) == ("succeeded", "custom")


@pytest.mark.usefixtures("trusted")
def test_nobody_takes_over_what_has_content(client: httpx.Client, provider: Upstream) -> None:
    provider.scripts["late"] = stream(SAID, Pause(0.1), End.RESET)
    answer = chat(client, "openai/late,custom/gpt-never", stream=True)
    assert text_of(answer.text) == "The gate"
    assert provider.calls("gpt-never") == []


# -- silence ------------------------------------------------------------------------------------------------


def test_the_head_is_held_until_the_first_event(client: httpx.Client, provider: Upstream) -> None:
    provider.scripts["late head"] = stream(b": wait\n\n", Pause(0.4), STREAM)
    began_s = time.monotonic()
    with client.stream("POST", CHATS, json={"model": "openai/late head", "stream": True, **ASKED}) as answer:
        assert time.monotonic() - began_s >= 0.4
        assert text_of(answer.read().decode()) == SAYS


def test_silence_before_the_head_is_broken_by_pings(pinging: httpx.Client, provider: Upstream) -> None:
    provider.scripts["silent"] = (Pause(1.2), *stream(STREAM))
    began_s = time.monotonic()
    with pinging.stream("POST", CHATS, json={"model": "openai/silent", "stream": True, **ASKED}) as answer:
        assert PING_S <= time.monotonic() - began_s < 1.1
        body = answer.read().decode()
    assert body.startswith(": ping\n\n: ping\n\n")
    assert text_of(body) == SAYS
    assert body.endswith("data: [DONE]\n\n")


def test_pings_go_on_through_a_providers_own_comments_and_pauses(
    pinging: httpx.Client, provider: Upstream
) -> None:
    waiting = [step for _ in range(5) for step in (b": OPENROUTER PROCESSING\n\n", Pause(0.15))]
    provider.scripts["alive"] = stream(*waiting, SAID, *waiting, words(" is", " open.") + ENDING)
    body = chat(pinging, "openai/alive", stream=True).text
    before, after = body.split("gate", 1)
    assert before.count(": ping\n\n") >= 2
    assert after.count(": ping\n\n") >= 2
    assert "OPENROUTER" not in body
    assert text_of(body) == SAYS


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((Pause(0.5), *whole(ERROR, 500)), "provider_unavailable"),
        (stream(Pause(0.5), event(LIMITED)), "provider_rate_limited"),
        (stream(FIRST, End.HANG), "provider_timeout"),
    ],
)
def test_an_error_after_a_ping_is_an_event_and_no_proper_end(
    script: Script, code: str, pinging: httpx.Client, provider: Upstream
) -> None:
    provider.scripts["pinged"] = script
    answer = chat(pinging, "openai/pinged", stream=True)
    assert answer.status_code == 200
    assert ": ping\n\n" in answer.text
    assert json.loads(answer.text.rstrip().rpartition("data: ")[2])["error"]["code"] == code
    assert "[DONE]" not in answer.text
