"""A table's stream reaches its function: in order, at least once, shaped as Lambda shapes it."""

import asyncio
import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dev.invocation import FunctionFailed
from dev.moto import Moto
from dev.resources import client, create_tables
from dev.stream import Position, StreamConsumer, TableStream, follow, sequence_number
from dev.template import StreamSpec, TableSpec

SPEC = StreamSpec(name="Keep.Changes", table="things", batch_size=3, retries=2, reports_failures=True)
TABLE = TableSpec(
    logical_id="Things",
    physical_name="things",
    create={
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    },
    ttl_attribute="ttl",
)


class Keeper:
    """A function that keeps what it gets. refuses: sequence numbers to fail on, as often as said."""

    def __init__(
        self, refuses: dict[str, int] | None = None, *, crashes: int = 0, breaks_on: str = ""
    ) -> None:
        self.batches: list[list[str]] = []
        self.kept: list[str] = []
        self.events: list[Any] = []
        self.reports: list[str] = []
        self.pauses: list[float] = []
        self._refuses = refuses or {}
        self._crashes = crashes
        self._breaks_on = breaks_on
        self._more = asyncio.Event()

    async def invoke(self, payload: bytes) -> bytes:
        event = json.loads(payload)
        self.events.append(event)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
        self.batches.append(numbers)
        if self._breaks_on in numbers:
            raise FunctionFailed("Broken", "no luck")
        if self._crashes:
            self._crashes -= 1
            raise FunctionFailed("Broken", "no luck")
        for number in numbers:
            if self._refuses.get(number, 0) > 0:
                self._refuses[number] -= 1
                return json.dumps({"batchItemFailures": [{"itemIdentifier": number}]}).encode()
            self.kept.append(number)
        self._more.set()
        return b'{"batchItemFailures": []}'

    async def has_kept(self, count: int) -> None:
        while len(self.kept) < count:
            self._more.clear()
            await self._more.wait()

    async def pause(self, delay_s: float) -> None:
        self.pauses.append(delay_s)

    def consumer(self, spec: StreamSpec = SPEC) -> StreamConsumer:
        return StreamConsumer(spec, self.invoke, lambda _, what: self.reports.append(what), sleep=self.pause)


def records(*numbers: str) -> Sequence[dict[str, Any]]:
    return [{"dynamodb": {"SequenceNumber": number}} for number in numbers]


async def test_a_batch_is_given_once_when_all_goes_well() -> None:
    keeper = Keeper()
    await keeper.consumer().deliver(records("1", "2", "3"))
    assert keeper.batches == [["1", "2", "3"]]
    assert not keeper.reports
    assert not keeper.pauses


async def test_a_batch_that_fails_is_given_again_after_a_growing_pause() -> None:
    keeper = Keeper(crashes=2)
    await keeper.consumer().deliver(records("1", "2"))
    assert keeper.batches == [["1", "2"]] * 3
    assert keeper.kept == ["1", "2"]
    assert keeper.pauses == sorted(keeper.pauses)
    assert keeper.reports == ["Broken: no luck"] * 2


async def test_from_the_first_failed_record_on_all_are_given_again() -> None:
    keeper = Keeper({"2": 1})
    await keeper.consumer().deliver(records("1", "2", "3"))
    assert keeper.batches == [["1", "2", "3"], ["2", "3"]]
    assert keeper.kept == ["1", "2", "3"]


async def test_records_are_given_up_after_the_templates_retries_and_that_is_said() -> None:
    keeper = Keeper({"2": 100})
    await keeper.consumer().deliver(records("1", "2"))
    assert keeper.batches == [["1", "2"], ["2"], ["2"], ["2"]]
    assert keeper.reports == ["gave up on 1 records"]


async def test_only_what_the_filters_let_through_is_given() -> None:
    keeper = Keeper()
    spec = replace(SPEC, filters=('{"dynamodb":{"SequenceNumber":["1","3"]}}',))
    await keeper.consumer(spec).deliver(records("1", "2", "3"))
    await keeper.consumer(spec).deliver(records("2"))
    assert keeper.batches == [["1", "3"]]


async def test_a_bisected_batch_loses_only_the_record_that_breaks_it() -> None:
    keeper = Keeper(breaks_on="3")
    await keeper.consumer(replace(SPEC, bisects=True)).deliver(records("1", "2", "3", "4"))
    assert keeper.kept == ["1", "2", "4"]
    assert keeper.reports[-1] == "gave up on 1 records"


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    running = Moto.start()
    asyncio.run(running.ready())
    yield running
    running.stop()


@pytest.fixture
def dynamodb(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    made = client("dynamodb", moto.endpoint_url)
    create_tables(made, [TABLE])
    yield made
    made.delete_table(TableName="things")
    made.close()


@pytest.fixture
def stream(moto: Moto, dynamodb: Any) -> Iterator[TableStream]:
    streams = client("dynamodbstreams", moto.endpoint_url)
    yield TableStream(dynamodb, streams, "things")
    streams.close()


def put(dynamodb: Any, key: str, **attributes: Any) -> None:
    dynamodb.put_item(TableName="things", Item={"pk": {"S": key}, **attributes})


def fail_a_transaction(dynamodb: Any, existing: str) -> None:
    once = {"TableName": "things", "ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "things", "Item": {"pk": {"S": "never"}}}},
                {"Put": {**once, "Item": {"pk": {"S": existing}}}},
            ]
        )


def test_a_record_is_shaped_as_a_functions_event_has_it(dynamodb: Any, stream: TableStream) -> None:
    put(dynamodb, "a", data={"B": b"\x00\xff"}, n={"N": "1"})
    put(dynamodb, "a", n={"N": "2"})
    inserted, modified = stream.read(Position(), 10)
    assert (inserted["eventName"], modified["eventName"]) == ("INSERT", "MODIFY")
    assert inserted["eventSource"] == "aws:dynamodb"
    assert inserted["eventSourceARN"] == stream.arn
    change = inserted["dynamodb"]
    assert change["Keys"] == {"pk": {"S": "a"}}
    assert change["NewImage"]["data"] == {"B": base64.b64encode(b"\x00\xff").decode()}
    assert isinstance(change["ApproximateCreationDateTime"], int)
    assert modified["dynamodb"]["OldImage"]["n"] == {"N": "1"}
    assert modified["dynamodb"]["NewImage"]["n"] == {"N": "2"}


def test_reading_goes_on_after_a_position_and_past_a_failed_transaction(
    dynamodb: Any, stream: TableStream
) -> None:
    put(dynamodb, "a")
    (first,) = stream.read(Position(), 10)
    fail_a_transaction(dynamodb, "a")
    put(dynamodb, "b")
    (second,) = stream.read(Position(sequence_number(first)), 10)
    assert second["dynamodb"]["Keys"] == {"pk": {"S": "b"}}


async def test_every_change_reaches_the_function_once_and_in_order(
    moto: Moto, dynamodb: Any, stream: TableStream
) -> None:
    keeper = Keeper()
    following = asyncio.create_task(follow(stream, SPEC, keeper.consumer(), moto.forget_read))
    keys = [f"key-{number:02}" for number in range(10)]
    for key in keys:
        await asyncio.to_thread(put, dynamodb, key)
    await asyncio.to_thread(fail_a_transaction, dynamodb, keys[0])
    await asyncio.to_thread(put, dynamodb, "last")
    async with asyncio.timeout(10):
        await keeper.has_kept(len(keys) + 1)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    seen = [record["dynamodb"]["Keys"]["pk"]["S"] for event in keeper.events for record in event["Records"]]
    assert seen == [*keys, "last"]
    assert all(len(batch) <= SPEC.batch_size for batch in keeper.batches)


def test_what_was_read_is_dropped_and_later_changes_still_come(
    moto: Moto, dynamodb: Any, stream: TableStream
) -> None:
    for key in ("a", "b", "c"):
        put(dynamodb, key)
    first, second, _ = stream.read(Position(), 10)
    moto.forget_read("things", sequence_number(second))
    deadline_s = time.monotonic() + 5

    def read_from_the_start() -> list[Any]:
        """A reader who stood where things were dropped the moment before gets an error, and stands anew."""
        while True:
            with contextlib.suppress(ClientError):
                return list(stream.read(Position(), 10))
            assert time.monotonic() < deadline_s

    while len(left := read_from_the_start()) == 3 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in left] == ["c"]
    put(dynamodb, "d")
    assert sequence_number(read_from_the_start()[-1]) == sequence_number(first) + 3


def memory_kb(moto: Moto) -> int:
    status = Path(f"/proc/{moto.pid}/status")
    if status.exists():
        return int(status.read_text().partition("VmRSS:")[2].split()[0])
    told = subprocess.check_output(["ps", "-o", "rss=", "-p", str(moto.pid)])
    return int(told)


def test_transactions_take_no_memory_for_good(moto: Moto, dynamodb: Any) -> None:
    """Each makes a copy of every item."""

    def transact(times: int) -> None:
        for number in range(times):
            item = {"pk": {"S": f"once {number % 10}"}}
            dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "things", "Item": item}}])

    for number in range(100):
        put(dynamodb, f"key {number}", data={"S": "x" * 2_000}, n={"N": "1"})
    transact(15)
    before_kb = memory_kb(moto)
    transact(60)
    assert memory_kb(moto) - before_kb < 10_000
