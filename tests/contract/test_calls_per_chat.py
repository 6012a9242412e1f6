"""What a chat asks of AWS once caches are warm: two calls to DynamoDB, whatever is decided with them.

The real function over HTTP, its tables and key on moto; every call that the SDK sends is counted.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import httpx
import pytest
from boto3.session import Session

from functions.connections.app import function as connections
from functions.generations.app import function as generations
from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.catalog import DynamoCatalogStore
from headgate.aws.generations import DynamoGenerationStore
from headgate.aws.ledger import DynamoLedger
from headgate.clock import SystemClock
from headgate.domain.admission import LARGEST_WITHIN
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import KeyLimits, Scope
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.services.manage_keys import KeyManager
from headgate.services.record_usage import decrypts, key_uses
from headgate.testing.memory import MemoryLog
from tests.contract.conftest import Aws
from tests.integration.local_gateway import Upstream
from tests.support.models import model, priced, snapshot

FAR = 10**12
OWN_KEY = "sk-mine-0123456789"
EVERY_LIMIT = KeyLimits(
    requests_per_minute=1_000,
    tokens_per_minute=FAR,
    spend_per_day_nanousd=FAR,
    spend_per_month_nanousd=FAR,
)
CHAT: dict[str, Any] = {
    "model": "mock/chat",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 16,
}
PUT, TRANSACTION = "dynamodb.put_item", "dynamodb.transact_write_items"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@dataclass(slots=True)
class Deployed:
    """The functions on tables of their own; `calls` are those to AWS, as `service.operation`."""

    aws: Aws
    tables: dict[str, str]
    upstream: Upstream
    key_id: str
    calls: list[str] = field(default_factory=list)
    key: str = ""

    async def open(self, *, credits: str, limits: KeyLimits) -> None:
        environ = {
            **{f"HEADGATE_{name}_TABLE": table for name, table in self.tables.items()},
            "HEADGATE_KMS_KEY": self.key_id,
            "HEADGATE_CREDITS": credits,
            "HEADGATE_MOCK": "on",
            "HEADGATE_LOCAL": "1",
            "AWS_ENDPOINT_URL": self.aws.endpoint_url,
        }
        for function in (generations, connections):
            function.configure(environ, on_aws_call=self._note)
        clients, clock = self.aws.clients, SystemClock()
        shown = [model(f"mock/{name}", pricing=priced("1", "10")) for name in ("chat", "echo@0ms")]
        catalog = DynamoCatalogStore(clients, self.tables["CATALOG"], clock)
        assert await catalog.write_snapshot(snapshot("mock", *shown, now=clock.now()), replaces=None)
        accounts = DynamoAccountStore(clients, self.tables["ACCOUNTS"], clock)
        _, text = await KeyManager(accounts, clock, MemoryLog()).mint(
            user_id="ann", name="x", scopes=[Scope.GENERATE, Scope.CONNECTIONS], limits=limits
        )
        self.key = text.reveal()
        ledger = DynamoLedger(clients, self.tables["LEDGER"], accounts_table=self.tables["ACCOUNTS"])
        entry = LedgerEntry(
            id="led_1", user_id="ann", at=clock.now(), kind=EntryKind.GRANT, amount_nanousd=FAR
        )
        told = AuditEvent(id="evt_1", at=clock.now(), actor="key_1", action="credits.granted", target="ann")
        await ledger.add_entry(entry, told)

    def _note(self, service: str, operation: str, _params: object) -> None:
        self.calls.append(f"{service}.{operation}")

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        app = connections.app if "connections" in path else generations.app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gate") as client:
            sent = {"authorization": f"Bearer {self.key}", **headers}
            answer = await client.post(path, json=body, headers=sent)
        assert answer.is_success, answer.text
        return answer

    async def connect(self) -> None:
        """Gives Ann a connection to the server on loopback."""
        body = {"name": "mine", "type": "custom", "api_key": OWN_KEY, "base_url": self.upstream.base_url}
        await self.post("/v2/connections", body)


@pytest.fixture
async def deployed(aws: Aws, make_table: Callable[[str], str], upstream: Upstream) -> AsyncIterator[Deployed]:
    client = Session(region_name="us-east-1").client("kms", endpoint_url=aws.endpoint_url)
    key_id = client.create_key()["KeyMetadata"]["KeyId"]
    client.close()
    names = ("CATALOG", "ACCOUNTS", "GENERATIONS", "CONNECTIONS", "LEDGER")
    tables = {name: make_table(f"{name.title()}Table") for name in names}
    made = Deployed(aws, tables, upstream, key_id)
    yield made
    for function in (generations, connections):
        await function.services.close()
        function.configure()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is decided with a chat, and the calls that it is then."""

    credits: str = "off"
    limits: KeyLimits = KeyLimits()
    keyed: bool = False
    connected: bool = False
    calls: tuple[str, str] = (TRANSACTION, TRANSACTION)


DECIDED = {
    "nothing": Decided(calls=(PUT, PUT)),
    "requests a minute": Decided(limits=KeyLimits(requests_per_minute=1_000), calls=(TRANSACTION, PUT)),
    "every limit": Decided(limits=EVERY_LIMIT),
    "credits": Decided(credits="enforced"),
    "an idempotency key": Decided(keyed=True),
    "a connection": Decided(connected=True, calls=(PUT, PUT)),
    "all, the platform's key": Decided(credits="enforced", limits=EVERY_LIMIT, keyed=True),
    "all, a connection": Decided(credits="enforced", limits=EVERY_LIMIT, keyed=True, connected=True),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("decided", DECIDED.values(), ids=DECIDED)
async def test_a_chat_is_two_calls_to_dynamodb_and_none_to_anything_else(
    deployed: Deployed, decided: Decided, stream: bool
) -> None:
    await deployed.open(credits=decided.credits, limits=decided.limits)
    body = {**CHAT, "stream": stream}
    if decided.connected:
        await deployed.connect()
        body["model"] = "custom/gpt-loop"
    for turn in range(3):  # the first one warms the caches
        deployed.calls.clear()
        headers = {"idempotency-key": f"turn {turn}"} if decided.keyed else {}
        answer = await deployed.post("/v1/chat/completions", body, **headers)
        assert answer.headers["x-headgate-attempts"] == "1"
    assert deployed.calls == list(decided.calls)
    assert deployed.upstream.keys == ({f"Bearer {OWN_KEY}"} if decided.connected else set())


async def test_a_key_that_has_to_be_opened_is_told_in_the_same_two_calls(deployed: Deployed) -> None:
    await deployed.open(credits="off", limits=KeyLimits())
    await deployed.connect()
    told = []
    for _ in range(2):
        deployed.calls.clear()
        answer = await deployed.post("/v1/chat/completions", CHAT | {"model": "custom/gpt-loop"})
        writes = [call for call in deployed.calls if call in (PUT, TRANSACTION, "kms.decrypt")]
        store = DynamoGenerationStore(deployed.aws.clients, deployed.tables["GENERATIONS"], SystemClock())
        record = await store.get(answer.headers["x-headgate-generation-id"])
        assert record is not None
        told.append((writes, [event.action for event in [*decrypts(record), *key_uses(record)]]))
    assert told == [
        ([PUT, "kms.decrypt", PUT], ["connection.decrypt", "connection.use"]),
        ([PUT, PUT], ["connection.use"]),
    ]


async def test_only_a_long_answer_that_is_kept_is_one_call_more(deployed: Deployed) -> None:
    await deployed.open(credits="enforced", limits=EVERY_LIMIT)
    long = [{"role": "user", "content": "a long story " * (LARGEST_WITHIN // 10)}]
    body = {**CHAT, "model": "mock/echo@0ms", "messages": long, "max_tokens": 100_000}
    for turn in range(2):
        deployed.calls.clear()
        await deployed.post("/v1/chat/completions", body, **{"idempotency-key": f"turn {turn}"})
    assert deployed.calls == [TRANSACTION, "dynamodb.batch_write_item", TRANSACTION]
