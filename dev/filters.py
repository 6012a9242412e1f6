"""Which records of a stream a function is given: Lambda's event filtering. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html (2026-11-20). Of its operators,
equality, `prefix`, `exists` and `anything-but` are understood here; others are refused rather than ignored.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dev.intrinsics import TemplateError

_OPERATORS = frozenset({"prefix", "exists", "anything-but"})
_ABSENT = object()


class Filters:
    """Lets a record through when one of the patterns matches it, or when there are none."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises TemplateError for a pattern that can't be judged here."""
        try:
            self._patterns = [json.loads(text) for text in patterns]
        except ValueError as error:
            raise TemplateError(f"a filter pattern is not valid JSON: {error}") from error
        for pattern in self._patterns:
            _check(pattern)

    def let_through(self, record: Mapping[str, Any]) -> bool:
        return not self._patterns or any(_matches(pattern, record) for pattern in self._patterns)


def _check(pattern: Any) -> None:
    if isinstance(pattern, dict):
        for inner in pattern.values():
            _check(inner)
    elif not isinstance(pattern, list) or not all(_is_rule(rule) for rule in pattern):
        raise TemplateError(f"a filter pattern holds {json.dumps(pattern)}, which is not understood here")


def _is_rule(rule: Any) -> bool:
    if isinstance(rule, dict):
        return len(rule) == 1 and rule.keys() <= _OPERATORS
    return not isinstance(rule, list)


def _matches(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, dict):
        inside = value if isinstance(value, Mapping) else {}
        return all(_matches(inner, inside.get(key, _ABSENT)) for key, inner in pattern.items())
    return any(_fits(rule, value) for rule in pattern)


def _fits(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return bool(rule == value)
    ((operator, operand),) = rule.items()
    if operator == "exists":
        return bool(operand) is (value is not _ABSENT)
    if value is _ABSENT:
        return False
    if operator == "prefix":
        return isinstance(value, str) and value.startswith(operand)
    return value not in (operand if isinstance(operand, list) else [operand])
