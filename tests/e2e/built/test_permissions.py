"""Every AWS call that a built function makes is in its role, and nothing is in its role that it never makes.

The calls are read off the wire while each function goes through all it can do, so moto's silence about IAM
proves nothing away, nor does code that takes another way to AWS.
"""

import base64
import fnmatch
import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from dev.intrinsics import read_yaml
from dev.resources import client
from tests.e2e.built.recording import Call, calls_of, recording, serving
from tests.e2e.built.shipped import ROOT, Account, Artefacts, Built

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

type Event = dict[str, Any]


def _events(function: str, *names: str) -> list[Event]:
    return [json.loads((ROOT / f"events/{function}/{name}.json").read_text()) for name in names]


def _request(
    function: str, like: str, path: str | None = None, body: Any = None, *, method: str = "", **headers: str
) -> Event:
    """An event of events/ with another path, body, method or headers."""
    (event,) = _events(function, like)
    event["path"] = path or event["path"]
    event["httpMethod"] = method or event["httpMethod"]
    if body is not None:
        event["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    for name, value in headers.items():
        event["headers"][name] = value
        event["multiValueHeaders"][name] = [value]
    return event


def _json(answer: dict[str, Any]) -> Any:
    assert answer["statusCode"] < 300, answer
    return json.loads(base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"])


class Vendor(BaseHTTPRequestHandler):
    """A provider, whose list a test changes between two refreshes, and which may refuse every key."""

    ids: tuple[str, ...] = ("a", "b")
    refuses = False

    def do_GET(self) -> None:
        if self.refuses:
            self._answer({"error": {"message": "No such user.", "code": 401}}, 401)
            return
        if self.path.endswith("/key"):
            self._answer({"data": {"label": "sk-or…"}})
            return
        self._answer({"data": [{"id": f"vendor/{name}", "name": name, "created": 1} for name in self.ids]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "Hello."}
        self._answer({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def _answer(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for tests."""


@contextmanager
def _openrouter(built: Built) -> Iterator[None]:
    """While it lasts, the platform has a key for a provider, which is a server on this machine."""
    secrets = client("secretsmanager", built.account.endpoint_url)
    with serving(Vendor) as address:
        fields = {"api_key": "sk-test", "base_url": f"{address}/api/v1"}
        secrets.create_secret(Name="headgate/openrouter", SecretString=json.dumps(fields))
        yield
    secrets.delete_secret(SecretId="headgate/openrouter", ForceDeleteWithoutRecovery=True)


FORCED = {"providers": None, "force": True}


def _connect(built: Built, name: str) -> str:
    """A new connection of ada's to the provider; its id."""
    fields = {"name": name, "type": "openrouter", "api_key": "sk-or-hers"}
    request = _request("connections", "create", body=fields, **{"Idempotency-Key": name})
    made: str = _json(built.invoke("connections", [request])[0][0])["id"]
    return made


def _connections(built: Built) -> None:
    """Connections made, changed, preferred, deleted and restored; a new key looked at."""
    one = f"/v2/connections/{_connect(built, 'first')}"
    two = f"/v2/connections/{_connect(built, 'second')}"
    steps = [
        _request("connections", "list"),
        _request("connections", "unknown", one),
        _request("connections", "create", one, {"name": "renamed"}, method="PATCH"),
        _request("connections", "default-unknown", f"{two}/default"),
        _request("connections", "unknown", two, method="DELETE"),
        _request("connections", "default-unknown", f"{two}/restore"),
    ]
    answers, _ = built.invoke("connections", steps)
    assert [answer["statusCode"] for answer in answers] == [200, 200, 200, 200, 204, 200]
    hook = {"url": "https://hooks.example.com/", "events": ["generation.*"]}
    (made,), _ = built.invoke("connections", [_request("connections", "create", "/v2/webhooks", hook)])
    its = f"/v2/webhooks/{_json(made)['id']}"
    steps = [
        _request("connections", "default-unknown", f"{its}/rotate"),
        _request("connections", "unknown", its),
        _request("connections", "unknown", its, method="DELETE"),
    ]
    answers, _ = built.invoke("connections", steps)
    assert [answer["statusCode"] for answer in answers] == [200, 200, 204]


def _refresh(built: Built) -> None:
    """A first list, the same again, another one, and a provider that is gone. A connection's list, when its
    key is refused and when it is good."""
    outcomes = []
    connection = _connect(built, "to be listed")
    for Vendor.refuses, outcome in ((True, "failed"), (False, "updated")):
        with _openrouter(built):
            assert built.invoke("refresh", [{"connections": [["ada", connection]]}])[0] == [
                {connection: outcome}
            ]
    with _openrouter(built):
        for ids in (("a", "b"), ("a", "b"), ("b", "c")):
            Vendor.ids = ids
            outcomes += built.invoke("refresh", [FORCED])[0]
    outcomes += built.invoke("refresh", [FORCED])[0]
    assert all("raised" not in outcome for outcome in outcomes), outcomes
    assert outcomes[0].keys() >= {"openrouter", "mock"}


def _models(built: Built) -> None:
    """Lists and single models, while lists are fresh, and past their time, when a refresh is started."""
    built.invoke("refresh", [{"task": "refresh"}])
    lists = _events("models", "v1-list", "v2-list-filtered", "v1-model", "no-key", "preflight")
    built.invoke("models", lists)
    heads = client("dynamodb", built.account.endpoint_url)
    table = built.account.environment("models")["HEADGATE_CATALOG_TABLE"]
    for item in heads.query(
        TableName=table,
        KeyConditionExpression="pk = :head",
        ExpressionAttributeValues={":head": {"S": "HEAD"}},
    )["Items"]:
        item["body"]["S"] = re.sub(r'"fresh_until":"\d{4}', '"fresh_until":"2020', item["body"]["S"])
        heads.put_item(TableName=table, Item=item)
    built.invoke("models", _events("models", "v2-list-filtered"))


def _generations(built: Built) -> None:
    """Chats, at a provider with a key too, with and without a limit; a large answer, read again; a list."""
    with _openrouter(built):
        built.invoke("refresh", [FORCED])
        model = f"openrouter/vendor/{Vendor.ids[0]}"
        asked = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
        _json(built.invoke("generations", [_request("generations", "chat-completion", body=asked)])[0][0])
    limits = {"requests_per_minute": 9}
    wanted = {"user_id": "ada", "name": "limited", "scopes": ["generate"], "limits": limits}
    key = _json(built.invoke("accounts", [_request("accounts", "create-key", body=wanted)])[0][0])["key"]
    noise = random.Random(7).randbytes(400_000).hex()
    at_once = {"first_ms": 0, "token_ms": 0}
    config = {"prompt": noise, "max_tokens": 4_000_000, "mock": at_once}
    large = {"type": "text", "model": "mock/echo", "config": config}
    chats = ("chat-completion", "chat-completion-streamed", "malformed", "generate-text")
    answers, _ = built.invoke(
        "generations",
        [
            *_events("generations", *chats),
            _request("generations", "chat-completion", Authorization=f"Bearer {key}"),
            _request("generations", "generate-text", body=large),
        ],
    )
    ids = [_json(answers[3])["id"], _json(answers[5])["id"]]
    again = [_request("generations", "unknown", path=f"/v2/generations/{each}") for each in ids]
    read, _ = built.invoke("generations", [*again, *_events("generations", "list", "unknown")])
    assert len(_json(read[1])["output"]["text"]) > 250_000, "too small to be stored in pieces"


def _accounts(built: Built) -> None:
    """Keys made, shown, listed, rotated and revoked, by an administrator and by a user; all else that is kept
    of users and projects."""
    minted, made, _ = built.invoke(
        "accounts", _events("accounts", "mint-admin-key", "create-key", "list-keys")
    )[0]
    assert minted["key"]
    key = _json(made)
    one = f"/v2/keys/{key['id']}"
    answers, _ = built.invoke(
        "accounts",
        [
            _request("accounts", "list-keys", Authorization=f"Bearer {key['key']}"),
            _request("accounts", "delete-key-unknown", one, method="GET"),
            *[_request("accounts", "create-key", f"{one}/rotate", {}) for _ in range(3)],
            _request("accounts", "delete-key-unknown", one),
            *_events("accounts", "put-project", "put-settings", "get-settings", "grant-credits", "credits"),
            _request("accounts", "put-settings", body={"connections": {"text": "con_none"}}),
            *_events("accounts", "ledger", "usage", "put-flag", "flag", "audit", "v1-key", "v1-credits"),
            _request("accounts", "delete-key-unknown", "/v2/projects/acme"),
        ],
    )
    assert {answer["statusCode"] for answer in answers} == {200, 201, 204, 422}  # there is no con_none


def _health(built: Built) -> None:
    """What it tells, and connections tried: one that answers, one whose key is refused."""
    names = ("schedule", "healthz", "openapi", "providers", "providers-health", "providers-text")
    built.invoke("health", _events("health", *names))
    test = f"/v2/connections/{_connect(built, 'to be tried')}/test"
    tried = _request("health", "connection-test-unknown", test)
    for Vendor.refuses in (True, False):
        with _openrouter(built):
            found = _json(built.invoke("health", [tried])[0][0])
        assert found["ok"] is not Vendor.refuses, found


def _usage(built: Built) -> None:
    built.invoke("usage", _events("usage", "finished", "rewritten", "expired"))


STORIES = {
    "refresh": _refresh,
    "models": _models,
    "generations": _generations,
    "connections": _connections,
    "accounts": _accounts,
    "health": _health,
    "usage": _usage,
}


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
    unused = {each for each in _allowed(function) if not any(_covers(each, call) for call in calls)}
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


def test_a_seal_is_judged_by_its_purpose() -> None:
    body = json.dumps({"KeyId": "alias/x", "EncryptionContext": {"purpose": "connection"}}).encode()
    assert calls_of("/", "TrentService.Decrypt", body) == [
        Call("kms:Decrypt", "ConnectionsKey", "connection")
    ]


def test_a_service_that_is_new_here_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="SQS"):
        calls_of("/", "AmazonSQS.SendMessage", b"{}")
