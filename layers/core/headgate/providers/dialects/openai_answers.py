"""Reading what OpenAI's dialect answers: JSON without loss, usage, text and tool calls. Pure.

Bodies are handed through, so nothing is decoded and encoded again but what changes: a cost is written into
the bytes of the usage object, and every other number stays the digits that the provider sent.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import orjson

from headgate.domain.errors import ProviderFailed
from headgate.domain.generation import Usage
from headgate.domain.money import decimal_text
from headgate.providers.base import ChatOutcome

_BOM = b"\xef\xbb\xbf"
_LONG_INTEGER = re.compile(rb"\d{19}")
_USAGE_KEY = re.compile(r'"usage"\s*:\s*')


class AnswerError(ValueError):
    """The bytes are no JSON."""


# -- JSON -------------------------------------------------------------------------------------------------


def read_json(data: bytes) -> Any:
    """The value of a JSON text. Raises AnswerError, for NaN and Infinity too: no client could read those.

    Integers beyond 64 bits come out as floats; use `read_json_exact` for what is written again.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # orjson refuses half a surrogate pair, which a stream cut inside an emoji holds.
        return _read_json_slowly(data)


def read_json_exact(data: bytes) -> Any:
    """Like `read_json`, with integers as large as Python reads (4,300 digits)."""
    if _LONG_INTEGER.search(data):
        with suppress(AnswerError):
            return _read_json_slowly(data)
    return read_json(data)


def write_json(value: Any) -> bytes:
    """Compact JSON in UTF-8, for integers of any size and halves of surrogate pairs too."""
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, RecursionError):
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _read_json_slowly(data: bytes) -> Any:
    try:
        return json.loads(data.decode(), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise AnswerError("not JSON") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return value


# -- usage ------------------------------------------------------------------------------------------------


_COUNTED_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Anthropic's names: https://docs.claude.com/en/api/messages (2026-11-20), `usage`."""


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Tokens in our convention: input with cached ones, output with reasoning.

    - A total above prompt + completion is output that was not listed: hidden reasoning, billed as output.
      Requesty reported 11 + 7 of 1,251 for a Gemini model, xAI 12 + 1 of 303, 290 of them reasoning (both
      recorded).
    - Without a total, reasoning above the completion was counted beside it.
    - Cached tokens under OpenAI's names are part of the prompt, even if read and written ones overlap and
      come to more than it (OpenRouter with Gemini: both 2,161 of 2,168, recorded). Under Anthropic's names
      they were counted beside it, if the prompt has Anthropic's name too or is smaller than they are.
    """
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    in_details = _mapping(usage, "prompt_tokens_details")
    out_details = _mapping(usage, "completion_tokens_details")
    read = _first(
        _count(in_details, "cached_tokens"),
        _count(usage, "prompt_cache_hit_tokens"),
        _count(usage, "cached_tokens"),
        _count(usage, "cache_read_input_tokens"),
    )
    written = _first(_count(in_details, "cache_write_tokens"), _count(usage, "cache_creation_input_tokens"))
    reasoning = _first(_count(out_details, "reasoning_tokens"), _count(usage, "reasoning_tokens"))
    total = _count(usage, "total_tokens")
    if completion is None:
        completion = _count(usage, "output_tokens")
    beside = sum(_count(usage, key) or 0 for key in _COUNTED_BESIDE)
    if prompt is None:
        prompt = _count(usage, "input_tokens")
        prompt = None if prompt is None else prompt + beside
    elif beside > prompt:
        prompt += beside
    if total is not None and prompt is not None and completion is not None:
        completion = max(completion, total - prompt)
    elif completion is not None and (reasoning or 0) > completion:
        completion += reasoning or 0
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
        total_tokens=total,
        cost_usd=_cost(usage.get("cost")),
    )


def _count(values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    if isinstance(value, float | Decimal) and value == int(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, Mapping) else {}


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _cost(value: Any) -> Decimal | None:
    """Dollars, from a number, a number's text, or Perplexity's object of several costs."""
    if isinstance(value, Mapping):
        value = value.get("total_cost")
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost >= 0 else None


class _Found(NamedTuple):
    """A usage object in a text: its value, with exact fractions, and where it is."""

    value: Mapping[str, Any]
    start: int
    end: int


def _find_usage(text: str, usage: Mapping[str, Any]) -> Iterator[_Found]:
    """Where objects equal to `usage` stand under that name, the last one first."""
    decoder = json.JSONDecoder(parse_float=Decimal)
    for match in reversed(list(_USAGE_KEY.finditer(text))):
        start = match.end()
        if not text.startswith("{", start):
            continue
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if value.keys() == usage.keys():
            yield _Found(value, start, end)


def exact_usage(data: bytes, usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """The usage object with its fractions as Decimal, digit for digit as in `data`."""
    if not any(isinstance(value, float) for value in usage.values()):
        return usage
    text = data.decode("utf-8", "replace")
    return next((found.value for found in _find_usage(text, usage)), usage)


def add_cost(data: bytes, usage: Mapping[str, Any], cost_usd: Decimal) -> bytes:
    """`data` with `cost`, a number of dollars, at the end of its top-level usage object."""
    number = decimal_text(cost_usd)
    if "cost" not in usage:
        text = data.decode()
        for found in _find_usage(text, usage):
            inside = found.end - 1
            comma = "," if usage else ""
            changed = f'{text[:inside].rstrip()}{comma}"cost":{number}{text[inside:]}'.encode()
            if "cost" in read_json(changed)["usage"]:
                return changed
    value = read_json_exact(data)
    value["usage"]["cost"] = float(number)
    return write_json(value)


# -- messages ---------------------------------------------------------------------------------------------


def read_answer(body: bytes) -> dict[str, Any]:
    """The JSON object of a whole answer. Raises ProviderFailed (`provider_protocol`)."""
    try:
        value = read_json(body)
    except AnswerError:
        raise malformed("is not JSON") from None
    if not isinstance(value, dict):
        raise malformed("is not a JSON object")
    return value


def trim(body: bytes) -> bytes:
    """Without a byte order mark, and the empty lines that DeepSeek sends while it is busy.

    https://api-docs.deepseek.com/quick_start/rate_limit (2026-11-20).
    """
    return body.removeprefix(_BOM).strip(b" \t\r\n")


def malformed(what: str) -> ProviderFailed:
    return ProviderFailed(f"The provider's answer {what}.", code="provider_protocol", may_have_run=True)


def read_outcome(choice: Mapping[str, Any], usage: Usage | None) -> ChatOutcome:
    """What the first choice of a whole answer says."""
    message = _mapping(choice, "message")
    calls = message.get("tool_calls")
    function_call = message.get("function_call")
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    if isinstance(calls, list):
        tool_calls = tuple(call for call in calls if isinstance(call, Mapping))
    if not tool_calls and isinstance(function_call, Mapping):
        tool_calls = ({"type": "function", "function": function_call},)
    reason = choice.get("finish_reason")
    return ChatOutcome(
        text=well_formed(text_of(message.get("content"))),
        tool_calls=tool_calls,
        finish_reason=reason if isinstance(reason, str) else None,
        usage=usage,
    )


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return "".join(text for text in texts if isinstance(text, str))


def well_formed(text: str) -> str:
    """`text` with surrogate halves joined where they meet, and replaced where they are alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
