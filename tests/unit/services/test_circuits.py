"""Circuits of one process: by name, opened by what speaks against a provider, closed by a success."""

import pytest

from headgate.domain.circuit import CircuitPolicy
from headgate.domain.errors import (
    CODES,
    GatewayFault,
    HeadgateError,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)
from headgate.services.circuits import Circuits
from headgate.testing.memory import ManualClock, MemoryLog

POLICY = CircuitPolicy(failures=2, open_s=5, max_open_s=30)
OPENING = {
    "provider_unavailable",
    "provider_overloaded",
    "provider_protocol",
    "provider_timeout",
    "provider_auth",
    "provider_insufficient_funds",
}
LEAVES = {code: leaf for leaf in HeadgateError.__subclasses__() for code in leaf.codes}


class Board:
    def __init__(self) -> None:
        self.clock, self.log = ManualClock(), MemoryLog()
        self.circuits = Circuits(self.clock, self.log, POLICY)

    def fail(self, name: str = "alpha", error: HeadgateError | None = None, times: int = 2) -> None:
        for _ in range(times):
            self.circuits.failed(name, error or ProviderFailed("x"))


@pytest.mark.parametrize("code", sorted(CODES))
def test_only_what_speaks_against_the_provider_opens_it(code: str) -> None:
    board = Board()
    board.fail(error=LEAVES[code]("x", code=code), times=10)
    assert board.circuits.allows("alpha") == (code not in OPENING)


def test_one_providers_failures_are_not_anothers() -> None:
    board = Board()
    board.fail("alpha")
    assert not board.circuits.allows("alpha")
    assert board.circuits.allows("beta")


def test_half_open_lets_one_through_until_its_outcome_is_known() -> None:
    board = Board()
    board.fail()
    board.clock.advance(5)
    assert [board.circuits.allows("alpha") for _ in range(3)] == [True, False, False]
    board.circuits.succeeded("alpha")
    assert all(board.circuits.allows("alpha") for _ in range(3))


def test_opening_and_closing_are_logged_once_each_with_the_reason() -> None:
    board = Board()
    board.fail(error=ProviderBusy("x", code="provider_overloaded"), times=5)
    (opened,) = board.log.named("circuit.opened")
    assert opened.fields == {"circuit": "alpha", "code": "provider_overloaded", "openings": 1}
    board.circuits.succeeded("alpha")
    board.circuits.succeeded("alpha")
    (closed,) = board.log.named("circuit.closed")
    assert closed.fields == {"circuit": "alpha"}


@pytest.mark.parametrize("error", [ProviderRejected("x"), GatewayFault("x"), ProviderBusy("x")])
def test_others_neither_count_nor_reset_the_count(error: HeadgateError) -> None:
    board = Board()
    board.fail(times=1)
    board.circuits.failed("alpha", error)
    assert board.circuits.allows("alpha")
    board.fail(error=ProviderRefused("x"), times=1)
    assert not board.circuits.allows("alpha")
