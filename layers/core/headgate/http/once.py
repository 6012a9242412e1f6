"""Idempotency keys over HTTP: `Idempotency-Key` on each POST that costs or creates. docs/idempotency.md"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from starlette.responses import Response

from headgate.domain.admission import Answer, Claim
from headgate.domain.errors import Conflict, HeadgateError, InvalidRequest
from headgate.domain.secret import Secret
from headgate.http.access import caller_of_request, key_text
from headgate.http.acting import act_of
from headgate.http.context import services_of
from headgate.ports import Begun, OnceStore
from headgate.services.acts import Act
from headgate.services.once import KEPT, fingerprint, kept_headers, once_name, used_otherwise

HEADER = "Idempotency-Key"
LONGEST = 255
_REPLAYED = (b"idempotency-replayed", b"true")
_HIDDEN = b"\x00secret\x00"
"""Stands for a secret in a stored answer. No JSON text holds such a byte."""

Make = Callable[[Act], Awaitable[Response]]


def idempotency_key(request: Request) -> str | None:
    """Raises InvalidRequest naming the header."""
    given = set(request.headers.getlist(HEADER))
    if not given:
        return None
    key = given.pop()
    if given or not 1 <= len(key) <= LONGEST or not (key.isascii() and key.isprintable()):
        raise InvalidRequest.of_field(HEADER, f"must be 1 to {LONGEST} printable ASCII characters.")
    return key


def claim_of(request: Request, body: Mapping[str, Any]) -> Claim | None:
    """The claim that a generation's request makes, if it comes with a key. Raises InvalidRequest."""
    key = idempotency_key(request)
    if key is None:
        return None
    return Claim(
        name=once_name(caller_of_request(request).user_id, key),
        fingerprint=_fingerprint(request, key, body),
        expires_at=services_of(request).clock.now() + KEPT,
    )


def replayed(answer: Answer) -> Response:
    """The answer as it was given, marked as a repetition."""
    response = Response(answer.body, status_code=answer.status)
    response.raw_headers.extend(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    )
    response.raw_headers.append(_REPLAYED)
    return response


async def made_once(
    request: Request,
    body: Mapping[str, Any],
    *,
    store: OnceStore,
    make: Make,
    secret: Callable[[Act], Secret] | None = None,
) -> Response:
    """What `make` answers; under an idempotency key what it answered first.

    make: whatever it makes must follow from the act, since after a crash it is called with the same act
    again, and may be called twice at once. secret: the secret that stands in the answer. It follows from the
    seed and from the API key that asks, so none is stored, and it is told again to that API key alone.

    An error is not kept: the request made nothing, and is tried again when it is repeated.

    Raises Conflict: `idempotency_conflict` for a key that was used with another request, `conflict` for a
    secret that another API key was told.
    """
    key = idempotency_key(request)
    if key is None:
        return await make(act_of(request))
    services = services_of(request)
    name = once_name(caller_of_request(request).user_id, key)
    wanted = _fingerprint(request, key, body)
    presented = None if secret is None else key_text(request) or ""
    seed = secrets.token_hex(32)
    drawn = Begun(
        fingerprint=wanted,
        seed=seed,
        expires_at=services.clock.now() + KEPT,
        presenter=None if presented is None else _Bound.of(presented, seed).tag,
    )
    begun = await store.begin_once(name, drawn)
    if begun.fingerprint != wanted:
        raise used_otherwise()
    act = _act_of(request, begun, presented)
    text = None if secret is None else secret(act).reveal().encode()
    if begun.answer is not None:
        return replayed(_shown(begun.answer, text))
    response = await make(act)
    answer = _hidden(response, text, begun)
    try:
        await store.finish_once(name, replace(begun, answer=answer))
    except HeadgateError as fault:  # it is done: repeated, it is done again, which makes the same
        services.log.warning("answer.not_kept", request_id=request.state.request_id, code=fault.code)
    return response


@dataclass(frozen=True, slots=True)
class _Bound:
    """A seed bound to the text of an API key."""

    seed: Secret

    @classmethod
    def of(cls, presented: str, seed: str) -> "_Bound":
        return cls(Secret(hmac.digest(presented.encode(), seed.encode(), hashlib.sha256).hex()))

    @property
    def tag(self) -> str:
        """Tells this text from others. The seed it is bound to can't be had from it."""
        return hmac.digest(self.seed.reveal().encode(), b"presenter", hashlib.sha256).hex()[:32]


def _act_of(request: Request, begun: Begun, presented: str | None) -> Act:
    """The act of the first of these requests."""
    at = begun.expires_at - KEPT
    if presented is None:
        return act_of(request, seed=Secret(begun.seed), at=at)
    bound = _Bound.of(presented, begun.seed)
    if bound.tag != begun.presenter:
        raise Conflict(
            "The answer holds a secret which only the API key that first sent this request is told again."
        )
    return act_of(request, seed=bound.seed, at=at)


def _hidden(response: Response, text: bytes | None, begun: Begun) -> Answer:
    body = bytes(response.body)
    return Answer(
        status=response.status_code,
        headers=kept_headers(response.headers.items()),
        body=body if text is None else body.replace(text, _HIDDEN),
        expires_at=begun.expires_at,
    )


def _shown(answer: Answer, text: bytes | None) -> Answer:
    return answer if text is None else replace(answer, body=answer.body.replace(_HIDDEN, text))


def _fingerprint(request: Request, key: str, body: Mapping[str, Any]) -> str:
    return fingerprint(key, request.method, request.scope["path"], body)
