"""Parameters of a query string, by their own names, and as the seeds' clients write them."""

import pytest
from starlette.requests import Request

from headgate.http.params import parameter, time_in


def request(query: str, *, camel: bool) -> Request:
    state = {"camel": True} if camel else {}
    return Request({"type": "http", "headers": [], "query_string": query.encode(), "state": state})


@pytest.mark.parametrize("camel", [False, True])
def test_what_is_absent_is_none_and_what_is_empty_is_empty(camel: bool) -> None:
    for query in ("", "user_ids=ann", "User_id=ann"):
        assert parameter(request(query, camel=camel), "user_id") is None
    for query in ("user_id=", "user_id"):
        assert parameter(request(query, camel=camel), "user_id") == ""


@pytest.mark.parametrize("camel", [False, True])
def test_its_own_name_counts_everywhere(camel: bool) -> None:
    assert parameter(request("user_id=ann%20b", camel=camel), "user_id") == "ann b"


def test_a_name_in_camel_case_counts_where_it_is_asked_for() -> None:
    assert parameter(request("showInactive=true", camel=True), "show_inactive") == "true"
    assert parameter(request("showInactive=true", camel=False), "show_inactive") is None
    assert parameter(request("type=a", camel=True), "type") == "a"
    assert parameter(request("user_id=a&userId=b", camel=True), "user_id") == "a"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00+00:00"),
        ("2026-11-21t09:00:00.25z", "2026-11-21T09:00:00.250000+00:00"),
        ("2026-11-21T09:00:00+05:30", "2026-11-21T03:30:00+00:00"),
        ("2026-11-21T09:00:00 05:30", "2026-11-21T03:30:00+00:00"),  # the plus was not escaped
    ],
)
def test_a_time_is_read_in_utc(text: str, moment: str) -> None:
    found = time_in(text)
    assert found is not None
    assert found.isoformat() == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-21", "2026-11-21T09:00:00", "2026-11-21T25:00:00Z", "20261121T090000Z"),
        *("0001-01-01T00:00:00+23:00", "\N{ARABIC-INDIC DIGIT TWO}026-11-21T09:00:00Z"),
    ],
)
def test_what_is_no_time_with_its_zone_is_none(text: str) -> None:
    assert time_in(text) is None
