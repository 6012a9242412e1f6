"""What each Claude takes of thinking and sampling: by what the catalogue tells of it, else by its name. Pure.

Models refuse what they don't take: https://platform.claude.com/docs/en/build-with-claude/thinking, and effort
beside it (2026-11-20). The list of models says it of each in its `capabilities` (2026-08-02).
"""

import re
from dataclasses import dataclass

from headgate.domain.catalog import ModelInfo
from headgate.providers.dialects.thinking import EFFORTS

ADAPTIVE = "adaptive_thinking"
BUDGET = "thinking_budget"
EFFORT_PREFIX = "effort_"
"""Capabilities of a model, as `providers/anthropic.py` puts them into the catalogue."""

_NAME = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_RISING = ("low", "medium", "high", "xhigh", "max")
_EFFORTS = frozenset({"low", "medium", "high"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claude:
    """What one model takes.

    adaptive: it can decide by itself how much to think. budget: it can be given tokens to think with.
    efforts: words it knows for how hard to work. samples: temperature, top_p and top_k may be set.
    hides: it does not show its thoughts unless asked. thinks_unasked: it may think unless told not to.
    """

    adaptive: bool = True
    budget: bool = False
    efforts: frozenset[str] = _EFFORTS | {"xhigh", "max"}
    samples: bool = False
    hides: bool = True
    thinks_unasked: bool = True

    @property
    def thinks(self) -> bool:
        return self.adaptive or self.budget

    def effort(self, word: str) -> str:
        """The word of its own that comes closest to one of ours without asking for more, if there is one."""
        known = [each for each in _RISING if each in (self.efforts or _EFFORTS)]
        lower = [each for each in known if EFFORTS.index(each) <= EFFORTS.index(word)]
        return lower[-1] if lower else known[0]


def claude_of(model: str, info: ModelInfo | None = None) -> Claude:
    """A name that tells no version is taken for a new model, as old ones do."""
    found = _by_version(_version(model))
    told = info.capabilities if info is not None else frozenset[str]()
    if not told & {ADAPTIVE, BUDGET}:
        return found
    efforts = {name.removeprefix(EFFORT_PREFIX) for name in told if name.startswith(EFFORT_PREFIX)}
    return Claude(
        adaptive=ADAPTIVE in told,
        budget=BUDGET in told,
        efforts=frozenset(efforts),
        samples=BUDGET in told,
        hides=BUDGET not in told,
        thinks_unasked=found.thinks_unasked,
    )


def _version(model: str) -> tuple[int, int]:
    match = _NAME.search(model.lower())
    if match is None:
        return (99, 0)
    return int(match[2]), int(match[3] or 0)


def _by_version(version: tuple[int, int]) -> Claude:
    """Since 4.7 no budgets and no sampling; adaptive since 4.6; budgets since 3.7."""
    if version >= (5, 0):
        return Claude()
    if version >= (4, 7):
        return Claude(thinks_unasked=False)
    old = {"samples": True, "hides": False, "thinks_unasked": False}
    if version >= (4, 6):
        return Claude(budget=True, efforts=_EFFORTS | {"max"}, **old)
    return Claude(adaptive=False, budget=version >= (3, 7), efforts=frozenset(), **old)
