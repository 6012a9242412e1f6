"""Of a key that a provider repeats, nothing is left that would be worth having."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.striking import STARS, cut_chain, struck, struck_all, struck_bytes

KEY = "sk-proj-Ab3/dE+fGh1jKlMnOp"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"The key {KEY} is bad.", f"The key {STARS} is bad."),
        (f"{KEY}{KEY}", STARS + STARS),
        (f"key={quote(KEY, safe='')}&x", f"key={STARS}&x"),
        (
            f"Incorrect API key provided: {KEY[:8]}*****{KEY[-4:]}.",
            f"Incorrect API key provided: {STARS}*****{KEY[-4:]}.",
        ),
        (f"begins with {KEY[:12]}…", f"begins with {STARS}…"),
        (f"ends with …{KEY[-9:]}.", f"ends with …{STARS}."),
        (f"ends with {KEY[-4:]}", f"ends with {KEY[-4:]}"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ],
)
def test_a_key_goes_and_the_rest_stays(said: str, left: str) -> None:
    assert struck(said, [KEY]) == left
    assert struck_bytes(said.encode(), [KEY]) == left.encode()


@pytest.mark.parametrize("before", ["", "x", "xy", "Bearer ", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_no_key_is_to_be_had_from_base64(before: str, encode: Callable[[bytes], bytes]) -> None:
    said = encode((before + KEY + " and more").encode()).decode()
    assert STARS in struck(said, [KEY])


def test_a_short_key_goes_as_a_whole_alone() -> None:
    assert struck("pass word password", ["password"]) == f"pass word {STARS}"
    assert struck("password", ["password-2"]) == "password"


def test_what_is_no_text_is_let_be() -> None:
    value = {"a": [KEY, 1, None], KEY: (KEY.encode(), 2.5)}
    assert struck_all(value, [KEY]) == {"a": [STARS, 1, None], STARS: (STARS.encode(), 2.5)}
    assert struck_bytes(b"\xff" + KEY.encode() + b"\xfe", [KEY]) == b"\xff" + STARS.encode() + b"\xfe"


def chain(*told: str) -> BaseException:
    """Each was raised from the one before it."""
    last: BaseException | None = None
    for text in told:
        error = ValueError(text)
        error.__cause__ = last
        last = error
    assert last is not None
    return last


def test_what_tells_a_key_is_no_cause_any_more() -> None:
    error = chain("first", f"it was {KEY}", "translated", "told")
    cut_chain(error, [KEY])
    assert repr(error.__cause__) == repr(ValueError("translated"))
    assert error.__cause__ is not None
    assert error.__cause__.__cause__ is None
    innocent = chain("first", "told")
    cut_chain(innocent, [KEY])
    assert innocent.__cause__ is not None


@given(before=st.text(), after=st.text(), key=st.text(min_size=8, max_size=40))
def test_wherever_it_stands_it_goes(before: str, after: str, key: str) -> None:
    assert key not in struck(before + key + after, [key]).replace(STARS, "\0")


@pytest.mark.parametrize("others", [0, 1, 3])
def test_a_chain_that_leads_back_into_itself_is_followed_once(others: int) -> None:
    links = [ValueError("one"), *(ValueError("another") for _ in range(others))]
    for link, cause in zip(links, [*links[1:], links[0]], strict=True):
        link.__cause__ = cause
    cut_chain(links[0], [KEY])
    assert links[0].__cause__ is not None
    links[-1].__context__ = ValueError(f"it was {KEY}")
    cut_chain(links[0], [KEY])
    assert links[-1].__context__ is None
