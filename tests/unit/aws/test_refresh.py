"""The refresh function is started as an event, and not waited for."""

import pytest

from headgate.aws.clients import AwsClients
from headgate.aws.refresh import LambdaRefreshStarter
from headgate.domain.errors import GatewayFault
from tests.unit.aws.conftest import Endpoint, Reply


@pytest.fixture
def starter(clients: AwsClients) -> LambdaRefreshStarter:
    return LambdaRefreshStarter(clients, "gate-refresh")


async def test_a_refresh_is_invoked_as_an_event(endpoint: Endpoint, starter: LambdaRefreshStarter) -> None:
    endpoint.answers(Reply(202))
    await starter.start(("openai", "kie"), force=True)
    await starter.start(iter(["openai"]), force=False)
    await starter.start(None, force=False)
    assert {request.path for request in endpoint.received} == {
        "/2015-03-31/functions/gate-refresh/invocations"
    }
    assert {request.headers["X-Amz-Invocation-Type"] for request in endpoint.received} == {"Event"}
    assert [request.body for request in endpoint.received] == [
        {"providers": ["openai", "kie"], "force": True},
        {"providers": ["openai"], "force": False},
        {"providers": None, "force": False},
    ]


async def test_looks_at_connections_are_invoked_in_one_event(
    endpoint: Endpoint, starter: LambdaRefreshStarter
) -> None:
    endpoint.answers(Reply(202))
    await starter.start_connections(iter([("ada", "con_1"), ("ada", "con_2")]))
    assert [request.body for request in endpoint.received] == [
        {"connections": [["ada", "con_1"], ["ada", "con_2"]]}
    ]
    assert endpoint.received[0].headers["X-Amz-Invocation-Type"] == "Event"


@pytest.mark.parametrize(
    ("code", "status"),
    [("ResourceNotFoundException", 404), ("TooManyRequestsException", 429), ("ServiceException", 500)],
)
async def test_a_function_that_can_not_be_started_is_a_fault(
    endpoint: Endpoint, starter: LambdaRefreshStarter, code: str, status: int
) -> None:
    endpoint.answers(Reply.of_error(code, status))
    with pytest.raises(GatewayFault) as fault:
        await starter.start(None, force=False)
    assert fault.value.code == "gateway_unavailable"
    assert "gate-refresh" not in fault.value.detail
