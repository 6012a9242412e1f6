"""The rules by which genai-prices finds a model: clauses about its id. Pure.

https://github.com/pydantic/genai-prices (2026-11): `equals`, `starts_with`, `ends_with`, `contains`, `regex`,
and `or` and `and` over lists of these.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_MAX_MATCHED_CHARS = 128
_MAX_PATTERN_CHARS = 200
_MAX_OPEN_REPEATS = 2
_MAX_DEPTH = 8
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_OPEN_REPEAT = re.compile(r"[*+]|\{\d*,")


def matches(rule: Mapping[str, Any], text: str, *, depth: int = 0) -> bool:
    """Whether the rule speaks of this id; false for one that can't be understood, or is absurdly deep."""
    return depth <= _MAX_DEPTH and any(
        _clause_matches(kind, wanted, text, depth + 1) for kind, wanted in rule.items()
    )


def named_ids(rule: Mapping[str, Any]) -> frozenset[str]:
    """The ids that a rule names outright, so that they can be looked up; empty where it says more."""
    alternatives = rule.get("or")
    clauses = alternatives if isinstance(alternatives, list) else [rule]
    named = [each.get("equals") for each in clauses if isinstance(each, dict) and len(each) == 1]
    plain = len(rule) == 1 and len(named) == len(clauses) and all(isinstance(each, str) for each in named)
    return frozenset(str(each) for each in named) if plain else frozenset()


def _clause_matches(kind: str, wanted: Any, text: str, depth: int) -> bool:
    if kind in ("or", "and"):
        clauses = wanted if isinstance(wanted, list) else []
        found = [isinstance(each, dict) and matches(each, text, depth=depth) for each in clauses]
        return any(found) if kind == "or" else bool(found) and all(found)
    test = _TESTS.get(kind)
    return test is not None and isinstance(wanted, str) and wanted != "" and test(text, wanted)


def _found(text: str, pattern: str) -> bool:
    """Patterns come from elsewhere: one that could keep a processor busy for hours is not tried."""
    if len(text) > _MAX_MATCHED_CHARS or len(pattern) > _MAX_PATTERN_CHARS:
        return False
    if _REPEATED_GROUP.search(pattern) or len(_OPEN_REPEAT.findall(pattern)) > _MAX_OPEN_REPEATS:
        return False
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
    "regex": _found,
}
