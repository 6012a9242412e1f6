"""The tables: how they keep, expire and protect what is in them."""

from typing import Any

import pytest

from dev.template import Stack

TABLES = ("CatalogTable", "AccountsTable", "GenerationsTable", "ConnectionsTable", "LedgerTable")

IRREPLACEABLE = set(TABLES) - {"CatalogTable"}
"""The catalogue is fetched again by the next refresh."""

NUMBERS = {"due_at"}
"""Keys of indexes that are numbers: seconds since 1970."""


@pytest.mark.parametrize("name", TABLES)
def test_a_table_costs_nothing_idle_and_is_encrypted(transformed: dict[str, Any], name: str) -> None:
    table = transformed[name]["Properties"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert "ProvisionedThroughput" not in table
    assert table["SSESpecification"] == {"SSEEnabled": True}


@pytest.mark.parametrize("name", TABLES)
def test_what_expires_does_so_by_the_same_attribute_everywhere(
    transformed: dict[str, Any], name: str
) -> None:
    ttl = transformed[name]["Properties"]["TimeToLiveSpecification"]
    assert ttl == {"AttributeName": "expires_at", "Enabled": True}


def test_every_table_is_looked_at_here(stack: Stack) -> None:
    assert {table.logical_id for table in stack.tables} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_what_can_not_be_fetched_again_outlives_mistakes_and_the_stack(
    transformed: dict[str, Any], name: str
) -> None:
    table = transformed[name]
    recovery = table["Properties"].get("PointInTimeRecoverySpecification", {})
    kept = name in IRREPLACEABLE
    assert recovery.get("PointInTimeRecoveryEnabled", False) is kept
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == ("Retain" if kept else "Delete")
    assert table["Properties"]["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}


@pytest.mark.parametrize("name", TABLES)
def test_keys_are_strings_named_pk_and_sk(stack: Stack, name: str) -> None:
    create = next(table.create for table in stack.tables if table.logical_id == name)
    assert [key["AttributeName"] for key in create["KeySchema"]] == ["pk", "sk"]
    for attribute in create["AttributeDefinitions"]:
        name = attribute["AttributeName"]
        assert attribute["AttributeType"] == ("N" if name in NUMBERS else "S"), name


def test_what_is_due_is_found_without_copying_it(stack: Stack) -> None:
    create = next(table.create for table in stack.tables if table.logical_id == "GenerationsTable")
    index = next(each for each in create["GlobalSecondaryIndexes"] if each["IndexName"] == "by_due")
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["due_pk", "due_at"]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_deletion_is_refused_unless_the_stack_says_otherwise(template: dict[str, Any]) -> None:
    assert template["Parameters"]["DeletionProtection"]["Default"] == "true"


def test_the_stream_shows_what_a_generation_was_and_became(stack: Stack) -> None:
    create = next(table.create for table in stack.tables if table.logical_id == "GenerationsTable")
    assert create["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
