"""The keys that an OIDC issuer signs with, fetched through its discovery document.

Key sets: RFC 7517, https://www.rfc-editor.org/rfc/rfc7517 (2026-11-21).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from headgate.domain.errors import GatewayFault, HeadgateError
from headgate.ports import Clock, HttpTransport, Log, WireRequest

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
"""Signatures by a key pair. Never `none`, and never one that whoever checks it could make (HS*)."""

_KEEP_S = 3600.0
_UNKNOWN_S = 60.0
_FAULT_S = 5.0
_FORGIVE_S = 24 * 3600.0
"""How long keys that can't be fetched anew still serve: the issuer's outage is not to become ours."""

_MOST_KEYS = 100
_MOST_BYTES = 1_000_000
_LEAST_RSA_BITS = 2048
_PATH = "/.well-known/openid-configuration"


class IssuerKeys:
    """Kept for an hour; a key that is not among them has them fetched again, at most once a minute.

    While they can't be fetched, those that were last there serve for a day more.
    """

    def __init__(self, issuer: str, transport: Callable[[], HttpTransport], clock: Clock, log: Log) -> None:
        self._issuer = issuer
        self._transport = transport
        self._clock = clock
        self._log = log
        self._keys: tuple[tuple[str | None, PyJWK], ...] = ()
        self._fetched_s: float | None = None
        self._fault: GatewayFault | None = None
        self._fault_until_s = 0.0
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> "PyJWK | None":
        """The key of that id, made for that algorithm; without an id, the only one made for it.

        Raises GatewayFault (`gateway_unavailable`) while the keys can't be had.
        """
        if algorithm not in ALGORITHMS:
            return None
        try:
            await self._have(_KEEP_S)
        except GatewayFault:
            found = self._among(kid, algorithm) if self._is_fresh(_KEEP_S + _FORGIVE_S) else None
            if found is None:
                raise
            return found
        found = self._among(kid, algorithm)
        if found is None:
            await self._have(_UNKNOWN_S)
            found = self._among(kid, algorithm)
        return found

    def _among(self, kid: str | None, algorithm: str) -> "PyJWK | None":
        fit = [
            key for one, key in self._keys if key.algorithm_name == algorithm and (kid is None or one == kid)
        ]
        return fit[0] if len(fit) == 1 else None

    async def _have(self, at_most_s: float) -> None:
        """Sees to it that the keys are no older than that. Of many who ask at once, one fetches."""
        if self._is_fresh(at_most_s):
            return
        self._raise_fault()
        async with self._fetching:
            if self._is_fresh(at_most_s):
                return
            self._raise_fault()
            try:
                document = await self._document(self._issuer.rstrip("/") + _PATH)
                if document.get("issuer") != self._issuer:
                    raise _unreadable("names another issuer")
                self._keys = _usable(await self._document(self._address(document.get("jwks_uri"))))
            except HeadgateError as error:
                self._fault = GatewayFault.unavailable("The identity provider's keys", retry_after_s=_FAULT_S)
                self._fault_until_s = self._clock.monotonic() + _FAULT_S
                self._log.warning("oidc.keys_unread", code=error.code, detail=error.detail[:300])
                raise self._fault from error
            self._fault, self._fetched_s = None, self._clock.monotonic()

    def _raise_fault(self) -> None:
        """Of some seconds ago, which would only happen again."""
        if self._fault is not None and self._clock.monotonic() < self._fault_until_s:
            raise self._fault

    def _is_fresh(self, at_most_s: float) -> bool:
        return self._fetched_s is not None and self._clock.monotonic() < self._fetched_s + at_most_s

    def _address(self, url: Any) -> str:
        """Keys come as safely as the issuer's own document."""
        if not isinstance(url, str) or urlsplit(url).scheme != urlsplit(self._issuer).scheme:
            raise _unreadable("names no address of keys that is as safe as its own")
        return url

    async def _document(self, url: str) -> Mapping[str, Any]:
        request = WireRequest(
            method="GET",
            url=url,
            headers={"accept": "application/json"},
            first_byte_timeout_s=5.0,
            idle_timeout_s=5.0,
            total_timeout_s=8.0,
            idempotent=True,
        )
        response = await self._transport().send(request)
        try:
            body = await response.read()
        finally:
            await response.close()
        if response.status != 200 or len(body) > _MOST_BYTES:
            raise _unreadable(f"answers {response.status} with {len(body)} bytes")
        try:
            document: Any = orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise _unreadable("answers with no JSON") from exc
        if not isinstance(document, dict):
            raise _unreadable("answers with no JSON object")
        return document


def _usable(key_set: Mapping[str, Any]) -> "tuple[tuple[str | None, PyJWK], ...]":
    """Its keys for signatures of ours, by id; what is anything else is left out, as RFC 7517 §5 says."""
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415 - only where a token comes

    entries = key_set.get("keys")
    if not isinstance(entries, list):
        raise _unreadable("has no list of keys")
    found: list[tuple[str | None, PyJWK]] = []
    for entry in entries[:_MOST_KEYS]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            key = PyJWK.from_dict(entry)
        except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if key.algorithm_name in ALGORITHMS and _is_strong(key):
            kid = entry.get("kid")
            found.append((kid if isinstance(kid, str) else None, key))
    return tuple(found)


def _is_strong(key: "PyJWK") -> bool:
    """RFC 7518 §3.3: an RSA key has 2048 bits or more. Keys on curves have one size each."""
    return key.key_type != "RSA" or key.key.key_size >= _LEAST_RSA_BITS


def _unreadable(what: str) -> GatewayFault:
    return GatewayFault(f"The identity provider {what}", code="gateway_unavailable")
