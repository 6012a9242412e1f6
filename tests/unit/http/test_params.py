"""Parameters of a query string, by their own names, and as the seeds' clients write them."""

import pytest
from starlette.requests import Request

from headgate.http.params import parameter


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
