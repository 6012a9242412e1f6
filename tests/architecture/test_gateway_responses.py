"""What API Gateway answers by itself looks like an answer of ours."""

import json
from typing import Any

import pytest

from headgate.domain.errors import CODES

REQUIRED = {
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "ACCESS_DENIED": 403,
    "WAF_FILTERED": 403,
    "REQUEST_TOO_LARGE": 413,
    "THROTTLED": 429,
    "INTEGRATION_TIMEOUT": 504,
    "INTEGRATION_FAILURE": 503,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
}

OWN_STATUS = {
    "INTEGRATION_TIMEOUT",  # a cut at the time limit is a 504 to every client, whatever our code for it
    "DEFAULT_4XX",  # a request that can't be read at all is 400, not 422
}


@pytest.fixture(scope="session")
def responses(transformed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = transformed["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    return found


def _headers(response: dict[str, Any]) -> dict[str, str]:
    prefix = "gatewayresponse.header."
    return {
        name.removeprefix(prefix).lower(): value.strip("'")
        for name, value in response["responseParameters"].items()
    }


def _problem(response: dict[str, Any]) -> dict[str, Any]:
    text = response["responseTemplates"]["application/json"].replace("$context.requestId", "4e1b")
    assert "$" not in text, "API Gateway runs no template language here; it puts variables in, unescaped"
    problem: dict[str, Any] = json.loads(text)
    return problem


def test_each_answer_of_the_gateway_is_given_our_shape(responses: dict[str, Any]) -> None:
    assert {name: int(response["statusCode"]) for name, response in responses.items()} == REQUIRED


@pytest.mark.parametrize("name", REQUIRED)
def test_the_problem_document_says_what_the_table_of_codes_says(responses: dict[str, Any], name: str) -> None:
    problem = _problem(responses[name])
    spec = CODES[problem["code"]]
    assert problem.keys() == {
        "type", "title", "status", "detail", "code", "retryable", "origin", "request_id", "error",
    }  # fmt: skip
    assert problem["status"] == REQUIRED[name]
    assert problem["request_id"] == "4e1b"
    assert problem["type"] == f"urn:headgate:error:{problem['code']}"
    assert (problem["title"], problem["origin"]) == (spec.title, spec.origin)
    assert problem["retryable"] == spec.retryable
    if name not in OWN_STATUS:
        assert problem["status"] == spec.status


@pytest.mark.parametrize("name", REQUIRED)
def test_an_openai_client_finds_its_own_error_object(responses: dict[str, Any], name: str) -> None:
    problem = _problem(responses[name])
    error = problem["error"]
    assert (error["message"], error["code"]) == (problem["detail"], problem["code"])
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_page_may_read_it_and_a_client_knows_whether_to_retry(responses: dict[str, Any], name: str) -> None:
    headers, problem = _headers(responses[name]), _problem(responses[name])
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers
    assert headers["content-type"] == "application/problem+json"
    if problem["retryable"]:
        assert int(headers["retry-after"]) >= 1
        assert headers["access-control-expose-headers"] == "Retry-After"
        assert "x-should-retry" not in headers
    else:
        assert headers["x-should-retry"] == "false"
        assert "retry-after" not in headers
