"""A request that is repeated under its Idempotency-Key gets the first answer, and nothing happens again."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from headgate.domain.callers import KeyLimits, Scope
from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import GatewayFault
from headgate.ports import MAX_ANSWER_BYTES, Begun
from headgate.testing.memory import Answer
from headgate.testing.transport import Step
from tests.support.asgi import Exchange
from tests.support.gate import FUNCTIONS, Gate, dispatch
from tests.support.models import model, priced
from tests.support.provider import fake_provider, lines, said

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "alpha/m", "messages": MESSAGES}
ASKS: Mapping[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": {"model": "alpha/m", "input": "hi"},
    "/v1/messages": CHAT | {"max_tokens": 5},
    "/v1/embeddings": {"model": "alpha/e", "input": "hi"},
    "/v2/generations": {"type": "text", "model": "alpha/m", "config": {"prompt": "hi"}},
}
STREAMS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
SENT = {"idempotency-key": "order 7"}
EVERYWHERE = pytest.mark.parametrize("path", ASKS)


def offers() -> list[ModelInfo]:
    return [model("alpha/m", pricing=priced("1", "10")), model("alpha/e", modality=Modality.EMBEDDING)]


async def gate_of(*answers: Step, **environ: str) -> Gate:
    """One provider, which answers chats and embeddings in turn, the last answer again and again."""
    gate = Gate("alpha", environ=environ)
    gate.providers["alpha"] = fake_provider("alpha", embeddings_path="/chat/e")
    for function in FUNCTIONS.values():
        gate.register(function.services)
    gate.ann = await gate.key(Scope.MODELS_READ, Scope.GENERATE)
    gate.root = await gate.key(*Scope, user_id="root")
    await gate.show(*offers())
    gate.transport.on("https://alpha.example/chat", *(answers or [said("one"), said("two"), said("three")]))
    return gate


async def ask(gate: Gate, path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
    return await gate.post(path, **({"json": ASKS.get(path), "headers": SENT} | more))


def asked(gate: Gate) -> int:
    """How often the provider was called."""
    return len(gate.transport.requests)


def told(answer: httpx.Response) -> dict[str, str]:
    """Headers that belong to the answer and not to this request."""
    kept = ("content-type", "cache-control", "x-should-retry", "x-headgate")
    return {name: value for name, value in answer.headers.items() if name.startswith(kept)}


def is_replay(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotency-replayed") == "true")


def assert_replayed(again: httpx.Response, first: httpx.Response) -> None:
    assert is_replay(again)
    assert not is_replay(first)
    assert (again.status_code, again.content, told(again)) == (first.status_code, first.content, told(first))
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    code: str = body.get("error", body)["code"]
    return code


# -- what is repeated ---------------------------------------------------------------------------------------


@EVERYWHERE
async def test_a_repeated_request_gets_the_first_answer_byte_for_byte(path: str) -> None:
    gate = await gate_of()
    first = await ask(gate, path)
    assert first.status_code == 200, first.text
    for _ in range(2):
        gate.clock.advance(3600)
        assert_replayed(await ask(gate, path), first)
    assert asked(gate) == 1


@EVERYWHERE
async def test_without_the_header_nothing_is_repeated_and_no_answer_is_kept(path: str) -> None:
    gate = await gate_of()
    first, second = [await ask(gate, path, headers={}) for _ in range(2)]
    assert asked(gate) == 2
    assert not is_replay(second)
    for answer in (first, second):
        made = answer.headers["x-headgate-generation-id"]
        assert await gate.generations.get_answer(made) is None


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("gap_s", [0.0, 0.08])
async def test_a_stream_is_repeated_as_it_was_but_for_its_pings(path: str, gap_s: float) -> None:
    gate = await gate_of(
        lines("note a", gap_s, "say one", gap_s, "say two", "usage 3 4", "END"),
        HEADGATE_PING_S="0.02",
    )
    body = ASKS[path] | {"stream": True}
    first = await ask(gate, path, json=body)
    plain = first.content.replace(b": ping\n\n", b"")
    assert (plain != first.content) is (gap_s > 0)
    again = await ask(gate, path, json=body)
    assert is_replay(again)
    assert again.content == plain
    assert b"two" in plain
    assert told(again) == told(first)
    assert again.headers["content-type"].startswith("text/event-stream")
    assert asked(gate) == 1


@pytest.mark.parametrize("path", [*ASKS])
async def test_an_error_that_is_no_use_to_retry_is_repeated_with_the_first_requests_id(path: str) -> None:
    gate = await gate_of(Answer(status=400, body=b"no"), said("better"))
    first = await ask(gate, path)
    assert (first.status_code, code_of(first)) == (400, "provider_rejected")
    again = await ask(gate, path)
    assert_replayed(again, first)
    assert first.headers["x-request-id"] in again.text
    assert again.headers["x-should-retry"] == "false"
    assert asked(gate) == 1


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_that_ended_in_such_an_error_is_repeated_with_it(path: str) -> None:
    gate = await gate_of(lines("say one", "BAD 400"), lines("say two", "END"))
    body = ASKS[path] | {"stream": True}
    first = await ask(gate, path, json=body)
    assert first.status_code == 200
    assert b"provider_rejected" in first.content
    assert b"one" in first.content
    assert_replayed(await ask(gate, path, json=body), first)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_may_be_retried_is_carried_out_again(stream: bool) -> None:
    gate = await gate_of(Answer(status=503), lines("say two", "END") if stream else said("two"))
    body = CHAT | {"stream": stream}
    first, second, third = [await ask(gate, json=body) for _ in range(3)]
    assert (first.status_code, second.status_code) == (503, 200)
    assert b"two" in second.content
    assert not is_replay(second)
    assert_replayed(third, second)
    assert asked(gate) == 2


async def test_a_stream_that_its_provider_broke_is_carried_out_again() -> None:
    gate = await gate_of(lines("say one"), lines("say two", "END"))
    body = CHAT | {"stream": True}
    assert b"provider_protocol" in (await ask(gate, json=body)).content
    assert b"two" in (await ask(gate, json=body)).content


async def test_a_stream_that_its_client_left_is_carried_out_again() -> None:
    gate = await gate_of(lines("say one", 5.0, "END"), lines("say two", "END"))
    body = b'{"model":"alpha/m","messages":[{"role":"user","content":"hi"}],"stream":true}'
    headers = SENT | {"authorization": f"Bearer {gate.ann}"}
    client = Exchange(dispatch, "POST", "/v1/chat/completions", headers=headers, body=[body])
    await client.head()
    await client.piece()
    await client.leave()
    again = await ask(gate, json=CHAT | {"stream": True})
    assert b"two" in again.content
    assert not is_replay(again)


async def test_after_a_day_the_key_is_free() -> None:
    gate = await gate_of()
    first = await ask(gate)
    gate.clock.advance(24 * 3600 - 1)
    assert_replayed(await ask(gate), first)
    gate.clock.advance(1)
    await gate.show(*offers())
    later = await ask(gate)
    assert not is_replay(later)
    assert "two" in later.text


# -- what is the same request -------------------------------------------------------------------------------


@EVERYWHERE
async def test_spaces_and_the_order_of_keys_make_no_other_request(path: str) -> None:
    gate = await gate_of()
    first = await ask(gate, path)
    turned = json.dumps(dict(reversed(ASKS[path].items())), indent=3)
    assert_replayed(await ask(gate, path, content=turned, json=None), first)
    assert_replayed(await ask(gate, f"/api{path}", json=ASKS[path]), first)


@pytest.mark.parametrize(
    "other", [{"temperature": 1}, {"messages": [*MESSAGES, *MESSAGES]}, {"stream": True}, {"n": 10**30}]
)
async def test_another_body_under_the_same_key_is_refused(other: dict[str, Any]) -> None:
    gate = await gate_of()
    first = await ask(gate)
    refused = await ask(gate, json=CHAT | other)
    assert (refused.status_code, code_of(refused)) == (409, "idempotency_conflict")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert asked(gate) == 1
    assert_replayed(await ask(gate), first)


async def test_another_route_under_the_same_key_is_refused() -> None:
    gate = await gate_of()
    await ask(gate, "/v1/messages")
    refused = await ask(gate, "/v1/chat/completions", json=ASKS["/v1/messages"])
    assert (refused.status_code, code_of(refused)) == (409, "idempotency_conflict")


async def test_keys_of_one_user_share_answers_and_users_share_none() -> None:
    gate = await gate_of()
    second_key = await gate.key(Scope.GENERATE)
    first = await ask(gate)
    assert_replayed(await ask(gate, key=second_key), first)
    bob = await ask(gate, key=await gate.key(Scope.GENERATE, user_id="bob"))
    assert not is_replay(bob)
    assert bob.content != first.content


async def test_a_key_of_another_scope_gets_no_answer() -> None:
    gate = await gate_of()
    await ask(gate)
    refused = await ask(gate, key=await gate.key(Scope.MODELS_READ))
    assert (refused.status_code, code_of(refused)) == (403, "forbidden")


async def test_a_key_that_may_not_use_the_model_is_not_given_its_answer() -> None:
    gate = await gate_of()
    await ask(gate)
    bound = await gate.key(Scope.GENERATE, allowed_models=("alpha/e",))
    assert (await ask(gate, key=bound)).status_code == 403


@pytest.mark.parametrize(
    "key", ["x" * 255, "~", "a b!", "\N{LATIN SMALL LETTER E WITH ACUTE}", "x" * 256, ""]
)
@EVERYWHERE
async def test_a_key_is_1_to_255_printable_ascii_characters(path: str, key: str) -> None:
    gate = await gate_of()
    answer = await ask(gate, path, headers={"idempotency-key": key.encode()})
    if key.isascii() and 0 < len(key) < 256:
        assert answer.status_code == 200
        return
    assert answer.status_code == (422 if path.startswith("/v2") else 400)
    assert "Idempotency-Key" in answer.text
    assert asked(gate) == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/messages/count_tokens", CHAT), ("/v2/generations/explain", ASKS["/v2/generations"])],
)
async def test_what_costs_nothing_takes_no_notice_of_the_header(path: str, body: dict[str, Any]) -> None:
    gate = await gate_of()
    for _ in range(2):
        answer = await ask(gate, path, json=body)
        assert answer.status_code == 200
        assert not is_replay(answer)
    assert (await ask(gate, path, json=body, headers={"idempotency-key": "x" * 300})).status_code == 200
    assert not is_replay(await ask(gate))


# -- what a repetition costs --------------------------------------------------------------------------------


async def test_a_repetition_is_neither_counted_nor_charged_nor_recorded() -> None:
    gate = await gate_of(HEADGATE_CREDITS="enforced")
    granted = {"user_id": "ann", "amount": "1", "reason": "x"}
    assert (await gate.post("/v2/credits/grants", key="root", json=granted)).status_code == 201
    limited = await gate.key(Scope.GENERATE, Scope.MODELS_READ, limits=KeyLimits(requests_per_minute=1))
    first = await ask(gate, key=limited)
    assert first.status_code == 200
    entries = (await gate.get("/v2/credits/ledger")).json()["data"]
    for _ in range(3):
        assert_replayed(await ask(gate, key=limited), first)
    assert (await gate.get("/v2/credits/ledger")).json()["data"] == entries
    assert len((await gate.get("/v2/generations")).json()["data"]) == 1
    assert (await ask(gate, key=limited, headers={})).status_code == 429


async def test_a_first_answer_counts_whatever_has_changed_since() -> None:
    gate = await gate_of()
    first = await ask(gate)
    gate.clock.advance(600)
    await gate.show(model("alpha/other"))
    assert (await ask(gate, headers={})).status_code == 404
    assert_replayed(await ask(gate), first)


async def test_what_was_refused_before_it_began_leaves_the_key_free() -> None:
    gate = await gate_of()
    assert (await ask(gate, json=CHAT | {"model": "alpha/none"})).status_code == 404
    assert (await ask(gate)).status_code == 200


async def test_an_answer_over_the_bound_is_given_and_its_repetition_refused() -> None:
    gate = await gate_of(said("x" * MAX_ANSWER_BYTES), said("two"))
    first = await ask(gate)
    assert len(first.content) > MAX_ANSWER_BYTES
    again = await ask(gate)
    assert (again.status_code, code_of(again)) == (409, "idempotency_conflict")
    assert first.headers["x-headgate-generation-id"] in again.text
    assert asked(gate) == 1
    assert [entry.fields["code"] for entry in gate.log.named("answer.not_kept")] == ["payload_too_large"]


# -- two at once --------------------------------------------------------------------------------------------


def held(text: str) -> tuple[asyncio.Event, Answer]:
    """An answer that is given when the event is set."""
    go = asyncio.Event()
    return go, Answer(pieces=(go, said(text).body))


async def until_asked(gate: Gate) -> None:
    while not asked(gate):  # noqa: ASYNC110 - the transport has no event
        await asyncio.sleep(0)


async def second_comes(gate: Gate, **more: Any) -> tuple[asyncio.Task[httpx.Response], ...]:
    """Two of the same, the second of which came while the first ran."""
    first = asyncio.create_task(ask(gate, **more))
    await until_asked(gate)
    second = asyncio.create_task(ask(gate, **more))
    await asyncio.sleep(0.05)
    assert not second.done()
    return first, second


@EVERYWHERE
async def test_of_two_at_once_one_runs_and_the_other_gets_its_answer(path: str) -> None:
    go, answer = held("one")
    gate = await gate_of(answer, said("two"))
    first, second = await second_comes(gate, path=path)
    go.set()
    assert_replayed(await second, await first)
    assert asked(gate) == 1


async def test_many_at_once_run_once() -> None:
    gate = await gate_of()
    answers = await asyncio.gather(*(ask(gate) for _ in range(12)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert sum(is_replay(answer) for answer in answers) == 11
    assert asked(gate) == 1


async def test_when_the_first_comes_to_nothing_one_of_those_who_wait_goes_on() -> None:
    go = asyncio.Event()
    gate = await gate_of(Answer(status=503, pieces=(go, b"busy")), said("two"))
    first, second = await second_comes(gate)
    third = asyncio.create_task(ask(gate))
    await asyncio.sleep(0.05)
    go.set()
    assert (await first).status_code == 503
    answers = [await second, await third]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert sorted(map(is_replay, answers)) == [False, True]
    assert asked(gate) == 2


async def test_who_waits_in_vain_is_told_to_come_back() -> None:
    go, answer = held("one")
    gate = await gate_of(answer)
    FUNCTIONS["generations"].services.repeats.wait_s = 0.1
    first, second = await second_comes(gate)
    refused = await second
    assert (refused.status_code, code_of(refused)) == (409, "idempotency_conflict")
    assert int(refused.headers["retry-after"]) > 0
    assert "x-should-retry" not in refused.headers
    other = await ask(gate, json=CHAT | {"n": 1})
    assert other.headers["x-should-retry"] == "false"
    go.set()
    assert_replayed(await ask(gate), await first)


async def test_who_waits_and_leaves_stops_asking() -> None:
    go, answer = held("one")
    gate = await gate_of(answer)
    first = asyncio.create_task(ask(gate))
    await until_asked(gate)
    headers = SENT | {"authorization": f"Bearer {gate.ann}"}
    body = json.dumps(CHAT).encode()
    client = Exchange(dispatch, "POST", "/v1/chat/completions", headers=headers, body=[body])
    await asyncio.sleep(0.05)
    await client.leave()
    looks = len(gate.generation_calls.calls)
    await asyncio.sleep(0.3)
    assert len(gate.generation_calls.calls) == looks
    go.set()
    assert (await first).status_code == 200
    assert asked(gate) == 1


async def test_a_generation_that_nobody_ended_lets_the_key_go_once_it_is_swept() -> None:
    gate = await gate_of(said("one"), said("two"), HEADGATE_REQUEST_TIMEOUT_S="60")
    one = gate.process()
    one.chat_means.settle_pauses_s = ()
    gate.generations.fault = GatewayFault.unavailable("The store")
    gate.generations.faults_after = 1
    FUNCTIONS["generations"].services.chat_means.settle_pauses_s = ()
    FUNCTIONS["generations"].services.repeats.wait_s = 0.05
    assert (await ask(gate)).status_code == 200
    gate.generations.fault = None
    waiting = await ask(gate)
    assert (waiting.status_code, "retry-after" in waiting.headers) == (409, True)
    gate.clock.advance(3600)
    await gate.show(*offers())
    await gate.process("sweep").sweeper.sweep()
    again = await ask(gate)
    assert again.status_code == 200
    assert not is_replay(again)
    assert_replayed(await ask(gate), again)


# -- what creates -------------------------------------------------------------------------------------------

CREATES: Mapping[str, dict[str, Any]] = {
    "/v2/keys": {"user_id": "ann", "name": "x", "scopes": ["generate"]},
    "/v2/credits/grants": {"user_id": "ann", "amount": "1.5", "reason": "welcome"},
    "/v2/connections": {"name": "mine", "type": "alpha", "api_key": "sk-mine-123456"},
    "/v2/webhooks": {"url": "https://example.com/hook", "events": ["generation.succeeded"]},
}
SECRETS = {"/v2/keys": "key", "/v2/webhooks": "secret"}
CREATING = pytest.mark.parametrize("path", CREATES)


async def create(gate: Gate, path: str, **more: Any) -> httpx.Response:
    return await ask(gate, path, **({"json": CREATES[path], "key": "root"} | more))


async def made(gate: Gate, path: str) -> int:
    """How many of its kind there are."""
    shown = "/v2/credits/ledger?user_id=ann" if "credits" in path else f"{path}?limit=100"
    answer = await gate.get(shown, key="root")
    assert answer.status_code == 200
    return len(answer.json()["data"])


@CREATING
async def test_what_is_created_is_created_once(path: str) -> None:
    gate = await gate_of()
    before = await made(gate, path)
    first = await create(gate, path)
    assert first.status_code == 201, first.text
    gate.clock.advance(3600)
    assert_replayed(await create(gate, path), first)
    assert await made(gate, path) == before + 1
    refused = await create(gate, path, json=CREATES[path] | {"name": "y", "reason": "y", "events": []})
    assert refused.status_code in (409, 422)
    assert_replayed(await create(gate, path), first)
    assert not is_replay(await create(gate, path, headers={}))
    assert await made(gate, path) == before + 2


@CREATING
async def test_of_two_at_once_one_is_created(path: str) -> None:
    gate = await gate_of()
    before = await made(gate, path)
    answers = await asyncio.gather(*(create(gate, path) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await made(gate, path) == before + 1


@CREATING
async def test_what_was_created_before_a_crash_is_what_its_repetition_tells_of(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await gate_of()
    before = await made(gate, path)
    store = gate.connections if path in ("/v2/connections", "/v2/webhooks") else gate.accounts
    with monkeypatch.context() as crashed:
        crashed.setattr(store, "finish_once", _unreachable)
        first = await create(gate, path)
    assert first.status_code == 201
    gate.clock.advance(60)
    again = await create(gate, path)
    assert (again.status_code, again.json()) == (201, first.json())
    assert await made(gate, path) == before + 1
    assert_replayed(await create(gate, path), again)


async def _unreachable(*_given: object) -> None:
    raise GatewayFault.unavailable("The store")


@pytest.mark.parametrize("path", SECRETS)
async def test_a_secret_is_told_again_to_the_key_that_asked_and_to_no_other(path: str) -> None:
    gate = await gate_of()
    other = await gate.key(*Scope, user_id="root")
    first = await create(gate, path)
    secret = first.json()[SECRETS[path]]
    refused = await create(gate, path, key=other)
    assert (refused.status_code, code_of(refused)) == (409, "conflict")
    assert "secret" in refused.text
    assert secret not in refused.text
    assert_replayed(await create(gate, path), first)


@pytest.mark.parametrize("path", SECRETS)
async def test_no_secret_is_stored(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = await gate_of()
    kept: list[object] = []
    store = gate.connections if path == "/v2/webhooks" else gate.accounts
    finish = store.finish_once

    async def watch(name: str, begun: Begun) -> None:
        kept.append((name, begun))
        await finish(name, begun)

    monkeypatch.setattr(store, "finish_once", watch)
    secret = (await create(gate, path)).json()[SECRETS[path]]
    assert kept
    assert secret not in repr(kept)
    assert gate.root not in repr(kept)


async def test_a_key_is_rotated_once_however_often_that_is_repeated() -> None:
    gate = await gate_of()
    made_key = (await gate.post("/v2/keys", key="root", json=CREATES["/v2/keys"])).json()
    path = f"/v2/keys/{made_key['id']}/rotate"
    first = await ask(gate, path, key="root", json=None)
    assert first.status_code == 200
    assert_replayed(await ask(gate, path, key="root", json=None), first)
    assert (await gate.get("/v2/models", key=made_key["key"])).status_code in (200, 403)
    assert (await ask(gate, path, key="root", json={"grace_s": 5})).status_code == 409


@CREATING
async def test_a_creating_request_with_a_bad_key_is_refused(path: str) -> None:
    gate = await gate_of()
    answer = await create(gate, path, headers={"idempotency-key": "x" * 256})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
