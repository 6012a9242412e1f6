"""What each function may do. That it may do no more than it does is test_permissions.py's."""

from typing import Any

import pytest

FUNCTIONS = ("Models", "Generations", "Accounts", "Health", "Refresh", "Usage")

EVERYWHERE = {
    ("UsageRole", "dynamodb:ListStreams"): "lists streams by table name; IAM has no narrower resource for it",
    **{
        (
            f"{function}FunctionRole",
            f"bedrock:{action}",
        ): "lists what there is; no resource is named in the call"
        for function in ("Health", "Refresh")
        for action in ("ListFoundationModels", "ListInferenceProfiles")
    },
}
"""Every `Resource: *` there is, with its reason."""

MANAGED = {
    "AWSLambdaBasicExecutionRole": "writes the function's own log",
    "AmazonAPIGatewayPushToCloudWatchLogs": "API Gateway refuses an role with less; no function has it",
}

type Statement = dict[str, Any]


def _roles(transformed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: item["Properties"] for name, item in transformed.items() if item["Type"] == "AWS::IAM::Role"
    }


def _role_of(transformed: dict[str, Any], function: str) -> str:
    role = transformed[f"{function}Function"]["Properties"]["Role"]
    name: str = role["Fn::GetAtt"][0]
    return name


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statements(role: dict[str, Any]) -> list[Statement]:
    """All that it may ever have: those that a parameter turns on, too."""
    return [
        statement
        for policy in role.get("Policies", ())
        for each in _listed(policy["PolicyDocument"]["Statement"])
        for statement in (each["Fn::If"][1:] if "Fn::If" in each else [each])
        if statement != {"Ref": "AWS::NoValue"}
    ]


def _holders(transformed: dict[str, Any], *actions: str, resource: str = "") -> set[str]:
    """The functions whose role allows one of these actions (on something named so)."""
    return {
        function.lower()
        for function in FUNCTIONS
        for statement in _statements(_roles(transformed)[_role_of(transformed, function)])
        if set(_listed(statement["Action"])) & set(actions) and resource in str(statement["Resource"])
    }


WRITES = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem")
READS = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")


def test_every_function_has_a_role_of_its_own(transformed: dict[str, Any]) -> None:
    functions = {name for name, item in transformed.items() if item["Type"] == "AWS::Lambda::Function"}
    assert functions == {f"{name}Function" for name in FUNCTIONS}
    roles = [_role_of(transformed, name) for name in FUNCTIONS]
    assert len(set(roles)) == len(FUNCTIONS)


def test_no_role_has_a_wildcard_among_its_actions(transformed: dict[str, Any]) -> None:
    for name, role in _roles(transformed).items():
        for statement in _statements(role):
            assert statement["Effect"] == "Allow"
            assert "NotAction" not in statement, name
            assert "NotResource" not in statement, name
            assert not [action for action in _listed(statement["Action"]) if "*" in action], name


def test_every_statement_names_its_resources(transformed: dict[str, Any]) -> None:
    found = {
        (name, action)
        for name, role in _roles(transformed).items()
        for statement in _statements(role)
        for action in _listed(statement["Action"])
        if "*" in _listed(statement["Resource"])
    }
    assert found == EVERYWHERE.keys()


def test_managed_policies_are_those_that_write_logs(transformed: dict[str, Any]) -> None:
    for name, role in _roles(transformed).items():
        for policy in role.get("ManagedPolicyArns", ()):
            text = policy["Fn::Sub"] if isinstance(policy, dict) else policy
            assert text.rsplit("/", 1)[-1] in MANAGED, name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_lambda_takes_on_a_function_role(transformed: dict[str, Any], function: str) -> None:
    role = _roles(transformed)[_role_of(transformed, function)]
    for statement in role["AssumeRolePolicyDocument"]["Statement"]:
        assert _listed(statement["Principal"]["Service"]) == ["lambda.amazonaws.com"]


def test_only_what_calls_providers_reads_their_keys(transformed: dict[str, Any]) -> None:
    assert _holders(transformed, "secretsmanager:GetSecretValue") == {"generations", "health", "refresh"}
    for role in _roles(transformed).values():
        for statement in _statements(role):
            if "secretsmanager:GetSecretValue" in _listed(statement["Action"]):
                assert statement["Resource"]["Fn::Sub"].endswith(":secret:headgate/*")


def test_models_of_the_account_are_called_by_generations_alone(transformed: dict[str, Any]) -> None:
    calls = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
    lists = ("bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles")
    assert _holders(transformed, *calls) == {"generations"}
    assert _holders(transformed, *lists) == {"health", "refresh"}


def test_nothing_of_the_accounts_models_is_allowed_unless_a_parameter_says_so(
    template: dict[str, Any], transformed: dict[str, Any]
) -> None:
    assert template["Parameters"]["Bedrock"]["Default"] == "off"
    assert template["Conditions"]["UsesBedrock"] == {"Fn::Equals": [{"Ref": "Bedrock"}, "on"]}
    for role in _roles(transformed).values():
        for policy in role.get("Policies", ()):
            for each in _listed(policy["PolicyDocument"]["Statement"]):
                if "bedrock:" in str(each):
                    condition, _, otherwise = each["Fn::If"]
                    assert condition == "UsesBedrock"
                    assert otherwise == {"Ref": "AWS::NoValue"}


def test_tables_are_written_by_the_functions_they_belong_to(transformed: dict[str, Any]) -> None:
    assert _holders(transformed, *WRITES, resource="AccountsTable") == {"accounts"}
    assert _holders(transformed, *WRITES, resource="GenerationsTable") == {"generations"}
    assert _holders(transformed, *WRITES, resource="CatalogTable") == {"health", "refresh", "usage"}


def test_generations_are_read_by_none_but_their_function_and_the_stream(transformed: dict[str, Any]) -> None:
    assert _holders(transformed, *READS, resource="GenerationsTable") == {"generations"}
    assert _holders(transformed, "dynamodb:GetRecords", resource="GenerationsTable") == {"usage"}


def test_one_function_starts_another_only_where_models_starts_a_refresh(transformed: dict[str, Any]) -> None:
    assert _holders(transformed, "lambda:InvokeFunction") == {"models"}
    assert _holders(transformed, "lambda:InvokeFunction", resource="RefreshFunction") == {"models"}
