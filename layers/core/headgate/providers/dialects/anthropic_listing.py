"""Anthropic's list of models, whose entries say what each model can. Pure.

https://docs.claude.com/en/api/models-list (2026-11-20), and the list of 2026-08-02. Not all entries have
`capabilities` or token limits; lifecycle and retirement are there since the autumn of 2026.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.catalog import ModelInfo, ModelStatus
from headgate.providers.base import ModelPage
from headgate.providers.dialects import listing, openai_errors
from headgate.providers.dialects.anthropic_models import ADAPTIVE, BUDGET, EFFORT_PREFIX, Claude, claude_of
from headgate.providers.dialects.canonical import canonical_id

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError)
_ALWAYS = frozenset({"streaming", "tools", "prompt_caching"})
_NAMES = {
    "structured_outputs": "structured_output",
    "code_execution": "code_execution",
    "citations": "citations",
}
_STATUS = {"deprecated": ModelStatus.DEPRECATED, "retired": ModelStatus.UNAVAILABLE}

# By the names that clients of either dialect use.
_PARAMETERS = (
    "max_tokens",
    "max_completion_tokens",
    "metadata",
    "parallel_tool_calls",
    "response_format",
    "stop",
    "stop_sequences",
    "system",
    "tool_choice",
    "tools",
    "user",
)
_SAMPLING = ("temperature", "top_k", "top_p")
_THINKING = ("output_config", "reasoning", "reasoning_effort", "thinking")


def parse_page(entries: list[Any], *, more: Any, last: Any) -> ModelPage:
    """One page. more: whether there are others; last: the id after which they begin."""
    models: list[ModelInfo] = []
    dropped: list[str] = []
    for position, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise TypeError("is not an object")
            models.append(parse_model(entry))
        except _UNREADABLE as error:
            reason = openai_errors.clean_reason(str(error))[:200] or type(error).__name__
            dropped.append(f"entry {position}: {reason}")
    following = last if more is True and isinstance(last, str) and last else None
    return ModelPage(models=tuple(models), dropped=tuple(dropped), next_page=following)


def parse_model(entry: Mapping[str, Any]) -> ModelInfo:
    """Raises ValueError for an entry without a usable id. Where it tells no abilities, its name does."""
    native_id = listing.read_id(entry)
    told = entry.get("capabilities")
    found = _told(told) if isinstance(told, dict) else _guessed(claude_of(native_id))
    return ModelInfo(
        id=f"anthropic/{native_id}",
        canonical_id=canonical_id("anthropic", native_id),
        provider="anthropic",
        name=listing.read_text(entry.get("display_name")) or native_id,
        input_modalities=_inputs(found),
        capabilities=found | _ALWAYS,
        supported_parameters=_parameters(found, native_id),
        context_window=listing.read_tokens(entry.get("max_input_tokens")),
        max_output_tokens=listing.read_tokens(entry.get("max_tokens")),
        status=_STATUS.get(str(entry.get("lifecycle")), ModelStatus.AVAILABLE),
        expires_at=listing.read_moment(entry.get("retires_at")),
        created_at=listing.read_moment(entry.get("created_at")),
    )


def _told(capabilities: Mapping[str, Any]) -> frozenset[str]:
    found = {name for key, name in _NAMES.items() if _supported(capabilities.get(key))}
    if _supported(capabilities.get("image_input")):
        found.add("vision")
    if _supported(capabilities.get("pdf_input")):
        found.add("pdf_input")
    tools = listing.read_object(capabilities.get("server_tools"))
    if _supported(tools.get("web_search")):
        found.add("web_search")
    thinking = listing.read_object(capabilities.get("thinking"))
    if _supported(thinking):
        types = listing.read_object(thinking.get("types"))
        found.add("reasoning")
        found |= {ADAPTIVE} if _supported(types.get("adaptive")) else set()
        found |= {BUDGET} if _supported(types.get("enabled")) else set()
    effort = listing.read_object(capabilities.get("effort"))
    if _supported(effort):
        words = (word for word in effort if isinstance(effort[word], dict) and _supported(effort[word]))
        found |= {f"{EFFORT_PREFIX}{word}" for word in words if word.isidentifier()}
    return frozenset(found)


def _guessed(claude: Claude) -> frozenset[str]:
    """All that are still served see, and read PDF."""
    found = {"vision", "pdf_input"}
    if claude.thinks:
        found.add("reasoning")
    return frozenset(found)


def _supported(value: Any) -> bool:
    return isinstance(value, dict) and value.get("supported") is True


def _inputs(found: frozenset[str]) -> tuple[str, ...]:
    seen = ("image",) if "vision" in found else ()
    return ("text", *seen, "file") if "pdf_input" in found else ("text", *seen)


def _parameters(found: frozenset[str], native_id: str) -> tuple[str, ...]:
    thinks = "reasoning" in found
    samples = BUDGET in found if found & {ADAPTIVE, BUDGET} else claude_of(native_id).samples
    return tuple(sorted((*_PARAMETERS, *(_SAMPLING if samples else ()), *(_THINKING if thinks else ()))))
