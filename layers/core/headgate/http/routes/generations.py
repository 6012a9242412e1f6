"""Generating: OpenAI's chat completions, and Headgate's own generations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.domain.callers import Caller, Scope
from headgate.domain.catalog import Modality, rfc3339
from headgate.domain.errors import InvalidRequest, NotFound
from headgate.domain.generation import GenerationRecord, GenerationStatus, Usage
from headgate.domain.money import money_json
from headgate.http import docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.asks import chat_ask, embeddings_ask, messages_ask, responses_ask
from headgate.http.body import parse, read_json
from headgate.http.context import services_of
from headgate.http.lent import lent_keys
from headgate.http.paging import page_of
from headgate.http.params import parameter
from headgate.http.routes import generation_stats
from headgate.http.runs import CLIENT_CLOSED, begun, run_headers
from headgate.http.sse import ClientGone, EventStreamResponse, cancelled_when_client_leaves
from headgate.services.chat_records import ChatAsk
from headgate.services.once import Ending

router = APIRouter(tags=["generation"])
_FILTERS = ("status", "type", "project_id")
_CHOICES = {"status": tuple(GenerationStatus), "type": tuple(Modality)}


@router.post("/v1/chat/completions", **docs.CHAT)
@scoped(Scope.GENERATE)
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's chat completions, whole or streamed, by any provider of text."""
    return await _serve(request, chat_ask(await read_json(request)))


@router.post("/v1/responses", **docs.RESPONSES)
@scoped(Scope.GENERATE)
async def create_response(request: Request) -> Response:
    """OpenAI's responses, whole or streamed, by any provider of text."""
    return await _serve(request, responses_ask(await read_json(request)))


@router.post("/v1/messages", **docs.MESSAGES)
@scoped(Scope.GENERATE)
async def create_message(request: Request) -> Response:
    """Anthropic's messages, whole or streamed, by any provider of text."""
    return await _serve(request, messages_ask(await read_json(request), request.headers))


@router.post("/v1/messages/count_tokens", **docs.COUNT_TOKENS)
@scoped(Scope.GENERATE)
async def count_tokens(request: Request) -> Response:
    """Tokens of a conversation in Anthropic's shape, as its provider counts; estimated where it can't."""
    ask = messages_ask(await read_json(request), request.headers, counting=True)
    return await _serve(request, ask)


@router.post("/v1/embeddings", **docs.EMBEDDINGS)
@scoped(Scope.GENERATE)
async def create_embeddings(request: Request) -> Response:
    """OpenAI's embeddings, by any provider that has them."""
    return await _serve(request, embeddings_ask(await read_json(request)))


async def _serve(request: Request, ask: ChatAsk) -> Response:
    """One run, answered in the dialect in which it was asked; or the answer that it had before."""
    run = await begun(request, ask, body=ask.body)
    if isinstance(run, Response):
        return run
    request.state.error_headers = lambda: run_headers(run)
    if ask.stream:
        return EventStreamResponse(
            run,
            headers=lambda: run_headers(run),
            ping_s=services_of(request).settings.ping_s,
            path=request.scope["path"],
            request_id=request.state.request_id,
        )
    try:
        async with cancelled_when_client_leaves(request.receive):
            answer = await run.answer()
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED)
    response = Response(answer.body, media_type="application/json")
    response.raw_headers.extend(run_headers(run))
    return response


@router.post("/v2/generations", **docs.GENERATE)
@scoped(Scope.GENERATE)
async def create_generation(request: Request) -> Response:
    """One generation of any type; text is answered at once."""
    body = await read_json(request)
    run = await begun(request, _generation_ask(body), body=body, show=_shown)
    if isinstance(run, Response):
        return run
    request.state.error_headers = lambda: run_headers(run)
    try:
        async with cancelled_when_client_leaves(request.receive):
            await run.answer()
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED)
    response = _json(generation_json(run.record))
    response.raw_headers.extend(run_headers(run))
    return response


@router.post("/v2/generations/explain", **docs.EXPLAIN)
@scoped(Scope.GENERATE)
async def explain_generation(request: Request) -> Response:
    """Every candidate, with why it was kept or rejected. Nothing is called, recorded or charged."""
    services = services_of(request)
    lent = lent_keys(request, services.registry.has)
    ask = replace(_generation_ask(await read_json(request)), lent=lent)
    explanation = await services.explain.explain(caller_of_request(request), ask)
    return _json(
        {
            "candidates": [
                {
                    "model": row.candidate.id,
                    "provider": row.candidate.provider,
                    "connection_id": row.candidate.credential.connection_id,
                    "kept": row.kept,
                    "reasons": row.reasons,
                    "estimated_cost": _money(row.estimated_nanousd),
                    "health": row.health.value,
                    "latency_ms": row.latency_ms,
                }
                for row in explanation
            ],
            "strategy": ask.wish.strategy,
        }
    )


def _shown(ending: Ending) -> bytes:
    return orjson.dumps(generation_json(ending.record))


def _generation_ask(body: Mapping[str, Any]) -> ChatAsk:
    from headgate.http.generation_request import GenerationRequest, ask_of  # noqa: PLC0415 - pydantic models

    return ask_of(parse(GenerationRequest, body))


@router.get("/v2/generations/{generation_id}", **docs.GENERATION)
@scoped(Scope.GENERATE)
async def get_generation(request: Request, generation_id: str) -> Response:
    """One generation of the caller's own."""
    caller = caller_of_request(request)
    record = await services_of(request).generations.get(generation_id)
    if record is None or not _may_see(caller, record):
        raise NotFound(f"There is no generation {generation_id[:80]}.")
    return _json(generation_json(record))


@router.get("/v2/generations", **docs.GENERATIONS)
@scoped(Scope.GENERATE)
async def list_generations(request: Request) -> Response:
    """The caller's generations, newest first."""
    caller = caller_of_request(request)
    limit, cursor = page_of(request)
    filters = {name: value for name in _FILTERS if (value := parameter(request, name))}
    for name, known in _CHOICES.items():
        if filters.get(name) not in (None, *known):
            raise InvalidRequest.of_field(name, f"must be one of {', '.join(known)}.")
    found, next_cursor = await services_of(request).generations.list_by_owner(
        caller.user_id, filters=filters, limit=limit, cursor=cursor
    )
    return _json({"data": [generation_json(record) for record in found], "next_cursor": next_cursor})


def _may_see(caller: Caller, record: GenerationRecord) -> bool:
    return caller.is_admin or record.owner == caller.user_id


def generation_json(record: GenerationRecord) -> dict[str, Any]:
    """The contract's generation object; what is not known is null."""
    return {
        "id": record.id,
        "type": record.type,
        "status": record.status.value,
        "model": record.model,
        "provider": record.provider,
        "connection_id": record.connection_id,
        "created_at": rfc3339(record.created_at),
        "started_at": rfc3339(record.started_at),
        "completed_at": rfc3339(record.completed_at),
        "progress": 1.0 if record.status is GenerationStatus.SUCCEEDED else None,
        "output": record.output,
        "usage": None if record.usage is None else usage_json(record.usage),
        "cost": {
            "estimated": _money(record.cost_estimated_nanousd),
            "charged": _money(record.cost_charged_nanousd),
            "provider_cost": _money(record.cost_provider_nanousd),
        },
        "attempts": [
            {
                "provider": attempt.provider,
                "model": attempt.model,
                "outcome": attempt.outcome,
                "code": attempt.code,
                "latency_ms": attempt.latency_ms,
            }
            for attempt in record.attempts
        ],
        "error": record.error,
        "metadata": record.metadata,
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": usage.total_tokens,
        "estimated": usage.estimated,
    }


def _money(amount_nanousd: int | None) -> dict[str, Any] | None:
    return None if amount_nanousd is None else money_json(amount_nanousd)


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


router.routes.extend(generation_stats.router.routes)
