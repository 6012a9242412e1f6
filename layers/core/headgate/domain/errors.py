"""Every failure Headgate reports, as one table of codes and a small tree of exceptions.

The table is the contract: a code fixes the HTTP status, whether a client may retry, whether another
provider could serve the same request, and whose fault it is. An exception carries one code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Origin = Literal["caller", "gateway", "provider"]


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """What a code means to HTTP, to a client's retry loop and to failover."""

    status: int
    title: str
    origin: Origin
    retryable: bool = False
    failover: bool = False


CODES: Mapping[str, CodeSpec] = {
    "invalid_request": CodeSpec(422, "The request is not valid", "caller"),
    "unauthenticated": CodeSpec(401, "No valid key was given", "caller"),
    "forbidden": CodeSpec(403, "This key may not do that", "caller"),
    "not_found": CodeSpec(404, "There is no such thing", "caller"),
    "model_not_found": CodeSpec(404, "There is no such model", "caller", failover=True),
    "method_not_allowed": CodeSpec(405, "This path does not take that method", "caller"),
    "conflict": CodeSpec(409, "The request conflicts with the current state", "caller"),
    "idempotency_conflict": CodeSpec(409, "The idempotency key is in use", "caller"),
    "payload_too_large": CodeSpec(413, "The request body is too large", "caller"),
    "insufficient_credits": CodeSpec(402, "Not enough credits", "caller"),
    "rate_limited": CodeSpec(429, "This key's limit is reached", "caller", retryable=True),
    "provider_auth": CodeSpec(424, "The provider refused the key", "provider", failover=True),
    "provider_insufficient_funds": CodeSpec(
        424, "The provider's account has no funds", "provider", failover=True
    ),
    "provider_rate_limited": CodeSpec(
        429, "The provider limits its rate", "provider", retryable=True, failover=True
    ),
    "provider_rejected": CodeSpec(400, "The provider rejected the request", "provider"),
    "content_filtered": CodeSpec(400, "The provider's filter stopped the request", "provider"),
    "context_too_long": CodeSpec(400, "The request exceeds the model's context", "provider"),
    "provider_unavailable": CodeSpec(
        502, "The provider is not available", "provider", retryable=True, failover=True
    ),
    "provider_overloaded": CodeSpec(
        503, "The provider is overloaded", "provider", retryable=True, failover=True
    ),
    "provider_protocol": CodeSpec(
        502, "The provider's answer is malformed or cut off", "provider", retryable=True, failover=True
    ),
    "provider_timeout": CodeSpec(
        504, "The provider did not answer in time", "provider", retryable=True, failover=True
    ),
    "no_route": CodeSpec(422, "No provider can serve this request", "caller"),
    "gateway_unavailable": CodeSpec(503, "The gateway can't serve this now", "gateway", retryable=True),
    "internal": CodeSpec(500, "The gateway failed", "gateway"),
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field: its path in the request (`messages[0].role`) and what is wrong with it."""

    field: str
    message: str


class HeadgateError(Exception):
    """Base of every error that a caller may see. `detail` never holds a key, a header or a prompt.

    retry_after_s: seconds until a retry makes sense, where someone said so.
    provider, provider_request_id: who failed, and their name for it.
    may_have_run: the provider may have executed (and billed) the request, so it is not sent to it again.
    members: extra members of the problem document (`candidates`, `needed`, `available`).
    """

    codes: ClassVar[frozenset[str]] = frozenset()
    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after_s: float | None = None,
        provider: str | None = None,
        provider_request_id: str | None = None,
        may_have_run: bool = False,
        errors: Sequence[FieldError] = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code or self.default_code
        if self.code not in self.codes:
            raise ValueError(f"{type(self).__name__} does not speak of {self.code}")
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.provider = provider
        self.provider_request_id = provider_request_id
        self.may_have_run = may_have_run
        self.errors = tuple(errors)
        self.members: Mapping[str, Any] = members or {}

    @property
    def spec(self) -> CodeSpec:
        return CODES[self.code]

    @property
    def http_status(self) -> int:
        return self.spec.status

    @property
    def retryable(self) -> bool:
        return self.spec.retryable

    @property
    def failover(self) -> bool:
        """Whether the next candidate should be tried."""
        return self.spec.failover


class InvalidRequest(HeadgateError):
    """The caller's request is wrong; `errors` names each field."""

    codes = frozenset({"invalid_request", "payload_too_large"})
    default_code = "invalid_request"

    @classmethod
    def of_field(cls, field: str, message: str) -> "InvalidRequest":
        """One wrong field; the detail repeats it, for clients that show only that."""
        return cls(f"{field}: {message}", errors=(FieldError(field, message),))


class CannotCarry(InvalidRequest):
    """Something in the request which this candidate can't do or say, though it would change the answer.

    Another candidate may be able to, so failover goes on; if none is, the caller learns the field's name.
    """

    @property
    def failover(self) -> bool:
        return True

    @classmethod
    def field(cls, name: str, why: str) -> "CannotCarry":
        return cls(f"{name}: {why}", errors=(FieldError(name, why),))


class MalformedRequest(InvalidRequest):
    """The body can't be read at all (400 everywhere, where an invalid value is 422 on /v2)."""

    @property
    def http_status(self) -> int:
        return 400


class UnsupportedEncoding(InvalidRequest):
    """The body comes in a content-encoding that is not taken."""

    @property
    def http_status(self) -> int:
        return 415


class AccessDenied(HeadgateError):
    """No key, a key proved bad, or a key without the scope."""

    codes = frozenset({"unauthenticated", "forbidden"})
    default_code = "forbidden"


class NotFound(HeadgateError):
    """No such route, thing or model."""

    codes = frozenset({"not_found", "model_not_found", "method_not_allowed"})
    default_code = "not_found"


class Conflict(HeadgateError):
    """The request can't be done in the current state."""

    codes = frozenset({"conflict", "idempotency_conflict"})
    default_code = "conflict"


class StillRunning(Conflict):
    """The first request under this idempotency key has no answer yet. Asked again later, it will have one, so
    clients may retry this conflict, as they may no other."""

    codes = frozenset({"idempotency_conflict"})
    default_code = "idempotency_conflict"

    @property
    def retryable(self) -> bool:
        return True


class LimitReached(HeadgateError):
    """Headgate's own limits: requests, tokens, credits."""

    codes = frozenset({"rate_limited", "insufficient_credits"})
    default_code = "rate_limited"


class NeverWithinLimit(LimitReached):
    """More than a limit allows in a whole window, so that no wait makes it pass."""

    codes = frozenset({"rate_limited"})

    @property
    def retryable(self) -> bool:
        return False


class NoRoute(HeadgateError):
    """No candidate is left; `members["candidates"]` says why each was rejected."""

    codes = frozenset({"no_route"})
    default_code = "no_route"


class ProviderRefused(HeadgateError):
    """The provider won't serve this account: its key or its funds. Never retried there."""

    codes = frozenset({"provider_auth", "provider_insufficient_funds"})
    default_code = "provider_auth"


class ProviderRejected(HeadgateError):
    """The provider read the request and said no to its content."""

    codes = frozenset({"provider_rejected", "content_filtered", "context_too_long"})
    default_code = "provider_rejected"


class ProviderBusy(HeadgateError):
    """The provider did not take the request; later it may."""

    codes = frozenset({"provider_rate_limited", "provider_overloaded"})
    default_code = "provider_rate_limited"


class ProviderFailed(HeadgateError):
    """The provider broke: unreachable, cut off, malformed, too slow."""

    codes = frozenset({"provider_unavailable", "provider_protocol", "provider_timeout"})
    default_code = "provider_unavailable"


class GatewayFault(HeadgateError):
    """Headgate's own fault, or that of what it stands on."""

    codes = frozenset({"gateway_unavailable", "internal"})
    default_code = "internal"

    @classmethod
    def unavailable(cls, what: str, *, retry_after_s: float = 2.0) -> "GatewayFault":
        """A dependency of the gateway (a table, a secret) can't be reached now."""
        return cls(f"{what} can't be reached now", code="gateway_unavailable", retry_after_s=retry_after_s)
