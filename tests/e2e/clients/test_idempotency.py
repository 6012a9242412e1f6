"""The SDKs send an Idempotency-Key as any other header, and read a repeated answer as they read the first."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.e2e.clients.polyglot import PROVIDERS, SAYS, Polyglot
from tests.integration.local_gateway import Gateway

pytestmark = pytest.mark.xdist_group("clients-idempotency")
ASKED: Any = [{"role": "user", "content": "Is it open?"}]
EVERYWHERE = pytest.mark.parametrize("slug", PROVIDERS)


@pytest.fixture(scope="module")
def oai(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def ant(gateway: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def twice(ask: Any, slug: str, provider: Polyglot, model: str = "says-text") -> list[Any]:
    """What one request gets that is sent twice. The second never reaches the provider."""
    before = len(provider.asked_for(slug, model))
    answers = [ask(), ask()]
    assert len(provider.asked_for(slug, model)) == before + 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true"]
    ids = {answer.headers["x-headgate-generation-id"] for answer in answers}
    assert len(ids) == 1
    return answers


@EVERYWHERE
def test_openais_sdk_gets_the_same_answer_twice(
    oai: OpenAI, provider: Polyglot, keyed: dict[str, str], slug: str
) -> None:
    create = oai.chat.completions.with_raw_response.create
    first, again = twice(
        lambda: create(model=f"{slug}/says-text", messages=ASKED, extra_headers=keyed), slug, provider
    )
    assert first.content == again.content
    assert again.parse().choices[0].message.content == SAYS
    with pytest.raises(openai.ConflictError) as refused:
        create(model=f"{slug}/says-text", messages=[*ASKED, *ASKED], extra_headers=keyed)
    assert refused.value.code == "idempotency_conflict"


@EVERYWHERE
def test_openais_sdk_gets_the_same_stream_twice(
    oai: OpenAI, provider: Polyglot, keyed: dict[str, str], slug: str
) -> None:
    create = oai.chat.completions.with_raw_response.create
    first, again = twice(
        lambda: create(model=f"{slug}/says-text", messages=ASKED, stream=True, extra_headers=keyed),
        slug,
        provider,
    )
    chunks = [list(answer.parse()) for answer in (first, again)]
    assert chunks[0] == chunks[1]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[1]) == SAYS


@EVERYWHERE
def test_responses_are_repeated_byte_for_byte_streamed_and_whole(
    oai: OpenAI, provider: Polyglot, slug: str
) -> None:
    for stream in (False, True):
        keyed = {"Idempotency-Key": str(uuid.uuid4())}

        def ask(stream: bool = stream, keyed: dict[str, str] = keyed) -> Any:
            with oai.responses.with_streaming_response.create(
                model=f"{slug}/says-text", input="Is it open?", stream=stream, extra_headers=keyed
            ) as answer:
                answer.read()
            return answer

        first, again = twice(ask, slug, provider)
        assert first.read() == again.read()


@EVERYWHERE
def test_anthropics_sdk_gets_the_same_message_and_stream_twice(
    ant: Anthropic, provider: Polyglot, slug: str
) -> None:
    create = ant.messages.with_raw_response.create
    asked: Any = {"model": f"{slug}/says-text", "max_tokens": 64, "messages": ASKED}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = twice(lambda: create(**asked, extra_headers=key), slug, provider)
    assert first.parse() == again.parse()
    with pytest.raises(anthropic.ConflictError):
        create(**asked | {"max_tokens": 65}, extra_headers=key)

    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = twice(lambda: create(**asked, stream=True, extra_headers=key), slug, provider)
    events = [list(answer.parse()) for answer in (first, again)]
    assert events[0] == events[1]
    assert (events[1][0].type, events[1][-1].type) == ("message_start", "message_stop")


def test_a_failure_that_is_for_good_is_repeated_and_one_that_may_pass_is_not(
    oai: OpenAI, provider: Polyglot
) -> None:
    for model, for_good in (("fails-400", True), ("fails-503", False)):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        asked = [len(provider.asked_for("openai", model))]
        for _ in range(2):
            with pytest.raises(openai.APIStatusError):
                oai.chat.completions.create(model=f"openai/{model}", messages=ASKED, extra_headers=key)
            asked.append(len(provider.asked_for("openai", model)))
        assert asked[0] < asked[1]
        assert (asked[1] == asked[2]) is for_good


def test_of_many_that_come_at_once_one_is_carried_out(
    oai: OpenAI, provider: Polyglot, keyed: dict[str, str]
) -> None:
    before = len(provider.asked_for("openai", "says-text"))

    def ask(_number: int) -> Any:
        return oai.chat.completions.create(model="openai/says-text", messages=ASKED, extra_headers=keyed)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert len(provider.asked_for("openai", "says-text")) == before + 1
    assert all(answer == answers[0] for answer in answers)
