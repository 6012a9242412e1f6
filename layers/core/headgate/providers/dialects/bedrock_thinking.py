"""How much a model on Bedrock is to think: Claude by a budget, gpt-oss and Nova by a word. Pure.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html and, for Claude,
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html (2026-11-20).
"""

from typing import Any

from headgate.domain.conversation import Conversation, Thinking
from headgate.providers.base import ChatCall
from headgate.providers.dialects.anthropic_models import Claude, claude_of
from headgate.providers.dialects.bedrock_families import base_name, is_claude
from headgate.providers.dialects.carrying import drop
from headgate.providers.dialects.thinking import budget_of, effort_of, is_off

_LEAST_BUDGET = 1024
_DEFAULT_BUDGET = 8192
"""Where Claude is asked to think, with no word of how much, and can't decide itself."""
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def write_thinking(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    """Fields of the model's own; empty where there is nothing to say, or the model can't be told."""
    thinking = conversation.thinking
    if thinking is None:
        return {}
    name = base_name(call.model)
    if is_claude(call.model):
        return _of_claude(thinking, conversation, call)
    if is_off(thinking) and not name.startswith("openai.gpt-oss"):
        return {}
    level = _LEVELS.get("low" if is_off(thinking) else effort_of(thinking) or "medium", "medium")
    if name.startswith("openai.gpt-oss"):
        return {"reasoning_effort": level}
    if name.startswith("amazon.nova-2"):
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}
    drop(call, "thinking")
    return {}


def _of_claude(thinking: Thinking, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    """Since 4.7 only as much as it decides itself, and is not told to stop; before 4.6 only by a budget.

    https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html (2026-11-21).
    By a budget Claude does not think while a tool is forced on it, nor with fewer tokens than the least one.
    """
    claude, choice = claude_of(base_name(call.model)), conversation.tool_choice
    if is_off(thinking):
        return {}
    if claude.adaptive and (thinking.budget_tokens is None or not claude.budget):
        return _adaptive(thinking, claude)
    forced = choice is not None and choice.mode in ("required", "tool") and bool(conversation.tools)
    budget = _budget(thinking, conversation.max_tokens) if claude.budget else None
    if budget is None or forced:
        drop(call, "thinking")
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _adaptive(thinking: Thinking, claude: Claude) -> dict[str, Any]:
    written: dict[str, Any] = {"thinking": {"type": "adaptive"}}
    if thinking.visible and claude.hides:
        written["thinking"]["display"] = "summarized"
    effort = effort_of(thinking)
    if effort is not None:
        written["output_config"] = {"effort": claude.effort(effort)}
    return written


def _budget(thinking: Thinking, room: int | None) -> int | None:
    """A budget that leaves a fifth of the limit to the answer; None where too little is left to think."""
    budget = max(_LEAST_BUDGET, budget_of(thinking) or _DEFAULT_BUDGET)
    if room is None:
        return budget
    budget = max(_LEAST_BUDGET, min(budget, room * 4 // 5))
    return budget if budget < room else None
