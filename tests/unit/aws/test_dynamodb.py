"""What DynamoDB does under load, and moto never: unprocessed items, conflicts. And the coding of items."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.catalog import DynamoCatalogStore
from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Item, Table, from_wire, to_wire
from headgate.aws.generations import DynamoGenerationStore
from headgate.domain.admission import Admission, Claim, Closing, Counter
from headgate.domain.callers import ApiKey
from headgate.domain.catalog import Snapshot, SnapshotHead
from headgate.domain.credits import EntryKind, LedgerEntry, Settlement
from headgate.domain.errors import GatewayFault, LimitReached
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.ports import AlreadyClaimed
from headgate.testing.clock import START, ManualClock
from tests.unit.aws.conftest import Endpoint, Received, Reply

ITEMS: list[Item] = [{"pk": "a", "sk": str(number)} for number in range(3)]
RATE = Counter(name="key#1", measure="requests", amount=1, limit=5, expires_at=START + timedelta(seconds=30))
LIMITED = Admission(counters=(RATE,))


def record() -> GenerationRecord:
    return GenerationRecord(
        id="gen_1",
        owner="ada",
        key_id="key_1",
        type="text",
        status=GenerationStatus.RUNNING,
        created_at=START,
    )


def key() -> ApiKey:
    return ApiKey(
        id="key_1",
        hash="ab",
        user_id="ada",
        name="n",
        scopes=frozenset(),
        created_at=START,
        hint="abcd",
    )


def cancelled(*codes: str) -> Reply:
    reasons = [{"Code": code} for code in codes]
    return Reply.of_error("TransactionCanceledException", CancellationReasons=reasons)


@pytest.fixture
def table(clients: AwsClients) -> Table:
    return Table(clients, "table")


async def test_a_key_longer_than_any_is_not_there_and_not_asked_for(endpoint: Endpoint, table: Table) -> None:
    """DynamoDB calls it a mistake of ours, so a caller's absurd id would look like a fault of the gateway."""
    endpoint.answers(Reply.of_error("ValidationException"))
    assert await table.get("gen_" + "é" * 1_023, "REC") is None
    assert endpoint.received == []
    with pytest.raises(GatewayFault):
        await table.get("gen_" + "é" * 1_022, "REC")


async def test_items_that_were_not_written_are_sent_again(endpoint: Endpoint, table: Table) -> None:
    left = {"table": [{"PutRequest": {"Item": to_wire(ITEMS[2])}}]}
    endpoint.answers(Reply(body={"UnprocessedItems": left}), Reply(body={"UnprocessedItems": {}}))
    await table.put_many(ITEMS)
    assert [len(request.body["RequestItems"]["table"]) for request in endpoint.received] == [3, 1]


async def test_items_that_are_never_written_are_a_fault_in_the_end(endpoint: Endpoint, table: Table) -> None:
    left = {"table": [{"PutRequest": {"Item": to_wire(ITEMS[2])}}]}
    endpoint.answers(Reply(body={"UnprocessedItems": left}))
    with pytest.raises(GatewayFault) as fault:
        await table.put_many(ITEMS)
    assert fault.value.code == "gateway_unavailable"
    assert 1 < len(endpoint.received) < 20


async def test_keys_that_were_not_read_are_asked_for_again(endpoint: Endpoint, table: Table) -> None:
    keys = [{"pk": {"S": "a"}, "sk": {"S": "2"}}]
    first = {
        "Responses": {"table": [to_wire(ITEMS[0]), to_wire(ITEMS[1])]},
        "UnprocessedKeys": {"table": {"Keys": keys}},
    }
    endpoint.answers(Reply(body=first), Reply(body={"Responses": {"table": [to_wire(ITEMS[2])]}}))
    found = await table.get_many([("a", "0"), ("a", "1"), ("a", "2"), ("a", "3")])
    assert found == {("a", str(number)): ITEMS[number] for number in range(3)}
    assert endpoint.received[1].body["RequestItems"]["table"]["Keys"] == keys


async def test_keys_that_are_never_read_are_a_fault_in_the_end(endpoint: Endpoint, table: Table) -> None:
    keys = [{"pk": {"S": "a"}, "sk": {"S": "2"}}]
    endpoint.answers(Reply(body={"Responses": {}, "UnprocessedKeys": {"table": {"Keys": keys}}}))
    with pytest.raises(GatewayFault):
        await table.get_many([("a", "2")])


async def test_many_keys_are_asked_for_a_hundred_at_a_time(endpoint: Endpoint, table: Table) -> None:
    endpoint.answers(Reply(body={"Responses": {}}))
    await table.get_many([("a", str(number)) for number in range(250)])
    sizes = [len(request.body["RequestItems"]["table"]["Keys"]) for request in endpoint.received]
    assert sizes == [100, 100, 50]


async def test_large_items_are_written_a_few_at_a_time(endpoint: Endpoint, table: Table) -> None:
    endpoint.answers(Reply())
    await table.put_many({"pk": "a", "sk": str(number), "data": b"x" * 300_000} for number in range(20))
    sizes = [len(request.body["RequestItems"]["table"]) for request in endpoint.received]
    assert sum(sizes) == 20
    assert max(sizes) <= 13


async def test_a_head_written_by_the_answer_that_was_lost_counts_as_written(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    def already_there(request: Received) -> Reply:
        return Reply.of_error("ConditionalCheckFailedException", Item=request.body["Item"])

    endpoint.answers(Reply(), already_there)
    head = SnapshotHead(provider="openai", version="v")
    store = DynamoCatalogStore(clients, "table", ManualClock())
    assert await store.write_snapshot(Snapshot(head=head, models=()), replaces=None)
    assert [request.operation for request in endpoint.received] == ["BatchWriteItem", "PutItem"]


async def test_a_list_is_written_though_the_old_pieces_can_not_be_retired(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    old = {"version": {"S": "v0"}, "pieces": {"S": "p"}, "chunks": {"N": "2"}}
    endpoint.answers(Reply(), Reply(body={"Attributes": old}), Reply.of_error("ThrottlingException"))
    head = SnapshotHead(provider="openai", version="v1")
    store = DynamoCatalogStore(clients, "table", ManualClock())
    assert await store.write_snapshot(Snapshot(head=head, models=()), replaces="v0")


@pytest.fixture
def store(clients: AwsClients) -> DynamoGenerationStore:
    return DynamoGenerationStore(clients, "table", ManualClock())


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_transaction_that_met_another_is_sent_again(
    endpoint: Endpoint, store: DynamoGenerationStore, code: str
) -> None:
    endpoint.answers(cancelled("None", code), cancelled(code, "None"), Reply())
    await store.begin(record(), LIMITED)
    assert [request.operation for request in endpoint.received] == ["TransactWriteItems"] * 3


async def test_who_meets_others_at_a_limit_again_and_again_looks_whether_there_is_room(
    endpoint: Endpoint, store: DynamoGenerationStore
) -> None:
    used_up = {"pk": {"S": "RATE#key#1"}, "sk": {"S": "RATE"}, "n": {"N": "5"}}
    replies = {
        "TransactWriteItems": cancelled("None", "TransactionConflict"),
        "Query": Reply(body={"Items": [used_up]}),
        "GetItem": Reply(),
    }
    endpoint.answers(lambda request: replies[request.operation])
    with pytest.raises(LimitReached) as reached:
        await store.begin(record(), LIMITED)
    assert reached.value.retry_after_s == 30
    assert [request.operation for request in endpoint.received].count("TransactWriteItems") == 2


async def test_a_transaction_that_always_meets_another_is_a_fault_in_the_end(
    endpoint: Endpoint, store: DynamoGenerationStore
) -> None:
    met = cancelled("None", "TransactionConflict")
    endpoint.answers(lambda asked: Reply(body={"Items": []}) if asked.operation == "Query" else met)
    with pytest.raises(GatewayFault) as fault:
        await store.begin(record(), LIMITED)
    assert fault.value.code == "gateway_unavailable"
    assert 1 < len(endpoint.received) < 20


async def test_a_full_window_is_told_from_a_conflict(
    endpoint: Endpoint, store: DynamoGenerationStore
) -> None:
    endpoint.answers(cancelled("TransactionConflict", "ConditionalCheckFailed"))
    with pytest.raises(LimitReached) as reached:
        await store.begin(record(), LIMITED)
    assert reached.value.retry_after_s == 30
    assert len(endpoint.received) == 1


CLAIMED = Admission(
    claim=Claim(name="c", fingerprint="f", expires_at=START + timedelta(days=1)), counters=(RATE,)
)


async def test_whether_a_key_was_used_before_is_known_before_a_full_window_refuses(
    endpoint: Endpoint, store: DynamoGenerationStore
) -> None:
    """The claim met another's transaction, perhaps that of the same request sent twice."""
    there = {
        "generation_id": {"S": "gen_9"},
        "fingerprint": {"S": "f"},
        "expires_at": {"N": "1800000000"},
    }
    reasons = [{"Code": "ConditionalCheckFailed", "Item": there}, {"Code": "None"}, {"Code": "None"}]
    taken = Reply.of_error("TransactionCanceledException", CancellationReasons=reasons)
    endpoint.answers(cancelled("TransactionConflict", "None", "ConditionalCheckFailed"), taken)
    with pytest.raises(AlreadyClaimed) as claimed:
        await store.begin(record(), CLAIMED)
    assert claimed.value.generation_id == "gen_9"
    assert len(endpoint.received) == 2


async def test_a_settlement_that_met_another_of_its_user_is_sent_again(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    store = DynamoGenerationStore(clients, "table", ManualClock(), ledger_table="ledger")
    entry = LedgerEntry(id="led_1", user_id="ann", at=START, kind=EntryKind.RELEASE, amount_nanousd=5)
    nothing_beside = Reply(body={"Items": []})
    endpoint.answers(cancelled("None", "TransactionConflict", "None"), nothing_beside, Reply())
    await store.finish(record(), Closing(settlement=Settlement(entry=entry, held_nanousd=5)))
    first, looked, second = endpoint.received
    assert [one.operation for one in (first, looked, second)] == [
        "TransactWriteItems",
        "Query",
        "TransactWriteItems",
    ]
    tokens = {request.body["ClientRequestToken"] for request in (first, second)}
    assert len(tokens) == 2  # DynamoDB would answer the first try's result again to the same token


async def test_a_transaction_refused_for_itself_is_not_sent_again(
    endpoint: Endpoint, store: DynamoGenerationStore
) -> None:
    endpoint.answers(cancelled("ValidationError", "None"))
    with pytest.raises(GatewayFault) as fault:
        await store.begin(record(), LIMITED)
    assert fault.value.code == "internal"
    assert len(endpoint.received) == 1


async def test_a_key_whose_items_changed_meanwhile_is_read_again(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    nothing = Reply()
    endpoint.answers(nothing, nothing, cancelled("None", "ConditionalCheckFailed"), nothing)
    await DynamoAccountStore(clients, "table").put_key(key())
    operations = [request.operation for request in endpoint.received]
    assert operations == ["GetItem", "GetItem", "TransactWriteItems"] * 2


@pytest.mark.parametrize(("code", "fault"), [("ValidationError", "internal"), ("TransactionConflict", None)])
async def test_a_key_that_can_not_be_kept_is_a_fault(
    endpoint: Endpoint, clients: AwsClients, code: str, fault: str | None
) -> None:
    endpoint.answers(Reply(), Reply(), cancelled(code, "None"))
    endpoint.replies.extend([Reply(), Reply(), cancelled(code, "None")] * 6)
    with pytest.raises(GatewayFault) as raised:
        await DynamoAccountStore(clients, "table").put_key(key())
    assert raised.value.code == (fault or "gateway_unavailable")


ANY_ITEM = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.text(max_size=9)
    | st.binary(max_size=9)
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False, width=32),
    max_size=6,
)


@given(ANY_ITEM)
def test_an_item_comes_back_as_it_was(item: Item) -> None:
    assert from_wire(to_wire(item)) == item


def test_what_is_none_is_left_out() -> None:
    assert to_wire({"a": None, "b": 1}) == {"b": {"N": "1"}}


@pytest.mark.parametrize("value", [{"L": []}, {"BOOL": True}, {"SS": ["a"]}])
def test_an_attribute_of_another_kind_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="attribute"):
        from_wire({"a": value})
