"""Where servers that speak chat completions differ."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTraits:
    """What one server understands beyond OpenAI's own fields, as far as it matters to translated requests.

    max_tokens: by which name it takes the limit. thinking: by which field it is told how much to think;
    None for one that is not told. thinks_only: only models with the capability `reasoning` may be told.
    history: how earlier thoughts are given back, None for not at all. sampling: names beyond OpenAI's own.
    cache_control: it takes Anthropic's cache marks. tool_media: it takes images within tool results.
    any_media: it takes documents by URL, and video. plain_content: it takes texts as strings alone.
    """

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    thinking: Literal["reasoning_effort", "reasoning", "thinking"] | None = "reasoning_effort"
    thinks_only: bool = False
    history: Literal["reasoning_content", "reasoning_details"] | None = None
    sampling: frozenset[str] = field(default_factory=frozenset)
    cache_control: bool = False
    tool_media: bool = False
    any_media: bool = False
    plain_content: bool = False
