"""Runs for requests: made for the caller, begun once under an idempotency key, told of in headers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response

from headgate.domain.admission import Answer, Claim
from headgate.http.access import caller_of_request
from headgate.http.context import services_of
from headgate.http.errors import Header, render, stream_error
from headgate.http.lent import lent_keys
from headgate.http.numbering import EventNumbers
from headgate.http.once import claim_of, replayed
from headgate.http.sse import STREAM_HEADERS, ClientGone, cancelled_when_client_leaves
from headgate.services.chat_records import ChatAsk
from headgate.services.chat_run import ChatRun
from headgate.services.once import AnswerKeeper, Ending, kept_headers

CLIENT_CLOSED = 499
JSON_HEADERS: list[Header] = [(b"content-type", b"application/json")]
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
"""What stands in a header as it is; all else of a model's id is escaped, as in a path."""

Show = Callable[[Ending], bytes]
"""The body of a whole answer."""


def as_given(ending: Ending) -> bytes:
    """The provider's answer, in the dialect in which it was asked."""
    return ending.given


async def begun(
    request: Request, ask: ChatAsk, *, body: Mapping[str, Any], show: Show = as_given
) -> ChatRun | Response:
    """A run that has begun; or the answer that this request had before, under the same idempotency key.

    body: the request as it was parsed. show: what the caller gets of a whole answer.

    Raises as `ChatRun.prepare` and `Repeats.settle`.
    """
    # Counting tokens generates nothing and costs nothing.
    claim = None if ask.operation == "count_tokens" else claim_of(request, body)
    if claim is None:
        run = _run_of(request, ask)
        await run.prepare()
        return run
    runs: list[ChatRun] = []

    async def begin(claim: Claim) -> None:
        run = _run_of(request, replace(ask, claim=claim))
        await run.prepare()
        runs.append(run)

    async def pause(pause_s: float) -> None:
        async with cancelled_when_client_leaves(request.receive):
            await asyncio.sleep(pause_s)

    services = services_of(request)
    try:
        answer = await services.repeats.settle(claim, begin, pause)
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED)
    if answer is not None:
        return replayed(answer)
    run = runs[-1]
    tell = _Teller(request, run, show, claim, ask.stream)
    run.keeper = AnswerKeeper(services.generations, services.log, tell)
    return run


def _run_of(request: Request, ask: ChatAsk) -> ChatRun:
    """A run for this caller, with the keys lent for it, whose record names the request."""
    services = services_of(request)
    lent = lent_keys(request, services.registry.has)
    named = replace(ask, request_id=request.state.request_id, lent=lent)
    return services.chat.run(caller_of_request(request), named, request.state.timing.add)


def run_headers(run: ChatRun) -> list[Header]:
    """Which generation this is, who served it, and how many calls it took."""
    headers: list[Header] = [(b"x-headgate-generation-id", run.id.encode())] if run.recorded else []
    if run.served is not None:
        headers.append((b"x-headgate-provider", run.served.provider.encode()))
        headers.append((b"x-headgate-model-served", quote(run.served.id, safe=_PLAIN).encode()))
    headers.append((b"x-headgate-attempts", str(run.attempt_count).encode()))
    if run.call is not None and run.call.dropped:
        names = ", ".join(dict.fromkeys(run.call.dropped))
        headers.append((b"x-headgate-dropped-fields", quote(names, safe=_PLAIN).encode()))
    if run.estimated:
        headers.append((b"x-headgate-estimated", b"true"))
    return headers


@dataclass(frozen=True, slots=True)
class _Teller:
    """What the client of a run gets in the end, as it is kept for those who repeat the request."""

    request: Request
    run: ChatRun
    show: Show
    claim: Claim
    stream: bool

    def __call__(self, ending: Ending) -> Answer:
        """A stream that broke before anything of it was sent is an error like any other."""
        path: str = self.request.scope["path"]
        request_id: str = self.request.state.request_id
        error = ending.error
        if error is not None and not ending.given:
            status, headers, body = render(error, path=path, request_id=request_id)
        elif self.stream:
            status, headers, body = 200, STREAM_HEADERS, ending.given
            if error is not None:
                numbers = EventNumbers()
                numbers.sent(body)
                body += stream_error(error, path=path, request_id=request_id, number=numbers.next())
        else:
            status, headers, body = 200, JSON_HEADERS, self.show(ending)
        texts = ((name.decode(), value.decode()) for name, value in [*headers, *run_headers(self.run)])
        return Answer(status=status, headers=kept_headers(texts), body=body, expires_at=self.claim.expires_at)
