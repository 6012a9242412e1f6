"""What no window of a key's limit has room for is sent once: the SDKs try other 429s again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anthropic
import httpx2
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from starlette.types import Receive, Scope, Send

from headgate.domain import callers
from headgate.domain.callers import KeyLimits
from tests.support.gate import Gate, dispatch, open_gate
from tests.support.models import model, priced
from tests.support.provider import said

M = model("alpha/m", pricing=priced("1", "10"))
NEVER = {
    "tokens_per_minute": KeyLimits(tokens_per_minute=1),
    "credits_per_day": KeyLimits(spend_per_day_nanousd=10**5),
    "credits_per_month": KeyLimits(spend_per_month_nanousd=10**5),
}


@dataclass
class Counting:
    """The gateway in this process, and how many requests came to it."""

    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await dispatch(scope, receive, send)


@pytest.fixture
def came() -> Counting:
    return Counting()


@pytest.fixture
async def http(came: Counting) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(came), base_url="http://gate") as client:
        yield client


async def gate_with(limits: KeyLimits) -> tuple[Gate, str]:
    gate = await open_gate(models=[M])
    gate.transport.on("https://alpha.example/chat", said("x", tokens=(10, 20)))
    return gate, await gate.key(callers.Scope.GENERATE, limits=limits)


async def ask_openai(http: httpx2.AsyncClient, key: str) -> openai.RateLimitError:
    client = AsyncOpenAI(base_url="http://gate/v1", api_key=key, max_retries=2, http_client=http)
    with pytest.raises(openai.RateLimitError) as refused:
        await client.chat.completions.create(
            model="alpha/m", max_tokens=100, messages=[{"role": "user", "content": "hi"}]
        )
    return refused.value


async def ask_anthropic(http: httpx2.AsyncClient, key: str) -> anthropic.RateLimitError:
    client = AsyncAnthropic(base_url="http://gate", api_key=key, max_retries=2, http_client=http)
    with pytest.raises(anthropic.RateLimitError) as refused:
        await client.messages.create(
            model="alpha/m", max_tokens=100, messages=[{"role": "user", "content": "hi"}]
        )
    return refused.value


@pytest.mark.parametrize("name", NEVER)
async def test_what_no_window_has_room_for_is_sent_once(
    came: Counting, http: httpx2.AsyncClient, name: str
) -> None:
    gate, key = await gate_with(NEVER[name])
    by_openai = await ask_openai(http, key)
    by_anthropic = await ask_anthropic(http, key)
    assert came.paths == ["/v1/chat/completions", "/v1/messages"]
    assert by_openai.code == "rate_limited"
    assert all(name in str(error) for error in (by_openai, by_anthropic))
    assert gate.transport.requests == []


async def test_another_429_is_sent_again(
    came: Counting, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above could fail."""
    for client in (AsyncOpenAI, AsyncAnthropic):
        monkeypatch.setattr(client, "_calculate_retry_timeout", lambda *_args, **_more: 0.0)
    gate, key = await gate_with(KeyLimits(requests_per_minute=1))
    used = await gate.post("/v1/chat/completions", json=ASKED, key=key)
    assert used.status_code == 200
    await ask_openai(http, key)
    await ask_anthropic(http, key)
    assert came.paths == ["/v1/chat/completions"] * 3 + ["/v1/messages"] * 3


ASKED = {"model": "alpha/m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
