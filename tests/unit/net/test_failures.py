"""Every way in which the HTTP client can fail has a meaning here."""

import asyncio
import errno
import inspect
import pkgutil
import socket
import ssl
from collections.abc import Iterator
from importlib import import_module

import aiohttp
import pytest

from headgate.domain.errors import InvalidRequest, ProviderFailed
from headgate.net.failures import MEANINGS, meaning_of, translate
from headgate.net.guard import RefusedAddress


def _client_errors() -> set[type[BaseException]]:
    """aiohttp's client exceptions, wherever in the package they are defined."""
    found: set[type[BaseException]] = set()
    for module in pkgutil.iter_modules(aiohttp.__path__):
        if module.name in ("pytest_plugin", "worker", "test_utils"):  # these need packages of their own
            continue
        for _, kind in inspect.getmembers(import_module(f"aiohttp.{module.name}"), inspect.isclass):
            if issubclass(kind, aiohttp.ClientError):
                found.add(kind)
    return found


def _subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


def test_every_exception_class_of_the_client_has_a_meaning_of_its_own() -> None:
    found = _client_errors()
    assert len(found) > 25  # the walk found the tree, not just its root
    assert {kind.__name__ for kind in found if kind not in MEANINGS} == set()


def test_every_operating_system_error_and_timeout_has_a_meaning() -> None:
    kinds = [*_subclasses(OSError), asyncio.TimeoutError, TimeoutError]
    assert {socket.gaierror, ssl.SSLError, ConnectionResetError} <= set(kinds)
    assert [kind.__name__ for kind in kinds if meaning_of(kind) is None] == []


def test_an_exception_that_is_no_failure_of_the_network_is_not_taken_for_one() -> None:
    with pytest.raises(TypeError):
        translate(KeyError("x"), host="h", may_have_run=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (aiohttp.ServerDisconnectedError(), "provider_unavailable"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), "provider_unavailable"),
        (ConnectionResetError(), "provider_unavailable"),
        (OSError(errno.ENETUNREACH, "no network"), "provider_unavailable"),
        (ssl.SSLError("bad"), "provider_unavailable"),
        (aiohttp.ClientPayloadError("short"), "provider_protocol"),
        (aiohttp.SocketTimeoutError("late"), "provider_timeout"),
        (TimeoutError(), "provider_timeout"),
    ],
)
@pytest.mark.parametrize("may_have_run", [True, False])
def test_an_exception_becomes_its_code_and_keeps_whether_the_request_may_have_run(
    error: BaseException, code: str, may_have_run: bool
) -> None:
    failure = translate(error, host="api.example.com", may_have_run=may_have_run)
    assert isinstance(failure, ProviderFailed)
    assert (failure.code, failure.may_have_run) == (code, may_have_run)
    assert "api.example.com" in failure.detail


def test_nothing_that_an_exception_says_is_repeated() -> None:
    for kind in (
        aiohttp.ServerTimeoutError,
        aiohttp.ClientPayloadError,
        aiohttp.ServerDisconnectedError,
        OSError,
    ):
        failure = translate(kind("https://h/s3cret?key=s3cret"), host="h", may_have_run=True)
        assert "s3cret" not in str(failure)


def test_a_url_that_the_client_refuses_is_the_callers_mistake() -> None:
    failure = translate(aiohttp.InvalidURL("http://s3cret"), host="h", may_have_run=False)
    assert isinstance(failure, InvalidRequest)
    assert [error.field for error in failure.errors] == ["base_url"]
    assert "s3cret" not in str(failure)


def test_a_refused_address_is_the_callers_mistake_and_stays_untold() -> None:
    class Key:
        host, port, ssl = "vllm.internal", 443, True

    wrapped = aiohttp.ClientConnectorError(Key(), RefusedAddress("10.1.2.3"))  # type: ignore[arg-type]
    failure = translate(wrapped, host="vllm.internal", may_have_run=False)
    assert isinstance(failure, InvalidRequest)
    assert "10.1.2.3" not in str(failure)
