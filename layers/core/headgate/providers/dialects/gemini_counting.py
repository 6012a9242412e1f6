"""Gemini's `countTokens`: what a request would count as input. It costs nothing. Pure.

https://ai.google.dev/api/tokens#method:-models.counttokens (2026-11-20).
"""

from collections.abc import Callable, Mapping
from typing import Any

from headgate.domain.errors import HeadgateError
from headgate.providers.dialects.gemini import model_name, model_path
from headgate.providers.dialects.openai_answers import malformed, read_answer, trim

_COUNTED = ("contents", "systemInstruction", "tools", "toolConfig", "cachedContent")


def build_count_tokens(body: Mapping[str, Any], model: str) -> tuple[str, dict[str, Any]]:
    """The path below the base URL, and the body. `body` is what `generateContent` would be sent."""
    counted = {name: body[name] for name in _COUNTED if name in body}
    request = {"generateContentRequest": {"model": model_name(model), **counted}}
    return model_path(model, "countTokens"), request


def parse_count_tokens(answer: bytes, *, judge: Callable[[Any], HeadgateError]) -> int:
    """Tokens of the input. judge: what an error inside the 200 means.

    Raises ProviderFailed (`provider_protocol`) where there is no such number.
    """
    value = read_answer(trim(answer))
    if value.get("error"):
        raise judge(value)
    total = value.get("totalTokens")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise malformed("counts no tokens")
    return total
