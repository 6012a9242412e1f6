"""What a failure of Amazon Bedrock means: the status, and the exception's name, which says it more exactly.

The name is in a header or in the body, the words are the body's `message`:
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the errors of
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11-20).
"""

import re
from collections.abc import Mapping
from typing import Any

from headgate.domain.errors import HeadgateError
from headgate.providers.dialects import openai_errors

_REFUSALS = frozenset(
    {
        "accessdenied",
        "unauthorized",
        "notauthorized",
        "optinrequired",
        "unrecognizedclient",
        "invalidclienttokenid",
        "missingauthenticationtoken",
        "expiredtoken",
        "invalidsignature",
        "signaturedoesnotmatch",
        "incompletesignature",
        "requestexpired",
    }
)

_CODES: Mapping[str, str] = {
    **dict.fromkeys(_REFUSALS, "provider_auth"),
    "throttling": "provider_rate_limited",
    "toomanyrequests": "provider_rate_limited",
    "servicequotaexceeded": "provider_rate_limited",
    "modelnotready": "provider_overloaded",
    "serviceunavailable": "provider_overloaded",
    "resourcenotfound": "model_not_found",
    "modeltimeout": "provider_timeout",
    "modelerror": "provider_unavailable",
    "modelstreamerror": "provider_unavailable",
    "internalserver": "provider_unavailable",
    "internalfailure": "provider_unavailable",
    "validation": "provider_rejected",
}
"""By the exception's name in lower case, without the word `Exception`."""

# A validation's words. The first is Claude's and Bedrock's own, the second that of models behind it.
_TOO_LONG = re.compile(
    r"input is too long|prompt is too long|too many (input )?tokens|exceeds? the (maximum|model'?s|context)"
    r"[^.]{0,40}(length|tokens|context)|maximum context length|context window",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|invalid model( id| identifier)?\b"
    r"|model (is )?not supported|access to the model|end of its life",
    re.IGNORECASE,
)

_ARN = re.compile(r"\barn:aws[\w-]*:(?:sts|iam)::\S+")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")


def classify(
    status: int | None, headers: Mapping[str, str], error: Mapping[str, Any], *, name: str
) -> HeadgateError:
    """The error that a status, or the exception's name alone, stands for. name: the provider's."""
    kind = exception_name(headers, error)
    verdict = openai_errors.judge(status, {})
    told = _words(error)
    code = _code_of(status, kind, told) or verdict.code
    answered = f"{name} answered {status}" if status else f"{name} failed"
    reason = reason_of(kind, told)
    found = openai_errors.error_of_code(
        code,
        f"{answered}: {reason}" if reason else f"{answered} without a reason.",
        may_have_run=verdict.may_have_run if status is not None else code not in _NOT_RUN,
    )
    found.provider_request_id = headers.get("x-amzn-requestid") or openai_errors.request_id(headers)
    found.retry_after_s = openai_errors.retry_after_s(headers)
    return found


_NOT_RUN = frozenset({"provider_rate_limited", "provider_overloaded", "provider_auth", "model_not_found"})


def exception_name(headers: Mapping[str, str], error: Mapping[str, Any]) -> str:
    """`throttling` of the header's `ThrottlingException:http://…`, or the body's `…#ThrottlingException`."""
    told = headers.get("x-amzn-errortype") or error.get("__type") or error.get("code")
    text = told if isinstance(told, str) else ""
    word = text.partition(":")[0].rpartition("#")[2].strip().lower()
    return word.removesuffix("exception") if word.isalnum() else ""


def reason_of(kind: str, told: str) -> str:
    """The words, fit for a caller: no account, no role, and nothing of a signature that was not taken.

    A signature's error repeats the whole request that was signed, with the session's token.
    """
    if kind in _REFUSALS - {"accessdenied"} or "canonical" in told.lower():
        return "it did not take the signature, or the key, of this request."
    return openai_errors.clean_reason(_ACCOUNT.sub("***", _ARN.sub("its role", told[:4000])))


def _words(error: Mapping[str, Any]) -> str:
    for key in ("message", "Message", "originalMessage"):
        if isinstance(text := error.get(key), str) and text:
            return text
    return ""


def _code_of(status: int | None, kind: str, told: str) -> str | None:
    """What is known better than by the status; a 5xx is believed whatever stands beside it."""
    if status is not None and status not in (400, 403, 404, 408, 424, 429):
        return None
    code = _CODES.get(kind)
    if status in (None, 400, 403, 404) and code in (None, "provider_rejected", "provider_auth"):
        if code != "provider_auth" and status != 403 and _TOO_LONG.search(told[:4000]):
            return "context_too_long"
        if code == "provider_rejected" and _NO_MODEL.search(told[:4000]):
            return "model_not_found"
    return code
