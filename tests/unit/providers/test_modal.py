"""Modal: a deployment that sleeps, is paid by the second, and answers elsewhere when it takes too long."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import orjson
import pytest

from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.domain.generation import Attempt, Usage
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.modal import ModalEndpoint
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport, Step

ROOT = "https://acme--vllm-serve.modal.run"
CHAT = f"{ROOT}/v1/chat/completions"
RESULT = f"{CHAT}?__modal_function_call_id=fc-1"
TOKEN_ID, TOKEN_SECRET = "wk-1a2b", "ws-3c4d5e"
CALL = ChatCall(body={"messages": [{"role": "user", "content": "Hi"}]}, model="Qwen/Qwen3-32B", stream=False)
SAID = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
OK = Answer.of_json(SAID)
WAIT = Answer(303, headers={"location": RESULT})


def config(key: str | None = None, base_url: str = ROOT) -> ProviderConfig:
    return ProviderConfig(api_key=Secret(key) if key is not None else None, base_url=base_url)


def revealed(headers: Mapping[str, str | Secret]) -> dict[str, str]:
    return {name: value.reveal() for name, value in headers.items() if isinstance(value, Secret)}


class Bench:
    def __init__(self, *steps: Step, key: str | None = f"{TOKEN_ID}:{TOKEN_SECRET}") -> None:
        self.transport = ScriptedTransport(*steps)
        self.clock = ManualClock()
        self.attempts: list[Attempt] = []
        self.bound = BoundProvider(
            ModalEndpoint(),
            config(key),
            transport=self.transport,
            clock=self.clock,
            rng=lambda: 0.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def chat(self) -> str:
        answer = await self.bound.chat(CALL, no_price, on_attempt=self.attempts.append)
        return answer.outcome.text

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.url) for request in self.transport.requests]


def no_price(_usage: Usage) -> Decimal | None:
    return None


# -- configuration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_url", [ROOT, f"{ROOT}/", f"{ROOT}/v1", f"{ROOT}/v1/"])
def test_the_address_is_the_deployments_with_or_without_its_version(base_url: str) -> None:
    provider = ModalEndpoint()
    assert provider.build_chat(CALL, config(base_url=base_url)).url == CHAT
    listed = provider.build_list_models(config(base_url=base_url), None)
    assert listed is not None
    assert listed.url == f"{ROOT}/v1/models"


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        (None, {}),
        (f"{TOKEN_ID}:{TOKEN_SECRET}", {"modal-key": TOKEN_ID, "modal-secret": TOKEN_SECRET}),
        (
            f"{TOKEN_ID}:{TOKEN_SECRET}:sk-own:1",
            {"modal-key": TOKEN_ID, "modal-secret": TOKEN_SECRET, "authorization": "Bearer sk-own:1"},
        ),
        ("sk-own", {"authorization": "Bearer sk-own"}),
        ("sk-own:with:colons", {"authorization": "Bearer sk-own:with:colons"}),
    ],
)
def test_a_key_goes_where_the_deployment_looks_for_it(key: str | None, sent: dict[str, str]) -> None:
    ModalEndpoint().validate_config(config(key))
    assert revealed(ModalEndpoint().build_chat(CALL, config(key)).headers) == sent


@pytest.mark.parametrize("key", ["wk-1a2b", "wk-1a2b:", "wk-1a2b:sk-own", "ws-3c4d5e:wk-1a2b", "ws-3c4d5e"])
def test_half_a_token_is_refused_before_anything_is_called(key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ModalEndpoint().validate_config(config(key))
    assert [error.field for error in caught.value.errors] == ["api_key"]
    assert key not in caught.value.detail


# -- what costs nothing ------------------------------------------------------------------------------------


async def test_neither_health_nor_a_key_check_wakes_the_server() -> None:
    bench = Bench()
    assert not bench.bound.has_key_check
    await bench.bound.check_key()
    assert not await bench.bound.check_list()
    assert bench.asked == []


# -- the list ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b'{"detail":"Not Found"}', b"Not Found", b""])
async def test_a_server_without_a_list_has_none_and_that_is_no_failure(body: bytes) -> None:
    listed = await Bench(Answer(404, body)).bound.list_models()
    assert (listed.listed, listed.models) == (False, ())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(404, b"modal-http: invalid function call"), "provider_unavailable"),
        (Answer(401, b"modal-http: missing credentials for proxy authorization"), "provider_auth"),
        (Answer(500, b"modal-http: internal error: function execution timed out"), "provider_timeout"),
        (Answer(500, b"Internal Server Error"), "provider_unavailable"),
        (Answer(200, b"<html>welcome</html>"), "provider_protocol"),
    ],
)
async def test_a_deployment_that_is_not_there_is_a_failure(answer: Answer, code: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        await Bench(*[answer] * 3).bound.list_models()
    assert caught.value.code == code


async def test_a_list_may_take_as_long_as_a_cold_start() -> None:
    entries = {"data": [{"id": "Qwen/Qwen3-32B", "max_model_len": 40960}, {"id": "mine"}]}
    bench = Bench(
        Answer(303, headers={"location": f"{ROOT}/v1/models?__modal_function_call_id=fc-2"}),
        Answer.of_json(entries),
    )
    listed = await bench.bound.list_models()
    assert {model.id: (model.canonical_id, model.context_window) for model in listed.models} == {
        "modal/Qwen/Qwen3-32B": ("qwen/qwen3-32b", 40960),
        "modal/mine": ("modal/mine", None),
    }


# -- answers that take their time --------------------------------------------------------------------------


async def test_a_long_answer_is_fetched_from_where_modal_keeps_it() -> None:
    bench = Bench(WAIT, WAIT, OK)
    assert await bench.chat() == "Hello."
    assert bench.asked == [("POST", CHAT), ("GET", RESULT), ("GET", RESULT)]
    assert len(bench.attempts) == 1


async def test_the_token_goes_along_and_the_prompt_does_not() -> None:
    bench = Bench(WAIT, OK)
    await bench.chat()
    _, second = bench.transport.requests
    assert revealed(second.headers) == {"modal-key": TOKEN_ID, "modal-secret": TOKEN_SECRET}
    assert second.body is None
    assert "content-type" not in second.headers


async def test_a_relative_address_is_understood() -> None:
    bench = Bench(Answer(303, headers={"location": "?__modal_function_call_id=fc-1"}), OK)
    assert await bench.chat() == "Hello."
    assert bench.asked[1] == ("GET", RESULT)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/v1/chat/completions?__modal_function_call_id=fc-1",
        "http://acme--vllm-serve.modal.run/v1/chat/completions?x=1",
        f"{ROOT}/login",
        "/",
        "https://[",
        "",
    ],
)
async def test_what_leads_anywhere_else_is_a_failure_and_gets_no_token(location: str) -> None:
    bench = Bench(Answer(303, headers={"location": location}), OK)
    with pytest.raises(HeadgateError) as caught:
        await bench.chat()
    assert caught.value.code == "provider_protocol"
    assert len(bench.asked) == 1


async def test_a_stumble_on_the_way_to_the_result_runs_nothing_twice() -> None:
    bench = Bench(WAIT, Answer(502, b"modal-http: bad gateway"), OK)
    assert await bench.chat() == "Hello."
    assert [method for method, _ in bench.asked] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("build", [ModalEndpoint().build_chat, ModalEndpoint().build_embeddings])
def test_our_own_waits_are_longer_than_modals(
    build: Callable[[ChatCall, ProviderConfig], WireRequest],
) -> None:
    request = build(CALL, config())
    assert request.first_byte_timeout_s > 150
    assert request.connect_timeout_s >= 30


# -- secrets -----------------------------------------------------------------------------------------------


async def test_neither_half_of_a_token_nor_the_key_behind_it_is_repeated_in_an_error() -> None:
    echo = f"no entry for {TOKEN_SECRET} of {TOKEN_ID} with my-own-1".encode()
    bench = Bench(Answer(401, echo), key=f"{TOKEN_ID}:{TOKEN_SECRET}:my-own-1")
    with pytest.raises(HeadgateError) as caught:
        await bench.chat()
    for text in (TOKEN_ID, TOKEN_SECRET, "my-own-1"):
        assert text not in str(caught.value) + caught.value.detail


def test_no_repr_shows_a_token() -> None:
    request = ModalEndpoint().build_chat(CALL, config(f"{TOKEN_ID}:{TOKEN_SECRET}"))
    assert TOKEN_SECRET not in repr(request)
    assert TOKEN_SECRET not in request.url
    assert orjson.loads(request.body or b"")["model"] == "Qwen/Qwen3-32B"
