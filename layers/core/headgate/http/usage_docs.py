"""What `/openapi.json` says of usage and of OpenRouter's figures of one generation."""

from typing import Any

from headgate.domain.usage import Dimension
from headgate.http.docs import answers
from headgate.http.schemas import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    TIME,
    Schema,
    array,
    enum,
    nullable,
    obj,
    ref,
)

MOST_ROWS = 1_000


def _query(name: str, schema: Schema, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": description,
    }


_ROW = obj(
    {
        "group": STRING,
        "requests": INTEGER,
        "input_tokens": INTEGER,
        "output_tokens": INTEGER,
        "cost": ref("Money"),
        "errors": INTEGER,
        "latency_ms": nullable("integer"),
    }
)
USAGE: dict[str, Any] = {
    "responses": answers(obj({"data": array(_ROW), "next_cursor": nullable("string")})),
    "openapi_extra": {
        "parameters": [
            _query("group_by", enum(Dimension), "model if absent. What has no group is left out."),
            _query("from", STRING, "First day, or a time in it, UTC; 30 days in all if absent."),
            _query("to", STRING, "Last day, inclusive; today if absent. At most 366 days in all."),
            _query(
                "user_id", STRING, "Administrators: whose usage; all if absent. Others: 403 for another's."
            ),
            _query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
                f"Groups on a page, {MOST_ROWS} if absent.",
            ),
            _query("cursor", STRING, "From `next_cursor`."),
        ]
    },
}

_MAYBE_TEXT, _MAYBE_COUNT, _MAYBE_NUMBER = nullable("string"), nullable("integer"), nullable("number")
_STATS = obj(
    {
        "id": STRING,
        "request_id": _MAYBE_TEXT,
        "created_at": TIME,
        "model": STRING,
        "provider_name": _MAYBE_TEXT,
        "provider_responses": array(
            obj({"provider_name": STRING, "status": INTEGER, "latency": _MAYBE_COUNT, "is_byok": BOOLEAN})
        ),
        "api_type": _MAYBE_TEXT,
        "cancelled": BOOLEAN,
        "is_byok": BOOLEAN,
        "finish_reason": _MAYBE_TEXT,
        "latency": _MAYBE_COUNT,
        "generation_time": _MAYBE_COUNT,
        "total_cost": NUMBER,
        "usage": NUMBER,
        "upstream_inference_cost": _MAYBE_NUMBER,
        "tokens_prompt": _MAYBE_COUNT,
        "tokens_completion": _MAYBE_COUNT,
        "native_tokens_prompt": _MAYBE_COUNT,
        "native_tokens_completion": _MAYBE_COUNT,
        "native_tokens_reasoning": _MAYBE_COUNT,
        "native_tokens_cached": _MAYBE_COUNT,
    },
    additionalProperties=True,
)
GENERATION_STATS: dict[str, Any] = {
    "responses": answers(obj({"data": _STATS}), error="OpenAIError"),
    "openapi_extra": {"parameters": [_query("id", STRING, "A generation's id.", required=True)]},
}
