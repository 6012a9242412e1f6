"""Event filters decide as Lambda's do."""

import json
from typing import Any

import pytest

from dev.filters import Filters
from dev.intrinsics import TemplateError

RECORD = {
    "eventName": "MODIFY",
    "dynamodb": {"Keys": {"sk": {"S": "REC"}}, "NewImage": {"status": {"S": "failed"}, "n": {"N": "1"}}},
}


@pytest.mark.parametrize(
    ("pattern", "let_through"),
    [
        ({}, True),
        ({"eventName": ["INSERT", "MODIFY"]}, True),
        ({"eventName": ["REMOVE"]}, False),
        ({"eventName": ["MODIFY"], "dynamodb": {"Keys": {"sk": {"S": ["REC"]}}}}, True),
        ({"eventName": ["MODIFY"], "dynamodb": {"Keys": {"sk": {"S": ["OTHER"]}}}}, False),
        ({"dynamodb": {"NewImage": {"gone": {"S": ["x"]}}}}, False),
        ({"dynamodb": {"NewImage": {"n": [{"exists": True}]}}}, True),
        ({"dynamodb": {"OldImage": [{"exists": False}]}}, True),
        ({"dynamodb": {"OldImage": [{"exists": True}]}}, False),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "RE"}]}}}}, True),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "X"}, "REC"]}}}}, True),
        ({"dynamodb": {"NewImage": {"status": {"S": [{"anything-but": ["running", "queued"]}]}}}}, True),
        ({"dynamodb": {"NewImage": {"status": {"S": [{"anything-but": "failed"}]}}}}, False),
    ],
)
def test_a_record_is_let_through_when_every_part_of_the_pattern_fits(
    pattern: dict[str, Any], let_through: bool
) -> None:
    assert Filters([json.dumps(pattern)]).let_through(RECORD) is let_through


def test_one_of_several_patterns_is_enough() -> None:
    assert Filters(['{"eventName":["REMOVE"]}', '{"eventName":["MODIFY"]}']).let_through(RECORD)


def test_without_patterns_everything_is_let_through() -> None:
    assert Filters([]).let_through(RECORD)


@pytest.mark.parametrize("pattern", ['{"n":[{"numeric":[">",1]}]}', '{"n":1}', "{", '{"n":[["x"]]}'])
def test_a_pattern_that_can_not_be_judged_is_refused(pattern: str) -> None:
    with pytest.raises(TemplateError, match="filter pattern"):
        Filters([pattern])
