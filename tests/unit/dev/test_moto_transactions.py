"""moto's transactions copy what they touch, and fail as whole as before."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dev.moto import Moto
from dev.resources import aws_environment, client

TABLES: dict[str, dict[str, str]] = {"ranged": {"pk": "HASH", "sk": "RANGE"}, "plain": {"pk": "HASH"}}


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    moto = Moto.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws_environment().items():
            patch.setenv(name, value)
        made = client("dynamodb", asyncio.run(moto.ready()))
        for name, key in TABLES.items():
            made.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in key.items()],
                AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in key],
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            )
        yield made
        made.close()
    moto.stop()


def key(table: str, pk: str) -> dict[str, Any]:
    return {name: {"S": pk} for name in TABLES[table]}


def put(table: str, pk: str, **more: str) -> dict[str, Any]:
    item = {**key(table, pk), **{name: {"S": text} for name, text in more.items()}}
    return {"Put": {"TableName": table, "Item": item}}


def raised(table: str, pk: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": table,
            "Key": key(table, pk),
            "UpdateExpression": "ADD #n :one",
            "ExpressionAttributeNames": {"#n": "n"},
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def removed(table: str, pk: str) -> dict[str, Any]:
    return {"Delete": {"TableName": table, "Key": key(table, pk)}}


def missing(table: str) -> dict[str, Any]:
    """Holds of nothing, so that all before it is put back."""
    condition = {"ConditionExpression": "attribute_exists(pk)"}
    return {"ConditionCheck": {"TableName": table, "Key": key(table, "none"), **condition}}


def everything(dynamodb: Any) -> dict[str, list[Any]]:
    return {
        table: sorted(dynamodb.scan(TableName=table)["Items"], key=lambda item: str(item["pk"]))
        for table in TABLES
    }


@pytest.mark.parametrize("last", ["ranged", "plain"])
def test_a_transaction_that_fails_leaves_everything_as_it_was(dynamodb: Any, last: str) -> None:
    for table in TABLES:
        dynamodb.transact_write_items(
            TransactItems=[put(table, "kept", is_="old"), put(table, "gone"), raised(table, "sum")]
        )
    before = everything(dynamodb)
    changes = [
        change
        for table in TABLES
        for change in (
            put(table, "kept", is_="new"),
            put(table, "made"),
            removed(table, "gone"),
            raised(table, "sum"),
            raised(table, "begun"),
        )
    ]
    for _ in range(2):
        with pytest.raises(ClientError, match="TransactionCanceled"):
            dynamodb.transact_write_items(TransactItems=[*changes, missing(last)])
        assert everything(dynamodb) == before
    dynamodb.transact_write_items(TransactItems=changes)
    after = {table: [item["pk"]["S"] for item in items] for table, items in everything(dynamodb).items()}
    assert after == {table: ["begun", "kept", "made", "sum"] for table in TABLES}
    dynamodb.transact_write_items(
        TransactItems=[removed(t, pk) for t in TABLES for pk in ("begun", "kept", "made", "sum")]
    )


def test_a_transaction_takes_no_longer_for_what_else_is_in_its_table(dynamodb: Any) -> None:
    def took_s(times: int) -> float:
        began_s = time.perf_counter()
        for _ in range(times):
            dynamodb.transact_write_items(TransactItems=[raised("ranged", f"s{n}") for n in range(6)])
        return (time.perf_counter() - began_s) / times

    empty_s = took_s(10)
    for block in range(20):
        writes = [{"PutRequest": put("ranged", f"r{block}-{n}", is_="x" * 200)["Put"]} for n in range(25)]
        for write in writes:
            del write["PutRequest"]["TableName"]
        dynamodb.batch_write_item(RequestItems={"ranged": writes})
    assert took_s(10) < 10 * empty_s  # with copies of whole tables, it would be a hundred times that
