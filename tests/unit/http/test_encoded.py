"""A body may come compressed; what it holds is bounded as if it had come plain."""

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import httpx
import orjson
import pytest

from tests.support.asgi import Exchange
from tests.support.gate import Gate, dispatch, open_gate
from tests.support.models import model
from tests.support.provider import said

CHATS = "/v1/chat/completions"
CHAT = orjson.dumps({"model": "alpha/m", "messages": [{"role": "user", "content": "hällo"}]})
LIMIT_BYTES = 10_000_000


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def in_two_members(data: bytes) -> bytes:
    return gzip.compress(data[:20]) + gzip.compress(data[20:])


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "its old name": ("x-gzip", gzip.compress),
    "in capitals": (" GZIP ", gzip.compress),
    "two members": ("gzip", in_two_members),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "identity": ("identity", bytes),
}


async def talking_gate() -> Gate:
    gate = await open_gate(models=[model("alpha/m")])
    gate.transport.on("https://alpha.example/chat", said("x"))
    return gate


async def sent(gate: Gate, body: bytes, encoding: str, path: str = CHATS, key: str = "ann") -> httpx.Response:
    return await gate.post(path, content=body, headers={"content-encoding": encoding}, key=key)


def in_pieces(gate: Gate, pieces: Iterable[bytes], encoding: str = "gzip") -> Exchange:
    headers = {"authorization": f"Bearer {gate.ann}", "content-encoding": encoding}
    return Exchange(dispatch, "POST", CHATS, headers=headers, body=pieces)


def asked(gate: Gate) -> bytes:
    (request,) = gate.transport.requests
    assert request.body is not None
    return request.body


@pytest.mark.parametrize(("encoding", "compress"), CODINGS.values(), ids=CODINGS)
async def test_a_compressed_body_is_read_as_the_plain_one(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    plain = await talking_gate()
    assert (await plain.post(CHATS, content=CHAT)).status_code == 200
    other = await talking_gate()
    assert (await sent(other, compress(CHAT), encoding)).status_code == 200
    assert asked(other) == asked(plain)


async def test_however_a_compressed_body_is_cut_it_is_the_same() -> None:
    gate = await talking_gate()
    wire = in_two_members(CHAT)
    exchange = in_pieces(gate, [wire[at : at + 1] for at in range(len(wire))])
    assert (await exchange.head())[0] == 200
    assert orjson.loads(asked(gate))["messages"][0]["content"] == "hällo"


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "nonsense"])
@pytest.mark.parametrize("path", [CHATS, "/v1/messages", "/v2/generations"])
async def test_an_encoding_that_is_not_taken_is_415_and_names_those_that_are(
    encoding: str, path: str
) -> None:
    answer = await sent(await talking_gate(), gzip.compress(CHAT), encoding, path)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert answer.headers["x-should-retry"] == "false"
    body = answer.json()
    shown = body.get("error", body)
    assert shown["code"] == "invalid_request"
    assert "gzip, deflate" in shown.get("detail", shown.get("message"))


async def test_a_wrong_key_is_told_before_a_wrong_encoding() -> None:
    assert (await sent(await talking_gate(), CHAT, "br", key="hg_wrong")).status_code == 401


@pytest.mark.parametrize(
    "body",
    [CHAT, gzip.compress(CHAT)[:-9], gzip.compress(CHAT)[:-8] + b"12345678", zlib.compress(CHAT)],
    ids=["plain", "cut", "checksum", "deflate"],
)
@pytest.mark.parametrize(("path", "error"), [(CHATS, "error"), ("/v2/generations", None)])
async def test_a_body_that_is_not_what_it_says_is_400(body: bytes, path: str, error: str | None) -> None:
    answer = await sent(await talking_gate(), body, "gzip", path)
    assert answer.status_code == 400
    shown = answer.json()[error] if error else answer.json()
    assert shown["code"] == "invalid_request"
    assert "content-encoding" in shown.get("detail", shown.get("message"))


async def test_a_compressed_body_that_is_no_json_is_400_as_ever() -> None:
    answer = await sent(await talking_gate(), gzip.compress(b"{"), "gzip")
    assert (answer.status_code, "valid JSON" in answer.text) == (400, True)
    assert (await sent(await talking_gate(), b"", "gzip")).status_code == 400


async def test_the_limit_is_of_what_a_body_holds() -> None:
    gate = await talking_gate()
    most = CHAT + b" " * (LIMIT_BYTES - len(CHAT))
    assert (await sent(gate, gzip.compress(most), "gzip")).status_code == 200
    answer = await sent(gate, gzip.compress(most + b" "), "gzip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    assert answer.json()["error"]["limit_bytes"] == LIMIT_BYTES


async def test_a_bomb_is_refused_without_being_inflated_past_the_limit() -> None:
    stream = zlib.compressobj(wbits=31)
    bomb = b"".join(stream.compress(b" " * (1 << 20)) for _ in range(200)) + stream.flush()
    exchange = in_pieces(await talking_gate(), [bomb])
    tracemalloc.start()
    try:
        status, _ = await exchange.head()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == 413
    assert peak < 2 * LIMIT_BYTES


async def test_a_bomb_is_not_read_to_its_end() -> None:
    stream = zlib.compressobj(wbits=31)
    pieces = [stream.compress(b" " * (1 << 22)) + stream.flush(zlib.Z_SYNC_FLUSH) for _ in range(50)]
    exchange = in_pieces(await talking_gate(), pieces)
    assert (await exchange.head())[0] == 413
    assert exchange.read_bytes < sum(map(len, pieces)) / 10


async def test_thousands_of_empty_members_cost_no_time() -> None:
    wire = gzip.compress(b"") * 200_000
    began_s = time.perf_counter()
    answer = await sent(await talking_gate(), wire, "gzip")
    assert (answer.status_code, "too many members" in answer.text) == (400, True)
    assert time.perf_counter() - began_s < 1.0
