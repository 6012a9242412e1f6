"""Circuits of one process: by name, opened by what speaks against a provider, closed by a success."""

import pytest

from headgate.domain.circuit import CircuitPolicy
from headgate.domain.errors import (
    CODES,
    CannotCarry,
    GatewayFault,
    HeadgateError,
    NotFound,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)
from headgate.services.circuits import MOST_CIRCUITS, Circuits, circuit_name
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


@pytest.mark.parametrize(
    "error",
    [
        CannotCarry.field("n", "x"),
        NotFound("x", code="model_not_found"),
        ProviderBusy("x"),
        GatewayFault("x"),
    ],
    ids=lambda error: error.code,
)
def test_a_half_open_call_that_tells_nothing_lets_the_next_one_out(
    error: HeadgateError,
) -> None:
    board = Board()
    board.fail()
    board.clock.advance(5)
    assert board.circuits.allows("alpha")
    board.circuits.failed("alpha", error)
    assert [board.circuits.allows("alpha") for _ in range(2)] == [True, False]


@pytest.mark.parametrize("code", sorted(ProviderRejected.codes))
def test_a_provider_that_has_read_the_request_is_well(code: str) -> None:
    board = Board()
    board.fail()
    board.clock.advance(5)
    assert board.circuits.allows("alpha")
    board.circuits.failed("alpha", ProviderRejected("x", code=code))
    assert all(board.circuits.allows("alpha") for _ in range(3))
    assert board.log.named("circuit.closed")


@pytest.mark.parametrize("error", [ProviderRejected("x"), ProviderBusy("x")], ids=["rejected", "limited"])
def test_an_answer_to_a_call_from_before_does_not_shorten_the_pause(error: HeadgateError) -> None:
    board = Board()
    board.fail()
    board.circuits.failed("alpha", error)
    assert not board.circuits.allows("alpha")


def test_looking_does_not_take_the_place_of_the_one_call() -> None:
    board = Board()
    assert board.circuits.would_allow("alpha")
    board.fail()
    assert not board.circuits.would_allow("alpha")
    board.clock.advance(5)
    assert [board.circuits.would_allow("alpha") for _ in range(2)] == [True, True]
    assert board.circuits.allows("alpha")
    assert not board.circuits.would_allow("alpha")


def test_circuits_are_apart_by_provider_modality_and_key() -> None:
    names = [
        circuit_name("alpha"),
        circuit_name("beta"),
        circuit_name("alpha", modality="embedding"),
        circuit_name("alpha", key="con_1"),
    ]
    assert len(set(names)) == 4


def test_keys_that_fail_once_each_do_not_fill_the_memory() -> None:
    board = Board()
    board.fail(name="steady")
    for number in range(MOST_CIRCUITS):
        board.fail(name=f"alpha/text/lent-{number}", times=1)
    assert board.circuits.allows("steady"), "what failed longest ago is forgotten"
    board.fail(name=f"alpha/text/lent-{MOST_CIRCUITS - 1}", times=1)
    assert not board.circuits.allows(f"alpha/text/lent-{MOST_CIRCUITS - 1}")
