"""Clients: built once, off the loop, bounded; every call is told to who asked."""

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from headgate.aws.clients import AwsClients, AwsTuning
from headgate.domain.errors import GatewayFault
from tests.unit.aws.conftest import Endpoint, MakeClients, Reply


async def test_calls_at_once_share_one_client(endpoint: Endpoint, clients: AwsClients) -> None:
    endpoint.answers(Reply())
    before = threading.active_count()
    await asyncio.gather(
        *(clients.call("dynamodb", "get_item", TableName="table", Key={"pk": {"S": "a"}}) for _ in range(40))
    )
    assert len(endpoint.received) == 40
    assert threading.active_count() - before <= 2 * 16 + 2  # the pool's, and the endpoint's per connection


async def test_the_loop_goes_on_while_a_client_is_built_and_called(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    release = threading.Event()
    endpoint.answers(Reply(hang=release))
    call = asyncio.ensure_future(clients.call("dynamodb", "list_tables"))
    laps = 0
    while not endpoint.received:
        await asyncio.sleep(0.001)
        laps += 1
    release.set()
    with pytest.raises(GatewayFault):
        await call
    assert laps > 3


async def test_each_call_is_told_before_it_is_sent(endpoint: Endpoint, make_clients: MakeClients) -> None:
    told: list[tuple[str, str, Mapping[str, Any]]] = []
    endpoint.answers(Reply.of_error("AccessDeniedException"))
    clients = make_clients(
        endpoint.url, on_call=lambda service, operation, params: told.append((service, operation, params))
    )
    with pytest.raises(GatewayFault):
        await clients.call("dynamodb", "delete_item", TableName="table", Key={"pk": {"S": "a"}})
    assert told == [("dynamodb", "delete_item", {"TableName": "table", "Key": {"pk": {"S": "a"}}})]


async def test_a_service_may_have_an_address_of_its_own(
    endpoint: Endpoint, make_clients: MakeClients
) -> None:
    endpoint.answers(Reply(202))
    clients = make_clients("http://127.0.0.1:1", endpoints={"lambda": endpoint.url, "dynamodb": None})
    await clients.call("lambda", "invoke", FunctionName="f", Payload=b"{}")
    assert [request.path for request in endpoint.received] == ["/2015-03-31/functions/f/invocations"]
    with pytest.raises(GatewayFault):
        await clients.call("dynamodb", "list_tables")


async def test_requests_are_signed_for_the_region(endpoint: Endpoint, clients: AwsClients) -> None:
    endpoint.answers(Reply())
    await clients.call("dynamodb", "list_tables")
    assert "/eu-west-1/dynamodb/" in endpoint.received[0].headers["Authorization"]


async def test_what_is_throttled_is_sent_again_and_no_more_often_than_stated(
    endpoint: Endpoint, make_clients: MakeClients
) -> None:
    endpoint.answers(Reply.of_error("ThrottlingException"), Reply())
    clients = make_clients(endpoint.url, tuning=AwsTuning(max_attempts=2))
    await clients.call("dynamodb", "list_tables")
    assert len(endpoint.received) == 2
    endpoint.received.clear()
    endpoint.answers(Reply.of_error("ThrottlingException"))
    with pytest.raises(GatewayFault):
        await clients.call("dynamodb", "list_tables")
    assert len(endpoint.received) == 2


async def test_silence_ends_at_the_read_timeout(endpoint: Endpoint, clients: AwsClients) -> None:
    release = threading.Event()
    endpoint.answers(Reply(hang=release))
    started_s = time.monotonic()
    with pytest.raises(GatewayFault) as fault:
        await clients.call("dynamodb", "list_tables")
    release.set()
    assert fault.value.code == "gateway_unavailable"
    assert time.monotonic() - started_s < 5


async def test_closing_clients_that_were_never_used_is_fine() -> None:
    AwsClients(region="eu-west-1").close()
