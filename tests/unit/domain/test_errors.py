"""The table of codes is the contract, and the exceptions share it out among them."""

import pytest

from headgate.domain.errors import (
    CODES,
    FieldError,
    GatewayFault,
    HeadgateError,
    InvalidRequest,
    LimitReached,
    MalformedRequest,
    NotFound,
    ProviderFailed,
)

CONTRACT: list[tuple[str, int, str, str, str]] = [
    # code, status, failover tries the next, retryable, origin
    ("invalid_request", 422, "stay", "give up", "caller"),
    ("unauthenticated", 401, "stay", "give up", "caller"),
    ("forbidden", 403, "stay", "give up", "caller"),
    ("not_found", 404, "stay", "give up", "caller"),
    ("model_not_found", 404, "next", "give up", "caller"),
    ("method_not_allowed", 405, "stay", "give up", "caller"),
    ("conflict", 409, "stay", "give up", "caller"),
    ("idempotency_conflict", 409, "stay", "give up", "caller"),
    ("payload_too_large", 413, "stay", "give up", "caller"),
    ("insufficient_credits", 402, "stay", "give up", "caller"),
    ("rate_limited", 429, "stay", "retry", "caller"),
    ("provider_auth", 424, "next", "give up", "provider"),
    ("provider_insufficient_funds", 424, "next", "give up", "provider"),
    ("provider_rate_limited", 429, "next", "retry", "provider"),
    ("provider_rejected", 400, "stay", "give up", "provider"),
    ("content_filtered", 400, "stay", "give up", "provider"),
    ("context_too_long", 400, "stay", "give up", "provider"),
    ("provider_unavailable", 502, "next", "retry", "provider"),
    ("provider_overloaded", 503, "next", "retry", "provider"),
    ("provider_protocol", 502, "next", "retry", "provider"),
    ("provider_timeout", 504, "next", "retry", "provider"),
    ("no_route", 422, "stay", "give up", "caller"),
    ("gateway_unavailable", 503, "stay", "retry", "gateway"),
    ("internal", 500, "stay", "give up", "gateway"),
]
LEAVES = HeadgateError.__subclasses__()


def test_the_table_is_the_contracts_row_for_row() -> None:
    table = [
        (
            code,
            spec.status,
            "next" if spec.failover else "stay",
            "retry" if spec.retryable else "give up",
            spec.origin,
        )
        for code, spec in CODES.items()
    ]
    assert sorted(table) == sorted(CONTRACT)


def test_every_code_belongs_to_exactly_one_exception() -> None:
    spoken = sorted(code for leaf in LEAVES for code in leaf.codes)
    assert spoken == sorted(CODES)


def test_there_are_a_dozen_exceptions_at_most_and_each_defaults_to_a_code_of_its_own() -> None:
    assert len(LEAVES) <= 12
    for leaf in LEAVES:
        assert leaf("x").code == leaf.default_code
        assert leaf.default_code in leaf.codes


def test_a_refined_exception_speaks_of_nothing_its_base_does_not() -> None:
    for leaf in LEAVES:
        for refined in leaf.__subclasses__():
            assert refined.codes <= leaf.codes


@pytest.mark.parametrize("row", CONTRACT, ids=lambda row: row[0])
def test_an_exception_answers_what_the_table_says_of_its_code(row: tuple[str, int, str, str, str]) -> None:
    code, status, failover, retry, origin = row
    (leaf,) = (leaf for leaf in LEAVES if code in leaf.codes)
    error = leaf("what happened", code=code)
    assert error.http_status == status
    assert error.failover is (failover == "next")
    assert error.retryable is (retry == "retry")
    assert error.spec.origin == origin
    assert error.detail == str(error) == "what happened"


def test_an_exception_refuses_a_code_of_another() -> None:
    with pytest.raises(ValueError, match="rate_limited"):
        NotFound("x", code="rate_limited")
    with pytest.raises(ValueError, match="no_such_code"):
        LimitReached("x", code="no_such_code")


def test_what_cannot_be_read_is_400_where_what_is_invalid_is_422() -> None:
    assert MalformedRequest("x").http_status == 400
    assert InvalidRequest("x").http_status == 422
    assert MalformedRequest("x").code == InvalidRequest("x").code


def test_an_invalid_field_is_named_in_the_detail_too() -> None:
    error = InvalidRequest.of_field("messages[0].role", "is needed.")
    assert error.errors == (FieldError("messages[0].role", "is needed."),)
    assert "messages[0].role" in error.detail


def test_a_gateway_that_is_out_of_order_says_when_to_come_back() -> None:
    error = GatewayFault.unavailable("The table")
    assert (error.code, error.http_status, error.retryable) == ("gateway_unavailable", 503, True)
    assert error.retry_after_s is not None
    assert error.retry_after_s > 0


def test_titles_are_said_once_each_and_never_empty() -> None:
    titles = [spec.title for spec in CODES.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_nothing_is_shared_between_two_errors() -> None:
    one, other = ProviderFailed("a"), ProviderFailed("b")
    one.provider = "openai"
    assert other.provider is None
    assert other.members == {}
