"""What a deployment would have made before the first request: tables, keys, and the platform's secrets."""

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dev.template import REGION, TableSpec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

_KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM", "VIRTUAL_ENV", "PYTHONPATH")
_KEPT_PREFIXES = ("SSL_CERT_", "PYTHON")


def isolate_environment() -> None:
    """Leaves this process, and those it starts, an environment without keys, profiles or AWS accounts.

    What a function needs is given to it. boto3 reads credentials and profiles from the process, so those are
    made ones here: nothing that runs locally can reach a real account.
    """
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith(_KEPT_PREFIXES):
            del os.environ[name]
    os.environ.update(aws_environment())


def aws_environment() -> dict[str, str]:
    """Region and credentials, as Lambda would give them; moto takes any."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def client(service: str, endpoint_url: str) -> Any:
    """A boto3 client of the process that stands in for AWS."""
    import boto3  # noqa: PLC0415 - half a second, which a run on the in-memory store does not need

    return boto3.client(service, endpoint_url=endpoint_url, region_name=REGION)  # type: ignore[call-overload]


def create_tables(dynamodb: "DynamoDBClient", tables: Iterable[TableSpec]) -> None:
    """Each with its keys, indexes, stream and expiry, as the template says."""
    for table in tables:
        dynamodb.create_table(**table.create)
        if table.ttl_attribute is not None:
            dynamodb.update_time_to_live(
                TableName=table.physical_name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
            )


def create_keys(kms: "KMSClient", aliases: Iterable[str]) -> None:
    """A key of its own behind each alias."""
    for alias in aliases:
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=alias, TargetKeyId=key)


def put_secrets(
    secrets: "SecretsManagerClient", prefix: str, fields_by_slug: Mapping[str, Mapping[str, str]]
) -> None:
    """`<prefix><slug>` for each configured provider: `{"api_key": …, "base_url": …}`."""
    for slug, fields in fields_by_slug.items():
        secrets.create_secret(Name=f"{prefix}{slug}", SecretString=json.dumps(fields))
