"""How much a model is to think: in words or in tokens, as dialects have the one or the other. Pure."""

from headgate.domain.conversation import Thinking

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The words of all dialects together, rising."""

# Ours: no vendor says what its words come to. 1,024 is the least that Anthropic takes.
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 12_288, "high": 24_576, "xhigh": 49_152, "max": 65_536}


def budget_of(thinking: Thinking) -> int | None:
    """Tokens to think with; None where neither a budget nor an effort was told, or none at all."""
    if thinking.budget_tokens is not None:
        return thinking.budget_tokens
    return _BUDGETS.get(thinking.effort or "")


def effort_of(thinking: Thinking) -> str | None:
    """The effort in a word; a budget comes to `low`, `medium` or `high`, which every thinking model knows.

    None where nothing was told of how much.
    """
    if thinking.effort is not None or thinking.budget_tokens is None:
        return thinking.effort
    return next(word for word in ("low", "medium", "high") if thinking.budget_tokens <= _at_most(word))


def is_off(thinking: Thinking) -> bool:
    """Whether the model is asked not to think at all."""
    return thinking.effort == "none" or thinking.budget_tokens == 0


def _at_most(word: str) -> float:
    return _BUDGETS[word] if word != "high" else float("inf")
