"""Everything wrong that a caller can send: the documented error in its dialect; nothing is sent or kept."""

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.e2e.upstream import Upstream
from tests.integration.local_gateway import Gateway, StartGateway, wait_for

CHATS, GENERATIONS, KEYS = "/v1/chat/completions", "/v2/generations", "/v2/keys"
ASKED: Mapping[str, Any] = {"model": "openai/gpt-listed", "messages": [{"role": "user", "content": "Hello"}]}
GENERATION: Mapping[str, Any] = {"type": "text", "model": "openai/gpt-listed", "config": {"prompt": "Hello"}}
KEY: Mapping[str, Any] = {"user_id": "ada", "name": "n", "scopes": ["generate"]}


@pytest.fixture(scope="module")
def gateway(provider: Upstream, start_gateway: StartGateway) -> Gateway:
    return start_gateway(
        HEADGATE_STORE="memory",
        HEADGATE_HEAD_CHECK_S="0.2",
        HEADGATE_READ_REQUESTS_PER_MINUTE="100000",
        **provider.environ("openai", "openrouter"),
    )


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as made:
        wait_for(lambda: len(made.get("/v1/models").json()["data"]) == 2, 10, gateway)
        yield made


@pytest.fixture
def nothing_comes_of_it(client: httpx.Client, provider: Upstream) -> Iterator[None]:
    """No provider was asked, and no generation or key is kept, whatever the test sent."""

    def kept() -> tuple[int, list[str], list[str]]:
        sent = sum(call.method == "POST" for call in provider.asked)
        lists = [client.get(path, params={"limit": 1}).json()["data"] for path in (GENERATIONS, KEYS)]
        newest = [[str(one["id"]) for one in rows] for rows in lists]
        return sent, newest[0], newest[1]

    before = kept()
    yield
    assert kept() == before


pytestmark = pytest.mark.usefixtures("nothing_comes_of_it")


def check(answer: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """The error, in the shape of the path's dialect: it says what the contract says, and not to try again."""
    what = f"{answer.status_code} {answer.text[:400]}"
    body = answer.json()
    if answer.request.url.path.startswith("/v1/messages"):
        error: dict[str, Any] = {**body["error"], "request_id": body["request_id"]}
        assert body["type"] == "error", what
        assert {"type", "message", "code"} <= error.keys(), what
        assert field is None or field in error["message"], what
    elif answer.request.url.path.removeprefix("/api").startswith("/v1"):
        assert answer.headers["content-type"] == "application/json", what
        error = body["error"]
        assert isinstance(error["message"], str), what
        assert isinstance(error["type"], str), what
        assert error["param"] == field, what
    else:
        assert answer.headers["content-type"] == "application/problem+json", what
        error = body
        assert (error["status"], error["retryable"], error["origin"]) == (status, False, "caller"), what
        assert {"type", "title", "detail"} <= error.keys(), what
        assert field is None or field in [each["field"] for each in error["errors"]], what
    assert (answer.status_code, error["code"]) == (status, code), what
    assert error["request_id"] == answer.headers["x-request-id"], what
    assert answer.headers["x-should-retry"] == "false", what
    assert "Traceback" not in answer.text
    return error


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + "1" + closing * depth


# -- no JSON ------------------------------------------------------------------------------------------------

MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "cut off": b'{"model":',
    "a comma too much": b'{"model":"openai/x",}',
    "single quotes": b"{'model':'openai/x'}",
    "two values": b"{}{}",
    "a list": b"[]",
    "a text": b'"openai/x"',
    "null": b"null",
    "a form": b"model=openai%2Fx&messages=",
    "invalid UTF-8": b'{"model":"openai/\xff"}',
    "UTF-16": json.dumps(dict(ASKED)).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"model":"openai/x","temperature":NaN}',
    "Infinity": b'{"model":"openai/x","temperature":-Infinity}',
    "a number beyond all": b'{"model":"openai/x","temperature":1e999}',
    "half a character": b'{"model":"openai/\\ud83d"}',
    "a null byte": b'{"model":"openai/\x00"}',
    "a line break": b'{"model":"openai/\n"}',
    "a hundred thousand levels": f'{{"model":{nested(100_000)}}}'.encode(),
}


FRONTS = (CHATS, "/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/embeddings")
"""The compatible ones."""


@pytest.mark.parametrize("path", [*FRONTS, "/api/v1/chat/completions", GENERATIONS, KEYS])
@pytest.mark.parametrize("name", MALFORMED)
def test_a_body_that_is_no_json_object_is_400(name: str, path: str, client: httpx.Client) -> None:
    check(client.post(path, content=MALFORMED[name]), 400, "invalid_request")


def test_levels_that_can_not_be_renamed_are_400(client: httpx.Client) -> None:
    asked = json.dumps(dict(GENERATION)).replace('"Hello"', nested(600, '{"a":', "}"))
    check(client.post("/api/v2/generations", content=asked), 400, "invalid_request")


# -- wrong fields -------------------------------------------------------------------------------------------

_GONE = object()
WRONG_CHATS: list[tuple[str, Any, str]] = [
    ("model", _GONE, "model"),
    ("model", None, "model"),
    ("model", 5, "model"),
    ("model", ["openai/x"], "model"),
    ("model", "", "model"),
    ("model", " \t ", "model"),
    ("model", ",,,", "model"),
    ("model", "x" * 1001, "model"),
    ("messages", _GONE, "messages"),
    ("messages", [], "messages"),
    ("messages", "Hello", "messages"),
    ("messages", {"role": "user"}, "messages"),
    ("messages", [{"role": "user", "content": "a"}, "Hello"], "messages[1]"),
    ("messages", [None], "messages[0]"),
    ("messages", [{}], "messages[0].role"),
    ("messages", [{"role": 5, "content": "a"}], "messages[0].role"),
    ("stream", "true", "stream"),
    ("stream", 1, "stream"),
    ("stream_options", [], "stream_options"),
    ("stream_options", {"include_usage": "yes"}, "stream_options.include_usage"),
]


def changed(body: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The body with one field set, or taken out."""
    rest = {key: each for key, each in body.items() if key != name}
    return rest if value is _GONE else rest | {name: value}


@pytest.mark.parametrize(("name", "value", "field"), WRONG_CHATS)
def test_a_wrong_field_of_a_chat_is_400_and_named(
    name: str, value: Any, field: str, client: httpx.Client
) -> None:
    error = check(client.post(CHATS, json=changed(ASKED, name, value)), 400, "invalid_request", field)
    assert field in error["message"]


def test_all_wrong_fields_are_named_at_once(client: httpx.Client) -> None:
    asked = {"model": 1, "messages": [1, {}], "stream": "x", "stream_options": 1}
    error = check(client.post(CHATS, json=asked), 400, "invalid_request", "model")
    for field in ("model", "messages[0]", "messages[1].role", "stream", "stream_options"):
        assert f"{field}: " in error["message"]


WRONG_GENERATIONS: list[tuple[str, Any, str]] = [
    ("type", _GONE, "type"),
    ("type", "tekst", "type"),
    ("type", None, "type"),
    ("config", _GONE, "config"),
    ("config", [], "config"),
    ("config", {}, "config.prompt"),
    ("config", {"prompt": 5}, "config.prompt"),
    ("config", {"prompt": ""}, "config.prompt"),
    ("config", {"prompt": "a", "messages": [{"role": "user"}]}, "config.prompt"),
    ("config", {"messages": []}, "config.messages"),
    ("config", {"messages": [{"role": "user"}, 1]}, "config.messages[1]"),
    ("model", 5, "model"),
    ("model", "", "model"),
    ("provider", "acme", "provider"),
    ("provider", 5, "provider"),
    ("deadline_s", 0, "deadline_s"),
    ("deadline_s", "soon", "deadline_s"),
    ("deadline_s", 10**30, "deadline_s"),
    ("metadata", [], "metadata"),
    ("metadata", {"project_id": 5}, "metadata.project_id"),
    ("metadata", {"note": "x" * 20_000}, "metadata"),
    ("metadata", {"count": 10**30}, "metadata"),
    ("surprise", 1, "surprise"),
]


@pytest.mark.parametrize(("name", "value", "field"), WRONG_GENERATIONS)
def test_a_wrong_field_of_a_generation_is_422_and_named(
    name: str, value: Any, field: str, client: httpx.Client
) -> None:
    error = check(
        client.post(GENERATIONS, json=changed(GENERATION, name, value)), 422, "invalid_request", field
    )
    assert field in error["detail"]


def test_labels_too_deep_to_be_told_again_are_422(client: httpx.Client) -> None:
    asked = json.dumps({**GENERATION, "metadata": {"a": "deep"}}).replace('"deep"', nested(300))
    check(client.post(GENERATIONS, content=asked), 422, "invalid_request", "metadata")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", _GONE),
        ("user_id", ""),
        ("name", "x" * 101),
        ("scopes", []),
        ("scopes", ["everything"]),
        ("expires_at", "soon"),
        ("expires_at", "2030-01-01T00:00:00"),
        ("allowed_models", "openai/x"),
        ("limits", {"requests_per_minute": 0}),
        ("limits", {"surprise": 1}),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_of_a_key_is_422_and_named(name: str, value: Any, client: httpx.Client) -> None:
    error = check(client.post(KEYS, json=changed(KEY, name, value)), 422, "invalid_request")
    assert error["errors"][0]["field"].startswith(name)


# -- names that break things --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\tb", "a\x7f", "a\x1b[31m", "a\x85b", "a\u2028b", "a\u202eb"],
)
def test_control_characters_in_a_models_name_are_refused_before_anything_is_sent(
    name: str, client: httpx.Client
) -> None:
    chat = client.post(CHATS, json={**ASKED, "model": f"openai/{name}"})
    check(chat, 400, "invalid_request", "model")
    assert "x-evil" not in chat.headers
    check(client.post(GENERATIONS, json={**GENERATION, "model": name}), 422, "invalid_request", "model")
    for front in FRONTS:
        asked = {**ASKED, "input": "Hello", "max_tokens": 5, "model": f"openai/{name}"}
        check(client.post(front, json=asked), 400, "invalid_request", "model")


@pytest.mark.parametrize(
    ("model", "suggested"),
    [
        ("gpt-liste", "openai/gpt-listed"),
        ("acme/gpt-listed", "openai/gpt-listed"),
        ("openruter/gpt-listed", "openrouter/gpt-listed"),
        ("\U0001f600" * 500, None),
        ("../../etc/passwd", None),
    ],
)
def test_an_unknown_model_is_404_with_the_closest_ids(
    model: str, suggested: str | None, client: httpx.Client
) -> None:
    chat = check(client.post(CHATS, json={**ASKED, "model": model}), 404, "model_not_found")
    other = check(client.post(GENERATIONS, json={**GENERATION, "model": model}), 404, "model_not_found")
    assert chat["suggestions"] == other["suggestions"]
    assert suggested is None or suggested in chat["suggestions"]
    assert suggested is None or suggested in chat["message"]


@pytest.mark.parametrize(
    "name",
    [
        "gen_none",
        "gen_" + "x" * 5_000,
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "%00",
        "a%0d%0aX-Evil:%201",
        "%F0%9F%98%80",
        "%ff%fe",
        "%zz",
        "gen_x%2Fcancel",
        "'%20OR%201=1--",
    ],
)
def test_an_id_of_nothing_is_404(name: str, client: httpx.Client) -> None:
    for path, code in (
        (GENERATIONS, {"not_found"}),
        (KEYS, {"not_found"}),
        ("/v2/models", {"not_found", "model_not_found"}),
        ("/v1/models", {"not_found", "model_not_found"}),
    ):
        answer = client.get(f"{path}/{name}")
        error = check(answer, 404, (answer.json().get("error") or answer.json())["code"])
        assert error["code"] in code
        assert "x-evil" not in answer.headers


# -- queries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (GENERATIONS, "limit=0", "limit"),
        (GENERATIONS, "limit=101", "limit"),
        (GENERATIONS, "limit=1e1", "limit"),
        (GENERATIONS, "limit=%D9%A1", "limit"),
        (GENERATIONS, "limit=99999999999999999999999999", "limit"),
        (GENERATIONS, "limit=", "limit"),
        (GENERATIONS, "cursor=nonsense", "cursor"),
        (GENERATIONS, "cursor=%ff", "cursor"),
        (GENERATIONS, "status=finished", "status"),
        (KEYS, "limit=x", "limit"),
        (KEYS, "cursor=nonsense", "cursor"),
        ("/v2/models", "limit=0", "limit"),
        ("/v2/models", "limit=1&limit=2", "limit"),
        ("/v2/models", "cursor=nonsense", "cursor"),
        ("/v2/models", "sort=colour", "sort"),
        ("/v2/models", "modality=smell", "modality"),
        ("/v2/models", "status=fine", "status"),
        ("/v2/models", "premium=perhaps", "premium"),
        ("/v2/models", "min_context=-1", "min_context"),
        ("/v2/models", "max_input_price=NaN", "max_input_price"),
        ("/v2/models", "max_output_price=-0.1", "max_output_price"),
        ("/v2/models", "force=maybe", "force"),
        ("/v2/models", "colour=red", "colour"),
        ("/api/models", "minContext=x", "min_context"),
        ("/v2/providers/smell", "", "modality"),
    ],
)
def test_a_wrong_parameter_is_422_and_named(path: str, query: str, field: str, client: httpx.Client) -> None:
    check(client.get(f"{path}?{query}"), 422, "invalid_request", field)


@pytest.mark.parametrize(
    "query",
    ["q=" + "x" * 20_000, "&".join(["provider=openai"] * 3_000), "provider=%00", "q=%F0%9F", "&&&==&", ";"],
)
def test_an_odd_query_is_borne(query: str, client: httpx.Client) -> None:
    assert client.get(f"/v2/models?{query}").status_code in (200, 422)


def test_a_query_longer_than_a_server_reads_is_refused(gateway: Gateway) -> None:
    asked = f"GET /v2/models?q={'x' * 200_000} HTTP/1.1\r\nhost: gate\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
        connection.sendall(asked.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 4")


# -- who asks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer hg_wrong"},
        {"authorization": "Bearer"},
        {"authorization": "Basic aGc6aGc="},
        {"authorization": "hg_wrong"},
        {"authorization": "Bearer " + "x" * 5_000},
        {"authorization": "Bearer clé".encode()},
        {"x-api-key": ""},
        {"x-api-key": "hg_wrong"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("POST", CHATS), ("GET", "/v2/models"), ("POST", GENERATIONS)]
)
def test_without_a_good_key_it_is_401(
    headers: Mapping[str, Any], method: str, path: str, gateway: Gateway
) -> None:
    asked = ASKED if path == CHATS else GENERATION
    answer = httpx.request(
        method, gateway.url + path, headers=headers, json=asked if method == "POST" else None
    )
    check(answer, 401, "unauthenticated")
    assert gateway.key not in answer.text


def test_the_key_is_asked_for_before_the_body_is_looked_at(gateway: Gateway) -> None:
    check(httpx.post(gateway.url + CHATS, content=b"{"), 401, "unauthenticated")


# -- sizes --------------------------------------------------------------------------------------------------

MEGABYTE = b" " * (1 << 20)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [CHATS, GENERATIONS, KEYS])
def test_twenty_megabytes_are_413_with_the_limit(path: str, chunked: bool, client: httpx.Client) -> None:
    pieces = (MEGABYTE for _ in range(20))
    answer = client.post(path, content=pieces if chunked else MEGABYTE * 20)
    error = check(answer, 413, "payload_too_large")
    assert error["limit_bytes"] == (4_500_000 if path == KEYS else 10_000_000)
    assert error["upload"] == "POST /v2/uploads"


def test_what_only_announces_itself_too_large_is_refused_unread(gateway: Gateway) -> None:
    head = f"POST {CHATS} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {gateway.key}\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
        connection.sendall(f"{head}content-length: 20000000\r\nexpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "framing",
    [
        "content-length: -5",
        "content-length: many",
        "content-length: 5\r\ncontent-length: 6",
        "transfer-encoding: x",
    ],
)
def test_a_body_without_a_clear_end_is_400(framing: str, gateway: Gateway) -> None:
    head = f"POST {CHATS} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {gateway.key}\r\n{framing}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
        connection.sendall(head.encode() + b"hello")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_crash(
    gateway: Gateway, client: httpx.Client
) -> None:
    head = f"POST {CHATS} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {gateway.key}\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
            connection.sendall(f"{head}content-length: 5000\r\n\r\n{{".encode())
    assert client.get("/healthz").status_code == 200


# -- methods and paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", CHATS),
        ("PUT", CHATS),
        ("DELETE", "/v1/models"),
        ("POST", "/v1/models"),
        ("PATCH", GENERATIONS),
        ("DELETE", "/v2/models"),
        ("PUT", KEYS),
        ("TRACE", "/v2/models"),
        ("POST", "/v2/providers/health"),
    ],
)
def test_another_method_is_405(method: str, path: str, client: httpx.Client) -> None:
    check(client.request(method, path), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2", "/v1/", "/v3/models", "/v1//models", "/v2/generations/a/b", "/.env"]
)
def test_another_path_is_404(path: str, client: httpx.Client) -> None:
    check(client.get(path), 404, "not_found")


def test_nothing_so_far_has_crashed(gateway: Gateway) -> None:
    """Everything above was refused on purpose, not by accident."""
    assert "request.crashed" not in gateway.output
    assert "Traceback" not in gateway.output
