"""What each function may do. That it may do no more than it does is test_permissions.py's."""

import re
from pathlib import Path
from typing import Any

import pytest

FUNCTIONS = (
    *("Models", "Generations", "Connections", "Deliver", "Accounts", "Health"),
    *("Refresh", "Usage", "Sweep"),
)

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


SEALED = {"connection", "webhook"}
"""What secrets are sealed for."""


def _purposes(statement: Statement) -> set[str]:
    ((test, keys),) = statement["Condition"].items()
    assert (test, *keys) == ("StringEquals", "kms:EncryptionContext:purpose")
    return set(_listed(*keys.values()))


def test_a_users_key_is_opened_where_providers_are_called_and_a_webhooks_secret_where_it_is_told(
    transformed: dict[str, Any],
) -> None:
    opened = {
        function.lower(): _purposes(statement)
        for function in FUNCTIONS
        for statement in _statements(_roles(transformed)[_role_of(transformed, function)])
        if "kms:Decrypt" in _listed(statement["Action"])
    }
    calling: dict[str, set[str]] = {name: {"connection"} for name in ("generations", "health", "refresh")}
    assert opened == {**calling, "deliver": {"webhook"}}


def test_who_sends_to_webhooks_reads_users_rows_and_writes_nothing_but_audit(
    transformed: dict[str, Any],
) -> None:
    role = _statements(_roles(transformed)[_role_of(transformed, "Deliver")])
    for statement in role:
        if "ConnectionsTable" in str(statement["Resource"]):
            assert _listed(statement["Action"]) == ["dynamodb:Query"]
            assert statement["Condition"] == {"ForAllValues:StringLike": {LEADING: ["USER#*"]}}
    tables = {"AccountsTable", "ConnectionsTable", "ConnectionsKey"}
    assert {statement["Resource"]["Fn::GetAtt"][0] for statement in role} == tables


def test_who_takes_a_users_key_in_can_seal_it_and_open_none(transformed: dict[str, Any]) -> None:
    assert _holders(transformed, "kms:Encrypt") == {"connections"}
    assert "connections" not in _holders(transformed, "kms:Decrypt")


def test_a_sealed_secret_is_handled_for_its_purpose_and_with_nothing_beyond(
    transformed: dict[str, Any],
) -> None:
    for name, role in _roles(transformed).items():
        for statement in _statements(role):
            actions = [action for action in _listed(statement["Action"]) if action.startswith("kms:")]
            if actions:
                assert len(actions) == 1, name
                assert len(_purposes(statement)) == 1 or actions == ["kms:Encrypt"], name
                assert _purposes(statement) <= SEALED, name
                assert statement["Resource"] == {"Fn::GetAtt": ["ConnectionsKey", "Arn"]}, name


def test_the_key_seals_and_opens_for_its_purposes_whoever_asks(transformed: dict[str, Any]) -> None:
    statements = transformed["ConnectionsKey"]["Properties"]["KeyPolicy"]["Statement"]
    uses = [each for each in statements if {"kms:Encrypt", "kms:Decrypt"} & set(_listed(each["Action"]))]
    assert [_purposes(each) for each in uses] == [SEALED]
    given = {action for statement in statements for action in _listed(statement["Action"])}
    assert not [action for action in given if "*" in action]
    assert not given & {"kms:CreateGrant", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey"}


def test_the_key_outlives_the_stack_and_is_changed_every_year(transformed: dict[str, Any]) -> None:
    key = transformed["ConnectionsKey"]
    assert key["DeletionPolicy"] == key["UpdateReplacePolicy"] == "Retain"
    assert key["Properties"]["EnableKeyRotation"] is True
    alias = transformed["ConnectionsKeyAlias"]["Properties"]
    assert alias["AliasName"] == {"Fn::Sub": "alias/${AWS::StackName}"}
    assert alias["TargetKeyId"] == {"Ref": "ConnectionsKey"}


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


LEADING = "dynamodb:LeadingKeys"


def _writers(
    transformed: dict[str, Any], table: str, actions: tuple[str, ...] = WRITES
) -> dict[str, set[str]]:
    """Who may write to a table, and to which partition keys of it: `*` is all."""
    found: dict[str, set[str]] = {}
    for function in FUNCTIONS:
        for statement in _statements(_roles(transformed)[_role_of(transformed, function)]):
            if set(_listed(statement["Action"])) & set(actions) and table in str(statement["Resource"]):
                condition = statement.get("Condition", {"ForAllValues:StringLike": {LEADING: ["*"]}})
                keys = condition["ForAllValues:StringLike"][LEADING]
                found.setdefault(function.lower(), set()).update(keys)
    return found


AUDIT = {"AUDIT#*", "AUDITDAYS"}


def test_tables_are_written_by_the_functions_they_belong_to(transformed: dict[str, Any]) -> None:
    everything = {"*"}
    assert _writers(transformed, "GenerationsTable") == dict.fromkeys(("generations", "sweep"), everything)
    catalogue = dict.fromkeys(("health", "refresh", "usage"), everything)
    assert _writers(transformed, "CatalogTable") == catalogue
    users = dict.fromkeys(("connections", "generations", "health", "refresh"), everything)
    assert _writers(transformed, "ConnectionsTable") == users


def test_no_function_but_accounts_could_make_itself_a_key(transformed: dict[str, Any]) -> None:
    puts = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem")
    assert _writers(transformed, "AccountsTable", puts) == {
        "accounts": {"*"},
        "models": {"OVERRIDES", *AUDIT},
        "connections": AUDIT,
        "deliver": AUDIT,
        "health": AUDIT,
        "refresh": AUDIT,
        "usage": AUDIT,
    }


def test_money_is_moved_by_those_who_charge_grant_and_give_back(transformed: dict[str, Any]) -> None:
    moved: dict[str, set[str]] = {name: {"*"} for name in ("accounts", "generations", "sweep")}
    assert _writers(transformed, "LedgerTable") == {**moved, "usage": {"USE#*", "SEEN#*"}}


def test_nothing_of_the_ledger_or_of_the_audit_log_can_be_removed(transformed: dict[str, Any]) -> None:
    removes = ("dynamodb:DeleteItem", "dynamodb:BatchWriteItem")
    assert _writers(transformed, "LedgerTable", removes) == {}
    assert _writers(transformed, "AccountsTable", removes) == {
        "accounts": {"KEY#*", "PRJ#*"},
        "models": {"OVERRIDES"},
    }


def test_generations_are_read_by_none_but_their_function_the_sweep_and_the_stream(
    transformed: dict[str, Any],
) -> None:
    assert _holders(transformed, *READS, resource="GenerationsTable") == {"generations", "sweep"}
    assert _holders(transformed, "dynamodb:GetRecords", resource="GenerationsTable") == {"usage"}


def test_functions_start_the_refresh_and_no_other(transformed: dict[str, Any]) -> None:
    starters = {"models", "connections", "generations"}
    assert _holders(transformed, "lambda:InvokeFunction") == starters
    assert _holders(transformed, "lambda:InvokeFunction", resource="RefreshFunction") == starters


COLUMNS = (
    "CatalogTable",
    "AccountsTable",
    "ConnectionsTable",
    "GenerationsTable",
    "LedgerTable",
    "ConnectionsKey",
)
DATA_MODEL = Path(__file__).parents[2] / "docs/data-model.md"
_ACTION = re.compile(r"\b(?:Batch)?(?:Get|Put|Update|Delete|Write)Item\b|\bQuery\b|\b(?:En|De)crypt\b")


def test_the_page_on_data_tells_who_may_do_what(transformed: dict[str, Any]) -> None:
    text = DATA_MODEL.read_text().split("## Who may do what")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines() if row[:2] == "| "][
        1:
    ]
    told = {
        (row[0].partition(" ")[0], column): set(_ACTION.findall(cell))
        for row in rows
        for column, cell in zip(COLUMNS, row[1:], strict=True)
    }
    assert told == {
        (function.lower(), column): {
            action.partition(":")[2]
            for statement in _statements(_roles(transformed)[_role_of(transformed, function)])
            for action in _listed(statement["Action"])
            if f"{column}.Arn" in str(statement["Resource"])
            or f"'{column}', 'Arn'" in str(statement["Resource"])
        }
        for function in FUNCTIONS
        for column in COLUMNS
    }
