"""A cheap mock of OpenAI's, OpenRouter's and Anthropic's servers (`python -m bench.upstream PORT`).

The model says how it behaves: `bench-200-0` streams 200 chunks without a pause, `bench-30-100` 30 of them
100 ms apart; a whole answer comes at once. `bench-503` is overloaded, and says so at once.
`/400/api/v1/models` is OpenRouter's list with 400 models, `/anthropic` is where Anthropic's server is.
"""

import asyncio
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import cast

import httptools
import orjson
import uvloop

from bench.messages import message_events, message_models, whole_message
from bench.model_list import openrouter_list

MODELS = ("bench-200-0", "bench-30-100")
OVERLOADED = "bench-503"
ANTHROPIC = "/anthropic"
ANSWER_TEXT = "The gateway adds its own time to this answer, and nothing else."
_NAME = re.compile(r"bench-(\d+)-(\d+)$")
_LIST = re.compile(r"/(\d+)/api/v1/models$")
_CREATED = 1_760_000_000
_REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)


def reply(status: int, body: bytes) -> bytes:
    """A whole HTTP answer."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-request-id: req_bench\r\n\r\n"
    )
    return head.encode() + body


@cache
def whole_answer(model: str) -> bytes:
    """A chat completion."""
    return reply(
        200,
        orjson.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion",
                "created": _CREATED,
                "model": model,
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": ANSWER_TEXT, "refusal": None},
                        "logprobs": None,
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 60, "completion_tokens": 14, "total_tokens": 74},
            }
        ),
    )


@cache
def stream_writes(model: str, chunks: int, *, usage: bool) -> tuple[bytes, ...]:
    """What is written for a stream, one write per event, headers with the first. Chunks all differ."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": f" word{number}"}, None) for number in range(chunks)]
    deltas.append(({}, "stop"))
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": _CREATED, "model": model}
    events = [
        {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        for delta, reason in deltas
    ]
    if usage:
        counts = {"prompt_tokens": 60, "completion_tokens": chunks, "total_tokens": 60 + chunks}
        events.append({**head, "choices": [], "usage": counts})
    framed = [b"data: " + orjson.dumps(event) + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]
    return _written(framed)


@cache
def message_writes(model: str, chunks: int) -> tuple[bytes, ...]:
    """The same of a streamed message."""
    return _written(message_events(model, chunks))


def _written(framed: Sequence[bytes]) -> tuple[bytes, ...]:
    writes = [b"%x\r\n%b\r\n" % (len(event), event) for event in framed]
    writes[0] = _STREAM_HEAD + writes[0]
    writes[-1] += b"0\r\n\r\n"
    return tuple(writes)


@cache
def model_list(path: str) -> bytes:
    """The answer to a list's path; of the models above where it asks for no number."""
    if path.startswith(ANTHROPIC):
        return reply(200, message_models(MODELS))
    asked = _LIST.search(path)
    if asked is not None:
        return reply(200, orjson.dumps(openrouter_list(int(asked[1]))))
    rows = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "bench"} for name in MODELS]
    return reply(200, orjson.dumps({"object": "list", "data": rows}))


class Upstream(asyncio.Protocol):
    """One connection; requests are answered one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", b""
        self._stream: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._stream is not None:
            self._stream.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path, body = self._path.partition(b"?")[0].decode("latin-1"), self._body
        self._path, self._body = b"", b""
        if path.endswith("/chat/completions"):
            self._chat(orjson.loads(body))
        elif path.endswith("/messages"):
            self._message(orjson.loads(body))
        elif path.endswith("/models"):
            self._transport.write(model_list(path))
        elif path.endswith("/key"):
            self._transport.write(reply(200, b'{"data":{}}'))
        else:
            self._transport.write(reply(404, b'{"error":{"message":"There is nothing here."}}'))

    def _chat(self, asked: "dict[str, object]") -> None:
        model = str(asked["model"])
        if model == OVERLOADED:
            self._transport.write(reply(503, b'{"error":{"message":"Overloaded.","type":"server_error"}}'))
            return
        behaviour = _NAME.search(model)
        if not asked.get("stream") or behaviour is None:
            self._transport.write(whole_answer(model))
            return
        options = asked.get("stream_options")
        usage = isinstance(options, dict) and bool(options.get("include_usage"))
        chunks, pause_s = int(behaviour[1]), int(behaviour[2]) / 1000
        writes = stream_writes(model, chunks, usage=usage)
        self._stream = asyncio.ensure_future(self._send(writes, chunks, pause_s))

    def _message(self, asked: "dict[str, object]") -> None:
        model = str(asked["model"])
        behaviour = _NAME.search(model)
        if not asked.get("stream") or behaviour is None:
            self._transport.write(reply(200, whole_message(model, ANSWER_TEXT)))
            return
        chunks, pause_s = int(behaviour[1]), int(behaviour[2]) / 1000
        self._stream = asyncio.ensure_future(self._send(message_writes(model, chunks), chunks, pause_s))

    async def _send(self, writes: tuple[bytes, ...], chunks: int, pause_s: float) -> None:
        """Each event in a write of its own, the pauses between the chunks of text. They keep to the stream's
        clock, so lags don't add up."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for position, data in enumerate(writes):
            if pause_s and 1 < position <= chunks:
                due_s += pause_s
                await asyncio.sleep(max(0.0, due_s - loop.time()))
            elif position > 1:
                await asyncio.sleep(0)
            if self._transport.is_closing():
                return
            self._transport.write(data)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
