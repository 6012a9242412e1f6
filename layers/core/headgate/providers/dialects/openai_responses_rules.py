"""What of a Responses request no other dialect can say: which fields, tools and items, and why. Data only.

https://platform.openai.com/docs/api-reference/responses/create (2026-11-20).
"""

from collections.abc import Mapping

from headgate.providers.dialects.base import OPENAI_RESPONSES
from headgate.providers.dialects.carrying import RULES, FieldRule

_KEPT_BY_OPENAI = "Names what only the provider that keeps it can read."
_HOSTED = "The provider itself would have to run it."
_SAMPLING = "A means of sampling that this provider does not have; the answer is of the same kind without it."
_BOOKKEEPING = "For the provider's own records; the answer is the same."
_COST = "Steers cost or speed; the answer is the same."


def _refused(why: str, *harmless: object) -> FieldRule:
    return FieldRule(why, refused=True, harmless=harmless)


def _dropped(why: str, *harmless: object) -> FieldRule:
    return FieldRule(why, harmless=harmless)


FIELDS: Mapping[str, FieldRule] = {
    "previous_response_id": _refused(f"{_KEPT_BY_OPENAI} Send the items themselves as input."),
    "conversation": _refused(f"{_KEPT_BY_OPENAI} Send the items themselves as input."),
    "prompt": _refused(f"{_KEPT_BY_OPENAI} Send its text as instructions or input."),
    "background": _refused("This provider answers at once or not at all.", False),
    "context_management": _refused("This provider does not compact a conversation.", []),
    "moderation": _refused("Results of a moderation were asked for, and this provider makes none."),
    "top_logprobs": _refused("This provider tells no log probabilities.", 0),
    "tool_choice": _refused("This provider can't choose among tools in that way."),
    "text.format": _refused("This provider can't answer in that format."),
    "reasoning.context": _dropped("A hint about earlier thoughts; those that were sent are there.", "auto"),
    "reasoning.mode": _dropped("Thinks longer; the effort says how much.", "standard"),
    "text.verbosity": _dropped("A hint about length; the question itself says more.", "medium"),
    "max_tool_calls": _dropped("Limits tools that the provider runs, and there are none."),
    "truncation": _dropped("A prompt that is too long is refused instead.", "disabled"),
    "include": _dropped("Asks to see more of tools that the provider runs, and there are none.", []),
    "stream_options": _dropped("Padding against eavesdroppers is the provider's own affair.", {}),
    "image": _dropped("Saves context; the answer is the same or the prompt too long."),
    "store": _dropped(_BOOKKEEPING, False),
    "metadata": _dropped(_BOOKKEEPING, {}),
    "access_programs": _dropped(_BOOKKEEPING, {}),
    "service_tier": _dropped(_COST, "auto", "default"),
    "prompt_cache_key": _dropped(_COST),
    "prompt_cache_retention": _dropped(_COST, "in_memory"),
    "prompt_cache_options": _dropped(_COST, {}),
    "min_p": _dropped(_SAMPLING, 0, 0.0),
    "top_a": _dropped(_SAMPLING, 0, 0.0),
    "repetition_penalty": _dropped(_SAMPLING, 1, 1.0),
    "plugins": _refused("OpenRouter's plugins are OpenRouter's alone.", []),
    "session_id": _dropped(_BOOKKEEPING),
}
"""By the field's name; `carry` reads it as a request's extras are carried across. The last five are
OpenRouter's: https://openrouter.ai/docs/api-reference/responses (2026-11-20)."""

RULES[OPENAI_RESPONSES] = FIELDS

TOOLS: Mapping[str, str] = {
    "web_search": _HOSTED,
    "web_search_2025_08_26": _HOSTED,
    "web_search_preview": _HOSTED,
    "web_search_preview_2025_03_11": _HOSTED,
    "file_search": _HOSTED,
    "computer": "Only models trained for it can use a computer.",
    "computer_use_preview": "Only models trained for it can use a computer.",
    "code_interpreter": _HOSTED,
    "image_generation": _HOSTED,
    "mcp": _HOSTED,
    "tool_search": _HOSTED,
    "programmatic_tool_calling": _HOSTED,
    "local_shell": "Only models trained for it can use a shell in this way; offer a function.",
    "shell": "Only models trained for it can use a shell in this way; offer a function.",
    "apply_patch": "Only models trained for it can patch in this way; offer a function.",
    "custom": "Its input is free text, and functions elsewhere take JSON; offer a function.",
    "namespace": "Functions elsewhere have no namespaces; offer them one by one.",
}
"""Kinds of tools other than functions."""

ITEMS: Mapping[str, str] = {
    "item_reference": _KEPT_BY_OPENAI,
    "compaction": "Only the provider that made it can read it.",
    "compaction_trigger": "This provider does not compact a conversation.",
    "configuration_update": "This provider can't change its settings within a conversation.",
    "additional_tools": "This provider can't be offered tools within a conversation.",
    "tool_search_call": _HOSTED,
    "tool_search_output": _HOSTED,
    "web_search_call": _HOSTED,
    "file_search_call": _HOSTED,
    "code_interpreter_call": _HOSTED,
    "image_generation_call": _HOSTED,
    "mcp_list_tools": _HOSTED,
    "mcp_approval_request": _HOSTED,
    "mcp_approval_response": _HOSTED,
    "mcp_call": _HOSTED,
    "program": _HOSTED,
    "program_output": _HOSTED,
    "computer_call": TOOLS["computer"],
    "computer_call_output": TOOLS["computer"],
    "local_shell_call": TOOLS["local_shell"],
    "local_shell_call_output": TOOLS["local_shell"],
    "shell_call": TOOLS["shell"],
    "shell_call_output": TOOLS["shell"],
    "apply_patch_call": TOOLS["apply_patch"],
    "apply_patch_call_output": TOOLS["apply_patch"],
    "custom_tool_call": TOOLS["custom"],
    "custom_tool_call_output": TOOLS["custom"],
}
"""Kinds of input items other than messages, functions' calls and results, and thoughts."""

INCLUDED: Mapping[str, str] = {
    "message.output_text.logprobs": "This provider tells no log probabilities.",
}
"""What `include` may ask for that would be missed. All else it names belongs to tools, or to thoughts that
are given back as they came anyhow."""

UNKNOWN = "There is no such thing in what this provider understands."
