"""Keys lent with one request: read from the header, used for it, and told to nobody."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from headgate.domain.errors import InvalidRequest
from headgate.http.lent import LONGEST_KEY, MOST_KEYS, lent_keys
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from tests.support.gate import Gate, open_gate
from tests.support.keys import connect, key_of, keys_sent
from tests.support.models import model
from tests.support.provider import lines, said

KNOWN = {"alpha", "beta", "gemini", "custom"}
LENT = "sk-lent-9876543210"
CHAT: dict[str, Any] = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
TEXT: dict[str, Any] = {"type": "text", "model": "alpha/m", "config": {"prompt": "hi"}}
GENERATING: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | {"stream": True}),
    ("/v1/messages", CHAT),
    ("/v1/responses", {"model": "alpha/m", "input": "hi"}),
    ("/v2/generations", TEXT),
]


def read(*values: str) -> dict[str, str]:
    headers = [(b"x-provider-key", value.encode("latin-1")) for value in values]
    request = Request({"type": "http", "headers": headers})
    return {slug: key.reveal() for slug, key in lent_keys(request, KNOWN.__contains__).items()}


# -- reading -----------------------------------------------------------------------------------------------


def test_without_the_header_nothing_is_lent() -> None:
    assert read() == {}
    assert read("", " , ") == {}


@pytest.mark.parametrize(
    "values",
    [
        ("alpha=one", "beta=two=="),
        ("alpha=one,beta=two==",),
        (" alpha = one , beta=two== ,",),
        ("ALPHA=one", "beta=two==", "alpha=one"),
    ],
)
def test_it_may_be_repeated_or_hold_several_and_keys_may_end_in_equals_signs(values: tuple[str, ...]) -> None:
    assert read(*values) == {"alpha": "one", "beta": "two=="}


def test_providers_go_by_any_of_their_names() -> None:
    assert read("google=one,ollama=two") == {"gemini": "one", "custom": "two"}


@pytest.mark.parametrize(
    "value",
    [
        LENT,
        f"={LENT}",
        f"nobody={LENT}",
        f"{LENT}=alpha",
        "alpha=",
        "alpha",
        f"alpha={LENT}\x7f",
        f"alpha={LENT}\xe9",
        f"alpha={LENT * 400}",
        f"alpha={LENT},alpha=sk-other-12345678",
        ",".join(f"alpha={LENT}" for _ in range(MOST_KEYS + 1)),
    ],
)
def test_what_can_not_be_meant_is_refused_without_a_word_of_it(value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read("beta=fine", value)
    error = refused.value
    assert error.errors[0].field == "X-Provider-Key"
    assert LENT not in error.detail
    assert "sk-other" not in error.detail


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=4))
def test_whatever_is_in_the_header_is_read_or_refused(values: list[str]) -> None:
    try:
        keys = read(*values)
    except InvalidRequest as error:
        keys, refused = {}, error.errors[0].field
    else:
        refused = "X-Provider-Key"
    assert refused == "X-Provider-Key"
    assert keys.keys() <= KNOWN
    assert all(0 < len(key) <= LONGEST_KEY and key.isprintable() for key in keys.values())


# -- through the gateway -----------------------------------------------------------------------------------


async def gate_with(answer: Any = None) -> Gate:
    gate = await open_gate(models=[model("alpha/m", canonical_id="maker/m")])
    gate.transport.on("https://alpha.example/chat", answer or said("hello"))
    return gate


@pytest.mark.parametrize(("path", "body"), GENERATING)
async def test_every_route_that_generates_takes_it(path: str, body: dict[str, Any]) -> None:
    def answer(_request: WireRequest) -> Answer:
        return lines("say x", "END") if body.get("stream") else said("hello")

    gate = await gate_with(answer)
    answered = await gate.post(path, json=body, headers={"x-provider-key": f"alpha={LENT}"})
    assert answered.status_code == 200
    assert keys_sent(gate) == [LENT]
    assert LENT not in answered.text + repr(answered.headers) + repr(gate.log.entries)


@pytest.mark.parametrize(("path", "body"), GENERATING)
async def test_a_bad_one_is_the_callers_error_before_anything_is_called(
    path: str, body: dict[str, Any]
) -> None:
    gate = await gate_with()
    answered = await gate.post(path, json=body, headers={"x-provider-key": LENT})
    assert answered.status_code == (422 if path.startswith("/v2") else 400)
    assert "X-Provider-Key" in answered.text
    assert LENT not in answered.text + repr(gate.log.entries)
    assert gate.transport.requests == []


async def test_a_provider_that_repeats_the_key_in_its_error_is_not_quoted() -> None:
    gate = await gate_with(Answer(status=401, body=f"bad key {LENT}".encode()))
    answered = await gate.post("/v1/chat/completions", json=CHAT, headers={"x-provider-key": f"alpha={LENT}"})
    assert answered.status_code == 424
    assert answered.json()["error"]["code"] == "provider_auth"
    record = await gate.get(f"/v2/generations/{answered.headers['x-headgate-generation-id']}")
    assert LENT not in answered.text + record.text + repr(gate.log.entries)


# -- connections -------------------------------------------------------------------------------------------


async def test_a_generation_names_the_connection_that_served_it() -> None:
    gate = await gate_with()
    await connect(gate, "alpha")
    made = await gate.post("/v2/generations", json=TEXT | {"connection_id": "con_work"})
    assert made.status_code == 200
    assert made.json()["connection_id"] == "con_work"
    assert (await gate.get(f"/v2/generations/{made.json()['id']}")).json()["connection_id"] == "con_work"
    assert keys_sent(gate) == [key_of("work")]


async def test_an_explanation_names_the_connection_of_each_candidate() -> None:
    gate = await gate_with()
    await connect(gate, "alpha")
    told = await gate.post("/v2/generations/explain", json=TEXT)
    assert [each["connection_id"] for each in told.json()["candidates"]] == ["con_work", None]
    told = await gate.post("/v2/generations/explain", json=TEXT, headers={"x-provider-key": f"alpha={LENT}"})
    assert [each["connection_id"] for each in told.json()["candidates"]] == [None]
    assert LENT not in told.text
    assert gate.transport.requests == []


@pytest.mark.parametrize("path", ["/v2/generations", "/v2/generations/explain"])
async def test_another_users_connection_is_as_if_there_were_none(path: str) -> None:
    gate = await gate_with()
    await connect(gate, "alpha", "roots", user="root")
    answers = [
        await gate.post(path, json=TEXT | {"connection_id": name}) for name in ("con_roots", "con_none_")
    ]
    assert {answer.status_code for answer in answers} == {404}
    texts = {
        answer.json()["detail"].replace("con_roots", "X").replace("con_none_", "X") for answer in answers
    }
    assert len(texts) == 1


async def test_a_refused_connection_is_named_in_every_dialect() -> None:
    gate = await gate_with(Answer(status=401, body=b"no"))
    await connect(gate, "alpha")
    problem = (await gate.post("/v2/generations", json=TEXT | {"connection_id": "con_work"})).json()
    assert (problem["code"], problem["connection_id"], problem["status"]) == (
        "provider_auth",
        "con_work",
        424,
    )
    assert "'work' (con_work)" in problem["detail"]
