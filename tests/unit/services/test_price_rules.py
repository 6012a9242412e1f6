"""Rules for ids come from elsewhere: what they say is done, what they might do to us is not."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.services.price_rules import matches, named_ids


@pytest.mark.parametrize(
    ("rule", "fits", "fits_not"),
    [
        ({"equals": "gpt-4o"}, "gpt-4o", "gpt-4o-mini"),
        ({"starts_with": "gpt-4o"}, "gpt-4o-mini", "my-gpt-4o"),
        ({"ends_with": "-latest"}, "codex-latest", "latest-codex"),
        ({"contains": "claude-v2"}, "anthropic.claude-v2:1", "claude-2"),
        ({"regex": r"^gpt-5\.6-\d{4}-\d{2}-\d{2}$"}, "gpt-5.6-2026-07-01", "gpt-5x6-2026-07-01"),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", "c"),
        ({"and": [{"starts_with": "a"}, {"contains": "z"}]}, "abz", "ab"),
        ({"or": [{"and": [{"contains": "x"}, {"contains": "y"}]}, {"equals": "q"}]}, "yx", "x"),
    ],
)
def test_a_rule_fits_what_it_says(rule: dict[str, Any], fits: str, fits_not: str) -> None:
    assert matches(rule, fits)
    assert not matches(rule, fits_not)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"equals": ""},
        {"contains": ""},
        {"equals": None},
        {"starts_with": ["gpt"]},
        {"resembles": "gpt-4o"},
        {"regex": "("},
        {"regex": "*"},
        {"or": []},
        {"and": []},
        {"or": "gpt-4o"},
        {"and": [None, 7]},
        {"and": [{"equals": "gpt-4o"}, "gpt-4o"]},
    ],
)
def test_a_rule_that_can_not_be_understood_fits_nothing(rule: dict[str, Any]) -> None:
    assert not matches(rule, "gpt-4o")


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "([a-z]+)*x", "(a{1,9}){1,9}x", "a*a*a*a*a*a*b", ".*.*.*.*=", "x" * 300]
)
def test_a_pattern_that_would_keep_us_busy_is_not_tried(pattern: str) -> None:
    started_s = time.monotonic()
    assert not matches({"regex": pattern}, "a" * 100)
    assert time.monotonic() - started_s < 0.5


def test_an_absurdly_deep_rule_fits_nothing() -> None:
    rule: dict[str, Any] = {"equals": "a"}
    for _ in range(2000):
        rule = {"or": [rule]}
    assert not matches(rule, "a")


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        ({"equals": "a"}, {"a"}),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, {"a", "b"}),
        ({"or": [{"equals": "a"}, {"starts_with": "b"}]}, set()),
        ({"or": [{"equals": "a"}, {"equals": 7}]}, set()),
        ({"starts_with": "a"}, set()),
        ({"equals": "a", "contains": "b"}, set()),
        ({"and": [{"equals": "a"}]}, set()),
        ({"or": []}, set()),
        ({}, set()),
    ],
)
def test_ids_are_named_only_where_nothing_else_is_said(rule: dict[str, Any], ids: set[str]) -> None:
    assert named_ids(rule) == ids


CLAUSES = st.recursive(
    st.one_of(
        st.dictionaries(
            st.sampled_from(["equals", "starts_with", "ends_with", "contains", "regex"]),
            st.sampled_from(["a", "b", "ab", "", "a.", "(", None, 7]),
            min_size=1,
            max_size=2,
        ),
        st.just({}),
        st.none(),
    ),
    lambda inner: st.dictionaries(
        st.sampled_from(["or", "and"]), st.lists(inner, max_size=3), min_size=1, max_size=1
    ),
    max_leaves=8,
)


@given(rule=CLAUSES, text=st.text("ab", max_size=3))
def test_what_a_rule_names_outright_is_what_it_fits(rule: Any, text: str) -> None:
    if isinstance(rule, dict) and (ids := named_ids(rule) - {""}):
        assert matches(rule, text) == (text in ids)
