"""Every way in which the SDK fails becomes one of our errors, and none tells what AWS said of itself."""

import inspect
from collections.abc import Callable

import botocore.exceptions
import botocore.parsers
import pytest

from headgate.aws.clients import AwsClients
from headgate.aws.faults import (
    BadCiphertext,
    ConditionFailed,
    NoSuchSecret,
    TransactionCancelled,
    reading,
    translated,
)
from headgate.domain.errors import GatewayFault, HeadgateError
from tests.unit.aws.conftest import LEAKY, Endpoint, MakeClients, Reply

SDK_ERRORS = sorted(
    (
        cls
        for _, cls in inspect.getmembers(botocore.exceptions, inspect.isclass)
        if issubclass(cls, Exception)
        and cls.__module__ == "botocore.exceptions"
        # A mistake in the SDK's own model of a service, which would be there for every user of that version.
        and not issubclass(cls, Warning | botocore.exceptions.UndefinedModelAttributeError)
    ),
    key=lambda cls: cls.__name__,
)


def made(cls: type[Exception]) -> Exception:
    """An instance, whatever its constructor takes."""
    error = cls.__new__(cls)
    Exception.__init__(error, LEAKY)
    if isinstance(error, botocore.exceptions.ClientError):
        error.response = {"Error": {"Code": "Unknown", "Message": LEAKY}}
    return error


def assert_quiet(error: HeadgateError) -> None:
    assert "arn:" not in error.detail
    assert "123456789012" not in error.detail
    assert "secret-name" not in error.detail


@pytest.mark.parametrize("cls", SDK_ERRORS, ids=lambda cls: cls.__name__)
def test_no_exception_of_the_sdk_gets_out(cls: type[Exception]) -> None:
    cause = made(cls)
    with pytest.raises(GatewayFault) as fault, translated("dynamodb"):
        raise cause
    assert fault.value.__cause__ is cause
    assert_quiet(fault.value)


@pytest.mark.parametrize(
    "cause",
    [
        botocore.parsers.ResponseParserError(LEAKY),
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
        OSError("no such bundle"),
        ValueError("Invalid endpoint"),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_what_the_sdk_lets_out_beside_its_own_tree_is_a_fault(cause: Exception) -> None:
    with pytest.raises(GatewayFault) as fault, translated("secretsmanager"):
        raise cause
    assert fault.value.code == "gateway_unavailable"
    assert_quiet(fault.value)


UNAVAILABLE = [
    ("ThrottlingException", 400),
    ("ProvisionedThroughputExceededException", 400),
    ("RequestLimitExceeded", 400),
    ("InternalServerError", 500),
    ("ServiceUnavailable", 503),
    ("AccessDeniedException", 400),
    ("UnrecognizedClientException", 400),
    ("ExpiredTokenException", 403),
    ("InvalidSignatureException", 403),
    ("ResourceNotFoundException", 400),
    ("TransactionConflictException", 400),
    ("SomethingNewException", 400),
]


@pytest.mark.parametrize(("code", "status"), UNAVAILABLE, ids=[code for code, _ in UNAVAILABLE])
async def test_what_may_pass_is_a_retryable_fault(
    endpoint: Endpoint, clients: AwsClients, code: str, status: int
) -> None:
    endpoint.answers(Reply.of_error(code, status))
    with pytest.raises(GatewayFault) as fault:
        await clients.call("dynamodb", "list_tables")
    assert fault.value.code == "gateway_unavailable"
    assert fault.value.http_status == 503
    assert fault.value.retry_after_s is not None
    assert isinstance(fault.value.__cause__, botocore.exceptions.ClientError)
    assert_quiet(fault.value)


async def test_a_request_that_is_wrong_in_itself_is_not_called_retryable(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    endpoint.answers(Reply.of_error("ValidationException"))
    with pytest.raises(GatewayFault) as refused:
        await clients.call("dynamodb", "list_tables")
    with pytest.raises(GatewayFault) as malformed:
        await clients.call("dynamodb", "get_item", TableName="table", Key="a")
    for fault in (refused, malformed):
        assert fault.value.code == "internal"
        assert_quiet(fault.value)


async def test_an_endpoint_that_nobody_serves_is_a_fault(make_clients: MakeClients) -> None:
    with pytest.raises(GatewayFault) as fault:
        await make_clients("http://127.0.0.1:1").call("dynamodb", "list_tables")
    assert fault.value.code == "gateway_unavailable"


async def test_missing_credentials_are_a_fault(
    endpoint: Endpoint, make_clients: MakeClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(GatewayFault) as fault:
        await make_clients(endpoint.url).call("dynamodb", "list_tables")
    assert fault.value.code == "gateway_unavailable"
    assert isinstance(fault.value.__cause__, botocore.exceptions.NoCredentialsError)
    assert endpoint.received == []


async def test_an_address_that_is_none_is_a_fault(make_clients: MakeClients) -> None:
    with pytest.raises(GatewayFault):
        await make_clients("no address").call("dynamodb", "list_tables")


async def test_an_answer_cut_short_is_a_fault(endpoint: Endpoint, clients: AwsClients) -> None:
    endpoint.answers(Reply(body=b'{"Item": {"pk"', headers={"content-length": "5000"}))
    with pytest.raises(GatewayFault) as fault:
        await clients.call("dynamodb", "get_item", TableName="table", Key={"pk": {"S": "a"}})
    assert fault.value.code == "gateway_unavailable"


async def test_a_condition_that_does_not_hold_tells_what_is_there(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    endpoint.answers(Reply.of_error("ConditionalCheckFailedException", Item={"pk": {"S": "a"}}))
    with pytest.raises(ConditionFailed) as failed:
        await clients.call("dynamodb", "put_item", TableName="table", Item={})
    assert failed.value.item == {"pk": {"S": "a"}}


async def test_the_reasons_of_a_cancelled_transaction_are_told_by_action(
    endpoint: Endpoint, clients: AwsClients
) -> None:
    reasons = [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "3"}}, "Message": LEAKY},
        {"Code": "TransactionConflict"},
    ]
    endpoint.answers(Reply.of_error("TransactionCanceledException", CancellationReasons=reasons))
    with pytest.raises(TransactionCancelled) as cancelled:
        await clients.call("dynamodb", "transact_write_items", TransactItems=[{}])
    assert cancelled.value.failed_condition(0) is None
    failed = cancelled.value.failed_condition(1)
    assert failed is not None
    assert failed.item == {"n": {"N": "3"}}
    assert cancelled.value.failed_condition(7) is None
    assert cancelled.value.is_passing


async def test_only_a_missing_secret_has_that_meaning(endpoint: Endpoint, clients: AwsClients) -> None:
    endpoint.answers(Reply.of_error("ResourceNotFoundException"))
    with pytest.raises(NoSuchSecret):
        await clients.call("secretsmanager", "get_secret_value", SecretId="headgate/openai")
    with pytest.raises(GatewayFault):
        await clients.call("lambda", "invoke", FunctionName="f")


def test_what_can_not_be_decoded_is_a_fault_that_names_the_thing() -> None:
    cause = ValueError("stored text")
    with pytest.raises(GatewayFault, match="The catalogue") as fault, reading("The catalogue"):
        raise cause
    assert fault.value.code == "gateway_unavailable"
    assert "stored text" not in fault.value.detail


@pytest.mark.parametrize("fault", [GatewayFault.unavailable("x"), KeyError("x")], ids=repr)
def test_other_errors_pass_unchanged(fault: Exception) -> None:
    for guard in (lambda: translated("dynamodb"), lambda: reading("x")):
        assert _raised(guard, fault) is fault


def _raised(guard: Callable[[], object], error: Exception) -> Exception | None:
    try:
        with guard():  # type: ignore[attr-defined]
            raise error
    except (GatewayFault, KeyError) as exc:
        return exc


@pytest.mark.parametrize("code", ["InvalidCiphertextException", "IncorrectKeyException"])
async def test_what_kms_did_not_seal_so_is_told_from_what_it_can_not_do_now(
    endpoint: Endpoint, clients: AwsClients, code: str
) -> None:
    endpoint.answers(Reply.of_error(code))
    with pytest.raises(BadCiphertext):
        await clients.call("kms", "decrypt", CiphertextBlob=b"x")
    for passing in (
        "AccessDeniedException",
        "DisabledException",
        "KMSInternalException",
        "ThrottlingException",
    ):
        endpoint.answers(Reply.of_error(passing))
        with pytest.raises(GatewayFault) as fault:
            await clients.call("kms", "decrypt", CiphertextBlob=b"x")
        assert fault.value.code == "gateway_unavailable"
        assert_quiet(fault.value)
