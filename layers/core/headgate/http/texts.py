"""Texts in requests that go on to names, headers and logs: printable, and never blank."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints

from headgate.http.body import printable

UserId = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(printable),
]
"""A user's id, or that of a project, in whatever form the operator has them: without blanks around it."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(printable),
]
"""What a person calls a thing."""


def _as_text(value: Any) -> Any:
    """Raises ValueError for a number: seconds or milliseconds, who can tell?"""
    if isinstance(value, int | float):
        raise ValueError("must be a time in RFC 3339, like 2027-01-01T00:00:00Z.")
    return value


def _in_utc(moment: datetime) -> datetime:
    """Raises ValueError for one that is within the calendar where it was written, and outside it in UTC."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999.") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_utc)]
"""A time in UTC."""
