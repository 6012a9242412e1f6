"""Each client gets errors in the shape it knows, and all of them the same facts."""

from typing import Any

import orjson
import pytest

from headgate.domain.errors import (
    CODES,
    FieldError,
    GatewayFault,
    HeadgateError,
    InvalidRequest,
    LimitReached,
    MalformedRequest,
    NoRoute,
    NotFound,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
)
from headgate.http.errors import render, too_large

LEAVES = {code: leaf for leaf in HeadgateError.__subclasses__() for code in leaf.codes}
OPENAI_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "insufficient_quota",
    "api_error",
}
ANTHROPIC_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "overloaded_error",
    "timeout_error",
}
PATHS = ("/v2/generations", "/v1/chat/completions", "/v1/messages")


def answer(error: HeadgateError, path: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    status, headers, body = render(error, path=path, request_id="req_1")
    return status, {name.decode(): value.decode() for name, value in headers}, orjson.loads(body)


def inner(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body.get("error", body)
    return found


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("code", sorted(CODES))
def test_every_error_has_its_status_its_code_and_the_requests_id_in_every_shape(code: str, path: str) -> None:
    status, headers, body = answer(LEAVES[code]("what happened", code=code), path)
    lenient = code == "invalid_request" and path.startswith("/v1")
    assert status == (400 if lenient else CODES[code].status)
    assert inner(body)["code"] == code
    assert "req_1" in (body.get("request_id"), inner(body).get("request_id"))
    assert (headers.get("x-should-retry") == "false") is not CODES[code].retryable
    assert "retry-after" not in headers


@pytest.mark.parametrize("code", sorted(CODES))
def test_v2_is_a_problem_document(code: str) -> None:
    status, headers, body = answer(LEAVES[code]("what happened", code=code), "/v2/models")
    assert headers["content-type"] == "application/problem+json"
    assert body == {
        "type": f"urn:headgate:error:{code}",
        "title": CODES[code].title,
        "status": status,
        "detail": "what happened",
        "code": code,
        "retryable": CODES[code].retryable,
        "origin": CODES[code].origin,
        "request_id": "req_1",
    }


@pytest.mark.parametrize("code", sorted(CODES))
def test_v1_is_openais_shape_with_types_its_clients_know(code: str) -> None:
    _, headers, body = answer(LEAVES[code]("what happened", code=code), "/v1/chat/completions")
    assert headers["content-type"] == "application/json"
    assert set(body) == {"error"}
    error = body["error"]
    assert error["type"] in OPENAI_TYPES
    assert (error["message"], error["param"]) == ("what happened", None)


@pytest.mark.parametrize("code", sorted(CODES))
def test_messages_are_answered_in_anthropics_shape_with_types_its_clients_know(code: str) -> None:
    _, headers, body = answer(LEAVES[code]("what happened", code=code), "/v1/messages")
    assert headers["content-type"] == "application/json"
    assert (body["type"], body["request_id"]) == ("error", "req_1")
    assert body["error"]["type"] in ANTHROPIC_TYPES
    assert body["error"]["message"] == "what happened"


@pytest.mark.parametrize(
    ("error", "openai", "anthropic"),
    [
        (
            LEAVES["unauthenticated"]("x", code="unauthenticated"),
            "authentication_error",
            "authentication_error",
        ),
        (LEAVES["forbidden"]("x", code="forbidden"), "permission_error", "permission_error"),
        (NotFound("x"), "not_found_error", "not_found_error"),
        (LimitReached("x"), "rate_limit_error", "rate_limit_error"),
        (ProviderBusy("x"), "rate_limit_error", "rate_limit_error"),
        (ProviderBusy("x", code="provider_overloaded"), "api_error", "overloaded_error"),
        (ProviderFailed("x", code="provider_timeout"), "api_error", "timeout_error"),
        (GatewayFault("x"), "api_error", "api_error"),
        (InvalidRequest("x"), "invalid_request_error", "invalid_request_error"),
        (too_large(1), "invalid_request_error", "request_too_large"),
    ],
)
def test_types_say_what_the_status_says(error: HeadgateError, openai: str, anthropic: str) -> None:
    assert answer(error, "/v1/chat/completions")[2]["error"]["type"] == openai
    assert answer(error, "/v1/messages/count_tokens")[2]["error"]["type"] == anthropic


def test_what_can_not_be_read_is_400_everywhere_what_is_invalid_only_under_v1() -> None:
    assert [answer(MalformedRequest("x"), path)[0] for path in PATHS] == [400, 400, 400]
    assert [answer(InvalidRequest("x"), path)[0] for path in PATHS] == [422, 400, 400]


def test_fields_are_named_each_with_its_own_fault() -> None:
    error = InvalidRequest("x", errors=[FieldError("model", "is needed."), FieldError("a[0].b", "is odd.")])
    assert answer(error, "/v2/x")[2]["errors"] == [
        {"field": "model", "message": "is needed."},
        {"field": "a[0].b", "message": "is odd."},
    ]
    assert answer(error, "/v1/x")[2]["error"]["param"] == "model"


@pytest.mark.parametrize("path", PATHS)
def test_who_failed_and_their_name_for_it_are_told(path: str) -> None:
    error = ProviderFailed("x", provider="openai", provider_request_id="their-1")
    told = inner(answer(error, path)[2])
    assert (told["provider"], told["provider_request_id"]) == ("openai", "their-1")


@pytest.mark.parametrize("path", PATHS)
def test_members_of_an_error_are_told_in_every_shape(path: str) -> None:
    told = inner(answer(NoRoute("x", members={"candidates": [{"model": "a/b"}]}), path)[2])
    assert told["candidates"] == [{"model": "a/b"}]


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, "0"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (59.5, "60"), (-3.0, "0")]
)
def test_when_to_come_back_is_whole_seconds_never_too_early(seconds: float, header: str) -> None:
    for path in PATHS:
        _, headers, _ = answer(ProviderBusy("x", retry_after_s=seconds), path)
        assert headers["retry-after"] == header


@pytest.mark.parametrize("path", PATHS)
def test_what_no_wait_can_mend_names_no_time_to_wait(path: str) -> None:
    spent = ProviderRefused("x", code="provider_insufficient_funds", retry_after_s=5.0)
    _, headers, _ = answer(spent, path)
    assert "retry-after" not in headers
    assert headers["x-should-retry"] == "false"
