"""Embeddings of more texts than one request takes: asked for in several, answered as one."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.errors import CannotCarry, HeadgateError
from headgate.domain.generation import Attempt, Usage
from headgate.domain.retry import RetryPolicy
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers._parts import MAX_PARTS, PARTS_AT_ONCE
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.bedrock import Bedrock
from headgate.providers.bound import BoundProvider
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedResponse, ScriptedTransport, Step

TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "cohere.embed-multilingual-v3"
BUSY = Answer.of_json({"message": "Slow down."}, status=429, headers={"x-amzn-errortype": "Throttling"})


def a_cent_a_token(usage: Usage) -> Decimal:
    return Decimal(usage.input_tokens or 0) / 100


def embedded(request: WireRequest) -> Answer:
    """Each text by the number that it is."""
    body = json.loads(request.body or b"")
    if "inputText" in body:
        return Answer.of_json({"embedding": [float(body["inputText"])], "inputTextTokenCount": 2})
    vectors = [[float(text)] for text in body["texts"]]
    return Answer.of_json(
        {"embeddings": vectors}, headers={"x-amzn-bedrock-input-token-count": str(len(vectors))}
    )


class Crowd(ScriptedTransport):
    """Takes a moment to answer, as networks do, and counts how many wait together; `full` when a few do.

    Where `answered` is false, they wait for ever.
    """

    def __init__(self, step: Step = embedded, *, answered: bool = True) -> None:
        super().__init__()
        self.on("/", step)
        self.answered = answered
        self.full = asyncio.Event()
        self.now = self.most = 0

    async def send(self, request: WireRequest) -> ScriptedResponse:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= PARTS_AT_ONCE:
            self.full.set()
        try:
            await (asyncio.sleep(0) if self.answered else asyncio.Event().wait())
            return await super().send(request)
        finally:
            self.now -= 1


class Stage:
    """Bedrock by a key, over a scripted transport; `attempts` is what it reports."""

    def __init__(self, transport: ScriptedTransport, *, max_retries: int = 0) -> None:
        self.transport = transport
        self.attempts: list[Attempt] = []
        self.clock = ManualClock()
        self.bound = BoundProvider(
            Bedrock(),
            ProviderConfig(api_key=Secret("a-bedrock-key")),
            transport=transport,
            clock=self.clock,
            policy=RetryPolicy(max_retries=max_retries),
            sleep=self._sleep,
        )

    async def _sleep(self, _delay_s: float) -> None:
        await asyncio.sleep(0)

    async def embed(self, texts: Any, model: str = TITAN, **more: Any) -> tuple[dict[str, Any], Usage | None]:
        call = ChatCall(body={"input": texts}, model=model, stream=False)
        answer = await self.bound.embed(call, a_cent_a_token, on_attempt=self.attempts.append, **more)
        return json.loads(answer.body), answer.outcome.usage

    async def failure(self, texts: Any, **more: Any) -> HeadgateError:
        with pytest.raises(HeadgateError) as caught:
            await self.embed(texts, **more)
        return caught.value


def texts(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def by_text(answers: Mapping[str, Answer]) -> ScriptedTransport:
    return ScriptedTransport().on(
        "/", lambda request: answers.get(json.loads(request.body or b"")["inputText"]) or embedded(request)
    )


async def test_texts_are_embedded_one_by_one_and_come_back_in_order() -> None:
    stage = Stage(ScriptedTransport().on("/", embedded))
    answer, usage = await stage.embed(texts(20))
    assert [(row["index"], row["embedding"]) for row in answer["data"]] == [(n, [n]) for n in range(20)]
    assert answer["usage"] == {"prompt_tokens": 40, "total_tokens": 40, "cost": 0.4}
    assert usage == Usage(input_tokens=40, output_tokens=0, total_tokens=40)
    assert [each.outcome for each in stage.attempts] == ["succeeded"] * 20


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (96, 1), (97, 2), (200, 3)])
async def test_no_more_requests_are_made_than_needed(count: int, requests: int) -> None:
    stage = Stage(ScriptedTransport().on("/", embedded))
    answer, usage = await stage.embed(texts(count), model=COHERE)
    assert [row["embedding"] for row in answer["data"]] == [[n] for n in range(count)]
    assert len(stage.transport.requests) == requests
    assert usage is not None
    assert usage.input_tokens == count


async def test_base64_stays_base64_in_parts() -> None:
    stage = Stage(ScriptedTransport().on("/", embedded))
    call = ChatCall(body={"input": texts(2), "encoding_format": "base64"}, model=TITAN, stream=False)
    answer = json.loads((await stage.bound.embed(call, a_cent_a_token)).body)
    assert [type(row["embedding"]) for row in answer["data"]] == [str, str]


async def test_tokens_that_one_part_does_not_tell_are_unknown_of_all() -> None:
    stage = Stage(by_text({"1": Answer.of_json({"embedding": [1.0]})}))
    answer, usage = await stage.embed(texts(3))
    assert len(answer["data"]) == 3
    assert usage is None
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


async def test_a_part_that_is_throttled_is_sent_again_and_the_others_are_not() -> None:
    replies = [BUSY]

    def reply(request: WireRequest) -> Answer:
        text = json.loads(request.body or b"")["inputText"]
        return replies.pop() if text == "1" and replies else embedded(request)

    stage = Stage(ScriptedTransport().on("/", reply), max_retries=2)
    answer, _ = await stage.embed(texts(3))
    assert [row["embedding"] for row in answer["data"]] == [[0], [1], [2]]
    assert sorted(each.outcome for each in stage.attempts) == ["failed"] + ["succeeded"] * 3


async def test_a_part_that_fails_fails_all_and_no_more_is_sent() -> None:
    crowd = Crowd(lambda request: BUSY if b'"0"' in (request.body or b"") else embedded(request))
    stage = Stage(crowd)
    error = await stage.failure(texts(100))
    assert (error.code, error.provider) == ("provider_rate_limited", "bedrock")
    assert len(stage.attempts) <= 2 * PARTS_AT_ONCE
    assert crowd.now == 0


async def test_a_part_whose_answer_is_no_good_fails_as_an_answer() -> None:
    stage = Stage(by_text({"2": Answer.of_json({"embedding": []})}))
    error = await stage.failure(texts(3))
    assert error.code == "provider_protocol"
    assert "failed" in [each.outcome for each in stage.attempts]


async def test_no_more_than_a_few_are_under_way_together() -> None:
    crowd = Crowd()
    await Stage(crowd).embed(texts(50))
    assert crowd.most == PARTS_AT_ONCE


async def test_a_call_that_is_given_up_leaves_nothing_under_way() -> None:
    crowd = Crowd(answered=False)
    stage = Stage(crowd)
    asking = asyncio.create_task(stage.embed(texts(50)))
    await crowd.full.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert crowd.now == 0
    assert [each.outcome for each in stage.attempts] == ["cancelled"] * PARTS_AT_ONCE


async def test_all_parts_end_by_one_deadline() -> None:
    stage = Stage(ScriptedTransport())

    def slowly(request: WireRequest) -> Answer:
        stage.clock.advance(1.0)
        return embedded(request)

    stage.transport.on("/", slowly)
    error = await stage.failure(texts(100), deadline_s=30.0)
    assert error.code == "provider_timeout"
    assert len(stage.transport.requests) <= 30


@pytest.mark.parametrize("given", [[[1, 2], [3]], [1, 2, 3], texts(MAX_PARTS + 1)])
async def test_what_can_not_be_carried_is_refused_before_anything_is_sent(given: Any) -> None:
    stage = Stage(ScriptedTransport().on("/", embedded))
    error = await stage.failure(given)
    assert isinstance(error, CannotCarry)
    assert [each.field for each in error.errors] == ["input"]
    assert stage.transport.requests == []
    assert stage.attempts == []


async def test_as_many_texts_as_there_may_be_requests_are_embedded() -> None:
    answer, _ = await Stage(ScriptedTransport().on("/", embedded)).embed(texts(MAX_PARTS))
    assert len(answer["data"]) == MAX_PARTS
