"""The walks go along every route, and would find what they look for."""

import base64
import gzip
from urllib.parse import quote

import pytest

from tests.e2e.walk.canaries import Canaries
from tests.e2e.walk.routes import BODIES, QUERIES, ROUTES, unexampled, whole_walk
from tests.e2e.walk.things import THINGS

SECRET = "Zq7/Kx+canary9=Wm4T"


def test_every_route_has_an_example_in_the_walk() -> None:
    assert unexampled(THINGS) == []
    assert {call.route.name for call in whole_walk(THINGS)} == {route.name for route in ROUTES}


def test_there_is_no_example_of_a_route_that_is_gone() -> None:
    assert BODIES.keys() | QUERIES.keys() <= {route.name for route in ROUTES}


@pytest.mark.parametrize(
    "text",
    [
        f"Bearer {SECRET}",
        f"?key={quote(SECRET, safe='')}",
        base64.b64encode(f"u:{SECRET}".encode()).decode(),
        base64.b64encode(f"us:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"usr:{SECRET}".encode()).decode(),
        SECRET.encode().hex(),
        SECRET[::-1],
        f"{SECRET[:8]}****",
        f"****{SECRET[-8:]}",
    ],
)
def test_a_key_is_found_in_every_form(text: str) -> None:
    for thing in (
        text,
        text.encode(),
        {"a": [text]},
        {text: 1},
        gzip.compress(text.encode()),
        ValueError(text),
    ):
        canaries = Canaries(key=SECRET)
        canaries.look("here", thing)
        with pytest.raises(AssertionError, match="here: key"):
            canaries.check()


def test_a_hint_is_no_find() -> None:
    canaries = Canaries(key=SECRET)
    canaries.look("here", SECRET[-4:], "••••••••", b"\x1f\x8b no gzip")
    canaries.check()
