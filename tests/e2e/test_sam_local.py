"""`make sam-local`: what the containers of `sam local` find in place of AWS."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.resources import aws_environment, client
from dev.template import read_stack
from headgate.domain.callers import hash_key

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told() -> Iterator[list[str]]:
    """What it prints, line by line, while it runs."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, ROOT / "tools/sam_local.py"],
        env={**os.environ, "PORT": str(port), "PYTHONPATH": f"{ROOT / 'layers/core'}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield [process.stdout.readline() for _ in range(6)]
        finally:
            process.terminate()


def test_tables_are_named_as_sam_local_resolves_them_and_hold_the_key_of_the_events(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_environment().items():
        monkeypatch.setenv(name, value)
    endpoint_url = told[0].split()[4]
    dynamodb = client("dynamodb", endpoint_url)
    tables = read_stack((ROOT / "template.yaml").read_text()).tables
    assert set(dynamodb.list_tables()["TableNames"]) == {table.logical_id for table in tables}
    key = told[5].split('"')[1].removeprefix("Authorization: Bearer ")
    where = {"pk": {"S": f"KEY#{hash_key(key)}"}, "sk": {"S": "KEY"}}
    assert "Item" in dynamodb.get_item(TableName="AccountsTable", Key=where)


def test_the_key_is_named_so_that_functions_find_it(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_environment().items():
        monkeypatch.setenv(name, value)
    given = json.loads((ROOT / ".aws-sam/sam-local.json").read_text())["Parameters"]
    kms = client("kms", told[0].split()[4])
    assert kms.describe_key(KeyId=given["HEADGATE_KMS_KEY"])["KeyMetadata"]["Enabled"]


def test_the_commands_it_prints_point_the_functions_at_it(told: list[str]) -> None:
    build, invoke, start = (line.strip() for line in told[2:5])
    assert build.startswith("sam build ")
    assert "RefreshFunction -e events/refresh/schedule.json" in invoke
    for command in (invoke, start):
        assert "LocalEndpoint=http://" in command
        assert "--env-vars .aws-sam/sam-local.json" in command
    assert (ROOT / "events/refresh/schedule.json").exists()
