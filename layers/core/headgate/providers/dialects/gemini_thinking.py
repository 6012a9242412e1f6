"""How much a Gemini model is to think: a level since Gemini 3, a budget of tokens for 2.5. Pure.

What efforts come to is what Google's own compatible API makes of them:
https://ai.google.dev/gemini-api/docs/openai#thinking (2026-11-20).
"""

from typing import Any

from headgate.domain.conversation import Thinking
from headgate.providers.base import ChatCall
from headgate.providers.dialects.carrying import drop
from headgate.providers.dialects.gemini_families import bare_name, generation_of, is_gemma, thinks_by
from headgate.providers.dialects.thinking import effort_of, is_off

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 32_768}
_DYNAMIC = -1
"""The model decides."""

# What a budget may be: https://ai.google.dev/gemini-api/docs/thinking#set-budget (2026-11-20).
_PRO_BUDGETS = (128, 32_768)
_LITE_BUDGETS = (512, 24_576)
_FLASH_BUDGETS = (1, 24_576)


def write_thinking(thinking: Thinking, call: ChatCall) -> dict[str, Any]:
    """The `thinkingConfig`; empty where there is nothing to say.

    Thoughts are asked for unless the caller doesn't want to see them. Where thinking can't be switched off,
    the least of it is asked for. A model that does not think is not told to: `thinking` is dropped.
    """
    kind = thinks_by(call.model)
    if call.info is not None and "reasoning" not in call.info.capabilities:
        kind = None
    off = is_off(thinking)
    if kind is None:
        if not off:
            drop(call, "thinking")
        return {}
    config: dict[str, Any] = {}
    if kind == "level":
        level = _level(thinking, call.model)
        config = {} if level is None else {"thinkingLevel": level}
    else:
        budget = _budget(thinking, call.model)
        config = {} if budget is None else {"thinkingBudget": budget}
    if thinking.visible is not False and not off:
        config["includeThoughts"] = True
    return config


def _level(thinking: Thinking, model: str) -> str | None:
    """None leaves it to the model, which is what adaptive means."""
    effort = "none" if is_off(thinking) else effort_of(thinking)
    if effort is None:
        return None
    least = effort in ("none", "minimal")
    if is_gemma(model):
        return "minimal" if least else "high"
    pro = "pro" in bare_name(model).split("-")
    if least:
        return "low" if pro else "minimal"
    if effort == "medium" and pro and generation_of(model) == (3, 0):
        return "high"
    return effort if effort in ("low", "medium") else "high"


def _budget(thinking: Thinking, model: str) -> int | None:
    """Tokens, within what the model takes."""
    name = bare_name(model)
    pro = "pro" in name.split("-")
    if is_off(thinking):
        return _PRO_BUDGETS[0] if pro else 0
    least, most = _PRO_BUDGETS if pro else _LITE_BUDGETS if "lite" in name else _FLASH_BUDGETS
    wanted = thinking.budget_tokens
    if wanted is None:
        wanted = _BUDGETS.get(thinking.effort or "")
    if wanted is None:
        return _DYNAMIC if thinking.adaptive else None
    return min(max(wanted, least), most)
