"""The act that a request is: who does it, when, under which request id."""

from datetime import datetime

from fastapi import Request

from headgate.domain.secret import Secret
from headgate.http.access import caller_of_request
from headgate.http.context import services_of
from headgate.services.acts import Act, act_by


def act_of(request: Request, *, seed: Secret | None = None, at: datetime | None = None) -> Act:
    """With a seed, whatever the act makes follows from it and from `at`, which is now unless given."""
    return act_by(
        caller_of_request(request),
        at=at or services_of(request).clock.now(),
        request_id=request.state.request_id,
        seed=seed,
    )
