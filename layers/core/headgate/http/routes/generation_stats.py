"""OpenRouter's figures of one generation; part of the generations function.

https://openrouter.ai/docs/api/api-reference/generations/get-generation (OpenAPI file of 2026-08-22): clients
want every field there is, null where it is not known.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.domain.callers import Scope
from headgate.domain.catalog import rfc3339
from headgate.domain.errors import CODES, InvalidRequest, NotFound
from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus, Usage
from headgate.domain.money import usd
from headgate.domain.usage import latency_ms_of
from headgate.http import usage_docs
from headgate.http.access import caller_of_request, scoped
from headgate.http.context import services_of

router = APIRouter(tags=["generation"])
_API_TYPES: Mapping[str, str] = {
    "text": "completions",
    "embedding": "embeddings",
    **{each: each for each in ("rerank", "tts", "stt", "video", "image")},
}
_NEVER_KNOWN = (
    "upstream_id",
    "app_id",
    "streamed",
    "cache_discount",
    "moderation_latency",
    "native_finish_reason",
    "native_tokens_completion_images",
    "num_media_prompt",
    "num_input_audio_prompt",
    "num_media_completion",
    "num_search_results",
    "num_fetches",
    "web_search_engine",
    "service_tier",
    "session_id",
    "external_user",
    "preset_id",
    "router",
    "user_agent",
    "http_referer",
    "workspace_id",
    "response_cache_source_id",
)
"""Fields of things that are not kept, or that only OpenRouter has."""


@router.get("/v1/generation", **usage_docs.GENERATION_STATS)
@scoped(Scope.GENERATE)
async def get_generation_stats(request: Request) -> Response:
    """OpenRouter's figures of one generation of the caller's own; an administrator's may be anyone's."""
    caller = caller_of_request(request)
    generation_id = request.query_params.get("id")
    if not generation_id:
        raise InvalidRequest.of_field("id", "must be a generation's id.")
    record = await services_of(request).generations.get(generation_id)
    if record is None or not (caller.is_admin or record.owner == caller.user_id):
        raise NotFound(f"There is no generation {generation_id[:80]}.")
    return Response(orjson.dumps({"data": stats_json(record)}), media_type="application/json")


def stats_json(record: GenerationRecord) -> dict[str, Any]:
    """Money in dollars as numbers, times in milliseconds. An unknown cost is 0: null is not in the shape."""
    usage = record.usage or Usage()
    cost = _dollars(record.cost_charged_nanousd) or 0.0
    tokens = {"prompt": usage.input_tokens, "completion": usage.output_tokens}
    return {
        **dict.fromkeys(_NEVER_KNOWN),
        "id": record.id,
        "request_id": record.request_id,
        "created_at": rfc3339(record.created_at),
        "model": record.model or record.requested_model or "",
        "provider_name": record.provider,
        "provider_responses": [_response_json(attempt) for attempt in record.attempts],
        "api_type": _API_TYPES.get(record.type),
        "cancelled": record.status is GenerationStatus.CANCELLED,
        "is_byok": record.paid_by != "platform",
        "finish_reason": (record.output or {}).get("finish_reason"),
        "latency": latency_ms_of(record),
        "generation_time": record.attempts[-1].latency_ms if record.attempts else None,
        "total_cost": cost,
        "usage": cost,
        "upstream_inference_cost": _dollars(record.cost_provider_nanousd),
        **{f"tokens_{name}": count for name, count in tokens.items()},
        **{f"native_tokens_{name}": count for name, count in tokens.items()},
        "native_tokens_reasoning": usage.reasoning_tokens,
        "native_tokens_cached": usage.cache_read_tokens,
        "origin": "",
        "data_region": "global",
    }


def _response_json(attempt: Attempt) -> dict[str, Any]:
    failed = CODES.get(attempt.code or "")
    return {
        "provider_name": attempt.provider,
        "status": 200 if failed is None else failed.status,
        "latency": attempt.latency_ms,
        "is_byok": attempt.key != "platform",
    }


def _dollars(amount_nanousd: int | None) -> float | None:
    return None if amount_nanousd is None else float(usd(amount_nanousd))
