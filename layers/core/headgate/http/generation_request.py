"""The body of `POST /v2/generations`, and how it becomes a chat completion, or embeddings."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from headgate.domain.errors import FieldError, InvalidRequest
from headgate.http.asks import read_wish, refuse
from headgate.http.body import printable
from headgate.services.chat_records import ChatAsk

MAX_METADATA_BYTES = 16_384
"""Of its JSON: it is kept with the record, and comes back with every list of them."""

_HOW_SENT = ("stream", "stream_options", "encoding_format")
"""Of the answer's way, which is one here: whole, with vectors as lists of numbers."""

Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(printable)]


def _named(text: str) -> str:
    """Raises ValueError for a list that names nothing."""
    if not text.replace(",", " ").strip():
        raise ValueError("must be a model's id.")
    return text


class Metadata(BaseModel):
    """The caller's own labels; project and scene are the ones Headgate knows."""

    model_config = ConfigDict(extra="allow")
    project_id: Annotated[str, Field(max_length=200)] | None = None
    scene_id: Annotated[str, Field(max_length=200)] | None = None


class NoCache(BaseModel):
    """No answer is kept for the next caller yet: only the wish for none can be granted."""

    model_config = ConfigDict(extra="forbid")
    ttl_s: Literal[0] = 0


class GenerationRequest(BaseModel):
    """One generation. Unknown keys of `config` go to the provider; unknown keys beside it are refused."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["text", "embedding"]
    model: Annotated[Text, AfterValidator(_named)] | None = None
    provider: Text | None = None
    config: dict[str, Any]
    metadata: Metadata = Field(default_factory=Metadata)
    routing: dict[str, Any] | None = None
    connection_id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)] | None = (
        None
    )
    cache: NoCache | None = None
    webhook: None = None
    deadline_s: Annotated[float, Field(gt=0, le=86_400)] | None = None


def ask_of(request: GenerationRequest) -> ChatAsk:
    """What `/v1` would be asked for the same. Raises InvalidRequest naming the field that is wrong."""
    config = dict(request.config)
    for name in _HOW_SENT:
        config.pop(name, None)
    embeds = request.type == "embedding"
    if embeds:
        _check_input(config)
    else:
        config["messages"] = _messages(config)
    labels = request.metadata.model_dump(exclude_none=True)
    _check_metadata(labels)
    errors: list[FieldError] = []
    wish = read_wish({"routing": request.routing or {}} | config, errors)
    refuse(errors)
    return ChatAsk(
        body=config,
        operation="embeddings" if embeds else "chat",
        model=request.model,
        provider=request.provider,
        wish=wish,
        keep_output=True,
        project_id=request.metadata.project_id,
        metadata=labels,
        deadline_s=request.deadline_s,
        connection_id=request.connection_id,
    )


def _check_metadata(labels: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for what could not be kept and told again."""
    try:
        size = len(orjson.dumps(labels))
    except orjson.JSONEncodeError:
        raise InvalidRequest.of_field(
            "metadata", "is nested too deeply, or has a number of more than 64 bits."
        ) from None
    if size > MAX_METADATA_BYTES:
        raise InvalidRequest.of_field("metadata", f"may hold {MAX_METADATA_BYTES} bytes of JSON, not {size}.")


def _check_input(config: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for a text to embed that is missing, or none."""
    given = config.get("input")
    if not isinstance(given, str | list) or not given:
        raise InvalidRequest.of_field("config.input", "is needed: a text, or a list of texts.")


def _messages(config: dict[str, Any]) -> list[Any]:
    prompt, messages = config.pop("prompt", None), config.pop("messages", None)
    if (prompt is None) == (messages is None):
        raise InvalidRequest.of_field("config.prompt", "give either prompt or messages.")
    if prompt is not None:
        if not isinstance(prompt, str) or not prompt:
            raise InvalidRequest.of_field("config.prompt", "must be a text.")
        return [{"role": "user", "content": prompt}]
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest.of_field("config.messages", "must be a list with at least one message.")
    errors = [
        FieldError(f"config.messages[{i}]", "must be an object with a role.")
        for i, message in enumerate(messages)
        if not isinstance(message, dict) or not isinstance(message.get("role"), str)
    ]
    if errors:
        raise InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in errors[:5]), errors=errors)
    return messages
