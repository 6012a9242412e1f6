"""Bodies are JSON objects; what is wrong with one is said by the name of the field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from headgate.domain.errors import InvalidRequest, MalformedRequest
from headgate.http.body import field_path, parse, read_json, snake, snake_keys
from tests.support.gate import open_gate
from tests.support.models import model
from tests.support.provider import said

POSTS = ["/v1/chat/completions", "/v2/generations", "/v2/keys"]
UNREADABLE = {
    "nothing": b"",
    "cut off": b'{"model":',
    "not JSON": b"model=gpt",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "a number": b"1",
    "invalid UTF-8": b'{"model": "\xff\xfe"}',
    "half a surrogate": b'{"model": "\\ud800"}',
    "not a number": b'{"a": NaN}',
    "two objects": b"{}{}",
    "nested without end": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_json_object_is_400(path: str, body: bytes) -> None:
    gate = await open_gate()
    answer = await gate.post(path, key="root", content=body)
    assert answer.status_code == 400
    error = answer.json().get("error", answer.json())
    assert error["code"] == "invalid_request"
    assert answer.headers["x-should-retry"] == "false"


async def test_where_the_json_breaks_is_said_without_repeating_it() -> None:
    gate = await open_gate()
    answer = await gate.post("/v2/generations", content=b'{"type": "text", "secret": sk-123}')
    assert "column" in answer.json()["detail"]
    assert "sk-123" not in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
async def test_json_is_read_whatever_it_calls_itself(kind: str) -> None:
    gate = await open_gate()
    answer = await gate.post("/v2/generations", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "status", "body", "fields"),
    [
        ("/v1/chat/completions", 400, {}, ["model", "messages"]),
        ("/v1/chat/completions", 400, {"model": 5, "messages": []}, ["model", "messages"]),
        ("/v1/chat/completions", 400, {"model": " ", "messages": "hi"}, ["model", "messages"]),
        (
            "/v1/chat/completions",
            400,
            {"model": "m", "messages": [{"content": "x"}, 7]},
            ["messages[0].role", "messages[1]"],
        ),
        (
            "/v1/chat/completions",
            400,
            {"model": "m", "messages": [{"role": "user"}], "stream": "yes", "stream_options": 1},
            ["stream", "stream_options"],
        ),
        ("/v2/generations", 422, {}, ["type", "config"]),
        ("/v2/generations", 422, {"type": "text", "config": [], "more": 1}, ["config", "more"]),
        ("/v2/generations", 422, {"type": "text", "config": {}}, ["config.prompt"]),
        ("/v2/generations", 422, {"type": "text", "config": {"prompt": ""}}, ["config.prompt"]),
        ("/v2/generations", 422, {"type": "text", "config": {"messages": [{}]}}, ["config.messages[0]"]),
        (
            "/v2/generations",
            422,
            {"type": "text", "config": {"prompt": "x", "messages": [{"role": "user"}]}},
            ["config.prompt"],
        ),
        (
            "/v2/generations",
            422,
            {"type": "text", "config": {"prompt": "x"}, "deadline_s": 0, "model": ""},
            ["model", "deadline_s"],
        ),
        (
            "/v2/generations",
            422,
            {"type": "text", "config": {"prompt": "x"}, "metadata": {"project_id": 7}},
            ["metadata.project_id"],
        ),
        ("/v2/keys", 422, {"name": "x", "scopes": ["root"]}, ["user_id", "scopes[0]"]),
        ("/v2/keys", 422, {"user_id": "u", "name": "x", "scopes": []}, ["scopes"]),
        (
            "/v2/keys",
            422,
            {"user_id": "u", "name": "x", "scopes": ["admin"], "limits": {"requests_per_minute": 0}},
            ["limits.requests_per_minute"],
        ),
        (
            "/v2/keys",
            422,
            {"user_id": "u", "name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"},
            ["expires_at"],
        ),
        (
            "/v2/keys",
            422,
            {"user_id": "u", "name": "x", "scopes": ["admin"], "expires_at": "2030-01-01T00:00:00"},
            ["expires_at"],
        ),
    ],
)
async def test_every_invalid_field_is_named(path: str, status: int, body: Any, fields: list[str]) -> None:
    gate = await open_gate()
    answer = await gate.post(path, key="root", json=body)
    assert answer.status_code == status
    if path.startswith("/v1"):
        error = answer.json()["error"]
        assert error["param"] == fields[0]
        assert all(field in error["message"] for field in fields)
    else:
        assert [each["field"] for each in answer.json()["errors"]] == fields


async def test_what_was_given_is_not_repeated() -> None:
    gate = await open_gate()
    answer = await gate.post("/v2/keys", key="root", json={"user_id": 5, "name": ["sk-secret"], "scopes": 1})
    assert answer.status_code == 422
    assert "sk-secret" not in answer.text


# -- camelCase ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("camel", "plain"),
    [
        ("maxTokens", "max_tokens"),
        ("aspectRatio", "aspect_ratio"),
        ("imageURL", "image_url"),
        ("already_snake", "already_snake"),
        ("n", "n"),
        ("durationS", "duration_s"),
        ("top3K", "top3_k"),
    ],
)
def test_a_camel_case_name_is_its_snake_case_one(camel: str, plain: str) -> None:
    assert snake(camel) == plain


@given(st.text("abcxyz_0", min_size=1))
def test_a_snake_case_name_stays(name: str) -> None:
    assert snake(name) == name


def test_names_are_changed_at_every_depth_but_within_the_callers_own_structures() -> None:
    given_ = {
        "aspectRatio": "1:1",
        "config": {"referenceImages": [{"imageUrl": "u"}]},
        "metadata": {"sceneId": "7", "shotId": "keep", "own": {"sceneId": "keep"}},
        "messages": [{"toolCalls": "keep"}],
        "responseFormat": {"jsonSchema": "keep"},
    }
    assert snake_keys(given_) == {
        "aspect_ratio": "1:1",
        "config": {"reference_images": [{"image_url": "u"}]},
        "metadata": {"scene_id": "7", "shotId": "keep", "own": {"sceneId": "keep"}},
        "messages": [{"toolCalls": "keep"}],
        "response_format": {"jsonSchema": "keep"},
    }


def test_a_name_in_both_spellings_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        snake_keys({"maxTokens": 1, "max_tokens": 2})
    assert refused.value.errors[0].field == "max_tokens"
    with pytest.raises(InvalidRequest) as refused:
        snake_keys({"metadata": {"projectId": "prj_1", "project_id": "prj_2"}})
    assert refused.value.errors[0].field == "metadata.project_id"


async def test_a_generation_under_api_v2_is_of_the_project_that_it_names_in_camel_case() -> None:
    gate = await open_gate(models=[model("alpha/m")])
    gate.transport.on("https://alpha.example/chat", said("x"))
    asked = {"type": "text", "model": "alpha/m", "config": {"prompt": "hi"}}
    labels = {"projectId": "film", "sceneId": "7", "shotId": "a"}
    made = await gate.post("/api/v2/generations", json=asked | {"metadata": labels})
    assert made.json()["metadata"] == {"project_id": "film", "scene_id": "7", "shotId": "a"}
    found = (await gate.get("/v2/generations?project_id=film")).json()["data"]
    assert [each["id"] for each in found] == [made.json()["id"]]


async def test_a_body_under_api_v2_may_be_in_camel_case_and_elsewhere_not() -> None:
    gate = await open_gate()
    body = {"userId": "bob", "name": "x", "scopes": ["generate"], "allowedModels": ["a/b"]}
    made = await gate.post("/api/v2/keys", key="root", json=body)
    assert made.status_code == 201
    assert made.json()["allowed_models"] == ["a/b"]
    assert (await gate.post("/v2/keys", key="root", json=body)).status_code == 422


# -- names of fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), "body"),
        (("model",), "model"),
        (("messages", 0, "role"), "messages[0].role"),
        (("a", "b", 1, 2), "a.b[1][2]"),
        ((3, "x"), "[3].x"),
    ],
)
def test_a_field_is_named_by_its_path(location: tuple[int | str, ...], path: str) -> None:
    assert field_path(location) == path


class Small(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int


def test_a_value_that_fits_is_parsed_and_others_are_named() -> None:
    assert parse(Small, {"n": 3}).n == 3
    with pytest.raises(InvalidRequest) as refused:
        parse(Small, {"n": "many", "m": 1})
    assert [error.field for error in refused.value.errors] == ["n", "m"]


def arriving(*messages: dict[str, Any]) -> Request:
    """A request whose body comes in these pieces."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return Request({"type": "http", "method": "POST", "headers": [], "state": {}}, receive)


@pytest.mark.parametrize("optional", [True, False])
async def test_a_connection_that_is_cut_within_the_body_is_the_callers_doing(optional: bool) -> None:
    half = {"type": "http.request", "body": b'{"event":', "more_body": True}
    with pytest.raises(MalformedRequest, match="before its end"):
        await read_json(arriving(half, {"type": "http.disconnect"}), optional=optional)


async def test_only_a_body_that_may_be_left_out_may_be_left_out() -> None:
    nothing = {"type": "http.request", "body": b""}
    assert await read_json(arriving(nothing), optional=True) == {}
    with pytest.raises(MalformedRequest, match="empty"):
        await read_json(arriving(nothing))
