"""Texts in requests that go on to names, headers and logs: printable, and never blank."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

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
