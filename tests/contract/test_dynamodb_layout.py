"""What only the real adapters have: calls to AWS counted, pieces lost, items that fit, streams."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3.session
import pytest

from dev.stream import event_record
from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.catalog import DynamoCatalogStore
from headgate.aws.codec import KEYS, record_items, record_of
from headgate.aws.dynamodb import to_wire
from headgate.aws.generations import DynamoGenerationStore
from headgate.aws.ledger import DynamoLedger
from headgate.aws.streams import records_of
from headgate.domain.admission import Admission, Claim, Closing, Correction, Counter
from headgate.domain.audit import AuditEvent
from headgate.domain.catalog import Pricing, Snapshot, SnapshotHead
from headgate.domain.credits import EntryKind, Hold, LedgerEntry, Settlement
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus, KeyOpening, Usage
from headgate.domain.ids import new_id
from headgate.testing.memory import ManualClock
from tests.contract.conftest import Aws
from tests.contract.values import NOON, api_key, generation, model, snapshot

MakeTable = Callable[[str], str]


@pytest.fixture
def table(make_table: MakeTable) -> str:
    return make_table("GenerationsTable")


@pytest.fixture
def generations(aws: Aws, table: str, clock: ManualClock) -> DynamoGenerationStore:
    return DynamoGenerationStore(aws.clients, table, clock)


@pytest.fixture
def catalog_table(make_table: MakeTable) -> str:
    return make_table("CatalogTable")


@pytest.fixture
def catalog(aws: Aws, catalog_table: str, clock: ManualClock) -> DynamoCatalogStore:
    return DynamoCatalogStore(aws.clients, catalog_table, clock)


def chat(number: int = 1) -> GenerationRecord:
    """A finished chat completion with names as long as they are in practice, after one failover."""
    return generation(
        number,
        id=f"gen_01kx4q8z5v3w2y1t0s9r8q7p{number:02d}",
        owner="user_2f9c6a3e8b7d4c1f",
        key_id="key_01kx4q8z5v3w2y1t0s9r8q7p6n",
        status=GenerationStatus.SUCCEEDED,
        requested_model="anthropic/claude-sonnet-4.5",
        model="openrouter/anthropic/claude-sonnet-4.5",
        provider="openrouter",
        project_id="prj_01kx4q8z5v3w2y1t0s9r8q7p6n",
        started_at=NOON,
        completed_at=NOON + timedelta(seconds=3, microseconds=123_456),
        usage=Usage(input_tokens=1234, output_tokens=567, cache_read_tokens=89, cost_usd=Decimal("0.01234")),
        cost_estimated_nanousd=12_340_000,
        cost_charged_nanousd=12_340_000,
        cost_provider_nanousd=12_340_000,
        attempts=(
            Attempt(
                provider="anthropic",
                model="claude-sonnet-4-5",
                outcome="failed",
                code="provider_overloaded",
                latency_ms=812,
            ),
            Attempt(
                provider="openrouter",
                model="anthropic/claude-sonnet-4.5",
                outcome="succeeded",
                latency_ms=2310,
            ),
        ),
        expires_at=NOON + timedelta(days=30),
    )


# -- how often AWS is called --------------------------------------------------------------------------------


def counter(limit: int) -> Counter:
    return Counter(name="k#1", measure="requests", amount=1, limit=limit, expires_at=NOON)


@pytest.mark.parametrize("limit", [None, 60])
async def test_a_chat_request_is_two_writes(
    aws: Aws, generations: DynamoGenerationStore, limit: int | None
) -> None:
    counters = () if limit is None else (counter(limit),)
    begun = replace(chat(), status=GenerationStatus.RUNNING, usage=None, attempts=(), completed_at=None)
    await generations.begin(begun, Admission(counters=counters))
    await generations.finish(chat())
    assert aws.operations() == ["put_item" if limit is None else "transact_write_items", "put_item"]


async def test_a_chat_with_everything_is_two_calls_too_and_each_item_one_write_unit(
    aws: Aws, table: str, make_table: MakeTable, clock: ManualClock
) -> None:
    ledger_table = make_table("LedgerTable")
    store = DynamoGenerationStore(aws.clients, table, clock, ledger_table=ledger_table)
    ledger = DynamoLedger(aws.clients, ledger_table, accounts_table=make_table("AccountsTable"))
    await ledger.add_entry(ledger_entry("grant", 10**9), AuditEvent(**AUDITED))
    aws.calls.clear()
    ends = clock.now() + timedelta(minutes=1)
    names = ("requests#29663220", "tokens#29663220", "spend#2026-11-20", "spend#2026-11")
    limits = tuple(
        Counter(name=f"{chat().key_id}#{name}", measure="spend", amount=1, limit=9**9, expires_at=ends)
        for name in names
    )
    corrections = tuple(Correction(name=each.name, amount=5, expires_at=ends) for each in limits[1:])
    held = Hold(entry=ledger_entry("hold", -40_960_000, price=chat_price()))
    claim = Claim(name="c" * 64, fingerprint="f" * 64, expires_at=ends)
    begun = replace(
        chat(),
        status=GenerationStatus.RUNNING,
        usage=None,
        attempts=(),
        completed_at=None,
        model=None,
        provider=None,
        cost_charged_nanousd=None,
        cost_provider_nanousd=None,
        due_at=ends,
        held_nanousd=40_960_000,
        raised=corrections,
    )
    await store.begin(begun, Admission(counters=limits, hold=held, claim=claim))
    settled = Settlement(
        entry=ledger_entry("settle", 40_000_000, charged_nanousd=960_000), held_nanousd=40_960_000
    )
    await store.finish(chat(), Closing(settlement=settled, corrections=corrections))
    assert aws.operations() == ["transact_write_items"] * 2
    actions = [action for call in aws.calls for action in call.params["TransactItems"]]
    assert len(actions) == 8 + 6
    puts = [stored_bytes(action["Put"]["Item"]) for action in actions if "Put" in action]
    assert max(puts) <= 1024


AUDITED: dict[str, Any] = {
    "id": new_id("evt"),
    "at": NOON,
    "actor": "key_root",
    "action": "credits.grant",
    "target": "ada",
}


def ledger_entry(kind: str, amount: int, **fields: Any) -> LedgerEntry:
    generation_id = None if kind == "grant" else chat().id
    return LedgerEntry(
        id=f"led_{chat().id}_{kind}",
        user_id=chat().owner,
        at=NOON,
        kind=EntryKind(kind),
        amount_nanousd=amount,
        generation_id=generation_id,
        **fields,
    )


def chat_price() -> Pricing:
    """As much as a price may say."""
    dear = Decimal("0.1234")
    named = {"image": dear, "request": dear, "web_search": dear, "audio": dear}
    return Pricing(
        input=dear,
        output=dear,
        cache_read=dear,
        cache_write=dear,
        reasoning=dear,
        units=named,
        source="openrouter",
        as_of=NOON,
    )


async def test_a_key_is_one_read(aws: Aws, make_table: MakeTable) -> None:
    accounts = DynamoAccountStore(aws.clients, make_table("AccountsTable"))
    await accounts.put_key(api_key(1))
    aws.calls.clear()
    await accounts.get_key(api_key(1).hash)
    assert aws.operations() == ["get_item"]


async def test_all_heads_are_one_read_and_a_list_another(aws: Aws, catalog: DynamoCatalogStore) -> None:
    for provider in ("openai", "gemini", "kie"):
        await catalog.write_snapshot(snapshot("a", "b", provider=provider), replaces=None)
    aws.calls.clear()
    heads = await catalog.read_heads()
    assert aws.operations() == ["query"]
    await catalog.read_models(heads["kie"])
    assert aws.operations() == ["query", "query"]


async def test_calls_name_their_table(aws: Aws, generations: DynamoGenerationStore, table: str) -> None:
    await generations.get("gen_1")
    assert [(call.service, call.params["TableName"]) for call in aws.calls] == [("dynamodb", table)]


async def test_a_page_is_the_index_and_one_batch(aws: Aws, generations: DynamoGenerationStore) -> None:
    for number in range(10):
        await generations.begin(generation(number))
    aws.calls.clear()
    await generations.list_by_owner("ada", filters={"status": "running"}, limit=5, cursor=None)
    assert aws.operations() == ["query", "batch_get_item"]


# -- sizes that docs/data-model.md states -------------------------------------------------------------------


def stored_bytes(item: dict[str, Any]) -> int:
    """The size DynamoDB bills: names and values in UTF-8; numbers count a little less."""
    values = {name: next(iter(value.values())) for name, value in item.items()}
    return sum(
        len(name) + len(value if isinstance(value, bytes) else str(value).encode())
        for name, value in values.items()
    )


def test_a_chat_record_is_one_write_unit_even_after_failover() -> None:
    item, pieces = record_items(chat())
    assert pieces == []
    assert stored_bytes(to_wire(item)) <= 1024


@pytest.mark.parametrize("kilobytes", [1, 100, 400, 2000])
def test_no_item_comes_near_the_bound_of_dynamodb(kilobytes: int) -> None:
    output = {"text": random.Random(1).randbytes(kilobytes * 500).hex()}
    item, pieces = record_items(replace(chat(), output=output))
    assert all(stored_bytes(to_wire(one)) < 350_000 for one in (item, *pieces))


# -- pieces -------------------------------------------------------------------------------------------------


def scan(admin: Any, table: str) -> list[dict[str, Any]]:
    pages = admin.get_paginator("scan").paginate(TableName=table)
    return [item for page in pages for item in page["Items"]]


def large_snapshot(seed: int) -> Snapshot:
    noise = random.Random(seed)
    models = tuple(model(f"m{index:04d}", description=noise.randbytes(500).hex()) for index in range(1500))
    return Snapshot(head=SnapshotHead(provider="openai", version=f"v{seed}"), models=models)


async def test_a_list_with_a_piece_missing_is_a_fault(
    catalog: DynamoCatalogStore, catalog_table: str, admin: Any
) -> None:
    written = large_snapshot(1)
    await catalog.write_snapshot(written, replaces=None)
    admin.delete_item(TableName=catalog_table, Key={"pk": {"S": "SNAP#openai#v1"}, "sk": {"S": "0002"}})
    with pytest.raises(GatewayFault) as fault:
        await catalog.read_models(written.head)
    assert fault.value.code == "gateway_unavailable"


async def test_pieces_of_two_writers_are_never_taken_for_one_list(
    catalog: DynamoCatalogStore, catalog_table: str, admin: Any
) -> None:
    await catalog.write_snapshot(large_snapshot(1), replaces=None)
    key = {"pk": {"S": "SNAP#openai#v1"}, "sk": {"S": "0002"}}
    item = admin.get_item(TableName=catalog_table, Key=key)["Item"]
    admin.put_item(TableName=catalog_table, Item={**item, "pieces": {"S": "another"}})
    with pytest.raises(GatewayFault):
        await catalog.read_models(large_snapshot(1).head)


async def test_what_can_not_be_unpacked_is_a_fault(
    catalog: DynamoCatalogStore, catalog_table: str, admin: Any
) -> None:
    await catalog.write_snapshot(snapshot("a"), replaces=None)
    head = (await catalog.read_heads())["openai"]
    key = {"pk": {"S": f"SNAP#openai#{head.version}"}, "sk": {"S": "0001"}}
    item = admin.get_item(TableName=catalog_table, Key=key)["Item"]
    admin.put_item(TableName=catalog_table, Item={**item, "data": {"B": b"not gzip"}})
    with pytest.raises(GatewayFault) as fault:
        await catalog.read_models(head)
    assert fault.value.code == "gateway_unavailable"


async def test_the_pieces_of_a_replaced_list_get_an_end_date_and_no_others(
    catalog: DynamoCatalogStore, catalog_table: str, admin: Any, clock: ManualClock
) -> None:
    await catalog.write_snapshot(large_snapshot(1), replaces=None)
    await catalog.write_snapshot(large_snapshot(2), replaces="v1")
    assert not await catalog.write_snapshot(large_snapshot(3), replaces="v1")
    ends = {
        (item["pk"]["S"], item["sk"]["S"]): item.get("expires_at", {}).get("N")
        for item in scan(admin, catalog_table)
        if item["pk"]["S"].startswith("SNAP#")
    }
    gone_at = str(int(clock.now().timestamp()) + 7200)
    assert {pk: {end for (at, _), end in ends.items() if at == pk} for pk, _ in ends} == {
        "SNAP#openai#v1": {gone_at},
        "SNAP#openai#v2": {None},
        "SNAP#openai#v3": {gone_at},
    }
    assert len(ends) > 6


async def test_a_generation_with_a_piece_missing_is_a_fault(
    generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    record = generation(1, output={"text": random.Random(1).randbytes(400_000).hex()})
    await generations.finish(record)
    pieces = [item for item in scan(admin, table) if item["sk"]["S"].startswith("BULK#")]
    assert len(pieces) > 1
    admin.delete_item(TableName=table, Key={name: pieces[0][name] for name in ("pk", "sk")})
    with pytest.raises(GatewayFault):
        await generations.get(record.id)


async def test_one_overdue_record_that_can_not_be_read_keeps_no_other_from_its_end(
    generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    for number in (1, 2):
        await generations.begin(generation(number, due_at=NOON))
    before = NOON + timedelta(seconds=1)
    readable = (await generations.list_overdue(before=before, limit=5))[1]
    admin.update_item(
        TableName=table,
        Key={"pk": {"S": "gen_0001"}, "sk": {"S": "REC"}},
        UpdateExpression="SET body = :broken",
        ExpressionAttributeValues={":broken": {"S": "no JSON"}},
    )
    assert await generations.list_overdue(before=before, limit=5) == [readable]
    await generations.finish(replace(readable, status=GenerationStatus.EXPIRED, due_at=None))
    with pytest.raises(GatewayFault):  # nothing else is left, so it is told
        await generations.list_overdue(before=before, limit=5)


async def test_pieces_expire_with_their_record(
    generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    output = {"text": random.Random(1).randbytes(300_000).hex()}
    await generations.finish(generation(1, output=output, expires_at=NOON + timedelta(days=1)))
    ends = {item["expires_at"]["N"] for item in scan(admin, table)}
    assert ends == {str(int((NOON + timedelta(days=1)).timestamp()))}


# -- lists --------------------------------------------------------------------------------------------------


async def test_a_filter_that_drops_nearly_all_gives_short_pages_and_still_finds_everything(
    aws: Aws, table: str, clock: ManualClock
) -> None:
    store = DynamoGenerationStore(aws.clients, table, clock, most_looks=1)
    for number in range(230):
        await store.begin(generation(number, type="image" if number in (0, 150) else "text"))
    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor is not None:
        records, cursor = await store.list_by_owner("ada", filters={"type": "image"}, limit=5, cursor=cursor)
        pages.append([record.id for record in records])
    assert [one for page in pages for one in page] == ["gen_0150", "gen_0000"]
    assert len(pages) == 3


async def test_a_record_that_the_index_still_lists_as_it_was_is_left_out(
    aws: Aws, generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    """moto's index never lags; this puts an item there whose record says otherwise."""
    await generations.begin(generation(1))
    await generations.begin(generation(2))
    stale = to_wire(record_items(generation(3))[0])
    admin.put_item(TableName=table, Item={**stale, "sk": {"S": "OLD"}})
    records, cursor = await generations.list_by_owner(
        "ada", filters={"status": "running"}, limit=2, cursor=None
    )
    assert [record.id for record in records] == ["gen_0002", "gen_0001"]
    assert cursor is None


# -- streams ------------------------------------------------------------------------------------------------


async def changes(aws: Aws, table: str, admin: Any) -> dict[str, Any]:
    """The event that a function gets for everything that happened to the table."""
    streams = boto3.session.Session(region_name="us-east-1").client(
        "dynamodbstreams", endpoint_url=aws.endpoint_url
    )
    try:
        arn = admin.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        start = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        found = streams.get_records(ShardIterator=start["ShardIterator"])["Records"]
        return {"Records": [event_record(record, arn) for record in found]}
    finally:
        streams.close()


async def test_the_stream_tells_each_outcome_once(
    aws: Aws, generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    begun = replace(chat(), status=GenerationStatus.RUNNING, completed_at=None)
    done = replace(chat(), output={"text": "t" * 3000}, metadata={"scene_id": "s"})
    await generations.begin(begun, Admission(counters=(counter(5),)))
    await generations.begin(generation(5))
    await generations.finish(done)
    admin.put_item(TableName=table, Item=to_wire(record_items(replace(done, metadata={"rated": 5}))[0]))
    admin.delete_item(TableName=table, Key={"pk": {"S": done.id}, "sk": {"S": "REC"}})
    assert records_of(await changes(aws, table, admin)) == [done]


async def test_the_stream_tells_keys_beside_the_record_once_and_nothing_else_of_it(
    aws: Aws, generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    used = replace(chat(), opened=(KeyOpening(connection_id="con_1", provider="openai", at=NOON),))
    await generations.finish(replace(chat(), status=GenerationStatus.EXPIRED))
    aws.calls.clear()
    for _ in range(2):
        await generations.tell_keys(replace(used, output={"text": "an answer"}, metadata={"scene_id": "s"}))
    assert aws.operations() == ["put_item"] * 2
    ended, told = records_of(await changes(aws, table, admin))
    assert (ended.status, ended.keys_only) == (GenerationStatus.EXPIRED, False)
    assert (told.keys_only, told.attempts, told.opened) == (True, used.attempts, used.opened)
    assert (told.id, told.owner, told.key_id, told.request_id, told.completed_at) == (
        (used.id, used.owner, used.key_id, used.request_id, used.completed_at)
    )
    assert (told.output, told.metadata, told.usage, told.cost_charged_nanousd) == (None, {}, None, None)
    item = admin.get_item(TableName=table, Key={"pk": {"S": used.id}, "sk": {"S": KEYS}})["Item"]
    assert item.keys() == {"pk", "sk", "body", "expires_at"}  # in no index
    assert float(item["expires_at"]["N"]) > (NOON + timedelta(days=1)).timestamp()


def test_a_record_of_before_keys_were_told_is_read_as_one_that_opened_none() -> None:
    """As version 1 wrote it: what is not in the table has its default."""
    item = record_items(chat())[0]
    body = json.loads(str(item["body"]))
    assert not {"opened", "keys_only"} & body.keys()
    for attempt in body["attempts"]:
        attempt.pop("key", None)
    old = {name: value for name, value in item.items() if value is not None} | {"body": json.dumps(body)}
    assert record_of(old) == chat()
    assert record_of(old).opened == ()


async def test_a_record_with_pieces_comes_through_the_stream_without_them(
    aws: Aws, generations: DynamoGenerationStore, table: str, admin: Any
) -> None:
    done = replace(chat(), output={"text": random.Random(1).randbytes(300_000).hex()})
    await generations.finish(done)
    assert records_of(await changes(aws, table, admin)) == [replace(done, output=None)]


def test_an_event_without_records_brings_nothing() -> None:
    assert records_of({"Records": []}) == []
    assert records_of({}) == []
