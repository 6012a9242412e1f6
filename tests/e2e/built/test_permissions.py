"""Every AWS call that a built function makes is in its role, and nothing is in its role that it never makes.

The calls are read off the wire while each function goes through all it can do, so moto's silence about IAM
proves nothing away, nor does code that takes another way to AWS.
"""

import fnmatch
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from dev.intrinsics import read_yaml
from tests.e2e.built.recording import Call, calls_of, recording
from tests.e2e.built.shipped import ROOT, Account, Artefacts, Built
from tests.e2e.built.stories import STORIES

pytestmark = [pytest.mark.built, pytest.mark.xdist_group("built")]

BY_THE_SERVICE: dict[str, set[str]] = {
    "usage": {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "sqs:SendMessage",
    }
}
"""What Lambda itself does with a function's role: it polls the stream, and sets failures aside."""

WHERE_OTHERS_ARE_MET = {
    "generations": {Call(f"dynamodb:{name}", "LedgerTable", "BAL#*") for name in ("GetItem", "Query")},
    "sweep": {
        Call("dynamodb:Query", "LedgerTable", "BAL#*"),
        Call("dynamodb:Query", "GenerationsTable", "RATE#*"),
    },
}
"""What a function does only when transactions meet, which in moto they never do, or when a large limit is
nearly used up."""

type Made = tuple[str, set[Call]]


@pytest.fixture(scope="module", params=STORIES)
def made(
    request: pytest.FixtureRequest,
    artefacts: Artefacts,
    account: Account,
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """A function, and the calls it made while it went through everything it does."""
    function = request.param
    scratch = tmp_path_factory.mktemp(function)
    with recording(account.endpoint_url) as (address, calls):
        STORIES[function](Watched(artefacts, account, scratch, function=function, through=address))
    return function, calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(Built):
    """Lets only the one function go through the recorder; what a story needs of others goes around it."""

    function: str
    through: str

    def environment(self, function: str) -> dict[str, str]:
        plain = Built.environment(self, function)
        return {**plain, "AWS_ENDPOINT_URL": self.through} if function == self.function else plain


def _allowed(function: str) -> set[Call]:
    """Each action, resource and condition of a function's own statements, named as `calls_of` does.

    As deployed with every parameter at its default, which turns no statement on.
    """
    resources = read_yaml((ROOT / "template.yaml").read_text())["Resources"]
    properties = resources[f"{function.capitalize()}Function"]["Properties"]
    policies = properties.get("Policies") or [
        policy["PolicyDocument"]
        for policy in resources[properties["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]
    ]
    return {
        Call(action, resource, about)
        for policy in policies
        for statement in policy["Statement"]
        if "Fn::If" not in statement
        for action in statement["Action"]
        for resource in _named(statement["Resource"])
        for about in _abouts(statement.get("Condition"))
    }


def _abouts(condition: Any) -> list[str]:
    """What a statement is bound to, as patterns. Raises KeyError for a condition that is not known here."""
    if condition is None:
        return ["*"]
    if "StringEquals" in condition:
        purposes = condition["StringEquals"]["kms:EncryptionContext:purpose"]
        return [purposes] if isinstance(purposes, str) else list(purposes)
    patterns: list[str] = condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    return patterns


def _named(resource: Any) -> list[str]:
    if isinstance(resource, list):
        return [name for item in resource for name in _named(item)]
    if isinstance(resource, str):
        return [resource]
    if "Fn::GetAtt" in resource:
        return [resource["Fn::GetAtt"][0]]
    text: str = resource["Fn::Sub"]
    table = re.fullmatch(r"\$\{(\w+)\.Arn\}(/.*)?", text)
    return [table[1] + (table[2] or "")] if table else ["secret:" + text.rsplit(":secret:", 1)[1]]


def _covers(allowed: Call, call: Call) -> bool:
    return (
        allowed.action == call.action
        and fnmatch.fnmatchcase(call.resource, allowed.resource)
        and fnmatch.fnmatchcase(call.about, allowed.about)
    )


def test_a_role_allows_every_call_its_function_makes(made: Made) -> None:
    function, calls = made
    allowed = _allowed(function)
    assert {call for call in calls if not any(_covers(each, call) for each in allowed)} == set()


def test_a_role_holds_nothing_its_function_never_uses(made: Made) -> None:
    function, calls = made
    met = WHERE_OTHERS_ARE_MET.get(function, set())
    assert met <= _allowed(function)
    unused = {each for each in _allowed(function) - met if not any(_covers(each, call) for call in calls)}
    mine = {each for each in unused if each.action not in BY_THE_SERVICE.get(function, set())}
    assert mine == set()
    assert {each.action for each in unused} == BY_THE_SERVICE.get(function, set())


def test_every_function_has_a_story(account: Account) -> None:
    assert {function.name for function in account.stack.functions} == STORIES.keys()


def test_a_transaction_is_judged_by_its_parts() -> None:
    put = {"Put": {"TableName": "stack-AccountsTable", "Item": {"pk": {"S": "AUDIT#1"}, "sk": {"S": "2"}}}}
    check = {"ConditionCheck": {"TableName": "stack-GenerationsTable", "Key": {"pk": {"S": "gen_1"}}}}
    body = json.dumps({"TransactItems": [put, check]}).encode()
    assert calls_of("/", "DynamoDB_20120810.TransactWriteItems", body) == [
        Call("dynamodb:PutItem", "AccountsTable", "AUDIT#1"),
        Call("dynamodb:ConditionCheckItem", "GenerationsTable", "gen_1"),
    ]


def test_each_item_of_a_batch_counts() -> None:
    put = {"PutRequest": {"Item": {"pk": {"S": "LIST#1"}}}}
    delete = {"DeleteRequest": {"Key": {"pk": {"S": "USER#1"}}}}
    body = json.dumps({"RequestItems": {"stack-ConnectionsTable": [put, delete]}}).encode()
    assert calls_of("/", "DynamoDB_20120810.BatchWriteItem", body) == [
        Call("dynamodb:BatchWriteItem", "ConnectionsTable", "LIST#1"),
        Call("dynamodb:BatchWriteItem", "ConnectionsTable", "USER#1"),
    ]


def test_a_query_is_judged_by_the_partition_it_reads() -> None:
    values = {":pk": {"S": "USER#ada"}, ":whk": {"S": "WHK#"}}
    asked = {
        "TableName": "stack-ConnectionsTable",
        "KeyConditionExpression": "#pk = :pk AND begins_with(#sk, :whk)",
        "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
        "ExpressionAttributeValues": values,
    }
    assert calls_of("/", "DynamoDB_20120810.Query", json.dumps(asked).encode()) == [
        Call("dynamodb:Query", "ConnectionsTable", "USER#ada")
    ]


def test_a_seal_is_judged_by_its_purpose() -> None:
    body = json.dumps({"KeyId": "alias/x", "EncryptionContext": {"purpose": "connection"}}).encode()
    assert calls_of("/", "TrentService.Decrypt", body) == [
        Call("kms:Decrypt", "ConnectionsKey", "connection")
    ]


def test_a_service_that_is_new_here_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="SQS"):
        calls_of("/", "AmazonSQS.SendMessage", b"{}")
