"""Errors as each client expects them: problem documents, OpenAI's shape, Anthropic's shape."""

import math
from typing import Any

import orjson

from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.net.inflate import ACCEPTED

Header = tuple[bytes, bytes]

_OPENAI_TYPES = {
    "unauthenticated": "authentication_error",
    "forbidden": "permission_error",
    "not_found": "not_found_error",
    "model_not_found": "invalid_request_error",
    "rate_limited": "rate_limit_error",
    "provider_rate_limited": "rate_limit_error",
    "insufficient_credits": "insufficient_quota",
    "provider_insufficient_funds": "insufficient_quota",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def status_for(error: HeadgateError, path: str) -> int:
    """The HTTP status: an invalid value is 422, but 400 under /v1 as those clients know it."""
    if error.http_status == 422 and error.code == "invalid_request" and path.startswith("/v1"):
        return 400
    return error.http_status


def render(error: HeadgateError, *, path: str, request_id: str) -> tuple[int, list[Header], bytes]:
    """Status, headers and body of the answer to a failed request on `path`."""
    status = status_for(error, path)
    headers: list[Header] = []
    if path.startswith("/v1"):
        body = dialect_body(error, path=path, request_id=request_id)
        headers.append((b"content-type", b"application/json"))
    else:
        body = problem(error, status=status, request_id=request_id)
        headers.append((b"content-type", b"application/problem+json"))
    if status == 401:  # RFC 9110 §15.5.2
        headers.append((b"www-authenticate", b'Bearer realm="headgate"'))
    if status == 415:  # RFC 9110 §15.5.16
        headers.append((b"accept-encoding", ACCEPTED.encode()))
    if error.retry_after_s is not None and error.retryable:
        headers.append((b"retry-after", str(max(0, math.ceil(error.retry_after_s))).encode()))
    if not error.retryable:
        headers.append((b"x-should-retry", b"false"))
    return status, headers, orjson.dumps(body)


def problem(error: HeadgateError, *, status: int, request_id: str) -> dict[str, Any]:
    """RFC 9457, with the contract's extra members."""
    body: dict[str, Any] = {
        "type": f"urn:headgate:error:{error.code}",
        "title": error.spec.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
        "origin": error.spec.origin,
        "request_id": request_id,
    }
    if error.provider:
        body["provider"] = error.provider
    if error.provider_request_id:
        body["provider_request_id"] = error.provider_request_id
    if error.errors:
        body["errors"] = [{"field": e.field, "message": e.message} for e in error.errors]
    body.update(error.members)
    return body


def dialect_body(error: HeadgateError, *, path: str, request_id: str) -> dict[str, Any]:
    """The error object of the dialect that `path` speaks; both carry `code` and `request_id`."""
    if path.startswith("/v1/messages"):
        kind = _ANTHROPIC_TYPES.get(
            status_for(error, path), "invalid_request_error" if error.http_status < 500 else "api_error"
        )
        inner: dict[str, Any] = {"type": kind, "message": error.detail, "code": error.code}
        return {"type": "error", "error": {**inner, **_extras(error)}, "request_id": request_id}
    kind = _OPENAI_TYPES.get(error.code, "invalid_request_error" if error.http_status < 500 else "api_error")
    inner = {
        "message": error.detail,
        "type": kind,
        "param": error.errors[0].field if error.errors else None,
        "code": error.code,
        "request_id": request_id,
    }
    return {"error": {**inner, **_extras(error)}}


def stream_error(error: HeadgateError, *, path: str, request_id: str, number: int = 0) -> bytes:
    """The event that ends a stream which broke, in the dialect that `path` speaks.

    number: of this event among those of the stream, where the dialect numbers them.
    """
    body = dialect_body(error, path=path, request_id=request_id)
    name = b""
    if path.startswith("/v1/messages"):
        name = b"event: error\n"
    elif path.startswith("/v1/responses"):
        name = b"event: error\n"
        body = {
            "type": "error",
            "sequence_number": number,
            "code": error.code,
            "message": error.detail,
            "param": None,
            **body,
        }
    return name + b"data: " + orjson.dumps(body) + b"\n\n"


def _extras(error: HeadgateError) -> dict[str, Any]:
    extras: dict[str, Any] = dict(error.members)
    if error.provider:
        extras["provider"] = error.provider
    if error.provider_request_id:
        extras["provider_request_id"] = error.provider_request_id
    return extras


def too_large(limit_bytes: int) -> InvalidRequest:
    """413 with the limit and what to do instead."""
    return InvalidRequest(
        f"The body is over {limit_bytes} bytes. Put large inputs at a URL and send that instead.",
        code="payload_too_large",
        members={"limit_bytes": limit_bytes, "upload": "POST /v2/uploads"},
    )
