"""How much a model on Bedrock is to think: Claude by a budget, gpt-oss and Nova by a word. Pure.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html and, for Claude,
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html (2026-11-20).
"""

from typing import Any

from headgate.domain.conversation import Conversation, Thinking
from headgate.providers.base import ChatCall
from headgate.providers.dialects.bedrock_families import base_name, claude_version, is_claude
from headgate.providers.dialects.carrying import drop
from headgate.providers.dialects.thinking import budget_of, effort_of, is_off

_LEAST_BUDGET = 1024
_DEFAULT_BUDGET = 8192
"""Where Claude is asked to think, with no word of how much, and can't decide itself."""
_ADAPTS_SINCE = (4, 6)
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
    """Claude does not think while a tool is forced on it, nor with fewer tokens than the least budget."""
    name, choice = base_name(call.model), conversation.tool_choice
    if is_off(thinking):
        return {}
    forced = choice is not None and choice.mode in ("required", "tool") and bool(conversation.tools)
    thinks = claude_version(call.model) >= (4, 0) or "claude-3-7" in name
    room = conversation.max_tokens
    if not thinks or forced or (room is not None and room <= _LEAST_BUDGET):
        drop(call, "thinking")
        return {}
    budget = budget_of(thinking)
    if budget is None and claude_version(call.model) >= _ADAPTS_SINCE:
        return {"thinking": {"type": "adaptive"}}
    budget = max(_LEAST_BUDGET, budget if budget is not None else _DEFAULT_BUDGET)
    if room is not None:
        budget = min(budget, room - 1)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}
