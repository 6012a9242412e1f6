"""What a compatible server says that it takes of Anthropic's messages.

Such servers take any JSON and leave out what they don't know, without a word. So a request is handed through
to one only if its own description has all that the request says; else it is translated, where what can't be
said is refused or named. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.providers.dialects.base import ANTHROPIC_MESSAGES
from headgate.providers.dialects.carrying import RULES

# Fields that are read into a conversation; with those of the table, all that translation knows the fate of.
_READ = frozenset(
    {
        "max_tokens",
        "messages",
        "model",
        "output_config",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_JUDGED = _READ | {name for name in RULES[ANTHROPIC_MESSAGES] if "." not in name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One server's description.

    roles: whose turns it takes. sources: from where it takes images and documents. tools, blocks: by kind,
    what one may hold beside its `type`; a tool without a kind is `custom`.
    """

    fields: frozenset[str]
    roles: frozenset[str]
    tools: Mapping[str, frozenset[str]]
    blocks: Mapping[str, frozenset[str]]
    sources: frozenset[str]

    def takes(self, body: Mapping[str, Any]) -> bool:
        """Whether a request says only what is described.

        A field that translation does not know either is no reason against: as everywhere, it is sent on as it
        is. What is of the wrong shape is not described, so that translation says what is wrong with it.
        """
        said = {name for name, value in body.items() if value is not None}
        return (
            not (said & _JUDGED) - self.fields
            and self._takes_content(body.get("system"))
            and _all(body.get("tools"), self._takes_tool)
            and isinstance(body.get("messages"), list)
            and _all(body["messages"], self._takes_turn)
        )

    def _takes_turn(self, turn: Mapping[str, Any]) -> bool:
        return _word(turn.get("role")) in self.roles and self._takes_content(turn.get("content"))

    def _takes_content(self, content: Any) -> bool:
        return isinstance(content, str) or _all(content, self._takes_block)

    def _takes_tool(self, tool: Mapping[str, Any]) -> bool:
        kind = tool.get("type")
        return _holds(tool, self.tools.get("custom" if kind is None else _word(kind)))

    def _takes_block(self, block: Mapping[str, Any]) -> bool:
        """A block and what is within it."""
        within = _within(block)
        return self._takes_flat(block) and (isinstance(within, str) or _all(within, self._takes_innermost))

    def _takes_innermost(self, block: Mapping[str, Any]) -> bool:
        """Nobody describes more than two levels, and a request may have any number."""
        return _within(block) is None and self._takes_flat(block)

    def _takes_flat(self, block: Mapping[str, Any]) -> bool:
        source = block.get("source")
        found = not isinstance(source, Mapping) or _word(source.get("type")) in self.sources
        return found and _holds(block, self.blocks.get(_word(block.get("type"))))


def _within(block: Mapping[str, Any]) -> Any:
    """What a tool's result, or a document made of blocks, is made of; else None."""
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") == "content":
        return source.get("content")
    return block.get("content") if block.get("type") == "tool_result" else None


def _word(value: Any) -> str:
    """A text; empty, which is the name of nothing, for whatever else a request has there."""
    return value if isinstance(value, str) else ""


def _holds(value: Mapping[str, Any], known: frozenset[str] | None) -> bool:
    """Whether a tool or block of a described kind holds what is described, and no more."""
    said = {name for name, each in value.items() if each is not None}
    return known is not None and said <= known | {"type"}


def _all(values: Any, takes: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether there is nothing, or a list of objects which are all taken."""
    if values is None:
        return True
    return isinstance(values, list) and all(isinstance(each, Mapping) and takes(each) for each in values)
