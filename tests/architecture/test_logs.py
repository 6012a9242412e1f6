"""What is logged, for how long, and what never is."""

import json
from typing import Any

import pytest

FUNCTIONS = (
    *("Models", "Generations", "Connections", "Deliver", "Accounts", "Health"),
    *("Refresh", "Usage", "Sweep"),
)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_json_into_its_own_group_for_as_long_as_the_stack_says(
    transformed: dict[str, Any], function: str
) -> None:
    logging = transformed[f"{function}Function"]["Properties"]["LoggingConfig"]
    assert logging["LogGroup"] == {"Ref": f"{function}LogGroup"}
    assert logging["LogFormat"] == "JSON"
    assert logging["ApplicationLogLevel"] == {"Ref": "LogLevel"}
    group = transformed[f"{function}LogGroup"]["Properties"]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_no_log_group_lives_for_ever(transformed: dict[str, Any]) -> None:
    groups = [item["Properties"] for item in transformed.values() if item["Type"] == "AWS::Logs::LogGroup"]
    assert len(groups) == len(FUNCTIONS) + 1
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups)


def test_the_access_log_is_json_and_holds_nothing_a_caller_may_have_hidden(
    transformed: dict[str, Any],
) -> None:
    condition, setting, _ = transformed["ApiStage"]["Properties"]["AccessLogSetting"]["Fn::If"]
    assert condition == "LogsAccess"
    fields = json.loads(setting["Format"])
    assert {"request_id", "status", "route", "latency_ms"} <= fields.keys()
    # A path may hold a callback's token, a query anything, a header a key.
    secretive = ("$context.path", "$context.querystring", "header", "$context.authorizer", "apiKey", "$input")
    assert not [name for name in secretive if name.lower() in setting["Format"].lower()]


def test_api_gateway_never_logs_headers_or_bodies(transformed: dict[str, Any]) -> None:
    for settings in transformed["ApiStage"]["Properties"]["MethodSettings"]:
        assert settings["LoggingLevel"] == "OFF"
        assert settings["DataTraceEnabled"] is False


def test_the_account_wide_log_role_outlives_the_stack_that_made_it(transformed: dict[str, Any]) -> None:
    for name in ("ApiAccessLogAccount", "ApiAccessLogRole"):
        assert transformed[name]["DeletionPolicy"] == "Retain"
        assert transformed[name]["Condition"] == "SetsAccessLogRole"
