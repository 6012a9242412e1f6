"""Whether and when to send again, decided as a value. Pure: randomness and time come in as arguments."""

from dataclasses import dataclass

from headgate.domain.errors import HeadgateError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one provider is tried again, and how long between.

    max_retries: sends after the first. base_s, cap_s: exponential backoff before jitter, in seconds.
    max_retry_after_s: a longer Retry-After is not waited for; the caller gets it instead.
    """

    max_retries: int = 2
    base_s: float = 0.5
    cap_s: float = 8.0
    max_retry_after_s: float = 2.0


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """`delay_s` seconds until the next send, or None for no further send, and why."""

    delay_s: float | None
    reason: str


def decide_retry(
    policy: RetryPolicy,
    error: HeadgateError,
    *,
    sends: int,
    idempotent: bool,
    time_left_s: float,
    jitter: float,
) -> RetryDecision:
    """Decide after `sends` failed sends. `jitter` is uniform in [0, 1): full jitter.

    A request that may have created something (`error.may_have_run`, not idempotent) is never sent twice.
    """
    if not error.retryable:
        return RetryDecision(None, "not retryable")
    if sends > policy.max_retries:
        return RetryDecision(None, "retries used up")
    if error.may_have_run and not idempotent:
        return RetryDecision(None, "may have run")
    if error.retry_after_s is not None:
        if error.retry_after_s > policy.max_retry_after_s:
            return RetryDecision(None, "asked to wait longer than we do")
        delay_s = error.retry_after_s
    else:
        delay_s = jitter * min(policy.cap_s, policy.base_s * 2.0 ** min(sends - 1, 32))
    if delay_s >= time_left_s:
        return RetryDecision(None, "no time left")
    return RetryDecision(delay_s, "retry")
