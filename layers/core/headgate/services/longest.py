"""How long the answer to a request may get. Pure.

Callers may name it in every dialect's words at once, and in objects that one provider alone understands.
What counts is the longest of them: else a request would be let through on a small figure and answered by a
large one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from headgate.domain.catalog import ModelInfo
from headgate.domain.generation import MOST_TOKENS

_LENGTHS = (
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "maxOutputTokens",
    "maxTokens",
    "max_new_tokens",
)
_ANSWERS = ("n", "best_of", "candidateCount", "candidate_count")
_WITHIN = (
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "additionalModelRequestFields",
    "extra_body",
    "google",
)
"""Objects of the providers' own that are handed on to them: Gemini's, also as its compatible API has them,
and those of Bedrock. https://ai.google.dev/gemini-api/docs/openai#extra-body (2026-11-20)"""


def longest_answer(body: Mapping[str, Any], info: ModelInfo | None, hold_tokens: int) -> int:
    """Tokens of all answers to one request: as many as it asks for, else as the model may give, but then
    `hold_tokens` at most."""
    most = info.max_output_tokens if info is not None else None
    usual = min(hold_tokens, most or hold_tokens)
    asked = list(_numbers(body, _LENGTHS, usual))
    answers = max(_numbers(body, _ANSWERS, 1), default=1)
    return min(MOST_TOKENS, max(asked, default=usual) * answers)


def _numbers(body: Mapping[str, Any], names: tuple[str, ...], usual: int, depth: int = 3) -> Iterator[int]:
    """What is said under any of the names. What is no number some servers read as one: it is no less than
    the usual then."""
    for name in names:
        value = body.get(name)
        if isinstance(value, int):
            yield value if value > 0 else usual  # of answers' lengths some servers take it as no limit
        elif isinstance(value, float | str):
            yield max(usual, _read(value))
    for name in _WITHIN if depth else ():
        inner = body.get(name)
        if isinstance(inner, Mapping):
            yield from _numbers(inner, names, usual, depth - 1)


def _read(value: float | str) -> int:
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return 0
