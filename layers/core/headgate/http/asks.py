"""Request bodies of the compatible endpoints, checked as far as Headgate itself needs to understand them.

What only a provider understands is left to the provider, or to the dialect that translates it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from headgate.domain.errors import FieldError, InvalidRequest
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.registry import canonical_slug
from headgate.services.chat_records import ChatAsk
from headgate.services.route import Wish

STRATEGIES = {"order": "order", "cheapest": "cheapest", "fastest": "fastest"}
_SORTS = {"price": "cheapest", "latency": "fastest", "throughput": "fastest"}
_NOT_PARAMETERS = frozenset(
    {
        "model",
        "models",
        "messages",
        "input",
        "stream",
        "stream_options",
        "provider",
        "routing",
        "cache",
        "user",
    }
)
FORWARDED_HEADERS = ("anthropic-beta",)
"""Headers of the caller's that a provider of the same dialect gets."""


def chat_ask(body: Mapping[str, Any]) -> ChatAsk:
    """`POST /v1/chat/completions`. Raises InvalidRequest naming each field."""
    errors = [*_model_errors(body), *_message_errors(body.get("messages")), *_stream_errors(body)]
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        errors.append(FieldError("stream_options", "must be an object."))
    elif options is not None and not isinstance(options.get("include_usage", False), bool | None):
        errors.append(FieldError("stream_options.include_usage", "must be true or false."))
    wish = read_wish(body, errors)
    refuse(errors)
    return ChatAsk(
        dialect=OPENAI_CHAT,
        body=body,
        model=_models(body),
        stream=bool(body.get("stream")),
        include_usage=bool(options and options.get("include_usage")),
        wish=wish,
    )


def messages_ask(body: Mapping[str, Any], headers: Mapping[str, str], *, counting: bool = False) -> ChatAsk:
    """`POST /v1/messages`, and `/count_tokens` beside it. Raises InvalidRequest naming each field."""
    errors = [*_model_errors(body), *_message_errors(body.get("messages")), *_stream_errors(body)]
    most = body.get("max_tokens")
    if not counting and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        errors.append(FieldError("max_tokens", "is needed: a whole number from 1."))
    wish = read_wish(body, errors)
    refuse(errors)
    return ChatAsk(
        dialect=ANTHROPIC_MESSAGES,
        operation="count_tokens" if counting else "chat",
        body=body,
        model=_models(body),
        stream=bool(body.get("stream")) and not counting,
        wish=wish,
        headers={name: headers[name] for name in FORWARDED_HEADERS if name in headers},
    )


def responses_ask(body: Mapping[str, Any]) -> ChatAsk:
    """`POST /v1/responses`. Raises InvalidRequest naming each field."""
    errors = [*_model_errors(body), *_stream_errors(body)]
    given = body.get("input")
    if given is not None and not isinstance(given, str | list):
        errors.append(FieldError("input", "must be a text or a list of items."))
    if body.get("background"):
        errors.append(
            FieldError("background", "is not offered: nobody could fetch the answer. Stream instead.")
        )
    wish = read_wish(body, errors)
    refuse(errors)
    return ChatAsk(
        dialect=OPENAI_RESPONSES, body=body, model=_models(body), stream=bool(body.get("stream")), wish=wish
    )


def embeddings_ask(body: Mapping[str, Any]) -> ChatAsk:
    """`POST /v1/embeddings`. Raises InvalidRequest naming each field."""
    errors = _model_errors(body)
    given = body.get("input")
    if given is None or (isinstance(given, str | list) and not given):
        errors.append(FieldError("input", "is needed: a text, or a list of texts."))
    elif not isinstance(given, str | list):
        errors.append(FieldError("input", "must be a text, or a list of texts."))
    if body.get("encoding_format") not in (None, "float", "base64"):
        errors.append(FieldError("encoding_format", "must be float or base64."))
    wish = read_wish(body, errors)
    refuse(errors)
    return ChatAsk(dialect=OPENAI_CHAT, operation="embeddings", body=body, model=_models(body), wish=wish)


def refuse(errors: list[FieldError]) -> None:
    """Raises InvalidRequest if there are any."""
    if errors:
        raise InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in errors[:5]), errors=errors)


def _models(body: Mapping[str, Any]) -> str:
    """The model, and OpenRouter's `models[]` after it, as one list with commas."""
    others = body.get("models") or []
    first = [body["model"]] if body.get("model") is not None else []
    return ",".join(name.strip() for name in dict.fromkeys([*first, *others]))


def _model_errors(body: Mapping[str, Any]) -> list[FieldError]:
    errors = []
    others = body.get("models")
    if others is not None:
        if not isinstance(others, list) or len(others) > 20:
            errors.append(FieldError("models", "must be a list of up to 20 models' ids."))
            others = None
        else:
            errors.extend(
                FieldError(f"models[{at}]", why) for at, name in enumerate(others) if (why := _bad_name(name))
            )
    model = body.get("model")
    if model is None and not others:
        errors.append(FieldError("model", "is needed: an id of GET /v1/models."))
    elif model is not None and (why := _bad_name(model)):
        errors.append(FieldError("model", why))
    return errors


def _bad_name(name: Any) -> str | None:
    if not isinstance(name, str) or not name.replace(",", " ").strip() or len(name) > 1000:
        return "must be a model's id."
    return None if name.strip().isprintable() else "must not hold control characters."


def _stream_errors(body: Mapping[str, Any]) -> list[FieldError]:
    if isinstance(body.get("stream", False), bool | None):
        return []
    return [FieldError("stream", "must be true or false.")]


def _message_errors(messages: Any) -> list[FieldError]:
    if messages is None:
        return [FieldError("messages", "is needed: a list of messages.")]
    if not isinstance(messages, list) or not messages:
        return [FieldError("messages", "must be a list with at least one message.")]
    errors = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            errors.append(FieldError(f"messages[{index}]", "must be an object."))
        elif not isinstance(message.get("role"), str):
            errors.append(FieldError(f"messages[{index}].role", "is needed."))
    return errors


# -- how the caller wants to be routed --------------------------------------------------------------------


def read_wish(body: Mapping[str, Any], errors: list[FieldError]) -> Wish:
    """From `routing` (ours) or `provider` (OpenRouter's), adding what is wrong to `errors`.

    Sources: docs of this gateway; https://openrouter.ai/docs/features/provider-routing (2026-11-20).
    """
    given = body.get("routing")
    name, prices, sort = "routing", ("input", "output"), "strategy"
    if given is None:
        given = body.get("provider")
        name, prices, sort = "provider", ("prompt", "completion"), "sort"
    if given is None:
        return Wish()
    if not isinstance(given, Mapping):
        errors.append(FieldError(name, "must be an object."))
        return Wish()
    most = given.get("max_price")
    if most is not None and not isinstance(most, Mapping):
        errors.append(FieldError(f"{name}.max_price", "must be an object."))
        most = None
    return Wish(
        strategy=_strategy(given, name, sort, errors),
        order=tuple(_slugs(given, name, "order", errors)),
        only=frozenset(_slugs(given, name, "only", errors)),
        ignore=frozenset(_slugs(given, name, "ignore", errors)),
        max_input_price=_price(most or {}, name, prices[0], errors),
        max_output_price=_price(most or {}, name, prices[1], errors),
        allow_fallbacks=_flag(given, name, "allow_fallbacks", errors, usual=True),
        parameters=_parameters(body)
        if _flag(given, name, "require_parameters", errors, usual=False)
        else frozenset(),
    )


def _strategy(given: Mapping[str, Any], name: str, sort: str, errors: list[FieldError]) -> str:
    value, known = given.get(sort), STRATEGIES if sort == "strategy" else _SORTS
    if isinstance(value, Mapping) and sort == "sort":
        value = value.get("by")
    if value is None:
        return "order"
    if not isinstance(value, str) or value not in known:
        errors.append(FieldError(f"{name}.{sort}", f"must be one of {', '.join(known)}."))
        return "order"
    return known[value]


def _slugs(given: Mapping[str, Any], name: str, key: str, errors: list[FieldError]) -> Iterable[str]:
    values = given.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        errors.append(FieldError(f"{name}.{key}", "must be a list of providers."))
        return []
    return [canonical_slug(value) for value in values]


def _flag(given: Mapping[str, Any], name: str, key: str, errors: list[FieldError], *, usual: bool) -> bool:
    value = given.get(key)
    if value is None:
        return usual
    if not isinstance(value, bool):
        errors.append(FieldError(f"{name}.{key}", "must be true or false."))
        return usual
    return value


def _price(most: Mapping[str, Any], name: str, key: str, errors: list[FieldError]) -> Decimal | None:
    value = most.get(key)
    if value is None:
        return None
    try:
        price = Decimal(str(value)) if not isinstance(value, bool) else Decimal(-1)
    except ArithmeticError:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        errors.append(FieldError(f"{name}.max_price.{key}", "must be USD per million tokens, zero or more."))
        return None
    return price


def _parameters(body: Mapping[str, Any]) -> frozenset[str]:
    """The names of what the caller set, as providers' `supported_parameters` have them."""
    return frozenset(key for key, value in body.items() if value is not None) - _NOT_PARAMETERS
