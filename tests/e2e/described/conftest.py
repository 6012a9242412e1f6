import asyncio
from collections.abc import Iterator

import pytest

from tests.e2e.described.house import House


@pytest.fixture
def house() -> Iterator[House]:
    """Furnished anew for each test, so that none sees what another did."""
    with asyncio.Runner() as runner:
        yield House(runner)
