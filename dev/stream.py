"""A table's stream, handed to a function in batches, as Lambda's event source mapping does it."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dev.filters import Filters
from dev.invocation import FunctionFailed
from dev.template import REGION, StreamSpec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BUSY_POLL_S = 0.1
IDLE_POLL_S = 1.0
_RETRY_FIRST_S, _RETRY_MOST_S = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream is read from: everything after `sequence_number`, or from its beginning."""

    sequence_number: int | None = None


class TableStream:
    """Reads one table's stream from moto. Blocking.

    Each read takes a new iterator, by sequence number: moto's iterators hold on to the table as it was, and
    read nothing more once a failed transaction has put a copy in its place (5.2.5).
    """

    def __init__(self, dynamodb: "DynamoDBClient", streams: Any, table: str) -> None:
        self.table = table
        self.arn = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self._streams = streams
        description = streams.describe_stream(StreamArn=self.arn)["StreamDescription"]
        self._shard_id = description["Shards"][0]["ShardId"]

    def read(self, position: Position, limit: int) -> list[dict[str, Any]]:
        """At most `limit` records after the position, oldest first, shaped as Lambda's events have them."""
        where: Any = {"ShardIteratorType": "TRIM_HORIZON"}
        if position.sequence_number is not None:
            where = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": str(position.sequence_number),
            }
        iterator = self._streams.get_shard_iterator(StreamArn=self.arn, ShardId=self._shard_id, **where)
        found = self._streams.get_records(ShardIterator=iterator["ShardIterator"], Limit=limit)
        return [event_record(record, self.arn) for record in found["Records"]]


def event_record(record: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """A record as a function gets it: bytes in base64, the time in seconds, the stream's ARN beside."""
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime")
    if isinstance(created, datetime):
        change["ApproximateCreationDateTime"] = int(created.timestamp())
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": _in_json(change),
        "eventSourceARN": arn,
    }


def _in_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _in_json(item) for key, item in value.items()}
    return [_in_json(item) for item in value] if isinstance(value, list) else value


def sequence_number(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def unprocessed(records: Sequence[Mapping[str, Any]], answer: bytes) -> Sequence[Mapping[str, Any]]:
    """What must be given again after this answer: everything from the first failed record on."""
    said = json.loads(answer or b"null")
    failures = said.get("batchItemFailures", ()) if isinstance(said, dict) else ()
    failed = {str(item["itemIdentifier"]) for item in failures}
    for index, record in enumerate(records):
        if record["dynamodb"]["SequenceNumber"] in failed:
            return records[index:]
    return ()


type Invoke = Callable[[bytes], Awaitable[bytes]]


class StreamConsumer:
    """Gives every record that its filters let through to the function, in order, at least once.

    A batch that fails is given again, with growing pauses, as often as the template allows; then it is
    reported and passed over. Where the template bisects, its halves go their own ways.
    """

    def __init__(
        self,
        spec: StreamSpec,
        invoke: Invoke,
        report: Callable[[str, str], None],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._spec = spec
        self._filters = Filters(spec.filters)
        self._invoke = invoke
        self._report = report
        self._sleep = sleep

    async def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Returns when the records are done with. Raises TemplateError for a filter it can't judge."""
        await self._deliver([record for record in records if self._filters.let_through(record)])

    async def _deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        pause_s, tries, left = _RETRY_FIRST_S, 0, records
        while left:
            again = await self._give(left)
            if self._spec.bisects and len(again) == len(left) > 1:
                middle = len(left) // 2
                await self._deliver(left[:middle])
                await self._deliver(left[middle:])
                return
            tries = tries + 1 if len(again) == len(left) else 0
            left = again
            if left and 0 <= self._spec.retries < tries:
                self._report(self._spec.name, f"gave up on {len(left)} records")
                return
            if left:
                await self._sleep(pause_s)
                pause_s = min(2 * pause_s, _RETRY_MOST_S)

    async def _give(self, records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        try:
            answer = await self._invoke(json.dumps({"Records": list(records)}).encode())
        except FunctionFailed as error:
            self._report(self._spec.name, str(error))
            return records
        return unprocessed(records, answer) if self._spec.reports_failures else ()


async def follow(
    stream: TableStream, spec: StreamSpec, consumer: StreamConsumer, forget: Callable[[str, int], None]
) -> None:
    """Reads the stream until cancelled. `forget` hears of every record that is done with."""
    position, pause_s = Position(), BUSY_POLL_S
    while True:
        records = await asyncio.to_thread(stream.read, position, spec.batch_size)
        if records:
            await consumer.deliver(records)
            position = Position(sequence_number(records[-1]))
        forget(stream.table, position.sequence_number or 0)
        pause_s = BUSY_POLL_S if records else min(2 * pause_s, IDLE_POLL_S)
        if len(records) < spec.batch_size:
            await asyncio.sleep(pause_s)
