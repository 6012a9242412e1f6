"""What a failure in OpenAI's dialect means: the status first, the code beside it next, the text last."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from headgate.domain.errors import (
    HeadgateError,
    NotFound,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)

MAX_REASON_CHARS = 500

_CLASSES: tuple[type[HeadgateError], ...] = (
    NotFound,
    ProviderRefused,
    ProviderRejected,
    ProviderBusy,
    ProviderFailed,
)

# Statuses that mean something of their own. 409: OpenAI's SDK sends such a request again, as for a lock that
# timed out (github.com/openai/openai-python src/openai/_base_client.py, 2026-11-20). 52x, 530: Cloudflare's,
# developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors (2026-11-20).
_STATUS_CODES: Mapping[int, str] = {
    401: "provider_auth",
    402: "provider_insufficient_funds",
    403: "provider_auth",
    404: "model_not_found",
    405: "provider_protocol",
    408: "provider_timeout",
    409: "provider_overloaded",
    410: "model_not_found",
    421: "provider_unavailable",
    423: "provider_overloaded",
    424: "provider_unavailable",
    425: "provider_overloaded",
    429: "provider_rate_limited",
    499: "provider_unavailable",
    503: "provider_overloaded",
    504: "provider_timeout",
    522: "provider_timeout",
    524: "provider_timeout",
    529: "provider_overloaded",
    598: "provider_timeout",
    599: "provider_timeout",
}

# Statuses after which the request can't have been executed: it was refused, or never reached the server.
_REFUSED = frozenset({*range(400, 500), 503, 521, 522, 523, 525, 526, 529, 530}) - {408, 424, 499}

# What stands in `error.code` or `error.type`. OpenAI's own: https://developers.openai.com/api/docs/guides/error-codes
# and the recorded answers; overloaded_error and the like: Anthropic's names, which compatible servers repeat.
_ERROR_CODES: Mapping[str, str] = {
    "insufficient_quota": "provider_insufficient_funds",
    "billing_hard_limit_reached": "provider_insufficient_funds",
    "billing_not_active": "provider_insufficient_funds",
    "billing_error": "provider_insufficient_funds",
    "insufficient_balance": "provider_insufficient_funds",
    "payment_required": "provider_insufficient_funds",
    "invalid_api_key": "provider_auth",
    "invalid_authentication": "provider_auth",
    "authentication_error": "provider_auth",
    "permission_error": "provider_auth",
    "context_length_exceeded": "context_too_long",
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
    "moderation_blocked": "content_filtered",
    "model_not_found": "model_not_found",
    "rate_limit_exceeded": "provider_rate_limited",
    "rate_limit_error": "provider_rate_limited",
    "overloaded_error": "provider_overloaded",
    "timeout": "provider_timeout",
    "timeout_error": "provider_timeout",
    "server_error": "provider_unavailable",
    "api_error": "provider_unavailable",
    "internal_error": "provider_unavailable",
    "internal_server_error": "provider_unavailable",
    "invalid_request_error": "provider_rejected",
}

# Which of those may say more than the status did. A 5xx is believed whatever stands in its body, and so is a
# 401; ollama's 401 is of type `api_error` (recorded), so the vague names refine nothing.
_REFINES: Mapping[int, frozenset[str]] = {
    400: frozenset(
        {
            "provider_auth",
            "provider_insufficient_funds",
            "context_too_long",
            "content_filtered",
            "model_not_found",
        }
    ),
    403: frozenset({"provider_insufficient_funds", "content_filtered", "model_not_found"}),
    413: frozenset({"context_too_long", "provider_rate_limited"}),
    422: frozenset({"context_too_long", "content_filtered", "model_not_found"}),
    429: frozenset({"provider_insufficient_funds"}),
}

# DeepSeek, Ollama, OpenRouter and vLLM have no code for a prompt that is too long, only words (recorded).
_TOO_LONG = re.compile(
    r"\bmax(?:imum)? context\b|\bcontext (?:length|window|size)\b.{0,40}\bexceed"
    r"|\bexceed\w*\b.{0,40}\bcontext\b|\bprompt (?:is )?too long\b",
    re.IGNORECASE,
)

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-generation-id", "x-ds-trace-id", "cf-ray")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A code of ours, and whether the provider may have executed the request."""

    code: str
    may_have_run: bool


def judge(status: int | None, error: Mapping[str, Any]) -> Verdict:
    """What a status and an error object mean; status None is an error inside a 200 that names none."""
    names = _names(error)
    if status is None:
        code = next((_ERROR_CODES[name] for name in names if name in _ERROR_CODES), "provider_unavailable")
        return Verdict(code, may_have_run=code in ProviderFailed.codes)
    if not 400 <= status <= 599:
        return Verdict("provider_protocol", may_have_run=True)
    default = "provider_rejected" if status < 500 else "provider_unavailable"
    code = _STATUS_CODES.get(status, default)
    refining = _REFINES.get(status, frozenset())
    told = next((_ERROR_CODES[name] for name in names if _ERROR_CODES.get(name) in refining), None)
    if told is None and "context_too_long" in refining and _TOO_LONG.search(str(error.get("message", ""))):
        told = "context_too_long"
    return Verdict(told or code, may_have_run=status not in _REFUSED)


def error_of_code(code: str, detail: str, *, may_have_run: bool) -> HeadgateError:
    """The exception that speaks of `code`."""
    cls = next((one for one in _CLASSES if code in one.codes), ProviderFailed)
    return cls(detail, code=code, may_have_run=may_have_run)


def status_inside(error: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error inside a 200 names, if it names one in 400..599."""
    for key in ("code", "status", "status_code"):
        value = error.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return None


def read_error(body: bytes) -> dict[str, Any]:
    """The error object in a body, whatever wraps it; `message` is always there, empty when nothing was said.

    JSON is tried whatever the content type says: DeepSeek's 400 is an octet-stream (recorded).
    """
    text = body.decode("utf-8", "replace").strip().removeprefix("\ufeff")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": _plain_reason(text)}
    return error_object(value)


def error_object(value: Any) -> dict[str, Any]:
    """The error object in a JSON value: `{"error": …}`, itself, a list of one, or a bare text."""
    if isinstance(value, list):
        value = value[0] if value else {}
    if isinstance(value, str):
        return {"message": value}
    if not isinstance(value, Mapping):
        return {"message": ""}
    inner = value.get("error")
    if isinstance(inner, Mapping):
        return {**inner, "message": _reason(inner)}
    if isinstance(inner, str):
        return {**value, "message": str(value.get("error_description") or value.get("message") or inner)}
    return {**value, "message": _reason(value)}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or an HTTP date); None if not told.

    A date is measured against the response's own `Date`, so that no clock of ours is needed.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    until, since = _http_date(text), _http_date(headers.get("date")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - since).total_seconds())


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own name for the exchange, for its support."""
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name, "")
        if value and value.isascii() and value.isprintable():
            return value[:128]
    return None


_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(Bearer|Basic)\s+[\w\-.~+/*]+=*", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\b(sk|pk|rk)[-_][\w\-*]{4,}"), r"\1-***"),
    (re.compile(r"\b(hf|r8|rqy|gsk|hg)_[\w\-*]{8,}"), r"\1_***"),
    (re.compile(r"\b(rqsty|xai|pplx|wk|ws)-[\w\-*]{16,}"), r"\1-***"),
    (re.compile(r"\b(?:AKIA|ASIA|AIza)[\w\-]{12,}"), "***"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"), "***"),
    (
        re.compile(r"\b(user|org|proj|acct|team|account|cus|req_user)[-_](?=\w*\d|\w{16})\w{6,}"),
        r"\1-***",
    ),
    (
        re.compile(
            r"\b((?:api[ _-]?key|token|secret|password|credential)(?: provided)?)"
            r"(\s*[:=]\s*)[\"']?[^\s\"',;*]{4,}",
            re.IGNORECASE,
        ),
        r"\1\2***",
    ),
    # Long runs with digits and letters, as keys are; names of models and UUIDs have shorter ones.
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{24,}"), "***"),
)


def clean_reason(text: str) -> str:
    """A provider's words, fit for a caller: one line, capped, without keys, addresses and account ids."""
    if len(text) > 4 * MAX_REASON_CHARS:
        # So that a body of megabytes costs nothing; at a space, so that no half of a key escapes its mask.
        text = text[: 4 * MAX_REASON_CHARS].rpartition(" ")[0]
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 1].rstrip() + "…"


def _names(error: Mapping[str, Any]) -> list[str]:
    return [name.lower() for key in ("code", "type") if isinstance(name := error.get(key), str)]


def _reason(error: Mapping[str, Any]) -> str:
    for key in ("message", "detail", "msg", "error_description", "title", "errors"):
        text = _text_of(error.get(key))
        if text:
            return text
    return ""


def _text_of(value: Any) -> str:
    """A text, or the texts of FastAPI's list of findings; never its `input`, which repeats the prompt."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return next((v for key in ("message", "msg", "detail") if isinstance(v := value.get(key), str)), "")
    if isinstance(value, list):
        return "; ".join(filter(None, (_finding(item) for item in value[:5])))
    return ""


def _finding(item: Any) -> str:
    text = _text_of(item) if not isinstance(item, list) else ""
    where = item.get("loc") if isinstance(item, Mapping) else None
    if isinstance(where, list) and text:
        return f"{_path(where)}: {text}"
    return text


def _path(parts: Iterable[Any]) -> str:
    return ".".join(str(part) for part in parts if isinstance(part, str | int))


def _plain_reason(text: str) -> str:
    """The words of a body that is no JSON: a page's title, or a short text as it is."""
    if text.startswith("<"):
        title = re.search(r"<title[^>]*>([^<]{1,200})", text[:20_000], re.IGNORECASE)
        return title.group(1).strip() if title else ""
    return text[:MAX_REASON_CHARS]


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
