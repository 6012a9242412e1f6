"""Asking for embeddings, in several requests where a provider takes fewer texts at once than were given."""

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from headgate.domain.errors import CannotCarry
from headgate.domain.generation import Usage
from headgate.domain.money import decimal_text
from headgate.ports import WireRequest
from headgate.providers.base import ChatAnswer, ChatCall, ChatOutcome, PriceUsage
from headgate.providers.dialects.openai_answers import read_answer, write_json
from headgate.providers.sending import Run, Sender

MAX_PARTS = 256
"""Requests of one call: each is an attempt, and a record has room for so many."""
PARTS_AT_ONCE = 8
"""So many are under way together; below what a new account may ask of Bedrock in a second."""


async def embed(
    sender: Sender, call: ChatCall, price: PriceUsage, *, start_run: Callable[[], Run]
) -> ChatAnswer:
    """Embeddings in the order of their texts, as OpenAI answers. start_run: a run for one request.

    The first part that fails, after its retries, fails all; what is under way then is cancelled. Every part
    is written before the first is sent, so that nothing is paid for of a call that can't be carried.

    Raises CannotCarry naming `input` for more texts than MAX_PARTS requests take.
    """
    answer = await _embed(sender, call, price, start_run=start_run)
    return replace(answer, outcome=replace(answer.outcome, embeddings=answer.body))


async def _embed(
    sender: Sender, call: ChatCall, price: PriceUsage, *, start_run: Callable[[], Run]
) -> ChatAnswer:
    parts = _parts_of(call, sender.provider.embeddings_at_once(call))
    requests = [sender.provider.build_embeddings(part, sender.config) for part in parts]
    if len(parts) == 1:
        return await _ask(sender, call, requests[0], price, start_run())
    gate = asyncio.Semaphore(PARTS_AT_ONCE)

    async def ask(part: ChatCall, request: WireRequest) -> ChatAnswer:
        async with gate:
            return await _ask(sender, part, request, _unpriced, start_run())

    tasks = [asyncio.create_task(ask(*each)) for each in zip(parts, requests, strict=True)]
    try:
        answers = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _joined(answers, price)


async def _ask(
    sender: Sender, call: ChatCall, request: WireRequest, price: PriceUsage, run: Run
) -> ChatAnswer:
    parse = sender.provider.parse_embeddings_response
    return await run.exchange_whole(request, lambda headers, body: parse(call, headers, body, price))


def _parts_of(call: ChatCall, at_once: int | None) -> list[ChatCall]:
    texts = call.body.get("input")
    if at_once is None or not isinstance(texts, list) or len(texts) <= at_once:
        return [call]
    if len(texts) > at_once * MAX_PARTS and all(isinstance(text, str) for text in texts):
        raise CannotCarry.field("input", f"This model takes at most {at_once * MAX_PARTS} texts at once.")
    chunks = [texts[start : start + at_once] for start in range(0, len(texts), at_once)]
    return [replace(call, body={**call.body, "input": chunk}) for chunk in chunks]


def _joined(answers: list[ChatAnswer], price: PriceUsage) -> ChatAnswer:
    """One answer with the embeddings of all. Its usage is known where that of every part is."""
    values = [read_answer(answer.body) for answer in answers]
    rows = [row for value in values for row in value["data"]]
    usage = _sum([answer.outcome.usage for answer in answers])
    tokens = (usage.input_tokens or 0) if usage is not None else 0
    told: dict[str, Any] = {"prompt_tokens": tokens, "total_tokens": tokens}
    cost_usd = price(usage) if usage is not None else None
    if cost_usd is not None:
        told["cost"] = float(decimal_text(cost_usd))
    data = [{**row, "index": index} for index, row in enumerate(rows)]
    body = write_json({**values[0], "data": data, "usage": told})
    return ChatAnswer(body=body, outcome=ChatOutcome(usage=usage))


def _sum(usages: list[Usage | None]) -> Usage | None:
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    totals: dict[str, Any] = {}
    for field in fields(Usage):
        amounts = [getattr(usage, field.name) for usage in known]
        if None not in amounts:
            totals[field.name] = sum(amounts)
    return Usage(**totals)


def _unpriced(_usage: Usage) -> Decimal | None:
    """Of a part; the sum is priced."""
    return None
