"""The tables: how they keep, expire and protect what is in them."""

from typing import Any

import pytest

from dev.template import Stack

TABLES = ("CatalogTable", "AccountsTable", "GenerationsTable")

EXPIRES = {"CatalogTable", "GenerationsTable"}
"""An expired or revoked key stays, and says so; so accounts have no time to live."""

IRREPLACEABLE = {"AccountsTable", "GenerationsTable"}
"""The catalogue is fetched again by the next refresh."""


@pytest.mark.parametrize("name", TABLES)
def test_a_table_costs_nothing_idle_and_is_encrypted(transformed: dict[str, Any], name: str) -> None:
    table = transformed[name]["Properties"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert "ProvisionedThroughput" not in table
    assert table["SSESpecification"] == {"SSEEnabled": True}


@pytest.mark.parametrize("name", TABLES)
def test_items_expire_by_the_one_attribute_or_never(transformed: dict[str, Any], name: str) -> None:
    ttl = transformed[name]["Properties"].get("TimeToLiveSpecification")
    assert ttl == ({"AttributeName": "expires_at", "Enabled": True} if name in EXPIRES else None)


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
    assert {attribute["AttributeType"] for attribute in create["AttributeDefinitions"]} == {"S"}


def test_deletion_is_refused_unless_the_stack_says_otherwise(template: dict[str, Any]) -> None:
    assert template["Parameters"]["DeletionProtection"]["Default"] == "true"


def test_the_stream_shows_what_a_generation_was_and_became(stack: Stack) -> None:
    create = next(table.create for table in stack.tables if table.logical_id == "GenerationsTable")
    assert create["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
