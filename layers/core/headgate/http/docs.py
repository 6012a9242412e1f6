"""What `/openapi.json` says of each route: the arguments that the route's decorator passes on."""

from typing import Any

from headgate.domain.catalog import Modality, ModelStatus
from headgate.domain.generation import GenerationStatus
from headgate.http.examples import EXAMPLES
from headgate.http.schemas import (
    BOOLEAN,
    INTEGER,
    JSON,
    OPEN,
    STRING,
    STRINGS,
    Schema,
    array,
    enum,
    nullable,
    obj,
    ref,
)
from headgate.services.list_models import MAX_LIMIT, SORTS


def answers(schema: Schema | None, *, status: int = 200, error: str = "Problem") -> dict[int | str, Any]:
    """The `responses` of a route: its success, and failures in the error shape of its part of the API."""
    kind = "application/problem+json" if error == "Problem" else JSON
    failure = {kind: {"schema": ref(error)}}
    success: dict[str, Any] = {"description": "Success"}
    if schema is not None:
        success["content"] = {JSON: {"schema": schema}}
    return {
        status: success,
        "4XX": {"description": "The request failed; see `code`", "content": failure},
        "5XX": {"description": "A provider or the gateway failed", "content": failure},
    }


def body_of(name: str, *, required: bool = True) -> dict[str, Any]:
    """`openapi_extra` for a JSON body that the route reads itself."""
    content = {JSON: {"schema": ref(name), "example": EXAMPLES[name]}}
    return {"requestBody": {"required": required, "content": content}}


_LENT_KEY = {
    "name": "X-Provider-Key",
    "in": "header",
    "required": False,
    "schema": STRING,
    "description": "A key lent for this request alone, as <provider>=<key>; several with commas between, or "
    "the header several times. It is used in place of every other key for its provider, and kept nowhere.",
}


def _asking(name: str) -> dict[str, Any]:
    """As `body_of`, for a route that calls providers."""
    return {**body_of(name), "parameters": [_LENT_KEY]}


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Repeated with the same body within 24 hours, the first answer is given again, marked "
    "`Idempotency-Replayed: true`; with another body it is 409 `idempotency_conflict`.",
}


def once(extra: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` for a route that costs or creates: done once under an idempotency key."""
    return {**extra, "parameters": [*extra.get("parameters", ()), _IDEMPOTENCY_KEY]}


def query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_LIST_PARAMETERS = [
    query("provider", STRINGS, "Slugs; any of them."),
    query("modality", array(enum(Modality)), "Any of them."),
    query("capability", STRINGS, "All of them."),
    query("q", STRING, "Words that all occur in id, name or description."),
    query("status", array(enum(ModelStatus)), "Any of them."),
    query("premium", BOOLEAN, "Whether anything about it has a price above zero."),
    query("vision", BOOLEAN, "Whether it takes images."),
    query("min_context", INTEGER, "Tokens."),
    query("max_input_price", STRING, "USD per million tokens."),
    query("max_output_price", STRING, "USD per million tokens."),
    query("available", BOOLEAN, "Only what this caller can call now."),
    query("sort", enum(SORTS), "Unknown values come last."),
    query(
        "limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}, "Models on a page; all if absent."
    ),
    query("cursor", STRING, "From `next_cursor`; pins the versions of the first page."),
    query("force", BOOLEAN, "Refresh first; administrators only."),
]
_NOT_MODIFIED = {304: {"description": "Not modified"}}
PAGE_PARAMETERS = [
    query("limit", {"type": "integer", "minimum": 1, "maximum": 100}, "Items on a page."),
    query("cursor", STRING, "From `next_cursor`."),
]

_ANTHROPIC_VERSION = {
    "name": "anthropic-version",
    "in": "header",
    "required": False,
    "schema": STRING,
    "description": "Anthropic's clients send it, and are answered in Anthropic's shape.",
}
_WITH_VERSION = "Only with `anthropic-version`: "
V1_MODELS: dict[str, Any] = {
    "responses": {
        **answers({"anyOf": [ref("OpenAIModelList"), ref("AnthropicModelList")]}, error="OpenAIError"),
        **_NOT_MODIFIED,
    },
    "openapi_extra": {
        "parameters": [
            _LENT_KEY,
            _ANTHROPIC_VERSION,
            query("limit", INTEGER, f"{_WITH_VERSION}models on a page, 20 if absent."),
            query("after_id", STRING, f"{_WITH_VERSION}the page after this model."),
            query("before_id", STRING, f"{_WITH_VERSION}the page before this model."),
            query("lifecycle", STRINGS, f"{_WITH_VERSION}active, deprecated, retired."),
        ]
    },
}
V1_MODEL: dict[str, Any] = {
    "responses": answers({"anyOf": [ref("OpenAIModel"), ref("AnthropicModel")]}, error="OpenAIError"),
    "openapi_extra": {"parameters": [_LENT_KEY, _ANTHROPIC_VERSION]},
}
V1_ENDPOINTS: dict[str, Any] = {"responses": answers(obj({"data": OPEN}), error="OpenAIError")}
V2_MODELS: dict[str, Any] = {
    "responses": {**answers(ref("ModelsResponse")), **_NOT_MODIFIED},
    "openapi_extra": {"parameters": [_LENT_KEY, *_LIST_PARAMETERS]},
}
V2_MODEL: dict[str, Any] = {"responses": {**answers(ref("ModelDetail")), **_NOT_MODIFIED}}


def _streamed(name: str, error: str) -> dict[str, Any]:
    success = {
        "description": "The answer; with `stream`, its events as server-sent events",
        "content": {JSON: {"schema": OPEN}, "text/event-stream": {}},
    }
    return {
        "responses": {**answers(OPEN, error=error), 200: success},
        "openapi_extra": once(_asking(name)),
    }


CHAT = _streamed("ChatCompletionRequest", "OpenAIError")
RESPONSES = _streamed("ResponsesRequest", "OpenAIError")
MESSAGES = _streamed("MessagesRequest", "AnthropicError")
COUNT_TOKENS: dict[str, Any] = {
    "responses": answers(obj({"input_tokens": INTEGER}), error="AnthropicError"),
    "openapi_extra": _asking("MessagesRequest"),
}
EMBEDDINGS: dict[str, Any] = {
    "responses": answers(OPEN, error="OpenAIError"),
    "openapi_extra": once(_asking("EmbeddingsRequest")),
}
EXPLAIN: dict[str, Any] = {
    "responses": answers(ref("Explanation")),
    "openapi_extra": _asking("GenerationRequest"),
}
GENERATE: dict[str, Any] = {
    "responses": answers(ref("Generation")),
    "openapi_extra": once(_asking("GenerationRequest")),
}
GENERATION: dict[str, Any] = {"responses": answers(ref("Generation"))}
GENERATIONS: dict[str, Any] = {
    "responses": answers(ref("GenerationList")),
    "openapi_extra": {
        "parameters": [
            query("status", enum(GenerationStatus), "Only this status."),
            query("type", enum(Modality), "Only this type."),
            query("project_id", STRING, "Only this project."),
            *PAGE_PARAMETERS,
        ]
    },
}
PROVIDERS: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("ProviderCard")), "next_cursor": nullable("string")})),
    "openapi_extra": {"parameters": PAGE_PARAMETERS},
}
HEALTH: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("ProviderHealth")), "next_cursor": nullable("string")})),
    "openapi_extra": {"parameters": PAGE_PARAMETERS},
}
KEYS: dict[str, Any] = {
    "responses": answers(obj({"data": array(ref("Key")), "next_cursor": nullable("string")})),
    "openapi_extra": {
        "parameters": [
            query("user_id", STRING, "Administrators: whose keys; all if absent. Others: 403 for another's."),
            *PAGE_PARAMETERS,
        ]
    },
}
NEW_KEY: dict[str, Any] = {
    "status_code": 201,
    "responses": answers(ref("NewKey"), status=201),
    "openapi_extra": once(body_of("KeyRequest")),
}
KEY: dict[str, Any] = {"responses": answers(ref("Key"))}
GONE: dict[str, Any] = {"status_code": 204, "responses": answers(None, status=204)}
