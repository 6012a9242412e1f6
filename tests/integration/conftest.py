"""Gateways and a provider for the tests of the local runner."""

import threading
from collections.abc import Iterator

import pytest

from tests.integration.local_gateway import Gateway, StartGateway, Upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def start_gateway() -> Iterator[StartGateway]:
    """Starts gateways on an environment of the test's own, and ends what is left of them."""
    started: list[Gateway] = []

    def start(**environ: str) -> Gateway:
        gateway = Gateway(environ)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.end()
