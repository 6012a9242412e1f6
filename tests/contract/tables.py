"""The tables as docs/data-model.md describes them, for tests that run before there is a stack."""

from collections.abc import Mapping
from typing import Any

KEYS = ("pk", "sk")

INDEXES: Mapping[str, Mapping[str, Any]] = {
    "catalog": {},
    "accounts": {
        "by_list": {"keys": ("list_pk", "list_sk"), "projection": {"ProjectionType": "ALL"}},
    },
    "generations": {
        "by_owner": {
            "keys": ("owner", "list_sk"),
            "projection": {
                "ProjectionType": "INCLUDE",
                "NonKeyAttributes": ["status", "type", "project_id", "expires_at"],
            },
        },
    },
}

STREAMS: Mapping[str, Mapping[str, Any]] = {
    "generations": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}

TTL_ATTRIBUTE: Mapping[str, str | None] = {
    "catalog": "expires_at",
    "accounts": None,
    "generations": "expires_at",
}


def create_table_request(kind: str, name: str) -> dict[str, Any]:
    """What CreateTable takes for the `kind` of table (`catalog`, `accounts`, `generations`)."""
    indexes = INDEXES[kind]
    attributes = {*KEYS, *(key for index in indexes.values() for key in index["keys"])}
    request: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _schema(KEYS),
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in sorted(attributes)
        ],
    }
    if indexes:
        request["GlobalSecondaryIndexes"] = [
            {"IndexName": name, "KeySchema": _schema(index["keys"]), "Projection": index["projection"]}
            for name, index in indexes.items()
        ]
    if kind in STREAMS:
        request["StreamSpecification"] = STREAMS[kind]
    return request


def _schema(keys: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"AttributeName": keys[0], "KeyType": "HASH"},
        {"AttributeName": keys[1], "KeyType": "RANGE"},
    ]
