"""Whether to send again is a value: never what may have run, never past the time that is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.errors import (
    CODES,
    GatewayFault,
    HeadgateError,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderRejected,
)
from headgate.domain.retry import RetryPolicy, decide_retry

POLICY = RetryPolicy(max_retries=2, base_s=0.5, cap_s=8.0, max_retry_after_s=10.0)


def classes_of_errors() -> list[type[HeadgateError]]:
    found, todo = [], [HeadgateError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo += cls.__subclasses__()
    return found


LEAVES = {code: cls for cls in classes_of_errors() for code in sorted(cls.codes)}
ERRORS = st.builds(
    lambda code, may_have_run, retry_after_s: LEAVES[code](
        "x", code=code, may_have_run=may_have_run, retry_after_s=retry_after_s
    ),
    st.sampled_from(sorted(CODES)),
    st.booleans(),
    st.none() | st.floats(0, 100),
)
POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 2_000),
    base_s=st.floats(0, 5),
    cap_s=st.floats(0, 60),
    max_retry_after_s=st.floats(0, 60),
)
JITTERS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("error", "sends", "idempotent", "time_left_s", "delay_s", "reason"),
    [
        (ProviderFailed("reset"), 1, False, 60.0, 0.25, "retry"),
        (ProviderFailed("reset"), 2, False, 60.0, 0.5, "retry"),
        (ProviderFailed("reset"), 3, False, 60.0, None, "retries used up"),
        (ProviderFailed("reset", may_have_run=True), 1, False, 60.0, None, "may have run"),
        (ProviderFailed("reset", may_have_run=True), 1, True, 60.0, 0.25, "retry"),
        (ProviderBusy("429"), 1, False, 60.0, 0.25, "retry"),
        (ProviderBusy("429", retry_after_s=3.0), 1, False, 60.0, 3.0, "retry"),
        (ProviderBusy("429", retry_after_s=10.0), 1, False, 60.0, 10.0, "retry"),
        (ProviderBusy("429", retry_after_s=11.0), 1, False, 60.0, None, "asked to wait longer than we do"),
        (ProviderBusy("429", retry_after_s=3.0), 1, False, 3.0, None, "no time left"),
        (ProviderFailed("reset"), 1, False, 0.1, None, "no time left"),
        (ProviderRefused("401"), 1, True, 60.0, None, "not retryable"),
        (ProviderRejected("400"), 1, True, 60.0, None, "not retryable"),
        (GatewayFault("bug"), 1, True, 60.0, None, "not retryable"),
        (ProviderRefused("x", code="provider_insufficient_funds"), 1, True, 60.0, None, "not retryable"),
    ],
)
def test_the_decision_in_each_case(
    *,
    error: HeadgateError,
    sends: int,
    idempotent: bool,
    time_left_s: float,
    delay_s: float | None,
    reason: str,
) -> None:
    decision = decide_retry(
        POLICY, error, sends=sends, idempotent=idempotent, time_left_s=time_left_s, jitter=0.5
    )
    assert (decision.delay_s, decision.reason) == (delay_s, reason)


@given(POLICIES, ERRORS, st.integers(1, 3_000), st.floats(0, 900), JITTERS)
def test_what_may_have_run_is_never_sent_again(
    policy: RetryPolicy, error: HeadgateError, sends: int, time_left_s: float, jitter: float
) -> None:
    error.may_have_run = True
    decision = decide_retry(
        policy, error, sends=sends, idempotent=False, time_left_s=time_left_s, jitter=jitter
    )
    assert decision.delay_s is None


@given(
    policy=POLICIES,
    error=ERRORS,
    sends=st.integers(1, 3_000),
    idempotent=st.booleans(),
    time_left_s=st.floats(0, 900),
    jitter=JITTERS,
)
def test_a_retry_obeys_the_policy_the_vendor_and_the_clock(
    *,
    policy: RetryPolicy,
    error: HeadgateError,
    sends: int,
    idempotent: bool,
    time_left_s: float,
    jitter: float,
) -> None:
    decision = decide_retry(
        policy, error, sends=sends, idempotent=idempotent, time_left_s=time_left_s, jitter=jitter
    )
    if decision.delay_s is None:
        assert decision.reason != "retry"
        return
    assert error.retryable
    assert sends <= policy.max_retries
    assert 0 <= decision.delay_s < time_left_s
    if error.retry_after_s is None:
        assert decision.delay_s <= policy.cap_s
    else:
        assert decision.delay_s == error.retry_after_s <= policy.max_retry_after_s


@given(JITTERS, JITTERS)
def test_jitter_spreads_over_the_whole_interval(one: float, other: float) -> None:
    def delay_s(jitter: float) -> float:
        decision = decide_retry(
            POLICY, ProviderFailed("x"), sends=2, idempotent=False, time_left_s=60, jitter=jitter
        )
        assert decision.delay_s is not None
        return decision.delay_s

    assert delay_s(0.0) == 0.0
    assert (delay_s(one) < delay_s(other)) == (one < other)


def test_any_number_of_retries_can_be_decided_on() -> None:
    patient = RetryPolicy(max_retries=10_000)
    decision = decide_retry(
        patient, ProviderFailed("x"), sends=5_000, idempotent=False, time_left_s=60, jitter=0.5
    )
    assert decision.delay_s == 4.0
