"""A conversation with the mock provider, bound as the registry would bind it."""

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from headgate.domain.errors import HeadgateError
from headgate.domain.retry import RetryPolicy
from headgate.providers.base import ChatCall, ChatOutcome, ProviderConfig, StreamEvent
from headgate.providers.bound import BoundProvider
from headgate.providers.mock import Mock, MockTransport
from headgate.testing.clock import ManualClock


@dataclass
class Pace:
    """Waits for nothing, and keeps how long it would have waited, in seconds."""

    waited_s: list[float]

    async def sleep(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Talk:
    """One conversation with the mock, bound as the registry would bind it."""

    bound: BoundProvider
    pace: Pace

    @classmethod
    def begin(cls, retries: int = 0) -> "Talk":
        """One that waits for nothing, and tries again `retries` times."""
        pace = Pace([])
        bound = BoundProvider(
            Mock(),
            ProviderConfig(),
            transport=MockTransport(sleep=pace.sleep, now=lambda: 1_800_000_000.0),
            clock=ManualClock(),
            policy=RetryPolicy(max_retries=retries, base_s=0.0),
            sleep=pace.sleep,
        )
        return cls(bound, pace)

    async def whole(self, model: str = "chat", **body: Any) -> tuple[dict[str, Any], ChatOutcome]:
        answer = await self.bound.chat(self.call(model, body, stream=False), self.price)
        value = json.loads(answer.body)
        assert isinstance(value, dict)
        return value, answer.outcome

    async def stream(self, model: str = "chat", **body: Any) -> tuple[list[StreamEvent], ChatOutcome]:
        stream = await self.bound.open_chat_stream(self.call(model, body, stream=True), self.price)
        return [event async for event in stream], stream.outcome

    async def fails(self, model: str, *, stream: bool = False) -> HeadgateError:
        """The error, wherever it comes: raised, or the last event."""
        try:
            events = (await self.stream(model))[0] if stream else await self.whole(model)
        except HeadgateError as error:
            return error
        assert isinstance(events, list), events
        assert events[-1].error is not None
        return events[-1].error

    @staticmethod
    def price(_usage: object) -> Decimal:
        return Decimal("0.002")

    @staticmethod
    def call(model: str, body: dict[str, Any], *, stream: bool) -> ChatCall:
        body = {"messages": [{"role": "user", "content": "Say né 🌍 twice, please"}], **body}
        return ChatCall(body=body, model=model, stream=stream)
