"""A circuit opens for at most thirty seconds, lets one probe through, and is never stuck."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.circuit import Circuit, CircuitPolicy

POLICY = CircuitPolicy(failures=3, open_s=5.0, max_open_s=30.0)
STEPS = st.lists(
    st.tuples(st.sampled_from(["failed", "succeeded", "probe", "wait"]), st.floats(0, 40)), max_size=60
)


def opened(at_s: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(POLICY.failures):
        circuit = circuit.failed(at_s, POLICY)
    return circuit


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    circuit = Circuit().failed(0, POLICY).failed(0, POLICY)
    assert circuit.state(0) == "closed"
    assert circuit.allows(0)
    circuit = circuit.failed(0, POLICY)
    assert circuit.state(0) == "open"
    assert not circuit.allows(0)


def test_a_success_between_starts_the_count_anew() -> None:
    circuit = Circuit().failed(0, POLICY).failed(0, POLICY).succeeded().failed(0, POLICY).failed(0, POLICY)
    assert circuit.state(0) == "closed"


def test_after_its_time_it_lets_exactly_one_probe_through() -> None:
    circuit = opened()
    assert circuit.state(4.9) == "open"
    assert circuit.state(5.0) == "half_open"
    assert circuit.allows(5.0)
    circuit = circuit.probing(5.0, POLICY)
    assert not circuit.allows(5.0)
    assert not circuit.allows(20.0)


def test_a_probe_that_is_never_heard_of_again_makes_room_for_another() -> None:
    circuit = opened().probing(5.0, POLICY)
    assert circuit.allows(5.0 + POLICY.max_open_s)


def test_a_probe_that_succeeds_closes_it() -> None:
    circuit = opened().probing(5.0, POLICY).succeeded()
    assert circuit == Circuit()


def test_each_failed_probe_doubles_the_time_up_to_the_most() -> None:
    circuit, now_s, times_s = opened(), 0.0, []
    for _ in range(5):
        times_s.append(circuit.open_until_s - now_s)
        now_s = circuit.open_until_s
        circuit = circuit.probing(now_s, POLICY).failed(now_s, POLICY)
    assert times_s == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_failures_that_arrive_while_it_is_open_do_not_prolong_it() -> None:
    circuit = opened()
    late = circuit.failed(3.0, POLICY)
    assert late.open_until_s == circuit.open_until_s


def test_an_outage_of_days_changes_nothing_about_it() -> None:
    circuit, now_s = opened(), 0.0
    for _ in range(5_000):
        now_s = circuit.open_until_s
        circuit = circuit.probing(now_s, POLICY).failed(now_s, POLICY)
        assert circuit.open_until_s - now_s <= POLICY.max_open_s
    assert circuit.allows(circuit.open_until_s)


@given(STEPS)
def test_whatever_happens_a_call_goes_through_within_thirty_seconds(steps: list[tuple[str, float]]) -> None:
    circuit, now_s = Circuit(), 0.0
    for step, seconds in steps:
        if step == "failed":
            circuit = circuit.failed(now_s, POLICY)
        elif step == "succeeded":
            circuit = circuit.succeeded()
        elif step == "probe" and circuit.allows(now_s):
            circuit = circuit.probing(now_s, POLICY)
        elif step == "wait":
            now_s += seconds
        assert circuit.open_until_s <= now_s + POLICY.max_open_s
        assert circuit.allows(now_s + POLICY.max_open_s)


@given(STEPS)
def test_a_success_always_closes_it(steps: list[tuple[str, float]]) -> None:
    circuit, now_s = Circuit(), 0.0
    for step, seconds in steps:
        now_s += seconds
        if step == "failed":
            circuit = circuit.failed(now_s, POLICY)
    assert circuit.succeeded().state(now_s) == "closed"
