"""What the AWS SDK's exceptions mean. Nothing of them gets out of this package.

An answer that has a meaning (a condition that did not hold, a secret that is not there) becomes one of the
small exceptions below, which the adapters handle; all else is a GatewayFault. Messages of AWS name accounts,
roles and resources, so they are never shown, only chained.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headgate.domain.errors import GatewayFault

_NAMES: Mapping[str, str] = {
    "dynamodb": "The store",
    "secretsmanager": "The store of the platform's keys",
    "kms": "The vault of users' keys",
    "lambda": "The refresh function",
}

_OUR_MISTAKES = frozenset(
    {
        "ValidationException",
        "SerializationException",
        "InvalidParameterException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "RequestTooLargeException",
        "ItemCollectionSizeLimitExceededException",
    }
)
"""Codes that say the request itself is wrong, so that sending it again later is no use."""


_CONDITION = "ConditionalCheckFailed"
_CONTENTION = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Codes of a cancelled transaction's reasons.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (2026-11-20)"""


class ConditionFailed(Exception):
    """A conditional write did not happen. `item`: what is stored there, as DynamoDB wrote it."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__("the condition did not hold")
        self.item = item


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Why one action of a transaction did not happen; code `None` (the text) when it was not the reason."""

    code: str
    item: Mapping[str, Any] | None = None


class TransactionCancelled(Exception):
    """A transaction did not happen; `reasons` in the order of its actions."""

    def __init__(self, reasons: tuple[Cancellation, ...]) -> None:
        super().__init__("the transaction was cancelled")
        self.reasons = reasons

    def failed_condition(self, action: int) -> Cancellation | None:
        """The reason of this action, if it is that its condition did not hold."""
        reason = self.reasons[action] if action < len(self.reasons) else None
        return reason if reason is not None and reason.code == _CONDITION else None

    def is_contended(self, action: int) -> bool:
        """Whether another was in the way of this action, so that nothing is known of its condition."""
        return action < len(self.reasons) and self.reasons[action].code in _CONTENTION

    @property
    def is_passing(self) -> bool:
        """Whether others were in the way, so that the same transaction may succeed in a moment."""
        return any(reason.code in _CONTENTION for reason in self.reasons)


_UNSEALABLE = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
"""Codes of KMS for a ciphertext that this key, with this context, did not make.
https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html (2026-11-21)"""


class BadCiphertext(Exception):
    """A ciphertext that was made with another context or key, or that is none."""


class NoSuchSecret(Exception):
    """There is no secret of that name, or it has no value, or it is being deleted."""


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Turns every exception of the SDK into one of ours.

    Raises ConditionFailed, TransactionCancelled, NoSuchSecret, BadCiphertext, or GatewayFault: `internal`
    when the request itself was wrong, else `gateway_unavailable`.
    """
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as exc:
        raise _of_answer(service, exc.response) from exc
    except ParamValidationError as exc:
        raise _refused(service) from exc
    # Beside its own tree botocore lets out: ResponseParserError for an answer that is not the service's,
    # RuntimeError for credentials that ran out while being renewed, OSError for a missing bundle or file,
    # ValueError for an address that is none.
    except (BotoCoreError, ResponseParserError, RuntimeError, OSError, ValueError) as exc:
        raise GatewayFault.unavailable(_name(service)) from exc


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns ValueError, from decoding what is stored, into a GatewayFault that says what can't be read."""
    try:
        yield
    except ValueError as exc:
        raise GatewayFault(f"{what} can't be read by this version", code="gateway_unavailable") from exc


def _of_answer(service: str, response: Mapping[str, Any]) -> Exception:
    code = str(response.get("Error", {}).get("Code", ""))
    if service == "dynamodb" and code == "ConditionalCheckFailedException":
        return ConditionFailed(response.get("Item"))
    if service == "dynamodb" and code == "TransactionCanceledException":
        reasons = response.get("CancellationReasons", ())
        return TransactionCancelled(
            tuple(Cancellation(str(reason.get("Code")), reason.get("Item")) for reason in reasons)
        )
    # InvalidRequestException is what reading a secret that is scheduled for deletion answers.
    if service == "secretsmanager" and code in ("ResourceNotFoundException", "InvalidRequestException"):
        return NoSuchSecret()
    if service == "kms" and code in _UNSEALABLE:
        return BadCiphertext()
    return _refused(service) if code in _OUR_MISTAKES else GatewayFault.unavailable(_name(service))


def _refused(service: str) -> GatewayFault:
    return GatewayFault(f"{_name(service)} refused a request that the gateway made")


def _name(service: str) -> str:
    return _NAMES.get(service, "A service of AWS")
