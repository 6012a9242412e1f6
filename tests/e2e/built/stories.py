"""All that each built function can be made to do, a story each: what test_permissions.py listens to."""

import asyncio
import base64
import json
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook

from dev.resources import aws_environment, client
from headgate.aws.clients import AwsClients
from headgate.aws.generations import DynamoGenerationStore
from headgate.domain.admission import Admission, Correction, Counter
from headgate.domain.credits import EntryKind, Hold, LedgerEntry
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.testing.clock import ManualClock
from tests.e2e.built.recording import serving
from tests.e2e.built.shipped import ROOT, Built

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


class Hook(BaseHTTPRequestHandler):
    """A user's receiver, which keeps what it was told."""

    told: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.told.append((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for tests."""


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
        if self.refuses:
            self._answer({"error": {"message": "No such user.", "code": 401}}, 401)
            return
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
        try:
            yield
        finally:
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
    (made,), _ = built.invoke("connections", [_request("connections", "create-webhook", body=hook)])
    its = f"/v2/webhooks/{_json(made)['id']}"
    steps = [
        _request("connections", "default-unknown", f"{its}/rotate"),
        _request("connections", "unknown", its),
        _request("connections", "unknown", its, method="DELETE"),
    ]
    answers, _ = built.invoke("connections", steps)
    assert [answer["statusCode"] for answer in answers] == [200, 200, 204]


def _deliver(built: Built) -> None:
    """A webhook tried out, once after its secret was rotated, so that both are opened."""
    with serving(Hook) as address:
        hook = {"url": f"{address}/in", "events": ["generation.*"]}
        asked = _request("connections", "create-webhook", body=hook, **{"Idempotency-Key": "to be told"})
        made = _json(built.invoke("connections", [asked])[0][0])
        its = f"/v2/webhooks/{made['id']}"
        rotated = built.invoke("connections", [_request("connections", "default-unknown", f"{its}/rotate")])
        secrets = [_json(rotated[0][0])["secret"], made["secret"]]
        tried = _json(built.invoke("deliver", [_request("deliver", "test-unknown", f"{its}/test")])[0][0])
    assert tried["ok"], tried
    headers, body = Hook.told.pop()
    for secret in secrets:
        assert Webhook(secret).verify(body, headers)["data"]["test"] is True


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
    """Lists and single models, while lists are fresh, and past their time, when a refresh is started; what an
    administrator says of a model."""
    built.invoke("refresh", [{"task": "refresh"}])
    lists = _events("models", "v1-list", "v2-list-filtered", "v1-model", "no-key", "preflight")
    built.invoke("models", [*lists, *_events("models", "availability", "one-availability", "refresh")])
    said = built.invoke("models", _events("models", "override", "delete-override"))[0]
    assert [answer["statusCode"] for answer in said] == [200, 204]
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
    """Chats, at a provider with a key too, with limits and without, twice under one idempotency key; a large
    answer, read again; a list."""
    granted = _request("accounts", "grant-credits", **{"Idempotency-Key": "for generations"})
    _json(built.invoke("accounts", [granted])[0][0])
    with _openrouter(built):
        built.invoke("refresh", [FORCED])
        model = f"openrouter/vendor/{Vendor.ids[0]}"
        asked = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
        _json(built.invoke("generations", [_request("generations", "chat-completion", body=asked)])[0][0])
    _generate_with_a_connection(built)
    limits = {"requests_per_minute": 9, "tokens_per_minute": 10_000, "credits_per_day": "1.00"}
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
            *[_request("generations", "chat-completion", **{"Idempotency-Key": "again"}) for _ in range(2)],
        ],
    )
    assert _json(answers[6]) == _json(answers[7])
    ids = [_json(answers[3])["id"], _json(answers[5])["id"]]
    again = [_request("generations", "unknown", path=f"/v2/generations/{each}") for each in ids]
    read, _ = built.invoke("generations", [*again, *_events("generations", "list", "unknown")])
    assert len(_json(read[1])["output"]["text"]) > 250_000, "too small to be stored in pieces"


def _generate_with_a_connection(built: Built) -> None:
    """Its key is refused, which is noted, and then it is good."""
    asked = {
        "type": "text",
        "model": f"openrouter/vendor/{Vendor.ids[0]}",
        "config": {"prompt": "Say hello."},
    }
    asked["connection_id"] = _connect(built, "to be used")
    for Vendor.refuses, status in ((True, 424), (False, 200)):
        with _openrouter(built):
            answers = built.invoke("generations", [_request("generations", "generate-text", body=asked)])[0]
        assert answers[0]["statusCode"] == status, answers


def _sweep(built: Built) -> None:
    """One that ought to be over long ago, with credits held and limits raised for it."""
    environ = built.account.environment("generations")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in aws_environment().items():
            patched.setenv(name, value)
        asyncio.run(_leave_unfinished(built.account.endpoint_url, environ))
    swept = built.invoke("sweep", _events("sweep", "schedule"))[0][0]
    assert swept["ended"] == 1, swept


async def _leave_unfinished(endpoint_url: str, environ: Mapping[str, str]) -> None:
    clients = AwsClients(region="us-east-1", endpoint_url=endpoint_url)
    long_ago = datetime(2026, 11, 20, tzinfo=UTC)
    store = DynamoGenerationStore(
        clients,
        environ["HEADGATE_GENERATIONS_TABLE"],
        ManualClock(long_ago),
        ledger_table=environ["HEADGATE_LEDGER_TABLE"],
    )
    later = datetime(2099, 1, 1, tzinfo=UTC)
    counter = Counter(name="key_1#tokens", measure="tokens", amount=5, limit=9, expires_at=later)
    held = LedgerEntry(
        id="evt_1",
        user_id="nobody",
        at=long_ago,
        kind=EntryKind.HOLD,
        amount_nanousd=0,
        generation_id="gen_left",
    )
    record = GenerationRecord(
        id="gen_left",
        owner="nobody",
        key_id="key_1",
        type="text",
        status=GenerationStatus.RUNNING,
        created_at=long_ago,
        expires_at=later,
        held_nanousd=0,
        raised=(Correction(name=counter.name, amount=5, expires_at=later),),
        due_at=long_ago + timedelta(minutes=20),
    )
    try:
        await store.begin(record, Admission(counters=(counter,), hold=Hold(entry=held)))
    finally:
        clients.close()


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
    built.invoke("usage", _events("usage", "finished", "rewritten", "expired", "keys"))


STORIES = {
    "refresh": _refresh,
    "models": _models,
    "generations": _generations,
    "connections": _connections,
    "deliver": _deliver,
    "accounts": _accounts,
    "health": _health,
    "usage": _usage,
    "sweep": _sweep,
}
