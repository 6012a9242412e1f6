"""What a failure of Google's Gemini API means: its status, then the reasons in `details`, the text last.

Errors are `{"error": {"code", "message", "status", "details"}}`: https://google.aip.dev/193 and
https://ai.google.dev/gemini-api/docs/troubleshooting (2026-11-20).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headgate.domain.errors import HeadgateError
from headgate.providers.dialects import openai_errors

# https://google.aip.dev/193 with google.rpc.Code (2026-11-20), for an error inside a 200 without a number.
_STATUSES: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "DATA_LOSS": 500,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

# `reason` of google.rpc.ErrorInfo; API_KEY_INVALID with a 400 is recorded, the others are from Google's list:
# https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto (2026-11-20).
_REASONS: Mapping[str, str] = {
    "API_KEY_INVALID": "provider_auth",
    "API_KEY_EXPIRED": "provider_auth",
    "API_KEY_SERVICE_BLOCKED": "provider_auth",
    "API_KEY_HTTP_REFERRER_BLOCKED": "provider_auth",
    "API_KEY_IP_ADDRESS_BLOCKED": "provider_auth",
    "ACCESS_TOKEN_EXPIRED": "provider_auth",
    "CONSUMER_INVALID": "provider_auth",
    "CONSUMER_SUSPENDED": "provider_auth",
    "SERVICE_DISABLED": "provider_auth",
    "BILLING_DISABLED": "provider_insufficient_funds",
}

# Where no reason is given. `limit: 0` is a quota that the account's tier does not have at all, so no waiting
# helps; the usual words "check your plan and billing details" stand in every 429.
_WORDS: tuple[tuple[int, re.Pattern[str], str], ...] = (
    (400, re.compile(r"input token count.{0,60}exceeds the maximum", re.IGNORECASE), "context_too_long"),
    (400, re.compile(r"api key (not valid|not found|expired)", re.IGNORECASE), "provider_auth"),
    (400, re.compile(r"enable billing", re.IGNORECASE), "provider_insufficient_funds"),
    (400, re.compile(r"user location is not supported", re.IGNORECASE), "provider_auth"),
    (403, re.compile(r"requires billing", re.IGNORECASE), "provider_insufficient_funds"),
    (
        429,
        re.compile(r"credits? (is|are) depleted|spend(ing)? (cap|limit)|\blimit: 0\b", re.IGNORECASE),
        "provider_insufficient_funds",
    ),
)

_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")


def classify(
    status: int | None, headers: Mapping[str, str], error: Mapping[str, Any], *, name: str
) -> HeadgateError:
    """The error that a status and an error object mean. status None: inside a 200 that names none.

    name: the provider's, for the detail.
    """
    verdict = openai_errors.judge(status, error)
    told = str(error.get("message", ""))
    code = _code_of(status, error, told) or verdict.code
    reason = openai_errors.clean_reason(told)
    answered = f"{name} answered {status}" if status else f"{name} failed"
    found = openai_errors.error_of_code(
        code,
        f"{answered}: {reason}" if reason else f"{answered} without a reason.",
        may_have_run=verdict.may_have_run,
    )
    found.provider_request_id = openai_errors.request_id(headers)
    if status is not None and found.retryable:
        wait_s = retry_delay_s(error)
        found.retry_after_s = wait_s if wait_s is not None else openai_errors.retry_after_s(headers)
    return found


def status_inside(error: Mapping[str, Any]) -> int | None:
    """The HTTP status of an error inside a 200: its number, else what its word stands for."""
    number = openai_errors.status_inside(error)
    word = error.get("status")
    return number if number is not None or not isinstance(word, str) else _STATUSES.get(word)


def retry_delay_s(error: Mapping[str, Any]) -> float | None:
    """Seconds from `google.rpc.RetryInfo` (`"34.4s"`, recorded): there is no Retry-After."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        match = _SECONDS.fullmatch(delay) if isinstance(delay, str) else None
        if match is not None:
            return float(match[1])
    return None


def _code_of(status: int | None, error: Mapping[str, Any], text: str) -> str | None:
    """What is known better than by the status; a 5xx is believed whatever stands beside it."""
    if status not in (400, 403, 429):
        return None
    for detail in _details(error):
        reason = detail.get("reason")
        if isinstance(reason, str) and reason in _REASONS:
            return _REASONS[reason]
    short = text[:4000]
    return next((code for at, words, code in _WORDS if at == status and words.search(short)), None)


def _details(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping):
            yield detail
