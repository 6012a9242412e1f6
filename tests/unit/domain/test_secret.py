"""A secret shows itself to nobody who does not ask for it by name."""

import copy
import json
import pickle
import traceback

import orjson
import pytest

from headgate.domain.secret import Secret

PLAIN = "sk-live-0123456789"
SECRET = Secret(PLAIN)


@pytest.mark.parametrize(
    "shown",
    [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET:>40}",
        "%s" % SECRET,  # noqa: UP031 - old formatting is a way out, too
        str([SECRET]),
        str({"key": SECRET}),
    ],
)
def test_no_way_of_formatting_shows_it(shown: str) -> None:
    assert "0123456789" not in shown
    assert "•" in shown


def test_it_is_neither_pickled_nor_copied_nor_turned_into_json() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(SECRET)
    with pytest.raises(TypeError):
        copy.deepcopy(SECRET)
    with pytest.raises(TypeError):
        json.dumps({"key": SECRET})
    with pytest.raises(TypeError):
        orjson.dumps({"key": SECRET})


def test_it_is_not_in_a_traceback_of_what_holds_it() -> None:
    with pytest.raises(ValueError, match="•") as raised:
        raise ValueError(SECRET)
    assert PLAIN not in "".join(traceback.format_exception(raised.value))


def test_only_reveal_gives_the_text() -> None:
    assert SECRET.reveal() == PLAIN


def test_a_hint_is_the_last_four_of_a_long_one_and_nothing_of_a_short_one() -> None:
    assert SECRET.hint == "6789"
    assert Secret("hunter2").hint == "••••"


def test_equal_texts_are_equal_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
