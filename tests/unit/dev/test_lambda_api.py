"""Functions started over Lambda's Invoke call, by boto3 itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dev.invocation import FunctionFailed
from dev.lambda_api import LambdaApi
from dev.servers import RunningServer, bind

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

ARN = "arn:aws:lambda:us-east-1:123456789012:function:headgate-local-KeepFunction"


class OneFunction:
    """Knows itself by name and ARN; echoes, or fails where the event says so."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.failures: list[tuple[str, str]] = []
        self.seen = asyncio.Event()
        self.failed = asyncio.Event()

    def knows(self, name: str) -> bool:
        return name in ("keep", ARN)

    async def invoke(self, name: str, payload: bytes) -> bytes:
        assert self.knows(name)
        event = json.loads(payload or b"null")
        self.events.append(event)
        self.seen.set()
        if event == {"fail": True}:
            raise FunctionFailed("TableGone", "no table")
        return json.dumps({"echo": event}).encode()

    def report(self, who: str, what: str) -> None:
        self.failures.append((who, what))
        self.failed.set()


@pytest.fixture
def function() -> OneFunction:
    return OneFunction()


@pytest.fixture
async def client(function: OneFunction) -> "AsyncIterator[LambdaClient]":
    api = LambdaApi(function.invoke, function.knows, function.report)
    server = RunningServer(api, bind(0), lifespan=False)
    await server.start()
    made = boto3.client(
        "lambda",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield made
    made.close()
    await server.stop()


@pytest.mark.parametrize("name", ["keep", ARN])
async def test_an_invocation_is_answered_with_what_the_handler_returned(
    client: "LambdaClient", name: str
) -> None:
    answer = await asyncio.to_thread(client.invoke, FunctionName=name, Payload=b'{"a":1}')
    assert answer["StatusCode"] == 200
    assert json.loads(answer["Payload"].read()) == {"echo": {"a": 1}}
    assert "FunctionError" not in answer


async def test_an_event_is_taken_at_once_and_run_afterwards(
    client: "LambdaClient", function: OneFunction
) -> None:
    answer = await asyncio.to_thread(
        client.invoke, FunctionName="keep", InvocationType="Event", Payload=b'{"b":2}'
    )
    assert answer["StatusCode"] == 202
    await asyncio.wait_for(function.seen.wait(), 5)
    assert function.events == [{"b": 2}]


async def test_a_failure_is_a_function_error_with_the_exceptions_name(client: "LambdaClient") -> None:
    answer = await asyncio.to_thread(client.invoke, FunctionName="keep", Payload=b'{"fail":true}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read()) == {"errorType": "TableGone", "errorMessage": "no table"}


async def test_an_event_that_fails_is_reported_since_nobody_waits_for_it(
    client: "LambdaClient", function: OneFunction
) -> None:
    await asyncio.to_thread(
        client.invoke, FunctionName="keep", InvocationType="Event", Payload=b'{"fail":true}'
    )
    await asyncio.wait_for(function.failed.wait(), 5)
    assert function.failures == [("keep", "TableGone: no table")]


async def test_an_unknown_function_is_not_found(client: "LambdaClient") -> None:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(client.invoke, FunctionName="nobody")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


async def test_other_calls_of_lambda_are_not_served(client: "LambdaClient") -> None:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(client.get_function, FunctionName="keep")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer x"},
        {"authorization": "AWS4-HMAC-SHA256 Credential=x", "host": "evil.test"},
    ],
)
async def test_a_page_in_a_browser_starts_nothing(
    client: "LambdaClient", function: OneFunction, headers: dict[str, str]
) -> None:
    url = f"{client.meta.endpoint_url}/2015-03-31/functions/keep/invocations"
    async with httpx.AsyncClient(trust_env=False) as page:
        answer = await page.post(url, content=b"{}", headers=headers)
    assert answer.status_code == 403
    assert function.events == []
