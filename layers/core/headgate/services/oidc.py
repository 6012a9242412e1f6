"""Callers that come with a token of the operator's identity provider instead of an API key.

OpenID Connect Discovery 1.0 §3–4 and RFC 7519; read 2026-11-21 at
https://openid.net/specs/openid-connect-discovery-1_0.html and https://www.rfc-editor.org/rfc/rfc7519.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.domain.callers import Caller, Scope
from headgate.domain.errors import AccessDenied
from headgate.ports import Clock, HttpTransport, Log
from headgate.services.issuer_keys import IssuerKeys

if TYPE_CHECKING:
    from jwt import PyJWK

LEEWAY_S = 60
LONGEST_TOKEN = 8_192
_LONGEST_SUB = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcTrust:
    """Whose tokens are taken. audience: what `aud` must name. scopes_claim: the claim that lists scopes."""

    issuer: str
    audience: str
    scopes_claim: str = "scope"


class TokenVerifier:
    """Tells the caller of a token. `transport` is made when the issuer is first asked for its keys."""

    def __init__(
        self, trust: OidcTrust, transport: Callable[[], HttpTransport], clock: Clock, log: Log
    ) -> None:
        self._trust = trust
        self._clock = clock
        self._keys = IssuerKeys(trust.issuer, transport, clock, log)

    @staticmethod
    def takes(text: str) -> bool:
        """Whether this looks like a token, so not like a key."""
        return text.count(".") == 2

    async def caller(self, token: str) -> Caller:
        """The caller, known to limits and records as `oidc:<sub>`; scopes that are none of ours are left out.

        Raises AccessDenied (`unauthenticated`) for a token proved bad, GatewayFault (`gateway_unavailable`)
        while the issuer's keys can't be had.
        """
        kid, algorithm = _header_of(token)
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise _bad("it is signed with a key that its issuer does not have")
        claims = self._claims(token, key, algorithm)
        _check_times(claims, self._clock.now().timestamp())
        return self._caller_of(claims)

    def _claims(self, token: str, key: "PyJWK", algorithm: str) -> Mapping[str, Any]:
        """Signature, issuer and audience are right. Times are judged apart, by our own clock."""
        import jwt  # noqa: PLC0415 - only where a token comes

        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._trust.audience,
                issuer=self._trust.issuer,
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidAudienceError as exc:
            raise _bad("it is for another audience") from exc
        except jwt.InvalidIssuerError as exc:
            raise _bad("it is of another issuer") from exc
        except jwt.MissingRequiredClaimError as exc:
            raise _bad("it lacks one of exp, iss, aud and sub") from exc
        except jwt.PyJWTError as exc:
            raise _bad("its signature or its claims are not right") from exc
        return claims

    def _caller_of(self, claims: Mapping[str, Any]) -> Caller:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST_SUB or not subject.isprintable():
            raise _bad("its sub is not 1 to 200 printable characters")
        given = claims.get(self._trust.scopes_claim, ())
        names = given.split() if isinstance(given, str) else given if isinstance(given, list) else ()
        scopes = frozenset(scope for scope in Scope if scope.value in names)
        return Caller(user_id=subject, key_id=f"oidc:{subject}", scopes=scopes)


def trust_of(issuer: str | None, audience: str | None, scopes_claim: str, log: Log) -> OidcTrust | None:
    """None where no tokens are taken: without an issuer, and without an audience, since any token of the
    issuer's, whoever it was made for, would then be good here."""
    if issuer is None:
        return None
    if audience is None:
        log.error("oidc.no_audience", needed="HEADGATE_OIDC_AUDIENCE")
        return None
    return OidcTrust(issuer=issuer, audience=audience, scopes_claim=scopes_claim)


def _header_of(token: str) -> tuple[str | None, str]:
    """The key's id and the algorithm, neither trusted yet."""
    import jwt  # noqa: PLC0415 - only where a token comes

    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise _bad("it can't be read")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as exc:
        raise _bad("it can't be read") from exc
    kid, algorithm = header.get("kid"), header.get("alg")
    # An extension that the token calls critical is one that we don't know: RFC 7515 §4.1.11.
    if "crit" in header or not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        raise _bad("it can't be read")
    return kid, algorithm


def _check_times(claims: Mapping[str, Any], now_s: float) -> None:
    for name in ("exp", "nbf"):
        value = claims.get(name)
        if value is None and name == "nbf":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise _bad(f"its {name} is no time")
        if name == "exp" and now_s >= value + LEEWAY_S:
            raise _bad("it has expired")
        if name == "nbf" and now_s < value - LEEWAY_S:
            raise _bad("it does not hold yet")


def _bad(reason: str) -> AccessDenied:
    return AccessDenied(f"This token is not taken: {reason}.", code="unauthenticated")
