"""What the store of connections makes of answers that moto never gives."""

from typing import Any

import pytest

from headgate.aws.clients import AwsClients
from headgate.aws.connections import DynamoConnectionStore
from headgate.domain.connections import Connection
from headgate.domain.errors import Conflict, GatewayFault
from headgate.services.acts import Act
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock
from tests.unit.aws.conftest import Endpoint, Received, Reply

ROW = Connection(id="con_1", user_id="ada", name="x", type="openai", created_at=START, updated_at=START)
EVENT = Act(actor="key_1", at=START).event("connection.create", "con_1")


def cancelled(*codes: str) -> Reply:
    reasons = [{"Code": code} for code in codes]
    return Reply.of_error("TransactionCanceledException", CancellationReasons=reasons)


class Script:
    """Reads find an empty table; transactions get these answers, the last one for good."""

    def __init__(self, endpoint: Endpoint, *transactions: Reply) -> None:
        self._left = list(transactions)
        self.sent: list[Any] = []
        endpoint.answers(self._answer)

    def _answer(self, request: Received) -> Reply:
        if request.operation == "TransactWriteItems":
            self.sent.append(request.body["TransactItems"])
            return self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return Reply(body={"Items": [], "Count": 0} if request.operation == "Query" else {})


@pytest.fixture
def store(clients: AwsClients) -> DynamoConnectionStore:
    return DynamoConnectionStore(clients, "connections", "accounts", ManualClock())


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_transaction_that_met_another_is_made_on_newer_facts(
    endpoint: Endpoint, store: DynamoConnectionStore, code: str
) -> None:
    script = Script(endpoint, cancelled("None", code, "None"), cancelled(code, "None", "None"), Reply())
    await store.create(ROW, EVENT)
    assert len(script.sent) == 3
    queries = [request.operation for request in endpoint.received].count("Query")
    assert queries >= 3


async def test_a_default_that_was_moved_meanwhile_is_read_again(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    script = Script(endpoint, cancelled("None", "ConditionalCheckFailed", "None"), Reply())
    await store.create(ROW, EVENT)
    assert len(script.sent) == 2


async def test_a_change_whose_event_is_there_already_was_made(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    script = Script(
        endpoint, cancelled("ConditionalCheckFailed", "ConditionalCheckFailed", "ConditionalCheckFailed")
    )
    await store.create(ROW, EVENT)
    assert len(script.sent) == 1


async def test_connection_default_and_event_are_one_transaction_over_two_tables(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    script = Script(endpoint, Reply())
    await store.create(ROW, EVENT)
    (actions,) = script.sent
    assert [action["Put"]["TableName"] for action in actions] == ["connections", "connections", "accounts"]
    assert all(action["Put"]["ConditionExpression"] for action in actions)


async def test_what_is_always_in_the_way_is_a_fault_in_the_end(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    script = Script(endpoint, cancelled("TransactionConflict", "None", "None"))
    with pytest.raises(GatewayFault) as fault:
        await store.create(ROW, EVENT)
    assert fault.value.code == "gateway_unavailable"
    assert 20 <= len(script.sent) < 100


async def test_a_transaction_refused_for_itself_is_not_sent_again(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    script = Script(endpoint, cancelled("ValidationError", "None", "None"))
    with pytest.raises(GatewayFault) as fault:
        await store.create(ROW, EVENT)
    assert fault.value.code == "internal"
    assert len(script.sent) == 1


async def test_a_row_that_is_not_there_is_not_replaced(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    script = Script(endpoint, Reply())
    with pytest.raises(Conflict):
        await store.replace(ROW, EVENT)
    assert script.sent == []


async def test_an_unreadable_row_is_a_fault_that_shows_nothing_of_it(
    endpoint: Endpoint, store: DynamoConnectionStore
) -> None:
    item = {"pk": {"S": "USER#ada"}, "sk": {"S": "CON#1"}, "body": {"S": "sk-not-json"}}
    endpoint.answers(Reply(body={"Items": [item], "Count": 1}))
    with pytest.raises(GatewayFault) as fault:
        await store.load("ada")
    assert fault.value.code == "gateway_unavailable"
    assert "sk-not-json" not in fault.value.detail
