"""A generations process on which chats are played, over two fake providers with one model."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headgate.domain.callers import Caller
from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import (
    HeadgateError,
    ProviderFailed,
)
from headgate.domain.generation import GenerationRecord
from headgate.ports import WireRequest
from headgate.services.chat_records import ChatAsk
from headgate.services.chat_run import ChatRun
from headgate.testing.memory import Answer
from headgate.testing.transport import Step
from tests.support.bench import ANN, Bench
from tests.support.models import model, priced

BODY = {"messages": [{"role": "user", "content": "hi"}]}
PRICE = priced("1", "10")
SHARED = {"canonical_id": "maker/m", "pricing": PRICE}
A, B = model("alpha/m", **SHARED), model("beta/m", **SHARED)
BUSY = Answer(status=503, body=b"try later")
GONE = ProviderFailed("reset", code="provider_unavailable", may_have_run=True)


class Stage(Bench):
    """A generations process; `maker/m` is offered by alpha and beta, alpha first."""

    def __init__(self, **environ: str) -> None:
        super().__init__("alpha", "beta", environ=environ)
        self.stages: list[str] = []
        self.one = self.process()

    async def open_shop(self, *models: ModelInfo) -> "Stage":
        for each in models or (A, B):
            await self.publish(each.provider, *(m for m in models or (A, B) if m.provider == each.provider))
        return self

    def answers(self, slug: str, *steps: Step) -> None:
        """What a provider answers to chats: in turn, and the last one again and again."""
        self.transport.on(f"https://{slug}.example/chat", *steps)

    def run(self, caller: Caller = ANN, **ask: Any) -> ChatRun:
        made = ChatAsk(**({"body": BODY, "model": "maker/m"} | ask))
        return self.one.chat.run(caller, made, lambda stage, _s: self.stages.append(stage))

    async def whole(self, caller: Caller = ANN, **ask: Any) -> ChatRun:
        """A run whose answer was given."""
        run = self.run(caller, **ask)
        await run.prepare()
        await run.answer()
        return run

    async def failure(self, caller: Caller = ANN, **ask: Any) -> tuple[ChatRun, HeadgateError]:
        run = self.run(caller, **ask)

        async def both() -> None:
            await run.prepare()
            await run.answer()

        with pytest.raises(HeadgateError) as failed:
            await both()
        return run, failed.value

    async def stream(self, **ask: Any) -> tuple[ChatRun, "Received"]:
        """A streamed run, opened; read on from `Received`."""
        run = self.run(stream=True, **ask)
        await run.prepare()
        await run.open()
        return run, Received(run.chunks())

    async def stored(self, run: ChatRun) -> GenerationRecord:
        record = await self.generations.get(run.id)
        assert record is not None
        return record

    def answers_once_asked(self, slug: str, answer: Answer) -> asyncio.Event:
        """What it answers, and whether it was asked."""
        asked = asyncio.Event()

        def meet(_request: WireRequest) -> Answer:
            asked.set()
            return answer

        self.answers(slug, meet)
        return asked

    @property
    def asked(self) -> list[str]:
        """Providers that were asked, in order."""
        return [request.url.split("//")[1].split(".")[0] for request in self.transport.requests]


class Received:
    """What a client has got so far."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.data = b""

    async def rest(self) -> bytes:
        async for chunk in self._chunks:
            self.data += chunk
        return self.data

    async def next(self) -> bytes:
        chunk = await anext(self._chunks)
        self.data += chunk
        return chunk


def outcomes(record: GenerationRecord) -> list[tuple[str, str, str | None]]:
    return [(attempt.provider, attempt.outcome, attempt.code) for attempt in record.attempts]
