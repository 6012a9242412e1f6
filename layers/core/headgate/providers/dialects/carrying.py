"""Request fields that a conversation has no place for: which are refused across dialects, and which left out.

One table for each dialect that callers speak, so that the same field has the same fate with every provider.
Refused is what would make another answer of it (`n`, `logprobs`); left out, and named in `call.dropped`, is
what only steers cost, speed or bookkeeping. A field in no table goes to the provider as it is: it may be one
of the provider's own, and if it isn't, the provider says so.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.domain.conversation import Conversation
from headgate.domain.errors import FieldError
from headgate.providers.base import ChatCall
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, CannotCarry


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What becomes of one field. harmless: values that ask for nothing, so that nothing is said of them."""

    why: str
    refused: bool = False
    harmless: tuple[Any, ...] = ()


def _refused(why: str, *harmless: Any) -> FieldRule:
    return FieldRule(why, refused=True, harmless=harmless)


def _dropped(why: str, *harmless: Any) -> FieldRule:
    return FieldRule(why, harmless=harmless)


_SAMPLING = "A means of sampling that this provider does not have; the answer is of the same kind without it."
_BOOKKEEPING = "For the provider's own records; the answer is the same."
_COST = "Steers cost or speed; the answer is the same."
_SEARCH = "Asks for a search that this provider would not do."

# https://platform.openai.com/docs/api-reference/chat/create (2026-11-20), and what OpenRouter adds to it:
# https://openrouter.ai/docs/api-reference/parameters (2026-11-20).
_OPENAI_CHAT: Mapping[str, FieldRule] = {
    "n": _refused("More than one answer can't be asked of this provider.", 1),
    "logprobs": _refused("This provider tells no log probabilities.", False),
    "top_logprobs": _refused("This provider tells no log probabilities.", 0),
    "logit_bias": _refused("This provider can't favour or forbid tokens.", {}),
    "modalities": _refused("This provider answers in text alone.", ["text"]),
    "audio": _refused("This provider answers in text alone."),
    "web_search_options": _refused(_SEARCH),
    "plugins": _refused("OpenRouter's plugins are OpenRouter's alone.", []),
    "moderation": _refused("Results of a moderation were asked for, and this provider makes none."),
    "tool_choice": _refused("This provider can't choose among tools in that way."),
    "response_format": _refused("This provider can't answer in that format."),
    "preset": _refused("OpenRouter's presets are OpenRouter's alone."),
    "route": _dropped("The gateway fails over by itself.", "fallback"),
    "transforms": _dropped(_COST, []),
    "prediction": _dropped(_COST),
    "service_tier": _dropped(_COST, "auto", "default"),
    "prompt_cache_key": _dropped(_COST),
    "prompt_cache_retention": _dropped(_COST),
    "stream_options": _dropped("The gateway asks for usage by itself.", {"include_usage": True}),
    "usage": _dropped("The gateway asks for usage by itself.", {"include": True}),
    "store": _dropped(_BOOKKEEPING, False),
    "metadata": _dropped(_BOOKKEEPING, {}),
    "safety_identifier": _dropped(_BOOKKEEPING),
    "session_id": _dropped(_BOOKKEEPING),
    "verbosity": _dropped("A hint about length; the question itself says more.", "medium"),
    "min_p": _dropped(_SAMPLING, 0, 0.0),
    "top_a": _dropped(_SAMPLING, 0, 0.0),
    "repetition_penalty": _dropped(_SAMPLING, 1, 1.0),
}

# https://docs.claude.com/en/api/messages and its beta form (2026-11-20).
_ANTHROPIC_MESSAGES: Mapping[str, FieldRule] = {
    "container": _refused("Containers are Anthropic's alone."),
    "mcp_servers": _refused("This provider would not call MCP servers.", []),
    "tool_choice": _refused("This provider can't choose among tools in that way."),
    "output_format": _refused("This provider can't answer in that format."),
    "inference_geo": _refused("This provider promises no place where it computes."),
    "context_management": _dropped("Saves context; the answer is the same or the prompt too long."),
    "cache_control": _dropped(_COST),
    "service_tier": _dropped(_COST, "auto", "standard_only"),
    "speed": _dropped(_COST, "standard"),
    "output_config.task_budget": _dropped("Tells the model to be brief in its work; it works on without."),
    "metadata": _dropped(_BOOKKEEPING, {}),
}

_LONGEST_KIND = 60

RULES: dict[str, Mapping[str, FieldRule]] = {
    OPENAI_CHAT: _OPENAI_CHAT,
    ANTHROPIC_MESSAGES: _ANTHROPIC_MESSAGES,
}
"""By the caller's dialect, then by the field's name."""


def carry(extras: Mapping[str, Any], call: ChatCall, *, own: Collection[str] = ()) -> dict[str, Any]:
    """The extras that go to the provider as they are; the others are refused, or noted in `call.dropped`.

    own: names that the back can say after all, whatever the table has; they are among what is returned.
    See `Conversation.extras` for names with brackets. Raises CannotCarry naming every field that is refused.
    """
    rules = RULES.get(call.dialect, {})
    kept: dict[str, Any] = {}
    refused: list[FieldError] = []
    for name, value in extras.items():
        rule = rules.get(name)
        if name in own or (rule is None and "[" not in name):
            kept[name] = value
        elif rule is None and "[]" not in name:
            why = f"{_kind_of(value)}has no place in what this provider understands."
            refused.append(FieldError(name, why))
        elif rule is not None and (value is None or value in rule.harmless):
            continue
        elif rule is not None and rule.refused:
            refused.append(FieldError(name, rule.why))
        else:
            drop(call, name)
    if refused:
        raise CannotCarry("; ".join(f"{e.field}: {e.message}" for e in refused[:5]), errors=refused)
    return kept


def _kind_of(value: Any) -> str:
    kind = value.get("type") if isinstance(value, Mapping) else None
    return f"({kind}) " if isinstance(kind, str) and len(kind) <= _LONGEST_KIND else ""


def note_idle_choice(conversation: Conversation, call: ChatCall) -> None:
    """Notes a tool that must be called, though none is there: some would refuse it, others not hear it."""
    choice = conversation.tool_choice
    if choice is not None and choice.mode in ("required", "tool") and not conversation.tools:
        drop(call, "tool_choice")


def drop_sampling(conversation: Conversation, call: ChatCall, *names: str) -> None:
    """Notes those that were asked for. Zero asks for nothing, but for a seed, which it is like any other."""
    for name in names:
        if getattr(conversation, name) or (name == "seed" and conversation.seed is not None):
            drop(call, name)


def drop(call: ChatCall, name: str) -> None:
    """Notes once that a field is left out."""
    if name not in call.dropped:
        call.dropped.append(name)


MOVED_INSTRUCTIONS = "messages[].role"
"""Noted where instructions amid a chat go to the others at its head, for want of a place of their own."""

CITATIONS = "citations"
"""Where a text is from: the one kind of thing in answers that all dialects have, each in a way of its own."""


type LeftOut = Callable[[str], None]
"""Told the kind of each thing in an answer that other dialects have no place for."""


def unheard(_kind: str) -> None:
    """For answers that are handed through: nothing is left out of those."""


def drop_output(call: ChatCall, kind: str) -> None:
    """Notes once that something in the answer is left out; its kind is the provider's word, or `CITATIONS`.

    Of a stream it may be too late for a header; then only whole answers tell.
    """
    known = kind.isascii() and kind.replace("_", "").isalnum() and len(kind) <= _LONGEST_KIND
    drop(call, f"output.{kind if known else 'unknown'}")
