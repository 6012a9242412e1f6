"""Providers on loopback, and gateways as a person starts them."""

from collections.abc import Iterator

import pytest

from tests.e2e.upstream import Upstream
from tests.integration.local_gateway import Gateway, StartGateway


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def start_gateway() -> Iterator[StartGateway]:
    """Starts gateways on an environment of the test's own, waits until they serve, and ends them."""
    started: list[Gateway] = []

    def start(**environ: str) -> Gateway:
        gateway = Gateway(environ)
        started.append(gateway)
        gateway.wait_until_up()
        return gateway

    yield start
    for gateway in started:
        gateway.end()
