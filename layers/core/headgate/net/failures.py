"""What each exception of the HTTP client means in our words. Total: a test walks aiohttp's classes.

Nothing here repeats what an exception says: aiohttp's texts hold whole URLs, and with them keys in queries.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import client_exceptions

from headgate.domain.errors import HeadgateError, InvalidRequest, ProviderFailed
from headgate.net.guard import FIELD, RefusedAddress, refusal_of


@dataclass(frozen=True, slots=True)
class Meaning:
    """A code of ours and what to say, `{host}` being the provider's host. Code None: the URL is wrong."""

    code: str | None
    words: str


_BAD_URL = Meaning(None, "An absolute http or https URL is needed.")
_LATE = Meaning("provider_timeout", "{host} did not answer in time.")
_UNREACHED = Meaning("provider_unavailable", "No connection to {host} could be made.")
_NO_NAME = Meaning("provider_unavailable", "The name {host} could not be resolved.")
_BAD_TLS = Meaning("provider_unavailable", "No trusted connection to {host} could be made: its TLS failed.")
_BROKEN = Meaning("provider_unavailable", "The connection to {host} broke before the answer was complete.")
_GARBLED = Meaning("provider_protocol", "{host} did not answer in valid HTTP.")
_CUT = Meaning("provider_protocol", "The answer of {host} is malformed or cut off.")

MEANINGS: Mapping[type[BaseException], Meaning] = {
    aiohttp.ClientError: _BROKEN,
    # No URL to send to.
    aiohttp.InvalidURL: _BAD_URL,
    client_exceptions.InvalidUrlClientError: _BAD_URL,
    client_exceptions.NonHttpUrlClientError: _BAD_URL,
    # Redirects are not followed, sockets not upgraded: were one of these raised, the answer was at fault.
    client_exceptions.RedirectClientError: _GARBLED,
    client_exceptions.InvalidUrlRedirectClientError: _GARBLED,
    client_exceptions.NonHttpUrlRedirectClientError: _GARBLED,
    aiohttp.TooManyRedirects: _GARBLED,
    aiohttp.WSServerHandshakeError: _GARBLED,
    # No connection.
    aiohttp.ClientConnectorError: _UNREACHED,
    aiohttp.ClientConnectorDNSError: _NO_NAME,
    aiohttp.ClientProxyConnectionError: _UNREACHED,
    aiohttp.ClientHttpProxyError: _UNREACHED,
    client_exceptions.UnixClientConnectorError: _UNREACHED,
    aiohttp.ClientSSLError: _BAD_TLS,
    aiohttp.ClientConnectorSSLError: _BAD_TLS,
    aiohttp.ClientConnectorCertificateError: _BAD_TLS,
    aiohttp.ServerFingerprintMismatch: _BAD_TLS,
    # A connection that broke.
    aiohttp.ClientConnectionError: _BROKEN,
    aiohttp.ClientConnectionResetError: _BROKEN,
    aiohttp.ClientOSError: _BROKEN,
    aiohttp.ServerConnectionError: _BROKEN,
    aiohttp.ServerDisconnectedError: _BROKEN,
    client_exceptions.UploadAbortedError: _BROKEN,
    OSError: _BROKEN,
    RuntimeError: _BROKEN,  # uvloop's word for a socket it can't connect, aiohttp's for a closed session
    # Silence.
    aiohttp.ServerTimeoutError: _LATE,
    aiohttp.ConnectionTimeoutError: _LATE,
    aiohttp.SocketTimeoutError: _LATE,
    asyncio.TimeoutError: _LATE,
    # An answer that is none.
    aiohttp.ClientResponseError: _GARBLED,
    aiohttp.ContentTypeError: _GARBLED,
    aiohttp.ClientPayloadError: _CUT,
}


def meaning_of(kind: type[BaseException]) -> Meaning | None:
    """What a class of exceptions means, by its nearest base that has a meaning."""
    return next((MEANINGS[base] for base in kind.__mro__ if base in MEANINGS), None)


def translate(error: BaseException, *, host: str, may_have_run: bool) -> HeadgateError:
    """The error to raise in place of `error`, `from None`: the original would show the URL in a traceback.

    may_have_run: whether a byte of the request may have reached the host.
    """
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, RefusedAddress):
        return refusal_of(host)
    meaning = meaning_of(type(error))
    if meaning is None:
        raise TypeError(f"{type(error).__name__} has no meaning here") from error
    if meaning.code is None:
        return InvalidRequest.of_field(FIELD, meaning.words)
    return ProviderFailed(meaning.words.format(host=host), code=meaning.code, may_have_run=may_have_run)


def timed_out(host: str, waited_for: str, seconds: float, *, may_have_run: bool) -> ProviderFailed:
    """Silence, in detail. waited_for: `connection`, `answer`, `next part of the answer`, `whole answer`."""
    detail = f"{host} gave no {waited_for} within {seconds:g} s."
    return ProviderFailed(detail, code="provider_timeout", may_have_run=may_have_run)


def too_large(host: str, limit: int) -> ProviderFailed:
    """limit: bytes, decompressed."""
    detail = f"The answer of {host} is larger than {limit} bytes."
    return ProviderFailed(detail, code="provider_protocol", may_have_run=True)


def garbled(host: str) -> ProviderFailed:
    """A head that is not an answer."""
    return ProviderFailed(_GARBLED.words.format(host=host), code=_GARBLED.code, may_have_run=True)


def cut_off(host: str) -> ProviderFailed:
    """A body that ended before its end, or whose encoding is broken."""
    return ProviderFailed(_CUT.words.format(host=host), code=_CUT.code, may_have_run=True)


def broken_off(host: str) -> ProviderFailed:
    """A connection that was reset while the body arrived."""
    return ProviderFailed(_BROKEN.words.format(host=host), code=_BROKEN.code, may_have_run=True)
