"""Every failure of a provider has a code of ours and a reason that is fit for the caller."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.errors import CODES, HeadgateError, NotFound, ProviderBusy, ProviderRefused
from headgate.providers.base import ChatCall
from tests.unit.providers.dialects.speaking import PLAIN, Plain


def judge(status: int, error: Any = None, headers: Mapping[str, str] | None = None) -> HeadgateError:
    body = b"" if error is None else json.dumps({"error": error}).encode()
    return PLAIN.classify_error(status, headers or {}, body)


def detail(body: bytes | str, status: int = 400) -> str:
    body = body.encode() if isinstance(body, str) else body
    return PLAIN.classify_error(status, {}, body).detail


# -- the code ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "may_have_run"),
    [
        (400, "provider_rejected", False),
        (401, "provider_auth", False),
        (402, "provider_insufficient_funds", False),
        (403, "provider_auth", False),
        (404, "model_not_found", False),
        (405, "provider_protocol", False),
        (408, "provider_timeout", True),
        (409, "provider_overloaded", False),
        (410, "model_not_found", False),
        (412, "provider_rejected", False),
        (413, "provider_rejected", False),
        (418, "provider_rejected", False),
        (422, "provider_rejected", False),
        (425, "provider_overloaded", False),
        (429, "provider_rate_limited", False),
        (451, "provider_rejected", False),
        (500, "provider_unavailable", True),
        (501, "provider_unavailable", True),
        (502, "provider_unavailable", True),
        (503, "provider_overloaded", False),
        (504, "provider_timeout", True),
        (520, "provider_unavailable", True),
        (521, "provider_unavailable", False),
        (522, "provider_timeout", False),
        (524, "provider_timeout", True),
        (529, "provider_overloaded", False),
        (599, "provider_timeout", True),
    ],
)
def test_the_status_alone_gives_a_code(status: int, code: str, may_have_run: bool) -> None:
    error = judge(status)
    assert (error.code, error.may_have_run) == (code, may_have_run)


@pytest.mark.parametrize("status", [*range(400, 600)])
def test_every_error_status_is_one_of_a_provider(status: int) -> None:
    for told in (None, {"message": "no", "code": "unheard_of"}):
        error = judge(status, told)
        assert error.code != "internal"
        assert CODES[error.code].origin == "provider" or isinstance(error, NotFound)
        assert str(status) in error.detail
        assert error.provider == "plain"


@pytest.mark.parametrize("status", [100, 102, 200, 204, 301, 302, 303, 304, 307, 308, 399, 600, 999, 0])
def test_a_status_that_is_no_error_is_a_malformed_answer(status: int) -> None:
    error = judge(status)
    assert (error.code, error.may_have_run) == ("provider_protocol", True)


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (429, {"code": "insufficient_quota"}, "provider_insufficient_funds"),
        (429, {"type": "insufficient_quota", "code": None}, "provider_insufficient_funds"),
        (429, {"code": "rate_limit_exceeded"}, "provider_rate_limited"),
        (400, {"code": "context_length_exceeded"}, "context_too_long"),
        (400, {"code": "content_policy_violation"}, "content_filtered"),
        (400, {"code": "content_filter"}, "content_filtered"),
        (403, {"code": "content_filter"}, "content_filtered"),
        (400, {"code": "model_not_found"}, "model_not_found"),
        (403, {"code": "model_not_found"}, "model_not_found"),
        (400, {"code": "invalid_api_key"}, "provider_auth"),
        (400, {"type": "billing_error"}, "provider_insufficient_funds"),
        (413, {"code": "context_length_exceeded"}, "context_too_long"),
        (413, {"code": "rate_limit_exceeded"}, "provider_rate_limited"),
        (422, {"code": "CONTEXT_LENGTH_EXCEEDED"}, "context_too_long"),
        (400, {"message": "This model's maximum context length is 8192 tokens."}, "context_too_long"),
        (400, {"message": "prompt too long; exceeded max context length by 9 tokens"}, "context_too_long"),
        (400, {"message": "The prompt exceeds the model's context window."}, "context_too_long"),
    ],
)
def test_the_code_beside_it_refines_the_status(status: int, told: dict[str, Any], code: str) -> None:
    assert judge(status, told).code == code


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (401, {"type": "invalid_request_error", "code": "invalid_request_error"}, "provider_auth"),
        (401, {"type": "api_error"}, "provider_auth"),
        (500, {"code": "context_length_exceeded"}, "provider_unavailable"),
        (503, {"code": "model_not_found"}, "provider_overloaded"),
        (429, {"code": "server_error"}, "provider_rate_limited"),
        (429, {"message": "maximum context length"}, "provider_rate_limited"),
        (400, {"code": "overloaded_error"}, "provider_rejected"),
        (400, {"message": "The context of your question is unclear."}, "provider_rejected"),
        (404, {"message": "maximum context length"}, "model_not_found"),
    ],
)
def test_the_status_stands_against_what_does_not_belong_to_it(
    status: int, told: dict[str, Any], code: str
) -> None:
    assert judge(status, told).code == code


def test_no_funds_are_not_waited_for() -> None:
    assert judge(429, {"code": "insufficient_quota"}).retryable is False
    assert judge(429, {"code": "rate_limit_exceeded"}).retryable is True


# -- a vendor's own word ----------------------------------------------------------------------------------


class Peculiar(Plain):
    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        if status == 412:
            return ProviderRefused(error["message"], code="provider_insufficient_funds")
        if status == 500:
            return ProviderBusy(error["message"], code="provider_overloaded")
        return ProviderBusy("", retry_after_s=7.0) if headers.get("x-own") else None


def test_a_vendors_own_judgement_comes_first_and_is_completed() -> None:
    body = b'{"error":{"message":"Spent by user_2abcdefghij\\u0007 with sk-proj-a1b2c3d4"}}'
    headers = {"x-request-id": "r1", "retry-after": "3"}
    error = Peculiar().classify_error(412, headers, body)
    assert (error.code, error.provider, error.provider_request_id) == (
        "provider_insufficient_funds",
        "plain",
        "r1",
    )
    assert (error.detail, str(error)) == ("Spent by user-*** with sk-***",) * 2
    assert error.retry_after_s == 3.0
    assert Peculiar().classify_error(400, {"x-own": "1"}, b"").retry_after_s == 7.0
    assert Peculiar().classify_error(400, {}, b"").code == "provider_rejected"


def test_a_vendor_does_not_make_a_500_safe_to_repeat() -> None:
    assert Peculiar().classify_error(500, {}, b'{"error":{"message":"x"}}').may_have_run is True


def test_a_vendor_judges_errors_inside_a_200_too() -> None:
    with pytest.raises(ProviderRefused) as caught:
        Peculiar().parse_chat(
            ChatCall(body={}, model="m", stream=False),
            b'{"error":{"code":412,"message":"spent"}}',
            lambda _: None,
        )
    assert caught.value.detail == "spent"


# -- the reason -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"error":{"message":"why"}}', "why"),
        ('{"error":"why"}', "why"),
        ('{"error":"invalid","error_description":"why"}', "why"),
        ('{"detail":"why"}', "why"),
        ('{"message":"why"}', "why"),
        ('{"object":"error","message":"why","code":400}', "why"),
        ('[{"error":{"code":400,"message":"why","status":"INVALID_ARGUMENT"}}]', "why"),
        ('{"error":{"detail":"why"}}', "why"),
        ('{"error":{"message":{"message":"why"}}}', "why"),
        ('{"errors":[{"message":"why"}]}', "why"),
        ('{"error":true,"message":"why"}', "why"),
        ('{"detail":[{"loc":["body","n"],"msg":"why","input":"the prompt"}]}', "body.n: why"),
        ('"why"', "why"),
        ("why", "why"),
        ('\ufeff \n{"error":"why"}', "why"),
        ("<html><head><title>why</title></head><body>the prompt</body></html>", "why"),
    ],
)
def test_the_reason_is_found_however_it_is_wrapped(body: str, reason: str) -> None:
    assert detail(body) == f"Plain answered 400: {reason}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b"<html>",
        b'{"error":{}}',
        b'{"error":null}',
        b'{"a":"the prompt"}',
        b'{"error":{"message":7}}',
        b'{"detail":[[1]]}',
    ],
)
def test_without_a_reason_that_is_said(body: bytes) -> None:
    assert detail(body, 502) == "Plain answered 502 without a reason."


def test_a_body_in_no_encoding_is_read_as_far_as_it_goes() -> None:
    assert detail(b'{"error":"wh\xffy"}').startswith("Plain answered 400: wh")


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + "ant-api03-" + "a1b2-C3_" * 8,
        "sk-or-v1-0123456789abcdef0123456789abcdef",
        "hf_AbCdEfGhIjKlMnOp",
        "rqsty-sk-AbCd0123456789efgh",
        "AIzaSyA-0123456789abcdefghijk",
        "AKIAIOSFODNN7EXAMPLE",
        "Bearer abc.def",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "jane.doe+x@mail.example.com",
        "user_2aBcDeFgHiJ",
        "org-AbCdEf0123456789",
    ],
)
def test_keys_addresses_and_accounts_are_masked(secret: str) -> None:
    said = detail(json.dumps({"error": {"message": f"The key {secret} of you, '{secret}', is wrong."}}))
    assert secret.removeprefix("Bearer ") not in said
    assert said.endswith("is wrong.")
    assert "***" in said


def test_a_key_of_any_form_is_masked_where_it_is_called_one() -> None:
    told = "Incorrect API key provided: my-own-key. Token=abcdef; password: 'hunter22'"
    said = detail(json.dumps({"error": told}))
    assert not [secret for secret in ("my-own-key", "abcdef", "hunter22") if secret in said]
    assert said.startswith("Plain answered 400: Incorrect API key provided: ***")


@pytest.mark.parametrize(
    "harmless",
    [
        "Your api key: ****-key is invalid",
        "The model `meta-llama/Llama-3.3-70B-Instruct-Turbo-Free` does not exist.",
        "ref: 96164522-08b2-4cbf-886e-e5a38961a688",
        "maximum of 128000 tokens: 130001 were sent to openai/gpt-4o-mini-2024-07-18",
        "org-level limits and user-level ones differ; see https://example.com/docs/limits",
    ],
)
def test_what_helps_the_caller_stays(harmless: str) -> None:
    assert detail(json.dumps({"error": harmless})) == f"Plain answered 400: {harmless}"


@given(st.text(max_size=3000))
def test_a_reason_is_one_printable_line_of_bounded_length(text: str) -> None:
    said = detail(json.dumps({"error": {"message": text}}))
    assert len(said) <= 540
    assert said.isprintable()


@given(st.integers(0, 999), st.binary(max_size=200))
def test_any_status_with_any_body_gives_an_error(status: int, body: bytes) -> None:
    assert PLAIN.classify_error(status, {}, body).code in CODES


@given(
    st.integers(400, 599),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "message", "code", "type", "detail", "msg", "loc", "errors", "status"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
)
def test_any_json_gives_an_error(status: int, value: Any) -> None:
    body = json.dumps(value).encode()
    assert PLAIN.classify_error(status, {}, body).code in CODES


def test_megabytes_of_reason_are_cut() -> None:
    said = detail(json.dumps({"error": "word " * 2_000_000}))
    assert said.endswith("…")
    assert len(said) <= 540


# -- headers ----------------------------------------------------------------------------------------------

NOW = "Fri, 20 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": NOW}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT", "date": NOW}, 0.0),
        ({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Fri, 99 Nov 2026 12:00:30 GMT"}, None),
    ],
)
def test_the_wait_that_was_asked_for_is_passed_on(headers: dict[str, str], seconds: float | None) -> None:
    assert judge(429, None, headers).retry_after_s == seconds
    assert judge(503, None, headers).retry_after_s == seconds


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"x-request-id": "req_1", "cf-ray": "ray"}, "req_1"),
        ({"request-id": "req_2"}, "req_2"),
        ({"cf-ray": "8f-AMS"}, "8f-AMS"),
        ({"x-request-id": ""}, None),
        ({"x-request-id": "a\tb"}, None),
        ({"x-request-id": "x" * 500}, "x" * 128),
        ({}, None),
    ],
)
def test_the_providers_request_id_is_kept(headers: dict[str, str], request_id: str | None) -> None:
    assert judge(500, None, headers).provider_request_id == request_id
