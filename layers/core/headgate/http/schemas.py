"""The schemas of `/openapi.json`, as plain data.

Plain data rather than models, because these are read once a deploy and every function would pay for building
them at each cold start.
"""

from typing import Any

from headgate.domain.catalog import Modality, ModelStatus, ProviderStatus
from headgate.domain.errors import CODES

JSON = "application/json"
Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(kind: str | Schema, **more: Any) -> Schema:
    if isinstance(kind, str):
        return {"type": [kind, "null"], **more}
    return {"anyOf": [kind, {"type": "null"}], **more}


def obj(properties: dict[str, Any], *, required: list[str] | None = None, **more: Any) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, **more}
    if required is None:
        required = list(properties)
    if required:
        schema["required"] = required
    return schema


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
STRINGS = array(STRING)
TIME: Schema = {"type": "string", "format": "date-time"}
NULL_TIME = nullable("string", format="date-time")
MONEY = obj({"amount": {"type": "string"}, "currency": {"const": "USD"}})
OPEN: Schema = {"type": "object", "additionalProperties": True}


def enum(values: Any) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


_PRICING = obj(
    {
        "currency": {"const": "USD"},
        "unit": {"const": "per_million_tokens"},
        "input": nullable("string"),
        "output": nullable("string"),
        "cache_read": nullable("string"),
        "cache_write": nullable("string"),
        "reasoning": nullable("string"),
        "units": {"type": "object", "additionalProperties": STRING},
        "source": STRING,
        "as_of": NULL_TIME,
        "disputed": BOOLEAN,
    }
)
_MODEL_FIELDS: dict[str, Any] = {
    "id": STRING,
    "canonical_id": STRING,
    "provider": STRING,
    "provider_name": STRING,
    "name": STRING,
    "description": STRING,
    "modality": enum(Modality),
    "input_modalities": STRINGS,
    "output_modalities": STRINGS,
    "capabilities": STRINGS,
    "supported_parameters": STRINGS,
    "premium": BOOLEAN,
    "vision": BOOLEAN,
    "context_window": nullable("integer"),
    "max_output_tokens": nullable("integer"),
    "api_version": nullable("string"),
    "pricing": nullable(ref("Pricing")),
    "rate_limit": obj({"requests_per_minute": nullable("integer"), "tokens_per_minute": nullable("integer")}),
    "status": enum(ModelStatus),
    "expires_at": NULL_TIME,
    "created_at": NULL_TIME,
    "last_checked": NULL_TIME,
    "error_message": nullable("string"),
    "provider_health": enum(ProviderStatus),
    "enabled": BOOLEAN,
    "key_source": STRING,
}
_OPENAI_MODEL = obj(
    {
        "id": STRING,
        "object": {"const": "model"},
        "created": INTEGER,
        "owned_by": STRING,
        "canonical_slug": STRING,
        "name": STRING,
        "description": STRING,
        "context_length": nullable("integer"),
        "architecture": OPEN,
        "pricing": nullable("object", additionalProperties=STRING),
        "top_provider": OPEN,
        "per_request_limits": {"type": "null"},
        "supported_parameters": STRINGS,
        "expiration_date": nullable("string"),
    }
)
_ANTHROPIC_MODEL = obj(
    {
        "type": {"const": "model"},
        "id": STRING,
        "display_name": STRING,
        "created_at": TIME,
        "lifecycle": enum(["active", "deprecated", "retired"]),
        "deprecated_at": NULL_TIME,
        "retires_at": NULL_TIME,
        "max_input_tokens": nullable("integer"),
        "max_tokens": nullable("integer"),
        "capabilities": {"type": "null"},
        "line": {"type": "null"},
    }
)
_USAGE = obj(
    {
        "input_tokens": nullable("integer"),
        "output_tokens": nullable("integer"),
        "cache_read_tokens": nullable("integer"),
        "cache_write_tokens": nullable("integer"),
        "reasoning_tokens": nullable("integer"),
        "total_tokens": nullable("integer"),
        "estimated": BOOLEAN,
    }
)
_GENERATION = obj(
    {
        "id": STRING,
        "type": enum(Modality),
        "status": enum(["queued", "running", "succeeded", "failed", "cancelled", "expired"]),
        "model": nullable("string"),
        "provider": nullable("string"),
        "connection_id": nullable("string"),
        "created_at": TIME,
        "started_at": NULL_TIME,
        "completed_at": NULL_TIME,
        "progress": nullable("number"),
        "output": nullable("object", additionalProperties=True),
        "usage": nullable(ref("Usage")),
        "cost": obj(
            {
                "estimated": nullable(ref("Money")),
                "charged": nullable(ref("Money")),
                "provider_cost": nullable(ref("Money")),
            }
        ),
        "attempts": array(
            obj(
                {
                    "provider": STRING,
                    "model": STRING,
                    "outcome": STRING,
                    "code": nullable("string"),
                    "latency_ms": nullable("integer"),
                }
            )
        ),
        "error": nullable("object", additionalProperties=True),
        "metadata": OPEN,
    }
)
_PROBLEM = obj(
    {
        "type": STRING,
        "title": STRING,
        "status": INTEGER,
        "detail": STRING,
        "code": enum(CODES),
        "retryable": BOOLEAN,
        "origin": enum(["caller", "gateway", "provider"]),
        "provider": STRING,
        "provider_request_id": STRING,
        "request_id": STRING,
        "errors": array(obj({"field": STRING, "message": STRING})),
    },
    required=["type", "title", "status", "detail", "code", "retryable", "origin", "request_id"],
    additionalProperties=True,
)
_OPENAI_ERROR = obj(
    {
        "error": obj(
            {
                "message": STRING,
                "type": STRING,
                "param": nullable("string"),
                "code": enum(CODES),
                "request_id": STRING,
            },
            additionalProperties=True,
        )
    }
)
_ANTHROPIC_ERROR = obj(
    {
        "type": {"const": "error"},
        "error": obj({"type": STRING, "message": STRING, "code": enum(CODES)}, additionalProperties=True),
        "request_id": STRING,
    }
)
_CHECK = obj(
    {
        "outcome": enum(["ok", "failed", "skipped"]),
        "code": nullable("string"),
        "detail": nullable("string"),
        "latency_ms": nullable("integer"),
    }
)

SCHEMAS: dict[str, Schema] = {
    "Money": MONEY,
    "Pricing": _PRICING,
    "ModelInfo": obj(_MODEL_FIELDS),
    "ModelDetail": obj(
        {
            **_MODEL_FIELDS,
            "offers": array(obj({**_MODEL_FIELDS, "latency_ms": nullable("integer")})),
            "alternatives": STRINGS,
            "override": nullable(ref("ModelOverride")),
        },
        required=[*_MODEL_FIELDS, "offers", "alternatives"],
    ),
    "ModelsResponse": obj(
        {
            "models": array(ref("ModelInfo")),
            "metadata": obj(
                {
                    "last_updated": NULL_TIME,
                    "total_models": INTEGER,
                    "cache_hit": BOOLEAN,
                    "stale": BOOLEAN,
                    "user_provided_keys": STRINGS,
                    "default_models": {"type": "object", "additionalProperties": STRING},
                    "providers": {
                        "type": "object",
                        "additionalProperties": obj(
                            {
                                "status": enum(ProviderStatus),
                                "last_checked": NULL_TIME,
                                "model_count": INTEGER,
                                "error": STRING,
                                "dropped": INTEGER,
                            },
                            required=["status", "last_checked", "model_count"],
                        ),
                    },
                }
            ),
            "next_cursor": nullable("string"),
        }
    ),
    "OpenAIModel": _OPENAI_MODEL,
    "OpenAIModelList": obj({"object": {"const": "list"}, "data": array(ref("OpenAIModel"))}),
    "AnthropicModel": _ANTHROPIC_MODEL,
    "AnthropicModelList": obj(
        {
            "data": array(ref("AnthropicModel")),
            "has_more": BOOLEAN,
            "first_id": nullable("string"),
            "last_id": nullable("string"),
        }
    ),
    "Usage": _USAGE,
    "Generation": _GENERATION,
    "GenerationList": obj({"data": array(ref("Generation")), "next_cursor": nullable("string")}),
    "GenerationRequest": obj(
        {
            "type": enum(Modality),
            "model": nullable("string"),
            "provider": nullable("string"),
            "config": OPEN,
            "metadata": OPEN,
            "routing": nullable(ref("Routing")),
            "connection_id": nullable("string"),
            "cache": nullable(obj({"ttl_s": {"const": 0}}, required=[])),
            "webhook": {"type": "null"},
            "deadline_s": nullable("number"),
        },
        required=["type", "config"],
    ),
    "Routing": obj(
        {
            "strategy": enum(["order", "cheapest", "fastest"]),
            "order": STRINGS,
            "only": STRINGS,
            "ignore": STRINGS,
            "max_price": obj({"input": STRING, "output": STRING}, required=[]),
            "allow_fallbacks": BOOLEAN,
            "require_parameters": BOOLEAN,
            "sticky_key": nullable("string"),
        },
        required=[],
    ),
    "ChatCompletionRequest": obj(
        {"model": STRING, "messages": array(OPEN), "stream": BOOLEAN},
        required=["model", "messages"],
        additionalProperties=True,
    ),
    "MessagesRequest": obj(
        {"model": STRING, "messages": array(OPEN), "max_tokens": INTEGER, "stream": BOOLEAN},
        required=["model", "messages"],
        additionalProperties=True,
    ),
    "ResponsesRequest": obj(
        {"model": STRING, "input": {"type": ["string", "array"], "items": OPEN}, "stream": BOOLEAN},
        required=["model"],
        additionalProperties=True,
    ),
    "EmbeddingsRequest": obj(
        {"model": STRING, "input": {"type": ["string", "array"]}},
        required=["model", "input"],
        additionalProperties=True,
    ),
    "Explanation": obj(
        {
            "candidates": array(
                obj(
                    {
                        "model": STRING,
                        "provider": STRING,
                        "connection_id": nullable("string"),
                        "kept": BOOLEAN,
                        "reasons": STRINGS,
                        "estimated_cost": nullable(ref("Money")),
                        "health": enum(ProviderStatus),
                        "latency_ms": nullable("integer"),
                    }
                )
            ),
            "strategy": STRING,
        }
    ),
    "Problem": _PROBLEM,
    "OpenAIError": _OPENAI_ERROR,
    "AnthropicError": _ANTHROPIC_ERROR,
    "ProviderCard": obj(
        {
            "slug": STRING,
            "name": STRING,
            "description": STRING,
            "modalities": array(enum(Modality)),
            "features": STRINGS,
            "async": BOOLEAN,
            "cost_per_unit": nullable(obj({"amount": STRING, "currency": {"const": "USD"}, "unit": STRING})),
            "key_name": nullable("string"),
            "configured": BOOLEAN,
            "docs_url": STRING,
        }
    ),
    "ProviderHealth": obj(
        {
            "provider": STRING,
            "status": enum(ProviderStatus),
            "last_checked": TIME,
            "model_count": INTEGER,
            "error": nullable("string"),
            "success_rate": nullable("number"),
            "latency_ms": obj({"p50": nullable("integer"), "p95": nullable("integer")}),
            "checks": {"type": "object", "additionalProperties": _CHECK},
        }
    ),
}
