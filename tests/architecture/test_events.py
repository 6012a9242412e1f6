"""What runs without a caller: schedules and the stream."""

import json
from typing import Any

import pytest

from dev.template import Stack
from headgate.aws.codec import KEYS
from headgate.domain.generation import GenerationStatus

SCHEDULES = {
    "refresh": ("RefreshFunctionSchedule", {"task": "refresh"}, "RefreshSchedule"),
    "health": ("HealthFunctionSchedule", {"task": "check_health"}, "HealthSchedule"),
    "sweep": ("SweepFunctionSchedule", {"task": "sweep"}, "SweepSchedule"),
}

NAMES = ("Name", "LogGroupName", "TableName", "QueueName", "RoleName", "AliasName")
"""Properties by which a resource may be given a name that is the account's."""


@pytest.mark.parametrize("function", SCHEDULES)
def test_a_schedule_sends_its_task_and_gives_up_in_time_for_the_next(
    transformed: dict[str, Any], function: str
) -> None:
    name, payload, parameter = SCHEDULES[function]
    schedule = transformed[name]["Properties"]
    target = schedule["Target"]
    assert schedule["ScheduleExpression"] == {"Ref": parameter}
    assert schedule.get("State", "ENABLED") == "ENABLED"
    assert json.loads(target["Input"]) == payload
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 300
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}


@pytest.mark.parametrize("function", SCHEDULES)
def test_the_next_run_is_the_retry(transformed: dict[str, Any], function: str) -> None:
    """Lambda would otherwise run a failed asynchronous invocation twice more, over up to six hours."""
    config = transformed[f"{function.capitalize()}FunctionEventInvokeConfig"]["Properties"]
    assert config["MaximumRetryAttempts"] == 0
    assert config["MaximumEventAgeInSeconds"] <= 300


def test_nothing_has_a_name_that_two_stacks_would_share(template: dict[str, Any]) -> None:
    named = [
        str(value) for resource in template["Resources"].values() for value in _values_of(resource, NAMES)
    ]
    assert named
    assert not [name for name in named if "${AWS::StackName}" not in name]


def test_only_the_functions_with_a_schedule_have_one(stack: Stack) -> None:
    assert {spec.name for spec in stack.functions if spec.schedules} == SCHEDULES.keys()


def test_the_stream_brings_every_outcome_and_nothing_unfinished(stack: Stack) -> None:
    (stream,) = stack.function("usage").streams
    pattern, keys = map(json.loads, stream.filters)
    wanted = set(pattern["dynamodb"]["NewImage"]["status"]["S"])
    assert wanted == set(GenerationStatus) - {GenerationStatus.QUEUED, GenerationStatus.RUNNING}
    assert pattern["eventName"] == ["INSERT", "MODIFY"]  # expiry is a REMOVE
    assert keys == {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [KEYS]}}}}


def test_a_record_that_can_not_be_counted_is_set_aside(transformed: dict[str, Any]) -> None:
    mapping = transformed["UsageFunctionGenerations"]["Properties"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert 0 < mapping["MaximumRetryAttempts"] <= 10
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    queue = transformed["DeadLetters"]["Properties"]
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 86_400


def _values_of(value: Any, keys: tuple[str, ...]) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in _values_of(item, keys)]
    if not isinstance(value, dict):
        return []
    own = [item for key, item in value.items() if key in keys]
    return own + [found for item in value.values() for found in _values_of(item, keys)]
